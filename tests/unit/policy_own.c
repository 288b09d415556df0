/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every address of the host is the host, whatever was asked before. */
#include "gateway_world.h"

#include <fcntl.h>
#include <stdio.h>

static void add_alias(const char *name, const char *ip)
{
	struct ifreq request = {0};
	struct sockaddr_in addr = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(request.ifr_name, name);
	assert_int_equal(inet_pton(AF_INET, ip, &addr.sin_addr), 1);
	memcpy(&request.ifr_addr, &addr, sizeof(addr));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
	close(fd);
}

static bool admits(struct world *world, uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	struct flow_key key = {.src = {.addr = {127, 0, 0, 5}, .port = 9},
			       .dst = {.addr = {a, b, c, d}, .port = 80},
			       .family = AF_INET};
	struct destination destination;

	return gateway_admit(world->gateway, &key, VNIC_PROTO_TCP, &destination) == 0;
}

static void each_address_of_the_host_is_the_host_in_any_order(void **state)
{
	struct world world;

	(void)state;
	add_alias("lo:1", "10.50.0.1");
	add_alias("lo:2", "10.60.0.1");
	add_alias("lo:3", "11.0.0.1"); /* a public one */
	world_start(&world, AF_INET, (struct world_options){.allow = "lan"});
	for (int round = 0; round < 2; round++) {
		assert_false(admits(&world, 10, 50, 0, 1));
		assert_false(admits(&world, 10, 60, 0, 1));
		assert_false(admits(&world, 11, 0, 0, 1));
		assert_false(admits(&world, 127, 0, 0, 1));
	}
	world_stop(&world);
}

static bool admits_v6(struct world *world, const char *ip)
{
	struct flow_key key = {.src = {.addr = {0xfd, [15] = 5}, .port = 9}, .dst = {.port = 80}, .family = AF_INET6};
	struct destination destination;

	assert_int_equal(inet_pton(AF_INET6, ip, key.dst.addr), 1);
	return gateway_admit(world->gateway, &key, VNIC_PROTO_TCP, &destination) == 0;
}

static void let_bind_to_any(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1", 1) != 1)
		vt_skip("%s cannot be written here", path);
	close(fd);
}

static void so_it_is_where_a_socket_can_be_bound_to_any_address(void **state)
{
	struct world world;

	(void)state;
	add_alias("lo:1", "10.50.0.1");
	add_alias("lo:2", "10.50.0.2"); /* a secondary one */
	add_alias("lo:3", "11.0.0.1");
	world_add_address(7);
	let_bind_to_any("/proc/sys/net/ipv4/ip_nonlocal_bind");
	let_bind_to_any("/proc/sys/net/ipv6/ip_nonlocal_bind");
	world_start(&world, AF_INET, (struct world_options){.allow = "lan"});
	assert_false(admits(&world, 10, 50, 0, 1));
	assert_false(admits(&world, 10, 50, 0, 2));
	assert_false(admits(&world, 11, 0, 0, 1));
	assert_false(admits(&world, 127, 0, 0, 1));
	assert_false(admits(&world, 224, 0, 0, 1));
	assert_false(admits(&world, 255, 255, 255, 255));
	assert_false(admits_v6(&world, "fd00::7"));
	assert_false(admits_v6(&world, "::1"));
	assert_false(admits_v6(&world, "::ffff:127.0.0.1"));
	assert_false(admits_v6(&world, "::ffff:10.50.0.1"));
	assert_false(admits_v6(&world, "::ffff:10.50.0.2"));
	assert_true(admits(&world, 8, 8, 8, 8));
	assert_true(admits(&world, 192, 168, 9, 1));
	assert_true(admits_v6(&world, "2620:fe::fe"));
	assert_true(admits_v6(&world, "fd00::8"));
	world_stop(&world);
}

/* Joins for as long as the descriptor lives, which comes back. */
static int join_anycast(const char *own, const char *anycast)
{
	struct {
		struct in6_addr addr;
		uint32_t prefix;
		unsigned index;
	} request = {.prefix = 64, .index = if_nametoindex("lo")};
	struct ipv6_mreq group = {.ipv6mr_interface = request.index};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		vt_skip("no IPv6 here");
	assert_int_equal(inet_pton(AF_INET6, own, &request.addr), 1);
	assert_int_equal(inet_pton(AF_INET6, anycast, &group.ipv6mr_multiaddr), 1);
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_ANYCAST, &group, sizeof(group)), 0);
	return fd;
}

static void what_leads_to_the_host_without_being_an_address_of_its_own_is_the_host(void **state)
{
	int member = join_anycast("2620:fe:7::7", "2620:fe:7::1");
	struct vnic_error err;
	struct world world;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.allow = "any"});
	vt_ok(vnic_policy_add(&world.gateway->config.policy, false, "host", &err), &err);
	assert_false(admits(&world, 0, 0, 0, 0));
	assert_false(admits_v6(&world, "::"));
	assert_false(admits_v6(&world, "2620:fe:7::7"));
	assert_false(admits_v6(&world, "2620:fe:7::1"));
	assert_true(admits_v6(&world, "2620:fe::fe"));
	close(member);
	world_stop(&world);
}

/* Of the last flow that was denied. */
struct told {
	enum vnic_class class;
	bool broadcast;
	char rule[32];
};

static void take_denied(void *ctx, const struct vnic_policy_flow *flow, const char *rule)
{
	struct told *told = ctx;

	told->class = vnic_policy_flow_class(flow);
	told->broadcast = flow->broadcast;
	snprintf(told->rule, sizeof(told->rule), "%s", rule ? rule : "");
}

static void groups_and_broadcasts_are_special_and_no_broadcast_has_a_remedy(void **state)
{
	static const struct {
		uint8_t addr[4];
		bool broadcast;
		const char *rule;
	} cases[] = {
		{{224, 0, 0, 251}, false, "224.0.0.251"},
		{{10, 255, 255, 255}, true, ""},
		{{11, 255, 255, 255}, true, ""}, /* of public addresses */
	};
	struct world world;
	struct told told;

	(void)state;
	add_alias("lo:1", "10.50.0.1");
	add_alias("lo:2", "11.0.0.1");
	world_start(&world, AF_INET, (struct world_options){.allow = "lan"});
	world.gateway->config.denied = take_denied;
	world.gateway->config.ctx = &told;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t *addr = cases[i].addr;

		told = (struct told){.class = VNIC_CLASS_ANY};
		world.gateway->denied_told = 0;
		assert_false(admits(&world, addr[0], addr[1], addr[2], addr[3]));
		assert_int_equal(told.class, VNIC_CLASS_SPECIAL);
		assert_int_equal(told.broadcast, cases[i].broadcast);
		assert_string_equal(told.rule, cases[i].rule);
	}
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(each_address_of_the_host_is_the_host_in_any_order),
		vt_netns_test(so_it_is_where_a_socket_can_be_bound_to_any_address),
		vt_netns_test(what_leads_to_the_host_without_being_an_address_of_its_own_is_the_host),
		vt_netns_test(groups_and_broadcasts_are_special_and_no_broadcast_has_a_remedy),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
