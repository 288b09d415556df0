/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The caller's own look at frames.
 *
 * Theory of operation.  The inspector gets the frame where it was read to, in the room of its turn, and may use that
 * room to its end; nothing is copied.  Only what weather held back comes in a place that is just as large as it: that
 * is moved to a room first, which also keeps it alive when an answer brings its port down.  An injected frame is plain
 * and has a room of its own, so answering never touches the frame that is being looked at.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

#include "relay_ports.h"
#include "renew.h"

int vnic_relay_set_inspector(struct vnic_relay *relay, vnic_inspector *inspector, void *ctx, struct vnic_error *err)
{
	if (relay->inspecting)
		return vnic_fail(err, VNIC_STEP_USAGE, EBUSY, NULL, "not from within an inspector");
	if (relay->lane_count)
		return vnic_fail(err, VNIC_STEP_USAGE, EOPNOTSUPP, NULL, "a relay with threads has no inspector");
	relay->inspector = inspector;
	relay->inspector_ctx = ctx;
	return fast_path_update(relay, err);
}

/* From the frame's first byte to its room's end. */
static size_t make_room_for(struct vnic_relay *relay, struct frame *frame)
{
	size_t room = relay_room_behind(relay, frame->data);

	if (room)
		return room;
	memcpy(relay->inspected, frame->data, frame->len);
	frame->data = relay->inspected;
	return VNIC_FRAME_MAX;
}

enum vnic_drop relay_inspect(struct vnic_relay *relay, const struct port *port, struct frame *frame)
{
	struct vnic_inspected inspected = {.port = port->number};
	struct vnic_view view;
	enum vnic_verdict verdict;
	bool tun = port->tun;

	inspected.room = make_room_for(relay, frame);
	if (vnic_view_parse(&frame->hdr, frame->data, frame->len, tun, &view) < 0)
		return VNIC_DROP_SHORT;
	inspected.view = &view;
	inspected.data = frame->data;
	inspected.len = frame->len;
	relay->inspecting = true;
	verdict = relay->inspector(relay->inspector_ctx, &inspected);
	relay->inspecting = false;
	if (verdict == VNIC_VERDICT_DROP || inspected.len == 0)
		return VNIC_DROP_INSPECTED;
	if (inspected.len > inspected.room)
		return VNIC_DROP_OVERSIZE;
	if (!inspected.changed)
		return VNIC_DROP_COUNT;
	frame->len = inspected.len;
	switch (frame_renew(frame, tun)) {
	case 0:
		return VNIC_DROP_COUNT;
	case -EINVAL:
		return VNIC_DROP_SHORT;
	default:
		return VNIC_DROP_SEGMENT;
	}
}

static int check_injected(const struct vnic_relay *relay, unsigned port, size_t len, struct vnic_error *err)
{
	if (port >= relay->count || !relay->ports[port]->open)
		return vnic_fail(err, VNIC_STEP_USAGE, ENOENT, NULL, "there is no port %u", port);
	if (len < (relay->ports[port]->tun ? 1 : ETH_HLEN))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, NULL, "a frame of %zu bytes has no link header", len);
	if (len > VNIC_FRAME_MAX)
		return vnic_fail(err, VNIC_STEP_USAGE, EMSGSIZE, NULL, "a frame has %d bytes at most", VNIC_FRAME_MAX);
	return 0;
}

int vnic_relay_inject(struct vnic_relay *relay, unsigned port, const void *data, size_t len, struct vnic_error *err)
{
	struct frame frame = {.data = relay->injected, .len = len};
	int r = check_injected(relay, port, len, err);

	if (r < 0)
		return r;
	memcpy(frame.data, data, len);
	relay->stats.made[VNIC_MADE_INJECTED]++;
	if (relay->inspecting) { /* its turn will flush */
		path_send(relay, port, &frame);
		return 0;
	}
	relay->now = monotonic_ns();
	path_send(relay, port, &frame);
	path_flush(relay);
	return 0;
}
