/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Weather on a frame's way through the relay: what is held, and what becomes of it when the weather changes. */
#include "relay_world.h"

#define LONG_NS (100 * NS_PER_S)

static uint8_t got[VNIC_FRAME_MAX];

static void set(struct world *world, unsigned port, enum vnic_direction direction,
		const struct vnic_impairment *weather)
{
	struct vnic_error err;

	vt_ok(vnic_relay_set_impairment(world->relay, port, direction, weather, &err), &err);
}

static void say(struct world *world, size_t len)
{
	static const uint8_t frame[1514] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	const struct vnic_vnet_hdr hdr = {0};

	say_frame(world, 0, &hdr, frame, len);
	settle(world);
}

static bool is_heard(struct world *world)
{
	struct vnic_vnet_hdr hdr;

	settle(world);
	return hear(world, 1, &hdr, got) >= 0;
}

static void what_is_held_is_told_in_frames_and_bytes(void **state)
{
	struct world world = world_of(2, 0);

	(void)state;
	set(&world, 0, VNIC_INGRESS, &(struct vnic_impairment){.delay_us = 60000000, .limit_bytes = 2000});
	say(&world, 60);
	say(&world, 1514);
	say(&world, 1000);
	assert_int_equal(all_of(&world).held, 2);
	assert_int_equal(all_of(&world).held_bytes, 1574);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_HELD], 1);
	assert_accounts_close(&world);
	set(&world, 0, VNIC_INGRESS, NULL);
	assert_int_equal(all_of(&world).held_bytes, 0);
	assert_int_equal(stats_of(world.relay, 1).tx_frames, 2);
	assert_accounts_close(&world);
	world_free(&world);
}

/* However long ago the relay's last turn was. */
static void what_is_let_go_by_one_port_waits_at_the_next(void **state)
{
	struct world world = world_of(2, 0);

	(void)state;
	set(&world, 0, VNIC_INGRESS, &(struct vnic_impairment){.delay_us = 60000000});
	set(&world, 1, VNIC_EGRESS, &(struct vnic_impairment){.delay_us = 60000000});
	say(&world, 60);
	world.relay->now -= LONG_NS;
	set(&world, 0, VNIC_INGRESS, NULL);
	assert_false(is_heard(&world));
	assert_int_equal(all_of(&world).held, 1);
	set(&world, 1, VNIC_EGRESS, NULL);
	assert_true(is_heard(&world));
	world_free(&world);
}

/* Two minutes at the old rate, which a timer waits for. */
static void a_faster_rate_is_felt_at_once(void **state)
{
	struct world world = world_of(2, 0);
	struct vnic_vnet_hdr hdr;
	struct vnic_error err;

	(void)state;
	set(&world, 1, VNIC_EGRESS, &(struct vnic_impairment){.rate_bps = 100});
	say(&world, 1514);
	set(&world, 1, VNIC_EGRESS, &(struct vnic_impairment){.rate_bps = 1000000});
	while (all_of(&world).held && vt_readable(vnic_relay_get_fd(world.relay)))
		vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
	assert_int_equal(hear(&world, 1, &hdr, got), 1514);
	world_free(&world);
}

/* Gives the relay turns until so many frames have come; returns how long it took. */
static int64_t time_until_heard(struct world *world, unsigned frames, int64_t since)
{
	struct vnic_vnet_hdr hdr;
	struct vnic_error err;

	while (frames > 0) {
		assert_true(vt_readable(vnic_relay_get_fd(world->relay)));
		vt_ok(vnic_relay_dispatch(world->relay, 0, &err), &err);
		while (hear(world, 1, &hdr, got) >= 0)
			frames--;
	}
	return monotonic_ns() - since;
}

/* How late most are is the machine's affair; that one is in time shows that the relay adds nothing. */
static void a_delay_is_never_shorter_and_hardly_longer_than_asked_for(void **state)
{
	struct world world = world_of(2, 0);
	const int64_t delay = 5000000;
	int64_t best = INT64_MAX;

	(void)state;
	set(&world, 1, VNIC_EGRESS, &(struct vnic_impairment){.delay_us = 5000});
	for (int i = 0; i < 1000 && best > delay + 200000; i++) {
		int64_t begin = monotonic_ns(), took;

		say(&world, 60);
		took = time_until_heard(&world, 1, begin);
		assert_true(took >= delay);
		best = took < best ? took : best;
	}
	assert_true(best <= delay + 200000);
	world_free(&world);
}

struct hold_up {
	struct world *world;
	int64_t said; /* when the late frame was */
};

/* Takes longer for its first frame than a delay, while another frame comes to the port whose turn is next. */
static enum vnic_verdict hold_up(void *ctx, struct vnic_inspected *frame)
{
	const int64_t began = monotonic_ns();
	struct hold_up *hold_up = ctx;

	if (frame->port != 0 || hold_up->said)
		return VNIC_VERDICT_PASS;
	while (monotonic_ns() - began < 6000000)
		;
	hold_up->said = monotonic_ns();
	say_frame(hold_up->world, 1, &(struct vnic_vnet_hdr){0}, (uint8_t[61]){2, 0, 0, 0, 0, 2, 2}, 61);
	return VNIC_VERDICT_PASS;
}

/* However long ago the turn began in which a frame is read. */
static void a_delay_begins_when_the_frame_is_read(void **state)
{
	struct world world = world_of(2, 0);
	struct hold_up held_up = {.world = &world};
	struct vnic_vnet_hdr hdr = {0};
	struct vnic_error err;
	ssize_t len = -1;

	(void)state;
	set(&world, 1, VNIC_INGRESS, &(struct vnic_impairment){.delay_us = 5000});
	vt_ok(vnic_relay_set_inspector(world.relay, hold_up, &held_up, &err), &err);
	for (unsigned station = 0; station < 2; station++)
		say_frame(&world, station, &hdr, (uint8_t[60]){2, 0, 0, 0, 0, 2, 2}, 60);
	while (len != 61) {
		assert_true(vt_readable(vnic_relay_get_fd(world.relay)));
		vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
		while (len != 61 && (len = hear(&world, 0, &hdr, got)) >= 0)
			;
	}
	assert_true(monotonic_ns() - held_up.said >= 5000000);
	world_free(&world);
}

/* A hundred frames of a millisecond each. */
static void a_rate_is_within_two_hundredths_of_what_was_asked_for(void **state)
{
	struct world world = world_of(2, 0);
	const int64_t all = 100000000;
	int64_t best = INT64_MAX;

	(void)state;
	set(&world, 1, VNIC_EGRESS, &(struct vnic_impairment){.rate_bps = 8000000});
	for (int i = 0; i < 50 && best > all + all / 50; i++) {
		int64_t begin = monotonic_ns(), took;

		for (int frame = 0; frame < 100; frame++)
			say(&world, 1000);
		took = time_until_heard(&world, 100, begin);
		assert_true(took >= all);
		best = took < best ? took : best;
	}
	assert_true(best <= all + all / 50);
	world_free(&world);
}

/* What waits for its time has not arrived: it is lost with the link, be it the weather that ends. */
static void what_is_held_when_the_link_goes_down_is_lost(void **state)
{
	struct world world = world_of(2, 0);
	struct vnic_error err;

	(void)state;
	set(&world, 0, VNIC_INGRESS, &(struct vnic_impairment){.delay_us = 1000});
	set(&world, 1, VNIC_EGRESS, &(struct vnic_impairment){.delay_us = 60000000});
	say(&world, 60);
	vt_ok(vnic_relay_set_link(world.relay, 0, false), NULL);
	while (all_of(&world).held && vt_readable(vnic_relay_get_fd(world.relay)))
		vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_LINK_DOWN], 1);
	vt_ok(vnic_relay_set_link(world.relay, 0, true), NULL);
	set(&world, 0, VNIC_INGRESS, NULL);
	say(&world, 60);
	assert_int_equal(all_of(&world).held, 1);
	vt_ok(vnic_relay_set_link(world.relay, 1, false), NULL);
	set(&world, 1, VNIC_EGRESS, NULL);
	assert_false(is_heard(&world));
	assert_int_equal(stats_of(world.relay, 1).tx_dropped[VNIC_DROP_LINK_DOWN], 1);
	assert_accounts_close(&world);
	world_free(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(what_is_held_is_told_in_frames_and_bytes),
		vt_test(what_is_let_go_by_one_port_waits_at_the_next),
		vt_test(what_is_held_when_the_link_goes_down_is_lost),
		vt_test(a_faster_rate_is_felt_at_once),
		vt_test(a_delay_is_never_shorter_and_hardly_longer_than_asked_for),
		vt_test(a_delay_begins_when_the_frame_is_read),
		vt_test(a_rate_is_within_two_hundredths_of_what_was_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
