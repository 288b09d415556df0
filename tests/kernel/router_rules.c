/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the router lets through, and to whom:
 *  - a source that is not the NIC's, the router's own address among them, is dropped;
 *  - broadcast and multicast reach the router's DHCP and neighbour discovery, and nobody else;
 *  - the router answers echo requests to itself; others are slow;
 *  - the order of the routing rules matters.
 */
#include "tproxy_frames.h"

#include "nft.h"

#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#define PORT 5000

/* A UDP datagram from the NIC: the flow's first. */
static struct forged datagram(const char *src, const char *dst, const char *text)
{
	return (struct forged){
		.src = src,
		.dst = dst,
		.sport = PORT,
		.dport = PORT,
		.protocol = IPPROTO_UDP,
		.payload = text,
		.payload_size = strlen(text),
	};
}

static void send_datagram(const struct world *world, int wire, const char *src, const char *dst, const char *text)
{
	struct forged forged = datagram(src, dst, text);

	sandbox_forge(world, wire, NULL, &forged);
}

static void send_syn(const struct world *world, int wire, const char *src, const char *dst, uint16_t port)
{
	sandbox_forge(world, wire, NULL,
		      &(struct forged){
			      .src = src,
			      .dst = dst,
			      .sport = PORT,
			      .dport = port,
			      .protocol = IPPROTO_TCP,
			      .tcp_flags = TCP_SYN,
		      });
}

/* The text of the first datagram that is there, and there is no second. */
static void assert_only_datagram(int fd, const char *text)
{
	char got[64];
	ssize_t n;

	assert_true(vt_readable(fd));
	n = recv(fd, got, sizeof(got), 0);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, strlen(text));
	assert_int_equal(recv(fd, got, sizeof(got), 0), -1);
	assert_int_equal(errno, EAGAIN);
}

/* --- sources ------------------------------------------------------------------------ */

/* What follows a dropped packet proves that it was dropped, for one wire keeps the order. */
static void assert_dropped_by_source(const char *const *sources, unsigned count, const char *remote,
				     const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int wire = sandbox_wire(&world);
	struct slow_frame frame;

	for (unsigned i = 0; i < count; i++) {
		send_datagram(&world, wire, sources[i], remote, "spoofed");
		send_syn(&world, wire, sources[i], remote, 666);
	}
	send_datagram(&world, wire, sandbox, remote, "true");
	send_syn(&world, wire, sandbox, remote, 80);
	assert_only_datagram(world.slow.udp[world_slot(remote)], "true");
	frame = slow_read(&world);
	assert_int_equal(get16(l4_of(&frame) + 2), 80);
	assert_slow_is_silent(&world);
}

static void a_foreign_source_is_dropped(const char *remote, const char *sandbox)
{
	static const char *const v4[] = {"10.0.3.100", "127.0.0.1",   "0.0.0.0",
					 "8.8.8.8",    "169.254.0.1", "255.255.255.255"};
	static const char *const v6[] = {"fd00:0:0:1::100", "::1", "::", "2001:db8::8", "fe80::1", "ff02::1"};

	assert_dropped_by_source(is_v6(remote) ? v6 : v4, 6, remote, sandbox);
}
OF_BOTH_FAMILIES(a_foreign_source_is_dropped)

static void the_routers_own_address_as_a_source_is_dropped(const char *remote, const char *sandbox)
{
	const char *own = is_v6(remote) ? ROUTER6 : ROUTER4;

	assert_dropped_by_source(&own, 1, remote, sandbox);
}
OF_BOTH_FAMILIES(the_routers_own_address_as_a_source_is_dropped)

static uint64_t dropped(const struct world *world)
{
	struct vnic_error err;
	uint64_t packets = 0;

	vt_ok(nft_router_dropped(world->plan.nics[0].outer_name, &packets, &err), &err);
	return packets;
}

/* As one that is asking for an address, or for its neighbours, is. */
static void a_source_that_is_not_the_nics_is_counted_and_one_that_has_none_is_not(const char *remote,
										  const char *sandbox)
{
	const char *none = is_v6(remote) ? "::" : "0.0.0.0";
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int wire = sandbox_wire(&world);
	uint64_t before = dropped(&world); /* 0: nothing was said, or by none */
	struct vnic_error err;

	assert_int_equal(before, 0);
	send_datagram(&world, wire, none, remote, "who am I?");
	send_datagram(&world, wire, is_v6(remote) ? "fd01::1" : "10.0.3.100", remote, "spoofed");
	send_syn(&world, wire, is_v6(remote) ? ROUTER6 : ROUTER4, remote, 666);
	send_datagram(&world, wire, sandbox, remote, "true");
	assert_only_datagram(world.slow.udp[world_slot(remote)], "true");
	assert_int_equal(dropped(&world), 2);
	vt_fails(nft_router_dropped("none", &before, &err), &err, VNIC_STEP_NFT, ENOENT);
	assert_int_equal(before, 0);
}
OF_BOTH_FAMILIES(a_source_that_is_not_the_nics_is_counted_and_one_that_has_none_is_not)

/* For each that it answers the kernel keeps a neighbour, in a table of the whole machine. */
static void so_many_sources_of_ipv6_and_no_more_are_known_beside_the_nics_own(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int wire = sandbox_wire(&world);
	int udp = world.slow.udp[SLOWPATH_V6];
	char source[INET6_ADDRSTRLEN];

	(void)state;
	for (unsigned i = 0; i < NFT_SOURCES; i++) {
		snprintf(source, sizeof(source), "fd00::1:%x", i + 1);
		send_datagram(&world, wire, source, REMOTE6, "known");
		assert_only_datagram(udp, "known");
	}
	send_datagram(&world, wire, "fd00::2:1", REMOTE6, "one more");
	send_datagram(&world, wire, "fd00::1:1", REMOTE6, "known");
	assert_only_datagram(udp, "known");
	send_datagram(&world, wire, "fd00::2:1", REMOTE6, "one more");
	send_datagram(&world, wire, SANDBOX6, REMOTE6, "own");
	assert_only_datagram(udp, "own");
	assert_int_equal(dropped(&world), 2);
}

static void the_other_nics_prefix_is_a_foreign_source(void **state)
{
	static const char *const texts[] = {"veth", "veth"};
	CLEANUP_WORLD struct world world = world_of_nics(texts, 2);
	CLEANUP_FD int wire = -1;
	struct vnic_error err;

	(void)state;
	vt_ok(slowpath_set_up(&world.plan, &world.slow, &err), &err);
	vt_ok(slowpath_let_in(&world.plan, &world.slow, &err), &err);
	wire = sandbox_wire(&world);
	send_datagram(&world, wire, "10.0.3.100", REMOTE4, "spoofed");
	send_datagram(&world, wire, SANDBOX4, REMOTE4, "true");
	assert_only_datagram(world.slow.udp[SLOWPATH_V4], "true");
}

static void a_nic_without_a_gateway_gets_nothing_through(void **state)
{
	static const char *const texts[] = {"veth,to=none,ip=10.9.0.1/24", "veth"};
	CLEANUP_WORLD struct world world = world_of_nics(texts, 2);
	CLEANUP_FD int lone = -1, client = -1;
	struct vnic_error err;
	struct slow_frame frame;

	(void)state;
	vt_ok(slowpath_set_up(&world.plan, &world.slow, &err), &err);
	vt_ok(slowpath_let_in(&world.plan, &world.slow, &err), &err);
	lone = sandbox_wire(&world);
	send_datagram(&world, lone, "10.9.0.1", REMOTE4, "lone");
	send_syn(&world, lone, "10.9.0.1", REMOTE4, 666);
	client = sandbox_connect(&world, REMOTE4, 80);
	frame = slow_read(&world);
	assert_int_equal(get16(l4_of(&frame) + 2), 80);
	assert_int_equal(recv(world.slow.udp[SLOWPATH_V4], &frame, 1, 0), -1);
}

/* --- groups ------------------------------------------------------------------------- */

static void broadcast_and_multicast_are_dropped(const char *remote, const char *sandbox)
{
	static const uint8_t everyone[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const char *const v4[] = {"224.0.0.251", "239.255.255.250", "255.255.255.255", "10.0.2.255", REMOTE4};
	static const char *const v6[] = {"ff02::fb", "ff02::1", "ff0e::1", "ff05::2", REMOTE6};
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int wire = sandbox_wire(&world);

	for (unsigned i = 0; i < 5; i++) {
		struct forged forged = datagram(sandbox, (is_v6(remote) ? v6 : v4)[i], "to all");

		sandbox_forge(&world, wire, everyone, &forged);
		if (i < 3) /* by IP alone */
			sandbox_forge(&world, wire, NULL, &forged);
	}
	send_datagram(&world, wire, sandbox, remote, "to one");
	assert_only_datagram(world.slow.udp[world_slot(remote)], "to one");
	assert_slow_is_silent(&world);
}
OF_BOTH_FAMILIES(broadcast_and_multicast_are_dropped)

static int server_of(const char *any, uint16_t port)
{
	union world_addr addr = world_addr(any, port);
	int fd = socket(addr.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &addr.any, world_addr_len(&addr)), 0);
	return fd;
}

static void dhcp_reaches_a_server_in_the_router(void **state)
{
	static const uint8_t everyone[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int wire = sandbox_wire(&world), server = server_of("0.0.0.0", 67);
	struct forged discover = datagram("0.0.0.0", "255.255.255.255", "discover");
	struct forged renew = datagram(SANDBOX4, ROUTER4, "renew");
	char got[16];

	(void)state;
	discover.dport = renew.dport = 67;
	sandbox_forge(&world, wire, everyone, &discover);
	assert_true(vt_readable(server));
	assert_int_equal(recv(server, got, sizeof(got), 0), 8);
	sandbox_forge(&world, wire, NULL, &renew);
	assert_only_datagram(server, "renew");
}

static void dhcpv6_reaches_a_server_in_the_router(void **state)
{
	static const uint8_t servers[] = {0x33, 0x33, 0, 1, 0, 2};
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int wire = sandbox_wire(&world), server = server_of("::", 547);
	struct forged solicit = datagram("fe80::5", "ff02::1:2", "solicit");
	struct ipv6_mreq group = {.ipv6mr_interface = (unsigned)world.plan.nics[0].outer_index};

	(void)state;
	inet_pton(AF_INET6, "ff02::1:2", &group.ipv6mr_multiaddr);
	assert_int_equal(setsockopt(server, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group)), 0);
	solicit.dport = 547;
	sandbox_forge(&world, wire, servers, &solicit);
	assert_only_datagram(server, "solicit");
}

/* --- echo, and other protocols ------------------------------------------------------ */

/* A raw socket of the sandbox, for what ping sockets may be forbidden. */
static int send_echo(const struct world *world, const char *to, size_t size)
{
	union world_addr addr = world_addr(to, 0);
	bool v6 = is_v6(to);
	int fd = sandbox_socket(world, addr.any.sa_family, SOCK_RAW, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	uint8_t echo[4000] = {v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO, 0, 0, 0, 0x12, 0x34, 0, 1};

	assert_int_equal(connect(fd, &addr.any, world_addr_len(&addr)), 0);
	if (!v6)
		put16(echo + 2, folded(sum16(echo, size, 0)));
	assert_int_equal(send(fd, echo, size, 0), size);
	return fd;
}

static void the_router_answers_an_echo_request_itself(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	bool v6 = is_v6(remote);
	CLEANUP_FD int fd = send_echo(&world, v6 ? ROUTER6 : ROUTER4, 64);
	uint8_t got[256], *icmp = v6 ? got : got + 20;

	(void)sandbox;
	do { /* neighbour discovery comes here too */
		assert_true(vt_readable(fd));
		assert_true(recv(fd, got, sizeof(got), 0) > 0);
	} while (icmp[0] != (v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY));
	assert_int_equal(get16(icmp + 4), 0x1234);
	assert_slow_is_silent(&world);
}
OF_BOTH_FAMILIES(the_router_answers_an_echo_request_itself)

static void an_echo_request_to_elsewhere_is_slow(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int fd = send_echo(&world, remote, 64);
	struct slow_frame frame = slow_read(&world);

	(void)sandbox;
	assert_int_equal(protocol_of(&frame), is_v6(remote) ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	assert_int_equal(l4_of(&frame)[0], is_v6(remote) ? ICMP6_ECHO_REQUEST : ICMP_ECHO);
	assert_int_equal(get16(l4_of(&frame) + 4), 0x1234);
}
OF_BOTH_FAMILIES(an_echo_request_to_elsewhere_is_slow)

static void a_large_echo_request_comes_in_fragments(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int fd = send_echo(&world, REMOTE4, 3000);
	size_t got = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct slow_frame frame = slow_read(&world);
		uint16_t fragment = get16(ip_of(&frame) + 6);

		assert_int_equal((fragment & 0x1fff) * 8, got);
		assert_int_equal(fragment & 0x2000, i < 2 ? 0x2000 : 0);
		got += frame.size - ETHER - 20;
	}
	assert_int_equal(got, 3000);
}

static void another_protocol_is_answered_as_unreachable(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	union world_addr to = world_addr(remote, 0);
	CLEANUP_FD int fd = sandbox_socket(&world, to.any.sa_family, SOCK_RAW, 253);

	(void)sandbox;
	assert_int_equal(connect(fd, &to.any, world_addr_len(&to)), 0);
	assert_int_equal(send(fd, "8 bytes!", 8, 0), 8); /* what an ICMP error quotes at least */
	assert_int_equal(poll(&(struct pollfd){.fd = fd}, 1, VT_DEADLINE_MS), 1); /* POLLERR */
	assert_int_equal(connected(fd), is_v6(remote) ? EPROTO : ENOPROTOOPT);
	assert_slow_is_silent(&world);
}
OF_BOTH_FAMILIES(another_protocol_is_answered_as_unreachable)

static void a_segment_without_a_connection_is_reset(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	bool v6 = is_v6(remote);
	CLEANUP_FD int wire = sandbox_wire(&world);
	CLEANUP_FD int raw = sandbox_socket(&world, v6 ? AF_INET6 : AF_INET, SOCK_RAW, IPPROTO_TCP);
	uint8_t got[256], *tcp = v6 ? got : got + 20;

	sandbox_forge(&world, wire, NULL,
		      &(struct forged){
			      .src = sandbox,
			      .dst = remote,
			      .sport = PORT,
			      .dport = 80,
			      .protocol = IPPROTO_TCP,
			      .tcp_flags = TCP_ACK,
			      .tcp_ack = 7,
		      });
	assert_true(vt_readable(raw));
	assert_true(recv(raw, got, sizeof(got), 0) >= (v6 ? 20 : 40));
	assert_int_equal(get16(tcp), 80);
	assert_int_equal(tcp[13], TCP_RST);
	assert_slow_is_silent(&world);
}
OF_BOTH_FAMILIES(a_segment_without_a_connection_is_reset)

/* --- the order of the routing rules ------------------------------------------------- */

/* How connecting from the router to a port of the sandbox where nobody listens, or to one where somebody does, ends. */
static int connect_inwards(const struct world *world)
{
	union world_addr to = world_addr(SANDBOX4, PORT);
	CLEANUP_FD int listener = sandbox_socket(world, AF_INET, SOCK_STREAM, 0);
	CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, &to.any, sizeof(to.v4)), 0);
	assert_int_equal(listen(listener, 1), 0);
	if (connect(fd, &to.any, sizeof(to.v4)) < 0 && errno != EINPROGRESS)
		return errno;
	return connected(fd);
}

static void add_rule(uint32_t priority, uint32_t table)
{
	struct vnic_rule rule = {.family = AF_INET, .priority = priority, .table = table};
	struct vnic_error err;
	struct vnic_nl *nl;

	vt_ok(vnic_nl_open(&nl, &err), &err);
	vt_ok(vnic_rule_add(nl, &rule, &err), &err);
	vnic_nl_close(nl);
}

static void a_local_default_before_the_subnets_hides_the_sandbox(void **state)
{
	CLEANUP_WORLD struct world world = world_new();

	(void)state;
	assert_int_equal(connect_inwards(&world), 0);
	add_rule(200, RT_TABLE_LOCAL);
	assert_int_equal(connect_inwards(&world), ECONNREFUSED);
}

static void own_addresses_before_the_mark_are_never_slow(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = -1;

	(void)state;
	add_rule(5, 20); /* table "own" */
	client = sandbox_connect(&world, ROUTER4, 80);
	assert_int_equal(connected(client), ECONNREFUSED); /* by the router itself */
	assert_slow_is_silent(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTS_OF(a_foreign_source_is_dropped),
		TESTS_OF(the_routers_own_address_as_a_source_is_dropped),
		TESTS_OF(a_source_that_is_not_the_nics_is_counted_and_one_that_has_none_is_not),
		vt_netns_test(so_many_sources_of_ipv6_and_no_more_are_known_beside_the_nics_own),
		vt_netns_test(the_other_nics_prefix_is_a_foreign_source),
		vt_netns_test(a_nic_without_a_gateway_gets_nothing_through),
		TESTS_OF(broadcast_and_multicast_are_dropped),
		vt_netns_test(dhcp_reaches_a_server_in_the_router),
		vt_netns_test(dhcpv6_reaches_a_server_in_the_router),
		TESTS_OF(the_router_answers_an_echo_request_itself),
		TESTS_OF(an_echo_request_to_elsewhere_is_slow),
		vt_netns_test(a_large_echo_request_comes_in_fragments),
		TESTS_OF(another_protocol_is_answered_as_unreachable),
		TESTS_OF(a_segment_without_a_connection_is_reset),
		vt_netns_test(a_local_default_before_the_subnets_hides_the_sandbox),
		vt_netns_test(own_addresses_before_the_mark_are_never_slow),
	};

	world_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
