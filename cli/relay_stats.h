/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a relay has counted: as text, as JSON, and periodically. */
#ifndef CLI_RELAY_STATS_H
#define CLI_RELAY_STATS_H

#include "cli.h"
#include "relay_top.h"

void relay_stats_print(const struct vnic_relay *relay);
/* NULL: out of memory. */
json_t *relay_stats_json(const struct vnic_relay *relay);

/* The same in one line, printed. */
int relay_stats_print_line(const struct vnic_relay *relay, struct vnic_error *err);

struct relay_ticks {
	struct vnic_relay *relay; /* NULL: never begun */
	int timer;
	struct relay_top top; /* begun: drawn on the terminal; else a line of JSON */
};

/* From now on, by the relay's own loop; without it nothing wakes up.  relay_ticks_end restores the terminal. */
int relay_ticks_begin(struct relay_ticks *ticks, struct vnic_relay *relay, bool top, uint32_t seconds,
		      struct vnic_error *err);
void relay_ticks_end(struct relay_ticks *ticks);

#endif
