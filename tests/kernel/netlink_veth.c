/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel does with veth pairs, and what our code counts on. */
#include <errno.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "netlink_side.h"

#define OPER_UP 6 /* IF_OPER_UP; <linux/if.h> and <net/if.h> exclude each other */

static void both_ends_of_a_pair_are_born_in_their_namespaces_by_one_message(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	CLEANUP_SIDE struct side left = side_new();
	CLEANUP_SIDE struct side right = side_new();
	const struct vnic_link peer = {
		.name = "right0",
		.index = 77,
		.mac = mac_of(2),
		.mtu = 9000,
		.has_netns = true,
		.netns_fd = right.netns,
	};
	const struct vnic_link link = {
		.kind = VNIC_LINK_VETH,
		.name = "left0",
		.index = 66,
		.mac = mac_of(1),
		.mtu = 9000,
		.up = true,
		.has_netns = true,
		.netns_fd = left.netns,
		.peer = &peer,
	};
	struct vnic_link_info info;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &link, &err), &err);
	vt_fails(vnic_link_get(here.nl, 0, "left0", &info, &err), &err, VNIC_STEP_LINK_GET, ENODEV);

	info = info_of(left.nl, "left0");
	assert_int_equal(info.index, 66);
	assert_int_equal(info.parent, 77);
	assert_string_equal(info.kind, "veth");
	assert_memory_equal(info.mac.bytes, link.mac.bytes, VNIC_MAC_LEN);
	assert_true(info.flags & IFF_UP);

	info = info_of(right.nl, "right0");
	assert_int_equal(info.index, 77);
	assert_int_equal(info.mtu, 9000);
	assert_memory_equal(info.mac.bytes, peer.mac.bytes, VNIC_MAC_LEN);
	assert_false(info.flags & IFF_UP);
}

/* The library refuses this before the kernel does, so the message is made by hand. */
static void the_second_end_cannot_be_born_up(void **state)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct rtnl_link *veth = rtnl_link_veth_alloc();
	struct rtnl_link *peer = rtnl_link_veth_get_peer(veth);

	(void)state;
	assert_int_equal(nl_connect(sock, NETLINK_ROUTE), 0);
	rtnl_link_set_flags(peer, IFF_UP);
	/* libnl has no name for ENOTCONN and says "unspecific failure". */
	assert_int_equal(rtnl_link_add(sock, veth, NLM_F_CREATE | NLM_F_EXCL), -NLE_FAILURE);
	rtnl_link_unset_flags(peer, IFF_UP);
	assert_int_equal(rtnl_link_add(sock, veth, NLM_F_CREATE | NLM_F_EXCL), 0);
	rtnl_link_put(peer);
	rtnl_link_put(veth);
	nl_socket_free(sock);
}

static void the_library_says_so_before_the_kernel_does(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	const struct vnic_link peer = {.name = "b", .up = true};
	const struct vnic_link link = {.kind = VNIC_LINK_VETH, .name = "a", .peer = &peer};
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_link_add(here.nl, &link, &err), &err, VNIC_STEP_LINK_ADD, EINVAL);
	assert_non_null(strstr(err.detail, "ENOTCONN"));
}

static int assign_type(const char *name)
{
	char path[128], text[8] = "";
	int fd;

	snprintf(path, sizeof(path), "/mnt/class/net/%s/addr_assign_type", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return atoi(text);
}

/* NET_ADDR_SET (3) keeps udev from rewriting it and a bridge from following its ports; 1 is NET_ADDR_RANDOM. */
static void a_mac_given_at_birth_counts_as_set_and_none_as_random(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	const struct vnic_link peer = {.name = "b", .mac = mac_of(2)};
	const struct vnic_link veth = {.kind = VNIC_LINK_VETH, .name = "a", .mac = mac_of(1), .peer = &peer};
	const struct vnic_link bridge = {.kind = VNIC_LINK_BRIDGE, .name = "br", .mac = mac_of(3)};
	const struct vnic_link plain_peer = {.name = "d"};
	const struct vnic_link plain = {.kind = VNIC_LINK_VETH, .name = "c", .peer = &plain_peer};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &veth, &err), &err);
	vt_ok(vnic_link_add(here.nl, &bridge, &err), &err);
	vt_ok(vnic_link_add(here.nl, &plain, &err), &err);
	mount_sysfs(&here);
	assert_int_equal(assign_type("a"), 3);
	assert_int_equal(assign_type("b"), 3);
	assert_int_equal(assign_type("br"), 3);
	assert_int_equal(assign_type("c"), 1);
	assert_int_equal(assign_type("d"), 1);
	assert_int_equal(umount2("/mnt", MNT_DETACH), 0);
}

enum { REFUSED, ALLOWED, OTHERWISE };

/* In user and network namespaces of its own: reaches for the namespace of the parent. */
static int reach_out(void *ctx)
{
	const struct side *parent = ctx;
	const struct vnic_link peer = {.name = "intruder", .has_netns = true, .netns_fd = parent->netns};
	const struct vnic_link link = {.kind = VNIC_LINK_VETH, .name = "a", .peer = &peer};
	struct vnic_nl *nl = NULL;
	int r = vnic_nl_open(&nl, NULL);

	if (r == 0)
		r = vnic_link_add(nl, &link, NULL);
	vnic_nl_close(nl);
	return r == 0 ? ALLOWED : r == -EPERM ? REFUSED : OTHERWISE;
}

static void the_maker_of_a_pair_needs_net_admin_over_the_peers_namespace(void **state)
{
	struct side here = side_here();
	int outcome = in_new_namespaces(CLONE_NEWUSER | CLONE_NEWNET, reach_out, &here);
	struct vnic_link_info info;
	struct utsname host;
	int r = vnic_link_get(here.nl, 0, "intruder", &info, NULL);

	(void)state;
	side_close(&here);
	uname(&host);
	if (outcome == ALLOWED)
		vt_skip("Linux %s does not ask for the right over the peer's namespace yet", host.release);
	assert_int_equal(outcome, REFUSED);
	assert_int_equal(r, -ENODEV);
}

static void carrier_comes_as_an_event_when_the_other_end_goes_up(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	CLEANUP_SIDE struct side there = side_new();
	const struct vnic_link peer = {.name = "b", .has_netns = true, .netns_fd = there.netns};
	const struct vnic_link link = {.kind = VNIC_LINK_VETH, .name = "a", .up = true, .peer = &peer};
	const unsigned running = IFF_UP | IFF_RUNNING;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &link, &err), &err);
	vt_fails(vnic_monitor_wait_link(here.monitor, 0, "a", running, 0, &err), &err, VNIC_STEP_LINK_WAIT, ETIMEDOUT);
	assert_string_equal(err.object, "a");
	vt_ok(vnic_link_set(there.nl, 0, &(struct vnic_link){.name = "b", .up = true}, &err), &err);
	assert_true(vt_readable(vnic_monitor_get_fd(here.monitor)));
	vt_ok(vnic_monitor_wait_link(here.monitor, 0, "a", running, VT_DEADLINE_MS, &err), &err);
	vt_ok(vnic_monitor_wait_link(here.monitor, 0, "a", VNIC_LINK_OPER_UP, VT_DEADLINE_MS, &err), &err);
	vt_ok(vnic_monitor_wait_link(there.monitor, 0, "b", VNIC_LINK_OPER_UP, VT_DEADLINE_MS, &err), &err);
	assert_int_equal(info_of(here.nl, "a").operstate, OPER_UP);
}

static void deleting_one_end_takes_the_other_with_it(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	CLEANUP_SIDE struct side there = side_new();
	const struct vnic_link peer = {.name = "b", .has_netns = true, .netns_fd = there.netns};
	const struct vnic_link link = {.kind = VNIC_LINK_VETH, .name = "a", .peer = &peer};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &link, &err), &err);
	vt_fails(vnic_monitor_wait_gone(there.monitor, 0, "b", 0, &err), &err, VNIC_STEP_LINK_WAIT, ETIMEDOUT);
	vt_ok(vnic_link_del(here.nl, 0, "a", &err), &err);
	vt_ok(vnic_monitor_wait_gone(there.monitor, 0, "b", VT_DEADLINE_MS, &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(both_ends_of_a_pair_are_born_in_their_namespaces_by_one_message),
		vt_netns_test(the_second_end_cannot_be_born_up),
		vt_netns_test(the_library_says_so_before_the_kernel_does),
		vt_netns_test(a_mac_given_at_birth_counts_as_set_and_none_as_random),
		vt_netns_test(the_maker_of_a_pair_needs_net_admin_over_the_peers_namespace),
		vt_netns_test(carrier_comes_as_an_event_when_the_other_end_goes_up),
		vt_netns_test(deleting_one_end_takes_the_other_with_it),
	};

	vt_own_namespaces(CLONE_NEWNET | CLONE_NEWNS);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
