/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes from the command tables what would otherwise be written three times: option sections of the manual
 * pages, and completions.  Runs at build time; nothing of it is installed.
 *
 *   docgen man PAGE.in       the page, with its lines "@synopsis COMMAND@", "@options COMMAND@" and "@commands@"
 *                            filled in, to standard output
 *   docgen bash|zsh|fish     that shell's completion
 */
#include "cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *object)
{
	fprintf(stderr, "docgen: %s: %s\n", object, what);
	exit(1);
}

/* Calls fn for every command with its words, "vnic ns add"; parents first. */
static void each_command(const struct command *const *table, const char *path,
			 void (*fn)(const char *path, const struct command *command))
{
	for (; table && *table; table++) {
		char longer[128];

		snprintf(longer, sizeof(longer), "%s %s", path, (*table)->name);
		fn(longer, *table);
		each_command((*table)->subcommands, longer, fn);
	}
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

/* --- completions -------------------------------------------------------------------- */

/* Within single quotes of a shell. */
static void quoted(const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
}

static bool is_choice(const struct cli_option *option)
{
	return option->arg && strchr(option->arg, '|');
}

/* "a|b" as "a b" */
static void choices(const char *words)
{
	for (; *words; words++)
		putchar(*words == '|' ? ' ' : *words);
}

static void bash_case_label(const char *path, const struct command *command)
{
	(void)command;
	printf("\t\t\"%s\") path=\"%s\" ;;\n", path, path);
}

static void bash_choice(const struct cli_option *option, void *ctx)
{
	if (is_choice(option)) {
		printf("\t\"%s --%s\") words=\"", (const char *)ctx, option->name);
		choices(option->arg);
		puts("\" commands= ;;");
	} else if (option->arg) {
		printf("\t\"%s --%s\") files=1 ;;\n", (const char *)ctx, option->name);
	}
}

static void bash_choices(const char *path, const struct command *command)
{
	if (!command->subcommands)
		cli_each_option(command, bash_choice, (void *)path);
}

static void bash_word(const struct cli_option *option, void *ctx)
{
	(void)ctx;
	printf("--%s ", option->name);
}

static void bash_words(const char *path, const struct command *command)
{
	printf("\t\"%s\") words=\"", path);
	for (const struct command *const *sub = command->subcommands; sub && *sub; sub++)
		printf("%s ", (*sub)->name);
	if (!command->subcommands)
		cli_each_option(command, bash_word, NULL);
	printf("\"%s ;;\n", strstr(command->operands, "COMMAND") ? " commands=1" : "");
}

static void bash(void)
{
	puts("# bash completion for vnic; generated from its command tables");
	puts("_vnic()\n{\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} path=vnic words= files= "
	     "commands= i\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase \"$path ${COMP_WORDS[i]}\" in");
	each_command(cli_commands, "vnic", bash_case_label);
	fputs("\t\tesac\n\tdone\n\tcase \"$path\" in\n\tvnic) words=\"", stdout);
	for (const struct command *const *command = cli_commands; *command; command++)
		printf("%s ", (*command)->name);
	puts("help --help --version\" ;;");
	each_command(cli_commands, "vnic", bash_words);
	puts("\tesac\n\t[[ $cur == -* ]] && commands=\n\tcase \"$path $prev\" in");
	each_command(cli_commands, "vnic", bash_choices);
	puts("\tesac\n"
	     "\tif [[ $files ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	     "\telif [[ $commands ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n"
	     "\telse\n\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n\tfi\n}\n"
	     "complete -F _vnic vnic");
}

/* In an _arguments specification brackets and colons have a meaning. */
static void zsh_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '[' || *text == ']' || *text == ':')
			putchar('\\');
		if (*text == '\'')
			fputs("'\\'", stdout);
		putchar(*text);
	}
}

static void zsh_option(const struct cli_option *option, void *ctx)
{
	(void)ctx;
	printf(" \\\n\t\t\t'%s--%s%s[", option->many ? "*" : "", option->name, option->arg ? "=" : "");
	zsh_text(option->help);
	putchar(']');
	if (is_choice(option)) {
		printf(":%s:(", option->name);
		choices(option->arg);
		putchar(')');
	} else if (option->arg) {
		putchar(':');
		zsh_text(option->arg);
		fputs(":_files", stdout);
	}
	putchar('\'');
}

static void zsh_names(const struct command *const *table)
{
	for (; *table; table++) {
		printf(" \\\n\t\t\t'%s:", (*table)->name);
		zsh_text((*table)->summary);
		putchar('\'');
	}
}

static void zsh_label(const char *path, const struct command *command)
{
	(void)command;
	printf("\t\t('%s') at='%s'; (( used = i )) ;;\n", path, path);
}

static void zsh_case(const char *path, const struct command *command)
{
	printf("\t('%s')\n", path);
	if (command->subcommands) {
		fputs("\t\tnames=(", stdout);
		zsh_names(command->subcommands);
		puts(")\n\t\t_describe command names ;;");
		return;
	}
	fputs("\t\t_arguments -S", stdout);
	cli_each_option(command, zsh_option, NULL);
	printf(" \\\n\t\t\t'*::argument:%s' ;;\n", strstr(command->operands, "COMMAND") ? "_normal" : "_files");
}

static void zsh(void)
{
	puts("#compdef vnic\n# zsh completion for vnic; generated from its command tables\n"
	     "_vnic() {\n\tlocal at=vnic i used=1\n\tlocal -a names\n"
	     "\tfor (( i = 2; i < CURRENT; i++ )); do\n\t\tcase \"$at ${words[i]}\" in");
	each_command(cli_commands, "vnic", zsh_label);
	puts("\t\tesac\n\tdone\n\tshift $(( used - 1 )) words\n\t(( CURRENT -= used - 1 ))\n\tcase $at in\n\t(vnic)");
	fputs("\t\tnames=(", stdout);
	zsh_names(cli_commands);
	puts(")\n\t\t_describe command names ;;");
	each_command(cli_commands, "vnic", zsh_case);
	puts("\tesac\n}\n_vnic \"$@\"");
}

/* ctx: the condition under which the option is offered */
static void fish_option(const struct cli_option *option, void *ctx)
{
	printf("complete -c vnic -n '%s' -l %s", (const char *)ctx, option->name);
	if (option->letter)
		printf(" -s %c", option->letter);
	if (is_choice(option)) {
		fputs(" -x -a '", stdout);
		choices(option->arg);
		putchar('\'');
	} else if (option->arg) {
		fputs(" -r -F", stdout);
	}
	fputs(" -d '", stdout);
	quoted(option->help);
	puts("'");
}

static void fish_command(const char *path, const struct command *command)
{
	char copy[128], *save = NULL, seen[256] = "";

	/* "vnic ns add" -> having seen ns and add */
	snprintf(copy, sizeof(copy), "%s", path);
	strtok_r(copy, " ", &save);
	for (char *word = strtok_r(NULL, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		strcat(seen, *seen ? "; and " : "");
		strcat(seen, "__fish_seen_subcommand_from ");
		strcat(seen, word);
	}
	if (!command->subcommands)
		cli_each_option(command, fish_option, seen);
	for (const struct command *const *sub = command->subcommands; sub && *sub; sub++) {
		printf("complete -c vnic -n '%s' -a %s -d '", seen, (*sub)->name);
		quoted((*sub)->summary);
		puts("'");
	}
	if (strstr(command->operands, "COMMAND"))
		printf("complete -c vnic -n '%s' -a '(__fish_complete_subcommand)'\n", seen);
}

static void fish(void)
{
	puts("# fish completion for vnic; generated from its command tables\ncomplete -c vnic -f");
	for (const struct command *const *command = cli_commands; *command; command++) {
		printf("complete -c vnic -n __fish_use_subcommand -a %s -d '", (*command)->name);
		quoted((*command)->summary);
		puts("'");
	}
	each_command(cli_commands, "vnic", fish_command);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "man") && argc == 3)
		man(argv[2]);
	else if (!strcmp(what, "bash"))
		bash();
	else if (!strcmp(what, "zsh"))
		zsh();
	else if (!strcmp(what, "fish"))
		fish();
	else
		die("docgen man PAGE.in | bash | zsh | fish", "usage");
	return fflush(stdout) || ferror(stdout);
}
