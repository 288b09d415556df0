/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "timer.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "fd.h"

int timers_open(struct timers *timers, struct vnic_error *err)
{
	timers->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	return timers->fd < 0 ? vnic_fail(err, VNIC_STEP_OPEN, errno, "a timer", NULL) : 0;
}

void timers_close(struct timers *timers)
{
	close_fd(&timers->fd);
	*timers = TIMERS_EMPTY;
}

static void arm(struct timers *timers, int64_t due)
{
	const struct itimerspec spec = {.it_value = {.tv_sec = due / NS_PER_S, .tv_nsec = due % NS_PER_S}};

	timers->armed = due;
	timerfd_settime(timers->fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void take_out(struct timers *timers, struct timer *timer)
{
	struct timer **at = &timers->first;

	while (*at && *at != timer)
		at = &(*at)->next;
	if (*at)
		*at = timer->next;
	timer->due = 0;
}

void timers_set(struct timers *timers, struct timer *timer, int64_t due)
{
	if (due == TIMER_NEVER) {
		if (timer->due)
			take_out(timers, timer);
		return;
	}
	if (!timer->due) {
		timer->next = timers->first;
		timers->first = timer;
	}
	timer->due = due > 0 ? due : 1;
	if (!timers->armed || timer->due < timers->armed)
		arm(timers, timer->due);
}

/* One that runs may set itself again, and others too: a new look at the list each time. */
static struct timer *next_due(const struct timers *timers, int64_t now)
{
	for (struct timer *timer = timers->first; timer; timer = timer->next)
		if (timer->due <= now)
			return timer;
	return NULL;
}

void timers_run(struct timers *timers, int64_t now)
{
	struct timer *timer;
	uint64_t times;

	if (read(timers->fd, &times, sizeof(times)) < 0 && errno != EAGAIN)
		return;
	while ((timer = next_due(timers, now))) {
		take_out(timers, timer);
		timer->run(timer, now);
	}
	timers->armed = 0;
	for (timer = timers->first; timer; timer = timer->next)
		if (!timers->armed || timer->due < timers->armed)
			timers->armed = timer->due;
	if (timers->armed)
		arm(timers, timers->armed);
}
