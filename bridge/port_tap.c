/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TAP, TUN and macvtap devices as ports. */
#include "port.h"

#include <errno.h>

#include "ring.h"

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
		if (n < 0) {
			port->drained = count;
			return count ? (int)count : (int)n;
		}
		frame->len = (size_t)n;
		count++;
		if (frame->len > FRAME_LARGE)
			break;
	}
	return (int)count;
}

/* --- writing ------------------------------------------------------------------------ */

static void count_lost(void *ctx, int error, size_t size)
{
	port_lose_gathered(ctx, size, error);
}

static void tap_flush(struct port *port)
{
	struct tap_ring *ring = port->state;

	if (ring && tap_ring_count(ring))
		tap_ring_flush(ring, count_lost, port);
}

/* Made when the first small frame is written; where io_uring is not to be had all are written one by one. */
static struct tap_ring *ring_of(struct port *port)
{
	struct tap_ring *ring = NULL;

	if (!port->state && !port->tried) {
		port->tried = true;
		if (tap_ring_open(port->tap.fds[0], &ring) == 0)
			port->state = ring;
	}
	return port->state;
}

/* Small frames are gathered; a large one is written behind them, alone. */
static int tap_write(struct port *port, const struct frame *frame)
{
	struct tap_ring *ring = ring_of(port);
	ssize_t n;

	if (ring && tap_ring_fits(frame->len)) {
		if (!tap_ring_add(ring, &frame->hdr, frame->data, frame->len)) {
			tap_flush(port);
			tap_ring_add(ring, &frame->hdr, frame->data, frame->len);
		}
		port->dirty = true;
		return 0;
	}
	tap_flush(port);
	n = vnic_frame_write(&port->tap, 0, &frame->hdr, frame->data, frame->len);
	return n < 0 ? (int)n : 0;
}

static void tap_close(struct port *port)
{
	tap_ring_close(port->state);
	vnic_tap_close(&port->tap);
}

const struct port_ops port_tap_ops = {
	.kind = "tap",
	.read = tap_read,
	.write = tap_write,
	.flush = tap_flush,
	.close = tap_close,
};

int port_tap_init(struct port *port, const void *with, struct vnic_error *err)
{
	const unsigned uso = VNIC_OFFLOAD_USO4 | VNIC_OFFLOAD_USO6;
	const struct vnic_tap *tap = with;

	/* Without it a frame would have to be segmented and its checksum finished on its way here. */
	if (!tap->vnet_hdr)
		return vnic_fail(err, VNIC_STEP_PORT, EOPNOTSUPP, tap->name,
				 "a relay needs devices with the virtio header: open it with IFF_VNET_HDR");
	port->ops = &port_tap_ops;
	port->tap = *tap;
	port->fds = tap->fds;
	port->queues = tap->queues;
	port->tun = tap->tun;
	/* Segmented TCP is taken by all kernels, whatever was set; UDP only where it could be set. */
	port->takes = VNIC_OFFLOAD_ALL & ~(uso & ~tap->offloads);
	return 0;
}
