/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Macvtap: a macvlan link whose upper side is a character device, /dev/tapIFINDEX.
 *
 * It speaks the ioctls of TUN, but queue by queue: each open of the device node is one more queue
 * with header and offloads of its own.  The node is made by udev or devtmpfs in the initial
 * namespace, so its name proves nothing: the ifindex is checked after opening.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "fd.h"

static int open_queue(const char *path, bool vnet_hdr, unsigned queues, int *ret_fd, struct vnic_error *err)
{
	CLEANUP_FD int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	unsigned flags = IFF_TAP | IFF_NO_PI | (vnet_hdr ? IFF_VNET_HDR : 0) | (queues > 1 ? IFF_MULTI_QUEUE : 0);
	struct ifreq ifr = {.ifr_flags = (short)flags};

	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_OPEN, errno, path,
				 errno == ENOENT ? "udev or devtmpfs makes this node for a macvtap link" : NULL);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return vnic_fail(err, VNIC_STEP_TAP_ADD, errno, path, "this is not a macvtap device");
	*ret_fd = take_fd(&fd);
	return 0;
}

int vnic_macvtap_open(int index, unsigned queues, bool vnet_hdr, unsigned offloads, struct vnic_tap *ret_tap,
		      struct vnic_error *err)
{
	CLEANUP(vnic_tap_close) struct vnic_tap tap = VNIC_TAP_EMPTY;
	char path[32];
	int r = tap_alloc(queues ? queues : 1, &tap, err);

	snprintf(path, sizeof(path), "/dev/tap%d", index);
	for (unsigned i = 0; r == 0 && i < tap.queues; i++)
		r = open_queue(path, vnet_hdr, tap.queues, &tap.fds[i], err);
	if (r == 0)
		r = tap_query(tap.fds[0], &tap, err);
	if (r < 0)
		return r;
	tap.index = (int)if_nametoindex(tap.name);
	if (tap.index != index)
		return vnic_fail(err, VNIC_STEP_TAP_ADD, ENODEV, path,
				 "the node belongs to link %s, which is not ifindex %d of this namespace", tap.name,
				 index);
	if (vnet_hdr)
		r = tap_set_offloads(&tap, offloads, err);
	if (r < 0)
		return r;
	*ret_tap = tap;
	tap = VNIC_TAP_EMPTY;
	return 0;
}
