/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stale.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"

void remove_stale_socket(const struct sockaddr_un *addr, int type)
{
	CLEANUP_FD int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat info;

	if (lstat(addr->sun_path, &info) == 0 && S_ISSOCK(info.st_mode) &&
	    connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 && errno == ECONNREFUSED)
		unlink(addr->sun_path);
}
