/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  A write to a TAP runs the receiver's whole stack, and cannot be batched by the kernel; what
 * can be saved is the entry and exit of the system call, a third of what a small frame costs.  io_uring takes as many
 * writes as there are with one call.  The device is non-blocking, so each write is carried out, in the queue's order,
 * while they are submitted, and nothing is handed to a worker (tests/root/tap_ring.c looks at the order).
 *
 * Rejected: linked requests, for a link that fails cancels all behind it, and a full queue would lose the rest; and
 * reading by io_uring, which saves less and needs buffers before it is known what comes.
 */
#include "ring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"

struct tap_ring {
	struct io_uring uring;
	int fd;
	unsigned count;
	size_t sizes[TAP_RING_FRAMES]; /* with the virtio header */
	uint8_t bytes[TAP_RING_FRAMES][TAP_RING_BYTES];
};

int tap_ring_open(int fd, struct tap_ring **ret_ring)
{
	struct tap_ring *ring = calloc(1, sizeof(*ring));
	int r;

	if (!ring)
		return -ENOMEM;
	r = io_uring_queue_init(TAP_RING_FRAMES, &ring->uring, 0);
	if (r < 0) {
		free(ring);
		return r;
	}
	ring->fd = fd;
	*ret_ring = ring;
	return 0;
}

void tap_ring_close(struct tap_ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->uring);
	free(ring);
}

bool tap_ring_add(struct tap_ring *ring, const struct vnic_vnet_hdr *hdr, const void *frame, size_t size)
{
	uint8_t *bytes;

	if (ring->count == TAP_RING_FRAMES)
		return false;
	bytes = ring->bytes[ring->count];
	memcpy(bytes, hdr, sizeof(*hdr));
	memcpy(bytes + sizeof(*hdr), frame, size);
	ring->sizes[ring->count++] = sizeof(*hdr) + size;
	return true;
}

unsigned tap_ring_count(const struct tap_ring *ring)
{
	return ring->count;
}

static void queue_all(struct tap_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

		io_uring_prep_write(sqe, ring->fd, ring->bytes[i], (unsigned)ring->sizes[i], 0);
		io_uring_sqe_set_data64(sqe, i);
	}
}

void tap_ring_flush(struct tap_ring *ring, void (*lost)(void *ctx, int error, size_t size), void *ctx)
{
	unsigned count = ring->count, done = 0;
	int r;

	if (count == 1) { /* the ring costs more than it saves */
		ring->count = 0;
		if (write(ring->fd, ring->bytes[0], ring->sizes[0]) < 0)
			lost(ctx, frame_error(errno), ring->sizes[0] - sizeof(struct vnic_vnet_hdr));
		return;
	}
	queue_all(ring);
	ring->count = 0;
	r = io_uring_submit_and_wait(&ring->uring, count);
	while (done < count) {
		struct io_uring_cqe *cqe = NULL;

		if (r >= 0 || r == -EINTR || r == -EAGAIN)
			r = io_uring_wait_cqe(&ring->uring, &cqe);
		if (r < 0 && r != -EINTR && r != -EAGAIN)
			break;
		if (!cqe)
			continue;
		if (cqe->res < 0)
			lost(ctx, frame_error(-cqe->res), ring->sizes[cqe->user_data] - sizeof(struct vnic_vnet_hdr));
		io_uring_cqe_seen(&ring->uring, cqe);
		done++;
	}
	for (; done < count; done++) /* the ring itself failed */
		lost(ctx, r, 0);
}
