/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of namespaces as users write them. */
#include <errno.h>
#include <string.h>

#include "ns.h"
#include "vt.h"

static void words_become_flags_in_any_order(void **state)
{
	struct vnic_error err;
	unsigned mask = 0;

	(void)state;
	vt_ok(vnic_ns_parse("pid,net,mnt,net", &mask, &err), &err);
	assert_int_equal(mask, CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID);
	vt_ok(vnic_ns_parse("all", &mask, &err), &err);
	assert_int_equal(mask, VNIC_NS_ALL);
	for (int i = 0; i < VNIC_NS_COUNT; i++) {
		vt_ok(vnic_ns_parse(vnic_ns_index_text((enum vnic_ns_index)i), &mask, &err), &err);
		assert_int_equal(mask, ns_kinds[i].flag);
	}
}

static void a_word_that_is_none_is_named(void **state)
{
	static const struct {
		const char *list, *object;
	} bad[] = {{"net,foo,pid", "foo"}, {"nets", "nets"},         {"ne", "ne"},    {"NET", "NET"},
		   {"net,", "net,"},       {"net,,pid", "net,,pid"}, {" net", " net"}};
	struct vnic_error err;
	unsigned mask = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vt_fails(vnic_ns_parse(bad[i].list, &mask, &err), &err, VNIC_STEP_USAGE, EINVAL);
		if (strcmp(bad[i].list, err.object) != 0 && strcmp(bad[i].object, err.object) != 0)
			assert_string_equal(err.object, bad[i].object);
	}
	vt_fails(vnic_ns_parse("", &mask, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_int_equal(mask, 42);
}

static void flags_become_words_in_one_order(void **state)
{
	char text[96];

	(void)state;
	assert_string_equal(vnic_ns_text(CLONE_NEWNET | CLONE_NEWUSER, text, sizeof(text)), "user,net");
	assert_string_equal(vnic_ns_text(0, text, sizeof(text)), "");
	assert_string_equal(vnic_ns_text(VNIC_NS_ALL, text, sizeof(text)), "user,mnt,pid,net,ipc,uts,cgroup,time");
}

static void a_small_buffer_is_not_overrun(void **state)
{
	char text[8] = "xxxxxxx";

	(void)state;
	assert_string_equal(vnic_ns_text(VNIC_NS_ALL, text, 7), "user,m");
	assert_int_equal(text[7], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(words_become_flags_in_any_order),
		vt_test(a_word_that_is_none_is_named),
		vt_test(flags_become_words_in_one_order),
		vt_test(a_small_buffer_is_not_overrun),
	};

	return cmocka_run_group_tests_name("netns_mask", tests, NULL, NULL);
}
