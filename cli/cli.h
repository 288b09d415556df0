/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command framework.  A command is one const table: its options are declared once, with
 * default and help; parsing, --help, the man page and the shells' completions come from it.
 *
 * A command's run() gets parsed arguments, returns an exit status (0..255), or a negative errno with
 * *err filled.  It never prints that error and never exits: main() does, in one place.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <vnic/vnic.h>

/* Exit statuses, as vnic(1) documents them. */
enum cli_status {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_UNSUPPORTED = 3,  /* not permitted, or not supported here */
	CLI_OWN_FAILED = 125, /* of a command that passes on another's status: vnic itself failed */
	CLI_NOT_EXECUTABLE = 126,
	CLI_NOT_FOUND = 127,
};

struct cli_option {
	const char *name;    /* long, without dashes */
	char letter;         /* 0: none */
	const char *arg;     /* name of its argument; "a|b|OTHER" where it may be one of a few words; NULL: a flag */
	bool many;           /* may be given more than once */
	const char *initial; /* the default, as it would be written; NULL: none */
	const char *help;    /* one sentence without capital and full stop */
};

struct cli_args {
	const struct command *command;
	char **operands; /* what is no option; ends with NULL */
	int operand_count;
	struct cli_value *values; /* in the order given */
	int value_count;
};

struct command {
	const char *name;
	const char *operands;                     /* as in "TARGET [--] COMMAND..."; "" for none */
	const char *summary;                      /* one sentence without capital and full stop */
	const char *details;                      /* more for --help, may be NULL */
	const struct cli_option *options;         /* ends with an empty one; NULL: none; --help is everyone's */
	const struct command *const *subcommands; /* ends with NULL; then there is no run() */
	int min_operands, max_operands;           /* max -1: any number */
	/* The operands hold a command of the user's: its options are its own, and our failures are 125, 126, 127. */
	bool own_status;
	int (*run)(const struct cli_args *args, struct vnic_error *err);
};

/* --- commands.c --------------------------------------------------------------------- */

extern const struct command cmd_run, cmd_exec, cmd_vm, cmd_ns, cmd_tap, cmd_relay, cmd_list, cmd_doctor;

/* All of them, in the order of the help; ends with NULL. */
extern const struct command *const cli_commands[];

/*
 * Follows the words ("ns", "add", ...) to a command and leaves *argv at the last of them.  `path` holds "vnic" and
 * grows with each word.  *ret_help: help is asked for; *ret_command NULL then means for vnic as a whole.
 */
int cli_find(int *argc, char ***argv, const struct command **ret_command, char *path, size_t path_size, bool *ret_help,
	     struct vnic_error *err);

/* --- options.c: what a command asks ------------------------------------------------- */

/* Each aborts if the command has not declared the option: that is a bug, not a user's mistake. */
bool cli_flag(const struct cli_args *args, const char *name);
/* The last value given, else the default, else NULL. */
const char *cli_value(const struct cli_args *args, const char *name);
/* The index-th value given (0...), NULL after the last.  Without any, the default is the first. */
const char *cli_value_at(const struct cli_args *args, const char *name, int index);
/* The same as a number; *ret_value is untouched when the option was not given and has no default. */
int cli_number(const struct cli_args *args, const char *name, uint32_t min, uint32_t max, uint32_t *ret_value,
	       struct vnic_error *err);

/* --- options.c: for main and the generators ----------------------------------------- */

struct cli_value {
	const struct cli_option *option;
	const char *text; /* NULL for a flag */
};

extern const struct cli_option cli_help_option;

/* Calls fn for each option of the command and then for --help. */
void cli_each_option(const struct command *command, void (*fn)(const struct cli_option *option, void *ctx), void *ctx);

/* argv[0] is the command's name.  Values and operands point to the strings of argv, which keeps its order. */
int cli_parse(const struct command *command, int argc, char **argv, struct cli_args *ret_args, bool *ret_help,
	      struct vnic_error *err);
void cli_args_free(struct cli_args *args);

/* --- help.c ------------------------------------------------------------------------- */

void cli_help_top(FILE *out);
/* path: "vnic ns add" */
void cli_help(FILE *out, const char *path, const struct command *command);

/* --- print.c ------------------------------------------------------------------------ */

/* What can be done about it, with the caller's name for USER where it is known; static, or in buf.  NULL: nothing. */
#define CLI_REMEDY 400
const char *cli_remedy(const struct vnic_error *err, char *buf, size_t size);
/* "vnic: cannot ...", and a second line "  try: ..." where there is a remedy. */
void cli_print_error(const struct vnic_error *err);
void cli_warn(const char *format, ...) VNIC_PRINTF(1, 2);
/* A text of a process that reads what others send, or that names what others have named: no control characters. */
void cli_make_plain(char *text);
/*
 * What somebody else has chosen (a sandbox's links, a process's name), for the terminal: all but printable ASCII
 * becomes '?', so that it can neither draw nor type there.  Returns buf.
 */
const char *cli_plain(const char *text, char *buf, size_t size);
/* The same as JSON, where control characters are harmless: only a text that is not UTF-8 is made plain. */
json_t *cli_json_text(const char *text);
/* Does it with every operand: one that fails keeps no other, and its error is told at once, but for the last one's. */
int cli_each_operand(const struct cli_args *args, int (*fn)(const char *operand, void *ctx, struct vnic_error *err),
		     void *ctx, struct vnic_error *err);
/* Takes the reference.  NULL (jansson was out of memory) is -ENOMEM. */
int cli_print_json(json_t *json, struct vnic_error *err);
int cli_print_json_line(json_t *json, struct vnic_error *err);
/* Everything that was printed has left, or -errno: a full disk, a closed pipe. */
int cli_flush(struct vnic_error *err);
/* The exit status for a command that returned `result`. */
int cli_status(const struct command *command, int result, const struct vnic_error *err);

/* --- environment.c ------------------------------------------------------------------ */

/*
 * Where names of sandboxes and namespaces are kept: /run/vnic for root, else $XDG_RUNTIME_DIR/vnic, else
 * /tmp/vnic-UID.  `make`: create it; otherwise it may be absent.  A directory that belongs to another user, or that
 * others can write to, is refused; but in /tmp anyone may have been first, which only hides names, so there, without
 * `make`, *ret_dir is NULL and there is a warning.  The result is static.
 */
int cli_state_dir(bool make, const char **ret_dir, struct vnic_error *err);

#endif
