/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The settings of an impairment, as users write them. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <vnic/sandbox.h>

#include "impairment.h"
#include "parse.h"

#define LIMIT_BYTES_MAX ((double)(1ULL << 40))

struct unit {
	const char *name;
	double factor;
};

static const struct unit times[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {NULL, 0}};
static const struct unit rates[] = {{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {NULL, 0}};
static const struct unit sizes[] = {{"", 1}, {"k", 1024}, {"m", 1024 * 1024}, {"g", 1024 * 1024 * 1024}, {NULL, 0}};
static const struct unit shares[] = {{"", 1}, {"%", 0.01}, {NULL, 0}};

/* Digits, perhaps with a point, and a unit. */
static int parse_quantity(const char *text, const struct unit *units, double max, const char *form, double *ret_value,
			  struct vnic_error *err)
{
	size_t digits = strspn(text, "0123456789.");
	char *end = NULL;
	double value = digits ? strtod(text, &end) : -1;

	for (const struct unit *unit = units; unit->name && digits && end == text + digits; unit++)
		if (!strcasecmp(end, unit->name) && value * unit->factor <= max) {
			*ret_value = value * unit->factor;
			return 0;
		}
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "%s", form);
}

static int parse_time(const char *text, uint32_t *ret_us, struct vnic_error *err)
{
	double value = 0;
	int r = parse_quantity(text, times, UINT32_MAX, "a time is written 10ms, 500us or 1.5s, up to an hour", &value,
			       err);

	if (r == 0)
		*ret_us = (uint32_t)value;
	return r;
}

static int parse_jitter(const char *text, struct vnic_impairment *impairment, struct vnic_error *err)
{
	const char *colon = strchr(text, ':');
	char copy[32];
	int r = parse_copy(text, "jitter=", copy, sizeof(copy), err);

	if (r < 0)
		return r;
	if (colon) {
		copy[colon - text] = '\0';
		if (strcmp(colon + 1, "normal") != 0 && strcmp(colon + 1, "uniform") != 0)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, colon + 1, "jitter is uniform or normal");
		impairment->jitter = !strcmp(colon + 1, "normal") ? VNIC_JITTER_NORMAL : VNIC_JITTER_UNIFORM;
	}
	return parse_time(copy, &impairment->jitter_us, err);
}

static int parse_limit(const char *text, uint64_t *ret_bytes, struct vnic_error *err)
{
	double value = 0;
	int r = parse_quantity(text, sizes, LIMIT_BYTES_MAX, "a limit of bytes is written 1500, 64k, 16m or 1g", &value,
			       err);

	if (r == 0 && value < 1)
		r = vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "a limit is one byte at least");
	if (r == 0)
		*ret_bytes = (uint64_t)value;
	return r;
}

static const struct {
	const char *key;
	size_t offset;
} probabilities[] = {
	{"loss", offsetof(struct vnic_impairment, loss)},
	{"to-bad", offsetof(struct vnic_impairment, to_bad)},
	{"to-good", offsetof(struct vnic_impairment, to_good)},
	{"bad-loss", offsetof(struct vnic_impairment, bad_loss)},
	{"duplicate", offsetof(struct vnic_impairment, duplicate)},
	{"reorder", offsetof(struct vnic_impairment, reorder)},
	{"corrupt", offsetof(struct vnic_impairment, corrupt)},
};

static const char *const others[] = {"delay", "jitter", "rate", "burst", "limit", "limit-bytes", "seed"};

static int set_other(struct vnic_impairment *impairment, const char *key, const char *value, struct vnic_error *err)
{
	double number = 0;
	uint32_t seed = 0;
	int r;

	if (!strcmp(key, "delay"))
		return parse_time(value, &impairment->delay_us, err);
	if (!strcmp(key, "jitter"))
		return parse_jitter(value, impairment, err);
	if (!strcmp(key, "limit"))
		return parse_u32(value, "limit=", 1, 1000000, &impairment->limit, err);
	if (!strcmp(key, "limit-bytes"))
		return parse_limit(value, &impairment->limit_bytes, err);
	if (!strcmp(key, "seed")) {
		r = parse_u32(value, "seed=", 1, UINT32_MAX, &seed, err);
		impairment->seed = seed;
		return r;
	}
	if (!strcmp(key, "rate")) {
		r = parse_quantity(value, rates, 1e15, "a rate is written 100kbit, 10mbit or 1gbit", &number, err);
		if (r == 0 && number < 1)
			r = vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value, "a rate is one bit a second at least");
		impairment->rate_bps = (uint64_t)number;
		return r;
	}
	r = parse_quantity(value, sizes, UINT32_MAX, "a burst is written 3000, 15k or 1m", &number, err);
	impairment->burst = (uint32_t)number;
	return r;
}

const char *impairment_key_at(unsigned index)
{
	const unsigned other_count = sizeof(others) / sizeof(others[0]);
	const unsigned count = other_count + sizeof(probabilities) / sizeof(probabilities[0]);

	if (index < other_count)
		return others[index];
	if (index < count)
		return probabilities[index - other_count].key;
	return index == count ? "overtake" : NULL;
}

static bool is_other(const char *key)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(key, others[i]))
			return true;
	return false;
}

int vnic_impairment_set(struct vnic_impairment *impairment, const char *key, const char *value, struct vnic_error *err)
{
	if (!strcmp(key, "overtake") && !value) {
		impairment->overtake = true;
		return 0;
	}
	if (is_other(key))
		return value ? set_other(impairment, key, value, err)
			     : vnic_fail(err, VNIC_STEP_USAGE, EINVAL, key, "this key needs a value: %s=...", key);
	for (size_t i = 0; i < sizeof(probabilities) / sizeof(probabilities[0]); i++)
		if (!strcmp(key, probabilities[i].key))
			return parse_quantity(value ? value : "", shares, 1, "a probability is written 1% or 0.01",
					      (void *)((char *)impairment + probabilities[i].offset), err);
	return -ENOENT;
}

int impairment_check(const struct vnic_impairment *impairment, struct vnic_error *err)
{
	if (impairment->to_bad > 0 && !(impairment->bad_loss > 0))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "to-bad",
				 "nothing is lost when the weather is bad: add bad-loss=1");
	if (impairment->bad_loss > 0 && !(impairment->to_bad > 0))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "bad-loss",
				 "the weather is never bad: add to-bad= and to-good=");
	return 0;
}
