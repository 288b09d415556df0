/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an error says, and when it knows a remedy. */
#include <errno.h>
#include <string.h>

#include "vt.h"

static void assert_says(const struct vnic_error *err, const char *expected)
{
	char text[512];
	size_t length = vnic_error_text(err, text, sizeof(text));

	assert_int_equal(length, strlen(text));
	assert_string_equal(text, expected);
}

static void an_error_says_step_object_and_cause(void **state)
{
	struct vnic_error err;

	(void)state;
	assert_int_equal(vnic_fail(&err, VNIC_STEP_LINK_ADD, EEXIST, "eth0", NULL), -EEXIST);
	assert_says(&err, "cannot create link eth0: File exists");
}

static void the_kernels_own_words_are_added(void **state)
{
	struct vnic_error err;

	(void)state;
	vnic_fail(&err, VNIC_STEP_ADDR, EINVAL, "10.0.2.1/24", "%s", "Invalid prefix for given prefix length");
	assert_says(&err, "cannot set address 10.0.2.1/24: Invalid argument (Invalid prefix for given prefix length)");
}

static void a_mistake_of_the_user_is_told_in_our_words_only(void **state)
{
	struct vnic_error err;

	(void)state;
	vnic_fail(&err, VNIC_STEP_USAGE, EINVAL, "--nmae", "there is no such option; did you mean --name?");
	assert_says(&err, "cannot understand --nmae: there is no such option; did you mean --name?");
}

static void what_the_user_wrote_is_seen_though_it_is_empty(void **state)
{
	struct vnic_error err;

	(void)state;
	vnic_fail(&err, VNIC_STEP_USAGE, EINVAL, "", "this is not an IP address");
	assert_says(&err, "cannot understand \"\": this is not an IP address");
	vnic_fail(&err, VNIC_STEP_EXEC, ENOENT, "", NULL);
	assert_says(&err, "cannot execute \"\": No such file or directory");
	vnic_fail(&err, VNIC_STEP_WRITE, ENOENT, "", NULL);
	assert_says(&err, "cannot write \"\": No such file or directory");
}

static void an_error_without_object_reads_well(void **state)
{
	struct vnic_error err;

	(void)state;
	vnic_fail(&err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	assert_says(&err, "cannot allocate memory: Cannot allocate memory");
}

static void an_error_may_be_made_from_its_own_parts(void **state)
{
	struct vnic_error err;

	(void)state;
	vnic_fail(&err, VNIC_STEP_LINK_ADD, EPERM, "eth0", "first");
	vnic_fail(&err, VNIC_STEP_PORT, err.code, err.object, "after: %s", err.detail);
	assert_says(&err, "cannot open relay port eth0: Operation not permitted (after: first)");
}

static void nobody_has_to_ask_for_the_error(void **state)
{
	(void)state;
	assert_int_equal(vnic_fail(NULL, VNIC_STEP_OPEN, EACCES, "x", "y"), -EACCES);
}

static void a_text_that_does_not_fit_is_cut_and_ended(void **state)
{
	struct vnic_error err;
	char object[1000], small[10];

	(void)state;
	memset(object, 'x', sizeof(object) - 1);
	object[sizeof(object) - 1] = '\0';
	vnic_fail(&err, VNIC_STEP_OPEN, EACCES, object, "%s", object);
	assert_true(vnic_error_text(&err, small, sizeof(small)) > sizeof(small));
	assert_string_equal(small, "cannot op");
}

static void every_step_has_a_text(void **state)
{
	(void)state;
	for (int step = 0; step < VNIC_STEP_COUNT; step++)
		assert_true(vnic_step_text((enum vnic_step)step) && vnic_step_text((enum vnic_step)step)[0]);
	assert_string_equal(vnic_step_text((enum vnic_step)9999), "do something unknown");
}

static const char *remedy(enum vnic_step step, int code)
{
	struct vnic_error err;

	vnic_fail(&err, step, code, NULL, NULL);
	return vnic_error_remedy(&err);
}

static void a_known_cause_has_a_remedy(void **state)
{
	(void)state;
	assert_non_null(strstr(remedy(VNIC_STEP_TUN_OPEN, EACCES), "veth"));
	assert_non_null(strstr(remedy(VNIC_STEP_TUN_OPEN, ENOENT), "modprobe tun"));
	assert_non_null(strstr(remedy(VNIC_STEP_CLONE, EPERM), "vnic doctor"));
	assert_non_null(strstr(remedy(VNIC_STEP_UNSHARE, ENOSPC), "max_*_namespaces"));
	assert_non_null(strstr(remedy(VNIC_STEP_IDMAP, ENOENT), "uidmap"));
}

static void running_out_of_descriptors_has_a_remedy_at_every_step(void **state)
{
	(void)state;
	for (int step = 0; step < VNIC_STEP_COUNT; step++)
		assert_non_null(remedy((enum vnic_step)step, EMFILE));
}

static void an_unknown_cause_has_no_remedy(void **state)
{
	(void)state;
	assert_null(remedy(VNIC_STEP_OPEN, EIO));
	assert_null(remedy(VNIC_STEP_USAGE, EINVAL));
}

/* So that he can leave it out: cli/doctor.c. */
static void all_that_send_to_the_doctor_do_it_in_the_same_words_at_their_end(void **state)
{
	static const char tail[] = "; see 'vnic doctor'";

	(void)state;
	for (int step = 0; step < VNIC_STEP_COUNT; step++)
		for (int code = 1; code < 200; code++) {
			const char *text = remedy((enum vnic_step)step, code),
				   *doctor = text ? strstr(text, "doctor") : NULL;

			if (doctor)
				assert_string_equal(text + strlen(text) - strlen(tail), tail);
			if (doctor)
				assert_ptr_equal(doctor, text + strlen(text) - strlen("doctor'"));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(an_error_says_step_object_and_cause),
		vt_test(the_kernels_own_words_are_added),
		vt_test(a_mistake_of_the_user_is_told_in_our_words_only),
		vt_test(what_the_user_wrote_is_seen_though_it_is_empty),
		vt_test(an_error_without_object_reads_well),
		vt_test(an_error_may_be_made_from_its_own_parts),
		vt_test(nobody_has_to_ask_for_the_error),
		vt_test(a_text_that_does_not_fit_is_cut_and_ended),
		vt_test(every_step_has_a_text),
		vt_test(a_known_cause_has_a_remedy),
		vt_test(all_that_send_to_the_doctor_do_it_in_the_same_words_at_their_end),
		vt_test(running_out_of_descriptors_has_a_remedy_at_every_step),
		vt_test(an_unknown_cause_has_no_remedy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
