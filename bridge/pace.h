/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which way of waiting lets frames through sooner: to look again and again, or to sleep; and on which CPU. */
#ifndef BRIDGE_PACE_H
#define BRIDGE_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum pace_way { PACE_SPIN, PACE_SLEEP, PACE_WAYS };

/* All zeroes is a fresh one. */
struct pace {
	enum pace_way way;       /* what to do now */
	bool chosen;             /* it is kept; otherwise it is on trial */
	unsigned rest;           /* trials for which spinning is kept when it has won again */
	uint64_t frames;         /* since this way began */
	int64_t began, last;     /* CLOCK_MONOTONIC, ns: when it did; the latest turn */
	int64_t took[PACE_WAYS]; /* what the trial of each took, ns */
};

/* A turn has moved so many frames.  True: sleep is on trial now, and may be tried on another CPU than before. */
bool pace_count(struct pace *pace, unsigned frames, int64_t now);

/* Moves the calling thread to another of the CPUs that it may use, the next one each time, and leaves it free to go. */
void pace_visit_cpu(unsigned *visits);

#endif
