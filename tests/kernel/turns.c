/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the gateway gets its turn: its slice, its policy while much is carried, and what its caller chose. */
#include "turns.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vt.h"

/* <linux/sched/types.h> cannot be had beside <sched.h>: sched_runtime is the fourth word of struct sched_attr. */
static uint64_t slice_ns(void)
{
	uint64_t attr[6] = {0};

	assert_int_equal(syscall(SYS_sched_getattr, 0, attr, sizeof(attr), 0), 0);
	return attr[3];
}

static void is(int policy, int nice)
{
	assert_int_equal(sched_getscheduler(0), policy);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), nice);
}

static int turn_about(void *ctx)
{
	int nice = getpriority(PRIO_PROCESS, 0) + 1;
	struct turns turns;

	(void)ctx;
	assert_int_equal(setpriority(PRIO_PROCESS, 0, nice), 0);
	turns_init(&turns);
	is(SCHED_OTHER, nice);
	assert_in_range(slice_ns(), 0, 100000); /* 0: before Linux 6.12 */
	for (int i = 0; i < 2; i++) {
		turns_are_bulk(&turns, true);
		is(SCHED_BATCH, nice);
		turns_are_bulk(&turns, false);
		is(SCHED_OTHER, nice);
	}
	return 0;
}

static void bulk_makes_it_wait_and_niceness_stays(void **state)
{
	(void)state;
	assert_int_equal(vt_in_child(turn_about, NULL), 0);
}

static int turn_about_idly(void *ctx)
{
	int nice = getpriority(PRIO_PROCESS, 0);
	struct turns turns;

	(void)ctx;
	assert_int_equal(sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}), 0);
	turns_init(&turns);
	turns_are_bulk(&turns, true);
	is(SCHED_IDLE, nice);
	turns_are_bulk(&turns, false);
	is(SCHED_IDLE, nice);
	return 0;
}

static void a_policy_that_the_caller_chose_stays(void **state)
{
	(void)state;
	assert_int_equal(vt_in_child(turn_about_idly, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(bulk_makes_it_wait_and_niceness_stays),
		vt_test(a_policy_that_the_caller_chose_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
