/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network namespaces of our own: made, and set up as far as it goes without netlink. */
#include "ns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"

int ns_leave_netns(int *ret_old, struct vnic_error *err)
{
	CLEANUP_FD int old = ret_old ? open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC) : -1;

	if (ret_old && old < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, errno, "of our own network", NULL);
	if (unshare(CLONE_NEWNET) < 0)
		return vnic_fail(err, VNIC_STEP_UNSHARE, errno, "net", NULL);
	if (ret_old)
		*ret_old = take_fd(&old);
	return 0;
}

int ns_lo_up(struct vnic_error *err)
{
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, NULL, NULL);
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return vnic_fail(err, VNIC_STEP_LINK_SET, errno, "lo", NULL);
	return 0;
}

bool ns_set_sysctl(const char *path, const char *value)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, value, strlen(value)) >= 0;
}
