/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay's capture: its ports are the interfaces. */
#include <errno.h>
#include <stddef.h>

#include "capture.h"
#include "relay_ports.h"

static uint64_t sum(const uint64_t dropped[VNIC_DROP_COUNT])
{
	uint64_t all = 0;

	for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
		all += dropped[why];
	return all;
}

static void note_counts(struct vnic_relay *relay)
{
	for (unsigned i = 0; i < relay->count; i++) {
		const struct vnic_port_stats *stats = &relay->ports[i]->stats;

		capture_note_counts(relay->capture, i, stats->rx_frames,
				    sum(stats->rx_dropped) + sum(stats->tx_dropped));
	}
}

/*
 * Ports that came later than the capture are declared when they are heard of, in their order, for that is their number:
 * so one for which there is no room now has those behind it wait.
 */
static void declare_ports(const struct vnic_relay *relay, unsigned last)
{
	for (unsigned i = capture_interfaces(relay->capture); i <= last; i++)
		if (!capture_add_interface(relay->capture, relay->ports[i]->name, relay->ports[i]->tun))
			return;
}

void relay_capture(struct vnic_relay *relay, const struct port *port, enum vnic_direction direction,
		   const struct frame *frame, enum vnic_drop dropped)
{
	bool drop = dropped != VNIC_DROP_COUNT;

	if (!relay->capture || !capture_wants(relay->capture, direction, drop))
		return;
	declare_ports(relay, port->number);
	capture_frame(relay->capture, port->number, direction, frame, drop ? vnic_drop_text(dropped) : NULL);
}

void relay_flush_capture(struct vnic_relay *relay)
{
	if (capture_is_ripe(relay->capture, relay->now)) {
		note_counts(relay);
		capture_flush(relay->capture, relay->now);
	}
	timers_set(&relay->timers, &relay->capture_timer, capture_due(relay->capture));
}

static void flush_waiting(struct timer *timer, int64_t now)
{
	(void)now; /* the relay's own */
	relay_flush_capture((struct vnic_relay *)((char *)timer - offsetof(struct vnic_relay, capture_timer)));
}

static int end_capture(struct vnic_relay *relay, struct vnic_error *err)
{
	int r;

	if (!relay->capture)
		return 0;
	for (unsigned i = 0; i < relay->count; i++)
		if (relay->ports[i]->open)
			port_count_overruns(relay->ports[i]);
	note_counts(relay);
	timers_set(&relay->timers, &relay->capture_timer, TIMER_NEVER);
	r = capture_finish(relay->capture);
	capture_free(relay->capture);
	relay->capture = NULL;
	return r < 0 ? vnic_fail(err, VNIC_STEP_WRITE, -r, "the capture", NULL) : 0;
}

int vnic_relay_set_capture(struct vnic_relay *relay, const struct vnic_capture *capture, struct vnic_error *err)
{
	int r = end_capture(relay, err);

	if (!capture)
		return r;
	if (relay->lane_count)
		return vnic_fail(err, VNIC_STEP_USAGE, EOPNOTSUPP, NULL, "a relay with threads has no capture");
	if (relay->fast)
		return vnic_fail(err, VNIC_STEP_USAGE, EBUSY, NULL, "a relay with a fast path has no capture");
	relay->capture_timer.run = flush_waiting;
	return capture_new(capture, &relay->capture, err);
}
