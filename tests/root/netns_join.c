/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Root joins what an ordinary user made: it becomes root there, and nothing of it may be traced from there. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "../rootless/netns_world.h"

#define NOBODY 65534

/* A world that an ordinary user made, and who keeps it. */
struct others {
	pid_t keeper, command;
	int hold;
};

/* The keeper asserts nothing: it is a child of the test. */
static int keep_world(unsigned namespaces, enum vnic_idmap idmap, int hold, int tell)
{
	char *const argv[] = {(char[]){"sleep"}, (char[]){"infinity"}, NULL};
	const struct vnic_spawn spawn = {.namespaces = namespaces, .idmap = idmap, .argv = argv};
	CLEANUP(vnic_child_close) struct vnic_child world = VNIC_CHILD_EMPTY;
	char byte;

	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return 1;
	prctl(PR_SET_DUMPABLE, 1); /* without it, /proc/self would be root's now */
	if (vnic_spawn_start(&spawn, &world, NULL) < 0 || vnic_child_release(&world, NULL) < 0)
		return 1;
	return write(tell, &world.command, sizeof(world.command)) < 0 || read(hold, &byte, 1) < 0;
}

static struct others start_others(unsigned namespaces, enum vnic_idmap idmap)
{
	struct others others;
	int hold[2], tell[2];

	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	others.keeper = fork();
	if (others.keeper == 0) {
		close(hold[1]);
		_exit(keep_world(namespaces, idmap, hold[0], tell[1]));
	}
	close(hold[0]);
	close(tell[1]);
	assert_int_equal(read(tell[0], &others.command, sizeof(others.command)), sizeof(others.command));
	close(tell[0]);
	others.hold = hold[1];
	return others;
}

static void end_others(struct others *others)
{
	int status;

	close(others->hold);
	waitpid(others->keeper, &status, 0);
	assert_int_equal(status, 0);
}

static void root_becomes_root_inside(void **state)
{
	struct others others = start_others(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET, VNIC_IDMAP_ROOT);
	struct vnic_target target = world_target(others.command);
	char text[64];

	(void)state;
	assert_int_equal(world_ask(&target, "echo $(id -u) $(id -g); ls /sys/class/net", text, sizeof(text)), 0);
	assert_string_equal(text, "0 0\nlo\n");
	vnic_target_close(&target);
	end_others(&others);
}

static void root_becomes_the_user_where_the_map_is_to_himself(void **state)
{
	struct others others = start_others(CLONE_NEWUSER | CLONE_NEWNET, VNIC_IDMAP_SELF);
	struct vnic_target target = world_target(others.command);
	char text[64];

	(void)state;
	assert_int_equal(world_ask(&target, "echo $(id -u) $(id -g)", text, sizeof(text)), 0);
	assert_string_equal(text, "65534 65534\n");
	vnic_target_close(&target);
	end_others(&others);
}

static int join_slowly(void *ctx)
{
	CLEANUP(ns_set_close) struct ns_set set = NS_SET_EMPTY;
	int code = 0;

	if (ns_set_open(ctx, &set, NULL) < 0)
		return 127;
	return ns_join_one_by_one(&set, &code) ? code : 0;
}

static void an_old_kernel_joins_one_by_one(void **state)
{
	struct others others = start_others(VNIC_NS_ALL & ~(unsigned)CLONE_NEWTIME, VNIC_IDMAP_ROOT);
	struct vnic_target target = world_target(others.command);

	(void)state;
	assert_int_equal(world_in_child(join_slowly, &target), 0);
	vnic_target_close(&target);
	end_others(&others);
}

static int open_it(void *ctx)
{
	struct vnic_target target;
	struct vnic_error err;
	char text[16];

	snprintf(text, sizeof(text), "%d", *(pid_t *)ctx);
	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return 127;
	int r = vnic_target_open(text, NULL, &target, &err);
	return r == -EACCES && vnic_error_remedy(&err) ? 0 : 1;
}

static void an_ordinary_user_may_not_look_at_roots(void **state)
{
	struct vnic_child world = world_start((struct vnic_spawn){.namespaces = CLONE_NEWNET});

	(void)state;
	assert_int_equal(world_in_child(open_it, &world.command), 0);
	vnic_child_close(&world);
}

/* The child has the rights of root inside, like any process there; the visitor is the caller's short child. */
static int attack(void *ctx, struct vnic_error *err)
{
	pid_t visitor = getpid();
	int status;

	(void)ctx;
	(void)err;
	pid_t attacker = fork();
	if (attacker == 0)
		_exit(ptrace(PTRACE_ATTACH, visitor, NULL, NULL) == 0 ? 1 : errno == EPERM ? 0 : 2);
	waitpid(attacker, &status, 0);
	return WEXITSTATUS(status);
}

static void roots_visit_cannot_be_traced_from_inside(void **state)
{
	struct others others = start_others(CLONE_NEWUSER | CLONE_NEWNET, VNIC_IDMAP_ROOT);
	struct vnic_target target = world_target(others.command);
	struct vnic_error err;

	(void)state;
	assert_int_equal(vnic_target_call(&target, attack, NULL, &err), 0);
	vnic_target_close(&target);
	end_others(&others);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(root_becomes_root_inside),
		vt_test(root_becomes_the_user_where_the_map_is_to_himself),
		vt_test(an_old_kernel_joins_one_by_one),
		vt_test(an_ordinary_user_may_not_look_at_roots),
		vt_test(roots_visit_cannot_be_traced_from_inside),
	};

	return cmocka_run_group_tests_name("netns_join", tests, NULL, NULL);
}
