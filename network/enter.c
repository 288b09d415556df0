/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices and sockets opened in another namespace: the rooms below, called where the target is. */
#include "enter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fd.h"
#include "ns.h"

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
	ns_set_sysctl("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

static int open_nl(void *ctx, struct vnic_error *err)
{
	return vnic_nl_open(ctx, err);
}

int target_beside(int fd, const char *text, struct vnic_target *ret_target, struct vnic_error *err)
{
	CLEANUP(vnic_target_close) struct vnic_target target = VNIC_TARGET_EMPTY;
	int r;

	snprintf(target.text, sizeof(target.text), "%s", text);
	target.netns_fd = ioctl(fd, SIOCGSKNS); /* close-on-exec from birth */
	if (target.netns_fd < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, errno, text, NULL);
	r = ns_owner(target.netns_fd, &target.userns_fd);
	if (r < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, -r, text, "its user namespace");
	*ret_target = target;
	target = VNIC_TARGET_EMPTY;
	return 0;
}

int nl_open_beside(int fd, struct vnic_nl **ret_nl, struct vnic_error *err)
{
	CLEANUP(vnic_target_close) struct vnic_target target = VNIC_TARGET_EMPTY;
	int r = target_beside(fd, "of a descriptor", &target, err);

	return r < 0 ? r : vnic_nl_open_in(&target, ret_nl, err);
}

int nl_index_of(struct vnic_nl *nl, const char *name, int *ret_index, struct vnic_error *err)
{
	struct vnic_link_info info = {0};
	int r = vnic_link_get(nl, 0, name, &info, err);

	if (r == 0)
		*ret_index = info.index;
	return r;
}

int vnic_nl_open_in(const struct vnic_target *target, struct vnic_nl **ret_nl, struct vnic_error *err)
{
	return target ? vnic_target_call(target, open_nl, ret_nl, err) : vnic_nl_open(ret_nl, err);
}
