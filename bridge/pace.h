/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which way of waiting lets frames through sooner: to look again and again, or to sleep; on which CPU, and as whom. */
#ifndef BRIDGE_PACE_H
#define BRIDGE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_PLACES 4 /* CPUs that a round of trials visits, at most */

enum pace_way {
	PACE_SPIN,
	PACE_SLEEP,
	PACE_DEFER, /* spin, but only while nobody else wants the CPU (SCHED_IDLE, sched(7)) */
	PACE_WAYS,
};

/* All zeroes is a fresh one. */
struct pace {
	enum pace_way way; /* what to do now, and where: the number of a place */
	unsigned place;
	bool chosen;         /* they are kept; otherwise they are on trial */
	bool settled;        /* and are measured by now */
	uint64_t frames;     /* since that began */
	int64_t began, last; /* CLOCK_MONOTONIC, ns: when it did; the latest turn */

	struct {
		enum pace_way way;
		unsigned place;
		int64_t took; /* ns, for the frames of a trial; 0: there was none yet */
	} best;               /* of this round's trials */
	unsigned kept, worse; /* for so many times the frames of a trial; how many of these, lately, were far slower */
	unsigned rest;        /* for how many it may be kept at most */
	bool crowded;         /* somebody else wanted the CPU, in this round or just before */
	int64_t crowded_at;   /* CLOCK_MONOTONIC, ns: when somebody last did */
	int64_t shun;         /* for how many ns PACE_DEFER is not tried, for then they did; grows */
	int64_t shun_until;

	unsigned places; /* of pace_go: the CPUs of this round; the first is where it began */
	unsigned cpus[PACE_PLACES];
	bool may_defer; /* the thread would come back from SCHED_IDLE */
	bool defers;    /* it has that policy now */
	long slept;     /* how often it had slept (ru_nvcsw, getrusage(2)), when that was last asked */
};

/* The calling thread may be given another policy from now on, if it can come back; and it has its own again. */
void pace_begin(struct pace *pace);
void pace_end(struct pace *pace);

/* A turn has moved so many frames.  True: pace_go() next. */
bool pace_count(struct pace *pace, unsigned frames, int64_t now);

/* Who spins has looked, and looks again after as long as this: less than the turn of somebody else. */
#define PACE_LATE_NS 2000000LL

/* Has the thread slept since this, or pace_go(), was called?  Then nobody has kept it waiting. */
bool pace_has_slept(struct pace *pace);

/* Somebody has: others want the CPU.  True: pace_go() next. */
bool pace_crowd(struct pace *pace, int64_t now);

/*
 * Moves the calling thread to where it is to be now, and leaves it free to go, and makes it defer to others or no
 * longer; when a round begins, chooses the CPUs.
 */
void pace_go(struct pace *pace);

#endif
