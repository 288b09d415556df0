/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the scheduler gives the gateway its turn.
 *
 * A thread that is woken takes the CPU from who woke it.  For a question and its answer that is right; where much is
 * carried it costs both: the sender has written one super-frame when the gateway carries it on, and so has its reader.
 * As SCHED_BATCH (sched(7)) the gateway waits for the end of their turn and finds more: out of a sandbox 44 -> 58
 * Gbit/s with half the CPU time.  It asks for short slices (sched_runtime, since Linux 6.12; before, it is passed
 * over), so that its own turn comes early.
 *
 * Rejected: SCHED_BATCH for good.  Where others want the CPUs, the slowest of a hundred answers came after 8 ms, not 3.
 * A low-water mark (SO_RCVLOWAT) finds more at a time too, but a sender that pauses below it waits for ever.
 */
#ifndef NETWORK_TURNS_H
#define NETWORK_TURNS_H

#include <stdbool.h>
#include <stdint.h>

struct turns {
	bool ours; /* to change */
	int32_t nice;
};

/* Before the process is confined: where its caller chose a policy, that stays. */
void turns_init(struct turns *turns);
/* Whether much is carried.  Failure costs speed only. */
void turns_are_bulk(const struct turns *turns, bool bulk);

#endif
