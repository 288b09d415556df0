/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The flow that floods, and its ring: see flood.c. */
#ifndef GATEWAY_FLOOD_H
#define GATEWAY_FLOOD_H

#include "flood_ring.h"

#define FLOOD_TURNS 16 /* batches from the ring before others have their turn */

struct udp;

enum flood_state { FLOOD_NONE, FLOOD_ASKED, FLOOD_ON, FLOOD_LEAVING, FLOOD_LEFT };

struct flood {
	enum flood_state state;
	uint32_t slot; /* of its flow; 0: which has ended */
	struct flood_ring ring;
	unsigned seen;   /* datagrams since we looked last */
	int64_t look_at; /* whether it has become quiet */
	bool useful;     /* when we looked first it had not */
	int64_t rest_until;
};
#define FLOOD_EMPTY ((struct flood){.ring = FLOOD_RING_EMPTY})

/* More than one full batch of this flow has waited. */
void flood_begins(struct udp *udp, uint32_t slot);
/* Is there something in the ring that goes before what its socket has? */
bool flood_holds(const struct udp *udp, uint32_t slot);
/* Is there something in the ring of this flow? */
bool flood_has_waiting(const struct udp *udp, uint32_t slot);
void flood_flow_ends(struct udp *udp, uint32_t slot);
void flood_expire(struct udp *udp);
uint64_t flood_overrun(struct udp *udp);

#endif
