/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ring of datagrams that the kernel writes and the gateway reads without system calls: PACKET_RX_RING, TPACKET_V3.
 *
 * The kernel fills a block after the other, and tells of one when it is full, or a millisecond old.  So it wakes for
 * many datagrams at once, which is what a flood lacks on a socket of its own.
 */
#ifndef GATEWAY_FLOOD_RING_H
#define GATEWAY_FLOOD_RING_H

#include "datagrams.h"

#include <vnic/error.h>

struct flood_ring {
	int fd;          /* -1: there is none */
	uint8_t *blocks; /* mapped */
	unsigned block;  /* that is being read */
	unsigned left;   /* of its frames; what was taken last may still be in use */
	const uint8_t *next;
	uint64_t overrun; /* frames that found no room, as far as it was asked for */
};
#define FLOOD_RING_EMPTY ((struct flood_ring){.fd = -1})

/*
 * In the network namespace of the link, with CAP_NET_RAW there: a socket that gets what this link receives of this
 * protocol (ETH_P_IP, ETH_P_IPV6) with this mark.  -ENOPROTOOPT: the kernel's rings cannot tell of super-datagrams.
 */
int flood_ring_make(int link, uint16_t protocol, uint32_t mark, int *ret_fd, struct vnic_error *err);

/* Takes the socket over, also when it fails. */
int flood_ring_open(int fd, struct flood_ring *ret_ring);
void flood_ring_close(struct flood_ring *ring);
/*
 * Puts what waits in it, of this flow, into the batch, where it stands until the next call.  How many; -EAGAIN: nothing
 * is ready.  *ret_bad counts those that were none: of another flow, or damaged.
 */
int flood_ring_receive(struct flood_ring *ring, const struct flow_key *key, struct datagrams *batch, uint64_t *ret_bad);
/* Has the kernel written nothing that was not read? */
bool flood_ring_is_empty(const struct flood_ring *ring);
uint64_t flood_ring_overrun(struct flood_ring *ring);

#endif
