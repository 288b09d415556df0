/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When frames may go around user space, and the account of those that do.
 *
 * Theory of operation.  Somebody else has a way by which the kernel carries frames from one port to the other
 * (struct vnic_fast_path); here is decided whether it is open: in a patch of two ports, while nothing would be done to
 * a frame but to pass it on.  Whoever changes what is done to frames asks anew, by fast_path_update, after the change:
 * so what weather held back goes before what overtakes it in the kernel.
 *
 * What has gone by it is asked for when somebody wants to know, once a turn, so that all counters that are read in that
 * turn are of one moment and the accounts close.  A frame that came in and has neither gone out nor been dropped is
 * held; its bytes are not known.
 */
#include <errno.h>
#include <stdlib.h>

#include "relay_ports.h"

struct fast_path {
	struct vnic_fast_path way;
	bool usable; /* as far as its owner knows */
	bool open, lost;
	int64_t counted_at; /* the turn */
	struct vnic_fast_count counts[VNIC_FAST_PORTS];
};

static bool somebody_looks_at(const struct port *port)
{
	for (unsigned d = 0; d < VNIC_DIRECTIONS; d++)
		if (port->sides[d].filter || port->sides[d].impair)
			return true;
	return port->link_down;
}

static bool nobody_looks(const struct vnic_relay *relay)
{
	struct port *const *ports = relay->ports;

	return relay->count == VNIC_FAST_PORTS && relay->opened == VNIC_FAST_PORTS && !relay->inspector &&
	       !(ports[0]->isolated && ports[1]->isolated) && !somebody_looks_at(ports[0]) &&
	       !somebody_looks_at(ports[1]);
}

int fast_path_update(struct vnic_relay *relay, struct vnic_error *err)
{
	struct fast_path *fast = relay->fast;
	bool open;
	int r;

	if (!fast || fast->lost)
		return 0;
	open = fast->usable && nobody_looks(relay);
	if (open == fast->open)
		return 0;
	r = fast->way.set(fast->way.ctx, open, err);
	if (r == 0)
		fast->open = open;
	return r;
}

bool fast_path_is_open(const struct vnic_relay *relay)
{
	return relay->fast && relay->fast->open;
}

enum vnic_fast_state fast_path_state(const struct vnic_relay *relay)
{
	if (!relay->fast)
		return VNIC_FAST_NONE;
	return relay->fast->lost ? VNIC_FAST_LOST : relay->fast->open ? VNIC_FAST_OPEN : VNIC_FAST_CLOSED;
}

/* --- the account ---------------------------------------------------------------------- */

static void count(const struct vnic_relay *relay)
{
	struct fast_path *fast = relay->fast;

	if (!fast || fast->lost || fast->counted_at == relay->now)
		return;
	fast->counted_at = relay->now;
	fast->way.count(fast->way.ctx, fast->counts); /* untouched where that cannot be told */
}

void fast_path_add_port(const struct vnic_relay *relay, unsigned number, struct vnic_port_stats *stats)
{
	const struct vnic_fast_count *of;

	if (!relay->fast || number >= VNIC_FAST_PORTS)
		return;
	count(relay);
	of = &relay->fast->counts[number];
	stats->rx_frames += of->rx_frames + of->rx_overruns;
	stats->rx_bytes += of->rx_bytes;
	stats->rx_dropped[VNIC_DROP_OVERRUN] += of->rx_overruns;
	stats->tx_frames += of->tx_frames;
	stats->tx_bytes += of->tx_bytes;
	stats->tx_dropped[VNIC_DROP_FULL] += of->tx_full;
}

/* On their way to that port. */
static uint64_t under_way(const struct fast_path *fast, unsigned number)
{
	const struct vnic_fast_count *to = &fast->counts[number], *from = &fast->counts[!number];
	uint64_t out = to->tx_frames + to->tx_full;

	return from->rx_frames > out ? from->rx_frames - out : 0;
}

uint64_t fast_path_held(const struct vnic_relay *relay)
{
	if (!relay->fast)
		return 0;
	count(relay);
	return under_way(relay->fast, 0) + under_way(relay->fast, 1);
}

/* It is of use no more: its figures become the ports' own, and what was under way then counts as lost. */
static void end(struct vnic_relay *relay)
{
	struct fast_path *fast = relay->fast;

	if (fast->open)
		fast->way.set(fast->way.ctx, false, NULL);
	fast->open = false;
	fast->counted_at = -1;
	count(relay);
	for (unsigned i = 0; i < VNIC_FAST_PORTS && i < relay->count; i++) {
		fast_path_add_port(relay, i, &relay->ports[i]->stats);
		relay->ports[i]->stats.tx_dropped[VNIC_DROP_DOWN] += under_way(fast, i);
	}
	fast->way.free(fast->way.ctx);
	*fast = (struct fast_path){.lost = true};
}

/* --- had and lost --------------------------------------------------------------------- */

int vnic_relay_set_fast_path(struct vnic_relay *relay, const struct vnic_fast_path *way, bool usable,
			     struct vnic_error *err)
{
	int r;

	if (!way) {
		if (relay->fast && !relay->fast->lost)
			end(relay);
		return 0;
	}
	if (relay->fast)
		return vnic_fail(err, VNIC_STEP_USAGE, EBUSY, "the fast path", "the relay has one, or had one");
	if (relay->count != VNIC_FAST_PORTS || relay->lane_count || relay->capture)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "the fast path",
				 "it is between two ports, of a relay without threads or a capture");
	relay->fast = calloc(1, sizeof(*relay->fast));
	if (!relay->fast)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	*relay->fast = (struct fast_path){.way = *way, .usable = usable, .counted_at = -1};
	r = fast_path_update(relay, err);
	if (r < 0) { /* it is still the caller's */
		free(relay->fast);
		relay->fast = NULL;
	}
	return r;
}

int vnic_relay_let_fast_path(struct vnic_relay *relay, bool usable, struct vnic_error *err)
{
	if (!relay->fast)
		return 0;
	relay->fast->usable = usable;
	return fast_path_update(relay, err);
}

void fast_path_free(struct vnic_relay *relay)
{
	vnic_relay_set_fast_path(relay, NULL, false, NULL);
	free(relay->fast);
	relay->fast = NULL;
}
