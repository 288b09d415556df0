/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  Who polls busily hopes to save the time that a wake-up takes.  But he occupies a CPU, so
 * whoever waits for his frames sleeps on another one, and must be woken there: in a virtual machine that takes 15 us
 * and more.  Two that sleep in turn and share a CPU hand it over in 2 us, and stay together once they are.  Which is
 * better depends on the machine and on who speaks.  So both are tried, for some frames each: spinning, and sleep
 * on another CPU each time.  What let the frames through sooner is kept for many; sleep must be clearly better.  As
 * long as spinning wins the trials get rare.  After a silence, of which nothing can be learnt, all begins anew.
 *
 * Rejected: to follow the sender to his CPU, for a TAP does not tell which it is; to stay on one CPU, for the
 * scheduler knows of the others who want it; to keep idle CPUs awake by /dev/cpu_dma_latency, which is root's
 * and burns every CPU of the host.
 */
#include "pace.h"

#include <sched.h>

#define TRIAL_FRAMES 128
#define KEPT_TRIALS 128u /* at most */
#define SILENCE_NS 10000000LL

static void begin(struct pace *pace, enum pace_way way, bool chosen, int64_t now)
{
	pace->way = way;
	pace->chosen = chosen;
	pace->frames = 0;
	pace->began = now;
}

static void choose(struct pace *pace, int64_t now)
{
	bool sleeps = pace->took[PACE_SLEEP] < pace->took[PACE_SPIN] / 4 * 3;

	pace->rest = sleeps || pace->rest >= KEPT_TRIALS ? KEPT_TRIALS : pace->rest * 2;
	begin(pace, sleeps ? PACE_SLEEP : PACE_SPIN, true, now);
}

bool pace_count(struct pace *pace, unsigned frames, int64_t now)
{
	bool silence = now - pace->last > SILENCE_NS;

	pace->last = now;
	pace->frames += frames;
	if (silence) {
		begin(pace, PACE_SPIN, false, now);
		pace->rest = 1;
	} else if (pace->chosen) {
		if (pace->frames >= (uint64_t)pace->rest * TRIAL_FRAMES)
			begin(pace, PACE_SPIN, false, now);
	} else if (pace->frames >= TRIAL_FRAMES) {
		pace->took[pace->way] = now - pace->began;
		if (pace->way == PACE_SLEEP) {
			choose(pace, now);
		} else {
			begin(pace, PACE_SLEEP, false, now);
			return true;
		}
	}
	return false;
}

void pace_visit_cpu(unsigned *visits)
{
	cpu_set_t allowed, one;
	unsigned skip;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return; /* more CPUs than a cpu_set_t has */
	skip = (*visits)++ % (unsigned)CPU_COUNT(&allowed);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || skip-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) == 0)
			sched_setaffinity(0, sizeof(allowed), &allowed);
		return;
	}
}
