/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  A write to a TAP runs the receiver's whole stack, and cannot be batched by the kernel; what
 * can be saved is the entry and exit of the system call, a third of what a small frame costs.  io_uring takes as many
 * writes as there are with one call.  The device is non-blocking, so each write is carried out, in the queue's order,
 * while they are submitted, and nothing is handed to a worker (tests/root/tap_ring.c looks at the order).
 *
 * Where the kernel takes no more requests (memory is short, or a filter forbids the call) the rest is written one by
 * one, and so is all that comes later: what waits in a ring that failed cannot be taken back, so the ring goes.
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
	bool failed; /* it is closed, and frames are written one by one */
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
	if (!ring->failed)
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

static size_t frame_size(const struct tap_ring *ring, unsigned index)
{
	return ring->sizes[index] - sizeof(struct vnic_vnet_hdr);
}

/* The requests' order is the frames'; the ring was empty before. */
static void queue_all(struct tap_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

		io_uring_prep_write(sqe, ring->fd, ring->bytes[i], (unsigned)ring->sizes[i], 0);
		io_uring_sqe_set_data64(sqe, i);
	}
}

/* How many the kernel has taken. */
static unsigned submit(struct tap_ring *ring)
{
	unsigned taken = 0;
	int r = 0;

	while (taken < ring->count && (r >= 0 || r == -EINTR)) {
		r = io_uring_submit_and_wait(&ring->uring, ring->count - taken);
		if (r == 0)
			break;
		taken += r > 0 ? (unsigned)r : 0;
	}
	return taken;
}

/* How each of them ended.  False: it cannot be known. */
static bool reap(struct tap_ring *ring, unsigned taken, void (*lost)(void *ctx, int error, size_t size), void *ctx)
{
	for (; taken; taken--) {
		struct io_uring_cqe *cqe = NULL;
		int r;

		do
			r = io_uring_wait_cqe(&ring->uring, &cqe);
		while (r == -EINTR);
		if (r < 0)
			return false;
		if (cqe->res < 0)
			lost(ctx, frame_error(-cqe->res), frame_size(ring, (unsigned)cqe->user_data));
		io_uring_cqe_seen(&ring->uring, cqe);
	}
	return true;
}

static unsigned write_at_once(struct tap_ring *ring, void (*lost)(void *ctx, int error, size_t size), void *ctx)
{
	unsigned taken;

	queue_all(ring);
	taken = submit(ring);
	ring->failed = !reap(ring, taken, lost, ctx) || taken < ring->count;
	if (ring->failed)
		io_uring_queue_exit(&ring->uring);
	return taken;
}

/* For a single frame the ring costs more than it saves. */
void tap_ring_flush(struct tap_ring *ring, void (*lost)(void *ctx, int error, size_t size), void *ctx)
{
	unsigned done = ring->failed || ring->count == 1 ? 0 : write_at_once(ring, lost, ctx);

	for (; done < ring->count; done++)
		if (write(ring->fd, ring->bytes[done], ring->sizes[done]) < 0)
			lost(ctx, frame_error(errno), frame_size(ring, done));
	ring->count = 0;
}
