/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP through the slow path:
 *  - a SYN, and nothing else of a connection, comes out of slow1 as the sandbox sent it;
 *  - sent back as it is, it meets the transparent listener, which answers in the remote's name;
 *  - a reset or an ICMP error sent there reaches the sandbox, although the kernel takes its source for its own.
 */
#include "tproxy_frames.h"

#include <fcntl.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>

#define PORT 80

/* The connection that has come in; waits for it. */
static int accepted(const struct world *world, const char *remote)
{
	int listener = world->slow.tcp[world_slot(remote)], fd;

	assert_true(vt_readable(listener));
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void a_syn_comes_whole_with_a_partial_checksum(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = sandbox_connect(&world, remote, PORT);
	struct slow_frame frame = slow_read(&world);
	const uint8_t *ip = ip_of(&frame), *tcp = l4_of(&frame);
	bool v6 = is_v6(remote);
	uint8_t src[16], dst[16];

	assert_memory_equal(frame.data, world.slow.slow0_mac.bytes, VNIC_MAC_LEN);
	assert_int_equal(get16(frame.data + 12), v6 ? ETH_P_IPV6 : ETH_P_IP);
	inet_pton(v6 ? AF_INET6 : AF_INET, sandbox, src);
	inet_pton(v6 ? AF_INET6 : AF_INET, remote, dst);
	assert_memory_equal(ip + (v6 ? 8 : 12), src, v6 ? 16 : 4);
	assert_memory_equal(ip + (v6 ? 24 : 16), dst, v6 ? 16 : 4);
	assert_int_equal(protocol_of(&frame), IPPROTO_TCP);
	assert_int_equal(get16(tcp + 2), PORT);
	assert_int_equal(tcp[13] & (TCP_SYN | TCP_ACK | TCP_RST), TCP_SYN);
	assert_true(frame.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(frame.hdr.csum_start, tcp - frame.data);
	assert_int_equal(frame.hdr.csum_offset, 16);
}
OF_BOTH_FAMILIES(a_syn_comes_whole_with_a_partial_checksum)

static void a_syn_sent_back_is_accepted_in_the_name_of_the_remote(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = sandbox_connect(&world, remote, PORT), server = -1;
	struct slow_frame syn = slow_read(&world);
	union world_addr addr;
	socklen_t len = sizeof(addr);

	slow_write(&world, &syn);
	assert_int_equal(connected(client), 0);
	server = accepted(&world, remote);
	assert_int_equal(getsockname(server, &addr.any, &len), 0);
	assert_addr(&addr, remote, PORT);
	len = sizeof(addr);
	assert_int_equal(getpeername(server, &addr.any, &len), 0);
	assert_addr(&addr, sandbox, get16(l4_of(&syn)));
}
OF_BOTH_FAMILIES(a_syn_sent_back_is_accepted_in_the_name_of_the_remote)

static void pass_bytes(int from, int to)
{
	char out[20000], in[20000];
	size_t got = 0;

	memset(out, 'x', sizeof(out));
	assert_int_equal(write(from, out, sizeof(out)), sizeof(out));
	while (got < sizeof(in)) {
		ssize_t n;

		assert_true(vt_readable(to));
		n = read(to, in + got, sizeof(in) - got);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_memory_equal(in, out, sizeof(out));
}

static void later_segments_never_come_over_the_slow_path(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = sandbox_connect(&world, remote, PORT), server = -1;
	struct slow_frame syn = slow_read(&world);
	char byte;

	(void)sandbox;
	slow_write(&world, &syn);
	assert_int_equal(connected(client), 0);
	server = accepted(&world, remote);
	pass_bytes(client, server);
	pass_bytes(server, client);
	close_fd(&client);
	assert_true(vt_readable(server));
	assert_int_equal(read(server, &byte, 1), 0);
	assert_slow_is_silent(&world);
}
OF_BOTH_FAMILIES(later_segments_never_come_over_the_slow_path)

static void a_syn_sent_back_twice_opens_one_connection(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = sandbox_connect(&world, remote, PORT), server = -1;
	struct slow_frame syn = slow_read(&world);

	(void)sandbox;
	slow_write(&world, &syn);
	slow_write(&world, &syn);
	assert_int_equal(connected(client), 0);
	server = accepted(&world, remote);
	slow_write(&world, &syn);
	pass_bytes(client, server);
	assert_int_equal(accept4(world.slow.tcp[world_slot(remote)], NULL, NULL, SOCK_CLOEXEC), -1);
	assert_int_equal(errno, EAGAIN);
}
OF_BOTH_FAMILIES(a_syn_sent_back_twice_opens_one_connection)

static void a_reset_from_the_remote_refuses_the_connection(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = sandbox_connect(&world, remote, PORT);
	struct slow_frame syn = slow_read(&world);

	(void)sandbox;
	slow_answer_reset(&world, &syn, remote);
	assert_int_equal(connected(client), ECONNREFUSED);
}
OF_BOTH_FAMILIES(a_reset_from_the_remote_refuses_the_connection)

static void an_icmp_error_makes_the_remote_unreachable(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = sandbox_connect(&world, remote, PORT);
	struct slow_frame syn = slow_read(&world);
	bool v6 = is_v6(remote);

	(void)sandbox;
	slow_answer_error(&world, ip_of(&syn), syn.size - ETHER, v6 ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH,
			  v6 ? ICMP6_DST_UNREACH_ADDR : ICMP_HOST_UNREACH);
	assert_int_equal(connected(client), EHOSTUNREACH);
}
OF_BOTH_FAMILIES(an_icmp_error_makes_the_remote_unreachable)

static void a_syn_to_the_router_itself_is_slow_too(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = sandbox_connect(&world, ROUTER4, PORT),
		       client6 = sandbox_connect(&world, ROUTER6, PORT);
	struct slow_frame syn = slow_read(&world), syn6 = slow_read(&world);

	(void)state;
	slow_write(&world, &syn);
	slow_write(&world, &syn6);
	assert_int_equal(connected(client), 0);
	assert_int_equal(connected(client6), 0);
}

static void set_sysctl_of_slow0(const char *name, char value)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/slow0/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, &value, 1), 1);
	close(fd);
}

/* What was sent after the reset gets through: so the reset did not. */
static void assert_reset_is_lost(struct world *world)
{
	CLEANUP_FD int client = sandbox_connect(world, REMOTE4, PORT);
	struct slow_frame syn = slow_read(world);

	slow_answer_reset(world, &syn, REMOTE4);
	slow_write(world, &syn);
	assert_int_equal(connected(client), 0);
}

static void without_accept_local_a_reset_from_the_remote_is_lost(void **state)
{
	CLEANUP_WORLD struct world world = world_new();

	(void)state;
	set_sysctl_of_slow0("accept_local", '0');
	assert_reset_is_lost(&world);
}

static void with_strict_rp_filter_a_syn_sent_back_is_lost(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int client = -1;
	struct slow_frame syn;

	(void)state;
	set_sysctl_of_slow0("rp_filter", '1');
	client = sandbox_connect(&world, REMOTE4, PORT);
	syn = slow_read(&world);
	slow_write(&world, &syn);
	set_sysctl_of_slow0("rp_filter", '0');
	slow_answer_reset(&world, &syn, REMOTE4);
	assert_int_equal(connected(client), ECONNREFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTS_OF(a_syn_comes_whole_with_a_partial_checksum),
		TESTS_OF(a_syn_sent_back_is_accepted_in_the_name_of_the_remote),
		TESTS_OF(later_segments_never_come_over_the_slow_path),
		TESTS_OF(a_syn_sent_back_twice_opens_one_connection),
		TESTS_OF(a_reset_from_the_remote_refuses_the_connection),
		TESTS_OF(an_icmp_error_makes_the_remote_unreachable),
		vt_netns_test(a_syn_to_the_router_itself_is_slow_too),
		vt_netns_test(without_accept_local_a_reset_from_the_remote_is_lost),
		vt_netns_test(with_strict_rp_filter_a_syn_sent_back_is_lost),
	};

	world_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
