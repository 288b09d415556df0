/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which way of waiting lets frames through sooner: to look again and again, or to sleep; and on which CPU. */
#ifndef BRIDGE_PACE_H
#define BRIDGE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_PLACES 4 /* CPUs that a round of trials visits, at most */

enum pace_way { PACE_SPIN, PACE_SLEEP, PACE_WAYS };

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

	unsigned places; /* of pace_go: the CPUs of this round; the first is where it began */
	unsigned cpus[PACE_PLACES];
};

/* A turn has moved so many frames.  True: pace_go() next. */
bool pace_count(struct pace *pace, unsigned frames, int64_t now);

/* Moves the calling thread to where it is to be now, and leaves it free to go; when a round begins, chooses the CPUs.
 */
void pace_go(struct pace *pace);

#endif
