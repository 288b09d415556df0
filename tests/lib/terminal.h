/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A terminal with somebody at it: types, reads what appears, and waits for it with a deadline.
 *
 * A line that is typed appears too, where the terminal echoes.  So the typed line should not contain the text that
 * is then waited for: type "echo sum-$((40+2))", wait for "sum-42".
 */
#ifndef TESTS_LIB_TERMINAL_H
#define TESTS_LIB_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

#define PTY_TEXT (64 * 1024)
#define PTY_CTRL_C "\x03"
#define PTY_CTRL_Z "\x1a"
#define PTY_CTRL_BACKSLASH "\x1c"

struct pty {
	int master;
	pid_t pid; /* leads the session; 0: reaped */
	int pidfd;
	char text[PTY_TEXT]; /* all that has appeared */
	size_t length, seen; /* the part before `seen` has been waited for */
};

/* A process on a terminal of its own; 24 lines of 80 columns.  In bash's words: with `bash -c SCRIPT`. */
void pty_start(struct pty *ret_pty, const char *script);
/* An interactive shell with the prompt "outer$ ", which has appeared. */
void pty_start_shell(struct pty *ret_pty);
void pty_type(struct pty *pty, const char *text);
/* Types the line (printf) and a new-line. */
void pty_line(struct pty *pty, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Waits until the text appears after what was waited for last; fails with the screen otherwise. */
void pty_expect(struct pty *pty, const char *text);
/* What has appeared since a mark (an earlier `seen`) contains the text. */
bool pty_has(const struct pty *pty, size_t mark, const char *text);
void pty_resize(struct pty *pty, unsigned short rows, unsigned short columns);
/* The terminal is gone, as when its window is closed. */
void pty_hang_up(struct pty *pty);
/* Waits for the end of the first process; returns its status as a shell has it. */
int pty_wait(struct pty *pty);
/* Kills it if it still runs. */
void pty_close(struct pty *pty);

#endif
