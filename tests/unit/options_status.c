/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which exit status a failure becomes. */
#include <errno.h>

#include "cli.h"
#include "vt.h"

static const struct command plain = {.name = "plain"}, runs_another = {.name = "run", .own_status = true};

static int status(const struct command *command, enum vnic_step step, int code)
{
	struct vnic_error err;
	int r = vnic_fail(&err, step, code, NULL, NULL);

	return cli_status(command, r, &err);
}

static void success_passes_the_commands_own_status_on(void **state)
{
	struct vnic_error none = {0};

	(void)state;
	assert_int_equal(cli_status(&plain, 0, &none), 0);
	assert_int_equal(cli_status(&runs_another, 130, &none), 130);
}

static void mistakes_of_the_user_are_2_everywhere(void **state)
{
	(void)state;
	assert_int_equal(status(NULL, VNIC_STEP_USAGE, EINVAL), CLI_USAGE);
	assert_int_equal(status(&plain, VNIC_STEP_USAGE, EINVAL), CLI_USAGE);
	assert_int_equal(status(&runs_another, VNIC_STEP_USAGE, EINVAL), CLI_USAGE);
	assert_int_equal(status(&runs_another, VNIC_STEP_NS_CHECK, EINVAL), CLI_USAGE);
	assert_int_equal(status(&runs_another, VNIC_STEP_NS_CHECK, EPERM), CLI_OWN_FAILED);
}

static void what_is_not_permitted_or_not_supported_is_3(void **state)
{
	(void)state;
	assert_int_equal(status(&plain, VNIC_STEP_LINK_ADD, EPERM), CLI_UNSUPPORTED);
	assert_int_equal(status(&plain, VNIC_STEP_OPEN, EACCES), CLI_UNSUPPORTED);
	assert_int_equal(status(&plain, VNIC_STEP_LINK_ADD, EOPNOTSUPP), CLI_UNSUPPORTED);
	assert_int_equal(status(&plain, VNIC_STEP_CLONE, ENOSYS), CLI_UNSUPPORTED);
	assert_int_equal(status(&plain, VNIC_STEP_TUN_OPEN, ENOENT), CLI_UNSUPPORTED);
}

static void all_other_failures_are_1(void **state)
{
	(void)state;
	assert_int_equal(status(&plain, VNIC_STEP_OPEN, ENOENT), CLI_FAILED);
	assert_int_equal(status(&plain, VNIC_STEP_LINK_ADD, EEXIST), CLI_FAILED);
	assert_int_equal(status(&plain, VNIC_STEP_OUTPUT, EPIPE), CLI_FAILED);
}

static void a_command_that_runs_another_keeps_out_of_its_statuses(void **state)
{
	(void)state;
	assert_int_equal(status(&runs_another, VNIC_STEP_CLONE, EPERM), CLI_OWN_FAILED);
	assert_int_equal(status(&runs_another, VNIC_STEP_LINK_ADD, EEXIST), CLI_OWN_FAILED);
	assert_int_equal(status(&runs_another, VNIC_STEP_EXEC, ENOENT), CLI_NOT_FOUND);
	assert_int_equal(status(&runs_another, VNIC_STEP_EXEC, EACCES), CLI_NOT_EXECUTABLE);
	assert_int_equal(status(&runs_another, VNIC_STEP_EXEC, ENOEXEC), CLI_NOT_EXECUTABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(success_passes_the_commands_own_status_on),
		vt_test(mistakes_of_the_user_are_2_everywhere),
		vt_test(what_is_not_permitted_or_not_supported_is_3),
		vt_test(all_other_failures_are_1),
		vt_test(a_command_that_runs_another_keeps_out_of_its_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
