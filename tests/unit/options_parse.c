/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command's table decides what its command line may be. */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "vt.h"

static int never(const struct cli_args *args, struct vnic_error *err)
{
	(void)args;
	(void)err;
	return 99;
}

static const struct command command = {
	.name = "try",
	.operands = "PORT PORT...",
	.summary = "Try",
	.options =
		(const struct cli_option[]){
			{.name = "nic", .letter = 'n', .arg = "SPEC", .many = true, .initial = "veth", .help = "a NIC"},
			{.name = "name", .arg = "NAME", .help = "a name"},
			{.name = "map", .arg = "root|self|auto", .initial = "root", .help = "a map"},
			{.name = "dns", .arg = "ADDRESS|none", .many = true, .help = "a word, or else"},
			{.name = "mtu", .arg = "BYTES", .help = "a size"},
			{.name = "json", .letter = 'j', .help = "a flag"},
			{.name = "verbose", .letter = 'v', .help = "another"},
			{0},
		},
	.min_operands = 1,
	.max_operands = 2,
	.run = never,
};

#define ARGV(...)                                \
	(char *[])                               \
	{                                        \
		(char *)"try", __VA_ARGS__, NULL \
	}

static int parse(char **argv, struct cli_args *ret_args, struct vnic_error *err)
{
	bool help = true;
	int argc = 0, r;

	while (argv[argc])
		argc++;
	r = cli_parse(&command, argc, argv, ret_args, &help, err);
	if (r == 0)
		assert_false(help);
	return r;
}

static void assert_complains(char **argv, const char *object, const char *detail)
{
	struct cli_args args;
	struct vnic_error err;

	vt_fails(parse(argv, &args, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.object, object);
	assert_string_equal(err.detail, detail);
}

static void options_come_in_every_spelling(void **state)
{
	struct cli_args args;

	(void)state;
	vt_ok(parse(ARGV("-jn", "tap", "-nveth", "--nic=tun", "--nic", "veth", "--na=x", "op"), &args, NULL), NULL);
	assert_true(cli_flag(&args, "json"));
	assert_false(cli_flag(&args, "verbose"));
	assert_string_equal(cli_value_at(&args, "nic", 0), "tap");
	assert_string_equal(cli_value_at(&args, "nic", 1), "veth");
	assert_string_equal(cli_value_at(&args, "nic", 2), "tun");
	assert_string_equal(cli_value_at(&args, "nic", 3), "veth");
	assert_null(cli_value_at(&args, "nic", 4));
	assert_string_equal(cli_value(&args, "name"), "x");
	cli_args_free(&args);
}

static void options_not_given_have_their_default_or_nothing(void **state)
{
	struct cli_args args;
	uint32_t mtu = 1234;

	(void)state;
	vt_ok(parse(ARGV("op"), &args, NULL), NULL);
	assert_string_equal(cli_value(&args, "map"), "root");
	assert_string_equal(cli_value_at(&args, "nic", 0), "veth");
	assert_null(cli_value_at(&args, "nic", 1));
	assert_null(cli_value(&args, "name"));
	vt_ok(cli_number(&args, "mtu", 68, 65535, &mtu, NULL), NULL);
	assert_int_equal(mtu, 1234);
	cli_args_free(&args);
}

static void options_stand_before_between_and_after_operands(void **state)
{
	struct cli_args args;
	char **argv = ARGV("first", "-v", "--name", "x", "second", "--json");

	(void)state;
	vt_ok(parse(argv, &args, NULL), NULL);
	assert_true(cli_flag(&args, "verbose"));
	assert_true(cli_flag(&args, "json"));
	assert_string_equal(cli_value(&args, "name"), "x");
	assert_int_equal(args.operand_count, 2);
	assert_string_equal(args.operands[0], "first");
	assert_string_equal(args.operands[1], "second");
	assert_null(args.operands[2]);
	assert_string_equal(argv[1], "first"); /* the caller's words keep their order */
	cli_args_free(&args);
}

static void two_dashes_end_the_options(void **state)
{
	struct cli_args args;

	(void)state;
	vt_ok(parse(ARGV("first", "--", "--json"), &args, NULL), NULL);
	assert_false(cli_flag(&args, "json"));
	assert_int_equal(args.operand_count, 2);
	assert_string_equal(args.operands[1], "--json");
	assert_null(args.operands[2]);
	cli_args_free(&args);
	vt_ok(parse(ARGV("--", "--"), &args, NULL), NULL);
	assert_int_equal(args.operand_count, 1);
	assert_string_equal(args.operands[0], "--");
	cli_args_free(&args);
}

static void a_lone_dash_is_an_operand(void **state)
{
	struct cli_args args;

	(void)state;
	vt_ok(parse(ARGV("-", "-v"), &args, NULL), NULL);
	assert_true(cli_flag(&args, "verbose"));
	assert_int_equal(args.operand_count, 1);
	assert_string_equal(args.operands[0], "-");
	cli_args_free(&args);
}

static void a_users_command_keeps_its_own_options(void **state)
{
	struct command runs = command;
	struct cli_args args;
	bool help = true;

	(void)state;
	runs.own_status = true;
	vt_ok(cli_parse(&runs, 4, ARGV("-v", "ls", "--help"), &args, &help, NULL), NULL);
	assert_false(help);
	assert_true(cli_flag(&args, "verbose"));
	assert_int_equal(args.operand_count, 2);
	assert_string_equal(args.operands[0], "ls");
	assert_string_equal(args.operands[1], "--help");
	assert_null(args.operands[2]);
	cli_args_free(&args);
	vt_ok(cli_parse(&runs, 4, ARGV("--", "ls", "--"), &args, &help, NULL), NULL);
	assert_int_equal(args.operand_count, 2);
	assert_string_equal(args.operands[1], "--");
	cli_args_free(&args);
}

static void a_flag_may_be_given_often(void **state)
{
	struct cli_args args;
	char many[4000] = "-";

	(void)state;
	memset(many + 1, 'v', sizeof(many) - 2);
	many[sizeof(many) - 1] = '\0';
	vt_ok(parse(ARGV(many, "--verbose", "op"), &args, NULL), NULL);
	assert_true(cli_flag(&args, "verbose"));
	assert_int_equal(args.value_count, 1);
	cli_args_free(&args);
}

static void a_number_is_read_within_its_bounds(void **state)
{
	struct cli_args args;
	struct vnic_error err;
	uint32_t mtu = 0;

	(void)state;
	vt_ok(parse(ARGV("--mtu=9000", "op"), &args, NULL), NULL);
	vt_ok(cli_number(&args, "mtu", 68, 65535, &mtu, NULL), NULL);
	assert_int_equal(mtu, 9000);
	vt_fails(cli_number(&args, "mtu", 68, 1500, &mtu, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.detail, "--mtu takes a number from 68 to 1500");
	cli_args_free(&args);
}

static void help_is_an_option_of_every_command(void **state)
{
	struct cli_args args;
	bool help = false;

	(void)state;
	vt_ok(cli_parse(&command, 2, ARGV("--help"), &args, &help, NULL), NULL);
	assert_true(help);
	cli_args_free(&args);
	help = false;
	vt_ok(cli_parse(&command, 3, ARGV("-v", "-h"), &args, &help, NULL), NULL);
	assert_true(help);
	cli_args_free(&args);
	help = false;
	vt_ok(cli_parse(&command, 5, ARGV("one", "two", "three", "--help"), &args, &help, NULL), NULL);
	assert_true(help);
	cli_args_free(&args);
}

static void a_near_miss_gets_a_suggestion(void **state)
{
	(void)state;
	assert_complains(ARGV("--nmae=x", "op"), "--nmae", "there is no such option; did you mean --name?");
	assert_complains(ARGV("--jsn", "op"), "--jsn", "there is no such option; did you mean --json?");
	assert_complains(ARGV("--hepl"), "--hepl", "there is no such option; did you mean --help?");
	assert_complains(ARGV("--publish", "op"), "--publish", "there is no such option; --help shows those there are");
}

static void each_mistake_has_its_own_sentence(void **state)
{
	(void)state;
	assert_complains(ARGV("-x", "op"), "-x", "there is no such option; --help shows those there are");
	assert_complains(ARGV("--n=1", "op"), "--n", "it could be more than one option");
	assert_complains(ARGV("op", "op", "op"), "op", "it is one argument too many for try");
	assert_complains(ARGV("--json"), "try", "it needs PORT PORT...");
	assert_complains(ARGV("op", "--nmae", "op"), "--nmae", "there is no such option; did you mean --name?");
	assert_complains(ARGV("op", "op", "-x"), "-x", "there is no such option; --help shows those there are");
	assert_complains(ARGV("op", "--name"), "--name", "it needs an argument: NAME");
	assert_complains(ARGV("--name"), "--name", "it needs an argument: NAME");
	assert_complains(ARGV("-n"), "-n", "it needs an argument: SPEC");
	assert_complains(ARGV("--json=yes", "op"), "--json", "it takes no argument");
	assert_complains(ARGV("--name", "a", "--name", "b", "op"), "--name", "it was given twice");
	assert_complains(ARGV("--map", "ro", "op"), "ro", "--map takes one of root|self|auto");
	assert_complains(ARGV("--map=", "op"), "\"\"", "--map takes one of root|self|auto");
}

static void a_choice_with_a_word_in_capitals_takes_anything(void **state)
{
	struct cli_args args;
	struct vnic_error err;

	(void)state;
	vt_ok(parse(ARGV("--dns", "none", "--dns=192.0.2.1", "op"), &args, &err), &err);
	assert_string_equal(cli_value_at(&args, "dns", 0), "none");
	assert_string_equal(cli_value_at(&args, "dns", 1), "192.0.2.1");
	cli_args_free(&args);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(options_come_in_every_spelling),
		vt_test(options_not_given_have_their_default_or_nothing),
		vt_test(options_stand_before_between_and_after_operands),
		vt_test(two_dashes_end_the_options),
		vt_test(a_lone_dash_is_an_operand),
		vt_test(a_users_command_keeps_its_own_options),
		vt_test(a_flag_may_be_given_often),
		vt_test(a_number_is_read_within_its_bounds),
		vt_test(help_is_an_option_of_every_command),
		vt_test(a_near_miss_gets_a_suggestion),
		vt_test(each_mistake_has_its_own_sentence),
		vt_test(a_choice_with_a_word_in_capitals_takes_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
