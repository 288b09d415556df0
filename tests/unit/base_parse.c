/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers, names and lists of items as users write them. */
#include <errno.h>
#include <string.h>

#include "parse.h"
#include "vt.h"

static void a_number_is_decimal_digits_within_its_bounds(void **state)
{
	uint32_t value = 0;

	(void)state;
	vt_ok(parse_u32("1500", "mtu", 68, 65535, &value, NULL), NULL);
	assert_int_equal(value, 1500);
	vt_ok(parse_u32("68", "mtu", 68, 65535, &value, NULL), NULL);
	vt_ok(parse_u32("65535", "mtu", 68, 65535, &value, NULL), NULL);
	vt_ok(parse_u32("4294967295", "x", 0, UINT32_MAX, &value, NULL), NULL);
	assert_int_equal(value, UINT32_MAX);
}

static void anything_else_is_refused_and_the_bounds_are_told(void **state)
{
	static const char *const bad[] = {"",    "-1", "+1",    " 1",    "1 ",         "0x10",
					  "1e3", "67", "65536", "1500x", "4294967296", "99999999999999999999999999"};
	struct vnic_error err;
	uint32_t value = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vt_fails(parse_u32(bad[i], "mtu", 68, 65535, &value, &err), &err, VNIC_STEP_USAGE, EINVAL);
		assert_int_equal(value, 7);
		assert_string_equal(err.detail, "mtu takes a number from 68 to 65535");
	}
}

static void a_copy_fits_or_is_refused(void **state)
{
	struct vnic_error err;
	char buf[4] = "old";

	(void)state;
	vt_fails(parse_copy("", "name", buf, sizeof(buf), &err), &err, VNIC_STEP_USAGE, EINVAL);
	vt_fails(parse_copy(NULL, "name", buf, sizeof(buf), &err), &err, VNIC_STEP_USAGE, EINVAL);
	vt_fails(parse_copy("abcd", "name", buf, sizeof(buf), &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(buf, "old");
	vt_ok(parse_copy("abc", "name", buf, sizeof(buf), &err), &err);
	assert_string_equal(buf, "abc");
}

static void an_interface_name_is_what_the_kernel_takes(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "a:b", "a b", "a\tb", "tap%d", "sixteen-bytes-ab"};
	struct vnic_error err;
	char name[16] = "old";

	(void)state;
	vt_ok(parse_ifname("fifteen-bytes-a", "name", name, &err), &err);
	assert_string_equal(name, "fifteen-bytes-a");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		vt_fails(parse_ifname(bad[i], "name", name, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(name, "fifteen-bytes-a");
}

static void assert_item(char **cursor, const char *key, const char *value)
{
	char *got_key, *got_value;

	assert_int_equal(parse_item(cursor, &got_key, &got_value, NULL), 1);
	assert_string_equal(got_key, key);
	if (value)
		assert_string_equal(got_value, value);
	else
		assert_null(got_value);
}

static void items_are_cut_at_commas_and_split_at_the_first_equals_sign(void **state)
{
	char text[] = "veth,ip=10.0.0.1/24,name=,opt=a=b";
	char *cursor = text, *key, *value;

	(void)state;
	assert_item(&cursor, "veth", NULL);
	assert_item(&cursor, "ip", "10.0.0.1/24");
	assert_item(&cursor, "name", "");
	assert_item(&cursor, "opt", "a=b");
	assert_int_equal(parse_item(&cursor, &key, &value, NULL), 0);
	assert_int_equal(parse_item(&cursor, &key, &value, NULL), 0);
}

static void an_empty_item_is_refused(void **state)
{
	static const char *const bad[] = {"", ",a", "a,,b", "a,"};
	struct vnic_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[16], *cursor = text, *key, *value;
		int r;

		strcpy(text, bad[i]);
		while ((r = parse_item(&cursor, &key, &value, &err)) > 0)
			;
		vt_fails(r, &err, VNIC_STEP_USAGE, EINVAL);
	}
}

static void the_first_and_the_last_address_of_a_network_are_no_hosts(void **state)
{
	static const char *const bad[] = {"10.0.2.0/24", "10.0.2.255/24", "10.0.0.0/8", "10.255.255.255/8",
					  "10.0.2.4/30", "10.0.2.7/30",   "240.0.0.0/4"};
	static const char *const good[] = {"10.0.2.1/24",   "10.0.2.255/23", "10.0.3.0/23",   "10.0.2.4/31",
					   "10.0.2.5/31",   "10.0.2.0/32",   "10.0.2.255/32", "10.0.2.5/30",
					   "10.0.2.6/30",   "fd00::/64",     "fd00::/126",    "fd00::3/126",
					   "fd00::ffff/112"};
	struct vnic_addr addr = {0};
	struct vnic_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		vt_fails(parse_host(bad[i], &addr, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_int_equal(addr.family, 0);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		vt_ok(parse_host(good[i], &addr, &err), &err);
}

static const char *word_at(const void *ctx, int index)
{
	const char *const *words = ctx;

	return words[index];
}

static void the_nearest_word_is_found_within_few_mistakes(void **state)
{
	static const char *const words[] = {"run", "exec", "ns", "relay", "doctor", NULL};

	(void)state;
	assert_string_equal(parse_nearest("rnu", word_at, words), "run");
	assert_string_equal(parse_nearest("docter", word_at, words), "doctor");
	assert_string_equal(parse_nearest("realy", word_at, words), "relay");
	assert_null(parse_nearest("list", word_at, words));
	assert_null(parse_nearest("x", word_at, words));
	assert_null(parse_nearest("rn", word_at, words)); /* two letters are near to too many words */
	assert_null(parse_nearest("", word_at, words));
	assert_null(parse_nearest("a-word-much-longer-than-any-command-that-there-is", word_at, words));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_number_is_decimal_digits_within_its_bounds),
		vt_test(anything_else_is_refused_and_the_bounds_are_told),
		vt_test(a_copy_fits_or_is_refused),
		vt_test(an_interface_name_is_what_the_kernel_takes),
		vt_test(items_are_cut_at_commas_and_split_at_the_first_equals_sign),
		vt_test(an_empty_item_is_refused),
		vt_test(the_first_and_the_last_address_of_a_network_are_no_hosts),
		vt_test(the_nearest_word_is_found_within_few_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
