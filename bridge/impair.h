/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bad weather: delay, rate, loss, duplicates, reordering and corruption for the frames of one port and direction. */
#ifndef BRIDGE_IMPAIR_H
#define BRIDGE_IMPAIR_H

#include "port.h"

struct impair;

enum impair_fate {
	IMPAIR_PASSED, /* untouched: it goes on now */
	IMPAIR_HELD,   /* copied; impair_next will give it, and its duplicates, when their time has come */
	IMPAIR_LOST,
	IMPAIR_FULL, /* as many are held as may be, or as many bytes */
};

int impair_new(const struct vnic_impairment *config, struct impair **ret_impair, struct vnic_error *err);
void impair_free(struct impair *impair);
/*
 * Another weather from `now` on.  What is held stays, in its order and with its delay, and leaves at the new rate; so
 * it may be due at another time.  The random numbers begin anew.
 */
int impair_change(struct impair *impair, const struct vnic_impairment *config, int64_t now, struct vnic_error *err);

/*
 * One frame, not a super-frame.  `now` is CLOCK_MONOTONIC, ns.  *ret_copies: duplicates that are held beside it, or
 * instead of the one that passes.
 */
enum impair_fate impair_take(struct impair *impair, struct frame *frame, int64_t now, unsigned *ret_copies);
/* The next one that is due; its bytes stay until the next call.  False: none is. */
bool impair_next(struct impair *impair, int64_t now, struct frame *ret_frame);
/* When the next one is due; INT64_MAX: none is held. */
int64_t impair_due(const struct impair *impair);
unsigned impair_held(const struct impair *impair);
uint64_t impair_held_bytes(const struct impair *impair);

#endif
