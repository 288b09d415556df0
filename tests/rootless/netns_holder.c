/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Named network namespaces without root: holders. */
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "netns_world.h"

static char dir[64];

static int make_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/vnic-names.XXXXXX");
	return mkdtemp(dir) ? vt_setup(state) : -1;
}

static int remove_dir(void **state)
{
	return rmdir(dir) < 0 ? -1 : vt_teardown(state); /* no name may be left in it */
}

static pid_t holder_of(const char *name)
{
	struct ns_name_owner owner = {.pidfd = -1};
	struct vnic_error err;

	vt_ok(ns_name_find(name, dir, &owner, &err), &err);
	close_fd(&owner.pidfd);
	return owner.pid;
}

static void add(const char *name)
{
	struct vnic_error err;

	vt_ok(vnic_netns_add(name, dir, &err), &err);
}

static bool del(const char *name)
{
	struct vnic_error err;
	bool absent = false;

	vt_ok(vnic_netns_del(name, dir, &absent, &err), &err);
	return !absent;
}

static void a_namespace_is_there_under_its_name_until_it_is_deleted(void **state)
{
	struct vnic_target target;
	struct vnic_error err;
	char text[512];

	(void)state;
	add("red");
	vt_ok(vnic_target_open("red", dir, &target, &err), &err);
	assert_int_equal(target.pid, holder_of("red"));
	assert_int_equal(world_ask(&target, "id -u; ls /sys/class/net; cat /proc/sys/net/ipv4/ping_group_range", text,
				   sizeof(text)),
			 0);
	assert_string_equal(text, "0\nlo\n0\t0\n");
	vnic_target_close(&target);
	assert_true(del("red"));
	vt_fails(vnic_target_open("red", dir, &target, &err), &err, VNIC_STEP_NS_OPEN, ENOENT);
}

static int ask_lo(void *ctx, struct vnic_error *err)
{
	struct ifreq request = {.ifr_name = "lo"};
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)err;
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	*(int *)ctx = request.ifr_flags;
	return 0;
}

static void lo_is_up_in_it(void **state)
{
	struct vnic_target target;
	struct vnic_error err;
	int flags = 0;

	(void)state;
	add("red");
	vt_ok(vnic_target_open("red", dir, &target, &err), &err);
	vt_ok(vnic_target_call(&target, ask_lo, &flags, &err), &err);
	assert_true(flags & IFF_UP);
	vnic_target_close(&target);
	del("red");
}

static void a_taken_name_is_refused(void **state)
{
	struct vnic_error err;

	(void)state;
	add("red");
	pid_t holder = holder_of("red");
	vt_fails(vnic_netns_add("red", dir, &err), &err, VNIC_STEP_LOCK, EEXIST);
	assert_string_equal(err.object, "red");
	assert_int_equal(holder_of("red"), holder);
	del("red");
}

static void deleting_what_is_not_there_succeeds_and_says_so(void **state)
{
	(void)state;
	assert_false(del("absent"));
}

static void a_bad_name_is_refused(void **state)
{
	struct vnic_error err;
	bool absent;

	(void)state;
	vt_fails(vnic_netns_add("4711", dir, &err), &err, VNIC_STEP_USAGE, EINVAL);
	vt_fails(vnic_netns_add("../red", dir, &err), &err, VNIC_STEP_USAGE, EINVAL);
	vt_fails(vnic_netns_del("a/b", dir, &absent, &err), &err, VNIC_STEP_USAGE, EINVAL);
}

static void the_name_of_a_running_sandbox_is_not_deleted(void **state)
{
	struct vnic_name name;
	struct vnic_error err;
	bool absent;

	(void)state;
	vt_ok(vnic_name_take("red", dir, &name, &err), &err);
	vt_fails(vnic_netns_del("red", dir, &absent, &err), &err, VNIC_STEP_NS_UNPIN, EBUSY);
	vt_ok(vnic_name_publish(&name, getpid(), true, &err), &err);
	vt_fails(vnic_netns_del("red", dir, &absent, &err), &err, VNIC_STEP_NS_UNPIN, EBUSY);
	assert_non_null(strstr(err.detail, "running sandbox"));
	vnic_name_drop(&name);
}

static void kill_holder(const char *name)
{
	pid_t pid = holder_of(name);
	int pidfd = pidfd_open(pid, 0);

	kill(pid, SIGKILL);
	assert_true(vt_readable(pidfd));
	close(pidfd);
}

static void a_killed_holder_is_mended_by_add_and_by_del(void **state)
{
	(void)state;
	add("red");
	kill_holder("red");
	add("red");
	assert_true(holder_of("red") > 0);
	kill_holder("red");
	assert_false(del("red"));
}

static int seen;

static int note(const struct vnic_netns_info *info, void *ctx)
{
	if (info->pid == 0)
		return 0; /* /run/netns may have names of its own */
	seen++;
	assert_true(info->inode != 0);
	assert_false(info->sandbox);
	snprintf((char *)ctx + strlen(ctx), 8, "%.5s ", info->name);
	return 0;
}

static void holders_are_listed_by_name(void **state)
{
	struct vnic_error err;
	char names[64] = "";

	(void)state;
	add("white");
	add("black");
	add("green");
	kill_holder("green");
	vt_ok(vnic_netns_list(dir, note, names, &err), &err);
	assert_string_equal(names, "black white ");
	del("white");
	del("black");
}

static void a_directory_that_is_not_there_has_no_names(void **state)
{
	struct vnic_error err;
	char names[64] = "";

	(void)state;
	vt_ok(vnic_netns_list("/tmp/no-such-directory", note, names, &err), &err);
	assert_string_equal(names, "");
}

static void fifty_are_added_and_deleted_at_the_same_time(void **state)
{
	struct vnic_error err;
	char name[16], names[512] = "";
	int status, failures = 0;
	bool absent;

	(void)state;
	for (int i = 0; i < 100; i++) { /* each name by two processes: one of them must lose */
		snprintf(name, sizeof(name), "n%d", i / 2);
		if (fork() == 0)
			_exit(vnic_netns_add(name, dir, NULL) < 0);
	}
	for (int i = 0; i < 100; i++) {
		assert_true(wait(&status) > 0);
		failures += status != 0;
	}
	assert_int_equal(failures, 50);
	seen = 0;
	vt_ok(vnic_netns_list(dir, note, names, &err), &err);
	assert_int_equal(seen, 50);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		if (fork() == 0)
			_exit(vnic_netns_del(name, dir, &absent, NULL) < 0 || absent);
	}
	for (int i = 0; i < 50; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

static void an_add_that_is_killed_leaves_all_or_what_del_mends(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(vnic_netns_add("red", dir, NULL) < 0);
		for (volatile int spin = 0; spin < i * 20000; spin++) /* another moment each time */
			;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		/* The holder may be on its way still: del says so, and it comes to a good end by itself. */
		struct vnic_error err;
		bool absent;
		int r;
		while ((r = vnic_netns_del("red", dir, &absent, &err)) == -EBUSY)
			sched_yield();
		vt_ok(r, &err);
	}
	add("red");
	assert_true(del("red"));
}

/* How many descriptors it has; the first three lead to /dev/null. */
static int descriptors_of(pid_t pid)
{
	char path[64], link[256];
	int count = 0;

	for (int fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		ssize_t n = readlink(path, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = '\0';
		count++;
		if (fd <= 2)
			assert_string_equal(link, "/dev/null");
	}
	return count;
}

static void the_holder_has_nothing_of_the_makers(void **state)
{
	char path[64], link[256];

	(void)state;
	int extra = open("/etc/passwd", O_RDONLY); /* not close-on-exec: a fork would inherit it */
	add("red");
	/* A fourth is the name's; it closes the fifth after it said that it is ready. */
	for (int i = 0; i < 100000 && descriptors_of(holder_of("red")) == 5; i++)
		sched_yield();
	assert_int_equal(descriptors_of(holder_of("red")), 4);
	snprintf(path, sizeof(path), "/proc/%d/cwd", holder_of("red"));
	assert_int_equal(readlink(path, link, sizeof(link)), 1);
	assert_int_not_equal(getsid(holder_of("red")), getsid(0));
	close(extra);
	del("red");
}

#define holder_test(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		holder_test(a_namespace_is_there_under_its_name_until_it_is_deleted),
		holder_test(lo_is_up_in_it),
		holder_test(a_taken_name_is_refused),
		holder_test(deleting_what_is_not_there_succeeds_and_says_so),
		holder_test(a_bad_name_is_refused),
		holder_test(the_name_of_a_running_sandbox_is_not_deleted),
		holder_test(a_killed_holder_is_mended_by_add_and_by_del),
		holder_test(holders_are_listed_by_name),
		holder_test(a_directory_that_is_not_there_has_no_names),
		holder_test(fifty_are_added_and_deleted_at_the_same_time),
		holder_test(an_add_that_is_killed_leaves_all_or_what_del_mends),
		holder_test(the_holder_has_nothing_of_the_makers),
	};

	return cmocka_run_group_tests_name("netns_holder", tests, NULL, NULL);
}
