/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay that polls busily: when it spins, when it sleeps, and on which CPU. */
#include "vt.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

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
	unsigned frames[PACE_WAYS]; /* that came while it span, slept, and deferred to others */
	unsigned together;          /* that came while both were on one CPU */
	unsigned moves;
};

static void go(struct talk *talk)
{
	unsigned from = talk->at;

	talk->pace.defers = talk->pace.way == PACE_DEFER;
	if (!talk->pace.chosen && talk->pace.place == 0 && talk->pace.way == PACE_SPIN)
		talk->home = talk->at;
	else
		talk->at = (talk->home + talk->pace.place) % 2;
	talk->moves += talk->at != from;
}

static void talk(struct talk *talk, unsigned frames)
{
	memset(talk->frames, 0, sizeof(talk->frames));
	talk->together = talk->moves = 0;
	for (unsigned i = 0; i < frames; i++) {
		bool near = talk->at == talk->partner;

		talk->now += (near ? talk->near : talk->far)[talk->pace.way];
		talk->frames[talk->pace.way]++;
		talk->together += near;
		if (pace_count(&talk->pace, 1, talk->now))
			go(talk);
	}
}

/* Returns how many frames it has deferred for. */
static unsigned until_chosen(struct talk *one)
{
	unsigned deferred = 0;

	while (!one->pace.chosen) {
		talk(one, 1);
		deferred += one->frames[PACE_DEFER];
	}
	return deferred;
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
	until_chosen(&one);
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

/* The scheduler parts the two wherever the relay is, unless it defers to others. */
static struct talk begun_beside_an_idle_cpu(void)
{
	struct talk one = begun(15 * US, 20 * US);

	one.near[PACE_DEFER] = one.far[PACE_DEFER] = 4 * US;
	one.pace.may_defer = true;
	return one;
}

static void it_defers_to_others_where_that_is_faster(void **state)
{
	struct talk one = begun_beside_an_idle_cpu();

	(void)state;
	talk(&one, LONG);
	assert_in_range(LONG - one.frames[PACE_DEFER], 1, LONG / 100);
	assert_true(one.pace.defers);
}

static void it_defers_where_that_is_as_fast(void **state)
{
	struct talk one = begun(5 * US, 5 * US);

	(void)state;
	one.near[PACE_DEFER] = one.far[PACE_DEFER] = 5 * US;
	one.pace.may_defer = true;
	until_chosen(&one);
	assert_int_equal(one.pace.way, PACE_DEFER);
}

static void who_has_tried_to_defer_for_nothing_no_longer_does(void **state)
{
	struct talk one = begun(5 * US, 20 * US);

	(void)state;
	one.pace.places = 1;
	one.pace.may_defer = true;
	one.near[PACE_DEFER] = one.far[PACE_DEFER] = 30 * US;
	assert_in_range(until_chosen(&one), 1, 200);
	assert_int_equal(one.pace.way, PACE_SPIN);
	assert_false(one.pace.defers);
}

static void it_never_defers_where_it_could_not_come_back(void **state)
{
	struct talk one = begun_beside_an_idle_cpu();

	(void)state;
	one.pace.may_defer = false;
	talk(&one, LONG);
	assert_int_equal(one.frames[PACE_DEFER], 0);
}

static void it_defers_no_more_once_others_want_the_cpu(void **state)
{
	struct talk one = begun_beside_an_idle_cpu();

	(void)state;
	until_chosen(&one);
	assert_int_equal(one.pace.way, PACE_DEFER);
	assert_true(pace_crowd(&one.pace, one.now));
	go(&one);
	assert_false(one.pace.defers);
	until_chosen(&one);
	assert_int_equal(one.pace.way, PACE_SPIN);
	talk(&one, 19 * 1000 / 20);
	assert_int_equal(one.frames[PACE_DEFER], 0);
	talk(&one, LONG);
	assert_int_equal(one.pace.way, PACE_DEFER);
}

/* Frames every 20 us, and others come back whenever it defers. */
static void each_time_that_others_want_the_cpu_it_defers_no_more_for_longer(void **state)
{
	struct talk one = begun_beside_an_idle_cpu();
	int64_t shun = 20 * 1000 * US;

	(void)state;
	for (int i = 0; i < 8; i++) {
		while (one.pace.way != PACE_DEFER)
			talk(&one, 1);
		assert_true(one.now >= one.pace.shun_until);
		assert_true(pace_crowd(&one.pace, one.now));
		go(&one);
		assert_int_equal(one.pace.shun_until - one.now, shun);
		shun = shun * 4 < 60000 * 1000 * US ? shun * 4 : 60000 * 1000 * US;
	}
	one.now += 21 * 1000 * US; /* they have done */
	talk(&one, 1);
	assert_int_equal(one.pace.shun, 0);
}

static void it_defers_again_when_who_spoke_has_done(void **state)
{
	struct talk one = begun_beside_an_idle_cpu();

	(void)state;
	until_chosen(&one);
	assert_true(pace_crowd(&one.pace, one.now));
	go(&one);
	talk(&one, 1);
	until_chosen(&one);
	assert_int_equal(one.pace.way, PACE_SPIN);
	one.now += 101 * 1000 * US;
	talk(&one, 1);
	until_chosen(&one);
	assert_int_equal(one.pace.way, PACE_DEFER);
}

static void others_who_want_the_cpu_end_a_trial_of_it(void **state)
{
	struct talk one = begun_beside_an_idle_cpu();

	(void)state;
	while (one.pace.way != PACE_DEFER)
		talk(&one, 1);
	assert_false(one.pace.chosen);
	assert_true(pace_crowd(&one.pace, one.now));
	go(&one);
	assert_int_equal(until_chosen(&one), 0);
	assert_int_equal(one.pace.way, PACE_SPIN);
}

static void it_is_not_tried_where_others_want_the_cpu(void **state)
{
	struct talk one = begun_beside_an_idle_cpu();

	(void)state;
	talk(&one, 8);
	assert_false(pace_crowd(&one.pace, one.now));
	assert_int_equal(until_chosen(&one), 0);
}

static void it_is_not_tried_right_after_others_wanted_the_cpu(void **state)
{
	struct talk one = begun_beside_an_idle_cpu();

	(void)state;
	until_chosen(&one);
	assert_true(pace_crowd(&one.pace, one.now));
	go(&one);
	one.now += 100 * 1000 * US; /* they have done ... */
	pace_crowd(&one.pace, one.now);
	talk(&one, 1); /* ... and come back just before a frame does */
	assert_int_equal(until_chosen(&one), 0);
	one.now += 21 * 1000 * US;
	talk(&one, 1);
	until_chosen(&one);
	assert_int_equal(one.pace.way, PACE_DEFER);
}

static void late_looks_in_a_silence_tell_that_others_still_want_the_cpu(void **state)
{
	struct talk one = begun_beside_an_idle_cpu();

	(void)state;
	until_chosen(&one);
	assert_true(pace_crowd(&one.pace, one.now));
	go(&one);
	until_chosen(&one);
	one.now += 15 * 1000 * US;
	pace_crowd(&one.pace, one.now);
	one.now += 15 * 1000 * US;
	talk(&one, 1);
	assert_int_equal(until_chosen(&one), 0);
	one.now += 21 * 1000 * US;
	talk(&one, 1);
	until_chosen(&one);
	assert_int_equal(one.pace.way, PACE_DEFER);
}

/* Only who defers, and on the same CPU, is fast. */
static struct talk begun_where_it_lasts_together(void)
{
	struct talk one = begun(15 * US, 15 * US);

	one.near[PACE_DEFER] = 4 * US;
	one.far[PACE_DEFER] = 15 * US;
	one.pace.may_defer = true;
	return one;
}

static void it_defers_on_the_cpu_of_who_speaks(void **state)
{
	(void)state;
	for (unsigned partner = 0; partner < 2; partner++) {
		struct talk one = begun_where_it_lasts_together();

		one.partner = partner;
		until_chosen(&one);
		assert_int_equal(one.pace.way, PACE_DEFER);
		assert_int_equal(one.at, partner);
	}
}

static void it_is_tried_after_all_else(void **state)
{
	struct talk one = begun_where_it_lasts_together();

	(void)state;
	while (one.pace.way != PACE_DEFER)
		talk(&one, 1);
	while (!one.pace.chosen) {
		assert_int_equal(one.pace.way, PACE_DEFER);
		talk(&one, 1);
	}
}

static void who_was_pulled_away_goes_back(void **state)
{
	struct talk one = begun_where_it_lasts_together();

	(void)state;
	until_chosen(&one);
	talk(&one, 16 + 128);
	assert_int_equal(one.pace.place, one.pace.best.place);
	one.at = 1 - one.partner;
	talk(&one, 2 * 128);
	assert_int_equal(one.at, one.partner);
	assert_int_equal(one.moves, 1);
	assert_true(one.pace.chosen);
}

static void it_follows_who_speaks(void **state)
{
	struct talk one = begun_where_it_lasts_together();

	(void)state;
	until_chosen(&one);
	talk(&one, 128);
	one.partner = 1 - one.partner;
	talk(&one, 4 * 128);
	assert_int_equal(one.at, one.partner);
	assert_int_equal(one.moves, 1);
	assert_int_equal(one.frames[PACE_DEFER], 4 * 128);
	assert_true(one.pace.chosen);
}

static void who_spins_does_not_follow(void **state)
{
	struct talk one = begun_apart();

	(void)state;
	until_chosen(&one);
	assert_int_equal(one.pace.way, PACE_SPIN);
	one.partner = 1 - one.partner;
	for (unsigned slow = 1; slow <= 4; slow++) {
		talk(&one, slow == 1 ? 16 + 128 : 128);
		assert_int_equal(one.pace.worse, slow);
		assert_int_equal(one.pace.place, one.pace.best.place);
	}
}

static void a_trial_that_was_disturbed_does_not_hide_that_it_has_become_slow(void **state)
{
	struct talk one = begun_where_it_lasts_together();

	(void)state;
	one.near[PACE_DEFER] = 10 * US;
	until_chosen(&one);
	one.near[PACE_DEFER] = 4 * US;
	talk(&one, 16 + 2 * 128);
	one.partner = 1 - one.partner;
	one.far[PACE_DEFER] = 12 * US;
	talk(&one, 4 * 128);
	assert_int_equal(one.at, one.partner);
}

static void bursts_among_lone_frames_are_no_reason_to_look_elsewhere(void **state)
{
	struct talk one = begun_apart();
	unsigned apart = 0, moves = 0;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		talk(&one, 1000);
		apart += 1000 - one.together;
		moves += one.moves;
		for (unsigned turn = 0; turn < 2; turn++) {
			one.now += 10 * US;
			if (pace_count(&one.pace, 64, one.now))
				go(&one);
		}
	}
	assert_in_range(apart, 0, 2000 * 1000 / 100);
	assert_in_range(moves, 1, 200);
}

static void it_tries_all_again_where_to_follow_is_no_use(void **state)
{
	struct talk one = begun_where_it_lasts_together();

	(void)state;
	until_chosen(&one);
	one.near[PACE_DEFER] = 30 * US;
	one.far[PACE_DEFER] = 30 * US;
	talk(&one, 8 * 128);
	assert_false(one.pace.chosen);
	until_chosen(&one);
	assert_int_equal(one.pace.way, PACE_SPIN);
}

/* As where there are more CPUs than a cpu_set_t has. */
static void where_cpus_cannot_be_told_it_stays(void **state)
{
	struct talk one = begun(15 * US, 15 * US);

	(void)state;
	one.pace.places = 0;
	one.pace.may_defer = true;
	one.near[PACE_DEFER] = 4 * US;
	until_chosen(&one);
	assert_int_equal(one.pace.way, PACE_DEFER);
	one.near[PACE_DEFER] = 30 * US;
	talk(&one, 8 * 128);
	assert_int_equal(one.moves, 0);
	until_chosen(&one);
	assert_int_equal(one.pace.way, PACE_SPIN);
}

static void a_burst_is_no_trial(void **state)
{
	struct pace pace = {.places = 1, .rest = 8, .last = 1000 * US, .settled = true, .began = 1000 * US};

	(void)state;
	assert_false(pace_count(&pace, 128, 1010 * US));
	assert_int_equal(pace.way, PACE_SPIN);
	assert_int_equal(pace.best.took, 0);
}

static void *go_and_come_back(void *ret_came)
{
	const struct sched_param none = {0};

	*(bool *)ret_came =
		sched_setscheduler(0, SCHED_IDLE, &none) == 0 && sched_setscheduler(0, SCHED_OTHER, &none) == 0;
	return NULL;
}

/* As root it may, unless others want the CPU; whoever may not keeps the policy that he has. */
static void the_thread_comes_back_from_deferring(void **state)
{
	struct pace pace = {.chosen = true};
	const int own = sched_getscheduler(0);
	pthread_t thread;
	bool came = false;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, go_and_come_back, &came), 0);
	pthread_join(thread, NULL);
	pace_begin(&pace);
	assert_int_equal(pace.may_defer, own == SCHED_OTHER && came);
	assert_int_equal(sched_getscheduler(0), own);
	pace.way = pace.may_defer ? PACE_DEFER : PACE_SPIN;
	pace.places = 1;
	pace.cpus[0] = (unsigned)sched_getcpu();
	pace_go(&pace);
	assert_int_equal(sched_getscheduler(0), pace.may_defer && !pace.crowded ? SCHED_IDLE : own);
	pace_end(&pace);
	assert_int_equal(sched_getscheduler(0), own);
	pace_go(&pace); /* whoever has not begun stays as he is */
	assert_int_equal(sched_getscheduler(0), own);
}

static void who_was_stopped_was_not_kept_waiting(void **state)
{
	struct pace pace = {0};

	(void)state;
	pace_has_slept(&pace);
	assert_false(pace_has_slept(&pace));
	assert_int_equal(poll(NULL, 0, 1), 0); /* the shortest sleep: that is what is looked for */
	assert_true(pace_has_slept(&pace));
	assert_false(pace_has_slept(&pace));
}

static void who_was_moved_has_not_slept_since(void **state)
{
	struct pace pace = {0};

	(void)state;
	pace_go(&pace);
	for (pace.place = 1; pace.place < pace.places; pace.place++) {
		pace_go(&pace);
		assert_false(pace_has_slept(&pace));
	}
}

static cpu_set_t at_first;

static void a_round_visits_cpus_and_leaves_the_thread_free(void **state)
{
	const cpu_set_t before = at_first;
	struct pace pace = {0};
	cpu_set_t after;

	(void)state;
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
		vt_test(it_defers_to_others_where_that_is_faster),
		vt_test(it_defers_where_that_is_as_fast),
		vt_test(who_has_tried_to_defer_for_nothing_no_longer_does),
		vt_test(it_never_defers_where_it_could_not_come_back),
		vt_test(it_defers_no_more_once_others_want_the_cpu),
		vt_test(each_time_that_others_want_the_cpu_it_defers_no_more_for_longer),
		vt_test(it_defers_again_when_who_spoke_has_done),
		vt_test(others_who_want_the_cpu_end_a_trial_of_it),
		vt_test(it_is_not_tried_where_others_want_the_cpu),
		vt_test(it_is_not_tried_right_after_others_wanted_the_cpu),
		vt_test(late_looks_in_a_silence_tell_that_others_still_want_the_cpu),
		vt_test(it_defers_on_the_cpu_of_who_speaks),
		vt_test(it_is_tried_after_all_else),
		vt_test(who_was_pulled_away_goes_back),
		vt_test(it_follows_who_speaks),
		vt_test(who_spins_does_not_follow),
		vt_test(a_trial_that_was_disturbed_does_not_hide_that_it_has_become_slow),
		vt_test(bursts_among_lone_frames_are_no_reason_to_look_elsewhere),
		vt_test(it_tries_all_again_where_to_follow_is_no_use),
		vt_test(where_cpus_cannot_be_told_it_stays),
		vt_test(a_burst_is_no_trial),
		vt_test(the_thread_comes_back_from_deferring),
		vt_test(who_was_stopped_was_not_kept_waiting),
		vt_test(who_was_moved_has_not_slept_since),
		vt_test(a_round_visits_cpus_and_leaves_the_thread_free),
	};

	assert_return_code(sched_getaffinity(0, sizeof(at_first), &at_first), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
