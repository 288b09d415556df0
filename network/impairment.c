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

/* --- one of each kind: `ret` is where the table says ---------------------------------- */

static int parse_time(const char *text, void *ret, struct vnic_error *err)
{
	uint32_t *ret_us = ret;
	double value = 0;
	int r = parse_quantity(text, times, UINT32_MAX, "a time is written 10ms, 500us or 1.5s, up to an hour", &value,
			       err);

	if (r == 0)
		*ret_us = (uint32_t)value;
	return r;
}

static int parse_jitter(const char *text, void *ret, struct vnic_error *err)
{
	struct vnic_impairment *impairment = ret;
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

static int parse_rate(const char *text, void *ret, struct vnic_error *err)
{
	uint64_t *ret_bps = ret;
	double value = 0;
	int r = parse_quantity(text, rates, 1e15, "a rate is written 100kbit, 10mbit or 1gbit", &value, err);

	if (r == 0 && value < 1)
		r = vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "a rate is one bit a second at least");
	if (r == 0)
		*ret_bps = (uint64_t)value;
	return r;
}

static int parse_burst(const char *text, void *ret, struct vnic_error *err)
{
	uint32_t *ret_bytes = ret;
	double value = 0;
	int r = parse_quantity(text, sizes, UINT32_MAX, "a burst is written 3000, 15k or 1m", &value, err);

	if (r == 0)
		*ret_bytes = (uint32_t)value;
	return r;
}

static int parse_share(const char *text, void *ret, struct vnic_error *err)
{
	return parse_quantity(text, shares, 1, "a probability is written 1% or 0.01", ret, err);
}

static int parse_limit(const char *text, void *ret, struct vnic_error *err)
{
	return parse_u32(text, "limit=", 1, 1000000, ret, err);
}

static int parse_limit_bytes(const char *text, void *ret, struct vnic_error *err)
{
	uint64_t *ret_bytes = ret;
	double value = 0;
	int r = parse_quantity(text, sizes, LIMIT_BYTES_MAX, "a limit of bytes is written 1500, 64k, 16m or 1g", &value,
			       err);

	if (r == 0 && value < 1)
		r = vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "a limit is one byte at least");
	if (r == 0)
		*ret_bytes = (uint64_t)value;
	return r;
}

static int parse_seed(const char *text, void *ret, struct vnic_error *err)
{
	uint64_t *ret_seed = ret;
	uint32_t seed = 0;
	int r = parse_u32(text, "seed=", 1, UINT32_MAX, &seed, err);

	if (r == 0)
		*ret_seed = seed;
	return r;
}

static int set_flag(const char *text, void *ret, struct vnic_error *err)
{
	bool *ret_flag = ret;

	(void)text;
	(void)err;
	*ret_flag = true;
	return 0;
}

/* --- all of them ---------------------------------------------------------------------- */

#define AT(field) offsetof(struct vnic_impairment, field)

static const struct setting {
	struct vnic_key key;
	size_t at;
	int (*parse)(const char *text, void *ret, struct vnic_error *err);
} settings[] = {
	{{"delay", "TIME"}, AT(delay_us), parse_time},
	{{"jitter", "TIME"}, 0, parse_jitter},
	{{"rate", "RATE"}, AT(rate_bps), parse_rate},
	{{"burst", "BYTES"}, AT(burst), parse_burst},
	{{"limit", "FRAMES"}, AT(limit), parse_limit},
	{{"limit-bytes", "BYTES"}, AT(limit_bytes), parse_limit_bytes},
	{{"seed", "NUMBER"}, AT(seed), parse_seed},
	{{"loss", "SHARE"}, AT(loss), parse_share},
	{{"to-bad", "SHARE"}, AT(to_bad), parse_share},
	{{"to-good", "SHARE"}, AT(to_good), parse_share},
	{{"bad-loss", "SHARE"}, AT(bad_loss), parse_share},
	{{"duplicate", "SHARE"}, AT(duplicate), parse_share},
	{{"reorder", "SHARE"}, AT(reorder), parse_share},
	{{"corrupt", "SHARE"}, AT(corrupt), parse_share},
	{{"overtake", NULL}, AT(overtake), set_flag},
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

const struct vnic_key *impairment_key_at(unsigned index)
{
	return index < SETTINGS ? &settings[index].key : NULL;
}

int vnic_impairment_set(struct vnic_impairment *impairment, const char *key, const char *value, struct vnic_error *err)
{
	for (const struct setting *setting = settings; setting < settings + SETTINGS; setting++) {
		if (strcmp(key, setting->key.name) != 0)
			continue;
		if (!value && setting->key.value)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, key, "this key needs a value: %s=...", key);
		if (value && !setting->key.value)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, key, "this key takes no value");
		return setting->parse(value, (char *)impairment + setting->at, err);
	}
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
