/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of commands, and the way from words to an entry in it. */
#include "cli.h"

#include <errno.h>
#include <string.h>

#include "parse.h"

const struct command *const cli_commands[] = {
	&cmd_run, &cmd_exec, &cmd_vm, &cmd_ns, &cmd_tap, &cmd_relay, &cmd_list, &cmd_doctor, NULL,
};

static const char *command_name_at(const void *ctx, int index)
{
	const struct command *const *table = ctx;

	return table[index] ? table[index]->name : NULL;
}

static bool asks_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

static int fail_word(const char *path, const char *word, const struct command *const *table, struct vnic_error *err)
{
	const char *nearest = parse_nearest(word, command_name_at, table);

	if (nearest)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, word, "%s has no such %s; did you mean %s?", path,
				 word[0] == '-' ? "option" : "command", nearest);
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, word, "%s has no such %s; see '%s --help'", path,
			 word[0] == '-' ? "option" : "command", path);
}

int cli_find(int *argc, char ***argv, const struct command **ret_command, char *path, size_t path_size, bool *ret_help,
	     struct vnic_error *err)
{
	const struct command *const *table = cli_commands;
	const struct command *command = NULL;
	size_t len = strlen(path);

	*ret_help = false;
	for (; table; (*argc)--, (*argv)++) {
		const char *word = (*argv)[0];
		int i = 0;

		if (!word && !*ret_help)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, path, "it needs a command; see '%s --help'",
					 path);
		if (!word)
			break;
		if (asks_help(word)) {
			*ret_help = true;
			continue;
		}
		while (table[i] && strcmp(table[i]->name, word))
			i++;
		if (!table[i])
			return fail_word(path, word, table, err);
		command = table[i];
		table = command->subcommands;
		len += (size_t)snprintf(path + len, path_size - len, " %s", command->name);
		if (!table)
			break; /* *argv stays at the command's own name */
	}
	*ret_command = command;
	return 0;
}
