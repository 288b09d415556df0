/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parent's side: a command in new namespaces, in two steps, so that its network can be made in between. */
#include "ns.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "fd.h"

int ns_child_ready(struct vnic_child *child, struct vnic_error *err)
{
	struct ns_message message = {0};
	int r = ns_message_recv(child->control, true, &message, NULL, err);

	if (r < 0)
		return r;
	if (message.type == NS_FAILED)
		return ns_message_failure(&message, err);
	child->kept = (unsigned)message.value;
	return 0;
}

/* A pidfd's process as /proc has it: "Pid:" of /proc/self/fdinfo/FD (proc_pid_fdinfo(5)).  0: it has ended. */
static pid_t pid_of(int pidfd)
{
	char path[64], line[64];
	pid_t pid = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Pid:\t%d", &pid) == 1)
			break;
	fclose(file);
	return pid > 0 ? pid : 0; /* the kernel says -1 */
}

bool ns_proc_is_own(void)
{
	char self[16] = "";

	return readlink("/proc/self", self, sizeof(self) - 1) <= 0 || atoi(self) == getpid();
}

pid_t ns_proc_pid(pid_t pid, int pidfd)
{
	return ns_proc_is_own() ? pid : pid_of(pidfd);
}

static struct vnic_child take_child(struct vnic_child *child)
{
	struct vnic_child taken = *child;

	*child = VNIC_CHILD_EMPTY;
	return taken;
}

/* The parent maps when it may do more than the child itself: ranges, and without forbidding setgroups. */
static bool parent_maps(const struct ns_idmap *map)
{
	return map->by_helper || ns_have_capability(CAP_SETGID);
}

int ns_child_start(const struct vnic_spawn *spawn, const struct ns_idmap *map, bool sibling, struct ns_step *step,
		   struct vnic_child *ret_child, struct vnic_error *err)
{
	CLEANUP(vnic_child_close) struct vnic_child child = VNIC_CHILD_EMPTY;
	/* The child makes these itself: clone3 cannot set the first one's offsets, and the second takes as long as the
	 * rest together, which the caller need not wait for. */
	unsigned namespaces = spawn->namespaces & ~(unsigned)(CLONE_NEWTIME | CLONE_NEWNET);
	bool by_parent = map && parent_maps(map);
	int r = 0;

	child.pid = ns_clone(namespaces, sibling, &child.pidfd, err);
	if (child.pid == 0)
		ns_child_main(spawn, by_parent ? NULL : map, step);
	if (child.pid < 0)
		return child.pid;
	close_fd(&step->child);
	child.control = take_fd(&step->parent);
	child.go = take_fd(&step->go);
	if (by_parent) {
		r = ns_idmap_write(ns_proc_pid(child.pid, child.pidfd), map, err);
		if (r == 0)
			r = ns_step_signal(step->mapped, err);
	}
	if (r < 0)
		return r;
	*ret_child = take_child(&child);
	return 0;
}

int vnic_spawn_start(const struct vnic_spawn *spawn, struct vnic_child *ret_child, struct vnic_error *err)
{
	CLEANUP(ns_step_close) struct ns_step step = NS_STEP_EMPTY;
	CLEANUP(vnic_child_close) struct vnic_child child = VNIC_CHILD_EMPTY;
	struct vnic_spawn copy = *spawn;
	struct ns_idmap map = {0};
	bool user = spawn->namespaces & CLONE_NEWUSER;
	sigset_t all, old;
	int r = vnic_ns_check(spawn->namespaces, err);

	if (r == 0 && user)
		r = ns_idmap_plan(spawn->idmap, getuid(), getgid(), &map, err);
	if (r == 0)
		r = ns_step_open(&step, err);
	if (r < 0)
		return r;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	if (!copy.mask)
		copy.mask = &old;
	r = ns_child_start(&copy, user ? &map : NULL, false, &step, &child, err);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		r = ns_child_ready(&child, err);
	if (r < 0)
		return r;
	*ret_child = take_child(&child);
	return 0;
}

int vnic_child_release(struct vnic_child *child, struct vnic_error *err)
{
	struct ns_message message = {0};
	int r = ns_step_signal(child->go, err);

	if (r == 0)
		r = ns_message_recv(child->control, true, &message, &child->command_pidfd, err);
	if (r < 0)
		return r;
	if (message.type == NS_FAILED)
		return ns_message_failure(&message, err);
	child->command = pid_of(child->command_pidfd);
	return 0;
}

int vnic_child_next_stop(struct vnic_child *child, int *ret_signal, struct vnic_error *err)
{
	struct ns_message message = {0};
	int r = ns_message_recv(child->control, false, &message, NULL, err);

	if (r < 0)
		return r;
	if (message.type != NS_STOPPED)
		return -EAGAIN;
	*ret_signal = message.value;
	return 0;
}

int vnic_child_wait(struct vnic_child *child, int *ret_status, struct vnic_error *err)
{
	siginfo_t info;

	if (TEMP_FAILURE_RETRY(waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED)) < 0)
		return vnic_fail(err, VNIC_STEP_WAIT, errno, NULL, NULL);
	child->pid = 0;
	*ret_status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	return 0;
}

/* It ends with its init, but for a command without a pid namespace that gave PDEATHSIG up. */
static void end_command(int pidfd)
{
	if (pidfd < 0)
		return;
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	TEMP_FAILURE_RETRY(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, -1));
}

void vnic_child_close(struct vnic_child *child)
{
	int status;

	if (!child)
		return;
	if (child->pid > 0 && child->pidfd >= 0)
		pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
	close_fd(&child->control); /* ends it where we may not */
	close_fd(&child->go);
	if (child->pid > 0 && child->pidfd >= 0)
		vnic_child_wait(child, &status, NULL);
	end_command(child->command_pidfd);
	close_fd(&child->pidfd);
	close_fd(&child->command_pidfd);
	if (child->keeper > 0) {
		kill(child->keeper, SIGKILL); /* it ends with `control`, but not while it is stopped */
		TEMP_FAILURE_RETRY(waitpid(child->keeper, NULL, (int)__WALL));
	}
	*child = VNIC_CHILD_EMPTY;
}
