/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "turns.h"

/* Not <sched.h>: both define struct sched_param. */
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_NS 100000 /* the least that there is */

void turns_init(struct turns *turns)
{
	struct sched_attr attr = {0};

	turns->ours = syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) == 0 && attr.sched_policy == SCHED_NORMAL;
	turns->nice = attr.sched_nice;
	turns_are_bulk(turns, false);
}

void turns_are_bulk(const struct turns *turns, bool bulk)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = bulk ? SCHED_BATCH : SCHED_NORMAL,
		.sched_nice = turns->nice,
		.sched_runtime = SLICE_NS,
	};

	if (turns->ours)
		syscall(SYS_sched_setattr, 0, &attr, 0);
}
