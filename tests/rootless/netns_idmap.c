/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Maps of ids as an ordinary user may write them.  as-user: --subids */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "netns_world.h"

static void maps_of(pid_t pid, char *ret_text, size_t size)
{
	struct vnic_ns_view view;
	struct vnic_error err;

	vt_ok(vnic_ns_view_get(pid, &view, &err), &err);
	snprintf(ret_text, size, "%.100s / %.100s", view.uid_map, view.gid_map);
}

static void expect(enum vnic_idmap kind, const char *format, const char *ids)
{
	struct vnic_child world = world_start((struct vnic_spawn){.namespaces = CLONE_NEWUSER, .idmap = kind});
	struct vnic_target target = world_target(world.command);
	char maps[256], expected[256], text[64];

	maps_of(world.command, maps, sizeof(maps));
	snprintf(expected, sizeof(expected), format, getuid(), getgid());
	assert_string_equal(maps, expected);
	assert_int_equal(world_ask(&target, "echo $(id -u) $(id -g)", text, sizeof(text)), 0);
	snprintf(expected, sizeof(expected), ids, getuid(), getgid());
	assert_string_equal(text, expected);
	vnic_target_close(&target);
	vnic_child_close(&world);
}

static void with_root_the_user_is_root_inside(void **state)
{
	(void)state;
	expect(VNIC_IDMAP_ROOT, "0 %u 1 / 0 %u 1", "0 0\n");
}

static void with_self_the_user_stays_himself(void **state)
{
	char maps[64];

	(void)state;
	snprintf(maps, sizeof(maps), "%u %%u 1 / %u %%u 1", getuid(), getgid());
	expect(VNIC_IDMAP_SELF, maps, "%u %u\n");
}

static void with_auto_the_ranges_follow_root(void **state)
{
	struct ns_idmap map;
	struct vnic_error err;

	(void)state;
	if (ns_idmap_plan(VNIC_IDMAP_AUTO, getuid(), getgid(), &map, &err) < 0)
		vt_skip("%s has no range for this user", err.object);
	assert_true(map.by_helper);
	assert_int_equal(map.uids[0].inside, 0);
	assert_int_equal(map.uids[1].inside, 1);
	struct vnic_child world =
		world_start((struct vnic_spawn){.namespaces = CLONE_NEWUSER, .idmap = VNIC_IDMAP_AUTO});
	char maps[256], expected[256];
	maps_of(world.command, maps, sizeof(maps));
	snprintf(expected, sizeof(expected), "0 %u 1, 1 %u %u / 0 %u 1, 1 %u %u", getuid(), map.uids[1].outside,
		 map.uids[1].count, getgid(), map.gids[1].outside, map.gids[1].count);
	assert_string_equal(maps, expected);
	vnic_child_close(&world);
}

static void a_map_that_the_helper_refuses_carries_its_words(void **state)
{
	struct ns_idmap map = {.uids = {{0, getuid(), 1}, {1, 1, 5}},
			       .uid_count = 2,
			       .gids = {{0, getgid(), 1}},
			       .gid_count = 1,
			       .by_helper = true};
	struct vnic_error err;
	int pidfd = -1;

	(void)state;
	pid_t pid = ns_clone(CLONE_NEWUSER, false, &pidfd, &err);
	if (pid == 0)
		for (;;)
			pause();
	vt_fails(ns_idmap_write(pid, &map, &err), &err, VNIC_STEP_IDMAP, EPERM);
	assert_string_equal(err.object, "newuidmap");
	assert_non_null(strstr(err.detail, "not allowed"));
	struct vnic_child child = VNIC_CHILD_EMPTY;
	child.pid = pid;
	child.pidfd = pidfd;
	vnic_child_close(&child);
}

static void a_user_without_a_range_learns_which_line_is_missing(void **state)
{
	struct ns_idmap map;
	struct vnic_error err;

	(void)state;
	vt_fails(ns_idmap_plan(VNIC_IDMAP_AUTO, 3999999999, 3999999999, &map, &err), &err, VNIC_STEP_IDMAP, ENODATA);
	assert_string_equal(err.object, "/etc/subuid");
	assert_non_null(strstr(err.detail, "\"3999999999:100000:65536\""));
	assert_non_null(strstr(vnic_error_remedy(&err), "usermod"));
}

static int read_setgroups(void *ctx)
{
	char text[16] = "";
	int fd = open(ctx, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 && !strncmp(text, "deny", 4);
}

static void setgroups_is_forbidden_with_a_single_id(void **state)
{
	struct vnic_child world = world_start((struct vnic_spawn){.namespaces = CLONE_NEWUSER});
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/setgroups", world.command);
	assert_int_equal(read_setgroups(path), 1);
	vnic_child_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(with_root_the_user_is_root_inside),
		vt_test(with_self_the_user_stays_himself),
		vt_test(with_auto_the_ranges_follow_root),
		vt_test(a_map_that_the_helper_refuses_carries_its_words),
		vt_test(a_user_without_a_range_learns_which_line_is_missing),
		vt_test(setgroups_is_forbidden_with_a_single_id),
	};

	return cmocka_run_group_tests_name("netns_idmap", tests, NULL, NULL);
}
