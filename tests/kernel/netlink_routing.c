/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses, routes, rules and neighbours arrive in the kernel as they were asked for. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>

#include "netlink_side.h"

/* A pair with both ends up in the test's namespace, numbers 10 and 11. */
static struct side side_with_pair(void)
{
	const struct vnic_link peer = {.name = "b", .index = 11, .mac = mac_of(2)};
	const struct vnic_link link = {
		.kind = VNIC_LINK_VETH,
		.name = "a",
		.index = 10,
		.mac = mac_of(1),
		.up = true,
		.peer = &peer,
	};
	struct side here = side_here();
	struct vnic_error err;

	vt_ok(vnic_link_add(here.nl, &link, &err), &err);
	vt_ok(vnic_link_set(here.nl, 11, &(struct vnic_link){.up = true}, &err), &err);
	return here;
}

static int bind_to(const struct vnic_addr *addr)
{
	struct sockaddr_in6 name = {.sin6_family = AF_INET6};
	CLEANUP_FD int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&name.sin6_addr, addr->bytes, sizeof(name.sin6_addr));
	return bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ? -errno : 0;
}

static void an_ipv6_address_without_dad_is_usable_at_once(void **state)
{
	CLEANUP_SIDE struct side here = side_with_pair();
	const struct vnic_addr addr = addr_of("fd00::100/64");
	struct vnic_error err;

	(void)state;
	assert_int_equal(bind_to(&addr), -EADDRNOTAVAIL);
	vt_ok(vnic_addr_add(here.nl, 10, &addr, &err), &err);
	assert_int_equal(bind_to(&addr), 0);
	/* For a bind; its local route is the kernel's deferred work. */
	vt_ok(vnic_monitor_wait_addr(here.monitor, 10, &addr, 5000, &err), &err);
}

static void waiting_for_an_address_ends_when_it_comes(void **state)
{
	CLEANUP_SIDE struct side here = side_with_pair();
	const struct vnic_addr addr = addr_of("10.0.2.100/24");
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_monitor_wait_addr(here.monitor, 10, &addr, 1, &err), &err, VNIC_STEP_LINK_WAIT, ETIMEDOUT);
	assert_string_equal(err.object, "10.0.2.100/24");
	vt_ok(vnic_addr_add(here.nl, 10, &addr, &err), &err);
	assert_true(vt_readable(vnic_monitor_get_fd(here.monitor)));
	vt_ok(vnic_monitor_wait_addr(here.monitor, 10, &addr, VT_DEADLINE_MS, &err), &err);
}

struct found {
	struct vnic_addr_info info;
	int count;
};

static int find_ipv4(const struct vnic_addr_info *info, void *ctx)
{
	struct found *found = ctx;

	if (info->addr.family == AF_INET) {
		found->info = *info;
		found->count++;
	}
	return 0;
}

static void addresses_are_listed_by_link_and_deleted(void **state)
{
	CLEANUP_SIDE struct side here = side_with_pair();
	const struct vnic_addr addr = addr_of("10.0.2.100/24"), other = addr_of("10.0.3.1/24");
	struct found found = {0};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_addr_add(here.nl, 10, &addr, &err), &err);
	vt_ok(vnic_addr_add(here.nl, 11, &other, &err), &err);
	vt_ok(vnic_addr_list(here.nl, 10, find_ipv4, &found, &err), &err);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.info.ifindex, 10);
	assert_memory_equal(&found.info.addr, &addr, sizeof(addr));
	assert_int_equal(found.info.scope, RT_SCOPE_UNIVERSE);
	assert_true(found.info.flags & IFA_F_PERMANENT);
	vt_ok(vnic_addr_del(here.nl, 10, &addr, &err), &err);
	found.count = 0;
	vt_ok(vnic_addr_list(here.nl, 10, find_ipv4, &found, &err), &err);
	assert_int_equal(found.count, 0);
}

/* What `ip` says, which knows nothing of our parser. */
static bool ip_says(const char *question, const char *answer)
{
	char command[128], output[4096];
	size_t len;
	FILE *pipe;

	snprintf(command, sizeof(command), "ip %s", question);
	pipe = popen(command, "re"); /* NOLINT(cert-env33-c): fixed texts */
	assert_non_null(pipe);
	len = fread(output, 1, sizeof(output) - 1, pipe);
	output[len] = '\0';
	pclose(pipe);
	if (!strstr(output, answer))
		print_message("# ip %s:\n%s# has no \"%s\"\n", question, output, answer);
	return strstr(output, answer);
}

static void an_ipv4_address_has_a_broadcast_address_where_there_is_room(void **state)
{
	CLEANUP_SIDE struct side here = side_with_pair();
	const struct vnic_addr subnet = addr_of("10.0.2.100/23"), pair = addr_of("10.0.9.0/31");
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_addr_add(here.nl, 10, &subnet, &err), &err);
	vt_ok(vnic_addr_add(here.nl, 10, &pair, &err), &err);
	assert_true(ip_says("-4 addr show dev a", "inet 10.0.2.100/23 brd 10.0.3.255 scope global"));
	assert_true(ip_says("-4 addr show dev a", "inet 10.0.9.0/31 scope global"));
}

struct route_wish {
	const struct vnic_route *route;
	int count;
};

static int matches(const struct vnic_route *route, void *ctx)
{
	struct route_wish *wish = ctx;

	wish->count += !memcmp(&route->dst, &wish->route->dst, sizeof(route->dst)) &&
		       !memcmp(&route->gateway, &wish->route->gateway, sizeof(route->gateway)) &&
		       route->oif == wish->route->oif && route->mtu == wish->route->mtu &&
		       (!wish->route->priority || route->priority == wish->route->priority) &&
		       (!wish->route->type || route->type == wish->route->type);
	return 0;
}

static int routes_like(struct vnic_nl *nl, const struct vnic_route *route)
{
	struct route_wish wish = {.route = route};
	struct vnic_error err;

	vt_ok(vnic_route_list(nl, route->dst.family, route->table ? route->table : RT_TABLE_MAIN, matches, &wish, &err),
	      &err);
	return wish.count;
}

static void routes_of_both_families_come_and_go(void **state)
{
	CLEANUP_SIDE struct side here = side_with_pair();
	const struct vnic_addr v4 = addr_of("10.0.2.100/24"), v6 = addr_of("fd00::100/64");
	const struct vnic_route routes[] = {
		{.dst = addr_of("0.0.0.0/0"), .gateway = addr_of("10.0.2.2"), .oif = 10, .mtu = 1400},
		{.dst = addr_of("::/0"), .gateway = addr_of("fd00::2"), .oif = 10, .priority = 77},
		{.dst = addr_of("10.7.0.0/16"), .oif = 10},
		{.dst = addr_of("fd07::/64"), .oif = 10, .table = 300},
		{.dst = addr_of("192.0.2.0/24"), .type = RTN_BLACKHOLE},
		/* As the router needs them: everything is local, in a table of its own. */
		{.dst = addr_of("0.0.0.0/0"), .oif = 1, .type = RTN_LOCAL, .table = 200},
		{.dst = addr_of("::/0"), .oif = 1, .type = RTN_LOCAL, .table = 200},
	};
	const size_t count = sizeof(routes) / sizeof(routes[0]);
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_addr_add(here.nl, 10, &v4, &err), &err);
	vt_ok(vnic_addr_add(here.nl, 10, &v6, &err), &err);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(routes_like(here.nl, &routes[i]), 0);
		vt_ok(vnic_route_add(here.nl, &routes[i], &err), &err);
		assert_int_equal(routes_like(here.nl, &routes[i]), 1);
	}
	assert_true(ip_says("route show table 200", "local default dev lo"));
	assert_true(ip_says("-6 route show table 200", "local default dev lo"));
	for (size_t i = 0; i < count; i++) {
		vt_ok(vnic_route_del(here.nl, &routes[i], &err), &err);
		assert_int_equal(routes_like(here.nl, &routes[i]), 0);
	}
}

static void host_bits_of_a_destination_are_dropped_and_a_route_twice_is_said(void **state)
{
	CLEANUP_SIDE struct side here = side_with_pair();
	const struct vnic_route sloppy = {.dst = addr_of("10.7.1.9/16"), .oif = 10};
	const struct vnic_route exact = {.dst = addr_of("10.7.0.0/16"), .oif = 10};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_route_add(here.nl, &sloppy, &err), &err);
	assert_int_equal(routes_like(here.nl, &exact), 1);
	vt_fails(vnic_route_add(here.nl, &exact, &err), &err, VNIC_STEP_ROUTE, EEXIST);
	vt_ok(vnic_route_del(here.nl, &exact, &err), &err);
	vt_fails(vnic_route_del(here.nl, &exact, &err), &err, VNIC_STEP_ROUTE, ESRCH);
}

static void the_routers_rules_replace_the_one_at_preference_0(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	static const uint8_t families[] = {AF_INET, AF_INET6};
	static const char *const show[] = {"-4 rule", "-6 rule"};
	struct vnic_batch *batch = NULL;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_batch_new(&batch, &err), &err);
	for (size_t i = 0; i < 2; i++) {
		const uint8_t family = families[i];

		vnic_batch_rule_add(
			batch, &(struct vnic_rule){
				       .family = family, .priority = 10, .fwmark = 0x1, .fwmask = 0xff, .table = 100});
		vnic_batch_rule_add(batch, &(struct vnic_rule){.family = family, .priority = 100, .table = 255});
		vnic_batch_rule_add(batch, &(struct vnic_rule){.family = family, .priority = 40000, .table = 1000});
		vnic_batch_rule_del(batch, &(struct vnic_rule){.family = family, .priority = 0, .table = 255});
		vt_ok(vnic_batch_send(batch, here.nl, NULL, &err), &err);
		assert_true(ip_says(show[i], "10:\tfrom all fwmark 0x1/0xff lookup 100\n"
					     "100:\tfrom all lookup local\n"
					     "32766:\tfrom all lookup main"));
		assert_true(ip_says(show[i], "40000:\tfrom all lookup 1000"));
	}
	vnic_batch_free(batch);
}

static void a_rule_with_prefixes_is_found_again_for_deletion(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	const struct vnic_rule rule = {
		.family = AF_INET,
		.priority = 50,
		.table = 100,
		.src = addr_of("10.0.2.0/24"),
		.dst = addr_of("192.0.2.1/32"),
	};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_rule_add(here.nl, &rule, &err), &err);
	assert_true(ip_says("rule", "50:\tfrom 10.0.2.0/24 to 192.0.2.1 lookup 100"));
	vt_fails(vnic_rule_add(here.nl, &rule, &err), &err, VNIC_STEP_RULE, EEXIST);
	assert_string_equal(err.object, "50 to table 100");
	vt_ok(vnic_rule_del(here.nl, &rule, &err), &err);
	vt_fails(vnic_rule_del(here.nl, &rule, &err), &err, VNIC_STEP_RULE, ENOENT);
}

static void a_permanent_neighbour_comes_and_goes(void **state)
{
	CLEANUP_SIDE struct side here = side_with_pair();
	const struct vnic_neigh v4 = {.ifindex = 10, .addr = addr_of("10.0.2.2"), .mac = mac_of(2)};
	const struct vnic_neigh v6 = {.ifindex = 10, .addr = addr_of("fd00::2"), .mac = mac_of(2)};
	struct vnic_batch *batch = NULL;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_batch_new(&batch, &err), &err);
	vnic_batch_neigh_add(batch, &v4);
	vnic_batch_neigh_add(batch, &v6);
	vnic_batch_neigh_add(batch, &v6); /* again: replaced */
	vt_ok(vnic_batch_send(batch, here.nl, NULL, &err), &err);
	assert_true(ip_says("neigh", "10.0.2.2 dev a lladdr 02:00:00:00:00:02 PERMANENT"));
	assert_true(ip_says("neigh", "fd00::2 dev a lladdr 02:00:00:00:00:02 PERMANENT"));
	vnic_batch_neigh_del(batch, &v4);
	vnic_batch_neigh_del(batch, &v6);
	vt_ok(vnic_batch_send(batch, here.nl, NULL, &err), &err);
	assert_false(ip_says("neigh", "PERMANENT"));
	vnic_batch_free(batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(an_ipv6_address_without_dad_is_usable_at_once),
		vt_netns_test(waiting_for_an_address_ends_when_it_comes),
		vt_netns_test(addresses_are_listed_by_link_and_deleted),
		vt_netns_test(an_ipv4_address_has_a_broadcast_address_where_there_is_room),
		vt_netns_test(routes_of_both_families_come_and_go),
		vt_netns_test(host_bits_of_a_destination_are_dropped_and_a_route_twice_is_said),
		vt_netns_test(the_routers_rules_replace_the_one_at_preference_0),
		vt_netns_test(a_rule_with_prefixes_is_found_again_for_deletion),
		vt_netns_test(a_permanent_neighbour_comes_and_goes),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
