/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options: getopt_long(3) driven by a command's table.  They may stand between and after operands, unless the
 * operands are a command of the user's: there the first one ends them, so `vnic run ls --help` asks ls.
 * Rejected: argp, which prints and exits by itself; getopt's own permutation, which reorders argv and so loses track
 * of the word that it complains about.
 */
#include "cli.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

#define OPTIONS_MAX 32
#define LONG_BASE 256 /* getopt's value for option i is LONG_BASE + i: above every letter */
#define GETOPT_OPERAND 1
#define NO_OPTION "there is no such option"

const struct cli_option cli_help_option = {.name = "help", .letter = 'h', .help = "show this help"};

/* The command's options, then --help; NULL at the end. */
static const struct cli_option *option_at(const struct command *command, int index)
{
	const struct cli_option *option = command->options;

	for (; option && option->name; option++)
		if (index-- == 0)
			return option;
	return index == 0 ? &cli_help_option : NULL;
}

void cli_each_option(const struct command *command, void (*fn)(const struct cli_option *option, void *ctx), void *ctx)
{
	for (int i = 0; option_at(command, i); i++)
		fn(option_at(command, i), ctx);
}

static const char *option_name_at(const void *ctx, int index)
{
	const struct cli_option *option = option_at(ctx, index);

	return option ? option->name : NULL;
}

/* --- parsing ------------------------------------------------------------------------ */

struct getopt_tables {
	struct option longs[OPTIONS_MAX + 1];
	char letters[2 * OPTIONS_MAX + 3];
};

static void fill_tables(const struct command *command, struct getopt_tables *tables)
{
	const struct cli_option *option;
	char *letter = tables->letters;
	int i;

	*letter++ = command->own_status ? '+' : '-'; /* the first operand is the end, or comes as GETOPT_OPERAND */
	*letter++ = ':';                             /* a missing argument is ':', not '?' */
	for (i = 0; (option = option_at(command, i)); i++) {
		assert(i < OPTIONS_MAX);
		tables->longs[i] = (struct option){
			.name = option->name,
			.has_arg = option->arg ? required_argument : no_argument,
			.val = LONG_BASE + i,
		};
		if (option->letter) {
			*letter++ = option->letter;
			if (option->arg)
				*letter++ = ':';
		}
	}
}

/* What getopt returned or left in optopt: a letter, or a place in the table. */
static const struct cli_option *option_of(const struct command *command, int value)
{
	const struct cli_option *option;

	if (value >= LONG_BASE)
		return option_at(command, value - LONG_BASE);
	for (int i = 0; (option = option_at(command, i)); i++)
		if (option->letter && option->letter == value)
			return option;
	return NULL;
}

static int fail_unknown(const struct command *command, const char *word, struct vnic_error *err)
{
	char name[64], shown[80];
	const char *nearest;
	const struct cli_option *option;
	int matches = 0;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	snprintf(shown, sizeof(shown), "--%s", name);
	for (int i = 0; (option = option_at(command, i)); i++)
		matches += !strncmp(option->name, name, strlen(name));
	if (matches > 1)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, shown, "it could be more than one option");
	nearest = parse_nearest(name, option_name_at, command);
	if (nearest)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, shown, NO_OPTION "; did you mean --%s?", nearest);
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, shown, NO_OPTION "; --help shows those there are");
}

/* getopt returned '?' or ':'; word is the argument it was looking at. */
static int fail_option(const struct command *command, int result, const char *word, struct vnic_error *err)
{
	const struct cli_option *option = option_of(command, optopt);
	char shown[80];

	if (option && optopt >= LONG_BASE)
		snprintf(shown, sizeof(shown), "--%s", option->name);
	else
		snprintf(shown, sizeof(shown), "-%c", optopt);
	if (result == ':' && option)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, shown, "it needs an argument: %s", option->arg);
	if (option)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, shown, "it takes no argument");
	if (optopt)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, shown, NO_OPTION "; --help shows those there are");
	return fail_unknown(command, word, err);
}

static bool given(const struct cli_args *args, const struct cli_option *option)
{
	for (int i = 0; i < args->value_count; i++)
		if (args->values[i].option == option)
			return true;
	return false;
}

/* One in capitals stands for others. */
static bool is_word_of(const char *text, const char *words)
{
	size_t len = strlen(text);

	for (const char *p = words; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
		if (isupper((unsigned char)*p) || (len && !strncmp(p, text, len) && (p[len] == '|' || !p[len])))
			return true;
	return false;
}

static int check_value(const struct cli_args *args, const struct cli_option *option, const char *text,
		       struct vnic_error *err)
{
	char shown[80];

	snprintf(shown, sizeof(shown), "--%s", option->name);
	if (!option->arg)
		return 0;
	if (!option->many && given(args, option))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, shown, "it was given twice");
	if (strchr(option->arg, '|') && !is_word_of(text, option->arg))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "%s takes one of %s", shown, option->arg);
	return 0;
}

static int check_operands(const struct cli_args *args, struct vnic_error *err)
{
	const struct command *command = args->command;

	if (args->operand_count < command->min_operands)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, command->name, "it needs %s", command->operands);
	if (command->max_operands >= 0 && args->operand_count > command->max_operands)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, args->operands[command->max_operands],
				 command->max_operands ? "it is one argument too many for %s" : "%s takes no arguments",
				 command->name);
	return 0;
}

/* One option or operand as getopt returned it; `word` is where it looked. */
static int take(struct cli_args *args, int result, const char *word, struct vnic_error *err)
{
	const struct cli_option *option;
	int r;

	if (result == GETOPT_OPERAND) {
		args->operands[args->operand_count++] = optarg;
		return 0;
	}
	option = result == '?' || result == ':' ? NULL : option_of(args->command, result);
	if (!option)
		return fail_option(args->command, result, word, err);
	r = check_value(args, option, optarg, err);
	if (r == 0 && (option->arg || !given(args, option)))
		args->values[args->value_count++] = (struct cli_value){option, optarg};
	return r;
}

/* Until the end, a mistake, or --help. */
static int take_all(struct cli_args *args, int argc, char **argv, bool *ret_help, struct vnic_error *err)
{
	struct getopt_tables tables = {0};
	int result, r = 0;

	fill_tables(args->command, &tables);
	opterr = 0;
	optind = 0; /* glibc: start anew */
	for (int at = 1; r == 0 && !given(args, &cli_help_option); at = optind) {
		result = getopt_long(argc, argv, tables.letters, tables.longs, NULL);
		if (result == -1)
			break;
		r = take(args, result, argv[at], err);
	}
	*ret_help = given(args, &cli_help_option);
	while (r == 0 && optind < argc)
		args->operands[args->operand_count++] = argv[optind++];
	return r == 0 && !*ret_help ? check_operands(args, err) : r;
}

int cli_parse(const struct command *command, int argc, char **argv, struct cli_args *ret_args, bool *ret_help,
	      struct vnic_error *err)
{
	/* Each word gives at most one value, but for flags, of which each is kept once. */
	struct cli_args args = {
		.command = command,
		.values = calloc((size_t)argc + OPTIONS_MAX, sizeof(*args.values)),
		.operands = calloc((size_t)argc + 1, sizeof(*args.operands)),
	};
	bool help = false;
	int r = 0;

	if (!args.values || !args.operands)
		r = vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	if (r == 0)
		r = take_all(&args, argc, argv, &help, err);
	if (r < 0) {
		cli_args_free(&args);
		return r;
	}
	*ret_args = args;
	*ret_help = help;
	return 0;
}

void cli_args_free(struct cli_args *args)
{
	free(args->values);
	free(args->operands);
	*args = (struct cli_args){.command = args->command};
}

/* --- answers ------------------------------------------------------------------------ */

static const struct cli_option *declared(const struct cli_args *args, const char *name)
{
	const struct cli_option *option;

	for (int i = 0; (option = option_at(args->command, i)); i++)
		if (!strcmp(option->name, name))
			return option;
	abort();
}

bool cli_flag(const struct cli_args *args, const char *name)
{
	return given(args, declared(args, name));
}

const char *cli_value(const struct cli_args *args, const char *name)
{
	const struct cli_option *option = declared(args, name);

	for (int i = args->value_count; i-- > 0;)
		if (args->values[i].option == option)
			return args->values[i].text;
	return option->initial;
}

const char *cli_value_at(const struct cli_args *args, const char *name, int index)
{
	const struct cli_option *option = declared(args, name);
	bool any = given(args, option);

	for (int i = 0; i < args->value_count; i++)
		if (args->values[i].option == option && index-- == 0)
			return args->values[i].text;
	return any || index > 0 ? NULL : option->initial;
}

int cli_number(const struct cli_args *args, const char *name, uint32_t min, uint32_t max, uint32_t *ret_value,
	       struct vnic_error *err)
{
	const char *text = cli_value(args, name);
	char what[80];

	if (!text)
		return 0;
	snprintf(what, sizeof(what), "--%s", name);
	return parse_u32(text, what, min, max, ret_value, err);
}
