/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --help, from the tables. */
#include "cli.h"

#include <ctype.h>
#include <string.h>

#define WIDTH 100
#define COLUMN 30 /* where the sentences begin */

/* Words, wrapped, each line but the first indented; the cursor stands at `column`. */
static void wrap(FILE *out, const char *text, size_t column, size_t indent)
{
	const char *word = text;

	while (*word) {
		size_t len = strcspn(word, " ");

		if (column > indent && column + 1 + len > WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (word != text) {
			fputc(' ', out);
			column++;
		}
		fwrite(word, 1, len, out);
		column += len;
		word += len;
		word += *word == ' ';
	}
	fputc('\n', out);
}

static void sentence(FILE *out, const char *summary)
{
	fprintf(out, "%c%s.\n\n", toupper((unsigned char)summary[0]), summary + 1);
}

/* A name, and its sentence in the second column. */
static void entry(FILE *out, const char *name, const char *text)
{
	int width = fprintf(out, "  %s", name);

	if (width + 2 > COLUMN) {
		fputc('\n', out);
		width = 0;
	}
	fprintf(out, "%*s", COLUMN - width, "");
	wrap(out, text, COLUMN, COLUMN);
}

static void help_option(const struct cli_option *option, void *ctx)
{
	char name[128], text[512];
	int n;

	n = option->letter ? snprintf(name, sizeof(name), "-%c, ", option->letter)
			   : snprintf(name, sizeof(name), "    ");
	snprintf(name + n, sizeof(name) - (size_t)n, "--%s%s%s", option->name, option->arg ? " " : "",
		 option->arg ? option->arg : "");
	n = snprintf(text, sizeof(text), "%s", option->help);
	if (option->initial)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " (default: %s)", option->initial);
	if (option->many)
		snprintf(text + n, sizeof(text) - (size_t)n, " (may be repeated)");
	entry(ctx, name, text);
}

void cli_help(FILE *out, const char *path, const struct command *command)
{
	if (command->subcommands) {
		fprintf(out, "usage: %s COMMAND [OPTION]...\n\n", path);
		sentence(out, command->summary);
		for (const struct command *const *sub = command->subcommands; *sub; sub++) {
			char name[128];

			snprintf(name, sizeof(name), "%s %s", (*sub)->name, (*sub)->operands);
			entry(out, name, (*sub)->summary);
		}
		fprintf(out, "\n'%s COMMAND --help' has the options.\n", path);
	} else {
		fprintf(out, "usage: %s [OPTION]...%s%s\n\n", path, *command->operands ? " " : "", command->operands);
		sentence(out, command->summary);
		cli_each_option(command, help_option, out);
	}
	if (command->details)
		fprintf(out, "\n%s\n", command->details);
}

void cli_help_top(FILE *out)
{
	fputs("usage: vnic COMMAND [OPTION]... [ARGUMENT]...\n\n"
	      "Virtual NICs for processes, containers and virtual machines, with or without root.\n\n",
	      out);
	for (const struct command *const *command = cli_commands; *command; command++)
		entry(out, (*command)->name, (*command)->summary);
	fputs("\n'vnic COMMAND --help' and 'man vnic-COMMAND' have the details; 'vnic --version' the version.\n", out);
}
