/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of a frame through the relay.
 *
 *   receive -> admit -> forward (patch, hub, or switch) -> for each destination: send -> deliver -> write
 *
 * Theory of operation.  A frame never waits here: each step calls the next, and a step that does not let the
 * frame go on counts it under a reason.  Two ports are a patch: what comes in at one goes out at the
 * other, unread.  More form a switch, which learns source MACs without regard to VLANs.
 *
 * A port says which offloads it takes.  What it does not take is finished at the last moment, in deliver: so a
 * super-frame stays whole between ports that can have it, even where others are flooded with it too.
 *
 * Accounts.  A frame read counts in rx_frames of its port.  Then it is delivered nowhere, and counts in rx_dropped
 * there; or it is meant for one port (known MAC) or several (flooding), and each copy counts at its
 * destination, in tx_frames or tx_dropped.  What is more than one goes into `made`.
 */
#include "relay_ports.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* USO: Linux 6.2, virtio 1.2 */
#endif

static void drop_in(struct port *from, enum vnic_drop why)
{
	from->stats.rx_dropped[why]++;
}

static void drop_out(struct port *to, enum vnic_drop why)
{
	to->stats.tx_dropped[why]++;
}

/* --- write -------------------------------------------------------------------------- */

static unsigned offloads_of(const struct frame *frame)
{
	unsigned needs = frame->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? VNIC_OFFLOAD_CSUM : 0;

	switch (frame->hdr.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return needs | VNIC_OFFLOAD_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return needs | VNIC_OFFLOAD_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return needs | VNIC_OFFLOAD_USO4;
	default:
		return needs;
	}
}

static void write_frame(struct vnic_relay *relay, struct port *to, const struct frame *frame)
{
	bool was_dirty = to->dirty;
	int r = to->ops->write(to, frame);

	if (r < 0) {
		drop_out(to, port_drop_reason(r));
		if (r == -EBADFD)
			relay_close_port(relay, to->number);
		return;
	}
	to->stats.tx_frames++;
	to->stats.tx_bytes += frame->len;
	if (to->dirty && !was_dirty)
		relay->dirty[relay->dirty_count++] = to->number;
}

static void deliver(struct vnic_relay *relay, struct port *to, struct frame *frame)
{
	if (offloads_of(frame) & ~to->takes)
		drop_out(to, VNIC_DROP_SEGMENT);
	else
		write_frame(relay, to, frame);
}

void path_send(struct vnic_relay *relay, unsigned number, struct frame *frame)
{
	struct port *to = relay->ports[number];

	if (to->link_down)
		drop_out(to, VNIC_DROP_LINK_DOWN);
	else
		deliver(relay, to, frame);
}

void path_flush(struct vnic_relay *relay)
{
	for (unsigned i = 0; i < relay->dirty_count; i++) {
		struct port *port = relay->ports[relay->dirty[i]];

		if (port->open)
			port->ops->flush(port);
		port->dirty = false;
	}
	relay->dirty_count = 0;
}

/* --- forward ------------------------------------------------------------------------ */

static void flood(struct vnic_relay *relay, unsigned from, struct frame *frame)
{
	struct port *source = relay->ports[from];
	unsigned sent = 0, isolated = 0;

	for (unsigned i = 0; i < relay->count; i++) {
		struct port *to = relay->ports[i];

		if (i == from || !to->open)
			continue;
		if (source->isolated && to->isolated) {
			isolated++;
			continue;
		}
		path_send(relay, i, frame);
		sent++;
	}
	if (!sent)
		drop_in(source, isolated ? VNIC_DROP_ISOLATED : VNIC_DROP_NO_PORT);
	else
		relay->stats.made[VNIC_MADE_COPY] += sent - 1;
}

static bool is_group(const uint8_t *mac)
{
	return mac[0] & 1;
}

static bool is_zero(const uint8_t *mac)
{
	return !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

static void switch_frame(struct vnic_relay *relay, unsigned from, struct frame *frame)
{
	const uint8_t *dst = frame->data, *src = frame->data + ETH_ALEN;
	struct port *source = relay->ports[from];
	uint32_t now = (uint32_t)(relay->now / NS_PER_S), to;

	if (is_group(src) || is_zero(src)) {
		drop_in(source, VNIC_DROP_SOURCE);
		return;
	}
	fdb_learn(&relay->fdb, src, from, now);
	to = is_group(dst) ? FDB_NONE : fdb_find(&relay->fdb, dst, now);
	if (to == FDB_NONE)
		flood(relay, from, frame);
	else if (to == from)
		drop_in(source, VNIC_DROP_SAME_PORT);
	else if (source->isolated && relay->ports[to]->isolated)
		drop_in(source, VNIC_DROP_ISOLATED);
	else
		path_send(relay, to, frame);
}

static void forward(struct vnic_relay *relay, unsigned from, struct frame *frame)
{
	if (relay->count > 2 && !relay->config.hub)
		switch_frame(relay, from, frame);
	else
		flood(relay, from, frame);
}

/* --- receive ------------------------------------------------------------------------ */

/* A frame may go on to others. */
static void admit(struct vnic_relay *relay, unsigned from, struct frame *frame)
{
	forward(relay, from, frame);
}

void path_receive(struct vnic_relay *relay, unsigned from, struct frame *frame)
{
	struct port *port = relay->ports[from];

	port->stats.rx_frames++;
	port->stats.rx_bytes += frame->len;
	if (port->link_down)
		drop_in(port, VNIC_DROP_LINK_DOWN);
	else
		admit(relay, from, frame);
}
