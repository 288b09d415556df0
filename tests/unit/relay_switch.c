/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the relay sends frames, and how it counts them; its ports are socket pairs. */
#include "vt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay_ports.h"
#include "relay_told.h"

#define FRAME_LEN 20
#define PORTS 4

/* --- ports that are socket pairs ---------------------------------------------------- */

static unsigned reads;

static int pair_read(struct port *port, unsigned queue, struct frame *frames, unsigned max)
{
	ssize_t n = recv(port->fd, frames->data, VNIC_FRAME_MAX, MSG_DONTWAIT);

	reads++;
	(void)queue;
	(void)max;
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? -EAGAIN : -EBADFD;
	frames->len = (size_t)n;
	if (n >= 14)
		return 1;
	port_lose(port, VNIC_DROP_SHORT);
	return 0;
}

static int pair_write(struct port *port, const struct frame *frame)
{
	if (send(port->fd, frame->data, frame->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno == EPIPE ? -EBADFD : -errno;
	return 0;
}

static void pair_close(struct port *port)
{
	close(port->fd);
}

static const struct port_ops pair_ops = {.kind = "pair", .read = pair_read, .write = pair_write, .close = pair_close};

struct lan {
	struct vnic_relay *relay;
	int station[PORTS]; /* the far end of each port */
	unsigned count;
};

static struct lan lan_of(unsigned count, const struct vnic_relay_config *config)
{
	const struct vnic_relay_config defaults = {0};
	struct lan lan = {.count = count};
	struct vnic_error err;

	vt_ok(vnic_relay_new(config ? config : &defaults, &lan.relay, &err), &err);
	for (unsigned i = 0; i < count; i++) {
		struct port *port = calloc(1, sizeof(*port));
		int pair[2];

		assert_non_null(port);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		*port = (struct port){.ops = &pair_ops, .fd = pair[0], .fds = &port->fd, .queues = 1};
		lan.station[i] = pair[1];
		assert_int_equal(relay_add_port(lan.relay, "pair", port, &err), i);
	}
	return lan;
}

static void lan_free(struct lan *lan)
{
	vnic_relay_free(lan->relay);
	for (unsigned i = 0; i < lan->count; i++)
		if (lan->station[i] >= 0)
			close(lan->station[i]);
}

/* Everything that is there goes through. */
static void settle(struct lan *lan)
{
	struct vnic_error err;

	while (vt_ok(vnic_relay_dispatch(lan->relay, 0, &err), &err) > 0)
		;
}

enum { NOBODY = 0, ALICE = 1, BOB = 2, CAROL = 3, EVERYBODY = 0xff };

static void put_mac(uint8_t *mac, int who)
{
	const uint8_t plain[6] = {who == NOBODY ? 0 : 2, 0, 0, 0, 0, (uint8_t)who};

	memcpy(mac, plain, 6);
	if (who == EVERYBODY)
		memset(mac, 0xff, 6);
}

static void say(struct lan *lan, unsigned station, int from, int to)
{
	uint8_t frame[FRAME_LEN] = {0};

	put_mac(frame, to);
	put_mac(frame + 6, from);
	assert_int_equal(send(lan->station[station], frame, sizeof(frame), 0), sizeof(frame));
	settle(lan);
}

/* How many frames wait at a station; they are taken away. */
static int heard(struct lan *lan, unsigned station)
{
	uint8_t frame[64];
	int count = 0;

	while (recv(lan->station[station], frame, sizeof(frame), MSG_DONTWAIT) > 0)
		count++;
	return count;
}

#define assert_heard(lan, a, b, c)                    \
	do {                                          \
		assert_int_equal(heard((lan), 0), a); \
		assert_int_equal(heard((lan), 1), b); \
		assert_int_equal(heard((lan), 2), c); \
	} while (0)

static struct vnic_relay_stats table_of(const struct lan *lan)
{
	struct vnic_relay_stats stats;

	vnic_relay_get_stats(lan->relay, &stats);
	return stats;
}

/* --- where frames go ---------------------------------------------------------------- */

static void two_ports_are_a_patch_that_passes_anything(void **state)
{
	struct lan lan = lan_of(2, NULL);

	(void)state;
	say(&lan, 0, ALICE, BOB);
	say(&lan, 0, EVERYBODY, ALICE);
	say(&lan, 0, NOBODY, NOBODY);
	assert_int_equal(heard(&lan, 1), 3);
	assert_int_equal(heard(&lan, 0), 0);
	assert_int_equal(table_of(&lan).fdb_entries, 0);
	lan_free(&lan);
}

static void frames_pass_byte_by_byte(void **state)
{
	struct lan lan = lan_of(2, NULL);
	uint8_t sent[4000], got[sizeof(sent) + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7);
	for (size_t len = 14; len <= sizeof(sent); len += 997) {
		assert_int_equal(send(lan.station[1], sent, len, 0), len);
		settle(&lan);
		assert_int_equal(recv(lan.station[0], got, sizeof(got), MSG_DONTWAIT), len);
		assert_memory_equal(got, sent, len);
	}
	lan_free(&lan);
}

static void an_unknown_mac_is_flooded_and_a_learnt_one_is_not(void **state)
{
	struct lan lan = lan_of(3, NULL);

	(void)state;
	say(&lan, 0, ALICE, BOB);
	assert_heard(&lan, 0, 1, 1);
	say(&lan, 1, BOB, ALICE);
	assert_heard(&lan, 1, 0, 0);
	say(&lan, 0, ALICE, BOB);
	assert_heard(&lan, 0, 1, 0);
	assert_int_equal(table_of(&lan).fdb_entries, 2);
	lan_free(&lan);
}

static void a_broadcast_reaches_all_but_its_sender(void **state)
{
	struct lan lan = lan_of(3, NULL);

	(void)state;
	say(&lan, 1, BOB, EVERYBODY);
	assert_heard(&lan, 1, 0, 1);
	lan_free(&lan);
}

static void a_station_that_moves_is_found_at_its_new_port(void **state)
{
	struct lan lan = lan_of(3, NULL);

	(void)state;
	say(&lan, 0, ALICE, EVERYBODY);
	say(&lan, 2, ALICE, EVERYBODY);
	assert_heard(&lan, 1, 2, 1);
	say(&lan, 1, BOB, ALICE);
	assert_heard(&lan, 0, 0, 1);
	assert_int_equal(table_of(&lan).fdb_moves, 1);
	lan_free(&lan);
}

static void a_station_too_old_is_looked_for_everywhere(void **state)
{
	struct lan lan = lan_of(3, NULL);

	(void)state;
	say(&lan, 0, ALICE, EVERYBODY);
	assert_heard(&lan, 0, 1, 1);
	lan.relay->fdb.age = 0;
	say(&lan, 1, BOB, ALICE);
	assert_heard(&lan, 1, 0, 1);
	lan_free(&lan);
}

static void a_full_table_floods_and_counts(void **state)
{
	struct lan lan = lan_of(3, &(struct vnic_relay_config){.fdb_max = 1});

	(void)state;
	say(&lan, 0, ALICE, EVERYBODY);
	say(&lan, 1, BOB, EVERYBODY);
	assert_heard(&lan, 1, 1, 2);
	say(&lan, 2, CAROL, BOB);
	assert_heard(&lan, 1, 1, 0);
	say(&lan, 2, CAROL, ALICE);
	assert_heard(&lan, 1, 0, 0);
	assert_int_equal(table_of(&lan).fdb_entries, 1);
	assert_int_equal(table_of(&lan).fdb_full, 3);
	lan_free(&lan);
}

static void a_hub_learns_nothing(void **state)
{
	struct lan lan = lan_of(3, &(struct vnic_relay_config){.hub = true});

	(void)state;
	say(&lan, 1, BOB, ALICE);
	say(&lan, 0, ALICE, BOB);
	assert_heard(&lan, 1, 1, 2);
	assert_int_equal(table_of(&lan).fdb_entries, 0);
	lan_free(&lan);
}

static void isolated_ports_reach_only_the_others(void **state)
{
	struct lan lan = lan_of(3, NULL);

	(void)state;
	assert_int_equal(vnic_relay_set_isolated(lan.relay, 0, true), 0);
	assert_int_equal(vnic_relay_set_isolated(lan.relay, 1, true), 0);
	assert_int_equal(vnic_relay_set_isolated(lan.relay, 3, true), -ENOENT);
	say(&lan, 0, ALICE, EVERYBODY);
	assert_heard(&lan, 0, 0, 1);
	say(&lan, 1, BOB, ALICE);
	assert_heard(&lan, 0, 0, 0);
	assert_int_equal(stats_of(lan.relay, 1).rx_dropped[VNIC_DROP_ISOLATED], 1);
	say(&lan, 2, CAROL, ALICE);
	say(&lan, 2, CAROL, BOB);
	assert_heard(&lan, 1, 1, 0);
	lan_free(&lan);
}

static void a_pair_of_isolated_ports_is_silent(void **state)
{
	struct lan lan = lan_of(2, NULL);

	(void)state;
	vnic_relay_set_isolated(lan.relay, 0, true);
	vnic_relay_set_isolated(lan.relay, 1, true);
	say(&lan, 0, ALICE, EVERYBODY);
	assert_int_equal(heard(&lan, 1), 0);
	assert_int_equal(stats_of(lan.relay, 0).rx_dropped[VNIC_DROP_ISOLATED], 1);
	lan_free(&lan);
}

/* --- what is dropped ---------------------------------------------------------------- */

static void a_frame_to_where_it_came_from_is_dropped(void **state)
{
	struct lan lan = lan_of(3, NULL);

	(void)state;
	say(&lan, 0, ALICE, EVERYBODY);
	assert_heard(&lan, 0, 1, 1);
	say(&lan, 0, BOB, ALICE);
	assert_heard(&lan, 0, 0, 0);
	assert_int_equal(stats_of(lan.relay, 0).rx_dropped[VNIC_DROP_SAME_PORT], 1);
	lan_free(&lan);
}

static void a_source_that_no_station_can_have_is_dropped(void **state)
{
	struct lan lan = lan_of(3, NULL);

	(void)state;
	say(&lan, 0, EVERYBODY, ALICE);
	say(&lan, 0, NOBODY, ALICE);
	assert_heard(&lan, 0, 0, 0);
	assert_int_equal(stats_of(lan.relay, 0).rx_dropped[VNIC_DROP_SOURCE], 2);
	assert_int_equal(table_of(&lan).fdb_entries, 0);
	lan_free(&lan);
}

static void a_frame_without_a_whole_header_is_dropped(void **state)
{
	struct lan lan = lan_of(2, NULL);

	(void)state;
	assert_int_equal(send(lan.station[0], "short", 5, 0), 5);
	settle(&lan);
	say(&lan, 0, ALICE, BOB);
	assert_int_equal(heard(&lan, 1), 1);
	assert_int_equal(stats_of(lan.relay, 0).rx_frames, 2);
	assert_int_equal(stats_of(lan.relay, 0).rx_dropped[VNIC_DROP_SHORT], 1);
	lan_free(&lan);
}

static void a_full_port_loses_frames_and_does_not_hold_up_the_others(void **state)
{
	struct lan lan = lan_of(3, NULL);
	unsigned said = 0;

	(void)state;
	while (!stats_of(lan.relay, 2).tx_dropped[VNIC_DROP_FULL]) {
		say(&lan, 0, ALICE, EVERYBODY);
		assert_int_equal(heard(&lan, 1), 1);
		said++;
	}
	assert_int_equal(stats_of(lan.relay, 2).tx_frames, said - 1);
	assert_int_equal(stats_of(lan.relay, 1).tx_frames, said);
	lan_free(&lan);
}

static void all_frames_read_are_written_or_counted(void **state)
{
	struct lan lan = lan_of(4, NULL);
	uint64_t in = 0, out = 0;

	(void)state;
	srand(2);
	/* Nobody listens, so queues fill up. */
	for (int i = 0; i < 4000; i++)
		say(&lan, (unsigned)rand() % 4, rand() % 5, 1 + rand() % 4);
	for (unsigned i = 0; i < 4; i++) {
		struct vnic_port_stats stats = stats_of(lan.relay, i);

		in += stats.rx_frames;
		out += stats.tx_frames;
		for (int why = 0; why < VNIC_DROP_COUNT; why++)
			out += stats.rx_dropped[why] + stats.tx_dropped[why];
	}
	assert_int_equal(in, 4000);
	assert_int_equal(out, in + table_of(&lan).made[VNIC_MADE_COPY]);
	lan_free(&lan);
}

/* --- ports that go, and the end ----------------------------------------------------- */

static void a_port_that_goes_takes_its_macs_along_and_the_others_go_on(void **state)
{
	struct lan lan = lan_of(3, NULL);

	(void)state;
	say(&lan, 2, CAROL, EVERYBODY);
	assert_heard(&lan, 1, 1, 0);
	close(lan.station[2]);
	lan.station[2] = -1;
	settle(&lan);
	assert_false(is_open(lan.relay, 2));
	assert_int_equal(stats_of(lan.relay, 2).rx_frames, 1);
	assert_int_equal(table_of(&lan).ports, 2);
	assert_int_equal(table_of(&lan).fdb_entries, 0);
	say(&lan, 0, ALICE, CAROL);
	assert_int_equal(heard(&lan, 1), 1);
	lan_free(&lan);
}

static void a_last_port_alone_ends_the_relay(void **state)
{
	struct lan lan = lan_of(2, NULL);
	struct vnic_error err;

	(void)state;
	close(lan.station[1]);
	lan.station[1] = -1;
	vt_fails(vnic_relay_run(lan.relay, &err), &err, VNIC_STEP_RELAY, ENODEV);
	lan_free(&lan);
}

static void a_relay_without_two_ports_does_not_start(void **state)
{
	struct lan lan = lan_of(1, NULL);
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_relay_dispatch(lan.relay, -1, &err), &err, VNIC_STEP_RELAY, ENODEV);
	lan_free(&lan);
}

static void a_turn_ends_after_its_batch(void **state)
{
	struct lan lan = lan_of(2, &(struct vnic_relay_config){.batch = 2});
	uint8_t frame[FRAME_LEN] = {0};
	struct vnic_error err;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(send(lan.station[0], frame, sizeof(frame), 0), sizeof(frame));
	assert_int_equal(vnic_relay_dispatch(lan.relay, 0, &err), 2);
	assert_int_equal(vnic_relay_dispatch(lan.relay, 0, &err), 2);
	assert_int_equal(vnic_relay_dispatch(lan.relay, 0, &err), 1);
	assert_int_equal(vnic_relay_dispatch(lan.relay, 0, &err), 0);
	lan_free(&lan);
}

/* Says so many frames, and returns how many of them the next turn takes. */
static int take(struct lan *lan, unsigned count)
{
	uint8_t frame[FRAME_LEN] = {0};
	struct vnic_error err;

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(send(lan->station[0], frame, sizeof(frame), 0), sizeof(frame));
	reads = 0;
	return (int)vt_ok(vnic_relay_dispatch(lan->relay, 0, &err), &err);
}

static void where_frames_come_one_by_one_no_other_is_looked_for_before_it_goes_on(void **state)
{
	struct lan lan = lan_of(2, NULL);

	(void)state;
	assert_int_equal(take(&lan, 1), 1);
	assert_int_equal(reads, 2);
	assert_int_equal(take(&lan, 0), 0);
	assert_int_equal(take(&lan, 1), 1);
	assert_int_equal(reads, 1);
	lan_free(&lan);
}

static void of_frames_that_come_together_only_the_first_may_go_alone(void **state)
{
	struct lan lan = lan_of(2, NULL);

	(void)state;
	assert_int_equal(take(&lan, 1), 1);
	assert_int_equal(take(&lan, 0), 0);
	assert_int_equal(take(&lan, 5), 1);
	assert_int_equal(take(&lan, 0), 4);
	assert_int_equal(take(&lan, 0), 0);
	assert_int_equal(take(&lan, 5), 5);
	lan_free(&lan);
}

static void queue_frames(struct lan *lan, unsigned station, int to, unsigned count)
{
	uint8_t frame[FRAME_LEN] = {0};

	put_mac(frame, to);
	put_mac(frame + 6, ALICE + (int)station);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(send(lan->station[station], frame, sizeof(frame), 0), sizeof(frame));
}

/* Turns until Carol's frame has gone, which came while Alice and Bob, both of whom have more, answered each other. */
static int turns_of_others(bool busy_poll)
{
	struct lan lan = lan_of(3, &(struct vnic_relay_config){.batch = 1, .busy_poll = busy_poll});
	struct vnic_error err;
	int turns = 0;

	queue_frames(&lan, 0, BOB, 40);
	queue_frames(&lan, 1, ALICE, 40);
	for (int i = 0; i < 3; i++)
		vt_ok(vnic_relay_dispatch(lan.relay, 0, &err), &err);
	queue_frames(&lan, 2, ALICE, 1);
	for (; !stats_of(lan.relay, 2).rx_frames; turns++)
		vt_ok(vnic_relay_dispatch(lan.relay, 0, &err), &err);
	lan_free(&lan);
	return turns;
}

static void who_polls_busily_looks_for_answers_but_the_others_do_not_wait_long(void **state)
{
	(void)state;
	assert_int_equal(turns_of_others(false), 1);
	assert_in_range(turns_of_others(true), 2, 9);
}

static void the_callers_loop_is_told_when_there_is_work(void **state)
{
	struct lan lan = lan_of(2, NULL);
	struct vnic_error err;

	(void)state;
	assert_int_equal(send(lan.station[0], "a frame of 20 bytes", FRAME_LEN, 0), FRAME_LEN);
	assert_true(vt_readable(vnic_relay_get_fd(lan.relay)));
	assert_int_equal(vnic_relay_dispatch(lan.relay, 0, &err), 1);
	assert_int_equal(heard(&lan, 1), 1);
	lan_free(&lan);
}

static void *stop_it(void *relay)
{
	vnic_relay_stop(relay);
	return NULL;
}

static void another_thread_stops_it(void **state)
{
	struct lan lan = lan_of(2, NULL);
	struct vnic_error err;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, stop_it, lan.relay), 0);
	vt_ok(vnic_relay_run(lan.relay, &err), &err);
	assert_int_equal(pthread_join(thread, NULL), 0);
	lan_free(&lan);
}

static struct vnic_relay *relay_of_handler;

static void on_signal(int signal)
{
	(void)signal;
	vnic_relay_stop(relay_of_handler);
}

static void *send_signal(void *unused)
{
	(void)unused;
	kill(getpid(), SIGUSR1);
	return NULL;
}

static void a_signal_handler_stops_it(void **state)
{
	struct lan lan = lan_of(2, NULL);
	struct sigaction action = {.sa_handler = on_signal}, old;
	struct vnic_error err;
	pthread_t thread;

	(void)state;
	relay_of_handler = lan.relay;
	assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
	assert_int_equal(pthread_create(&thread, NULL, send_signal, NULL), 0);
	vt_ok(vnic_relay_run(lan.relay, &err), &err);
	assert_int_equal(pthread_join(thread, NULL), 0);
	sigaction(SIGUSR1, &old, NULL);
	lan_free(&lan);
}

static void a_stop_before_the_run_counts_and_only_once(void **state)
{
	struct lan lan = lan_of(2, NULL);
	struct vnic_error err;

	(void)state;
	vnic_relay_stop(lan.relay);
	vt_ok(vnic_relay_run(lan.relay, &err), &err);
	assert_false(lan.relay->stopped);
	say(&lan, 0, ALICE, BOB);
	assert_int_equal(heard(&lan, 1), 1);
	lan_free(&lan);
}

static void a_table_without_bounds_is_refused(void **state)
{
	struct vnic_relay *relay;
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_relay_new(&(struct vnic_relay_config){.fdb_max = UINT32_MAX}, &relay, &err), &err,
		 VNIC_STEP_USAGE, EINVAL);
}

static void nothing_is_freed_without_a_complaint(void **state)
{
	(void)state;
	vnic_relay_free(NULL);
	vnic_tap_close(NULL);
	for (int why = 0; why < VNIC_DROP_COUNT; why++)
		assert_true(strlen(vnic_drop_text((enum vnic_drop)why)) > 0);
}

/* Before Linux 6.2 a TAP refuses segmented UDP, in a write too: it is cut, and not merged. */
static void a_tap_that_was_not_granted_segmented_udp_is_given_none(void **state)
{
	const unsigned uso = VNIC_OFFLOAD_USO4 | VNIC_OFFLOAD_USO6;
	const struct vnic_tap old = {.vnet_hdr = true, .offloads = VNIC_OFFLOAD_ALL & ~uso};
	const struct vnic_tap new = {.vnet_hdr = true, .offloads = VNIC_OFFLOAD_ALL};
	struct port port = {0};
	struct vnic_error err;

	(void)state;
	vt_ok(port_tap_init(&port, &old, &err), &err);
	assert_int_equal(port.takes, VNIC_OFFLOAD_ALL & ~uso);
	vt_ok(port_tap_init(&port, &new, &err), &err);
	assert_int_equal(port.takes, VNIC_OFFLOAD_ALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(two_ports_are_a_patch_that_passes_anything),
		vt_test(frames_pass_byte_by_byte),
		vt_test(an_unknown_mac_is_flooded_and_a_learnt_one_is_not),
		vt_test(a_broadcast_reaches_all_but_its_sender),
		vt_test(a_station_that_moves_is_found_at_its_new_port),
		vt_test(a_station_too_old_is_looked_for_everywhere),
		vt_test(a_full_table_floods_and_counts),
		vt_test(a_hub_learns_nothing),
		vt_test(isolated_ports_reach_only_the_others),
		vt_test(a_pair_of_isolated_ports_is_silent),
		vt_test(a_frame_to_where_it_came_from_is_dropped),
		vt_test(a_source_that_no_station_can_have_is_dropped),
		vt_test(a_frame_without_a_whole_header_is_dropped),
		vt_test(a_full_port_loses_frames_and_does_not_hold_up_the_others),
		vt_test(all_frames_read_are_written_or_counted),
		vt_test(a_port_that_goes_takes_its_macs_along_and_the_others_go_on),
		vt_test(a_last_port_alone_ends_the_relay),
		vt_test(a_relay_without_two_ports_does_not_start),
		vt_test(a_turn_ends_after_its_batch),
		vt_test(where_frames_come_one_by_one_no_other_is_looked_for_before_it_goes_on),
		vt_test(of_frames_that_come_together_only_the_first_may_go_alone),
		vt_test(who_polls_busily_looks_for_answers_but_the_others_do_not_wait_long),
		vt_test(the_callers_loop_is_told_when_there_is_work),
		vt_test(another_thread_stops_it),
		vt_test(a_signal_handler_stops_it),
		vt_test(a_stop_before_the_run_counts_and_only_once),
		vt_test(a_table_without_bounds_is_refused),
		vt_test(nothing_is_freed_without_a_complaint),
		vt_test(a_tap_that_was_not_granted_segmented_udp_is_given_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
