/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TAP, TUN and macvtap devices as ports. */
#include "port.h"

#include <errno.h>

/* Of what went wrong: was it one frame, which is lost?  Then the next may be had. */
static bool lost_one(struct port *port, ssize_t r)
{
	if (r == -EINVAL)
		port_lose(port, VNIC_DROP_SHORT);
	else if (r == -EMSGSIZE)
		port_lose(port, VNIC_DROP_OVERSIZE);
	else
		return false;
	return true;
}

static int tap_read(struct port *port, unsigned queue, struct frame *frames, unsigned max)
{
	unsigned count = 0;

	while (count < max) {
		struct frame *frame = &frames[count];
		ssize_t n = vnic_frame_read(&port->tap, queue, &frame->hdr, frame->data, VNIC_FRAME_MAX);

		if (n < 0 && lost_one(port, n))
			break;
		if (n < 0)
			return count ? (int)count : (int)n;
		frame->len = (size_t)n;
		count++;
		if (frame->len > FRAME_LARGE)
			break;
	}
	return (int)count;
}

static int tap_write(struct port *port, const struct frame *frame)
{
	ssize_t n = vnic_frame_write(&port->tap, 0, &frame->hdr, frame->data, frame->len);

	return n < 0 ? (int)n : 0;
}

static void tap_close(struct port *port)
{
	vnic_tap_close(&port->tap);
}

static const struct port_ops tap_ops = {
	.kind = "tap",
	.read = tap_read,
	.write = tap_write,
	.close = tap_close,
};

int port_tap_init(struct port *port, const void *with, struct vnic_error *err)
{
	const struct vnic_tap *tap = with;

	/* Without it a frame would have to be segmented and its checksum finished on its way here. */
	if (!tap->vnet_hdr)
		return vnic_fail(err, VNIC_STEP_PORT, EOPNOTSUPP, tap->name,
				 "a relay needs devices with the virtio header: open it with IFF_VNET_HDR");
	port->ops = &tap_ops;
	port->tap = *tap;
	port->fds = tap->fds;
	port->queues = tap->queues;
	port->tun = tap->tun;
	port->takes = VNIC_OFFLOAD_ALL;
	return 0;
}
