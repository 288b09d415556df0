/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay's rates and counters on the terminal, as many lines as it has room for. */
#ifndef CLI_RELAY_TOP_H
#define CLI_RELAY_TOP_H

#include <termios.h>

#include "cli.h"

/* A port, when it was counted. */
struct relay_top_port {
	const char *name; /* the relay's */
	bool open;
	struct vnic_port_stats now, before;
};

struct relay_top {
	struct vnic_relay *relay; /* NULL: not begun */
	bool keys;                /* of the terminal, one by one */
	struct termios saved;
	int64_t counted_at; /* CLOCK_MONOTONIC, ns; 0: not yet */
	double seconds;     /* between the last two counts */
	struct relay_top_port *ports;
	unsigned port_count;
	unsigned first; /* line of the list that stands on top */
};

/* Takes the terminal, and its keys into the relay's loop.  relay_top_end gives it back, also after a failure. */
int relay_top_begin(struct relay_top *top, struct vnic_relay *relay, struct vnic_error *err);
void relay_top_end(struct relay_top *top);
/* Rates are since the last time. */
void relay_top_count(struct relay_top *top);

#endif
