/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vt.h"

static void start(struct pty *ret_pty, char *const argv[])
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	struct pty *pty = ret_pty;

	*pty = (struct pty){.master = -1, .pidfd = -1};
	pty->pid = forkpty(&pty->master, NULL, NULL, &size);
	assert_true(pty->pid >= 0);
	if (pty->pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	pty->pidfd = pidfd_open(pty->pid, 0);
	assert_true(pty->pidfd >= 0);
}

void pty_start(struct pty *ret_pty, const char *script)
{
	char *const argv[] = {"bash", "-c", (char *)(uintptr_t)script, NULL};

	start(ret_pty, argv);
}

void pty_start_shell(struct pty *ret_pty)
{
	/* Without line editing the terminal itself echoes, and nothing but what was typed. */
	char *const argv[] = {"env",    "-u",          "HISTFILE",    "PS1=outer$ ", "bash",
			      "--norc", "--noprofile", "--noediting", "-i",          NULL};

	start(ret_pty, argv);
	pty_expect(ret_pty, "outer$ ");
}

void pty_type(struct pty *pty, const char *text)
{
	size_t length = strlen(text);

	assert_int_equal(write(pty->master, text, length), length);
}

void pty_line(struct pty *pty, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	assert_true(n >= 0 && (size_t)n < sizeof(line) - 1);
	line[n] = '\n';
	line[n + 1] = '\0';
	pty_type(pty, line);
}

/* False at the deadline, and when no process has the terminal any more. */
static bool read_more(struct pty *pty)
{
	if (!vt_readable(pty->master))
		return false;
	assert_true(pty->length < PTY_TEXT - 1);
	ssize_t n = read(pty->master, pty->text + pty->length, PTY_TEXT - 1 - pty->length);
	if (n <= 0)
		return false;
	pty->length += (size_t)n;
	pty->text[pty->length] = '\0';
	return true;
}

void pty_expect(struct pty *pty, const char *text)
{
	char *found;

	while (!(found = strstr(pty->text + pty->seen, text)))
		if (!read_more(pty)) {
			print_error("# waited for '%s'; the terminal shows:\n%s\n", text, pty->text);
			fail();
		}
	pty->seen = (size_t)(found - pty->text) + strlen(text);
}

bool pty_has(const struct pty *pty, size_t mark, const char *text)
{
	return strstr(pty->text + mark, text);
}

void pty_resize(struct pty *pty, unsigned short rows, unsigned short columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};

	assert_int_equal(ioctl(pty->master, TIOCSWINSZ, &size), 0);
}

void pty_hang_up(struct pty *pty)
{
	close(pty->master);
	pty->master = -1;
}

int pty_wait(struct pty *pty)
{
	int status;

	/* Somebody must read what it still writes. */
	while (pty->master >= 0 && read_more(pty))
		;
	assert_true(vt_readable(pty->pidfd));
	assert_int_equal(waitpid(pty->pid, &status, 0), pty->pid);
	pty->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void pty_close(struct pty *pty)
{
	if (pty->master >= 0)
		pty_hang_up(pty);
	if (pty->pid > 0) {
		kill(pty->pid, SIGKILL);
		waitpid(pty->pid, NULL, 0);
		pty->pid = 0;
	}
	if (pty->pidfd >= 0)
		close(pty->pidfd);
	pty->pidfd = -1;
}
