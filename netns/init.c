/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The child's side: from its birth in new namespaces to the end of its command.
 *
 *   map ids -> clock offsets -> network namespace -> mounts -> host name -> the caller's setup -> READY
 *   -> wait for "go" -> start the command -> EXECUTED -> reap, forward, report stops -> end
 *
 * The child is an init and never becomes the command: the kernel drops default-action
 * signals to pid 1, so a command running there could not be interrupted.  It takes signals by
 * signalfd(2), for blocked signals reach even a pid 1, and passes on only those that a process sent:
 * what the terminal sends goes to the whole foreground group and has reached the command already.
 *
 * The command is started with CLONE_VM | CLONE_VFORK: no page table is copied, and what
 * execve(2) answers is simply there when the parent goes on.
 */
#include "ns.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "fd.h"

#define STACK_SIZE (64 * 1024)
#define STATUS_OURS 125 /* vnic itself failed */

struct init {
	const struct vnic_spawn *spawn;
	int control;
	int signals;       /* signalfd */
	pid_t command;     /* as we see it */
	int command_pidfd; /* until it has been handed to the parent */
	bool stopped;      /* the command, as far as wait(2) has told */
	int stops;         /* how often it was */
	bool had_terminal; /* its group was in the foreground when it stopped */
};

/* --- preparation -------------------------------------------------------------------- */

static int map_ids(const struct vnic_spawn *spawn, const struct ns_idmap *self_map, struct ns_step *step,
		   struct vnic_error *err)
{
	int r = self_map ? ns_idmap_write(0, self_map, err) : ns_step_wait(step->mapped, step->child, err);

	if (r < 0 || spawn->idmap == VNIC_IDMAP_SELF || getuid() == 0)
		return r;
	/* The caller's id is not root's in the map (a range for root): become root inside. */
	return ns_become(0, 0, err);
}

static int set_clocks(const struct vnic_spawn *spawn, struct vnic_error *err)
{
	char text[128];
	int n;

	if (unshare(CLONE_NEWTIME) < 0)
		return vnic_fail(err, VNIC_STEP_UNSHARE, errno, "time", NULL);
	/* proc_pid_ns(5)... time_namespaces(7): "<clock> <seconds> <nanoseconds>"; nanoseconds are not negative. */
	int64_t mono = spawn->monotonic_ns, boot = spawn->boottime_ns, s = 1000000000;
	n = snprintf(text, sizeof(text), "monotonic %lld %lld\nboottime %lld %lld\n",
		     (long long)((mono - (mono % s + s) % s) / s), (long long)((mono % s + s) % s),
		     (long long)((boot - (boot % s + s) % s) / s), (long long)((boot % s + s) % s));
	CLEANUP_FD int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		return vnic_fail(err, VNIC_STEP_WRITE, errno, "/proc/self/timens_offsets", NULL);
	return 0;
}

static int leave_netns(struct ns_step *step, struct vnic_error *err)
{
	int r = ns_leave_netns(NULL, err);

	return r < 0 ? r : ns_step_signal(step->netns, err);
}

static int prepare(const struct vnic_spawn *spawn, const struct ns_idmap *self_map, struct ns_step *step,
		   unsigned *ret_kept, struct vnic_error *err)
{
	unsigned ns = spawn->namespaces;
	int r = 0;

	if (ns & CLONE_NEWUSER)
		r = map_ids(spawn, self_map, step, err);
	/* Second line only: set after the credentials, which clear it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (r == 0 && (ns & CLONE_NEWTIME))
		r = set_clocks(spawn, err);
	if (r == 0 && (ns & CLONE_NEWNET))
		r = leave_netns(step, err);
	if (r == 0 && (ns & CLONE_NEWNS))
		r = ns_mounts((ns & CLONE_NEWPID) && !spawn->no_proc, (ns & CLONE_NEWNET) && !spawn->no_sys, ret_kept,
			      err);
	if (r == 0 && spawn->hostname && sethostname(spawn->hostname, strlen(spawn->hostname)) < 0)
		r = vnic_fail(err, VNIC_STEP_HOSTNAME, errno, spawn->hostname, NULL);
	if (r == 0 && spawn->setup)
		r = spawn->setup(spawn->ctx, err);
	if (r > 0)
		*ret_kept |= (unsigned)r;
	return r < 0 ? r : 0;
}

/* --- the command -------------------------------------------------------------------- */

/* clone(3) under the name that ThreadSanitizer does not intercept; see enter.c. */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...); // NOLINT(bugprone-reserved-identifier)

struct start {
	const struct vnic_spawn *spawn;
	pid_t init;
	bool own_group;
	struct vnic_error *err; /* filled where it could not be executed */
	int result;
};

static int start_command(void *arg)
{
	struct start *start = arg;
	const struct vnic_spawn *spawn = start->spawn;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != start->init) /* it was killed before this took effect, and took nobody with it */
		return STATUS_OURS;
	if (start->own_group)
		setpgid(0, 0);
	sigprocmask(SIG_SETMASK, spawn->mask, NULL);
	start->result = ns_execute(spawn->argv, spawn->envp, start->err);
	return STATUS_OURS;
}

/* execvp(3) copies argv onto the stack for a script without an interpreter. */
static size_t stack_size(char *const *argv)
{
	size_t count = 2;

	while (*argv++)
		count++;
	return STACK_SIZE + ((count * sizeof(char *) + 15) & ~15ul);
}

static int run_command(struct init *init, struct vnic_error *err)
{
	/*
	 * Without a terminal there is no job control to keep a common process group for; in one of its own the
	 * command's kill(0, ...) does not reach outside, and what is sent to the front's group comes once.
	 */
	struct start start = {.spawn = init->spawn, .init = getpid(), .own_group = !ns_has_terminal(), .err = err};
	size_t size = stack_size(init->spawn->argv);
	void *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return vnic_fail(err, VNIC_STEP_MEMORY, errno, NULL, NULL);
	if (start.own_group)
		setsid();
	int pidfd = -1;
	pid_t pid = __clone(start_command, (char *)stack + size, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &start,
			    &pidfd);
	int code = errno;
	munmap(stack, size);
	if (pid < 0)
		return vnic_fail(err, VNIC_STEP_FORK, code, NULL, "for the command");
	init->command = pid;
	init->command_pidfd = pidfd;
	return start.result;
}

/* --- the loop ----------------------------------------------------------------------- */

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The controlling terminal, or -1. Opened when needed: init must not keep the command's own descriptors open. */
static int open_terminal(void)
{
	return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

static void note_stop(struct init *init, int signal)
{
	struct ns_message message = {.type = NS_STOPPED, .value = signal};
	CLEANUP_FD int tty = open_terminal();

	init->stops++;
	init->had_terminal = tty >= 0 && tcgetpgrp(tty) == getpgid(init->command);
	ns_message_send(init->control, &message, -1, NULL);
}

/*
 * The command goes on.  A command with a group of its own (a shell) was given the terminal by
 * itself and expects to have it again; one in the front's group was continued with it.
 */
static void continue_command(struct init *init)
{
	pid_t group = getpgid(init->command);

	if (group <= 0) {
		kill(init->command, SIGCONT);
		return;
	}
	CLEANUP_FD int tty = init->had_terminal ? open_terminal() : -1;
	if (tty >= 0)
		tcsetpgrp(tty, group); /* from the background: SIGTTOU is blocked here */
	kill(-group, SIGCONT);
}

/* Returns the exit status when the command has ended, else -1. */
static int reap(struct init *init)
{
	int status, ended = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
		if (pid != init->command)
			continue;
		init->stopped = WIFSTOPPED(status);
		if (WIFSTOPPED(status))
			note_stop(init, WSTOPSIG(status));
		else if (!WIFCONTINUED(status))
			ended = exit_status(status);
	}
	return ended;
}

/*
 * A shell continues a whole group: then the command goes on already, and a second SIGCONT that comes late would undo
 * the Ctrl-Z that came in between.  So the front says which stop it has seen (vnic_sandbox_signal), and
 * the word of others counts only where the command has a group of its own.
 */
static bool is_to_continue(const struct init *init, const struct signalfd_siginfo *info)
{
	if (!init->stopped)
		return false;
	return info->ssi_code == SI_QUEUE ? info->ssi_int == init->stops : getpgid(init->command) != getpgrp();
}

static int take_signals(struct init *init)
{
	struct signalfd_siginfo info;

	while (read(init->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		int signal = (int)info.ssi_signo;
		int status = signal == SIGCHLD || signal == SIGCONT ? reap(init) : -1;

		if (status >= 0)
			return status;
		if (signal == SIGCHLD || info.ssi_code > 0)
			continue; /* what the kernel sends the command has had too */
		if (signal != SIGCONT)
			kill(init->command, signal);
		else if (is_to_continue(init, &info))
			continue_command(init);
	}
	return -1;
}

/*
 * Kills the first of our children; those that it leaves become ours, for we are their subreaper.  By its directory, for
 * /proc may have the numbers of another pid namespace.  False: /proc tells of none.
 */
static bool kill_child(void)
{
	CLEANUP_FD int children = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	char text[16] = "", path[32];

	if (children < 0 || read(children, text, sizeof(text) - 1) <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d", atoi(text));
	CLEANUP_FD int child = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return pidfd_send_signal(child, SIGKILL, NULL, 0) == 0;
}

/* A pid namespace does the same when its init ends. */
static void sweep(const struct init *init)
{
	if (!init->spawn->sweep || init->spawn->namespaces & CLONE_NEWPID)
		return;
	while (waitpid(-1, NULL, kill_child() ? 0 : WNOHANG) > 0)
		;
}

/* Until the command has ended, or the parent: then everything ends with us. */
static int serve(struct init *init)
{
	struct pollfd fds[2] = {{.fd = init->signals, .events = POLLIN}, {.fd = init->control, .events = POLLRDHUP}};

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return STATUS_OURS;
		int status = take_signals(init);
		if (status >= 0) {
			sweep(init);
			return status;
		}
		if (fds[1].revents) {
			kill(init->command, SIGKILL);
			sweep(init);
			if (init->spawn->name)
				vnic_name_drop(init->spawn->name);
			return 128 + SIGKILL;
		}
	}
}

static int init_start(struct init *init, struct vnic_error *err)
{
	sigset_t all;
	int r = 0;

	if (!init->spawn->privileged && !(init->spawn->namespaces & CLONE_NEWUSER) && getuid() == 0)
		r = ns_drop_machine_caps(err);
	if (r < 0)
		return r;
	sigfillset(&all);
	init->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (init->signals < 0)
		return vnic_fail(err, VNIC_STEP_SIGNAL, errno, NULL, NULL);
	if (!(init->spawn->namespaces & CLONE_NEWPID))
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* Nobody's debuggee, not even the sandbox's root's, and not for the moment in which the command runs already:
	 * we are a copy of the caller, memory and descriptors.  What execve(2) makes of the command is not marked. */
	prctl(PR_SET_DUMPABLE, 0);
	return run_command(init, err);
}

/* What is left of the caller's goes, and the command's descriptors, which had to be here to be inherited. */
static void withdraw(struct init *init)
{
	int keep[] = {init->control, init->signals, init->spawn->name ? init->spawn->name->fd : -1};

	ns_close_all_but(keep, 3);
}

static int init_run(struct init *init)
{
	struct ns_message message = {.type = NS_EXECUTED};
	int r = init_start(init, &message.err);

	if (r < 0) {
		message.type = NS_FAILED;
		ns_message_send(init->control, &message, -1, NULL);
		return r == -ENOENT ? 127 : 126;
	}
	raise_fd_limit(); /* the command keeps the caller's */
	r = ns_message_send(init->control, &message, init->command_pidfd, &message.err);
	if (r < 0) {
		message.type = NS_FAILED;
		ns_message_send(init->control, &message, -1, NULL);
		return 126;
	}
	withdraw(init);
	return serve(init);
}

_Noreturn void ns_child_main(const struct vnic_spawn *spawn, const struct ns_idmap *self_map, struct ns_step *step)
{
	struct ns_message message = {.type = NS_READY};
	unsigned kept = 0;

	close_fd(&step->parent);
	prctl(PR_SET_NAME, "vnic-init");
	signal(SIGCHLD, SIG_DFL);
	if (prepare(spawn, self_map, step, &kept, &message.err) < 0)
		message.type = NS_FAILED;
	message.value = (int)kept;
	if (ns_message_send(step->child, &message, -1, NULL) < 0 || message.type == NS_FAILED ||
	    ns_step_wait(step->go, step->child, NULL) < 0)
		_exit(STATUS_OURS);

	struct init init = {.spawn = spawn, .control = step->child, .signals = -1, .command_pidfd = -1};
	_exit(init_run(&init));
}
