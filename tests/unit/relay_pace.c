/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay that polls busily: when it spins, when it sleeps, and on which CPU. */
#include "vt.h"

#include <sched.h>

#include "pace.h"

#define US 1000LL
#define LONG 4000000 /* frames: more than anything is kept */

/* Two CPUs.  Who speaks is on one of them, and each way of waiting lets frames through in its own time there and
 * elsewhere. */
struct talk {
	struct pace pace;
	int64_t now;
	unsigned at, partner; /* CPUs */
	unsigned home;        /* where the round began, which is its place 0 */
	int64_t near[PACE_WAYS], far[PACE_WAYS];
	unsigned frames[PACE_WAYS]; /* that came while it span, while it slept */
	unsigned together;          /* that came while both were on one CPU */
	unsigned moves;
};

static void go(struct talk *talk)
{
	unsigned from = talk->at;

	if (!talk->pace.chosen && talk->pace.place == 0)
		talk->home = talk->at;
	else
		talk->at = (talk->home + talk->pace.place) % 2;
	talk->moves += talk->at != from;
}

static void talk(struct talk *talk, unsigned frames)
{
	talk->frames[PACE_SPIN] = talk->frames[PACE_SLEEP] = talk->together = talk->moves = 0;
	for (unsigned i = 0; i < frames; i++) {
		bool near = talk->at == talk->partner;

		talk->now += (near ? talk->near : talk->far)[talk->pace.way];
		talk->frames[talk->pace.way]++;
		talk->together += near;
		if (pace_count(&talk->pace, 1, talk->now))
			go(talk);
	}
}

static struct talk begun(int64_t spin, int64_t sleep)
{
	return (struct talk){.now = 1000000 * 1000 * US, .pace.places = 2, .near = {spin, sleep}, .far = {spin, sleep}};
}

/* Whoever is woken on another CPU takes long to wake up. */
static struct talk begun_apart(void)
{
	struct talk one = begun(4 * US, 4 * US);

	one.partner = 1;
	one.far[PACE_SPIN] = 15 * US;
	one.far[PACE_SLEEP] = 30 * US;
	return one;
}

static void it_spins_at_first(void **state)
{
	struct talk one = begun(5 * US, 5 * US);

	(void)state;
	assert_int_equal(one.pace.way, PACE_SPIN);
	talk(&one, 8);
	assert_int_equal(one.frames[PACE_SPIN], 8);
	assert_int_equal(one.moves, 0);
}

static void sleep_that_is_clearly_faster_is_kept(void **state)
{
	struct talk one = begun(30 * US, 7 * US);

	(void)state;
	talk(&one, LONG);
	assert_in_range(one.frames[PACE_SPIN], 1, LONG / 100);
}

static void sleep_that_is_hardly_faster_is_not(void **state)
{
	struct talk one = begun(10 * US, 9 * US);

	(void)state;
	talk(&one, LONG);
	assert_in_range(one.frames[PACE_SLEEP], 1, LONG / 100);
}

static void it_goes_where_frames_pass_sooner_and_stays_there(void **state)
{
	struct talk one = begun_apart();

	(void)state;
	talk(&one, 1000);
	assert_int_equal(one.at, one.partner);
	talk(&one, LONG);
	assert_in_range(LONG - one.together, 1, LONG / 100);
}

static void it_stays_where_it_is_when_that_makes_no_difference(void **state)
{
	struct talk one = begun(10 * US, 10 * US);

	(void)state;
	talk(&one, 1000);
	assert_int_equal(one.at, 0);
	assert_int_equal(one.moves, 2); /* there and back */
	assert_true(one.pace.chosen);
}

static void a_trial_that_is_slow_is_soon_over(void **state)
{
	struct talk one = begun_apart();

	(void)state;
	one.partner = 0;
	one.far[PACE_SPIN] = one.far[PACE_SLEEP] = 100 * US;
	while (!one.pace.chosen)
		talk(&one, 1);
	assert_in_range(one.now - begun_apart().now, 1, 600 * 10 * US);
}

static void trials_get_rare(void **state)
{
	struct talk one = begun(10 * US, 30 * US);
	unsigned early;

	(void)state;
	talk(&one, 20000);
	early = one.moves;
	assert_in_range(early, 4, 12);
	talk(&one, LONG);
	talk(&one, LONG);
	assert_in_range(one.moves, 1, LONG / 100000);
}

static void it_finds_a_partner_who_has_gone_elsewhere(void **state)
{
	struct talk one = begun_apart();

	(void)state;
	talk(&one, LONG);
	assert_int_equal(one.at, one.partner);
	one.partner = 1 - one.partner;
	talk(&one, LONG / 100);
	assert_int_equal(one.at, one.partner);
}

static void one_slow_moment_is_no_reason_to_try_again(void **state)
{
	struct talk one = begun(5 * US, 5 * US);

	(void)state;
	talk(&one, 1000);
	assert_true(one.pace.chosen);
	one.now += 3000 * US;
	talk(&one, 300);
	assert_int_equal(one.moves, 0);
	assert_true(one.pace.chosen);
}

static void it_spins_again_after_a_silence(void **state)
{
	struct talk one = begun(30 * US, 7 * US);

	(void)state;
	talk(&one, 1000);
	assert_int_equal(one.pace.way, PACE_SLEEP);
	one.now += 1000 * 1000 * US;
	talk(&one, 1);
	assert_int_equal(one.pace.way, PACE_SPIN);
	assert_false(one.pace.chosen);
}

static void a_round_visits_cpus_and_leaves_the_thread_free(void **state)
{
	struct pace pace = {0};
	cpu_set_t before, after;

	(void)state;
	assert_return_code(sched_getaffinity(0, sizeof(before), &before), 0);
	for (int round = 0; round < 3; round++) {
		pace.chosen = false;
		pace.place = 0;
		pace_go(&pace);
		assert_int_equal(pace.places, CPU_COUNT(&before) < PACE_PLACES ? CPU_COUNT(&before) : PACE_PLACES);
		for (pace.place = 1; pace.place < pace.places; pace.place++) {
			assert_true(CPU_ISSET(pace.cpus[pace.place], &before));
			assert_int_not_equal(pace.cpus[pace.place], pace.cpus[pace.place - 1]);
			pace_go(&pace);
			assert_return_code(sched_getaffinity(0, sizeof(after), &after), 0);
			assert_true(CPU_EQUAL(&before, &after));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(it_spins_at_first),
		vt_test(sleep_that_is_clearly_faster_is_kept),
		vt_test(sleep_that_is_hardly_faster_is_not),
		vt_test(it_goes_where_frames_pass_sooner_and_stays_there),
		vt_test(it_stays_where_it_is_when_that_makes_no_difference),
		vt_test(a_trial_that_is_slow_is_soon_over),
		vt_test(trials_get_rare),
		vt_test(it_finds_a_partner_who_has_gone_elsewhere),
		vt_test(one_slow_moment_is_no_reason_to_try_again),
		vt_test(it_spins_again_after_a_silence),
		vt_test(a_round_visits_cpus_and_leaves_the_thread_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
