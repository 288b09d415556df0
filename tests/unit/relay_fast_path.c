/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a relay's fast path is open, and what the counters say of it. */
#include "relay_world.h"

/* Instead of the kernel's. */
struct fake {
	bool open;
	unsigned sets, frees, counts;
	int refuses; /* an errno; 0: nothing */
	struct vnic_fast_count count[VNIC_FAST_PORTS];
};

static int set(void *ctx, bool open, struct vnic_error *err)
{
	struct fake *fake = ctx;

	if (fake->refuses)
		return vnic_fail(err, VNIC_STEP_REDIRECT, fake->refuses, "eth0", NULL);
	assert_int_not_equal(fake->open, open);
	fake->open = open;
	fake->sets++;
	return 0;
}

static int count(void *ctx, struct vnic_fast_count ret_counts[VNIC_FAST_PORTS])
{
	struct fake *fake = ctx;

	fake->counts++;
	memcpy(ret_counts, fake->count, sizeof(fake->count));
	return 0;
}

static void end(void *ctx)
{
	struct fake *fake = ctx;

	assert_false(fake->open);
	fake->frees++;
}

static struct vnic_fast_path way_of(struct fake *fake)
{
	return (struct vnic_fast_path){.ctx = fake, .set = set, .count = count, .free = end};
}

static struct world world_with(struct fake *fake)
{
	const struct vnic_fast_path way = way_of(fake);
	struct world world = world_of(2, VNIC_OFFLOAD_ALL);
	struct vnic_error err;

	vt_ok(vnic_relay_set_fast_path(world.relay, &way, true, &err), &err);
	return world;
}

static enum vnic_verdict pass(void *ctx, struct vnic_inspected *frame)
{
	(void)ctx;
	(void)frame;
	return VNIC_VERDICT_PASS;
}

static void it_is_open_while_nothing_would_be_done_to_a_frame(void **state)
{
	const struct vnic_impairment weather = {.delay_us = 1000};
	struct fake fake = {0};
	struct world world = world_with(&fake);
	struct vnic_error err;

	(void)state;
	assert_true(fake.open);
	vt_ok(vnic_relay_set_filter(world.relay, 1, VNIC_INGRESS, "arp", &err), &err);
	assert_false(fake.open);
	vt_ok(vnic_relay_set_impairment(world.relay, 0, VNIC_EGRESS, &weather, &err), &err);
	vt_ok(vnic_relay_set_filter(world.relay, 1, VNIC_INGRESS, NULL, &err), &err);
	assert_false(fake.open);
	vt_ok(vnic_relay_set_impairment(world.relay, 0, VNIC_EGRESS, NULL, &err), &err);
	assert_true(fake.open);
	vt_ok(vnic_relay_set_link(world.relay, 1, false), NULL);
	assert_false(fake.open);
	vt_ok(vnic_relay_set_link(world.relay, 1, true), NULL);
	assert_true(fake.open);
	vt_ok(vnic_relay_set_isolated(world.relay, 0, true), NULL);
	assert_true(fake.open); /* one alone may talk to the other */
	vt_ok(vnic_relay_set_isolated(world.relay, 1, true), NULL);
	assert_false(fake.open);
	vt_ok(vnic_relay_set_isolated(world.relay, 0, false), NULL);
	assert_true(fake.open);
	vt_ok(vnic_relay_set_inspector(world.relay, pass, NULL, &err), &err);
	assert_false(fake.open);
	vt_ok(vnic_relay_set_inspector(world.relay, NULL, NULL, &err), &err);
	assert_int_equal(all_of(&world).fast_path, VNIC_FAST_OPEN);
	world_free(&world);
	assert_int_equal(fake.frees, 1);
}

static void what_was_there_before_keeps_it_closed(void **state)
{
	struct fake fake = {0};
	const struct vnic_fast_path way = way_of(&fake);
	struct world world = world_of(2, VNIC_OFFLOAD_ALL);
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_relay_set_filter(world.relay, 0, VNIC_EGRESS, "arp", &err), &err);
	vt_ok(vnic_relay_set_fast_path(world.relay, &way, true, &err), &err);
	assert_int_equal(all_of(&world).fast_path, VNIC_FAST_CLOSED);
	assert_int_equal(fake.sets, 0);
	vt_ok(vnic_relay_set_filter(world.relay, 0, VNIC_EGRESS, NULL, &err), &err);
	assert_true(fake.open);
	vt_fails(vnic_relay_set_fast_path(world.relay, &way, true, &err), &err, VNIC_STEP_USAGE, EBUSY);
	world_free(&world);
}

static void its_owner_says_when_it_can_be_used(void **state)
{
	struct fake fake = {0};
	struct world world = world_with(&fake);
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_relay_let_fast_path(world.relay, false, &err), &err);
	assert_false(fake.open);
	vt_ok(vnic_relay_set_link(world.relay, 0, false), NULL);
	vt_ok(vnic_relay_let_fast_path(world.relay, true, &err), &err);
	assert_false(fake.open);
	vt_ok(vnic_relay_set_link(world.relay, 0, true), NULL);
	assert_true(fake.open);
	world_free(&world);
}

static void a_refusal_reaches_who_asked(void **state)
{
	const struct vnic_impairment weather = {.delay_us = 1000};
	struct fake fake = {.refuses = ENOENT};
	const struct vnic_fast_path way = way_of(&fake);
	struct world world = world_of(2, VNIC_OFFLOAD_ALL);
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_relay_set_fast_path(world.relay, &way, true, &err), &err, VNIC_STEP_REDIRECT, ENOENT);
	assert_int_equal(all_of(&world).fast_path, VNIC_FAST_NONE);
	assert_int_equal(fake.frees, 0);
	fake.refuses = 0;
	vt_ok(vnic_relay_set_fast_path(world.relay, &way, true, &err), &err);
	fake.refuses = ENOMEM;
	vt_fails(vnic_relay_set_impairment(world.relay, 0, VNIC_EGRESS, &weather, &err), &err, VNIC_STEP_REDIRECT,
		 ENOMEM);
	assert_int_equal(vnic_relay_set_link(world.relay, 0, false), -ENOMEM);
	assert_int_equal(all_of(&world).fast_path, VNIC_FAST_OPEN);
	fake.refuses = 0;
	world_free(&world);
}

static void only_a_patch_has_one(void **state)
{
	struct fake fake = {0};
	const struct vnic_fast_path way = way_of(&fake);
	struct world world = world_of(3, VNIC_OFFLOAD_ALL);
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_relay_set_fast_path(world.relay, &way, true, &err), &err, VNIC_STEP_USAGE, EINVAL);
	world_free(&world);
	world = world_with(&fake);
	vt_fails(vnic_relay_set_capture(world.relay, &(struct vnic_capture){.fd = -1}, &err), &err, VNIC_STEP_USAGE,
		 EBUSY);
	world_free(&world);
}

static void a_port_that_is_gone_closes_it(void **state)
{
	struct fake fake = {0};
	struct world world = world_with(&fake);

	(void)state;
	relay_close_port(world.relay, 1);
	assert_false(fake.open);
	world_free(&world);
	assert_int_equal(fake.frees, 1);
}

/* Through user space, from the first station to the second. */
static void say_one(struct world *world)
{
	static uint8_t frame[VNIC_FRAME_MAX];
	const struct superframe spec = {.payload = 100};
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(&spec, frame, &hdr);

	say_frame(world, 0, &hdr, frame, len);
	settle(world);
	assert_int_equal(hear(world, 1, &hdr, frame), len);
}

static void counters_have_what_went_both_ways(void **state)
{
	struct fake fake = {
		.count = {{.rx_frames = 10, .rx_bytes = 1000, .tx_frames = 3, .tx_bytes = 300},
			  {.rx_frames = 4, .rx_bytes = 400, .tx_frames = 7, .tx_bytes = 700, .tx_full = 2}}};
	struct world world = world_with(&fake);

	(void)state;
	say_one(&world);
	assert_int_equal(stats_of(world.relay, 0).rx_frames, 11);
	assert_int_equal(stats_of(world.relay, 1).tx_frames, 8);
	assert_int_equal(stats_of(world.relay, 1).tx_dropped[VNIC_DROP_FULL], 2);
	assert_int_equal(stats_of(world.relay, 0).tx_bytes, 300);
	assert_int_equal(all_of(&world).held, 2);
	assert_accounts_close(&world);
	assert_int_equal(fake.counts, 1); /* all of one moment */
	fake.count[0].rx_overruns = 5;
	fake.count[1].tx_frames++;
	assert_int_equal(all_of(&world).held, 2);
	settle(&world);
	assert_int_equal(all_of(&world).held, 1);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_OVERRUN], 5);
	assert_int_equal(stats_of(world.relay, 0).rx_frames, 16);
	assert_accounts_close(&world);
	world_free(&world);
}

static void when_it_is_lost_its_figures_stay_and_what_was_under_way_is_lost(void **state)
{
	struct fake fake = {.count = {{.rx_frames = 10, .tx_frames = 4}, {.rx_frames = 4, .tx_frames = 7}}};
	struct world world = world_with(&fake);

	(void)state;
	vnic_relay_set_fast_path(world.relay, NULL, false, NULL);
	assert_int_equal(fake.frees, 1);
	assert_int_equal(all_of(&world).fast_path, VNIC_FAST_LOST);
	assert_int_equal(stats_of(world.relay, 0).rx_frames, 10);
	assert_int_equal(stats_of(world.relay, 1).tx_dropped[VNIC_DROP_DOWN], 3);
	assert_int_equal(all_of(&world).held, 0);
	assert_accounts_close(&world);
	say_one(&world);
	assert_int_equal(stats_of(world.relay, 0).rx_frames, 11);
	world_free(&world);
	assert_int_equal(fake.frees, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(it_is_open_while_nothing_would_be_done_to_a_frame),
		vt_test(what_was_there_before_keeps_it_closed),
		vt_test(its_owner_says_when_it_can_be_used),
		vt_test(a_refusal_reaches_who_asked),
		vt_test(only_a_patch_has_one),
		vt_test(a_port_that_is_gone_closes_it),
		vt_test(counters_have_what_went_both_ways),
		vt_test(when_it_is_lost_its_figures_stay_and_what_was_under_way_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
