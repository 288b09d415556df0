/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last thing before the user's command: what execve(2) answers, told as a shell would. */
#include "ns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"

/* Is there such a file, be it executable or not?  `path` as in PATH, where an empty item is the current directory. */
static bool is_in(const char *path, const char *file)
{
	char name[PATH_MAX];

	for (;;) {
		size_t length = strcspn(path, ":");
		int n = snprintf(name, sizeof(name), "%.*s%s%s", (int)length, path, length ? "/" : "", file);

		if (n < (int)sizeof(name) && access(name, F_OK) == 0)
			return true;
		if (!path[length])
			return false;
		path += length + 1;
	}
}

/* PATH of the environment that the command gets; what execvp(3) takes where there is none. */
static const char *search_path(void)
{
	for (char **entry = environ; entry && *entry; entry++)
		if (!strncmp(*entry, "PATH=", 5))
			return *entry + 5;
	return "/bin:/usr/bin";
}

static bool exists(const char *file)
{
	if (!*file)
		return false;
	return strchr(file, '/') ? access(file, F_OK) == 0 : is_in(search_path(), file);
}

int ns_execute(char *const *argv, char *const *envp, struct vnic_error *err)
{
	if (envp)
		environ = (char **)(uintptr_t)envp;
	execvp(argv[0], argv);
	int code = errno;
	bool is_there = exists(argv[0]);

	/* Also what execvp says of a name that it did not find, where a directory of PATH may not be searched. */
	if (code == EACCES && !is_there && !strchr(argv[0], '/'))
		code = ENOENT;
	if (code == ENOENT && is_there)
		return vnic_fail(err, VNIC_STEP_EXEC, EACCES, argv[0], "the interpreter that it names is not there");
	return vnic_fail(err, VNIC_STEP_EXEC, code, argv[0], NULL);
}

bool ns_has_terminal(void)
{
	CLEANUP_FD int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	return tty >= 0;
}
