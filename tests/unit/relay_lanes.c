/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay with threads: each has its own queues, also the next time, and of what could not be added nothing is left. */
#include "relay_told.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vnic/relay.h>

#define LANES 3
#define DEVICES 2
#define MESSAGE_LEN (sizeof(struct vnic_vnet_hdr) + 60)

/* What stand in for devices: a queue is a socket, and a message a virtio header and a frame. */
struct world {
	struct vnic_relay *relay;
	int far[DEVICES][LANES];
	pthread_t thread;
};

static int a_queue(int *ret_far)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	*ret_far = pair[1];
	return pair[0];
}

static struct vnic_tap a_device(int far[LANES])
{
	struct vnic_tap tap = {.vnet_hdr = true, .queues = LANES, .fds = malloc(LANES * sizeof(int))};

	assert_non_null(tap.fds);
	for (int i = 0; i < LANES; i++)
		tap.fds[i] = a_queue(&far[i]);
	return tap;
}

static void add_devices(struct world *world)
{
	static const char *const names[DEVICES] = {"a", "b"};
	struct vnic_error err;

	for (int i = 0; i < DEVICES; i++) {
		struct vnic_tap tap = a_device(world->far[i]);

		assert_int_equal(vt_ok(vnic_relay_add_tap(world->relay, names[i], &tap, &err), &err), i);
	}
}

static struct world world_new(void)
{
	struct world world = {0};
	struct vnic_error err;

	vt_ok(vnic_relay_new(&(struct vnic_relay_config){.threads = LANES}, &world.relay, &err), &err);
	return world;
}

static void world_free(struct world *world)
{
	vnic_relay_free(world->relay);
	for (int i = 0; i < DEVICES; i++)
		for (int lane = 0; lane < LANES; lane++)
			close(world->far[i][lane]);
}

static void *run(void *ctx)
{
	const struct world *world = ctx;
	struct vnic_error err;

	vnic_relay_run(world->relay, &err);
	return NULL;
}

static void pass_a_frame_on_each_queue(struct world *world)
{
	static const uint8_t message[MESSAGE_LEN] = {[sizeof(struct vnic_vnet_hdr)] = 2};
	uint8_t got[MESSAGE_LEN + 1];

	assert_int_equal(pthread_create(&world->thread, NULL, run, world), 0);
	for (int lane = 0; lane < LANES; lane++) {
		assert_int_equal(write(world->far[0][lane], message, sizeof(message)), sizeof(message));
		assert_true(vt_readable(world->far[1][lane]));
		assert_int_equal(read(world->far[1][lane], got, sizeof(got)), sizeof(message));
		assert_memory_equal(got, message, sizeof(message));
	}
	vnic_relay_stop(world->relay);
	assert_int_equal(pthread_join(world->thread, NULL), 0);
}

static void all_threads_run_again_after_a_stop(void **state)
{
	struct world world = world_new();

	(void)state;
	add_devices(&world);
	for (unsigned times = 1; times <= 3; times++) {
		pass_a_frame_on_each_queue(&world);
		assert_int_equal(stats_of(world.relay, 0).rx_frames, times * LANES);
		assert_int_equal(stats_of(world.relay, 1).tx_frames, times * LANES);
	}
	world_free(&world);
}

/* A file cannot be waited for: so the last queue is refused when the others have been taken. */
static void a_device_that_cannot_be_added_leaves_nothing_in_any_thread(void **state)
{
	struct world world = world_new();
	struct vnic_error err;
	int far[LANES];
	struct vnic_tap tap = a_device(far);

	(void)state;
	close(tap.fds[LANES - 1]);
	tap.fds[LANES - 1] = memfd_create("file", MFD_CLOEXEC);
	vt_fails(vnic_relay_add_tap(world.relay, "x", &tap, &err), &err, VNIC_STEP_EPOLL, EPERM);
	vnic_tap_close(&tap);
	for (int lane = 0; lane < LANES; lane++)
		close(far[lane]);
	add_devices(&world);
	pass_a_frame_on_each_queue(&world);
	assert_int_equal(stats_of(world.relay, 0).rx_frames, LANES);
	assert_int_equal(stats_of(world.relay, 0).tx_frames, 0);
	assert_int_equal(stats_of(world.relay, 1).tx_frames, LANES);
	world_free(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(all_threads_run_again_after_a_stop),
		vt_test(a_device_that_cannot_be_added_leaves_nothing_in_any_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
