/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UDP by tproxy:
 *  - a datagram arrives at the transparent socket, whole, with its original destination;
 *  - a transparent socket that is connected gets the later datagrams of its flow, one that is only bound does not;
 *  - it answers in the remote's name;
 *  - bound to the loopback, it is not found for what others send.
 */
#include "tproxy_frames.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>

#define PORT 53

/* The sandbox's socket, connected to the remote. */
static int client_of(const struct world *world, const char *remote)
{
	union world_addr to = world_addr(remote, PORT);
	int fd = sandbox_socket(world, to.any.sa_family, SOCK_DGRAM, 0);

	assert_int_equal(connect(fd, &to.any, world_addr_len(&to)), 0);
	return fd;
}

struct datagram {
	union world_addr from, to;
	char text[32768];
	size_t size;
	int gro_size; /* 0: one datagram */
};

/* Takes one from a transparent socket; waits. */
static void receive(int fd, struct datagram *ret_datagram)
{
	_Alignas(struct cmsghdr) char control[256];
	struct iovec iov = {ret_datagram->text, sizeof(ret_datagram->text)};
	struct msghdr msg = {
		.msg_name = &ret_datagram->from,
		.msg_namelen = sizeof(ret_datagram->from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	assert_true(vt_readable(fd));
	n = recvmsg(fd, &msg, 0);
	assert_true(n >= 0);
	ret_datagram->size = (size_t)n;
	ret_datagram->gro_size = 0;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_ORIGDSTADDR)
			memcpy(&ret_datagram->to, CMSG_DATA(cmsg), sizeof(ret_datagram->to.v4));
		if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_ORIGDSTADDR)
			memcpy(&ret_datagram->to, CMSG_DATA(cmsg), sizeof(ret_datagram->to.v6));
		if (cmsg->cmsg_level == IPPROTO_UDP && cmsg->cmsg_type == UDP_GRO)
			memcpy(&ret_datagram->gro_size, CMSG_DATA(cmsg), sizeof(ret_datagram->gro_size));
	}
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static void assert_takes(int fd, const char *text)
{
	char got[64];
	ssize_t n;

	assert_true(vt_readable(fd));
	n = recv(fd, got, sizeof(got), 0);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

/* In the router, bound to the remote's address. */
static int remote_socket(const char *remote)
{
	union world_addr addr = world_addr(remote, PORT);
	bool v6 = is_v6(remote);
	int fd = socket(addr.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	assert_int_equal(
		setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof(on)),
		0);
	assert_int_equal(bind(fd, &addr.any, world_addr_len(&addr)), 0);
	return fd;
}

static void a_datagram_arrives_with_its_original_destination(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = client_of(&world, remote);
	union world_addr from;
	socklen_t len = sizeof(from);
	struct datagram got;

	send_text(client, "hello");
	receive(world.slow.udp[world_slot(remote)], &got);
	assert_int_equal(getsockname(client, &from.any, &len), 0);
	assert_addr(&got.from, sandbox, ntohs(from.v4.sin_port));
	assert_addr(&got.to, remote, PORT);
	assert_int_equal(got.size, 5);
	assert_slow_is_silent(&world);
}
OF_BOTH_FAMILIES(a_datagram_arrives_with_its_original_destination)

static void a_connected_transparent_socket_takes_the_flow_over(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = client_of(&world, remote), flow = -1;
	struct datagram got;

	(void)sandbox;
	send_text(client, "first");
	receive(world.slow.udp[world_slot(remote)], &got);
	flow = remote_socket(remote);
	assert_int_equal(connect(flow, &got.from.any, world_addr_len(&got.from)), 0);
	send_text(client, "second");
	assert_takes(flow, "second");
	assert_int_equal(recv(world.slow.udp[world_slot(remote)], got.text, 1, 0), -1);
	send_text(flow, "answer"); /* the client is connected: it takes the remote's datagrams only */
	assert_takes(client, "answer");
}
OF_BOTH_FAMILIES(a_connected_transparent_socket_takes_the_flow_over)

/* The ruleset leaves these datagrams to the kernel's own search for a socket. */
static void a_marked_connected_socket_takes_its_flow_and_no_other(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = client_of(&world, remote), other = client_of(&world, remote), flow = -1;
	const uint32_t mark = VNIC_MARK_FLOW;
	struct datagram got;

	(void)sandbox;
	send_text(client, "first");
	receive(world.slow.udp[world_slot(remote)], &got);
	flow = remote_socket(remote);
	assert_int_equal(connect(flow, &got.from.any, world_addr_len(&got.from)), 0);
	assert_int_equal(setsockopt(flow, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	for (int i = 0; i < 3; i++) { /* from the second one on the socket remembers the route */
		send_text(client, "mine");
		assert_takes(flow, "mine");
		send_text(flow, "answer");
		assert_takes(client, "answer");
		send_text(other, "another's");
		assert_takes(world.slow.udp[world_slot(remote)], "another's");
	}
	assert_int_equal(recv(flow, got.text, 1, 0), -1);
	assert_slow_is_silent(&world);
}
OF_BOTH_FAMILIES(a_marked_connected_socket_takes_its_flow_and_no_other)

static void bind_to_link(int fd, int index)
{
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)), errno);
}

/* As network/opener.c makes them: on its way to being connected it is in nobody's way, whatever the ruleset sees. */
static void a_socket_on_the_loopback_takes_nobodys_datagrams(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = client_of(&world, remote), other = client_of(&world, remote), flow = -1;
	const uint32_t mark = VNIC_MARK_FLOW;
	struct datagram got;

	(void)sandbox;
	send_text(client, "first");
	receive(world.slow.udp[world_slot(remote)], &got);
	flow = remote_socket(remote);
	assert_int_equal(setsockopt(flow, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	send_text(other, "taken");
	assert_takes(flow, "taken");
	bind_to_link(flow, 1);
	send_text(other, "another's");
	assert_takes(world.slow.udp[world_slot(remote)], "another's");
	assert_int_equal(connect(flow, &got.from.any, world_addr_len(&got.from)), 0);
	bind_to_link(flow, 0);
	send_text(client, "mine");
	assert_takes(flow, "mine");
	send_text(flow, "answer");
	assert_takes(client, "answer");
	send_text(other, "another's");
	assert_takes(world.slow.udp[world_slot(remote)], "another's");
}
OF_BOTH_FAMILIES(a_socket_on_the_loopback_takes_nobodys_datagrams)

static void an_unconnected_transparent_socket_only_answers(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = client_of(&world, remote), flow = -1;
	struct datagram got;

	(void)sandbox;
	send_text(client, "first");
	receive(world.slow.udp[world_slot(remote)], &got);
	flow = remote_socket(remote);
	send_text(client, "second");
	assert_takes(world.slow.udp[world_slot(remote)], "second");
	assert_int_equal(recv(flow, got.text, 1, 0), -1);
	assert_int_equal(sendto(flow, "answer", 6, 0, &got.from.any, world_addr_len(&got.from)), 6);
	assert_takes(client, "answer");
}
OF_BOTH_FAMILIES(an_unconnected_transparent_socket_only_answers)

static void fragments_arrive_as_one_datagram(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = client_of(&world, remote);
	struct datagram got;
	char sent[9000];

	(void)sandbox;
	memset(sent, 'f', sizeof(sent));
	assert_int_equal(send(client, sent, sizeof(sent), 0), sizeof(sent));
	receive(world.slow.udp[world_slot(remote)], &got);
	assert_int_equal(got.size, sizeof(sent));
	assert_memory_equal(got.text, sent, sizeof(sent));
	assert_addr(&got.to, remote, PORT);
}
OF_BOTH_FAMILIES(fragments_arrive_as_one_datagram)

static void a_burst_of_datagrams_arrives_in_one_read(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = client_of(&world, remote);
	int segment = 1000;
	struct datagram got;
	char sent[10000];

	(void)sandbox;
	memset(sent, 'g', sizeof(sent));
	assert_int_equal(setsockopt(world.slow.udp[world_slot(remote)], IPPROTO_UDP, UDP_GRO, &(int){1}, sizeof(int)),
			 0);
	assert_int_equal(setsockopt(client, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)), 0);
	assert_int_equal(send(client, sent, sizeof(sent), 0), sizeof(sent));
	receive(world.slow.udp[world_slot(remote)], &got);
	assert_int_equal(got.size, sizeof(sent));
	assert_int_equal(got.gro_size, segment);
}
OF_BOTH_FAMILIES(a_burst_of_datagrams_arrives_in_one_read)

static void an_icmp_error_about_the_flow_refuses_the_client(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = client_of(&world, remote);
	bool v6 = is_v6(remote);
	struct slow_frame quoted;
	struct datagram got;
	char byte;

	send_text(client, "hello");
	receive(world.slow.udp[world_slot(remote)], &got);
	quoted = forge(&(struct forged){
		.src = sandbox,
		.dst = remote,
		.sport = ntohs(got.from.v4.sin_port),
		.dport = PORT,
		.protocol = IPPROTO_UDP,
	});
	slow_answer_error(&world, ip_of(&quoted), quoted.size - ETHER, v6 ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH,
			  v6 ? ICMP6_DST_UNREACH_NOPORT : ICMP_PORT_UNREACH);
	assert_int_equal(connected(client), ECONNREFUSED);
	assert_int_equal(recv(client, &byte, 1, 0), -1);
}
OF_BOTH_FAMILIES(an_icmp_error_about_the_flow_refuses_the_client)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTS_OF(a_datagram_arrives_with_its_original_destination),
		TESTS_OF(a_connected_transparent_socket_takes_the_flow_over),
		TESTS_OF(a_marked_connected_socket_takes_its_flow_and_no_other),
		TESTS_OF(a_socket_on_the_loopback_takes_nobodys_datagrams),
		TESTS_OF(an_unconnected_transparent_socket_only_answers),
		TESTS_OF(fragments_arrive_as_one_datagram),
		TESTS_OF(a_burst_of_datagrams_arrives_in_one_read),
		TESTS_OF(an_icmp_error_about_the_flow_refuses_the_client),
	};

	world_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
