/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic_target_exec: a command joins all namespaces of a process, and cannot outlive its caller. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "netns_world.h"

#define EVERYTHING \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

static struct vnic_child everything(void)
{
	return world_start((struct vnic_spawn){.namespaces = EVERYTHING, .hostname = "red"});
}

static void the_command_is_in_every_namespace_of_the_target(void **state)
{
	struct vnic_child world = everything();
	struct vnic_target target = world_target(world.command);
	char inside[1024], there[1024] = "", line[64];

	(void)state;
	assert_int_equal(
		world_ask(&target,
			  "for k in user mnt pid net ipc uts cgroup time; do stat -Lc %i /proc/self/ns/$k; done",
			  inside, sizeof(inside)),
		0);
	for (int i = 0; i < VNIC_NS_COUNT; i++) {
		snprintf(line, sizeof(line), "%ju\n", (uintmax_t)world_inode(world.command, (enum vnic_ns_index)i));
		strcat(there, line);
	}
	assert_string_equal(inside, there);
	assert_int_equal(world_ask(&target, "hostname; id -u", inside, sizeof(inside)), 0);
	assert_string_equal(inside, "red\n0\n");
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static void the_exit_status_is_passed_on(void **state)
{
	struct vnic_child world = everything();
	struct vnic_target target = world_target(world.command);
	char text[64];

	(void)state;
	assert_int_equal(world_ask(&target, "exit 42", text, sizeof(text)), 42);
	assert_int_equal(world_ask(&target, "kill -TERM $$", text, sizeof(text)), 128 + SIGTERM);
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static bool leads_its_group(void *pid)
{
	return getpgid(*(pid_t *)pid) == *(pid_t *)pid;
}

static void the_command_is_our_child_in_our_session(void **state)
{
	struct vnic_child world = everything(), child = VNIC_CHILD_EMPTY;
	struct vnic_target target = world_target(world.command);
	char *const argv[] = {(char[]){"sleep"}, (char[]){"infinity"}, NULL};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_target_exec(&target, argv, NULL, NULL, false, &child, &err), &err);
	/* Our process group, for job control; a test without a terminal may find it in one of its own. */
	assert_true(getpgid(child.pid) == getpgrp() || getpgid(child.pid) == child.pid);
	assert_int_equal(getsid(child.pid), getsid(0));
	assert_true(vt_until(leads_its_group, &child.keeper));  /* not in ours: Ctrl-C is not for it */
	assert_int_equal(waitpid(child.pid, NULL, WNOHANG), 0); /* ECHILD if it were not ours */
	vnic_child_close(&child);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* nobody but the world is left */
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static void the_working_directory_is_kept_or_the_root(void **state)
{
	struct vnic_child world = everything();
	struct vnic_target target = world_target(world.command);
	char text[64], before[256];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir("/usr"), 0);
	assert_int_equal(world_ask(&target, "pwd", text, sizeof(text)), 0);
	assert_string_equal(text, "/usr\n");
	assert_int_equal(chdir(before), 0);
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static void a_command_that_cannot_be_executed_is_an_error(void **state)
{
	struct vnic_child world = everything(), child = VNIC_CHILD_EMPTY;
	struct vnic_target target = world_target(world.command);
	char *const absent[] = {(char[]){"/no/such/command"}, NULL};
	char *const directory[] = {(char[]){"/etc"}, NULL};
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_target_exec(&target, absent, NULL, NULL, false, &child, &err), &err, VNIC_STEP_EXEC, ENOENT);
	assert_string_equal(err.object, "/no/such/command");
	vt_fails(vnic_target_exec(&target, directory, NULL, NULL, false, &child, &err), &err, VNIC_STEP_EXEC, EACCES);
	assert_int_equal(child.pid, 0);
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static void a_target_that_ended_meanwhile_is_said(void **state)
{
	struct vnic_child world = everything(), child = VNIC_CHILD_EMPTY;
	struct vnic_target target = world_target(world.command), again;
	char *const argv[] = {(char[]){"true"}, NULL};
	struct vnic_error err;
	char text[16];

	(void)state;
	snprintf(text, sizeof(text), "%d", world.command);
	vnic_child_close(&world);
	assert_true(vt_readable(target.pidfd));
	vt_fails(vnic_target_exec(&target, argv, NULL, NULL, false, &child, &err), &err, VNIC_STEP_NS_OPEN, ESRCH);
	vt_fails(vnic_target_open(text, NULL, &again, &err), &err, VNIC_STEP_NS_OPEN, ESRCH);
	vnic_target_close(&target);
}

static int exec_and_wait(const struct vnic_target *target, int tell, bool die_at_once)
{
	/* The command ignores SIGHUP and its like; only a kill ends it, and then the pipe. */
	char *const argv[] = {(char[]){"sh"}, (char[]){"-c"},
			      (char[]){"trap '' HUP TERM; echo up; exec sleep infinity"}, NULL};
	struct vnic_child child;

	world_stdout(tell);
	if (vnic_target_exec(target, argv, NULL, NULL, false, &child, NULL) < 0)
		return 1;
	if (die_at_once)
		kill(getpid(), SIGKILL);
	close(STDOUT_FILENO);
	for (;;)
		pause();
}

static void wait_for_the_end(const struct vnic_target *target, bool die_at_once)
{
	char word[8] = "";
	int tell[2];

	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	pid_t front = fork();
	if (front == 0)
		_exit(exec_and_wait(target, tell[1], die_at_once));
	close(tell[1]);
	if (!die_at_once) {
		assert_int_equal(read(tell[0], word, 3), 3);
		kill(front, SIGKILL);
	}
	/* End of file: front, command and keeper all are gone. */
	assert_true(vt_readable(tell[0]));
	while (read(tell[0], word, sizeof(word)) > 0)
		assert_true(vt_readable(tell[0]));
	waitpid(front, NULL, 0);
	close(tell[0]);
}

static void killing_the_caller_kills_the_command(void **state)
{
	struct vnic_child world = everything();
	struct vnic_target target = world_target(world.command);

	(void)state;
	for (int i = 0; i < 20; i++)
		wait_for_the_end(&target, i % 2);
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static void a_target_in_our_own_namespaces_is_joined_by_doing_nothing(void **state)
{
	struct vnic_child world = world_start((struct vnic_spawn){0});
	struct vnic_target target = world_target(world.command);
	char text[64];

	(void)state;
	assert_int_equal(target.userns_fd, -1);
	assert_int_equal(world_ask(&target, "stat -Lc %i /proc/self/ns/net", text, sizeof(text)), 0);
	assert_int_equal(strtoull(text, NULL, 10), world_inode(getpid(), VNIC_NS_NET));
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static int join_slowly(void *ctx)
{
	const struct vnic_target *target = ctx;
	CLEANUP(ns_set_close) struct ns_set set = NS_SET_EMPTY;
	int code = 0;

	if (ns_set_open(target, &set, NULL) < 0)
		return 1;
	if (ns_join_one_by_one(&set, &code) != 0)
		return 2;
	/* The pid namespace is for children; all else has taken effect here. */
	struct stat there, here;
	for (int i = 0; i < VNIC_NS_COUNT; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/thread-self/ns/%s", ns_kinds[i].name);
		if (set.fds[i] < 0 || i == VNIC_NS_PID || i == VNIC_NS_MNT || fstat(set.fds[i], &there) < 0)
			continue;
		if (stat(path, &here) == 0 && here.st_ino != there.st_ino)
			return 3;
	}
	return 0;
}

static void an_old_kernel_joins_one_by_one(void **state)
{
	struct vnic_child world = everything();
	struct vnic_target target = world_target(world.command);

	(void)state;
	assert_int_equal(world_in_child(join_slowly, &target), 0);
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static int open_something(void *ctx, struct vnic_error *err)
{
	(void)err;
	*(int *)ctx = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return 0;
}

static void a_call_into_the_target_leaves_the_caller_where_it_was(void **state)
{
	struct vnic_child world = everything();
	struct vnic_target target = world_target(world.command);
	ino_t before = world_inode(getpid(), VNIC_NS_NET);
	struct vnic_error err;
	struct stat st;
	int fd = -1;

	(void)state;
	vt_ok(vnic_target_call(&target, open_something, &fd, &err), &err);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_ino, world_inode(world.command, VNIC_NS_NET));
	assert_int_equal(world_inode(getpid(), VNIC_NS_NET), before);
	assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
	close(fd);
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static void what_is_no_target_is_refused_each_with_its_sentence(void **state)
{
	static const struct {
		const char *text;
		enum vnic_step step;
		int code;
		const char *detail;
	} bad[] = {
		{"99999999999", VNIC_STEP_USAGE, EINVAL, "a process id takes"},
		{"0", VNIC_STEP_USAGE, EINVAL, "a process id takes"},
		{"4194304", VNIC_STEP_NS_OPEN, ESRCH, ""}, /* pid_max's maximum is never given */
		{"/no/such/file", VNIC_STEP_NS_OPEN, ENOENT, ""},
		{"/etc/passwd", VNIC_STEP_NS_OPEN, EINVAL, "no namespace"},
		{"/dev/null", VNIC_STEP_NS_OPEN, EINVAL, "no namespace"},
		{"/proc/self/ns/mnt", VNIC_STEP_NS_OPEN, EINVAL, "it is a mnt namespace"},
		{"-x", VNIC_STEP_USAGE, EINVAL, "begins with a letter"},
		{"", VNIC_STEP_USAGE, EINVAL, "begins with a letter"},
		{"absent", VNIC_STEP_NS_OPEN, ENOENT, "has this name"},
	};
	struct vnic_target target = VNIC_TARGET_EMPTY;
	struct vnic_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vt_fails(vnic_target_open(bad[i].text, NULL, &target, &err), &err, bad[i].step, bad[i].code);
		assert_non_null(strstr(err.detail, bad[i].detail));
	}
	assert_int_equal(target.netns_fd, -1);
}

static void the_path_of_a_namespace_is_a_target(void **state)
{
	struct vnic_child world = everything();
	struct vnic_target target;
	struct vnic_error err;
	char path[64], text[256], expected[64];

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", world.command);
	vt_ok(vnic_target_open(path, NULL, &target, &err), &err);
	assert_int_equal(target.pid, 0);
	assert_true(target.userns_fd >= 0);
	assert_int_equal(world_ask(&target, "stat -Lc %i /proc/self/ns/net; ls /sys/class/net", text, sizeof(text)), 0);
	snprintf(expected, sizeof(expected), "%ju\nlo\n", (uintmax_t)world_inode(world.command, VNIC_NS_NET));
	assert_string_equal(text, expected);
	vnic_target_close(&target);
	vnic_child_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(the_command_is_in_every_namespace_of_the_target),
		vt_test(the_exit_status_is_passed_on),
		vt_test(the_command_is_our_child_in_our_session),
		vt_test(the_working_directory_is_kept_or_the_root),
		vt_test(a_command_that_cannot_be_executed_is_an_error),
		vt_test(a_target_that_ended_meanwhile_is_said),
		vt_test(killing_the_caller_kills_the_command),
		vt_test(a_target_in_our_own_namespaces_is_joined_by_doing_nothing),
		vt_test(an_old_kernel_joins_one_by_one),
		vt_test(a_call_into_the_target_leaves_the_caller_where_it_was),
		vt_test(what_is_no_target_is_refused_each_with_its_sentence),
		vt_test(the_path_of_a_namespace_is_a_target),
	};

	return cmocka_run_group_tests_name("netns_exec", tests, NULL, NULL);
}
