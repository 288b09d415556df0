/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "fd.h"

int front_begin(struct front *ret_front, struct vnic_error *err)
{
	struct front front = FRONT_EMPTY;
	sigset_t all;

	/* An inherited SIG_IGN would let the kernel reap our children, and their status with them. */
	signal(SIGCHLD, SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &front.mask);
	front.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (front.signals < 0)
		return vnic_fail(err, VNIC_STEP_SIGNAL, errno, NULL, NULL);
	front.tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	front.was_foreground = front.tty >= 0 && tcgetpgrp(front.tty) == getpgrp();
	*ret_front = front;
	return 0;
}

/* A shell that was the command took the terminal for its own group, which is gone now. */
static void take_terminal_back(const struct front *front)
{
	if (front->was_foreground && tcgetpgrp(front->tty) != getpgrp())
		tcsetpgrp(front->tty, getpgrp()); /* from the background: SIGTTOU is blocked */
}

void front_stay(struct front *front)
{
	front->alone = true;
	take_terminal_back(front);
}

void front_end(struct front *front)
{
	if (front->signals < 0)
		return;
	take_terminal_back(front);
	close_fd(&front->tty);
	close_fd(&front->signals);
	sigprocmask(SIG_SETMASK, &front->mask, NULL);
}

/*
 * What the kernel sends goes to the whole foreground group, so the command has had it; but of a terminal that hangs
 * up it tells the session's leader alone, and that is us where a window runs nothing else.  Of a command that has ended
 * all signals are taken for what they would have done to it.
 */
static bool is_for_command(const struct front *front, const struct signalfd_siginfo *info)
{
	return front->alone || info->ssi_code <= 0 || (info->ssi_signo == SIGHUP && getsid(0) == getpid());
}

int front_next_signal(struct front *front)
{
	struct signalfd_siginfo info;

	while (read(front->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGCHLD || is_for_command(front, &info))
			return (int)info.ssi_signo;
	return 0;
}

void front_stop(struct front *front, int signal_number)
{
	sigset_t one, pending;

	(void)front;
	/* A Ctrl-Z takes a pending SIGCONT away: one that is there came after the stop, which is over. */
	sigpending(&pending);
	if (sigismember(&pending, SIGCONT))
		return;
	/* Blocked and without a handler; unblocked it stops us here, or does nothing in an orphaned process group. */
	sigemptyset(&one);
	sigaddset(&one, signal_number);
	raise(signal_number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	sigprocmask(SIG_BLOCK, &one, NULL);
}

int front_take_fd(const char *option, uint32_t number, int *ret_fd, struct vnic_error *err)
{
	char text[32];

	snprintf(text, sizeof(text), "%u", number);
	if (fcntl((int)number, F_SETFD, FD_CLOEXEC) < 0)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "--%s: there is no such open descriptor", option);
	*ret_fd = (int)number;
	return 0;
}
