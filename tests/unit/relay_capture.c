/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A capture whose reader is slow or whose disk is full is still a capture, and what is not in it is told. */
#include "relay_world.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "capture.h"
#include "pcap.h"

#define FRAME_LEN 60000

static struct pcap pcap; /* large */

static void say(struct world *world, unsigned station, size_t len)
{
	static uint8_t frame[FRAME_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
	const struct vnic_vnet_hdr hdr = {0};
	struct vnic_vnet_hdr got_hdr;
	static uint8_t got[VNIC_FRAME_MAX];

	frame[11] = (uint8_t)station;
	say_frame(world, station, &hdr, frame, len);
	settle(world);
	for (unsigned i = 0; i < world->count; i++)
		assert_true(i == station || hear(world, i, &got_hdr, got) == (ssize_t)len);
}

static void move_all(int from, int to)
{
	static char bytes[1 << 16];
	ssize_t n;

	while ((n = read(from, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(to, bytes, (size_t)n), n);
}

static unsigned packets_of(int fd)
{
	struct pcap_packet packet;
	struct vnic_error err;
	uint16_t linktype;
	unsigned count = 0;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	vt_ok(pcap_begin(&pcap, fd, &linktype, &err), &err);
	while (vt_ok(pcap_next(&pcap, &packet, &err), &err) > 0)
		count++;
	return count;
}

/* The buffer is full when ports are heard of for the first time: until they can be declared their frames are missed. */
static void what_a_slow_reader_gets_is_well_formed(void **state)
{
	struct world world = world_of(3, VNIC_OFFLOAD_ALL);
	int ends[2], copy = memfd_create("copy", MFD_CLOEXEC);
	struct vnic_capture capture = {0};
	struct vnic_relay_stats stats;
	struct vnic_error err;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	capture.fd = ends[1];
	vt_ok(vnic_relay_set_capture(world.relay, &capture, &err), &err);
	while (all_of(&world).capture.missed == 0)
		say(&world, 0, FRAME_LEN);
	while (all_of(&world).capture.missed < 5) /* what room there still is, is used up by small ones */
		say(&world, 0, 600);
	say(&world, 2, FRAME_LEN);
	stats = all_of(&world);
	while (all_of(&world).capture.frames == stats.capture.frames) {
		move_all(ends[0], copy);
		say(&world, 2, 100);
	}
	say(&world, 1, 100);
	for (stats = all_of(&world); stats.capture.frames; stats.capture.frames--) /* so that the end need not wait */
		move_all(ends[0], copy);
	stats = all_of(&world);
	assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 1 << 20);
	vt_ok(vnic_relay_set_capture(world.relay, NULL, &err), &err);
	move_all(ends[0], copy);
	assert_int_equal(packets_of(copy), stats.capture.frames);
	assert_int_equal(pcap.count, 3);
	close(ends[0]);
	close(copy);
	world_free(&world);
}

/* Super-frames of one turn are more than the buffer holds. */
static void a_file_takes_all_of_a_turn(void **state)
{
	static uint8_t bytes[FRAME_LEN] = {0xff};
	const struct frame frame = {.data = bytes, .len = sizeof(bytes)};
	int fd = memfd_create("turn", MFD_CLOEXEC);
	const struct vnic_capture config = {.fd = dup(fd)};
	struct capture *capture;
	struct vnic_error err;

	(void)state;
	vt_ok(capture_new(&config, &capture, &err), &err);
	capture_add_interface(capture, "port", false);
	for (int i = 0; i < RELAY_BATCH; i++)
		assert_true(capture_frame(capture, 0, VNIC_INGRESS, &frame, NULL));
	capture_free(capture);
	assert_int_equal(packets_of(fd), RELAY_BATCH);
	close(fd);
}

struct files {
	int fds[16];
	unsigned count;
};

static int next_file(void *ctx, unsigned number, int *ret_fd, struct vnic_error *err)
{
	struct files *files = ctx;

	(void)number;
	if (files->count == sizeof(files->fds) / sizeof(files->fds[0]))
		return vnic_fail(err, VNIC_STEP_OPEN, EMFILE, NULL, NULL);
	files->fds[files->count] = memfd_create("next", MFD_CLOEXEC);
	*ret_fd = fcntl(files->fds[files->count++], F_DUPFD_CLOEXEC, 3);
	return 0;
}

/* What a slow reader of the first has not taken yet, a pipe full and more, does not go into the second. */
static void a_file_follows_when_the_one_before_is_whole(void **state)
{
	struct world world = world_of(2, VNIC_OFFLOAD_ALL);
	int ends[2], copy = memfd_create("copy", MFD_CLOEXEC);
	struct files files = {.count = 0};
	struct vnic_capture capture = {.rotate_bytes = 1 << 17, .next = next_file, .ctx = &files};
	uint64_t packets;
	struct vnic_error err;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	capture.fd = ends[1];
	vt_ok(vnic_relay_set_capture(world.relay, &capture, &err), &err);
	for (int i = 0; i < 15; i++)
		say(&world, 0, FRAME_LEN);
	assert_int_equal(files.count, 0);
	assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 1 << 20);
	while (files.count == 0)
		say(&world, 0, 100);
	packets = all_of(&world).capture.frames;
	vt_ok(vnic_relay_set_capture(world.relay, NULL, &err), &err);
	move_all(ends[0], copy);
	for (packets -= packets_of(copy); files.count; files.count--) {
		packets -= packets_of(files.fds[files.count - 1]);
		close(files.fds[files.count - 1]);
	}
	assert_int_equal(packets, 0);
	close(ends[0]);
	close(copy);
	world_free(&world);
}

static void a_file_that_has_its_size_is_followed_at_once(void **state)
{
	struct world world = world_of(2, VNIC_OFFLOAD_ALL);
	struct files files = {.count = 0};
	const struct vnic_capture capture = {
		.fd = memfd_create("first", MFD_CLOEXEC), .rotate_bytes = 1000, .next = next_file, .ctx = &files};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_relay_set_capture(world.relay, &capture, &err), &err);
	for (int i = 0; i < 10; i++)
		say(&world, 0, 100);
	assert_int_equal(files.count, 1);
	vt_ok(vnic_relay_set_capture(world.relay, NULL, &err), &err);
	close(files.fds[0]);
	world_free(&world);
}

/* However small: what is written at a file's begin does not fill it. */
static void a_file_follows_only_one_that_has_frames(void **state)
{
	struct world world = world_of(2, VNIC_OFFLOAD_ALL);
	struct files files = {.count = 0};
	const struct vnic_capture capture = {
		.fd = memfd_create("first", MFD_CLOEXEC), .rotate_bytes = 1, .next = next_file, .ctx = &files};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_relay_set_capture(world.relay, &capture, &err), &err);
	say(&world, 0, 100);
	say(&world, 0, 100);
	assert_int_equal(files.count, 2);
	vt_ok(vnic_relay_set_link(world.relay, 0, false), NULL); /* from now on nothing is captured */
	for (int i = 0; i < 5; i++) {
		say_frame(&world, 0, &(struct vnic_vnet_hdr){0}, (uint8_t[60]){0}, 60);
		settle(&world);
	}
	assert_int_equal(files.count, 2);
	vt_ok(vnic_relay_set_capture(world.relay, NULL, &err), &err);
	for (unsigned i = 0; i < files.count; i++)
		close(files.fds[i]);
	world_free(&world);
}

static void a_capture_that_cannot_be_written_says_so_at_its_end(void **state)
{
	struct world world = world_of(2, VNIC_OFFLOAD_ALL);
	const struct vnic_capture capture = {.fd = memfd_create("full", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
	struct vnic_error err;

	(void)state;
	assert_int_equal(fcntl(capture.fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	vt_ok(vnic_relay_set_capture(world.relay, &capture, &err), &err);
	say(&world, 0, 100);
	vt_fails(vnic_relay_set_capture(world.relay, NULL, &err), &err, VNIC_STEP_WRITE, EPERM);
	vt_ok(vnic_relay_set_capture(world.relay, NULL, &err), &err);
	world_free(&world);
}

static int slow_ends[2]; /* read by a signal handler */

static void read_some(int signal)
{
	const int before = errno;
	char bytes[4096];

	(void)signal;
	while (read(slow_ends[0], bytes, sizeof(bytes)) > 0)
		;
	errno = before;
}

/* At its end a capture waits for its reader; signals that come meanwhile are no reason to give up. */
static void a_signal_does_not_cut_off_the_end(void **state)
{
	const struct itimerval often = {.it_interval.tv_usec = 5000, .it_value.tv_usec = 5000}, never = {0};
	const struct sigaction reading = {.sa_handler = read_some, .sa_flags = SA_RESTART};
	struct world world = world_of(2, VNIC_OFFLOAD_ALL);
	struct vnic_capture capture = {0};
	struct vnic_error err;

	(void)state;
	assert_int_equal(pipe2(slow_ends, O_CLOEXEC | O_NONBLOCK), 0);
	capture.fd = slow_ends[1];
	vt_ok(vnic_relay_set_capture(world.relay, &capture, &err), &err);
	for (int i = 0; i < 10; i++)
		say(&world, 0, FRAME_LEN);
	assert_int_equal(sigaction(SIGALRM, &reading, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	vt_ok(vnic_relay_set_capture(world.relay, NULL, &err), &err);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	close(slow_ends[0]);
	world_free(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(what_a_slow_reader_gets_is_well_formed),
		vt_test(a_file_takes_all_of_a_turn),
		vt_test(a_file_follows_when_the_one_before_is_whole),
		vt_test(a_file_that_has_its_size_is_followed_at_once),
		vt_test(a_file_follows_only_one_that_has_frames),
		vt_test(a_capture_that_cannot_be_written_says_so_at_its_end),
		vt_test(a_signal_does_not_cut_off_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
