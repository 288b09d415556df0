/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Named network namespaces with root: pins that ip(8) sees, and ip's that we see. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "../rootless/netns_world.h"

#define STATE "/run/vnic"

/* In the place of libc's: files that are made for a mount have no mode. */
static bool refuse_fstat;

int fstat(int fd, struct stat *st)
{
	int r = fstatat(fd, "", st, AT_EMPTY_PATH);

	if (r == 0 && refuse_fstat && (st->st_mode & 07777) == 0) {
		errno = ENOMEM;
		return -1;
	}
	return r;
}

static int fresh_run(void **state)
{
	/* A /run for each test, in this program's own mount namespace. */
	if (mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") < 0)
		return -1;
	return vt_setup(state);
}

static int remove_run(void **state)
{
	umount2("/run", MNT_DETACH);
	return vt_teardown(state);
}

static int shell(const char *script)
{
	int status = system(script); // NOLINT(cert-env33-c): the other program of this test is a shell's command

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void add(const char *name)
{
	struct vnic_error err;

	vt_ok(vnic_netns_add(name, STATE, &err), &err);
}

static bool del(const char *name)
{
	struct vnic_error err;
	bool absent = false;

	vt_ok(vnic_netns_del(name, STATE, &absent, &err), &err);
	return !absent;
}

static int note(const struct vnic_netns_info *info, void *ctx)
{
	snprintf((char *)ctx + strlen(ctx), VNIC_NAME_MAX + 8, "%s%s ", info->name, info->pid ? "(held)" : "");
	return 0;
}

static const char *names(void)
{
	static char text[4096];
	struct vnic_error err;

	text[0] = '\0';
	vt_ok(vnic_netns_list(STATE, note, text, &err), &err);
	return text;
}

static void ip_sees_ours(void **state)
{
	(void)state;
	add("red");
	assert_int_equal(shell("test \"$(ip netns list)\" = red"), 0);
	assert_int_equal(shell("ip netns exec red ip -o link show lo up | grep -q LOOPBACK"), 0);
	assert_int_equal(shell("ip netns del red"), 0);
	assert_string_equal(names(), "");
}

static void we_see_ips(void **state)
{
	struct vnic_target target;
	struct vnic_error err;
	char text[64];

	(void)state;
	assert_int_equal(shell("ip netns add blue && ip -n blue link add eth7 type bridge"), 0);
	assert_string_equal(names(), "blue ");
	vt_ok(vnic_target_open("blue", STATE, &target, &err), &err);
	assert_int_equal(target.pid, 0);
	assert_int_equal(target.userns_fd, -1);
	assert_int_equal(world_ask(&target, "ls /sys/class/net", text, sizeof(text)), 0);
	assert_string_equal(text, "eth7\nlo\n");
	vnic_target_close(&target);
	assert_true(del("blue"));
	assert_int_equal(shell("test -z \"$(ip netns list)\""), 0);
}

static void the_caller_stays_where_it_was(void **state)
{
	ino_t before = world_inode(getpid(), VNIC_NS_NET);

	(void)state;
	add("red");
	assert_int_equal(world_inode(getpid(), VNIC_NS_NET), before);
	del("red");
}

static void an_add_that_fails_leaves_no_file(void **state)
{
	struct vnic_error err;

	(void)state;
	refuse_fstat = true;
	int r = vnic_netns_add("red", STATE, &err);
	refuse_fstat = false;
	vt_fails(r, &err, VNIC_STEP_NS_PIN, ENOMEM);
	assert_int_equal(access("/run/netns/red", F_OK), -1);
	add("red");
	del("red");
}

static void a_taken_name_is_refused_whoever_took_it(void **state)
{
	struct vnic_error err;

	(void)state;
	assert_int_equal(shell("ip netns add blue"), 0);
	vt_fails(vnic_netns_add("blue", STATE, &err), &err, VNIC_STEP_NS_PIN, EEXIST);
	add("red");
	assert_int_not_equal(shell("ip netns add red 2>/dev/null"), 0);
	del("red");
	del("blue");
}

static void the_name_of_a_running_sandbox_is_refused(void **state)
{
	struct vnic_name name;
	struct vnic_error err;
	bool absent;

	(void)state;
	vt_ok(vnic_name_take("red", STATE, &name, &err), &err);
	vt_ok(vnic_name_publish(&name, getpid(), true, &err), &err);
	vt_fails(vnic_netns_add("red", STATE, &err), &err, VNIC_STEP_LOCK, EEXIST);
	vt_fails(vnic_netns_del("red", STATE, &absent, &err), &err, VNIC_STEP_NS_UNPIN, EBUSY);
	vnic_name_drop(&name);
}

static void a_half_made_pin_is_mended_by_add_and_by_del(void **state)
{
	struct statfs fs;

	(void)state;
	add("red");
	assert_int_equal(umount2("/run/netns/red", MNT_DETACH), 0); /* as left by a kill between the two steps */
	assert_string_equal(names(), "");
	add("red");
	assert_int_equal(statfs("/run/netns/red", &fs), 0);
	assert_int_equal(fs.f_type, NSFS_MAGIC);
	assert_int_equal(umount2("/run/netns/red", MNT_DETACH), 0);
	assert_true(del("red"));
	assert_false(del("red"));
	assert_int_equal(access("/run/netns/red", F_OK), -1);
}

static void an_add_that_is_killed_leaves_all_or_what_del_mends(void **state)
{
	(void)state;
	add("first");
	for (int i = 0; i < 60; i++) {
		struct vnic_error err;
		bool absent;
		int r;
		pid_t pid = fork();

		if (pid == 0)
			_exit(vnic_netns_add("red", STATE, NULL) < 0);
		for (volatile int spin = 0; spin < i * 20000; spin++) /* another moment each time */
			;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		/* The short child that makes and mounts may still be at it: it holds the lock. */
		while ((r = vnic_netns_del("red", STATE, &absent, &err)) == -EBUSY)
			sched_yield();
		vt_ok(r, &err);
	}
	assert_string_equal(names(), "first ");
	del("first");
}

static void fifty_are_added_at_the_same_time_into_a_directory_that_is_not_there(void **state)
{
	int status, failures = 0, lines = 0;
	char name[16];

	(void)state;
	for (int i = 0; i < 100; i++) { /* each name by two processes: one of them must lose */
		snprintf(name, sizeof(name), "n%d", i / 2);
		if (fork() == 0)
			_exit(vnic_netns_add(name, STATE, NULL) < 0);
	}
	for (int i = 0; i < 100; i++) {
		assert_true(wait(&status) > 0);
		failures += status != 0;
	}
	assert_int_equal(failures, 50);
	for (const char *p = names(); *p; p++)
		lines += *p == ' ';
	assert_int_equal(lines, 50);
	assert_int_equal(shell("test $(grep -c ' /netns /run/netns ' /proc/self/mountinfo) = 1"), 0);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_true(del(name));
	}
}

static void two_who_delete_one_name_at_the_same_time_both_succeed(void **state)
{
	bool absent;
	int status, start[2];

	(void)state;
	for (int i = 0; i < 200; i++) {
		add("one");
		assert_int_equal(pipe(start), 0);
		for (int j = 0; j < 2; j++)
			if (fork() == 0) {
				close(start[1]);
				assert_int_equal(read(start[0], &status, 1), 0);
				_exit(vnic_netns_del("one", STATE, &absent, NULL) < 0);
			}
		close(start[0]);
		close(start[1]);
		for (int j = 0; j < 2; j++) {
			assert_true(wait(&status) > 0);
			assert_int_equal(status, 0);
		}
	}
	assert_string_equal(names(), "");
}

static void a_pin_made_elsewhere_is_seen_here(void **state)
{
	(void)state;
	add("red"); /* from now on /run/netns is shared */
	assert_int_equal(shell("unshare --mount --propagation unchanged ip netns add blue"), 0);
	assert_string_equal(names(), "blue red ");
	del("red");
	del("blue");
}

static void files_of_etc_netns_replace_those_of_etc(void **state)
{
	struct vnic_target target;
	struct vnic_error err;
	char text[64];

	(void)state;
	assert_int_equal(
		shell("mount -t tmpfs tmpfs /etc/netns 2>/dev/null || { mkdir /etc/netns && mount -t tmpfs tmpfs "
		      "/etc/netns && touch /etc/netns/made; }"),
		0);
	assert_int_equal(shell("mkdir /etc/netns/red && echo other >/etc/netns/red/hostname"), 0);
	add("red");
	vt_ok(vnic_target_open("red", STATE, &target, &err), &err);
	assert_int_equal(world_ask(&target, "cat /etc/hostname", text, sizeof(text)), 0);
	assert_string_equal(text, "other\n");
	vnic_target_close(&target);
	del("red");
	assert_int_equal(
		shell("test -e /etc/netns/made; made=$?; umount /etc/netns; test $made = 1 || rmdir /etc/netns"), 0);
}

#define pin_test(fn) cmocka_unit_test_setup_teardown(fn, fresh_run, remove_run)

int main(void)
{
	const struct CMUnitTest tests[] = {
		pin_test(ip_sees_ours),
		pin_test(we_see_ips),
		pin_test(the_caller_stays_where_it_was),
		pin_test(an_add_that_fails_leaves_no_file),
		pin_test(a_taken_name_is_refused_whoever_took_it),
		pin_test(the_name_of_a_running_sandbox_is_refused),
		pin_test(a_half_made_pin_is_mended_by_add_and_by_del),
		pin_test(an_add_that_is_killed_leaves_all_or_what_del_mends),
		pin_test(fifty_are_added_at_the_same_time_into_a_directory_that_is_not_there),
		pin_test(two_who_delete_one_name_at_the_same_time_both_succeed),
		pin_test(a_pin_made_elsewhere_is_seen_here),
		pin_test(files_of_etc_netns_replace_those_of_etc),
	};

	vt_own_namespaces(CLONE_NEWNS | CLONE_NEWNET);
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	return cmocka_run_group_tests_name("netns_pin", tests, NULL, NULL);
}
