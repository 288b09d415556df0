/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Weather as a user writes it, key by key. */
#include "vt.h"

#include <errno.h>
#include <string.h>

#include <vnic/relay.h>
#include <vnic/sandbox.h>

static struct vnic_impairment weather_of(const char *key, const char *value)
{
	struct vnic_impairment weather = {0};
	struct vnic_error err;

	vt_ok(vnic_impairment_set(&weather, key, value, &err), &err);
	return weather;
}

static void refuses(const char *key, const char *value)
{
	struct vnic_impairment weather = {0};
	struct vnic_error err;

	vt_fails(vnic_impairment_set(&weather, key, value, &err), &err, VNIC_STEP_USAGE, EINVAL);
}

static void times_have_units(void **state)
{
	(void)state;
	assert_int_equal(weather_of("delay", "10ms").delay_us, 10000);
	assert_int_equal(weather_of("delay", "500us").delay_us, 500);
	assert_int_equal(weather_of("delay", "1.5s").delay_us, 1500000);
	refuses("delay", "10");
	refuses("delay", "-1ms");
	refuses("delay", "ms");
}

static void jitter_has_a_distribution(void **state)
{
	(void)state;
	assert_int_equal(weather_of("jitter", "2ms").jitter_us, 2000);
	assert_int_equal(weather_of("jitter", "2ms").jitter, VNIC_JITTER_UNIFORM);
	assert_int_equal(weather_of("jitter", "2ms:uniform").jitter, VNIC_JITTER_UNIFORM);
	assert_int_equal(weather_of("jitter", "2ms:normal").jitter_us, 2000);
	assert_int_equal(weather_of("jitter", "2ms:normal").jitter, VNIC_JITTER_NORMAL);
	refuses("jitter", "2ms:pareto");
	refuses("jitter", "2ms:");
	refuses("jitter", "1234567890123456789012345678901234567890ms");
}

static void rates_and_bursts_have_units(void **state)
{
	(void)state;
	assert_int_equal(weather_of("rate", "100kbit").rate_bps, 100000);
	assert_int_equal(weather_of("rate", "1gbit").rate_bps, 1000000000);
	assert_true(weather_of("burst", "15k").burst >= 15000);
	assert_int_equal(weather_of("burst", "3000").burst, 3000);
	refuses("rate", "0.1bit");
	refuses("rate", "0kbit");
	refuses("rate", "fast");
	refuses("burst", "all");
}

static void numbers_have_bounds(void **state)
{
	(void)state;
	assert_int_equal(weather_of("limit", "1").limit, 1);
	assert_int_equal(weather_of("limit", "1000000").limit, 1000000);
	assert_int_equal(weather_of("limit-bytes", "1").limit_bytes, 1);
	assert_int_equal(weather_of("limit-bytes", "64m").limit_bytes, 64 << 20);
	assert_int_equal(weather_of("limit-bytes", "1024g").limit_bytes, 1ULL << 40);
	assert_int_equal(weather_of("seed", "7").seed, 7);
	refuses("limit", "0");
	refuses("limit", "1000001");
	refuses("limit-bytes", "0");
	refuses("limit-bytes", "0.5");
	refuses("limit-bytes", "1025g");
	refuses("limit-bytes", "all");
	refuses("seed", "0");
}

static void overtake_has_no_value(void **state)
{
	(void)state;
	assert_true(weather_of("overtake", NULL).overtake);
	refuses("overtake", "yes");
	refuses("delay", NULL);
}

static void what_is_no_setting_is_left_to_others(void **state)
{
	struct vnic_impairment weather = {0};

	(void)state;
	assert_int_equal(vnic_impairment_set(&weather, "sunshine", "1%", NULL), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(times_have_units),
		vt_test(jitter_has_a_distribution),
		vt_test(rates_and_bursts_have_units),
		vt_test(numbers_have_bounds),
		vt_test(overtake_has_no_value),
		vt_test(what_is_no_setting_is_left_to_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
