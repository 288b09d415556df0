/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Facts about namespaces that netns/ relies on.  Each test is one fact; if one fails on a new kernel, the
 * comment on top of the file that relies on it is wrong.
 */
#include <errno.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../rootless/netns_world.h"

/* The errno of fn in a child (0: success). */
#define errno_of(fn, ctx) world_in_child(fn, ctx)

static int do_clone(void *ctx)
{
	unsigned long flags = *(unsigned long *)ctx;
	struct clone_args args = {.flags = flags, .exit_signal = flags & CLONE_THREAD ? 0 : SIGCHLD};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

/* As root of a user namespace of our own, whoever runs the test. */
static int become_root_of_our_own(void)
{
	struct ns_idmap map;

	if (ns_idmap_plan(VNIC_IDMAP_ROOT, geteuid(), getegid(), &map, NULL) < 0 || unshare(CLONE_NEWUSER) < 0)
		return errno;
	return -ns_idmap_write(0, &map, NULL);
}

static int clone_as_root_of_our_own(void *ctx)
{
	return become_root_of_our_own() ? 127 : do_clone(ctx);
}

static void clone_refuses_to_share_what_a_namespace_separates(void **state)
{
	unsigned long bad[] = {CLONE_NEWNS | CLONE_FS, CLONE_NEWUSER | CLONE_FS, CLONE_NEWIPC | CLONE_SYSVSEM,
			       CLONE_NEWPID | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(errno_of(clone_as_root_of_our_own, &bad[i]), EINVAL);
}

static int as_nobody(int (*fn)(void *), void *ctx)
{
	if (geteuid() == 0 && (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
		return 127;
	return fn(ctx);
}

static int clone_as_nobody(void *ctx)
{
	return as_nobody(do_clone, ctx);
}

static void without_capability_a_namespace_needs_a_user_namespace(void **state)
{
	unsigned long net = CLONE_NEWNET, both = CLONE_NEWNET | CLONE_NEWUSER;

	(void)state;
	assert_int_equal(errno_of(clone_as_nobody, &net), EPERM);
	assert_int_equal(errno_of(clone_as_nobody, &both), 0);
}

static int chroot_and_check(void *ctx)
{
	unsigned long user = CLONE_NEWUSER;

	(void)ctx;
	if (become_root_of_our_own() || chroot("/usr") < 0 || chdir("/") < 0)
		return 127;
	return do_clone(&user);
}

static void in_a_chroot_there_are_no_user_namespaces(void **state)
{
	(void)state;
	assert_int_equal(errno_of(chroot_and_check, NULL), EPERM);
}

static int unmapped(void *ctx)
{
	unsigned long user = CLONE_NEWUSER;

	(void)ctx;
	return unshare(CLONE_NEWUSER) < 0 ? 127 : do_clone(&user); /* no map is written */
}

static void ids_without_a_mapping_make_no_user_namespace(void **state)
{
	(void)state;
	assert_int_equal(errno_of(unmapped, NULL), EPERM);
}

static int refused_by_us(void *ctx)
{
	struct vnic_error err;

	(void)ctx;
	if (unshare(CLONE_NEWUSER) < 0)
		return 127;
	return -vnic_ns_check(CLONE_NEWUSER, &err) == EPERM && strstr(err.detail, "no mapping") ? 0 : 1;
}

static void we_see_that_ids_have_no_mapping(void **state)
{
	(void)state;
	assert_int_equal(world_in_child(refused_by_us, NULL), 0);
}

/* 0: refused by us in the chroot, and only there. */
static int refused_in_chroot(void *ctx)
{
	struct vnic_error err;

	(void)ctx;
	/* A directory that is no mount point, with /proc in it. */
	if (become_root_of_our_own() || unshare(CLONE_NEWNS) < 0 || mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0 ||
	    mkdir("/mnt/root", 0755) < 0 || mkdir("/mnt/root/proc", 0755) < 0 ||
	    mount("/proc", "/mnt/root/proc", NULL, MS_BIND | MS_REC, NULL) < 0)
		return 127;
	if (vnic_ns_check(CLONE_NEWUSER, &err) < 0)
		return 1;
	if (chroot("/mnt/root") < 0)
		return 126;
	return vnic_ns_check(CLONE_NEWUSER, &err) == -EPERM && strstr(err.detail, "in a chroot") ? 0 : 2;
}

static void we_see_a_chroot(void **state)
{
	(void)state;
	assert_int_equal(world_in_child(refused_in_chroot, NULL), 0);
}

static int nest(void *ctx)
{
	int *levels = ctx;

	for (*levels = 0; *levels < 100; (*levels)++) {
		int r = become_root_of_our_own();

		if (r)
			return r;
	}
	return 0;
}

static void user_namespaces_nest_32_deep(void **state)
{
	int *levels = mmap(NULL, sizeof(*levels), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	int code = errno_of(nest, levels);
	/* Fewer where the test itself runs in one. */
	assert_in_range(*levels, 24, 33);
	assert_int_equal(code, ENOSPC);
	munmap(levels, sizeof(*levels));
}

static int pending_pid(void *ctx)
{
	unsigned long pid = CLONE_NEWPID;

	(void)ctx;
	if (become_root_of_our_own() || unshare(CLONE_NEWPID) < 0)
		return 127;
	struct vnic_error err;
	if (vnic_ns_check(CLONE_NEWPID, &err) != -EINVAL)
		return 126;
	return do_clone(&pid);
}

static void a_pending_pid_namespace_allows_no_second_one(void **state)
{
	(void)state;
	assert_int_equal(errno_of(pending_pid, NULL), EINVAL);
}

static int write_file(const char *path, const char *text)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? errno : 0;
}

static int map_groups(void *ctx)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER) < 0 || (ctx && write_file("/proc/self/setgroups", ctx)))
		return 127;
	return write_file("/proc/self/gid_map", map);
}

static void a_gid_map_wants_setgroups_forbidden(void **state)
{
	char deny[] = "deny";

	(void)state;
	assert_int_equal(errno_of(map_groups, NULL), EPERM);
	assert_int_equal(errno_of(map_groups, deny), 0);
}

static int go_back(void *ctx)
{
	int host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	(void)ctx;
	if (become_root_of_our_own() || unshare(CLONE_NEWNET) < 0)
		return 127;
	return setns(host, CLONE_NEWNET) < 0 ? errno : 0;
}

static void there_is_no_way_back_into_the_hosts_network(void **state)
{
	(void)state;
	assert_int_equal(errno_of(go_back, NULL), EPERM);
}

static int join_user(void *ctx)
{
	const struct vnic_target *target = ctx;

	if (prctl(PR_SET_DUMPABLE, 1) < 0 || setns(target->userns_fd, CLONE_NEWUSER) < 0)
		return 127;
	return prctl(PR_GET_DUMPABLE);
}

/* Hence enter.c must see to it.  (For another's user namespace setns sets the mark to fs.suid_dumpable.) */
static void joining_a_user_namespace_of_ones_own_leaves_the_memory_traceable(void **state)
{
	struct vnic_child world = world_start((struct vnic_spawn){.namespaces = CLONE_NEWUSER | CLONE_NEWNET});
	struct vnic_target target = world_target(world.command);

	(void)state;
	assert_int_equal(world_in_child(join_user, &target), 1);
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static int dumpable_there(void *ctx, struct vnic_error *err)
{
	(void)ctx;
	(void)err;
	return prctl(PR_GET_DUMPABLE);
}

static void a_call_is_not_traceable_there_and_the_caller_afterwards_is_what_it_was(void **state)
{
	struct vnic_child world = world_start((struct vnic_spawn){.namespaces = CLONE_NEWUSER | CLONE_NEWNET});
	struct vnic_target target = world_target(world.command);
	int before = prctl(PR_GET_DUMPABLE);

	(void)state;
	assert_int_equal(vnic_target_call(&target, dumpable_there, NULL, NULL), 0);
	assert_int_equal(prctl(PR_GET_DUMPABLE), before);
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static int join_own_user(void *ctx)
{
	int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);

	(void)ctx;
	return setns(fd, CLONE_NEWUSER) < 0 ? errno : 0;
}

static void the_own_user_namespace_cannot_be_joined(void **state)
{
	(void)state;
	assert_int_equal(errno_of(join_own_user, NULL), EINVAL);
}

/*
 * The target's user namespace is below the one that owns its network namespace, as for a
 * privileged caller who enters a container that shares the host's network, or a sandbox (S) whose network belongs to
 * the router's (U).
 */
static int make_target_below(void *ctx)
{
	const int *pipes = ctx;
	struct ns_idmap map;
	char byte;

	if (become_root_of_our_own() || unshare(CLONE_NEWNET) < 0)
		return 1;
	if (ns_idmap_plan(VNIC_IDMAP_ROOT, 0, 0, &map, NULL) < 0 || unshare(CLONE_NEWUSER) < 0 ||
	    ns_idmap_write(0, &map, NULL) < 0)
		return 1;
	prctl(PR_SET_DUMPABLE, 1);
	close(pipes[1]);
	close(pipes[3]);
	return read(pipes[0], &byte, 1) != 0;
}

struct way {
	const struct ns_set *set;
	int pidfd;
	int kind; /* 0: at once; 1: user first; 2: our order */
};

static int join_in_a_way(void *ctx)
{
	const struct way *way = ctx;
	int code = 0;

	if (way->kind == 0)
		return setns(way->pidfd, CLONE_NEWUSER | CLONE_NEWNET) < 0 ? errno : 0;
	if (way->kind == 2)
		return ns_join_one_by_one(way->set, &code) ? code : 0;
	if (setns(way->set->fds[VNIC_NS_USER], CLONE_NEWUSER) < 0)
		return 127;
	return setns(way->set->fds[VNIC_NS_NET], CLONE_NEWNET) < 0 ? errno : 0;
}

static void user_first_is_refused_where_all_at_once_is_not(void **state)
{
	int pipes[4];
	char byte;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(pipe2(pipes + 2, O_CLOEXEC), 0);
	int pidfd = -1;
	pid_t pid = ns_clone(0, false, &pidfd, NULL);
	if (pid == 0)
		_exit(make_target_below(pipes));
	close(pidfd);
	close(pipes[3]);
	assert_int_equal(read(pipes[2], &byte, 1), 0); /* it has closed its end: it is ready */
	struct vnic_target target = world_target(pid);
	struct ns_set set;
	struct vnic_error err;
	vt_ok(ns_set_open(&target, &set, &err), &err);
	assert_int_equal(set.mask, CLONE_NEWUSER | CLONE_NEWNET);

	struct way way = {&set, target.pidfd, 0};
	assert_int_equal(world_in_child(join_in_a_way, &way), 0);
	way.kind = 1;
	assert_int_equal(world_in_child(join_in_a_way, &way), EPERM);
	/* Our order without pidfds: right for one who has rights over the network's owner, as root has. */
	way.kind = 2;
	assert_int_equal(world_in_child(join_in_a_way, &way), vt_is_root() ? 0 : EPERM);

	close(pipes[0]);
	close(pipes[1]);
	close(pipes[2]);
	waitpid(pid, NULL, 0);
	ns_set_close(&set);
	vnic_target_close(&target);
}

static bool may_ping(void)
{
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

	return fd >= 0;
}

static int try_fresh(void *ctx)
{
	const char *port_start = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
	char text[16] = "";

	(void)ctx;
	if (become_root_of_our_own() || unshare(CLONE_NEWNET) < 0)
		return 127;
	CLEANUP_FD int fd = open(port_start, O_RDONLY | O_CLOEXEC);
	if (may_ping() || read(fd, text, sizeof(text) - 1) < 0 || strcmp(text, "1024\n") != 0)
		return 1;
	if (write_file("/proc/sys/net/ipv4/ping_group_range", "0 0") || write_file(port_start, "0"))
		return 2;
	return may_ping() ? 0 : 3;
}

static void a_new_network_forbids_ping_and_low_ports_until_told_otherwise(void **state)
{
	(void)state;
	assert_int_equal(world_in_child(try_fresh, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(clone_refuses_to_share_what_a_namespace_separates),
		vt_test(without_capability_a_namespace_needs_a_user_namespace),
		vt_test(in_a_chroot_there_are_no_user_namespaces),
		vt_test(we_see_a_chroot),
		vt_test(ids_without_a_mapping_make_no_user_namespace),
		vt_test(we_see_that_ids_have_no_mapping),
		vt_test(user_namespaces_nest_32_deep),
		vt_test(a_pending_pid_namespace_allows_no_second_one),
		vt_test(a_gid_map_wants_setgroups_forbidden),
		vt_test(there_is_no_way_back_into_the_hosts_network),
		vt_test(joining_a_user_namespace_of_ones_own_leaves_the_memory_traceable),
		vt_test(a_call_is_not_traceable_there_and_the_caller_afterwards_is_what_it_was),
		vt_test(the_own_user_namespace_cannot_be_joined),
		vt_test(user_first_is_refused_where_all_at_once_is_not),
		vt_test(a_new_network_forbids_ping_and_low_ports_until_told_otherwise),
	};

	return cmocka_run_group_tests_name("netns_rules", tests, NULL, NULL);
}
