/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What frames of a port pass on their way in and out: set, changed, and taken away. */
#include <errno.h>

#include "filter.h"
#include "impair.h"
#include "relay_ports.h"

void sides_init(struct port *port)
{
	for (unsigned d = 0; d < VNIC_DIRECTIONS; d++)
		port->sides[d] = (struct port_side){.port = port, .direction = d, .timer = {.run = path_take_due}};
}

static void calm(struct port_side *side)
{
	timers_set(&side->port->relay->timers, &side->timer, TIMER_NEVER);
	impair_free(side->impair);
	side->impair = NULL;
}

void sides_clear(struct port *port)
{
	port->stats.rx_dropped[VNIC_DROP_DOWN] += side_held(&port->sides[VNIC_INGRESS]);
	port->stats.tx_dropped[VNIC_DROP_DOWN] += side_held(&port->sides[VNIC_EGRESS]);
	for (unsigned d = 0; d < VNIC_DIRECTIONS; d++) {
		calm(&port->sides[d]);
		filter_free(port->sides[d].filter);
		port->sides[d].filter = NULL;
	}
}

unsigned side_held(const struct port_side *side)
{
	return side->impair ? impair_held(side->impair) : 0;
}

uint64_t side_held_bytes(const struct port_side *side)
{
	return side->impair ? impair_held_bytes(side->impair) : 0;
}

static int find_side(struct vnic_relay *relay, unsigned port, enum vnic_direction direction,
		     struct port_side **ret_side, struct vnic_error *err)
{
	if (relay->inspecting)
		return vnic_fail(err, VNIC_STEP_USAGE, EBUSY, NULL, "not from within an inspector");
	if (port >= relay->count || !relay->ports[port]->open)
		return vnic_fail(err, VNIC_STEP_USAGE, ENOENT, NULL, "there is no port %u", port);
	*ret_side = &relay->ports[port]->sides[direction];
	return 0;
}

/* To take away what is not there is no request. */
static int refuse_threads(const struct vnic_relay *relay, const void *wanted, struct vnic_error *err)
{
	if (!relay->lane_count || !wanted)
		return 0;
	return vnic_fail(err, VNIC_STEP_USAGE, EOPNOTSUPP, NULL, "a relay with threads has no filters and no weather");
}

int vnic_relay_set_filter(struct vnic_relay *relay, unsigned port, enum vnic_direction direction,
			  const char *expression, struct vnic_error *err)
{
	struct filter *filter = NULL;
	struct port_side *side = NULL;
	int r = find_side(relay, port, direction, &side, err);

	if (r == 0)
		r = refuse_threads(relay, expression, err);
	if (r == 0 && expression)
		r = filter_new(expression, side->port->tun, &filter, err);
	if (r < 0)
		return r;
	filter_free(side->filter);
	side->filter = filter;
	return fast_path_update(relay, err);
}

static int change_weather(struct port_side *side, const struct vnic_impairment *impairment, struct vnic_error *err)
{
	struct vnic_relay *relay = side->port->relay;
	int r;

	if (!side->impair)
		return impair_new(impairment, &side->impair, err);
	r = impair_change(side->impair, impairment, relay->now, err);
	if (r == 0)
		timers_set(&relay->timers, &side->timer, impair_due(side->impair));
	return r;
}

int vnic_relay_set_impairment(struct vnic_relay *relay, unsigned port, enum vnic_direction direction,
			      const struct vnic_impairment *impairment, struct vnic_error *err)
{
	struct port_side *side = NULL;
	int r = find_side(relay, port, direction, &side, err);

	if (r == 0)
		r = refuse_threads(relay, impairment, err);
	if (r < 0)
		return r;
	relay->now = monotonic_ns(); /* the last turn may be long ago */
	if (impairment) {
		r = change_weather(side, impairment, err);
		return r < 0 ? r : fast_path_update(relay, err);
	}
	path_let_go(side);
	calm(side);
	return fast_path_update(relay, err);
}
