/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  Each frame meets, in this order: loss, corruption, duplication, rate, delay.  What need
 * not wait passes untouched; the rest is copied into a heap ordered by the time when it is due, and by arrival where
 * times are equal.  Who owns the impairment asks impair_due and sets one timer.
 *
 * The rate is a token bucket without tokens: `free_at` is when the wire will be free.  A frame occupies it for its
 * bits' time, a duplicate too; after a rest `free_at` lies at most a burst in the past.  So the time at which a frame
 * has left is exact and does not drift with the timer's lateness.  What is lost, or finds no room to wait in, has never
 * been on the wire: else a flood would put off all that comes after it.  When the rate changes, what has not left the
 * wire yet leaves it at the new one: or a slow one would be felt long after it is gone.
 *
 * Without `overtake` no frame is due before the one that came before it: jitter then bunches frames up, as
 * queues do, instead of reordering them.
 *
 * The random numbers are xoshiro256** (Blackman, Vigna 2018; public domain), seeded by splitmix64: as many are drawn
 * for each frame, whatever its fate, that a change in one probability does not change all that follows.
 */
#include "impair.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "finish.h"

#define LIMIT 10000
#define LIMIT_MAX 1000000
#define LIMIT_BYTES (64u << 20)
#define FAR (1LL << 60) /* ns, 36 years: nothing is due later than that */
#define NS_PER_US 1000
#define NS_PER_S_F 1e9

struct held {
	int64_t due;
	int64_t leaves; /* the wire, where there is a rate; then it is delayed */
	uint64_t order; /* of arrival */
	struct vnic_vnet_hdr hdr;
	size_t len;
	uint8_t *room; /* FRAME_HEADROOM before the frame */
};

struct line {
	int64_t free_at;  /* when the wire is free */
	int64_t last_due; /* of the frame before */
};

struct impair {
	struct vnic_impairment config;
	uint64_t random[4];
	bool bad; /* the state of the loss */
	struct line line;
	uint64_t arrivals;
	uint64_t bytes; /* of the frames that are held */
	unsigned count, room;
	struct held *heap;
	uint8_t *given;   /* the frame that impair_next gave last */
	uint8_t *damaged; /* the frame that was corrupted last */
};

/* --- random numbers ------------------------------------------------------------------- */

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static uint64_t draw(struct impair *impair)
{
	uint64_t *s = impair->random, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

/* 0 <= x < 1 */
static double draw_unit(struct impair *impair)
{
	return (double)(draw(impair) >> 11) * 0x1p-53;
}

static bool happens(struct impair *impair, double probability)
{
	return draw_unit(impair) < probability;
}

/*
 * The sum of twelve has the variance 1 and is normal to the eye, up to six deviations; and needs no libm.  As many are
 * drawn whichever distribution it is.
 */
static double draw_jitter(struct impair *impair)
{
	double first = draw_unit(impair), sum = first;

	for (int i = 1; i < 12; i++)
		sum += draw_unit(impair);
	return impair->config.jitter == VNIC_JITTER_NORMAL ? sum - 6 : 2 * first - 1;
}

/* --- the heap --------------------------------------------------------------------------- */

static bool is_before(const struct held *a, const struct held *b)
{
	return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void swap(struct held *a, struct held *b)
{
	struct held it = *a;

	*a = *b;
	*b = it;
}

static void sift_up(struct held *heap, unsigned at)
{
	for (; at && is_before(&heap[at], &heap[(at - 1) / 2]); at = (at - 1) / 2)
		swap(&heap[at], &heap[(at - 1) / 2]);
}

static void sift_down(struct held *heap, unsigned count)
{
	unsigned at = 0, child;

	while ((child = 2 * at + 1) < count) {
		if (child + 1 < count && is_before(&heap[child + 1], &heap[child]))
			child++;
		if (is_before(&heap[at], &heap[child]))
			return;
		swap(&heap[at], &heap[child]);
		at = child;
	}
}

static bool make_place(struct impair *impair)
{
	unsigned room = impair->room ? 2 * impair->room : 16;
	struct held *heap;

	if (impair->count < impair->room)
		return true;
	if (impair->count >= impair->config.limit)
		return false;
	heap = realloc(impair->heap, room * sizeof(*heap));
	if (!heap)
		return false;
	impair->heap = heap;
	impair->room = room;
	return true;
}

static bool hold(struct impair *impair, const struct frame *frame, int64_t leaves, int64_t due)
{
	struct held held = {
		.due = due, .leaves = leaves, .order = impair->arrivals++, .hdr = frame->hdr, .len = frame->len};

	if (impair->count >= impair->config.limit || impair->bytes + frame->len > impair->config.limit_bytes ||
	    !make_place(impair))
		return false;
	held.room = malloc(FRAME_HEADROOM + frame->len);
	if (!held.room)
		return false;
	memcpy(held.room + FRAME_HEADROOM, frame->data, frame->len);
	impair->heap[impair->count] = held;
	sift_up(impair->heap, impair->count++);
	impair->bytes += frame->len;
	return true;
}

static struct held take_first(struct impair *impair)
{
	struct held first = impair->heap[0];

	impair->bytes -= first.len;
	impair->heap[0] = impair->heap[--impair->count];
	sift_down(impair->heap, impair->count);
	return first;
}

/* --- fates ------------------------------------------------------------------------------ */

static bool is_lost(struct impair *impair)
{
	const struct vnic_impairment *config = &impair->config;
	bool turns = happens(impair, impair->bad ? config->to_good : config->to_bad);

	impair->bad ^= turns;
	return happens(impair, impair->bad ? config->bad_loss : config->loss);
}

/* The frame may be flooded to others too, for whom the weather is fair: so it is a copy that is damaged. */
static bool copy_for_damage(struct impair *impair, struct frame *frame)
{
	uint8_t *room = malloc(FRAME_HEADROOM + frame->len);

	if (!room)
		return false;
	memcpy(room + FRAME_HEADROOM, frame->data, frame->len);
	free(impair->damaged);
	impair->damaged = room;
	frame->data = room + FRAME_HEADROOM;
	return true;
}

/* A checksum that is not finished would be finished later, over the damage, and hide it. */
static void corrupt(struct impair *impair, struct frame *frame)
{
	uint64_t where = draw(impair);
	size_t bits = frame->len > ETH_HLEN ? (frame->len - ETH_HLEN) * 8 : 0;

	if (!happens(impair, impair->config.corrupt) || !bits || !copy_for_damage(impair, frame) ||
	    frame_finish_checksum(frame) < 0)
		return;
	frame->data[ETH_HLEN + where % bits / 8] ^= (uint8_t)(1u << where % 8);
}

/* For how long so many bytes occupy the wire. */
static int64_t time_of(const struct vnic_impairment *config, size_t bytes)
{
	double ns = (double)bytes * (8 * NS_PER_S_F / (double)config->rate_bps);

	return ns < (double)FAR ? (int64_t)ns : FAR;
}

/* When the bytes have left the wire that is as fast as asked. */
static int64_t leaves_at(struct impair *impair, size_t bytes, int64_t now)
{
	const struct vnic_impairment *config = &impair->config;
	int64_t *free_at = &impair->line.free_at, earliest;

	if (!config->rate_bps)
		return now;
	earliest = now - time_of(config, config->burst);
	*free_at = (*free_at > earliest ? *free_at : earliest) + time_of(config, bytes);
	if (*free_at > now + FAR)
		*free_at = now + FAR;
	return *free_at > now ? *free_at : now;
}

/* Not before those that came before it. */
static int64_t in_line(struct impair *impair, int64_t when)
{
	if (!impair->config.overtake && when < impair->line.last_due)
		when = impair->line.last_due;
	impair->line.last_due = when;
	return when;
}

static int64_t delayed(struct impair *impair, int64_t when)
{
	const struct vnic_impairment *config = &impair->config;
	double jitter = draw_jitter(impair) * config->jitter_us;
	double delay = config->delay_us + jitter;
	bool jumps = happens(impair, config->reorder);

	if (jumps)
		return when;
	if (delay > 0)
		when += (int64_t)(delay * NS_PER_US);
	return in_line(impair, when);
}

static enum impair_fate decide(struct impair *impair, struct frame *frame, int64_t now, unsigned *ret_copies)
{
	bool lost = is_lost(impair), twice = happens(impair, impair->config.duplicate);
	int64_t leaves, due;

	corrupt(impair, frame);
	leaves = lost ? now : leaves_at(impair, twice ? 2 * frame->len : frame->len, now);
	due = delayed(impair, leaves);
	if (lost)
		return IMPAIR_LOST;
	if (twice && hold(impair, frame, leaves, due))
		*ret_copies = 1;
	/* What waits goes first, unless this one jumps over it. */
	if (due <= now && (impair->count == *ret_copies || due < impair->line.last_due))
		return IMPAIR_PASSED;
	return hold(impair, frame, leaves, due) ? IMPAIR_HELD : IMPAIR_FULL;
}

enum impair_fate impair_take(struct impair *impair, struct frame *frame, int64_t now, unsigned *ret_copies)
{
	const struct line before = impair->line;
	enum impair_fate fate;

	*ret_copies = 0;
	fate = decide(impair, frame, now, ret_copies);
	if (fate == IMPAIR_LOST || (fate == IMPAIR_FULL && !*ret_copies))
		impair->line = before;
	return fate;
}

int64_t impair_due(const struct impair *impair)
{
	return impair->count ? impair->heap[0].due : INT64_MAX;
}

bool impair_next(struct impair *impair, int64_t now, struct frame *ret_frame)
{
	struct held held;

	if (impair_due(impair) > now || !impair->count)
		return false;
	held = take_first(impair);
	free(impair->given);
	impair->given = held.room;
	*ret_frame = (struct frame){.hdr = held.hdr, .data = held.room + FRAME_HEADROOM, .len = held.len};
	return true;
}

unsigned impair_held(const struct impair *impair)
{
	return impair->count;
}

uint64_t impair_held_bytes(const struct impair *impair)
{
	return impair->bytes;
}

/* --- life ------------------------------------------------------------------------------- */

static int check(const struct vnic_impairment *config, struct vnic_error *err)
{
	const double all[] = {config->loss,      config->to_bad,  config->to_good, config->bad_loss,
			      config->duplicate, config->reorder, config->corrupt};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!(all[i] >= 0 && all[i] <= 1))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, NULL, "a probability is between 0 and 1");
	if (config->limit > LIMIT_MAX)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, NULL, "at most %d frames can be held", LIMIT_MAX);
	return 0;
}

static int by_arrival(const void *a, const void *b)
{
	const struct held *first = a, *second = b;

	return first->order < second->order ? -1 : first->order > second->order;
}

/* At the wire as it is now; the delay behind it stays as it was. */
static void queue_anew(struct impair *impair, int64_t now)
{
	struct line *line = &impair->line;

	line->free_at = line->free_at < now ? line->free_at : now;
	line->last_due = 0;
	qsort(impair->heap, impair->count, sizeof(*impair->heap), by_arrival);
	for (unsigned i = 0; i < impair->count; i++) {
		struct held *held = &impair->heap[i];

		if (held->leaves > now) {
			int64_t delay = held->due - held->leaves;

			held->leaves = leaves_at(impair, held->len, now);
			held->due = held->leaves + delay;
		}
		held->due = in_line(impair, held->due);
		sift_up(impair->heap, i);
	}
}

int impair_change(struct impair *impair, const struct vnic_impairment *config, int64_t now, struct vnic_error *err)
{
	uint64_t seed = config->seed;
	int r = check(config, err);

	if (r < 0)
		return r;
	if (!seed && getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return vnic_fail(err, VNIC_STEP_READ, errno, "the kernel's random numbers", NULL);
	for (int i = 0; i < 4; i++)
		impair->random[i] = splitmix64(&seed);
	impair->config = *config;
	if (!impair->config.limit)
		impair->config.limit = LIMIT;
	if (!impair->config.limit_bytes)
		impair->config.limit_bytes = LIMIT_BYTES;
	impair->bad = false;
	if (impair->count)
		queue_anew(impair, now);
	return 0;
}

int impair_new(const struct vnic_impairment *config, struct impair **ret_impair, struct vnic_error *err)
{
	struct impair *impair = calloc(1, sizeof(*impair));
	int r;

	if (!impair)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	impair->line.free_at = -FAR; /* it has rested for long enough for any burst */
	r = impair_change(impair, config, 0, err);
	if (r < 0) {
		free(impair);
		return r;
	}
	*ret_impair = impair;
	return 0;
}

void impair_free(struct impair *impair)
{
	if (!impair)
		return;
	while (impair->count)
		free(impair->heap[--impair->count].room);
	free(impair->heap);
	free(impair->given);
	free(impair->damaged);
	free(impair);
}
