/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --help, from the tables. */
#include "cli.h"

#include <ctype.h>
#include <string.h>
#include <sys/ioctl.h>

#define WIDTH_MAX 100 /* longer lines are hard to read */
#define WIDTH 80      /* where there is no terminal that says */
#define COLUMN 30     /* where the sentences begin */
#define NARROW 60     /* less than that: below the names instead */
#define COLUMN_NARROW 6

struct page {
	FILE *out;
	size_t width, column;
};

static struct page page_on(FILE *out)
{
	struct winsize size = {0};
	size_t width = WIDTH;

	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col)
		width = size.ws_col < WIDTH_MAX ? size.ws_col : WIDTH_MAX;
	return (struct page){out, width, width < NARROW ? COLUMN_NARROW : COLUMN};
}

/* Words, wrapped, each line but the first indented; the cursor stands at `column`.  Ends at an empty line. */
static const char *wrap(const struct page *page, const char *text, size_t column, size_t indent)
{
	for (bool first = true; *text && strncmp(text, "\n\n", 2); first = false) {
		size_t len;

		text += strspn(text, " \n");
		len = strcspn(text, " \n");
		if (!first && column > indent && column + 1 + len > page->width) {
			fprintf(page->out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first && len) {
			fputc(' ', page->out);
			column++;
		}
		fwrite(text, 1, len, page->out);
		column += len;
		text += len;
	}
	fputc('\n', page->out);
	return text + strspn(text, "\n");
}

/* Paragraphs, of which one that begins with a space stays as it is. */
static void paragraphs(const struct page *page, const char *text)
{
	while (*text) {
		fputc('\n', page->out);
		if (*text != ' ') {
			text = wrap(page, text, 0, 0);
			continue;
		}
		size_t len = strcspn(text, "\n");
		fprintf(page->out, "%.*s\n", (int)len, text);
		text += len;
		text += strspn(text, "\n");
	}
}

static void sentence(const struct page *page, const char *summary)
{
	char text[256];

	snprintf(text, sizeof(text), "%c%s.", toupper((unsigned char)summary[0]), summary + 1);
	wrap(page, text, 0, 0);
	fputc('\n', page->out);
}

/* A name, and its sentence in the second column. */
static void entry(const struct page *page, const char *name, const char *text)
{
	size_t width = (size_t)fprintf(page->out, "  %s", name);

	if (width + 2 > page->column) {
		fputc('\n', page->out);
		width = 0;
	}
	fprintf(page->out, "%*s", (int)(page->column - width), "");
	wrap(page, text, page->column, page->column);
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
	struct page page = page_on(out);

	if (command->subcommands) {
		fprintf(out, "usage: %s COMMAND [OPTION]...\n\n", path);
		sentence(&page, command->summary);
		for (const struct command *const *sub = command->subcommands; *sub; sub++) {
			char name[128];

			snprintf(name, sizeof(name), "%s %s", (*sub)->name, (*sub)->operands);
			entry(&page, name, (*sub)->summary);
		}
		fprintf(out, "\n'%s COMMAND --help' has the options.\n", path);
	} else {
		fprintf(out, "usage: %s [OPTION]...%s%s\n\n", path, *command->operands ? " " : "", command->operands);
		sentence(&page, command->summary);
		cli_each_option(command, help_option, &page);
	}
	if (command->details)
		paragraphs(&page, command->details);
}

void cli_help_top(FILE *out)
{
	struct page page = page_on(out);

	fputs("usage: vnic COMMAND [OPTION]... [ARGUMENT]...\n\n", out);
	wrap(&page, "Virtual NICs for processes, containers and virtual machines, with or without root.\n", 0, 0);
	fputc('\n', out);
	for (const struct command *const *command = cli_commands; *command; command++)
		entry(&page, (*command)->name, (*command)->summary);
	fputc('\n', out);
	wrap(&page, "'vnic COMMAND --help' and 'man vnic-COMMAND' have the details; 'vnic --version' the version.", 0,
	     0);
}
