/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of a frame through the relay.
 *
 *   receive -> filter -> weather -> admit (inspect, capture) -> forward (patch, hub, or switch)
 *                                    -> for each destination: send -> filter -> weather -> deliver -> write
 *
 * Theory of operation.  Each step calls the next, and a step that does not let the frame go on counts it under
 * a reason.  Only weather (impair.c) holds frames back, until a timer lets them go on.  Two ports are a patch: what
 * comes in at one goes out at the other, unread.  More form a switch, which learns source MACs without regard to VLANs.
 *
 * A port says which offloads it takes.  What it does not take is finished at the last moment, in deliver: so a
 * super-frame stays whole between ports that can have it, even where others are flooded with it too.  The other
 * way round, frames of one flow that a port without offloads gave in one turn become a super-frame for a port
 * that takes it: to a TAP a write costs as much for 64 KiB as for a few frames.
 *
 * Accounts.  A frame read counts in rx_frames of its port.  Then it is delivered nowhere, and counts in rx_dropped
 * there; or it is meant for one port (known MAC) or several (flooding), and each copy counts at its
 * destination, in tx_frames or tx_dropped.  What is more than one goes into `made`, what became less into `merged`.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <stddef.h>

#include "coalesce.h"
#include "filter.h"
#include "gso.h"
#include "impair.h"
#include "relay_ports.h"
#include "reserve.h"

/* Frames on their way out that become one. */
struct merge {
	struct coalesce coalesce;
	uint8_t room[FRAME_HEADROOM + VNIC_FRAME_MAX];
};

static void drop_in(struct port *from, const struct frame *frame, enum vnic_drop why)
{
	from->stats.rx_dropped[why]++;
	relay_capture(from->relay, from, VNIC_INGRESS, frame, why);
}

static void drop_out(struct port *to, const struct frame *frame, enum vnic_drop why)
{
	to->stats.tx_dropped[why]++;
	relay_capture(to->relay, to, VNIC_EGRESS, frame, why);
}

/* --- write -------------------------------------------------------------------------- */

/* It will be flushed at the end of the turn. */
static void mark_dirty(struct vnic_relay *relay, struct port *to)
{
	to->dirty = true;
	if (to->marked)
		return;
	to->marked = true;
	relay->dirty[relay->dirty_count++] = to->number;
}

/* Until the end of the turn others on a frame's way may look at it. */
void relay_lose_port(struct port *port)
{
	port->gone = true;
	mark_dirty(port->relay, port);
}

static void write_frame(struct vnic_relay *relay, struct port *to, const struct frame *frame)
{
	int r = to->gone ? -EBADFD : to->ops->write(to, frame);

	if (r < 0) {
		drop_out(to, frame, port_drop_reason(r));
		if (r == -EBADFD)
			relay_lose_port(to);
		return;
	}
	to->stats.tx_frames++;
	to->stats.tx_bytes += frame->len;
	relay_capture(relay, to, VNIC_EGRESS, frame, VNIC_DROP_COUNT);
	if (to->dirty)
		mark_dirty(relay, to);
}

/* For a port that cannot take it as it is: segments of its own, with finished checksums where it wants them. */
static void cut(struct vnic_relay *relay, struct port *to, const struct frame *frame)
{
	struct frame segment = {.data = relay->spare};
	struct gso gso;
	uint64_t count = 0;

	if (gso_begin(&gso, frame, to->tun, to->takes) < 0) {
		drop_out(to, frame, VNIC_DROP_SEGMENT);
		return;
	}
	for (; gso_next(&gso, &segment); count++)
		write_frame(relay, to, &segment);
	relay->stats.made[VNIC_MADE_SEGMENT] += count - 1;
}

/* Before anything else goes out, or at the end of the turn. */
static void write_merged(struct vnic_relay *relay, struct port *to)
{
	struct frame merged;
	uint32_t frames = 0;

	if (!to->merge || !coalesce_take(&to->merge->coalesce, &merged, &frames))
		return;
	relay->stats.merged += frames - 1;
	write_frame(relay, to, &merged);
}

/* Made for the first such frame; without memory frames go as they are. */
static struct merge *merge_of(struct port *to)
{
	if (!to->merge) {
		to->merge = reserve(1, sizeof(*to->merge));
		if (to->merge)
			coalesce_begin(&to->merge->coalesce, to->merge->room + FRAME_HEADROOM, to->tun, to->takes);
	}
	return to->merge;
}

void path_free_merge(struct port *port)
{
	release(port->merge, 1, sizeof(*port->merge));
	port->merge = NULL;
}

/* For a port to which every write is dear, frames of one flow that came in one turn become one. */
static void merge(struct vnic_relay *relay, struct port *to, const struct frame *frame)
{
	enum coalesce_verdict verdict = coalesce_add(&to->merge->coalesce, frame);

	if (verdict == COALESCE_FLUSH) {
		write_merged(relay, to);
		verdict = coalesce_add(&to->merge->coalesce, frame);
	}
	if (verdict == COALESCE_PASS)
		write_frame(relay, to, frame);
	else
		mark_dirty(relay, to);
}

static void deliver(struct vnic_relay *relay, struct port *to, struct frame *frame)
{
	if (frame->mergeable && to->takes & VNIC_OFFLOAD_TSO4 && merge_of(to)) {
		merge(relay, to, frame);
		return;
	}
	write_merged(relay, to);
	if (gso_needs(frame) & ~to->takes)
		cut(relay, to, frame);
	else
		write_frame(relay, to, frame);
}

/* --- weather ------------------------------------------------------------------------ */

static void admit(struct vnic_relay *relay, unsigned from, struct frame *frame);

static void go_on(struct port_side *side, struct frame *frame)
{
	struct port *port = side->port;

	if (side->direction == VNIC_INGRESS)
		admit(port->relay, port->number, frame);
	else if (port->open)
		deliver(port->relay, port, frame);
	else
		drop_out(port, frame, VNIC_DROP_DOWN);
}

static void drop_at(struct port_side *side, const struct frame *frame, enum vnic_drop why)
{
	if (side->direction == VNIC_INGRESS)
		drop_in(side->port, frame, why);
	else
		drop_out(side->port, frame, why);
}

/* By the clock: the turn in which the frame was read may have begun before it came. */
static void strike(struct port_side *side, const struct frame *given)
{
	struct vnic_relay *relay = side->port->relay;
	struct frame own = *given, *frame = &own;
	unsigned copies = 0;
	enum impair_fate fate = impair_take(side->impair, frame, monotonic_ns(), &copies);

	relay->stats.made[VNIC_MADE_DUPLICATE] += copies;
	if (fate == IMPAIR_LOST)
		drop_at(side, frame, VNIC_DROP_LOST);
	else if (fate == IMPAIR_FULL)
		drop_at(side, frame, VNIC_DROP_HELD);
	if (fate == IMPAIR_HELD || copies)
		timers_set(&relay->timers, &side->timer, impair_due(side->impair));
	if (fate == IMPAIR_PASSED)
		go_on(side, frame);
}

/* Weather strikes packets: a super-frame is cut before, with finished checksums, so that it need not be cut again. */
static void strike_segments(struct port_side *side, const struct frame *frame)
{
	struct vnic_relay *relay = side->port->relay;
	struct frame segment = {.data = relay->spare};
	struct gso gso;
	uint64_t count = 0;

	if (gso_begin(&gso, frame, side->port->tun, 0) < 0) {
		drop_at(side, frame, VNIC_DROP_SEGMENT);
		return;
	}
	for (; gso_next(&gso, &segment); count++)
		strike(side, &segment);
	relay->stats.made[VNIC_MADE_SEGMENT] += count - 1;
}

static void pass(struct port_side *side, struct frame *frame)
{
	if (side->filter && !filter_passes(side->filter, frame->data, frame->len))
		drop_at(side, frame, VNIC_DROP_FILTERED);
	else if (!side->impair)
		go_on(side, frame);
	else if (frame->hdr.gso_type)
		strike_segments(side, frame);
	else
		strike(side, frame);
}

static void release_until(struct port_side *side, int64_t now)
{
	struct frame frame;

	while (side->impair && impair_next(side->impair, now, &frame)) {
		if (side->port->link_down) /* set down meanwhile */
			drop_at(side, &frame, VNIC_DROP_LINK_DOWN);
		else
			go_on(side, &frame);
	}
}

void path_take_due(struct timer *timer, int64_t now)
{
	struct port_side *side = (struct port_side *)((char *)timer - offsetof(struct port_side, timer));

	release_until(side, now);
	if (side->impair && impair_held(side->impair))
		timers_set(&side->port->relay->timers, timer, impair_due(side->impair));
}

void path_let_go(struct port_side *side)
{
	release_until(side, INT64_MAX);
	path_flush(side->port->relay);
}

void path_send(struct vnic_relay *relay, unsigned number, struct frame *frame)
{
	struct port *to = relay->ports[number];

	relay->sent_to = number;
	if (to->link_down)
		drop_out(to, frame, VNIC_DROP_LINK_DOWN);
	else
		pass(&to->sides[VNIC_EGRESS], frame);
}

void path_lose_merged(struct port *port)
{
	struct frame merged;
	uint32_t frames = 0;

	if (port->merge && coalesce_take(&port->merge->coalesce, &merged, &frames))
		port->stats.tx_dropped[VNIC_DROP_DOWN] += frames;
}

void path_flush(struct vnic_relay *relay)
{
	for (unsigned i = 0; i < relay->dirty_count; i++) {
		struct port *port = relay->ports[relay->dirty[i]];

		if (port->open)
			write_merged(relay, port);
		if (port->open && port->ops->flush)
			port->ops->flush(port);
		port->dirty = port->marked = false;
		if (port->gone)
			relay_close_port(relay, port->number);
	}
	relay->dirty_count = 0;
	if (relay->capture)
		relay_flush_capture(relay);
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
		drop_in(source, frame, isolated ? VNIC_DROP_ISOLATED : VNIC_DROP_NO_PORT);
	else
		relay->stats.made[VNIC_MADE_COPY] += sent - 1;
}

static void switch_frame(struct vnic_relay *relay, unsigned from, struct frame *frame)
{
	const uint8_t *dst = frame->data, *src = frame->data + ETH_ALEN;
	struct port *source = relay->ports[from];
	uint32_t now = (uint32_t)(relay->now / NS_PER_S), to;

	if (!mac_is_station(src)) {
		drop_in(source, frame, VNIC_DROP_SOURCE);
		return;
	}
	fdb_learn(&relay->fdb, src, from, now);
	to = mac_is_group(dst) ? FDB_NONE : fdb_find(&relay->fdb, dst, now);
	if (to == FDB_NONE)
		flood(relay, from, frame);
	else if (to == from)
		drop_in(source, frame, VNIC_DROP_SAME_PORT);
	else if (source->isolated && relay->ports[to]->isolated)
		drop_in(source, frame, VNIC_DROP_ISOLATED);
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
	enum vnic_drop why = relay->inspector ? relay_inspect(relay, relay->ports[from], frame) : VNIC_DROP_COUNT;

	if (why != VNIC_DROP_COUNT) {
		drop_in(relay->ports[from], frame, why);
		return;
	}
	relay_capture(relay, relay->ports[from], VNIC_INGRESS, frame, VNIC_DROP_COUNT);
	forward(relay, from, frame);
}

void path_receive(struct vnic_relay *relay, unsigned from, struct frame *frame)
{
	struct port *port = relay->ports[from];

	port->stats.rx_frames++;
	port->stats.rx_bytes += frame->len;
	frame->mergeable = !port->takes;
	if (port->link_down)
		drop_in(port, frame, VNIC_DROP_LINK_DOWN);
	else
		pass(&port->sides[VNIC_INGRESS], frame);
}
