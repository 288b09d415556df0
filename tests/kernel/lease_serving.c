/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that ask, from a NIC to the sockets in the router and back: where the answers go, and when the router
 * advertises by itself.  Time is what the test says it is.
 */
#include <netinet/icmp6.h>
#include <sys/timerfd.h>

#define side gateway_side /* the tests have a struct of this name */
#include "internal.h"
#undef side
#include "lease.h"
#include "tproxy_frames.h"

#define ROUTER_LINK "fe80::1"
#define SIX_HOURS 21845

static const uint8_t everyone[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t routers[] = {0x33, 0x33, 0, 0, 0, 2}, servers[] = {0x33, 0x33, 0, 1, 0, 2};

struct served {
	struct world world;
	struct vnic_gateway gateway;
	int wire;        /* what the guest sends */
	int dhcp, dhcp6; /* its ports 68 and 546 */
	int listener;    /* the advertisements that it hears */
};

/* --- the world ---------------------------------------------------------------------- */

static int bound(const struct world *world, const char *ip, uint16_t port)
{
	union world_addr addr = world_addr(ip, port);
	int fd = sandbox_socket(world, addr.any.sa_family, SOCK_DGRAM, 0);

	assert_int_equal(bind(fd, &addr.any, world_addr_len(&addr)), 0);
	return fd;
}

static int listen_to_routers(const struct world *world)
{
	int fd = sandbox_socket(world, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	struct icmp6_filter filter;

	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_ROUTER_ADVERT, &filter);
	assert_int_equal(setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &(int){1}, sizeof(int)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &(int){1}, sizeof(int)), 0);
	return fd;
}

/* The guest has its address and routes already: what it does with the answers is not what is tested. */
static void serve_nic(struct served *served, int index)
{
	const struct nic_plan *nic = &served->world.plan.nics[0];
	struct vnic_gateway *gateway = &served->gateway;
	const struct vnic_lease lease = {
		.index = index,
		.mac = nic->outer_mac,
		.link_local = slowpath_link_local,
		.mtu = 1500,
		.addr = {nic->nic.addrs[0], nic->nic.addrs[1]},
		.router = {nic->outer[0], nic->outer[1]},
	};
	struct vnic_error err;

	vt_ok(lease_open(&lease, 1, gateway->config.lease_sockets, &err), &err);
	gateway->config.leases = &lease;
	gateway->config.lease_count = 1;
	vt_ok(leases_new(gateway, &gateway->leases, &err), &err);
}

static void served_open(struct served *served)
{
	struct vnic_error err;

	*served = (struct served){.world = world_new(), .gateway.now = NS_PER_S};
	vt_ok(loop_open(&served->gateway.epfd, &err), &err);
	served->gateway.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	served->wire = sandbox_wire(&served->world);
	served->dhcp = bound(&served->world, "0.0.0.0", 68);
	served->dhcp6 = bound(&served->world, "::", 546);
	served->listener = listen_to_routers(&served->world);
	serve_nic(served, served->world.plan.nics[0].outer_index);
}

static void stop_serving(struct served *served)
{
	leases_free(take_ptr(served->gateway.leases));
	for (unsigned i = 0; i < VNIC_LEASE_SOCKETS; i++)
		close_fd(&served->gateway.config.lease_sockets[i]);
}

static void served_close(struct served *served)
{
	stop_serving(served);
	close_fd(&served->gateway.timer_fd);
	close_fd(&served->gateway.epfd);
	close_fd(&served->wire);
	close_fd(&served->dhcp);
	close_fd(&served->dhcp6);
	close_fd(&served->listener);
	world_close(&served->world);
}
#define CLEANUP_SERVED CLEANUP(served_close)

/* --- the gateway's turn ------------------------------------------------------------- */

static void answer(struct served *served, enum vnic_lease_socket socket)
{
	assert_true(vt_readable(served->gateway.config.lease_sockets[socket]));
	leases_event(served->gateway.leases, socket);
}

static void let_pass(struct served *served, int64_t seconds)
{
	served->gateway.now += seconds * NS_PER_S;
	leases_expire(served->gateway.leases);
}

static const struct vnic_lease_stats *stats(const struct served *served)
{
	return &served->gateway.stats.leases;
}

/* --- the guest ---------------------------------------------------------------------- */

/* A message of DHCP with one option, its type, and the guest's own address or none. */
static void say_dhcp(const struct served *served, uint8_t type, const char *own)
{
	uint8_t message[244] = {1, 1, 6};

	memcpy(message + 236, (uint8_t[]){99, 130, 83, 99, 53, 1, type, 255}, 8);
	if (own)
		assert_int_equal(inet_pton(AF_INET, own, message + 12), 1);
	sandbox_forge(&served->world, served->wire, own ? NULL : everyone,
		      &(struct forged){
			      .src = own ? own : "0.0.0.0",
			      .dst = own ? ROUTER4 : "255.255.255.255",
			      .sport = 68,
			      .dport = 67,
			      .protocol = IPPROTO_UDP,
			      .payload = message,
			      .payload_size = sizeof(message),
		      });
}

/* INFORMATION-REQUEST, which needs no option. */
static void say_dhcp6(const struct served *served, const char *to)
{
	sandbox_forge(&served->world, served->wire, to ? NULL : servers,
		      &(struct forged){
			      .src = SANDBOX6,
			      .dst = to ? to : "ff02::1:2",
			      .sport = 546,
			      .dport = 547,
			      .protocol = IPPROTO_UDP,
			      .payload = "\13\1\2\3",
			      .payload_size = 4,
		      });
}

static void solicit(const struct served *served, const char *src, uint8_t hops)
{
	sandbox_forge(&served->world, served->wire, routers,
		      &(struct forged){
			      .src = src,
			      .dst = "ff02::2",
			      .hops = hops,
			      .protocol = IPPROTO_ICMPV6,
			      .icmp_type = ND_ROUTER_SOLICIT,
		      });
}

/* The size of the answer, whose first bytes are in `got`; its sender is checked. */
static size_t hear(int fd, const char *from, uint16_t port, uint8_t *got, size_t room)
{
	union world_addr addr;
	socklen_t len = sizeof(addr);
	ssize_t n;

	assert_true(vt_readable(fd));
	n = recvfrom(fd, got, room, 0, &addr.any, &len);
	assert_true(n > 0);
	assert_addr(&addr, from, port);
	return (size_t)n;
}

static bool is_silent(int fd)
{
	return recv(fd, (uint8_t[1]){0}, 1, 0) < 0 && errno == EAGAIN;
}

/* It is from the router, of this link, and to that address. */
static void hear_advertisement(const struct served *served, const char *to)
{
	union world_addr from;
	struct in6_pktinfo info = {0};
	char control[128] __attribute__((aligned(8))), text[INET6_ADDRSTRLEN];
	uint8_t got[256];
	struct iovec iov = {got, sizeof(got)};
	struct msghdr msg = {&from, sizeof(from), &iov, 1, control, sizeof(control), 0};
	int hops = 0;

	assert_true(vt_readable(served->listener));
	assert_true(recvmsg(served->listener, &msg, 0) > 16);
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_type == IPV6_HOPLIMIT)
			memcpy(&hops, CMSG_DATA(cmsg), sizeof(hops));
		if (cmsg->cmsg_type == IPV6_PKTINFO)
			memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
	}
	assert_int_equal(got[0], ND_ROUTER_ADVERT);
	assert_int_equal(hops, 255);
	assert_addr(&from, ROUTER_LINK, 0);
	assert_string_equal(inet_ntop(AF_INET6, &info.ipi6_addr, text, sizeof(text)), to);
}

/* --- the tests ---------------------------------------------------------------------- */

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };

static void a_guest_without_an_address_is_answered_aloud(void **state)
{
	CLEANUP_SERVED struct served served;
	uint8_t got[600];

	(void)state;
	served_open(&served);
	say_dhcp(&served, DISCOVER, NULL);
	answer(&served, VNIC_LEASE_DHCP);
	assert_true(hear(served.dhcp, ROUTER4, 67, got, sizeof(got)) >= 300);
	assert_int_equal(got[242], OFFER);
	assert_memory_equal(got + 16, ((uint8_t[]){10, 0, 2, 100}), 4);
}

static void a_renewal_is_answered_by_the_address_that_was_asked(void **state)
{
	CLEANUP_SERVED struct served served;
	uint8_t got[600];

	(void)state;
	served_open(&served);
	say_dhcp(&served, REQUEST, SANDBOX4);
	answer(&served, VNIC_LEASE_DHCP);
	hear(served.dhcp, ROUTER4, 67, got, sizeof(got));
	assert_int_equal(got[242], ACK);
	assert_int_equal(stats(&served)->given, 1);
}

static void dhcp6_is_answered_from_the_link_and_not_to_who_knows_the_server(void **state)
{
	CLEANUP_SERVED struct served served;
	uint8_t got[600];

	(void)state;
	served_open(&served);
	say_dhcp6(&served, NULL);
	answer(&served, VNIC_LEASE_DHCP6);
	hear(served.dhcp6, ROUTER_LINK, 547, got, sizeof(got));
	assert_memory_equal(got, "\7\1\2\3", 4);
	assert_int_equal(stats(&served)->told, 1);
	say_dhcp6(&served, ROUTER_LINK);
	answer(&served, VNIC_LEASE_DHCP6);
	assert_int_equal(stats(&served)->ignored, 1);
	assert_true(is_silent(served.dhcp6));
}

static void a_solicitation_is_answered_to_who_sent_it(void **state)
{
	CLEANUP_SERVED struct served served;

	(void)state;
	served_open(&served);
	solicit(&served, SANDBOX6, 255);
	answer(&served, VNIC_LEASE_SOLICIT);
	hear_advertisement(&served, SANDBOX6);
	assert_int_equal(stats(&served)->advertised, 1);
}

static void one_that_was_forwarded_is_not(void **state)
{
	CLEANUP_SERVED struct served served;

	(void)state;
	served_open(&served);
	solicit(&served, SANDBOX6, 254);
	answer(&served, VNIC_LEASE_SOLICIT);
	assert_int_equal(stats(&served)->ignored, 1);
	assert_int_equal(stats(&served)->advertised, 0);
	assert_int_equal(served.gateway.timer_at, 0);
}

static void who_has_no_address_hears_it_with_all_others_once_in_three_seconds(void **state)
{
	CLEANUP_SERVED struct served served;

	(void)state;
	served_open(&served);
	solicit(&served, "::", 255);
	answer(&served, VNIC_LEASE_SOLICIT);
	hear_advertisement(&served, "ff02::1");
	served.gateway.now += 2 * NS_PER_S;
	solicit(&served, "::", 255);
	answer(&served, VNIC_LEASE_SOLICIT);
	assert_int_equal(stats(&served)->ignored, 1);
	served.gateway.now += NS_PER_S;
	solicit(&served, "::", 255);
	answer(&served, VNIC_LEASE_SOLICIT);
	assert_int_equal(stats(&served)->advertised, 2);
}

static void who_was_answered_hears_again_before_the_default_route_ends(void **state)
{
	CLEANUP_SERVED struct served served;

	(void)state;
	served_open(&served);
	let_pass(&served, SIX_HOURS);
	assert_int_equal(stats(&served)->advertised, 0);
	assert_int_equal(served.gateway.timer_at, 0); /* nobody has asked: nothing to wake up for */
	solicit(&served, SANDBOX6, 255);
	answer(&served, VNIC_LEASE_SOLICIT);
	hear_advertisement(&served, SANDBOX6);
	for (unsigned i = 0; i < 3; i++) {
		let_pass(&served, SIX_HOURS - 1);
		assert_true(is_silent(served.listener));
		let_pass(&served, 1);
		hear_advertisement(&served, "ff02::1");
	}
}

static void what_comes_by_another_link_is_not_answered(void **state)
{
	CLEANUP_SERVED struct served served;

	(void)state;
	served_open(&served);
	stop_serving(&served);
	serve_nic(&served, 1); /* lo */
	say_dhcp(&served, DISCOVER, NULL);
	answer(&served, VNIC_LEASE_DHCP);
	solicit(&served, SANDBOX6, 255);
	answer(&served, VNIC_LEASE_SOLICIT);
	assert_int_equal(stats(&served)->ignored, 2);
	assert_true(is_silent(served.dhcp) && is_silent(served.listener));
}

static void probe(const struct served *served, int arp, uint8_t host)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ARP),
		.sll_ifindex = served->world.plan.nics[0].inner_index,
		.sll_halen = 6,
	};
	uint8_t request[28] = {0, 1, 8, 0, 6, 4, 0, 1};

	memcpy(to.sll_addr, everyone, sizeof(everyone));
	memcpy(request + 8, served->world.plan.nics[0].inner_mac.bytes, VNIC_MAC_LEN);
	memcpy(request + 24, (uint8_t[]){10, 0, 2, host}, 4); /* from nobody: RFC 5227 */
	assert_int_equal(sendto(arp, request, sizeof(request), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(request));
}

/* Or a guest that probes what it was offered would decline it.  To the router every address is local. */
static void who_probes_a_guests_address_hears_nobody_claim_it(void **state)
{
	CLEANUP_SERVED struct served served;
	CLEANUP_FD int arp = -1;
	uint8_t reply[64];

	(void)state;
	served_open(&served);
	arp = sandbox_socket(&served.world, AF_PACKET, SOCK_DGRAM, htons(ETH_P_ARP));
	probe(&served, arp, 100);
	probe(&served, arp, 50);
	probe(&served, arp, 2);
	do { /* what the router asks comes here too */
		assert_true(vt_readable(arp));
		assert_true(recv(arp, reply, sizeof(reply), 0) >= 28);
	} while (reply[7] != 2);
	assert_memory_equal(reply + 14, ((uint8_t[]){10, 0, 2, 2}), 4);
}

/* Whatever fills the sockets, the next right question is answered. */
static void a_flood_of_noise_leaves_room_for_a_question(void **state)
{
	CLEANUP_SERVED struct served served;
	uint8_t noise[400], got[600];
	uint32_t seed = 1;

	(void)state;
	served_open(&served);
	for (unsigned i = 0; i < 3000; i++) {
		for (unsigned k = 0; k < sizeof(noise); k++)
			noise[k] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
		for (unsigned v = 0; v < 2; v++)
			sandbox_forge(&served.world, served.wire, v ? servers : everyone,
				      &(struct forged){
					      .src = v ? SANDBOX6 : "0.0.0.0",
					      .dst = v ? "ff02::1:2" : "255.255.255.255",
					      .dport = v ? 547 : 67,
					      .protocol = IPPROTO_UDP,
					      .payload = noise,
					      .payload_size = i % sizeof(noise),
				      });
		leases_event(served.gateway.leases, VNIC_LEASE_DHCP);
		leases_event(served.gateway.leases, VNIC_LEASE_DHCP6);
	}
	assert_true(stats(&served)->ignored > 3000);
	assert_int_equal(stats(&served)->given + stats(&served)->refused + stats(&served)->advertised, 0);
	while (!is_silent(served.gateway.config.lease_sockets[VNIC_LEASE_DHCP]))
		;
	say_dhcp(&served, DISCOVER, NULL);
	answer(&served, VNIC_LEASE_DHCP);
	hear(served.dhcp, ROUTER4, 67, got, sizeof(got));
	assert_int_equal(got[242], OFFER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_guest_without_an_address_is_answered_aloud),
		vt_netns_test(a_renewal_is_answered_by_the_address_that_was_asked),
		vt_netns_test(dhcp6_is_answered_from_the_link_and_not_to_who_knows_the_server),
		vt_netns_test(a_solicitation_is_answered_to_who_sent_it),
		vt_netns_test(one_that_was_forwarded_is_not),
		vt_netns_test(who_has_no_address_hears_it_with_all_others_once_in_three_seconds),
		vt_netns_test(who_was_answered_hears_again_before_the_default_route_ends),
		vt_netns_test(what_comes_by_another_link_is_not_answered),
		vt_netns_test(who_probes_a_guests_address_hears_nobody_claim_it),
		vt_netns_test(a_flood_of_noise_leaves_room_for_a_question),
	};

	world_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
