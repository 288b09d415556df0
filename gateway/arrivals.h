/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clients of published UDP ports, each with the flow that it began. */
#ifndef GATEWAY_ARRIVALS_H
#define GATEWAY_ARRIVALS_H

#include "datagrams.h"
#include "table.h"

struct arrival {
	uint32_t slot; /* of its flow */
	int fd;        /* the published port; not its own */
	struct way way;
};

/*
 * The table's keys are of the outside: src is the client, dst the host's address with the published port's index for
 * its port.  Its order of time says who has been silent for longest.
 */
struct arrivals {
	struct table table;
	struct arrival *arrival; /* by the table's slots */
};

int arrivals_open(struct arrivals *ret_arrivals, uint32_t max, const struct hash_secret *secret);
void arrivals_close(struct arrivals *arrivals);

#endif
