/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The classic experiment: init, a container's init, a process that joined the container with setns, and
 * that process's child.  The joined process differs from the container only in pid, for a
 * pid namespace is joined by children only; its child differs in nothing.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "../rootless/netns_world.h"

static struct vnic_ns_view view_of(pid_t pid)
{
	struct vnic_ns_view view;
	struct vnic_error err;

	vt_ok(vnic_ns_view_get(pid, &view, &err), &err);
	return view;
}

static unsigned differences(const struct vnic_ns_view *a, const struct vnic_ns_view *b)
{
	unsigned mask = 0;

	for (int i = 0; i < VNIC_NS_COUNT; i++)
		if (a->inode[i] != b->inode[i])
			mask |= ns_kinds[i].flag;
	return mask;
}

struct joined {
	pid_t pid, child;
	int hold; /* closing it ends both */
};

/* A process that joins the container and forks; both stay until `hold` is closed. */
static struct joined join_and_fork(const struct vnic_target *target)
{
	struct joined joined;
	int hold[2], tell[2], pidfd = -1;
	char byte;

	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	joined.pid = ns_clone(0, false, &pidfd, NULL);
	if (joined.pid == 0) {
		struct ns_set set;

		close(hold[1]);
		if (ns_set_open(target, &set, NULL) < 0 || ns_join(&set, target->pidfd, "container", NULL) < 0)
			_exit(1);
		/* ns_clone tells the child's pid as this process sees it, which is as its parent does. */
		pid_t child = ns_clone(0, false, &pidfd, NULL);
		if (child > 0 && write(tell[1], &child, sizeof(child)) < 0)
			_exit(1);
		_exit(read(hold[0], &byte, 1) != 0);
	}
	close(hold[0]);
	close(tell[1]);
	assert_int_equal(read(tell[0], &joined.child, sizeof(joined.child)), sizeof(joined.child));
	close(tell[0]);
	close(pidfd);
	joined.hold = hold[1];
	return joined;
}

static void the_answer_is_the_textbooks(void **state)
{
	unsigned all = VNIC_NS_ALL & ~(unsigned)CLONE_NEWTIME;
	struct vnic_child world = world_start((struct vnic_spawn){.namespaces = all, .hostname = "container"});
	struct vnic_target target = world_target(world.command);
	struct joined joined = join_and_fork(&target);

	(void)state;
	struct vnic_ns_view init = view_of(getpid()), container = view_of(world.command);
	struct vnic_ns_view process = view_of(joined.pid), child = view_of(joined.child);
	assert_int_equal(differences(&init, &container), all);
	assert_int_equal(differences(&process, &container), CLONE_NEWPID);
	assert_int_equal(differences(&process, &init), all & ~(unsigned)CLONE_NEWPID);
	assert_int_equal(differences(&child, &container), 0);

	assert_string_equal(container.hostname, "container");
	assert_string_equal(process.hostname, "container");
	assert_string_equal(child.hostname, "container");
	assert_string_not_equal(init.hostname, "container");

	assert_int_equal(process.inner_pid, joined.pid); /* no pid of its own inside */
	assert_int_not_equal(child.inner_pid, joined.child);
	assert_int_equal(init.inner_pid, getpid());
	assert_int_equal(view_of(world.pid).inner_pid, 1);

	assert_string_equal(process.uid_map, container.uid_map);
	assert_string_equal(child.gid_map, container.gid_map);
	assert_string_not_equal(init.uid_map, container.uid_map);

	close(joined.hold);
	waitpid(joined.pid, NULL, 0);
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static void a_process_that_has_ended_is_said(void **state)
{
	struct vnic_ns_view view = {.pid = 42};
	struct vnic_error err;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	vt_fails(vnic_ns_view_get(pid, &view, &err), &err, VNIC_STEP_NS_OPEN, ESRCH); /* a zombie */
	waitpid(pid, NULL, 0);
	vt_fails(vnic_ns_view_get(pid, &view, &err), &err, VNIC_STEP_NS_OPEN, ESRCH);
	assert_int_equal(view.pid, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(the_answer_is_the_textbooks),
		vt_test(a_process_that_has_ended_is_said),
	};

	return cmocka_run_group_tests_name("ns_experiment", tests, NULL, NULL);
}
