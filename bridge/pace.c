/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  Who polls busily hopes to save the time that a wake-up takes.  But he occupies a CPU, so
 * whoever waits for his frames sleeps on another one, and must be woken there: in a virtual machine that takes 15 us
 * and more.  Two that share a CPU, whether they sleep in turn or one spins and gives way, hand it over in 2 us, and
 * stay together once they are.  Which is better depends on the machine, on who speaks, and above all on where: from
 * another CPU either way is slow.  So rounds of trials are made: both ways, where the thread is and on some other CPUs,
 * for some frames each.  A trial is over, and lost, once it is not clearly faster than the best before it, so a round
 * takes little more than the best does, and where nothing makes a difference the thread spins, and stays where it is.
 * Then it goes back to the best and keeps to it: for ever longer, unless it becomes far slower than it was on trial, as
 * when the scheduler has moved one of the two.  After a silence, of which nothing can be learnt, all begins anew.
 *
 * The first frames of a trial do not count: the scheduler is still about to bring the two together, or apart.
 *
 * Beside a CPU that is idle the scheduler parts who spins from who speaks, for a CPU that spins looks busy.  One on
 * which nothing but SCHED_IDLE runs does not: so the third way is to spin with that policy.  Whoever is woken takes the
 * CPU at once and gives it back.  It is tried last, everywhere: to spin in between would drive away who speaks.  And
 * the two may still be parted: a CPU that falls idle pulls a thread over that waits while another one runs.  So when it
 * becomes slow, the thread goes back, and if that does not help, on to the other places, before all begins anew.
 *
 * But where others want the CPUs for long, such a thread has hardly any, and may wait for tenths of a second.  A look
 * that comes late tells so, as does a move that takes long, and ends it for a moment, then ever longer, up to a minute,
 * or until a silence in which no look is late; who sees one while he spins, or just before, does not try it in this
 * round.  And who has no right to
 * come back from it does not go there; the kernel tells that only to who has gone, so a thread of no other use goes
 * first.
 *
 * Rejected: to try the ways alone, with sleep on another CPU each time, for then a trial tells where the thread
 * was, and its end leaves it there; to follow the sender to his CPU, for a TAP does not tell which it is; to stay on
 * one CPU, for the scheduler knows of the others who want it; to keep idle CPUs awake by /dev/cpu_dma_latency, which is
 * root's and burns every CPU of the host.
 */
#include "pace.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "clock.h"

#define SETTLE_FRAMES 16
#define TRIAL_FRAMES 128
#define TURN_FRAMES 8 /* of a turn count: a burst passes at once, and tells little of how long frames wait */
#define REST_FIRST 8  /* times TRIAL_FRAMES */
#define REST_MOST 2048
#define WORSE_MOST (PACE_PLACES + 2) /* times TRIAL_FRAMES, one after the other: then it has followed everywhere */
#define SILENCE_NS 10000000LL
#define DONE_NS 20000000LL /* after as long a silence who spoke before has done */
#define SHUN_FIRST_NS DONE_NS
#define SHUN_MOST_NS (60 * 1000000000LL)

static void begin(struct pace *pace, enum pace_way way, unsigned place)
{
	pace->way = way;
	pace->place = place;
	pace->settled = false;
	pace->frames = 0;
}

static bool crowded_lately(const struct pace *pace)
{
	return pace->last - pace->crowded_at <= DONE_NS;
}

static bool begin_round(struct pace *pace)
{
	pace->chosen = false;
	pace->crowded = crowded_lately(pace);
	pace->best.took = 0;
	pace->worse = 0;
	begin(pace, PACE_SPIN, 0);
	return true;
}

static bool keep_best(struct pace *pace)
{
	bool moves = pace->best.place != pace->place || pace->defers != (pace->best.way == PACE_DEFER);

	pace->chosen = true;
	pace->kept = 0;
	begin(pace, pace->best.way, pace->best.place);
	return moves;
}

static bool may_try_to_defer(const struct pace *pace)
{
	return pace->may_defer && !pace->crowded && pace->last >= pace->shun_until;
}

/* To spin and to sleep, place by place; then to defer, on the way back. */
static bool next_trial(struct pace *pace)
{
	if (pace->way == PACE_SPIN) {
		begin(pace, PACE_SLEEP, pace->place);
		return false;
	}
	if (pace->way == PACE_SLEEP && pace->place + 1 < pace->places)
		begin(pace, PACE_SPIN, pace->place + 1);
	else if (pace->way == PACE_SLEEP && may_try_to_defer(pace))
		begin(pace, PACE_DEFER, pace->place);
	else if (pace->way == PACE_DEFER && pace->place > 0 && may_try_to_defer(pace))
		begin(pace, PACE_DEFER, pace->place - 1);
	else
		return keep_best(pace);
	return true;
}

/* What a trial must stay below.  To defer need not be clearly faster, for by it the two stay together. */
static int64_t limit(const struct pace *pace)
{
	return pace->way == PACE_DEFER ? pace->best.took / 8 * 9 : pace->best.took / 4 * 3;
}

static bool count_trial(struct pace *pace, int64_t now)
{
	if (pace->best.took && now - pace->began >= limit(pace))
		return next_trial(pace);
	if (pace->frames < TRIAL_FRAMES)
		return false;
	pace->best.way = pace->way;
	pace->best.place = pace->place;
	pace->best.took = now - pace->began;
	return next_trial(pace);
}

/* One of the two has been moved: whoever was here, or else who spoke to him. */
static bool follow(struct pace *pace)
{
	if (pace->worse > 1 && pace->way == PACE_DEFER && ++pace->place >= pace->places)
		pace->place = 0;
	return pace->worse > 0;
}

static bool count_kept(struct pace *pace, int64_t now)
{
	int64_t ns = now - pace->began;

	if (pace->frames < TRIAL_FRAMES)
		return false;
	if (ns < pace->best.took) /* it was disturbed when it was on trial */
		pace->best.took = ns;
	pace->worse = ns > pace->best.took / 2 * 3 ? pace->worse + 1 : 0;
	pace->kept++;
	pace->frames = 0;
	pace->began = now;
	if (pace->worse == WORSE_MOST)
		return begin_round(pace);
	if (pace->kept < pace->rest)
		return follow(pace);
	pace->rest = pace->rest < REST_MOST ? pace->rest * 4 : REST_MOST;
	return begin_round(pace);
}

bool pace_count(struct pace *pace, unsigned frames, int64_t now)
{
	bool silence = now - pace->last > SILENCE_NS, done = now - pace->last > DONE_NS;

	pace->last = now;
	if (done && !crowded_lately(pace))
		pace->shun = pace->shun_until = 0;
	pace->frames += frames < TURN_FRAMES ? frames : TURN_FRAMES;
	if (silence) {
		pace->rest = REST_FIRST;
		return begin_round(pace);
	}
	if (pace->settled)
		return pace->chosen ? count_kept(pace, now) : count_trial(pace, now);
	if (pace->frames >= SETTLE_FRAMES) {
		pace->settled = true;
		pace->frames = 0;
		pace->began = now;
	}
	return false;
}

bool pace_crowd(struct pace *pace, int64_t now)
{
	bool chosen = pace->chosen;

	pace->crowded = true;
	pace->crowded_at = now;
	if (pace->way != PACE_DEFER)
		return false;
	pace->shun = pace->shun ? pace->shun * 4 : SHUN_FIRST_NS;
	if (pace->shun > SHUN_MOST_NS)
		pace->shun = SHUN_MOST_NS;
	pace->shun_until = now + pace->shun;
	if (pace->best.way == PACE_DEFER) /* somewhere else */
		pace->best.way = PACE_SPIN;
	if (chosen)
		begin_round(pace);
	return chosen || next_trial(pace);
}

/* --- the CPUs --------------------------------------------------------------------------- */

/* Here, and those that follow the last one visited. */
static void choose_cpus(struct pace *pace, const cpu_set_t *allowed)
{
	int here = sched_getcpu();
	unsigned cpu = pace->cpus[pace->places ? pace->places - 1 : 0];

	pace->places = 1;
	pace->cpus[0] = here < 0 ? 0 : (unsigned)here;
	for (unsigned left = CPU_SETSIZE; left && pace->places < PACE_PLACES; left--) {
		cpu = (cpu + 1) % CPU_SETSIZE;
		if (CPU_ISSET(cpu, allowed) && cpu != pace->cpus[0])
			pace->cpus[pace->places++] = cpu;
	}
}

/* CPUs that a wider cpuset or a hot plug brings later are not among those that it is free to go to. */
static void move_to(unsigned cpu, const cpu_set_t *allowed)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) == 0)
		sched_setaffinity(0, sizeof(*allowed), allowed);
}

/* --- the policy ------------------------------------------------------------------------- */

static int set_policy(int policy)
{
	return sched_setscheduler(0, policy, &(struct sched_param){0});
}

static void *go_and_come_back(void *ret_came)
{
	*(bool *)ret_came = set_policy(SCHED_IDLE) == 0 && set_policy(SCHED_OTHER) == 0;
	return NULL;
}

/* It takes CAP_SYS_NICE over the host, or an RLIMIT_NICE as large as its nice value needs. */
void pace_begin(struct pace *pace)
{
	pthread_t thread;
	bool came = false;

	if (sched_getscheduler(0) == SCHED_OTHER && pthread_create(&thread, NULL, go_and_come_back, &came) == 0)
		pthread_join(thread, NULL);
	pace->may_defer = came;
}

/* Who was stopped, or the whole machine with him, was not kept waiting by others; such a one has slept. */
bool pace_has_slept(struct pace *pace)
{
	struct rusage usage = {0};
	long slept = pace->slept;

	getrusage(RUSAGE_THREAD, &usage);
	pace->slept = usage.ru_nvcsw;
	return pace->slept != slept;
}

static void defer(struct pace *pace, bool to_others)
{
	if (to_others != pace->defers && set_policy(to_others ? SCHED_IDLE : SCHED_OTHER) == 0)
		pace->defers = to_others;
}

/* The next thread may be another one. */
void pace_end(struct pace *pace)
{
	defer(pace, false);
	*pace = (struct pace){0};
}

static void take_place(struct pace *pace)
{
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return; /* more CPUs than a cpu_set_t has */
	if (!pace->chosen && pace->place == 0 && pace->way == PACE_SPIN)
		choose_cpus(pace, &allowed);
	else if (CPU_ISSET(pace->cpus[pace->place], &allowed))
		move_to(pace->cpus[pace->place], &allowed);
}

/* Who has to wait for the CPU that he goes to comes late, too. */
void pace_go(struct pace *pace)
{
	int64_t began, now;

	do {
		began = monotonic_ns();
		defer(pace, pace->way == PACE_DEFER);
		take_place(pace);
		now = monotonic_ns();
	} while (now - began >= PACE_LATE_NS && pace_crowd(pace, now));
	pace_has_slept(pace); /* who is moved does, for a moment */
}
