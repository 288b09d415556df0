/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many small frames written with one call: all of them, in their order; and what is lost is told. */
#include "lan.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ring.h"

static struct vnic_tap open_tap(void)
{
	const struct vnic_tap_config config = {.name = "lan0", .vnet_hdr = true};
	struct vnic_error err;
	struct vnic_tap tap;

	vt_ok(vnic_tap_open(&config, &tap, &err), &err);
	return tap;
}

static struct tap_ring *ring_for(const struct vnic_tap *tap)
{
	struct tap_ring *ring = NULL;
	int r = tap_ring_open(tap->fds[0], &ring);

	if (r == -EPERM || r == -ENOSYS)
		skip(); /* io_uring is forbidden here */
	assert_int_equal(r, 0);
	return ring;
}

static void add_numbered(struct tap_ring *ring, unsigned count)
{
	const struct vnic_vnet_hdr hdr = {0};
	uint8_t frame[64];

	for (unsigned i = 0; i < count; i++) {
		lan_frame(frame, sizeof(frame), 1, 2);
		frame[LAN_HEADER] = (uint8_t)i;
		assert_true(tap_ring_add(ring, &hdr, frame, sizeof(frame)));
	}
}

struct losses {
	unsigned count;
	int error;
	size_t bytes;
};

static void count_loss(void *ctx, int error, size_t size)
{
	struct losses *losses = ctx;

	losses->count++;
	losses->error = error;
	losses->bytes += size;
}

static void all_frames_come_in_their_order(void **state)
{
	static const unsigned counts[] = {1, 2, TAP_RING_FRAMES};
	struct vnic_tap tap = open_tap();
	struct tap_ring *ring = ring_for(&tap);
	struct losses losses = {0};
	uint8_t got[100];
	int kernel;

	(void)state;
	lan_up("lan0");
	kernel = lan_socket("lan0");
	for (int round = 0; round < 300; round++) {
		unsigned count = counts[round % 3];

		add_numbered(ring, count);
		assert_int_equal(tap_ring_count(ring), count);
		tap_ring_flush(ring, count_loss, &losses);
		assert_int_equal(tap_ring_count(ring), 0);
		for (unsigned i = 0; i < count; i++) {
			assert_int_equal(lan_take(kernel, got, sizeof(got)), 64);
			assert_int_equal(got[LAN_HEADER], i);
		}
	}
	assert_int_equal(losses.count, 0);
	tap_ring_close(ring);
	vnic_tap_close(&tap);
	close(kernel);
}

static void a_device_that_is_down_loses_them_and_tells(void **state)
{
	static const unsigned counts[] = {1, TAP_RING_FRAMES};
	struct vnic_tap tap = open_tap();
	struct tap_ring *ring = ring_for(&tap);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct losses losses = {0};

		add_numbered(ring, counts[i]);
		tap_ring_flush(ring, count_loss, &losses);
		assert_int_equal(losses.count, counts[i]);
		assert_int_equal(losses.error, -ENETDOWN);
		assert_int_equal(losses.bytes, counts[i] * 64);
	}
	tap_ring_close(ring);
	vnic_tap_close(&tap);
}

static void no_more_are_gathered_than_there_is_room_for(void **state)
{
	struct vnic_tap tap = open_tap();
	struct tap_ring *ring = ring_for(&tap);
	const struct vnic_vnet_hdr hdr = {0};
	uint8_t frame[64] = {0};

	(void)state;
	add_numbered(ring, TAP_RING_FRAMES);
	assert_false(tap_ring_add(ring, &hdr, frame, sizeof(frame)));
	assert_false(tap_ring_fits(TAP_RING_BYTES));
	assert_true(tap_ring_fits(1514));
	tap_ring_close(ring);
	vnic_tap_close(&tap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(all_frames_come_in_their_order),
		vt_netns_test(a_device_that_is_down_loses_them_and_tells),
		vt_netns_test(no_more_are_gathered_than_there_is_room_for),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
