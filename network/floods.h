/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rings for floods: what the router's helper does for the gateway. */
#ifndef NETWORK_FLOODS_H
#define NETWORK_FLOODS_H

#include "build.h"

struct floods {
	int fd; /* of the ring; -1: there is none */
};
#define FLOODS_EMPTY ((struct floods){.fd = -1})

/* The answer is a byte, with the ring's descriptor if the flood has got one; VNIC_FLOOD_GONE has none. */
void floods_hear(struct floods *floods, const struct plan *plan, const struct opener_flood *flood, int answer_to);

#endif
