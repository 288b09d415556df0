/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is due at a time: one timerfd for all of a relay, armed for the first; with nothing due nobody wakes. */
#ifndef BRIDGE_TIMER_H
#define BRIDGE_TIMER_H

#include <stdint.h>

#include <vnic/error.h>

#include "clock.h"

#define TIMER_NEVER INT64_MAX

/* Part of what it belongs to; must not move while it is set. */
struct timer {
	int64_t due;                                   /* CLOCK_MONOTONIC, ns; 0: not set */
	void (*run)(struct timer *timer, int64_t now); /* may set it again */
	struct timer *next;
};

struct timers {
	int fd; /* readable when one is due; -1: not open */
	int64_t armed;
	struct timer *first; /* in no order: they are few, one for each impaired port and each waiting one */
};

#define TIMERS_EMPTY ((struct timers){.fd = -1})

int timers_open(struct timers *timers, struct vnic_error *err);
void timers_close(struct timers *timers);
/* Sets it, or sets it anew; TIMER_NEVER takes it out. */
void timers_set(struct timers *timers, struct timer *timer, int64_t due);
void timers_run(struct timers *timers, int64_t now);

#endif
