/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command in the namespaces of another process.
 *
 * Theory of operation.  The caller gets up to three children, one of them for a moment:
 *
 *   joiner    joins everything, clones the command, ends
 *   command   cloned with CLONE_PARENT: the caller's child, in its process group and session
 *   keeper    waits for the end of the caller or of the command; kills the command by its pidfd
 *
 * A pid namespace is joined only by children, and a process that joined a user namespace cannot go
 * back, hence the joiner.  The command must be the caller's own child, or job control (stops, the terminal's
 * foreground group) would end at a process in between.
 *
 * The keeper never left the caller's namespaces: nobody in the target's can see or signal it.  It is there before
 * the command is told to go on, so the command can at no moment outlive the caller; until then the
 * command ends by itself when the caller's end of the socket closes.  PR_SET_PDEATHSIG is the second
 * line (it is tied to a thread of the caller, and cleared by setuid programs).
 *
 * Rejected: the joiner as keeper (with a member's credentials in the target's user namespace); a
 * keeper that is nobody's child (left as a zombie where pid 1 does not reap, as in many containers).
 */
#include "ns.h"

#include "fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define STATUS_OURS 125
#define ETC_NETNS "/etc/netns"

struct exec {
	const struct vnic_target *target;
	char *const *argv;
	char *const *envp;
	const sigset_t *mask;
	bool privileged;
	struct ns_set set;
	bool own_group; /* without a terminal, as in init.c */
	/* SOCK_SEQPACKET: NS_READY and NS_STARTED from the joiner, "go" to the command, NS_FAILED or the end back. */
	int parent, child;
};

static void exec_close(struct exec *exec)
{
	ns_set_close(&exec->set);
	close_fd(&exec->parent);
	close_fd(&exec->child);
}

/* --- the command -------------------------------------------------------------------- */

static void report(const struct exec *exec, const struct vnic_error *err)
{
	struct ns_message message = {.type = NS_FAILED, .err = *err};

	ns_message_send(exec->child, &message, -1, NULL);
}

/* Has it joined one?  Then its capabilities are none over the host. */
static bool in_user_namespace(const struct exec *exec)
{
	return exec->set.mask & CLONE_NEWUSER || (!exec->target->pid && exec->target->userns_fd >= 0);
}

_Noreturn static void command_main(const struct exec *exec)
{
	struct vnic_error err;
	char go;

	/* The caller may have ended before this took effect: then the socket tells. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ssize_t n = TEMP_FAILURE_RETRY(recv(exec->child, &go, 1, 0));
	if (n < 0) {
		vnic_fail(&err, VNIC_STEP_SOCKET, errno, "to the caller", NULL);
		report(exec, &err);
	}
	if (n != 1)
		_exit(STATUS_OURS);
	if (exec->own_group)
		setpgid(0, 0);
	if (exec->mask)
		sigprocmask(SIG_SETMASK, exec->mask, NULL);
	bool keep_caps = exec->privileged || in_user_namespace(exec) || getuid() != 0;
	int r = keep_caps ? 0 : ns_drop_machine_caps(&err);
	if (r == 0)
		r = ns_execute(exec->argv, exec->envp, &err);
	report(exec, &err);
	_exit(r == -ENOENT ? 127 : 126);
}

/* --- the joiner --------------------------------------------------------------------- */

/* Each /etc/netns/NAME/FILE in the place of /etc/FILE, as ip-netns(8) does; what cannot be is left. */
static void bind_etc(const char *name)
{
	char from[PATH_MAX], to[PATH_MAX], path[sizeof(ETC_NETNS) + 1 + VNIC_NAME_MAX];

	snprintf(path, sizeof(path), "%s/%s", ETC_NETNS, name);
	DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(from, sizeof(from), "%s/%s", path, entry->d_name);
		snprintf(to, sizeof(to), "/etc/%s", entry->d_name);
		mount(from, to, "none", MS_BIND, NULL);
	}
	if (dir)
		closedir(dir);
}

static bool is_name(const char *text)
{
	return vnic_name_check(text, NULL) == 0;
}

/* A network namespace alone: /sys and the files of /etc/netns show the network, so they follow it. */
static int follow_network(const struct vnic_target *target, unsigned *ret_kept, struct vnic_error *err)
{
	if (unshare(CLONE_NEWNS) < 0)
		return vnic_fail(err, VNIC_STEP_UNSHARE, errno, "mnt", NULL);
	int r = ns_mounts(false, true, ret_kept, err);
	if (r == 0 && is_name(target->text))
		bind_etc(target->text);
	return r;
}

static int join_file(const struct vnic_target *target, unsigned *ret_kept, struct vnic_error *err)
{
	if (target->userns_fd >= 0 && setns(target->userns_fd, CLONE_NEWUSER) < 0)
		return vnic_fail(err, VNIC_STEP_NS_JOIN, errno, target->text, "refused: user");
	if (setns(target->netns_fd, CLONE_NEWNET) < 0)
		return vnic_fail(err, VNIC_STEP_NS_JOIN, errno, target->text, "refused: net");
	int r = target->userns_fd >= 0 ? ns_become_somebody(err) : 0; /* see ns_join */
	return r < 0 ? r : follow_network(target, ret_kept, err);
}

/* A holder has no mounts of its own: by its name it is entered like the pin that root would have made. */
static int join_process(const struct vnic_target *target, const struct ns_set *set, unsigned *ret_kept,
			struct vnic_error *err)
{
	int r = ns_join(set, target->pidfd, target->text, err);

	if (r == 0 && (set->mask & CLONE_NEWNET) && !(set->mask & CLONE_NEWNS) && is_name(target->text))
		r = follow_network(target, ret_kept, err);
	return r;
}

static int join_target(const struct exec *exec, unsigned *ret_kept, struct vnic_error *err)
{
	char directory[PATH_MAX];
	bool known = getcwd(directory, sizeof(directory));
	int r = exec->target->pid ? join_process(exec->target, &exec->set, ret_kept, err)
				  : join_file(exec->target, ret_kept, err);

	if (r == 0 && (!known || chdir(directory) < 0) && chdir("/") < 0)
		r = vnic_fail(err, VNIC_STEP_NS_JOIN, errno, exec->target->text, "changing to /");
	return r;
}

/* READY when it has joined, STARTED with the command. */
static int joiner_run(const struct exec *exec, struct vnic_error *err)
{
	struct ns_message ready = {.type = NS_READY}, started = {.type = NS_STARTED};
	CLEANUP_FD int pidfd = -1;
	unsigned kept = 0;
	int r = join_target(exec, &kept, err);

	ready.value = (int)kept;
	if (r == 0)
		r = ns_message_send(exec->child, &ready, -1, err);
	if (r < 0)
		return r;
	started.value = ns_clone(0, true, &pidfd, err);
	if (started.value == 0)
		command_main(exec);
	if (started.value < 0)
		return started.value;
	raise_fd_limit(); /* the command keeps the caller's */
	return ns_message_send(exec->child, &started, pidfd, err);
}

_Noreturn static void joiner_main(const struct exec *exec)
{
	struct vnic_error err;

	/* We and the command, until it executes, are copies of the caller's memory among processes that may trace us.
	 */
	prctl(PR_SET_DUMPABLE, 0);
	if (joiner_run(exec, &err) == 0)
		_exit(0);
	report(exec, &err);
	_exit(STATUS_OURS);
}

/* --- the keeper --------------------------------------------------------------------- */

struct keeper {
	int life;  /* socket whose other end the caller has */
	int pidfd; /* of the command */
};

static int keeper_main(const struct keeper *keeper)
{
	struct pollfd fds[2] = {{.fd = keeper->life, .events = POLLRDHUP}, {.fd = keeper->pidfd, .events = POLLIN}};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	pidfd_send_signal(keeper->pidfd, SIGKILL, NULL, 0); /* fails when it has ended: just as well */
	return 0;
}

/*
 * fork(2), but with exit signal 0: neither wait(2) of the caller's nor its SIGCHLD handler learns of this child;
 * vnic_child_close reaps it.
 */
static pid_t fork_unseen(void)
{
	return (pid_t)syscall(SYS_clone, 0UL, NULL, NULL, NULL, 0UL);
}

/* child->control is the caller's hold on the command. */
static int start_keeper(struct vnic_child *child, struct vnic_error *err)
{
	struct keeper keeper = {.pidfd = child->pidfd};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "to the keeper", NULL);
	keeper.life = pair[1];
	child->keeper = fork_unseen();
	if (child->keeper == 0) {
		int keep[] = {keeper.life, keeper.pidfd};

		setsid(); /* the terminal's Ctrl-C is for the command */
		ns_forget("vnic-keeper", keep, 2);
		_exit(keeper_main(&keeper));
	}
	int code = errno;
	close_fd(&pair[1]);
	child->control = pair[0];
	if (child->keeper < 0)
		return vnic_fail(err, VNIC_STEP_FORK, code, "vnic-keeper", NULL);
	return 0;
}

/* --- the caller --------------------------------------------------------------------- */

/* The joiner's end is not seen at the socket, of which the command has a copy. */
static int expect(const struct exec *exec, int joiner_pidfd, enum ns_message_type type, int *ret_value, int *ret_fd,
		  struct vnic_error *err)
{
	struct pollfd fds[] = {{.fd = exec->parent, .events = POLLIN}, {.fd = joiner_pidfd, .events = POLLIN}};
	struct ns_message message;

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return vnic_fail(err, VNIC_STEP_WAIT, errno, NULL, NULL);
	int r = ns_message_recv(exec->parent, false, &message, ret_fd, err);
	if (r == -EAGAIN)
		return vnic_fail(err, VNIC_STEP_WAIT, EPIPE, NULL, "the process that joined was killed");
	if (r < 0)
		return r;
	if (message.type != type)
		return ns_message_failure(&message, err);
	*ret_value = message.value;
	return 0;
}

/* The command, waiting to be told to go on. */
static int start_command(struct exec *exec, struct vnic_child *child, struct vnic_error *err)
{
	CLEANUP_FD int pidfd = -1;
	int kept = 0;
	pid_t joiner = ns_clone(0, false, &pidfd, err);

	if (joiner == 0) {
		close_fd(&exec->parent);
		joiner_main(exec);
	}
	close_fd(&exec->child);
	if (joiner < 0)
		return joiner;
	int r = expect(exec, pidfd, NS_READY, &kept, NULL, err);
	if (r == 0)
		r = expect(exec, pidfd, NS_STARTED, &child->pid, &child->pidfd, err);
	child->kept = (unsigned)kept;
	TEMP_FAILURE_RETRY(waitpid(joiner, NULL, 0));
	return r;
}

/* Lets it execute.  The end of file says that it did: its end of the socket is close-on-exec. */
static int release(const struct exec *exec, struct vnic_error *err)
{
	struct ns_message message;

	if (send(exec->parent, "", 1, MSG_NOSIGNAL) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "to the command", NULL);
	int r = ns_message_recv(exec->parent, true, &message, NULL, err);
	if (r == 0)
		return ns_message_failure(&message, err);
	return r == -EPIPE ? 0 : r;
}

int vnic_target_exec(const struct vnic_target *target, char *const *argv, char *const *envp, const sigset_t *mask,
		     bool privileged, struct vnic_child *ret_child, struct vnic_error *err)
{
	CLEANUP(exec_close)
	struct exec exec = {
		.target = target,
		.argv = argv,
		.envp = envp,
		.mask = mask,
		.privileged = privileged,
		.set = NS_SET_EMPTY,
		.own_group = !ns_has_terminal(),
		.parent = -1,
		.child = -1,
	};
	CLEANUP(vnic_child_close) struct vnic_child child = VNIC_CHILD_EMPTY;
	int pair[2];
	int r = target->pid ? ns_set_open(target, &exec.set, err) : 0;

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "to the command", NULL);
	exec.parent = pair[0];
	exec.child = pair[1];
	r = start_command(&exec, &child, err);
	if (r == 0)
		r = start_keeper(&child, err);
	if (r == 0)
		r = release(&exec, err);
	if (r < 0)
		return r;
	child.command = child.pid;
	child.command_pidfd = fcntl(child.pidfd, F_DUPFD_CLOEXEC, 0);
	if (child.command_pidfd < 0)
		return vnic_fail(err, VNIC_STEP_OPEN, errno, "a descriptor of the command", NULL);
	*ret_child = child;
	child = VNIC_CHILD_EMPTY;
	return 0;
}
