/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completions from the command tables, for bash, zsh and fish.
 *
 * Theory of operation.  In each shell a function walks over the words before the cursor: words that name a command lead
 * on ("vnic ns", "vnic ns add"), options with an argument take the next word, and the rest are operands.  Where the
 * command takes a command of the user's, the walk ends at its first word, and what follows is completed as if that were
 * typed alone.  What is offered at the end of the walk is a table: subcommands, options, an option's choices, or files
 * where its argument is one.
 *
 * Rejected: asking vnic itself at each key (a hidden verb): it would answer for the version that is in PATH, and cost a
 * process; and the shells' own "a word like this was seen", which takes `vnic run ls ns` for a `vnic ns`.
 */
#include "completion.h"

#include <string.h>

#include "cli.h"

/* An option's argument, or an operand, of which the library knows the words: its name for completion_spec.c, or NULL.
 */
static const char *spec_of(const struct cli_option *option)
{
	static const struct {
		const char *arg, *spec;
	} specs[] = {{"SPEC", "nic"}, {"TAP", "guest"}, {"RULE", "rule"}, {"LIST", "list"}};

	for (size_t i = 0; option->arg && i < sizeof(specs) / sizeof(specs[0]); i++)
		if (!strcmp(option->arg, specs[i].arg))
			return specs[i].spec;
	return NULL;
}

static const char *operands_spec(const char *path)
{
	return !strcmp(path, "vnic relay") ? "port" : NULL;
}

typedef void (*each_fn)(const char *path, const struct command *command);

/* Calls fn for every command with its words, "vnic ns add"; parents first. */
static void each_command(const struct command *const *table, const char *path, each_fn fn)
{
	for (; table && *table; table++) {
		char longer[128];

		snprintf(longer, sizeof(longer), "%s %s", path, (*table)->name);
		fn(longer, *table);
		each_command((*table)->subcommands, longer, fn);
	}
}

/* Operands before a command of the user's; -1: it takes none. */
static int operands_before(const struct command *command)
{
	if (!command->own_status)
		return -1;
	return command->operands[0] != '['; /* "[--] COMMAND", "TARGET [--] COMMAND" */
}

static bool is_choice(const struct cli_option *option)
{
	return option->arg && strchr(option->arg, '|');
}

static bool is_file(const struct cli_option *option)
{
	return option->arg && (!strcmp(option->arg, "FILE") || !strcmp(option->arg, "PATH"));
}

/* Names of sandboxes and namespaces: they are files, where cli_state_dir and ip-netns(8) keep them. */
static bool takes_targets(const char *path)
{
	return !strcmp(path, "vnic exec") || !strcmp(path, "vnic ns del") || !strcmp(path, "vnic ns show");
}

/* Within single quotes of a shell. */
static void quoted(const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
}

/* " --nic -n", of those that have an argument. */
static void taking_word(const struct cli_option *option, void *ctx)
{
	(void)ctx;
	if (!option->arg)
		return;
	printf(" --%s", option->name);
	if (option->letter)
		printf(" -%c", option->letter);
}

static void taking_words(const struct command *command)
{
	if (!command->subcommands)
		cli_each_option(command, taking_word, NULL);
}

/* --- bash --------------------------------------------------------------------------- */

static void bash_step(const char *path, const struct command *command)
{
	printf("\t\t'%s') path='%s' own=%d takes='", path, path, operands_before(command));
	taking_words(command);
	puts(" ' && continue ;;");
}

static void bash_option(const struct cli_option *option, void *ctx)
{
	(void)ctx;
	printf(" --%s", option->name);
}

static void bash_words(const char *path, const struct command *command)
{
	printf("\t'%s') names='", path);
	for (const struct command *const *sub = command->subcommands; sub && *sub; sub++)
		printf(" %s", (*sub)->name);
	fputs("' options='", stdout);
	if (!command->subcommands)
		cli_each_option(command, bash_option, NULL);
	puts(takes_targets(path) ? "' names=$(_vnic_targets) ;;" : "' ;;");
}

static void bash_argument(const struct cli_option *option, void *ctx)
{
	if (!is_choice(option) && !is_file(option) && !spec_of(option))
		return;
	printf("\t'%s --%s'", (const char *)ctx, option->name);
	if (option->letter)
		printf(" | '%s -%c'", (const char *)ctx, option->letter);
	if (is_file(option)) {
		puts(") files=1 ;;");
		return;
	}
	if (spec_of(option)) {
		printf(") spec=%s ;;\n", spec_of(option));
		return;
	}
	fputs(") names='", stdout);
	completion_words(option->arg);
	puts("' ;;");
}

static void bash_arguments(const char *path, const struct command *command)
{
	if (!command->subcommands)
		cli_each_option(command, bash_argument, (void *)path);
	if (operands_spec(path))
		printf("\t'%s ') spec=%s ;;\n", path, operands_spec(path));
}

/*
 * Readline splits words at '=' and ':', so that "--map=a" comes as three.  compgen -W expands its words as the shell
 * does, so a name must hold nothing to expand: in /tmp others make files.
 */
void completion_bash(void)
{
	puts("# bash completion for vnic; generated from its command tables\n"
	     "_vnic_targets()\n{\n"
	     "\tlocal path\n"
	     "\tfor path in {\"${XDG_RUNTIME_DIR-}/vnic\",\"/tmp/vnic-$UID\",/run/vnic,/run/netns}/*; do\n"
	     "\t\t[[ ${path##*/} == *[!A-Za-z0-9_.-]* ]] || printf '%s\\n' \"${path##*/}\"\n"
	     "\tdone\n}\n");
	completion_spec_bash();
	puts("_vnic()\n{\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} path=vnic own=-1 takes= option= names= options= files= spec= word "
	     "i\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tword=${COMP_WORDS[i]}\n"
	     "\t\tcase \"$path $word\" in");
	each_command(cli_commands, "vnic", bash_step);
	puts("\t\tesac\n"
	     "\t\tif [[ $takes == *\" $word \"* ]]; then\n"
	     "\t\t\t[[ ${COMP_WORDS[++i]} != '=' ]] || ((i++))\n"
	     "\t\t\twhile [[ ${COMP_WORDS[i + 1]-} == [:=]* ]]; do ((i += 2)); done\n"
	     "\t\t\t((i < COMP_CWORD)) || option=$word\n"
	     "\t\telif [[ $word != -* ]] && ((own-- == 0)); then\n"
	     "\t\t\tif declare -F _command_offset >/dev/null; then\n"
	     "\t\t\t\t_command_offset \"$i\"\n"
	     "\t\t\telse\n"
	     "\t\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	     "\t\t\tfi\n"
	     "\t\t\treturn\n"
	     "\t\tfi\n"
	     "\tdone\n"
	     "\tcur=${cur#=}\n"
	     "\tcase $path in");
	fputs("\tvnic) names='help version", stdout);
	for (const struct command *const *command = cli_commands; *command; command++)
		printf(" %s", (*command)->name);
	puts("' options='--help --version' ;;");
	each_command(cli_commands, "vnic", bash_words);
	puts("\tesac\n"
	     "\t[[ ! $option ]] || options= names= own=-1\n"
	     "\tcase \"$path $option\" in");
	each_command(cli_commands, "vnic", bash_arguments);
	puts("\tesac\n"
	     "\tif [[ $spec && $cur != -* ]]; then\n"
	     "\t\t_vnic_spec $spec\n"
	     "\telif [[ $files ]]; then\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	     "\telif [[ $cur == -* ]]; then\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
	     "\telif ((own == 0)); then\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n"
	     "\telse\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -W \"$names\" -- \"$cur\")\n"
	     "\tfi\n}\n"
	     "complete -F _vnic vnic");
}

/* --- zsh ---------------------------------------------------------------------------- */

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

static void zsh_argument(const struct cli_option *option)
{
	if (!option->arg)
		return;
	putchar(':');
	zsh_text(is_choice(option) ? option->name : option->arg);
	putchar(':');
	if (is_choice(option)) {
		putchar('(');
		completion_words(option->arg);
		putchar(')');
	} else if (spec_of(option)) {
		printf(" _vnic_spec %s", spec_of(option));
	} else {
		fputs(is_file(option) ? "_files" : " ", stdout);
	}
}

/* `form`: "-n" or "--nic", and how its argument follows. */
static void zsh_form(const struct cli_option *option, const char *form, const char *follows)
{
	fputs(" \\\n\t\t\t'", stdout);
	if (option->many)
		putchar('*');
	else if (option->letter)
		printf("(-%c --%s)", option->letter, option->name);
	printf("%s%s[", form, option->arg ? follows : "");
	zsh_text(option->help);
	putchar(']');
	zsh_argument(option);
	putchar('\'');
}

static void zsh_option(const struct cli_option *option, void *ctx)
{
	char form[64];

	(void)ctx;
	snprintf(form, sizeof(form), "--%s", option->name);
	zsh_form(option, form, "=");
	if (!option->letter)
		return;
	snprintf(form, sizeof(form), "-%c", option->letter);
	zsh_form(option, form, "+");
}

static void zsh_names(const struct command *const *table)
{
	fputs("\t\tnames=(", stdout);
	for (; *table; table++) {
		printf(" \\\n\t\t\t'%s:", (*table)->name);
		zsh_text((*table)->summary);
		putchar('\'');
	}
	puts(")\n\t\t_describe command names ;;");
}

static void zsh_step(const char *path, const struct command *command)
{
	(void)command;
	printf("\t\t('%s') at='%s'; (( used = i )) ;;\n", path, path);
}

static void zsh_case(const char *path, const struct command *command)
{
	int before = operands_before(command);

	printf("\t('%s')\n", path);
	if (command->subcommands) {
		zsh_names(command->subcommands);
		return;
	}
	printf("\t\t_arguments -S%s", before < 0 ? "" : " -A '-*'");
	cli_each_option(command, zsh_option, NULL);
	if (before > 0)
		fputs(" \\\n\t\t\t'1:target:_vnic_targets'", stdout);
	if (before >= 0)
		puts(" \\\n\t\t\t'*:::command:_normal' ;;");
	else
		printf(" \\\n\t\t\t'*:argument:%s' ;;\n", takes_targets(path)   ? "_vnic_targets"
							  : operands_spec(path) ? " _vnic_spec port"
										: " ");
}

void completion_zsh(void)
{
	puts("#compdef vnic\n# zsh completion for vnic; generated from its command tables\n"
	     "_vnic_targets()\n{\n"
	     "\tlocal -a found\n"
	     "\tfound=({$XDG_RUNTIME_DIR/vnic,/tmp/vnic-$UID,/run/vnic,/run/netns}/*(N:t))\n"
	     "\tcompadd \"$@\" -a found\n}");
	completion_spec_zsh();
	puts("_vnic()\n{\n"
	     "\tlocal at=vnic\n"
	     "\tlocal -i i used=1\n"
	     "\tlocal -a names\n"
	     "\tfor (( i = 2; i < CURRENT; i++ )); do\n"
	     "\t\tcase \"$at $words[i]\" in");
	each_command(cli_commands, "vnic", zsh_step);
	puts("\t\tesac\n\tdone\n"
	     "\tshift $(( used - 1 )) words\n"
	     "\t(( CURRENT -= used - 1 ))\n"
	     "\tcase $at in\n"
	     "\t(vnic)");
	zsh_names(cli_commands);
	each_command(cli_commands, "vnic", zsh_case);
	puts("\tesac\n}\n_vnic \"$@\"");
}

/* --- fish --------------------------------------------------------------------------- */

static void fish_step(const char *path, const struct command *command)
{
	printf("\t\t\tcase '%s'\n\t\t\t\tset at '%s'\n\t\t\t\tset own %d\n\t\t\t\tset takes", path, path,
	       operands_before(command));
	taking_words(command);
	puts("\n\t\t\t\tcontinue");
}

/* ctx: the path of the command */
static void fish_option(const struct cli_option *option, void *ctx)
{
	printf("complete -c vnic -n '__vnic_at \"%s\"' -l %s", (const char *)ctx, option->name);
	if (option->letter)
		printf(" -s %c", option->letter);
	if (is_choice(option)) {
		fputs(" -x -a '", stdout);
		completion_words(option->arg);
		putchar('\'');
	} else if (spec_of(option)) {
		printf(" -x -a '(__vnic_spec %s)'", spec_of(option));
	} else if (option->arg) {
		fputs(is_file(option) ? " -r -F" : " -x", stdout);
	}
	fputs(" -d '", stdout);
	quoted(option->help);
	puts("'");
}

static void fish_name(const char *path, const struct command *command)
{
	printf("complete -c vnic -n '__vnic_at \"%s\"' -a %s -d '", path, command->name);
	quoted(command->summary);
	puts("'");
}

static void fish_command(const char *path, const struct command *command)
{
	for (const struct command *const *sub = command->subcommands; sub && *sub; sub++)
		fish_name(path, *sub);
	if (!command->subcommands)
		cli_each_option(command, fish_option, (void *)path);
	if (takes_targets(path))
		printf("complete -c vnic -n '__vnic_at \"%s\" %d' -a '(__vnic_targets)'\n", path,
		       operands_before(command));
	if (operands_spec(path))
		printf("complete -c vnic -n '__vnic_at \"%s\"' -a '(__vnic_spec %s)'\n", path, operands_spec(path));
	if (operands_before(command) >= 0)
		printf("complete -c vnic -n '__vnic_at \"%s\" 0' -a '(__fish_complete_command)'\n", path);
}

void completion_fish(void)
{
	puts("# fish completion for vnic; generated from its command tables\n"
	     "\n"
	     "# Three lines: the command that the words before the cursor lead to; how many operands are missing "
	     "before\n"
	     "# one of the user's own; and of which word that begins, 0 if it does not.\n"
	     "function __vnic_look\n"
	     "\tset -l words (commandline -opc)\n"
	     "\tset -l at vnic\n"
	     "\tset -l own -1\n"
	     "\tset -l takes\n"
	     "\tset -l skip 0\n"
	     "\tset -l i 1\n"
	     "\tset -e words[1]\n"
	     "\tfor word in $words\n"
	     "\t\tset i (math $i + 1)\n"
	     "\t\tif test $skip = 1\n"
	     "\t\t\tset skip 0\n"
	     "\t\t\tcontinue\n"
	     "\t\tend\n"
	     "\t\tswitch \"$at $word\"");
	each_command(cli_commands, "vnic", fish_step);
	puts("\t\tend\n"
	     "\t\tif contains -- $word $takes\n"
	     "\t\t\tset skip 1\n"
	     "\t\telse if not string match -q -- '-*' $word; and test $own -ge 0\n"
	     "\t\t\tif test $own = 0\n"
	     "\t\t\t\tprintf '%s\\n' $at 0 $i\n"
	     "\t\t\t\treturn\n"
	     "\t\t\tend\n"
	     "\t\t\tset own (math $own - 1)\n"
	     "\t\tend\n"
	     "\tend\n"
	     "\tprintf '%s\\n' $at $own 0\n"
	     "end\n"
	     "\n"
	     "function __vnic_targets\n"
	     "\tfor dir in $XDG_RUNTIME_DIR/vnic /tmp/vnic-(id -u) /run/vnic /run/netns\n"
	     "\t\tcommand ls -- $dir 2>/dev/null\n"
	     "\tend\n"
	     "end\n"
	     "");
	completion_spec_fish();
	puts("function __vnic_at\n"
	     "\tset -l look (__vnic_look)\n"
	     "\ttest \"$look[1]\" = $argv[1]; and test $look[3] = 0; or return\n"
	     "\ttest (count $argv) = 1; or test $look[2] = $argv[2]\n"
	     "end\n"
	     "\n"
	     "function __vnic_own\n"
	     "\tset -l look (__vnic_look)\n"
	     "\ttest $look[3] != 0; or return\n"
	     "\tset -l words (commandline -opc)\n"
	     "\tcomplete -C (string join ' ' -- (string escape -- $words[$look[3]..-1]) (commandline -ct))\n"
	     "end\n"
	     "\n"
	     "complete -c vnic -f\n"
	     "complete -c vnic -a '(__vnic_own)'");
	for (const struct command *const *command = cli_commands; *command; command++)
		fish_name("vnic", *command);
	each_command(cli_commands, "vnic", fish_command);
}
