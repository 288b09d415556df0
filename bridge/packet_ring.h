/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a link carries, in both directions, seen by a packet socket whose ring is mapped: for captures. */
#ifndef BRIDGE_PACKET_RING_H
#define BRIDGE_PACKET_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/error.h>

#include "capture.h"

#define PACKET_RING_RETIRE_MS 10 /* a block that is not full is given to the reader after this */

struct packet_ring {
	int fd;
	uint8_t *map;
	unsigned block;           /* that is read next */
	uint64_t frames, dropped; /* of the link, so far; those that found no room in the ring are in both */
};
#define PACKET_RING_EMPTY ((struct packet_ring){.fd = -1})

/* A frame in the ring, with its VLAN tag; `sent`: by the link; else it comes in there. */
typedef void packet_ring_each(void *ctx, bool sent, const struct captured *frame);

/*
 * A packet socket on the link of this index, in the caller's network namespace, with a ring that takes `snaplen` bytes
 * of each frame (0: all).  It may be mapped by another process.
 */
int packet_ring_open(int index, uint32_t snaplen, int *ret_fd, struct vnic_error *err);
/* Owns the descriptor on success. */
int packet_ring_map(int fd, struct packet_ring *ret_ring, struct vnic_error *err);
/* Gives `each` the frames of the next block, if there is one, and the block back to the kernel: 1; or 0. */
int packet_ring_read(struct packet_ring *ring, packet_ring_each *each, void *ctx);
/* Brings the counters up to date. */
void packet_ring_count(struct packet_ring *ring);
/* The ring is empty or unmapped before. */
void packet_ring_close(struct packet_ring *ring);

#endif
