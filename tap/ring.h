/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small frames for one queue of a device, written many at a time. */
#ifndef TAP_RING_H
#define TAP_RING_H

#include <stdbool.h>

#include <vnic/tap.h>

#define TAP_RING_FRAMES 64
#define TAP_RING_LEAST 20   /* what every kind of device takes */
#define TAP_RING_BYTES 2048 /* of one frame at most, with its virtio header; larger ones are written alone */

struct tap_ring;

/* -EPERM, -ENOSYS, ...: io_uring is not to be had here; then frames are written one by one. */
int tap_ring_open(int fd, struct tap_ring **ret_ring);
/* NULL is allowed. */
void tap_ring_close(struct tap_ring *ring);

/* Is a frame of this size for tap_ring_add? */
static inline bool tap_ring_fits(size_t size)
{
	return size >= TAP_RING_LEAST && sizeof(struct vnic_vnet_hdr) + size <= TAP_RING_BYTES;
}

/* Copies a frame that fits; false: as many as there is room for wait already. */
bool tap_ring_add(struct tap_ring *ring, const struct vnic_vnet_hdr *hdr, const void *frame, size_t size);
unsigned tap_ring_count(const struct tap_ring *ring);
/*
 * Writes all that was added, in its order, and forgets it.  `lost` is called for each frame that was not written, with
 * what vnic_frame_write would have returned.
 */
void tap_ring_flush(struct tap_ring *ring, void (*lost)(void *ctx, int error, size_t size), void *ctx);

#endif
