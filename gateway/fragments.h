/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets in pieces on the slow path: echo requests that come so, and IPv6 answers that must go so. */
#ifndef GATEWAY_FRAGMENTS_H
#define GATEWAY_FRAGMENTS_H

#include "packet.h"

struct fragments;

/* *dropped is counted up for each fragment that leads to no packet.  0, or -ENOMEM. */
int fragments_open(uint64_t *dropped, struct fragments **ret_fragments);
void fragments_close(struct fragments *fragments);

/*
 * Takes a packet of which `fragment` is true.  True: it was the last piece, and *ret_packet is the packet, until
 * the next call.  `now` is CLOCK_MONOTONIC in ns.
 */
bool fragments_join(struct fragments *fragments, const struct packet *fragment, int64_t now, struct packet *ret_packet);

/*
 * Of a frame that holds a whole IPv6 packet without extension headers, the fragment that begins at *offset of
 * its payload: a frame of at most IPV6_MTU_MIN bytes without the link header.  Moves *offset on; returns the frame's
 * size, or 0 at the end.  `buf` has FRAGMENT_FRAME bytes.
 */
size_t fragments_cut(const uint8_t *frame, size_t size, uint32_t id, size_t *offset, uint8_t *buf);

#define IPV6_MTU_MIN 1280 /* RFC 8200 5: every link carries it */
#define FRAGMENT_FRAME (14 + IPV6_MTU_MIN)

#endif
