/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay that polls busily: when it spins, and when it finds that sleep lets frames through sooner. */
#include "vt.h"

#include <sched.h>

#include "pace.h"

#define US 1000LL
#define LONG 1000000 /* frames: more than any way is kept */

struct talk {
	struct pace pace;
	int64_t now;
	unsigned visits; /* how often sleep came on trial */
	unsigned spun;   /* frames that came while it span */
};

/* Frames one after the other, as fast as each way of waiting lets them through. */
static void talk(struct talk *talk, unsigned frames, int64_t spin_ns, int64_t sleep_ns)
{
	talk->spun = 0;
	for (unsigned i = 0; i < frames; i++) {
		bool spins = talk->pace.way == PACE_SPIN;

		talk->now += spins ? spin_ns : sleep_ns;
		talk->spun += spins;
		talk->visits += pace_count(&talk->pace, 1, talk->now);
	}
}

static struct talk begun(void)
{
	return (struct talk){.now = 1000000 * 1000 * US};
}

static void it_spins_at_first(void **state)
{
	struct talk one = begun();

	(void)state;
	assert_int_equal(one.pace.way, PACE_SPIN);
	talk(&one, 8, 5 * US, 5 * US);
	assert_int_equal(one.spun, 8);
	assert_int_equal(one.visits, 0);
}

static void sleep_that_is_clearly_faster_is_kept(void **state)
{
	struct talk one = begun();

	(void)state;
	talk(&one, LONG, 30 * US, 7 * US);
	assert_in_range(one.spun, 1, LONG / 50);
	assert_true(one.visits > 1);
}

static void sleep_that_is_hardly_faster_is_not(void **state)
{
	struct talk one = begun();

	(void)state;
	talk(&one, LONG, 10 * US, 9 * US);
	assert_in_range(LONG - one.spun, 1, LONG / 50);
}

static void trials_get_rare_while_spinning_wins(void **state)
{
	struct talk one = begun();
	unsigned early;

	(void)state;
	talk(&one, 20000, 10 * US, 30 * US);
	early = one.visits;
	assert_in_range(early, 5, 20);
	talk(&one, LONG, 10 * US, 30 * US);
	talk(&one, 20000, 10 * US, 30 * US);
	assert_true(one.visits > early);
	one.visits = 0;
	talk(&one, 20000, 10 * US, 30 * US);
	assert_in_range(one.visits, 1, 2);
}

static void it_spins_again_after_a_silence(void **state)
{
	struct talk one = begun();

	(void)state;
	talk(&one, 1000, 30 * US, 7 * US);
	assert_int_equal(one.pace.way, PACE_SLEEP);
	one.now += 1000 * 1000 * US;
	talk(&one, 1, 30 * US, 7 * US);
	assert_int_equal(one.pace.way, PACE_SPIN);
	assert_false(one.pace.chosen);
}

static void a_visit_of_each_cpu_leaves_the_thread_free(void **state)
{
	cpu_set_t before, after;
	unsigned visits = UINT32_MAX - 1;

	(void)state;
	assert_return_code(sched_getaffinity(0, sizeof(before), &before), 0);
	for (int i = 0; i <= CPU_COUNT(&before); i++) {
		pace_visit_cpu(&visits);
		assert_return_code(sched_getaffinity(0, sizeof(after), &after), 0);
		assert_true(CPU_EQUAL(&before, &after));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(it_spins_at_first),
		vt_test(sleep_that_is_clearly_faster_is_kept),
		vt_test(sleep_that_is_hardly_faster_is_not),
		vt_test(trials_get_rare_while_spinning_wins),
		vt_test(it_spins_again_after_a_silence),
		vt_test(a_visit_of_each_cpu_leaves_the_thread_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
