/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes from the command tables what would otherwise be written three times: the option sections of the manual
 * pages, and the completions.  Runs at build time; is not installed.
 *
 *   docgen man PAGE.in       the page, with its lines "@synopsis COMMAND@", "@options COMMAND@" and "@commands@"
 *                            filled in, to standard output
 *   docgen bash|zsh|fish     that shell's completion
 */
#include "cli.h"
#include "completion.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *object)
{
	fprintf(stderr, "docgen: %s: %s\n", object, what);
	exit(1);
}

/* --- manual pages: mdoc(7) ---------------------------------------------------------- */

/* A hyphen that users type must not become a typographic one. */
static void mdoc_text(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
	}
}

/* A sentence of the tables, which have neither capital nor full stop. */
static void mdoc_sentence(const char *text)
{
	char first[] = {(char)toupper((unsigned char)text[0]), '\0'};

	mdoc_text(first);
	if (*text)
		mdoc_text(text + 1);
	puts(".");
}

/* One argument of a macro, whatever stands in it. */
static void mdoc_word(const char *text)
{
	fputs(" \"\\&", stdout);
	for (; *text; text++)
		if (*text == '"')
			fputs("\"\"", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
	putchar('"');
}

static void mdoc_option(const struct cli_option *option, void *ctx)
{
	(void)ctx;
	fputs(".It", stdout);
	if (option->letter)
		printf(" Fl %c ,", option->letter);
	printf(" Fl \\-%s", option->name);
	if (option->arg) {
		fputs(" Ar", stdout);
		mdoc_word(option->arg);
	}
	putchar('\n');
	mdoc_sentence(option->help);
	if (option->initial) {
		fputs("The default is\n.Ql", stdout);
		mdoc_word(option->initial);
		puts(" .");
	}
	if (option->many)
		puts("May be repeated.");
}

static void mdoc_options(const struct command *command)
{
	puts(".Bl -tag -width Ds");
	cli_each_option(command, mdoc_option, NULL);
	puts(".El");
}

static void mdoc_synopsis(const char *path, const struct command *command)
{
	fputs(".Nm", stdout);
	mdoc_word(path);
	fputs("\n.Op Ar option ...\n", stdout);
	if (*command->operands) {
		fputs(".Ar", stdout);
		mdoc_word(command->operands);
		putchar('\n');
	}
}

static void mdoc_commands(void)
{
	puts(".Bl -tag -width doctor");
	for (const struct command *const *command = cli_commands; *command; command++) {
		printf(".It Cm %s\n", (*command)->name);
		mdoc_sentence((*command)->summary);
		printf("See\n.Xr vnic-%s 1 .\n", (*command)->name);
	}
	puts(".El");
}

/* "ns add" */
static const struct command *find(const char *words, char *path, size_t size)
{
	char copy[128], *save = NULL, *argv[8];
	const struct command *command = NULL;
	struct vnic_error err;
	char **rest = argv;
	bool help;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *word = strtok_r(copy, " ", &save); word && argc < 7; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	snprintf(path, size, "vnic");
	if (cli_find(&argc, &rest, &command, path, size, &help, &err) < 0 || !command)
		die("there is no such command", words);
	return command;
}

static void man_line(char *line)
{
	char *words = strchr(line, ' '), path[128];
	const struct command *command;

	line[strcspn(line, "\n")] = '\0';
	if (line[0] != '@') {
		puts(line);
		return;
	}
	if (!strcmp(line, "@commands@")) {
		mdoc_commands();
		return;
	}
	if (!words)
		die("this line is not understood", line);
	words[strcspn(words, "@")] = '\0';
	command = find(words, path, sizeof(path));
	if (!strncmp(line, "@synopsis ", 10))
		mdoc_synopsis(path, command);
	else if (!strncmp(line, "@options ", 9))
		mdoc_options(command);
	else
		die("this line is not understood", line);
}

static void man(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[1024];

	if (!file)
		die("cannot open", path);
	while (fgets(line, sizeof(line), file))
		man_line(line);
	fclose(file);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "man") && argc == 3)
		man(argv[2]);
	else if (!strcmp(what, "bash"))
		completion_bash();
	else if (!strcmp(what, "zsh"))
		completion_zsh();
	else if (!strcmp(what, "fish"))
		completion_fish();
	else
		die("docgen man PAGE.in | bash | zsh | fish", "usage");
	return fflush(stdout) || ferror(stdout);
}
