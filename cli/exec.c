/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic exec: a command in namespaces that exist already. */
#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "front.h"

/* The command is our child, in our process group unless it made one of its own. */
struct job {
	struct vnic_child child;
	struct front front;
	bool stopped;
	bool had_terminal; /* its own group was in the foreground when it stopped */
};

static void stop_with(struct job *job, int signal)
{
	job->had_terminal = job->front.tty >= 0 && tcgetpgrp(job->front.tty) == getpgid(job->child.pid);
	front_stop(&job->front, signal);
}

/* 1 when the command has ended. */
static int look_at_child(struct job *job, int *ret_status, struct vnic_error *err)
{
	const int changes = WSTOPPED | WCONTINUED;
	siginfo_t info = {0};

	while (waitid(P_PIDFD, (id_t)job->child.pidfd, &info, changes | WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid) {
		bool stopped = info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED;

		if (!stopped && info.si_code != CLD_CONTINUED) {
			int r = vnic_child_wait(&job->child, ret_status, err);
			return r < 0 ? r : 1;
		}
		waitid(P_PIDFD, (id_t)job->child.pidfd, &info, changes | WNOHANG);
		job->stopped = stopped;
		if (stopped)
			stop_with(job, info.si_status);
		info.si_pid = 0;
	}
	return 0;
}

/* The command's group is ours, or, of a shell, its own, which had the terminal and expects it back. */
static void continue_command(struct job *job)
{
	pid_t group = getpgid(job->child.pid);

	if (job->had_terminal && group > 0 && group != getpgrp())
		tcsetpgrp(job->front.tty, group);
	if (group > 0)
		kill(-group, SIGCONT);
}

/* 1 when the command has ended. */
static int pass_on(struct job *job, int signal, int *ret_status, struct vnic_error *err)
{
	if (signal != SIGCONT) {
		pidfd_send_signal(job->child.pidfd, signal, NULL, 0);
		return 0;
	}
	/* A SIGCONT that the command has had with us must not undo the Ctrl-Z that came after it. */
	int r = look_at_child(job, ret_status, err);
	if (r == 0 && job->stopped)
		continue_command(job);
	return r;
}

static int serve(struct job *job, int *ret_status, struct vnic_error *err)
{
	struct pollfd fds[] = {
		{.fd = job->child.pidfd, .events = POLLIN},
		{.fd = job->front.signals, .events = POLLIN},
		{.fd = job->child.control, .events = POLLRDHUP},
	};
	int signal, r = look_at_child(job, ret_status, err);

	while (r == 0) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return vnic_fail(err, VNIC_STEP_WAIT, errno, NULL, NULL);
		if (fds[2].revents) { /* nobody would end the command after us */
			pidfd_send_signal(job->child.pidfd, SIGKILL, NULL, 0);
			fds[2].fd = -1;
		}
		while (r == 0 && (signal = front_next_signal(&job->front)))
			if (signal != SIGCHLD)
				r = pass_on(job, signal, ret_status, err);
		if (r == 0)
			r = look_at_child(job, ret_status, err);
	}
	return r < 0 ? r : 0;
}

/* The operands after TARGET, and after the "--" that may stand between. */
static char **command_of(const struct cli_args *args)
{
	char **command = args->operands + 1;

	return strcmp(command[0], "--") == 0 ? command + 1 : command;
}

static int run(const struct cli_args *args, struct vnic_error *err)
{
	char **command = command_of(args);
	CLEANUP(vnic_target_close) struct vnic_target target = VNIC_TARGET_EMPTY;
	struct job job = {.child = VNIC_CHILD_EMPTY, .front = FRONT_EMPTY};
	const char *state_dir;
	int status = 0;
	int r;

	if (!command[0])
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "exec", "there is no command after --");
	r = cli_state_dir(false, &state_dir, err);
	if (r == 0)
		r = vnic_target_open(args->operands[0], state_dir, &target, err);
	if (r == 0)
		r = front_begin(&job.front, err);
	if (r == 0)
		r = vnic_target_exec(&target, command, NULL, &job.front.mask, cli_flag(args, "privileged"), &job.child,
				     err);
	if (r == 0)
		r = serve(&job, &status, err);
	vnic_child_close(&job.child);
	front_end(&job.front);
	return r < 0 ? r : status;
}

static const struct cli_option options[] = {
	{"privileged", 0, NULL, false, NULL, "as root: let the command keep all capabilities"},
	{0},
};

const struct command cmd_exec = {
	.name = "exec",
	.operands = "TARGET [--] COMMAND [ARGUMENT]...",
	.summary = "run a command in the namespaces of a sandbox, a process, or a named network namespace",
	.details = "TARGET is a name ('vnic run --name', 'vnic ns add', 'ip netns add'), a pid, or the path of a\n"
		   "network namespace.  The command's exit status is passed on.",
	.options = options,
	.min_operands = 2,
	.max_operands = -1,
	.own_status = true,
	.run = run,
};
