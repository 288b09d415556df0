/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bad weather does what was asked: how long, how much, how often; and the same again with the same seed. */
#include "vt.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "impair.h"

#define US 1000LL
#define MS (1000 * US)
#define START (5 * NS_PER_S)
#define LEN 100

static struct impair *weather(const struct vnic_impairment *config)
{
	struct impair *impair;
	struct vnic_error err;

	vt_ok(impair_new(config, &impair, &err), &err);
	return impair;
}

static uint8_t room[FRAME_HEADROOM + 2000];

static struct frame numbered(uint32_t number, size_t len)
{
	struct frame frame = {.data = room + FRAME_HEADROOM, .len = len};

	memset(frame.data, 0, len);
	memcpy(frame.data, &number, sizeof(number));
	return frame;
}

static enum impair_fate take(struct impair *impair, uint32_t number, int64_t now)
{
	struct frame frame = numbered(number, LEN);
	unsigned copies;

	return impair_take(impair, &frame, now, &copies);
}

/* The number of the next frame that is due, or -1. */
static int64_t next(struct impair *impair, int64_t now)
{
	struct frame frame;
	uint32_t number;

	if (!impair_next(impair, now, &frame))
		return -1;
	memcpy(&number, frame.data, sizeof(number));
	return number;
}

static void a_delayed_frame_comes_then_and_not_before(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.delay_us = 10000, .seed = 1});

	(void)state;
	assert_int_equal(take(impair, 1, START), IMPAIR_HELD);
	assert_int_equal(take(impair, 2, START + MS), IMPAIR_HELD);
	assert_int_equal(impair_due(impair), START + 10 * MS);
	assert_int_equal(next(impair, START + 10 * MS - 1), -1);
	assert_int_equal(next(impair, START + 10 * MS), 1);
	assert_int_equal(impair_held(impair), 1);
	assert_int_equal(next(impair, START + 20 * MS), 2);
	assert_int_equal(impair_due(impair), INT64_MAX);
	impair_free(impair);
}

static void jitter_keeps_the_order_unless_overtaking_is_allowed(void **state)
{
	(void)state;
	for (int overtake = 0; overtake < 2; overtake++) {
		struct impair *impair = weather(&(struct vnic_impairment){
			.delay_us = 10000, .jitter_us = 5000, .overtake = overtake, .seed = 3});
		int64_t last = -1, number;
		int turned = 0;

		for (uint32_t i = 0; i < 1000; i++)
			assert_int_equal(take(impair, i, START + i * 100 * US), IMPAIR_HELD);
		while ((number = next(impair, INT64_MAX)) >= 0) {
			turned += number < last;
			last = number;
		}
		assert_int_equal(turned > 0, overtake);
		impair_free(impair);
	}
}

static void measure_delays(enum vnic_jitter jitter, double *ret_mean, double *ret_deviation)
{
	struct impair *impair = weather(&(struct vnic_impairment){
		.delay_us = 50000, .jitter_us = 5000, .jitter = jitter, .overtake = true, .seed = 7});
	double sum = 0, squares = 0;
	const int count = 20000;

	for (int i = 0; i < count; i++) {
		assert_int_equal(take(impair, 0, START), IMPAIR_HELD);
		double delay = (double)(impair_due(impair) - START) / US;
		sum += delay;
		squares += delay * delay;
		assert_int_equal(next(impair, INT64_MAX), 0);
	}
	*ret_mean = sum / count;
	*ret_deviation = sqrt(squares / count - *ret_mean * *ret_mean);
	impair_free(impair);
}

static void jitter_has_the_distribution_asked_for(void **state)
{
	double mean, deviation;

	(void)state;
	measure_delays(VNIC_JITTER_UNIFORM, &mean, &deviation);
	assert_true(fabs(mean - 50000) < 3 * 5000 / sqrt(20000));
	assert_true(fabs(deviation - 5000 / sqrt(3)) < 50);
	measure_delays(VNIC_JITTER_NORMAL, &mean, &deviation);
	assert_true(fabs(mean - 50000) < 3 * 5000 / sqrt(20000));
	assert_true(fabs(deviation - 5000) < 100);
}

static int count_lost(struct impair *impair, int count)
{
	int lost = 0;

	for (int i = 0; i < count; i++)
		lost += take(impair, 0, START) == IMPAIR_LOST;
	return lost;
}

static void as_many_are_lost_as_asked_for(void **state)
{
	static const double losses[] = {0, 0.001, 0.01, 0.5, 1};
	const int count = 100000;

	(void)state;
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		struct impair *impair = weather(&(struct vnic_impairment){.loss = losses[i], .seed = 11});
		double expected = losses[i] * count;

		assert_true(fabs(count_lost(impair, count) - expected) <= 3 * sqrt(expected * (1 - losses[i])));
		impair_free(impair);
	}
}

/* Gilbert-Elliott: the share of bad times is to_bad / (to_bad + to_good), their mean length 1 / to_good. */
static void bursts_of_loss_are_as_frequent_and_as_long_as_asked_for(void **state)
{
	struct impair *impair =
		weather(&(struct vnic_impairment){.to_bad = 0.01, .to_good = 0.2, .bad_loss = 1, .seed = 5});
	const int count = 400000;
	int lost = 0, bursts = 0;
	bool before = false;

	(void)state;
	for (int i = 0; i < count; i++) {
		bool now = take(impair, 0, START) == IMPAIR_LOST;

		lost += now;
		bursts += now && !before;
		before = now;
	}
	assert_true(fabs((double)lost / count - 0.01 / 0.21) < 0.003);
	assert_true(fabs((double)lost / bursts - 5) < 0.2);
	impair_free(impair);
}

static void the_same_seed_gives_the_same_drops(void **state)
{
	const struct vnic_impairment config = {.loss = 0.1, .delay_us = 1, .jitter_us = 1, .corrupt = 0.1, .seed = 42};
	struct impair *a = weather(&config), *b = weather(&config);
	struct impair *c = weather(&(struct vnic_impairment){.loss = 0.1, .seed = 43});
	int same = 0;

	(void)state;
	for (uint32_t i = 0; i < 10000; i++) {
		bool lost = take(a, i, START) == IMPAIR_LOST;

		assert_int_equal(take(b, i, START + i) == IMPAIR_LOST, lost); /* whenever the frames come */
		same += (take(c, i, START) == IMPAIR_LOST) == lost;
	}
	assert_true(same < 9000);
	impair_free(a);
	impair_free(b);
	impair_free(c);
}

static void a_rate_is_kept_and_a_burst_may_go_at_once(void **state)
{
	/* 8 Mbit/s is a byte a microsecond. */
	struct impair *impair = weather(&(struct vnic_impairment){.rate_bps = 8000000, .burst = 3 * LEN, .seed = 1});
	int64_t last = 0;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(take(impair, i, START), IMPAIR_PASSED);
	for (uint32_t i = 3; i < 1003; i++)
		assert_int_equal(take(impair, i, START), IMPAIR_HELD);
	for (uint32_t i = 3; i < 1003; i++) {
		last = impair_due(impair);
		assert_int_equal(next(impair, last), i);
	}
	assert_int_equal(last, START + 1000 * LEN * US);
	/* After a rest there is one burst, however long the rest was. */
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(take(impair, i, START + 100 * NS_PER_S), i < 3 ? IMPAIR_PASSED : IMPAIR_HELD);
	impair_free(impair);
}

/* Ten times as much as the wire takes, for a second. */
static void a_flood_gets_no_less_than_the_rate(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.rate_bps = 8000000, .limit = 10, .seed = 1});
	const int64_t each = LEN * US;
	int came = 0;

	(void)state;
	for (int64_t now = START; now < START + NS_PER_S; now += each / 10) {
		take(impair, 0, now);
		while (next(impair, now) >= 0)
			came++;
	}
	assert_in_range(came, NS_PER_S / each - 11, NS_PER_S / each);
	assert_true(impair_due(impair) <= START + NS_PER_S + 11 * each);
	impair_free(impair);
}

static void what_is_lost_was_never_on_the_wire(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.loss = 1, .delay_us = 1000, .jitter_us = 1000});
	struct vnic_error err;

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(take(impair, i, START), IMPAIR_LOST);
	vt_ok(impair_change(impair, &(struct vnic_impairment){.delay_us = 1}, START, &err), &err);
	assert_int_equal(take(impair, 100, START), IMPAIR_HELD);
	assert_int_equal(impair_due(impair), START + US);
	impair_free(impair);
}

static void a_duplicate_occupies_the_wire_too(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.rate_bps = 8000000, .duplicate = 1, .seed = 1});
	int64_t last = 0;

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(take(impair, i, START), IMPAIR_HELD);
	assert_int_equal(impair_held(impair), 200);
	for (uint32_t i = 0; i < 200; i++) {
		last = impair_due(impair);
		assert_int_equal(next(impair, last), i / 2);
	}
	assert_int_equal(last, START + 200 * LEN * US);
	impair_free(impair);
}

/* A bit a second, and the largest burst: more nanoseconds than there are. */
static void the_slowest_wire_has_times_that_can_be(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.rate_bps = 1, .burst = UINT32_MAX, .seed = 1});
	struct vnic_error err;

	(void)state;
	assert_int_equal(take(impair, 1, START), IMPAIR_PASSED);
	vt_ok(impair_change(impair, &(struct vnic_impairment){.rate_bps = 1}, START, &err), &err);
	assert_int_equal(take(impair, 2, START), IMPAIR_HELD);
	assert_int_equal(impair_due(impair), START + 8 * LEN * NS_PER_S);
	impair_free(impair);
}

static void what_waits_for_a_slow_wire_takes_the_fast_one_that_follows(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.rate_bps = 8000, .delay_us = 10000});
	const int64_t change = START + 150 * MS; /* the first frame has left the wire, and is on its way */
	struct vnic_error err;

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(take(impair, i, START), IMPAIR_HELD);
	vt_ok(impair_change(impair, &(struct vnic_impairment){.rate_bps = 8000000}, change, &err), &err);
	assert_int_equal(take(impair, 10, change), IMPAIR_HELD);
	assert_int_equal(impair_due(impair), START + 110 * MS);
	assert_int_equal(next(impair, START + 110 * MS), 0);
	for (uint32_t i = 1; i < 11; i++) {
		assert_int_equal(impair_due(impair), change + (i < 10 ? i : 9) * LEN * US + 10 * MS);
		assert_int_equal(next(impair, impair_due(impair)), i);
	}
	impair_free(impair);
}

static void what_waits_for_a_wire_goes_where_there_is_none_any_more(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.rate_bps = 1});
	struct vnic_error err;

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(take(impair, i, START), IMPAIR_HELD);
	vt_ok(impair_change(impair, &(struct vnic_impairment){.loss = 0}, START + US, &err), &err);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(next(impair, START + US), i);
	assert_int_equal(take(impair, 10, START + US), IMPAIR_PASSED);
	impair_free(impair);
}

static void a_duplicate_comes_beside_its_original(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.duplicate = 1, .delay_us = 10, .seed = 1});
	struct frame frame = numbered(1, LEN);
	unsigned copies;

	(void)state;
	assert_int_equal(impair_take(impair, &frame, START, &copies), IMPAIR_HELD);
	assert_int_equal(copies, 1);
	assert_int_equal(next(impair, START + 10 * US), 1);
	assert_int_equal(next(impair, START + 10 * US), 1);
	assert_int_equal(next(impair, INT64_MAX), -1);
	impair_free(impair);
	impair = weather(&(struct vnic_impairment){.duplicate = 1, .seed = 1});
	assert_int_equal(impair_take(impair, &frame, START, &copies), IMPAIR_PASSED);
	assert_int_equal(copies, 1);
	assert_int_equal(next(impair, START), 1);
	impair_free(impair);
}

static void a_reordered_frame_jumps_over_those_that_wait(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.delay_us = 1000, .seed = 1});
	struct vnic_error err;

	(void)state;
	assert_int_equal(take(impair, 1, START), IMPAIR_HELD);
	vt_ok(impair_change(impair, &(struct vnic_impairment){.delay_us = 1000, .reorder = 1, .seed = 1}, START, &err),
	      &err);
	assert_int_equal(take(impair, 2, START), IMPAIR_PASSED);
	assert_int_equal(next(impair, INT64_MAX), 1);
	impair_free(impair);
}

static void corruption_flips_one_bit_behind_the_link_header(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.corrupt = 1, .seed = 9});

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct frame frame = numbered(0, LEN);
		unsigned copies, bits = 0;

		assert_int_equal(impair_take(impair, &frame, START, &copies), IMPAIR_PASSED);
		for (size_t at = 0; at < LEN; at++)
			bits += (unsigned)__builtin_popcount(frame.data[at]);
		assert_int_equal(bits, 1);
		for (size_t at = 0; at < 14; at++)
			assert_int_equal(frame.data[at], 0);
	}
	impair_free(impair);
}

static void no_more_are_held_than_may_be(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.delay_us = 1000, .limit = 10, .seed = 1});

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(take(impair, i, START), i < 10 ? IMPAIR_HELD : IMPAIR_FULL);
	assert_int_equal(impair_held(impair), 10);
	impair_free(impair);
}

static void no_more_bytes_are_held_than_may_be(void **state)
{
	struct impair *impair = weather(&(struct vnic_impairment){.delay_us = 1000, .limit_bytes = 10 * LEN + 1});
	struct frame large = numbered(0, 11 * LEN);
	unsigned copies;

	(void)state;
	assert_int_equal(impair_take(impair, &large, START, &copies), IMPAIR_FULL);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(take(impair, i, START), i < 10 ? IMPAIR_HELD : IMPAIR_FULL);
	assert_int_equal(impair_held_bytes(impair), 10 * LEN);
	assert_int_equal(next(impair, INT64_MAX), 0);
	assert_int_equal(impair_held_bytes(impair), 9 * LEN);
	assert_int_equal(take(impair, 20, START), IMPAIR_HELD);
	while (next(impair, INT64_MAX) >= 0)
		;
	assert_int_equal(impair_held_bytes(impair), 0);
	impair_free(impair);
}

static void what_is_no_probability_is_refused(void **state)
{
	const struct vnic_impairment wrong[] = {
		{.loss = 1.1}, {.corrupt = -0.1}, {.duplicate = NAN}, {.limit = 2000000}};
	struct impair *impair;
	struct vnic_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		vt_fails(impair_new(&wrong[i], &impair, &err), &err, VNIC_STEP_USAGE, EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_delayed_frame_comes_then_and_not_before),
		vt_test(jitter_keeps_the_order_unless_overtaking_is_allowed),
		vt_test(jitter_has_the_distribution_asked_for),
		vt_test(as_many_are_lost_as_asked_for),
		vt_test(bursts_of_loss_are_as_frequent_and_as_long_as_asked_for),
		vt_test(the_same_seed_gives_the_same_drops),
		vt_test(a_rate_is_kept_and_a_burst_may_go_at_once),
		vt_test(a_flood_gets_no_less_than_the_rate),
		vt_test(what_is_lost_was_never_on_the_wire),
		vt_test(a_duplicate_occupies_the_wire_too),
		vt_test(the_slowest_wire_has_times_that_can_be),
		vt_test(what_waits_for_a_slow_wire_takes_the_fast_one_that_follows),
		vt_test(what_waits_for_a_wire_goes_where_there_is_none_any_more),
		vt_test(a_duplicate_comes_beside_its_original),
		vt_test(a_reordered_frame_jumps_over_those_that_wait),
		vt_test(corruption_flips_one_bit_behind_the_link_header),
		vt_test(no_more_are_held_than_may_be),
		vt_test(no_more_bytes_are_held_than_may_be),
		vt_test(what_is_no_probability_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
