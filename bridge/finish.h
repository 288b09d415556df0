/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BRIDGE_FINISH_H
#define BRIDGE_FINISH_H

#include <vnic/view.h>

#include "port.h"

/* True if the partial checksum, when there is one, lies within the frame. */
bool frame_checksum_fits(const struct frame *frame);

/*
 * Finishes a partial checksum in place, for a port or a reader that does not know of them; a frame without one is left
 * as it is.  The result is good for every port.  Not for super-frames, whose every segment has its own:
 * gso.h.  -EPROTO: the virtio header points outside of the frame, or says that it is a super-frame.
 */
int frame_finish_checksum(struct frame *frame);

/*
 * Of a frame that came without a virtio header from where checksums and segmentation may have been left to a device
 * that did not do them: says so in the virtio header, as if it had come with one.
 */
void frame_find_partial(struct frame *frame);

/* Of TCP, UDP and ICMP: where in its header the checksum stands; 0: it has none of this kind. */
uint32_t view_checksum_offset(const struct vnic_view *view);
/* The sum of its pseudo header with `len` for the length, not folded; 0 for ICMP, which has none. */
uint64_t view_pseudo_sum(const struct vnic_view *view, size_t len);

/* Writes the checksum of an SCTP packet: `size` bytes, 12 at least. */
void finish_sctp(uint8_t *start, size_t size);

#endif
