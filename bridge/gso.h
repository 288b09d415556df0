/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Super-frames cut into frames, for ports that cannot take them whole. */
#ifndef BRIDGE_GSO_H
#define BRIDGE_GSO_H

#include "port.h"

/* Less than the smallest IPv4 link carries (RFC 791: 68 bytes, 60 of them headers); so 64 KiB are 8192 segments. */
#define GSO_SIZE_MIN 8

/* The VNIC_OFFLOAD_* that a port must take to be given this frame as it is; ~0: no port can. */
unsigned gso_needs(const struct frame *frame);

/* Where the cutting stands; gso.c's own. */
struct gso {
	const struct frame *frame; /* the caller's */
	uint32_t segments, done;
	uint32_t l3, l4, header; /* offsets: IP, TCP or UDP, payload */
	uint32_t check;          /* of the checksum, in its header */
	uint32_t at;             /* first byte of payload that is not in a segment yet */
	uint16_t size;           /* bytes of payload in a segment */
	uint16_t pseudo;         /* the pseudo header's sum without the length */
	bool v4, tcp;
	bool partial; /* the port finishes checksums itself */
};

/*
 * Begins to cut a frame for a port that takes `offloads` (VNIC_OFFLOAD_*, of which only CSUM matters: with it the
 * segments keep partial checksums).  The frame must stay until the last segment.  A frame that is no
 * super-frame makes one segment.  `tun` says that it has no Ethernet header.
 *
 * -EPROTO: headers that are not whole, or that contradict each other or the virtio header; -EPROTONOSUPPORT: IP
 * fragmentation offload, and super-frames inside a tunnel, which only their maker can cut.
 */
int gso_begin(struct gso *gso, const struct frame *frame, bool tun, unsigned offloads);

/*
 * Writes the next segment into segment->data, the caller's, which has room for as many bytes as the frame had; fills
 * len and hdr.  Returns false when there are no more.
 */
bool gso_next(struct gso *gso, struct frame *segment);

#endif
