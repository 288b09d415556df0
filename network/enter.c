/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices and sockets opened in another namespace: the rooms below, called where the target is. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fd.h"
#include "ns.h"
#include "plan.h"

struct tap_call {
	const struct vnic_tap_config *config;
	struct vnic_tap *tap;
};

static int open_tap(void *ctx, struct vnic_error *err)
{
	struct tap_call *call = ctx;

	return vnic_tap_open(call->config, call->tap, err);
}

int vnic_tap_open_in(const struct vnic_target *target, const struct vnic_tap_config *config, struct vnic_tap *ret_tap,
		     struct vnic_error *err)
{
	struct tap_call call = {config, ret_tap};

	return target ? vnic_target_call(target, open_tap, &call, err) : open_tap(&call, err);
}

void silence_netns(void)
{
	CLEANUP_FD int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1", 1) < 0)
		return;
}

static int open_nl(void *ctx, struct vnic_error *err)
{
	return vnic_nl_open(ctx, err);
}

int nl_open_beside(int fd, struct vnic_nl **ret_nl, struct vnic_error *err)
{
	CLEANUP(vnic_target_close) struct vnic_target target = VNIC_TARGET_EMPTY;

	target.netns_fd = ioctl(fd, SIOCGSKNS); /* close-on-exec from birth */
	if (target.netns_fd < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, errno, "of a descriptor", NULL);
	int r = ns_owner(target.netns_fd, &target.userns_fd);
	if (r < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, -r, "that owns another one", NULL);
	return vnic_nl_open_in(&target, ret_nl, err);
}

int vnic_nl_open_in(const struct vnic_target *target, struct vnic_nl **ret_nl, struct vnic_error *err)
{
	return target ? vnic_target_call(target, open_nl, ret_nl, err) : vnic_nl_open(ret_nl, err);
}
