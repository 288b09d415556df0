/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From argv to a command, and from its result to an exit status. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/*
 * A caller may have closed stdin, stdout or stderr; the next file opened would take the place and be written to.
 * Each is filled with a descriptor on which its usual use fails.
 */
static void fill_standard_fds(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			_exit(CLI_FAILED);
}

static bool asks_version(const char *word)
{
	return !strcmp(word, "--version") || !strcmp(word, "-V") || !strcmp(word, "version");
}

/* Parses and runs the command, which may turn out to be a request for help. */
static int run(const struct command *command, const char *path, int argc, char **argv, struct vnic_error *err)
{
	struct cli_args args;
	bool help;
	int r = cli_parse(command, argc, argv, &args, &help, err);

	if (r < 0)
		return r;
	if (help)
		cli_help(stdout, path, command);
	else
		r = command->run(&args, err);
	cli_args_free(&args);
	return r;
}

int main(int argc, char **argv)
{
	struct vnic_error err = {0}, late = {0};
	const struct command *command = NULL;
	char path[128] = "vnic";
	bool help = false;
	int r;

	fill_standard_fds();
	argc--, argv++;
	if (argc && asks_version(argv[0])) {
		puts("vnic " VNIC_VERSION);
		r = 0;
	} else {
		r = cli_find(&argc, &argv, &command, path, sizeof(path), &help, &err);
		if (r == 0 && !command)
			cli_help_top(stdout);
		else if (r == 0 && help)
			cli_help(stdout, path, command);
		else if (r == 0)
			r = run(command, path, argc, argv, &err);
	}
	if (r < 0)
		cli_print_error(&err);
	int status = cli_status(command, r, &err);
	/* What could not be written before has been told already. */
	if (cli_flush(&late) < 0 && (r >= 0 || err.step != VNIC_STEP_OUTPUT)) {
		cli_print_error(&late);
		status = status ? status : CLI_FAILED;
	}
	return status;
}
