/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links of each kind are made, changed and found as they were asked for. */
#include <errno.h>
#include <stdio.h>

#include "netlink_side.h"

static void each_kind_is_made_with_what_was_asked_for(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	static const enum vnic_link_kind kinds[] = {VNIC_LINK_VETH, VNIC_LINK_BRIDGE, VNIC_LINK_IFB};
	static const char *const texts[] = {"veth", "bridge", "ifb"};
	struct vnic_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct vnic_link link = {
			.kind = kinds[i],
			.name = texts[i],
			.alias = "an alias with spaces",
			.index = (int)(100 + i),
			.mac = mac_of((uint8_t)i),
			.mtu = 1400,
			.txqueuelen = 77,
			.group = 5,
			.up = true,
			.no_arp = true,
		};
		struct vnic_link_info info;

		vt_ok(vnic_link_add(here.nl, &link, &err), &err);
		vt_ok(vnic_link_get(here.nl, link.index, NULL, &info, &err), &err);
		assert_string_equal(info.name, texts[i]);
		assert_string_equal(info.kind, texts[i]);
		assert_string_equal(info.alias, link.alias);
		assert_memory_equal(info.mac.bytes, link.mac.bytes, VNIC_MAC_LEN);
		assert_int_equal(info.mtu, 1400);
		assert_int_equal(info.txqueuelen, 77);
		assert_int_equal(info.group, 5);
		assert_int_equal(info.flags & (IFF_UP | IFF_NOARP), IFF_UP | IFF_NOARP);
	}
}

static const struct vnic_link lower = {.kind = VNIC_LINK_VETH, .name = "lower", .index = 50};

/* A kernel may lack the kind. */
static void add_or_skip(struct side *here, const struct vnic_link *link)
{
	struct vnic_error err;
	int r = vnic_link_add(here->nl, link, &err);

	if (r == -EOPNOTSUPP) {
		side_close(here); /* a skip runs no cleanup */
		vt_skip("the kernel cannot make %s", link->name);
	}
	vt_ok(r, &err);
}

static void a_macvlan_stands_on_a_parent_in_another_namespace(void **state)
{
	struct side here = side_here();
	const struct vnic_link macvlan = {
		.kind = VNIC_LINK_MACVLAN,
		.name = "macvlan0",
		.parent = 50,
		.mode = VNIC_MACVLAN_PRIVATE,
		.mac = mac_of(9),
	};
	struct vnic_link abroad = macvlan;
	struct vnic_link_info info;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &lower, &err), &err);
	add_or_skip(&here, &macvlan);
	vt_ok(vnic_link_del(here.nl, 0, "macvlan0", &err), &err);

	CLEANUP_SIDE struct side there = side_new();

	abroad.has_netns = true;
	abroad.netns_fd = there.netns;
	vt_ok(vnic_link_add(here.nl, &abroad, &err), &err);
	info = info_of(there.nl, "macvlan0");
	assert_string_equal(info.kind, "macvlan");
	assert_int_equal(info.parent, 50);
	assert_memory_equal(info.mac.bytes, macvlan.mac.bytes, VNIC_MAC_LEN);
	side_close(&here);
}

static void a_macvtap_stands_on_a_parent(void **state)
{
	struct side here = side_here();
	const struct vnic_link macvtap = {.kind = VNIC_LINK_MACVTAP, .name = "macvtap0", .parent = 50};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &lower, &err), &err);
	add_or_skip(&here, &macvtap);
	assert_string_equal(info_of(here.nl, "macvtap0").kind, "macvtap");
	assert_int_equal(info_of(here.nl, "macvtap0").parent, 50);
	side_close(&here);
}

static void a_link_is_renamed_and_changed_by_index(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	const struct vnic_link change = {
		.name = "after",
		.alias = "renamed",
		.mac = mac_of(8),
		.mtu = 1280,
		.txqueuelen = 5,
		.group = 3,
		.up = true,
		.no_arp = true,
	};
	struct vnic_link_info info;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &(struct vnic_link){.kind = VNIC_LINK_VETH, .name = "before", .index = 9}, &err),
	      &err);
	vt_ok(vnic_link_set(here.nl, 9, &change, &err), &err);
	info = info_of(here.nl, "after");
	assert_int_equal(info.index, 9);
	assert_string_equal(info.alias, "renamed");
	assert_memory_equal(info.mac.bytes, change.mac.bytes, VNIC_MAC_LEN);
	assert_int_equal(info.mtu, 1280);
	assert_int_equal(info.txqueuelen, 5);
	assert_int_equal(info.group, 3);
	assert_int_equal(info.flags & (IFF_UP | IFF_NOARP), IFF_UP | IFF_NOARP);

	vt_ok(vnic_link_set(here.nl, 0, &(struct vnic_link){.name = "after", .down = true}, &err), &err);
	info = info_of(here.nl, "after");
	assert_int_equal(info.flags & (IFF_UP | IFF_NOARP), IFF_NOARP);
	assert_int_equal(info.mtu, 1280);
}

static void longer_super_frames_are_a_wish(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	const struct vnic_link new = {.kind = VNIC_LINK_VETH, .name = "a", .index = 9};
	struct vnic_link late = new;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &new, &err), &err);
	vt_ok(vnic_link_set(here.nl, 9, &(struct vnic_link){.gso_max = 192u << 10, .mtu = 1400}, &err), &err);
	vt_ok(vnic_link_set(here.nl, 9, &(struct vnic_link){.gso_max = UINT32_MAX, .mtu = 1300}, &err), &err);
	assert_int_equal(info_of(here.nl, "a").mtu, 1300);
	/* What is not a wish still fails, before it and behind it. */
	vt_fails(vnic_link_set(here.nl, 9, &(struct vnic_link){.gso_max = UINT32_MAX, .mtu = 1}, &err), &err,
		 VNIC_STEP_LINK_SET, EINVAL);
	vt_fails(vnic_link_set(here.nl, 9, &(struct vnic_link){.gso_max = UINT32_MAX, .isolated = true}, &err), &err,
		 VNIC_STEP_LINK_SET, EOPNOTSUPP);
	late.name = "b";
	late.gso_max = 192u << 10;
	vt_fails(vnic_link_add(here.nl, &late, &err), &err, VNIC_STEP_LINK_ADD, EINVAL);
}

static void a_link_moves_to_another_namespace(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	CLEANUP_SIDE struct side there = side_new();
	const struct vnic_link move = {.name = "traveller", .has_netns = true, .netns_fd = there.netns, .up = true};
	struct vnic_link_info info;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &(struct vnic_link){.kind = VNIC_LINK_VETH, .name = "traveller"}, &err), &err);
	vt_ok(vnic_link_set(here.nl, 0, &move, &err), &err);
	assert_int_equal(vnic_link_get(here.nl, 0, "traveller", &info, &err), -ENODEV);
	assert_true(info_of(there.nl, "traveller").flags & IFF_UP);
}

static bool isolated(const char *name)
{
	char path[128], value = '?';
	int fd;

	snprintf(path, sizeof(path), "/mnt/class/net/%s/brport/isolated", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &value, 1), 1);
	close(fd);
	return value == '1';
}

static void a_port_joins_a_bridge_isolated_and_leaves_it(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	const struct vnic_link bridge = {.kind = VNIC_LINK_BRIDGE, .name = "br", .index = 20, .mac = mac_of(1)};
	const struct vnic_link born = {.kind = VNIC_LINK_VETH, .name = "born", .master = 20, .isolated = true};
	const struct vnic_link open_port = {.kind = VNIC_LINK_VETH, .name = "open", .index = 21, .master = 20};
	const struct vnic_link later = {.kind = VNIC_LINK_VETH, .name = "later", .index = 22};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &bridge, &err), &err);
	vt_ok(vnic_link_add(here.nl, &born, &err), &err);
	vt_ok(vnic_link_add(here.nl, &open_port, &err), &err);
	vt_ok(vnic_link_add(here.nl, &later, &err), &err);
	vt_ok(vnic_link_set(here.nl, 22, &(struct vnic_link){.master = 20, .isolated = true}, &err), &err);
	mount_sysfs(&here);
	assert_true(isolated("born"));
	assert_false(isolated("open"));
	assert_true(isolated("later"));
	vt_ok(vnic_link_set(here.nl, 21, &(struct vnic_link){.isolated = true}, &err), &err);
	assert_true(isolated("open"));
	assert_int_equal(umount2("/mnt", MNT_DETACH), 0);

	assert_int_equal(info_of(here.nl, "later").master, 20);
	vt_ok(vnic_link_set(here.nl, 22, &(struct vnic_link){.no_master = true}, &err), &err);
	assert_int_equal(info_of(here.nl, "later").master, 0);
	assert_memory_equal(info_of(here.nl, "br").mac.bytes, bridge.mac.bytes, VNIC_MAC_LEN);
}

static int stop_at_second(const struct vnic_link_info *info, void *ctx)
{
	int *seen = ctx;

	(void)info;
	return ++*seen == 2 ? -ECANCELED : 0;
}

static void a_list_ends_when_the_reader_has_enough_and_the_socket_stays_usable(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	struct vnic_error err;
	int seen = 0;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &(struct vnic_link){.kind = VNIC_LINK_VETH, .name = "a"}, &err), &err);
	assert_int_equal(vnic_link_list(here.nl, stop_at_second, &seen, &err), -ECANCELED);
	assert_int_equal(seen, 2);
	assert_string_equal(info_of(here.nl, "a").name, "a");
}

static int add_later(void *ctx)
{
	struct side *here = ctx;

	return vnic_link_add(here->nl, &(struct vnic_link){.kind = VNIC_LINK_BRIDGE, .name = "late"}, NULL) != 0;
}

static void waiting_for_a_link_ends_when_another_process_makes_it(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_monitor_wait_link(here.monitor, 0, "late", 0, 1, &err), &err, VNIC_STEP_LINK_WAIT, ETIMEDOUT);
	assert_int_equal(vt_in_child(add_later, &here), 0);
	vt_ok(vnic_monitor_wait_link(here.monitor, 0, "late", 0, VT_DEADLINE_MS, &err), &err);
}

/* More events than the socket holds: the kernel drops some and says ENOBUFS. */
static void lost_events_do_not_make_a_wait_miss_what_happened(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &(struct vnic_link){.kind = VNIC_LINK_VETH, .name = "a"}, &err), &err);
	for (uint32_t i = 0; i < 1000; i++)
		vt_ok(vnic_link_set(here.nl, 0, &(struct vnic_link){.name = "a", .mtu = 1000 + i}, &err), &err);
	vt_ok(vnic_link_del(here.nl, 0, "a", &err), &err);
	assert_true(vt_readable(vnic_monitor_get_fd(here.monitor)));
	vt_ok(vnic_monitor_wait_gone(here.monitor, 0, "a", VT_DEADLINE_MS, &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(each_kind_is_made_with_what_was_asked_for),
		vt_netns_test(a_macvlan_stands_on_a_parent_in_another_namespace),
		vt_netns_test(a_macvtap_stands_on_a_parent),
		vt_netns_test(a_link_is_renamed_and_changed_by_index),
		vt_netns_test(longer_super_frames_are_a_wish),
		vt_netns_test(a_link_moves_to_another_namespace),
		vt_netns_test(a_port_joins_a_bridge_isolated_and_leaves_it),
		vt_netns_test(a_list_ends_when_the_reader_has_enough_and_the_socket_stays_usable),
		vt_netns_test(waiting_for_a_link_ends_when_another_process_makes_it),
		vt_netns_test(lost_events_do_not_make_a_wait_miss_what_happened),
	};

	vt_own_namespaces(CLONE_NEWNET | CLONE_NEWNS);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
