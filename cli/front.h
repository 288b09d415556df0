/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front: what stands between the caller's shell and a command that runs elsewhere.
 *
 * It takes all signals by signalfd(2).  Those that a process sent are for the command; those of
 * the kernel (the terminal) have reached the command's process group already.  When the command
 * stops, the front stops in the same way, so that the shell's job control sees one job.
 */
#ifndef CLI_FRONT_H
#define CLI_FRONT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <vnic/error.h>

struct front {
	int signals;   /* signalfd */
	sigset_t mask; /* the caller's, for the command */
	int tty;       /* -1: no controlling terminal */
	bool was_foreground;
	bool alone; /* the command has ended */
};
#define FRONT_EMPTY ((struct front){.signals = -1, .tty = -1})

int front_begin(struct front *ret_front, struct vnic_error *err);
/* Gives the terminal back to the caller's process group, and the signals to their handlers. */
void front_end(struct front *front);

/* The command has ended, and we go on for a while: the terminal and its signals are ours. */
void front_stay(struct front *front);

/* The next signal that the command should have, 0 when there is none now.  SIGCHLD is returned as well. */
int front_next_signal(struct front *front);

/* Stops this process as the command was stopped; returns when it is continued. */
void front_stop(struct front *front, int signal);

/* A descriptor number given by the user for a notification; marked close-on-exec, so the command does not get it. */
int front_take_fd(const char *option, uint32_t number, int *ret_fd, struct vnic_error *err);

#endif
