/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Job control: `vnic run` and `vnic exec` in an interactive shell behave as the command alone would. */
#include "terminal.h"
#include "vt.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define INNER "env 'PS1=inner$ ' bash --norc --noprofile --noediting -i"

/* The shell's words before a command: "/usr/bin/vnic run --" or "/usr/bin/vnic exec NAME --". */
static char in[512];
static char name[32];

struct seat {
	struct pty pty;
	pid_t sandbox; /* that exec goes to; 0: none */
};
static struct seat seat;

static const char *vnic(void)
{
	const char *path = getenv("VNIC");

	return path ? path : "vnic";
}

/* --- the shell ---------------------------------------------------------------------- */

/* A sandbox that runs until it is killed; it is ready when this returns. */
static void start_target(void)
{
	int ready[2];
	char number[16], text[2];

	snprintf(name, sizeof(name), "pty-%d", getpid());
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	seat.sandbox = fork();
	assert_true(seat.sandbox >= 0);
	if (seat.sandbox == 0) {
		snprintf(number, sizeof(number), "%d", dup(ready[1]));
		execlp(vnic(), "vnic", "run", "--name", name, "--ready-fd", number, "--", "sleep", "1000", NULL);
		_exit(127);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], text, 2), 2);
	close(ready[0]);
}

static void stop_target(void)
{
	if (seat.sandbox > 0) {
		kill(seat.sandbox, SIGTERM);
		waitpid(seat.sandbox, NULL, 0);
	}
	seat.sandbox = 0;
}

static int sit_down(void **state)
{
	const char *verb = *state;

	vt_setup(state);
	if (!strcmp(verb, "exec")) {
		start_target();
		snprintf(in, sizeof(in), "%s exec %s --", vnic(), name);
	} else {
		snprintf(in, sizeof(in), "%s run --", vnic());
	}
	return 0;
}

static int stand_up(void **state)
{
	pty_close(&seat.pty);
	stop_target();
	return vt_teardown(state);
}

static void prompt_says(const char *command, const char *answer)
{
	pty_expect(&seat.pty, "outer$ ");
	pty_line(&seat.pty, "%s", command);
	pty_expect(&seat.pty, answer);
}

/* --- signals of the terminal -------------------------------------------------------- */

static void ctrl_c_ends_the_command_and_nothing_else(void **state)
{
	(void)state;
	pty_start_shell(&seat.pty);
	pty_line(&seat.pty, "%s sh -c 'echo up-$((1+1)); exec sleep 100'", in);
	pty_expect(&seat.pty, "up-2");
	pty_type(&seat.pty, PTY_CTRL_C);
	prompt_says("echo status-$?", "status-130");
}

static void ctrl_backslash_is_status_131(void **state)
{
	(void)state;
	pty_start_shell(&seat.pty);
	pty_line(&seat.pty, "ulimit -c 0; %s sh -c 'echo up-$((1+1)); exec sleep 100'", in);
	pty_expect(&seat.pty, "up-2");
	pty_type(&seat.pty, PTY_CTRL_BACKSLASH);
	prompt_says("echo status-$?", "status-131");
}

static void ctrl_c_reaches_the_command_once(void **state)
{
	(void)state;
	pty_start_shell(&seat.pty);
	/* Not a shell's trap: a signal between two of its commands waits for the end of the second. */
	pty_line(&seat.pty,
		 "%s python3 -c 'from signal import *; both = [SIGINT, SIGQUIT]; "
		 "pthread_sigmask(SIG_BLOCK, both); print(f\"up-{1+1}\", flush=True); n = 0\n"
		 "while sigwait(both) == SIGINT: n += 1; print(f\"int-{n}\", flush=True)\n"
		 "print(f\"total-{n}\")'",
		 in);
	pty_expect(&seat.pty, "up-2");
	pty_type(&seat.pty, PTY_CTRL_C);
	pty_expect(&seat.pty, "int-1");
	pty_type(&seat.pty, PTY_CTRL_C);
	pty_expect(&seat.pty, "int-2");
	pty_type(&seat.pty, PTY_CTRL_BACKSLASH);
	pty_expect(&seat.pty, "total-2");
}

static void ctrl_z_stops_the_job_and_fg_continues_it(void **state)
{
	(void)state;
	pty_start_shell(&seat.pty);
	pty_line(&seat.pty, "%s sh -c 'echo up-$((1+1)); while read -r line; do echo \"<$line>\"; done'", in);
	pty_expect(&seat.pty, "up-2");
	pty_type(&seat.pty, PTY_CTRL_Z);
	pty_expect(&seat.pty, "Stopped");
	prompt_says("jobs", "Stopped");
	prompt_says("fg", "vnic");
	pty_type(&seat.pty, "again\n");
	pty_expect(&seat.pty, "<again>");
	pty_type(&seat.pty, PTY_CTRL_Z);
	pty_expect(&seat.pty, "Stopped");
	prompt_says("fg", "vnic");
	pty_type(&seat.pty, "more\n"); /* the answer says that it has the terminal */
	pty_expect(&seat.pty, "<more>");
	pty_type(&seat.pty, PTY_CTRL_C);
	prompt_says("echo status-$?", "status-130");
}

static void a_job_in_the_background_that_reads_is_stopped_and_fg_continues_it(void **state)
{
	(void)state;
	pty_start_shell(&seat.pty);
	pty_line(&seat.pty, "%s cat &", in);
	prompt_says("until [[ $(jobs) == *Stopped* ]]; do :; done; echo it-$((1+1))", "it-2");
	prompt_says("fg", "cat");
	pty_type(&seat.pty, "hello\n");
	pty_expect(&seat.pty, "hello");
	pty_expect(&seat.pty, "hello"); /* the echo, and cat */
	pty_type(&seat.pty, "\x04");
	prompt_says("echo status-$?", "status-0");
}

static void bg_lets_it_go_on_behind(void **state)
{
	(void)state;
	pty_start_shell(&seat.pty);
	pty_line(&seat.pty, "%s sh -c 'echo up-$((1+1)); exec sleep 100'", in);
	pty_expect(&seat.pty, "up-2");
	pty_type(&seat.pty, PTY_CTRL_Z);
	pty_expect(&seat.pty, "Stopped");
	prompt_says("bg", "sleep 100");
	prompt_says("jobs -r", "Running");
	prompt_says("kill %1; wait %1; echo status-$?", "status-143");
}

/* --- shells in the sandbox ---------------------------------------------------------- */

static void start_inner(void)
{
	pty_start_shell(&seat.pty);
	pty_line(&seat.pty, "%s %s", in, INNER);
	pty_expect(&seat.pty, "inner$ ");
}

static void a_shell_inside_has_job_control(void **state)
{
	size_t mark;

	(void)state;
	start_inner();
	mark = seat.pty.seen;
	pty_line(&seat.pty, "sh -c 'echo up-$((1+1)); while read -r l; do echo \"<$l>\"; done'");
	pty_expect(&seat.pty, "up-2");
	pty_type(&seat.pty, PTY_CTRL_Z);
	pty_expect(&seat.pty, "Stopped");
	pty_expect(&seat.pty, "inner$ ");
	pty_line(&seat.pty, "fg");
	pty_expect(&seat.pty, "sh -c");
	pty_type(&seat.pty, "again\n");
	pty_expect(&seat.pty, "<again>");
	pty_type(&seat.pty, PTY_CTRL_C);
	pty_expect(&seat.pty, "inner$ ");
	pty_line(&seat.pty, "echo status-$?");
	pty_expect(&seat.pty, "status-130");
	pty_line(&seat.pty, "exit 7");
	prompt_says("echo status-$?", "status-7");
	assert_false(pty_has(&seat.pty, mark, "no job control"));
}

static void suspend_inside_stops_the_job_outside(void **state)
{
	(void)state;
	start_inner();
	for (int i = 0; i < 2; i++) {
		pty_line(&seat.pty, "suspend");
		pty_expect(&seat.pty, "Stopped");
		prompt_says("echo between-$((1+1))", "between-2");
		prompt_says("fg", "bash");
		pty_line(&seat.pty, "echo again-$((1+1))");
		pty_expect(&seat.pty, "again-2");
	}
	pty_expect(&seat.pty, "inner$ ");
	pty_line(&seat.pty, "sh -c 'echo up-$((1+1)); exec sleep 100'");
	pty_expect(&seat.pty, "up-2");
	pty_type(&seat.pty, PTY_CTRL_C);
	pty_expect(&seat.pty, "inner$ ");
	pty_line(&seat.pty, "exit 3");
	prompt_says("echo status-$?", "status-3");
}

/* Only the foreground group may read the terminal. */
static void the_terminal_is_given_back_after_a_shell(void **state)
{
	char script[1024];

	(void)state;
	snprintf(script, sizeof(script),
		 "%s bash --norc --noprofile --noediting -ic 'exit 5'; echo status-$?; "
		 "read -r line && echo \"<$line>\"",
		 in);
	pty_start(&seat.pty, script);
	pty_expect(&seat.pty, "status-5");
	pty_type(&seat.pty, "mine\n");
	pty_expect(&seat.pty, "<mine>");
	assert_int_equal(pty_wait(&seat.pty), 0);
}

/* --- the terminal itself ------------------------------------------------------------ */

static void raw_mode_passes_every_byte(void **state)
{
	(void)state;
	pty_start_shell(&seat.pty);
	pty_line(&seat.pty,
		 "%s sh -c 'stty raw -echo; echo up-$((1+1)); dd bs=1 count=6 2>/dev/null | od -An -tx1; stty sane'",
		 in);
	pty_expect(&seat.pty, "up-2");
	pty_type(&seat.pty, PTY_CTRL_C PTY_CTRL_Z PTY_CTRL_BACKSLASH "\x11\x04\r");
	pty_expect(&seat.pty, "03 1a 1c 11 04 0d");
	prompt_says("echo status-$?", "status-0");
}

static void a_resized_terminal_is_told(void **state)
{
	(void)state;
	pty_start_shell(&seat.pty);
	pty_line(&seat.pty, "%s bash -c 'trap \"stty size; exit 0\" WINCH; stty size; sleep 100 & wait'", in);
	pty_expect(&seat.pty, "24 80");
	pty_resize(&seat.pty, 33, 99);
	pty_expect(&seat.pty, "33 99");
	prompt_says("echo status-$?", "status-0");
}

static void the_terminal_has_a_name_inside(void **state)
{
	(void)state;
	pty_start_shell(&seat.pty);
	pty_line(&seat.pty, "%s sh -c 'echo open-$((1+1)) >/dev/tty'", in);
	pty_expect(&seat.pty, "open-2");
}

/* A hang-up is told to the session's leader alone, which is vnic where it is all that a window runs. */
static void a_closed_window_ends_it_all(void **state)
{
	char script[1024], byte;
	int life[2];

	(void)state;
	assert_int_equal(pipe2(life, O_CLOEXEC), 0);
	int inherited = dup(life[1]); /* by the command, which has it until its end */
	snprintf(script, sizeof(script), "exec %s sh -c 'echo up-$((1+1)); exec sleep 100'", in);
	pty_start(&seat.pty, script);
	close(inherited);
	close(life[1]);
	pty_expect(&seat.pty, "up-2");
	pty_hang_up(&seat.pty);
	assert_true(vt_readable(life[0]));
	assert_int_equal(read(life[0], &byte, 1), 0);
	close(life[0]);
	assert_int_equal(pty_wait(&seat.pty), 128 + SIGHUP);
}

#define both(test)                                                       \
	{"run: " #test, test, sit_down, stand_up, (void *)"run"},        \
	{                                                                \
		"exec: " #test, test, sit_down, stand_up, (void *)"exec" \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(ctrl_c_ends_the_command_and_nothing_else),
		both(ctrl_backslash_is_status_131),
		both(ctrl_c_reaches_the_command_once),
		both(ctrl_z_stops_the_job_and_fg_continues_it),
		both(a_job_in_the_background_that_reads_is_stopped_and_fg_continues_it),
		both(bg_lets_it_go_on_behind),
		both(a_shell_inside_has_job_control),
		both(suspend_inside_stops_the_job_outside),
		both(the_terminal_is_given_back_after_a_shell),
		both(raw_mode_passes_every_byte),
		both(a_resized_terminal_is_told),
		both(the_terminal_has_a_name_inside),
		both(a_closed_window_ends_it_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
