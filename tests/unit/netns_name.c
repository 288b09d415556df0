/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names: taken while someone has the descriptor, free afterwards, whatever happened. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "ns.h"
#include "vt.h"

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

static void a_name_has_letters_digits_and_three_marks(void **state)
{
	char longest[VNIC_NAME_MAX + 2];
	struct vnic_error err;

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[VNIC_NAME_MAX] = '\0';
	vt_ok(vnic_name_check(longest, &err), &err);
	vt_ok(vnic_name_check("a", &err), &err);
	vt_ok(vnic_name_check("Red_1.x-y", &err), &err);
}

static void a_name_that_is_none_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *name, *reason;
	} bad[] = {
		{"", "begins with a letter"},   {"4711", "begins with a letter"},  {"-a", "begins with a letter"},
		{".a", "begins with a letter"}, {"a/b", "letters, digits"},        {"a b", "letters, digits"},
		{"a\nb", "letters, digits"},    {"r\xc3\xb6t", "letters, digits"},
	};
	char too_long[VNIC_NAME_MAX + 2] = "";
	struct vnic_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vt_fails(vnic_name_check(bad[i].name, &err), &err, VNIC_STEP_USAGE, EINVAL);
		assert_non_null(strstr(err.detail, bad[i].reason));
	}
	memset(too_long, 'a', VNIC_NAME_MAX + 1);
	vt_fails(vnic_name_check(too_long, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.detail, "a name has at most 64 characters");
}

static void a_taken_name_is_refused_and_free_after_the_drop(void **state)
{
	struct vnic_name first, second = VNIC_NAME_EMPTY;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_name_take("red", dir, &first, &err), &err);
	vt_fails(vnic_name_take("red", dir, &second, &err), &err, VNIC_STEP_LOCK, EEXIST);
	assert_int_equal(second.fd, -1);
	vnic_name_drop(&first);
	vnic_name_drop(&first); /* the second time there is nothing to do */
	vt_ok(vnic_name_take("red", dir, &second, &err), &err);
	vnic_name_drop(&second);
}

static void the_owner_is_found_while_it_lives(void **state)
{
	struct vnic_target target = VNIC_TARGET_EMPTY;
	struct vnic_name name;
	struct ns_name_owner owner;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_name_take("red", dir, &name, &err), &err);
	vt_ok(ns_name_find("red", dir, &owner, &err), &err);
	assert_int_equal(owner.pid, 0); /* nothing is published yet */
	vt_fails(vnic_target_open("red", dir, &target, &err), &err, VNIC_STEP_NS_OPEN, EAGAIN);
	vt_ok(vnic_name_publish(&name, getpid(), true, &err), &err);
	vt_ok(ns_name_find("red", dir, &owner, &err), &err);
	assert_int_equal(owner.pid, getpid());
	assert_true(owner.sandbox);
	close_fd(&owner.pidfd);
	vnic_name_drop(&name);
	vt_fails(ns_name_find("red", dir, &owner, &err), &err, VNIC_STEP_NS_OPEN, ENOENT);
}

/* As who made it in a sandbox that shares the directory: here the number is ours. */
static void a_number_of_another_pid_namespace_is_nobodys_here(void **state)
{
	struct vnic_target target = VNIC_TARGET_EMPTY;
	struct ns_name_owner owner;
	struct vnic_name name;
	struct vnic_error err;
	bool absent;
	char text[64];
	int len = snprintf(text, sizeof(text), "%d holder 1\n", getpid());

	(void)state;
	vt_ok(vnic_name_take("red", dir, &name, &err), &err);
	assert_int_equal(pwrite(name.fd, text, (size_t)len, 0), len);
	vt_ok(ns_name_find("red", dir, &owner, &err), &err);
	assert_int_equal(owner.pid, 0);
	assert_int_equal(owner.pidfd, -1);
	assert_true(owner.elsewhere);
	vt_fails(vnic_target_open("red", dir, &target, &err), &err, VNIC_STEP_NS_OPEN, ESRCH);
	vt_fails(vnic_netns_del("red", dir, &absent, &err), &err, VNIC_STEP_NS_UNPIN, EBUSY); /* we would be killed */
	vnic_name_drop(&name);
}

static int count_names(const struct vnic_netns_info *info, void *ctx)
{
	int *count = ctx;

	*count += info->held;
	return 0;
}

static void a_socket_among_the_names_is_left_out(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), count = 0;
	struct vnic_name name;
	struct vnic_error err;

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control", dir);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	vt_ok(vnic_name_take("red", dir, &name, &err), &err);
	vt_ok(vnic_netns_list(dir, count_names, &count, &err), &err);
	assert_int_equal(count, 1);
	vnic_name_drop(&name);
	unlink(addr.sun_path);
	close(fd);
}

static void looking_at_a_name_never_makes_taking_it_fail(void **state)
{
	struct ns_name_owner owner;
	struct vnic_error err;
	pid_t looker = fork();

	(void)state;
	if (looker == 0)
		for (;;)
			ns_name_find("red", dir, &owner, NULL);
	for (int i = 0; i < 500; i++) {
		struct vnic_name name;
		int r = vnic_name_take("red", dir, &name, &err);

		/* A looker removes a stale file under its lock; there is none here, so nothing may stand in the way. */
		if (r < 0)
			kill(looker, SIGKILL);
		vt_ok(r, &err);
		vnic_name_publish(&name, getpid(), false, &err);
		vnic_name_drop(&name);
	}
	kill(looker, SIGKILL);
	waitpid(looker, NULL, 0);
}

static pid_t take_in_child(const char *name)
{
	struct vnic_name taken;
	int ready[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(ready[0]);
		if (vnic_name_take(name, dir, &taken, NULL) == 0)
			vnic_name_publish(&taken, getpid(), false, NULL);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) < 0)
		pid = -1;
	close(ready[0]);
	return pid;
}

static void a_killed_owner_leaves_a_free_name(void **state)
{
	struct ns_name_owner owner;
	struct vnic_name name;
	struct vnic_error err;
	pid_t pid = take_in_child("red");

	(void)state;
	vt_ok(ns_name_find("red", dir, &owner, &err), &err);
	assert_int_equal(owner.pid, pid);
	assert_false(owner.sandbox);
	close_fd(&owner.pidfd);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	vt_ok(vnic_name_take("red", dir, &name, &err), &err);
	vt_ok(ns_name_find("red", dir, &owner, &err), &err);
	assert_int_equal(owner.pid, 0); /* what the dead one wrote is gone */
	vnic_name_drop(&name);
}

static void whoever_comes_across_a_stale_file_removes_it(void **state)
{
	struct ns_name_owner owner;
	struct vnic_error err;
	char path[128];
	pid_t pid = take_in_child("red");

	(void)state;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	snprintf(path, sizeof(path), "%s/red", dir);
	assert_int_equal(access(path, F_OK), 0);
	vt_fails(ns_name_find("red", dir, &owner, &err), &err, VNIC_STEP_NS_OPEN, ENOENT);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_name_is_taken_while_any_heir_of_the_descriptor_lives(void **state)
{
	struct vnic_name name, again;
	struct vnic_error err;
	int hold[2];

	(void)state;
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	vt_ok(vnic_name_take("red", dir, &name, &err), &err);
	pid_t heir = fork();
	if (heir == 0) {
		char byte;

		close(hold[1]);
		_exit(read(hold[0], &byte, 1) != 0);
	}
	close_fd(&name.fd);
	vt_fails(vnic_name_take("red", dir, &again, &err), &err, VNIC_STEP_LOCK, EEXIST);
	close(hold[1]);
	waitpid(heir, NULL, 0);
	close(hold[0]);
	vt_ok(vnic_name_take("red", dir, &again, &err), &err);
	vnic_name_drop(&again);
}

static int take_once(void *ctx)
{
	int wins = 0;

	(void)ctx;
	for (int i = 0; i < 100; i++) {
		struct vnic_name name;

		if (vnic_name_take("red", dir, &name, NULL) < 0)
			continue;
		/* A second owner at the same time would have its pid in the file now. */
		vnic_name_publish(&name, getpid(), false, NULL);
		struct ns_name_owner owner = {.pidfd = -1};
		if (ns_name_find("red", dir, &owner, NULL) < 0 || owner.pid != getpid())
			return 100;
		close_fd(&owner.pidfd);
		vnic_name_drop(&name);
		wins++;
	}
	return wins ? 0 : 101;
}

static void of_many_who_take_one_name_one_has_it_at_a_time(void **state)
{
	pid_t pids[8];
	int status;

	(void)state;
	for (int i = 0; i < 8; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(take_once(NULL));
	}
	for (int i = 0; i < 8; i++) {
		waitpid(pids[i], &status, 0);
		assert_int_not_equal(status, 100 << 8);
	}
}

static void a_directory_that_others_can_write_to_is_refused(void **state)
{
	static const mode_t modes[] = {0777, 0770, 0702};
	struct vnic_name name;
	struct ns_name_owner owner;
	struct vnic_error err;

	(void)state;
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		chmod(dir, modes[i]);
		vt_fails(vnic_name_take("red", dir, &name, &err), &err, VNIC_STEP_LOCK, EPERM);
		assert_string_equal(err.object, dir);
		vt_fails(ns_name_find("red", dir, &owner, &err), &err, VNIC_STEP_NS_OPEN, ENOENT);
	}
	chmod(dir, 0700);
}

static void a_link_in_the_place_of_a_name_is_not_followed(void **state)
{
	struct vnic_name name;
	struct vnic_error err;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/red", dir);
	assert_int_equal(symlink("/tmp/vnic-elsewhere", path), 0);
	vt_fails(vnic_name_take("red", dir, &name, &err), &err, VNIC_STEP_LOCK, ELOOP);
	unlink(path);
}

static void the_directory_is_made_for_the_owner_alone(void **state)
{
	struct vnic_name name;
	struct vnic_error err;
	struct stat st;
	char below[128];

	(void)state;
	snprintf(below, sizeof(below), "%s/vnic", dir);
	vt_ok(vnic_name_take("red", below, &name, &err), &err);
	assert_int_equal(stat(below, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	vnic_name_drop(&name);
	rmdir(below);
}

#define name_test(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		name_test(a_name_has_letters_digits_and_three_marks),
		name_test(a_name_that_is_none_is_refused_with_the_reason),
		name_test(a_taken_name_is_refused_and_free_after_the_drop),
		name_test(the_owner_is_found_while_it_lives),
		name_test(a_number_of_another_pid_namespace_is_nobodys_here),
		name_test(a_socket_among_the_names_is_left_out),
		name_test(looking_at_a_name_never_makes_taking_it_fail),
		name_test(a_killed_owner_leaves_a_free_name),
		name_test(whoever_comes_across_a_stale_file_removes_it),
		name_test(a_name_is_taken_while_any_heir_of_the_descriptor_lives),
		name_test(of_many_who_take_one_name_one_has_it_at_a_time),
		name_test(a_directory_that_others_can_write_to_is_refused),
		name_test(a_link_in_the_place_of_a_name_is_not_followed),
		name_test(the_directory_is_made_for_the_owner_alone),
	};

	return cmocka_run_group_tests_name("netns_name", tests, NULL, NULL);
}
