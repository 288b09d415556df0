/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay's inside, for its own files and for tests that bring ports of their own. */
#ifndef BRIDGE_RELAY_PORTS_H
#define BRIDGE_RELAY_PORTS_H

#include "fdb.h"
#include "port.h"

enum relay_ref { RELAY_REF_PORT, RELAY_REF_STOP }; /* types of its loop's events */

struct vnic_relay {
	struct vnic_relay_config config;
	int epfd, stop_fd;
	bool stopped;
	bool busy;    /* the last wait was short, so the next may be */
	uint32_t now; /* seconds, CLOCK_MONOTONIC_COARSE, once a turn */
	struct fdb fdb;
	struct port *ports[VNIC_RELAY_PORTS]; /* by number; a closed port keeps its number and its counters */
	unsigned count, opened;               /* ports ever added; still open */
	uint8_t *buffer;                      /* one frame */
};

/* Takes over an allocated port that its kind has filled; returns its number.  On failure it is still the caller's. */
int relay_add_port(struct vnic_relay *relay, const char *name, struct port *port, struct vnic_error *err);
/* Takes a port out of service, for good. */
void relay_close_port(struct vnic_relay *relay, unsigned number);

#endif
