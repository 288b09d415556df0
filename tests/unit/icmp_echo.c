/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Echo requests on the slow path, answered by the host. */
#include "gateway_world.h"

#include <fcntl.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "checksum.h"

#define FRAME 2048

static void allow_ping_sockets(void)
{
	int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0 0", 3) != 3)
		vt_skip("net.ipv4.ping_group_range cannot be set here: %s", strerror(errno));
	close(fd);
}

static struct flow_key key_to(const struct world *world, uint8_t last, uint16_t identifier)
{
	const struct sockaddr_storage src = world_addr(world->family, WORLD_SANDBOX, identifier);
	const struct sockaddr_storage dst = world_addr(world->family, last, 0);
	struct flow_key key = {0};
	uint16_t family;

	assert_true(sockaddr_to_endpoint(&src, &key.src, &key.family));
	assert_true(sockaddr_to_endpoint(&dst, &key.dst, &family));
	return key;
}

/* The sandbox's request comes in. */
static void request(struct world *world, uint8_t last, uint16_t identifier, uint16_t sequence, const char *data)
{
	struct flow_key key = key_to(world, last, identifier), reversed = {.src = key.dst, .dst = key.src};
	uint8_t frame[sizeof(struct vnic_vnet_hdr) + FRAME] = {0};
	uint8_t *packet = frame + sizeof(struct vnic_vnet_hdr);
	size_t size;

	reversed.family = key.family;
	reversed.src.port = identifier;
	size = packet_make_echo_reply(&reversed, sequence, data, strlen(data), &world->gateway->ends, packet);
	packet[14 + (key.family == AF_INET ? 20 : 40)] = key.family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	size += sizeof(struct vnic_vnet_hdr);
	assert_int_equal(send(world->slow, frame, size, 0), size);
}

static void answered(struct world *world, uint8_t last, uint16_t identifier, uint16_t sequence, const char *data)
{
	static uint8_t frame[FRAME];
	const struct flow_key asked = key_to(world, last, identifier);
	size_t hdr = sizeof(struct vnic_vnet_hdr);
	struct packet reply;
	ssize_t n;

	world_wait(world, world->slow);
	n = recv(world->slow, frame, sizeof(frame), 0);
	assert_true(n > (ssize_t)hdr && packet_parse(frame + hdr, (size_t)n - hdr, &reply));
	assert_memory_equal(reply.key.src.addr, asked.dst.addr, 16);
	assert_memory_equal(reply.key.dst.addr, asked.src.addr, 16);
	assert_int_equal(reply.l4[0], world->family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY);
	assert_int_equal(reply.l4[4] << 8 | reply.l4[5], identifier);
	assert_int_equal(reply.l4[6] << 8 | reply.l4[7], sequence);
	assert_int_equal(reply.l4_len, 8 + strlen(data));
	assert_memory_equal(reply.l4 + 8, data, strlen(data));
}

static void echoes(int family)
{
	struct world world;

	allow_ping_sockets();
	world_start(&world, family, (struct world_options){0});
	request(&world, WORLD_REMOTE, 0x1234, 1, "hello");
	answered(&world, WORLD_REMOTE, 0x1234, 1, "hello");
	request(&world, WORLD_REMOTE, 0x1234, 2, "");
	answered(&world, WORLD_REMOTE, 0x1234, 2, "");
	assert_int_equal(world.gateway->stats.icmp_flows, 1);
	request(&world, WORLD_REMOTE, 0x4321, 1, "another");
	answered(&world, WORLD_REMOTE, 0x4321, 1, "another");
	assert_int_equal(world.gateway->stats.icmp_flows, 2);
	assert_int_equal(world.gateway->stats.bytes_out, 12);
	assert_int_equal(world.gateway->stats.bytes_in, 12);
	world_stop(&world);
}

static void an_answer_has_the_sandboxs_identifier_and_its_data(void **state)
{
	(void)state;
	echoes(AF_INET);
}

static void ipv6_is_answered_too(void **state)
{
	(void)state;
	echoes(AF_INET6);
}

static void where_ping_sockets_are_forbidden_the_sandbox_is_told(void **state)
{
	struct world world;
	struct packet quoted;

	(void)state; /* a new namespace forbids them */
	world_start(&world, AF_INET, (struct world_options){0});
	request(&world, WORLD_REMOTE, 7, 1, "hello");
	world_is_told(&world, ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, &quoted);
	assert_int_equal(quoted.key.src.port, 7);
	assert_int_equal(world.gateway->stats.failed, 1);
	assert_int_equal(world.gateway->stats.icmp_open, 0);
	world_stop(&world);
}

static void a_denied_destination_is_told(void **state)
{
	struct world world;
	struct packet quoted;

	(void)state;
	allow_ping_sockets();
	world_start(&world, AF_INET, (struct world_options){.allow = ""});
	request(&world, WORLD_REMOTE, 7, 1, "hello");
	world_is_told(&world, ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, &quoted);
	assert_int_equal(world.gateway->stats.denied, 1);
	world_stop(&world);
}

static void what_is_no_request_is_ignored(void **state)
{
	struct world world;
	uint8_t frame[sizeof(struct vnic_vnet_hdr) + FRAME] = {0};
	struct flow_key key;
	size_t size;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	key = key_to(&world, WORLD_REMOTE, 1);
	size = packet_make_echo_reply(&key, 1, "x", 1, &world.gateway->ends, frame + sizeof(struct vnic_vnet_hdr));
	size += sizeof(struct vnic_vnet_hdr);
	assert_int_equal(send(world.slow, frame, size, 0), size);
	world_rest(&world);
	assert_int_equal(world.gateway->stats.ignored, 1);
	assert_int_equal(world.gateway->stats.icmp_flows, 0);
	world_stop(&world);
}

/* Somebody on the way answers the host's request with an error. */
static void send_error(int raw, uint8_t code, const uint8_t *ip, size_t size)
{
	const struct sockaddr_storage to = world_addr(AF_INET, WORLD_HOST, 0);
	uint8_t error[128] = {ICMP_DEST_UNREACH, code};
	uint16_t sum;

	assert_true(8 + size <= sizeof(error));
	memcpy(error + 8, ip, size);
	sum = checksum_finish(checksum_add(0, error, 8 + size));
	error[2] = (uint8_t)(sum >> 8);
	error[3] = (uint8_t)sum;
	assert_int_equal(sendto(raw, error, 8 + size, 0, (const struct sockaddr *)&to, sizeof(to)), 8 + size);
}

/* The next request that the host sent. */
static size_t sniff(struct world *world, int raw, uint8_t *ret_ip, size_t size)
{
	ssize_t n;

	do {
		world_wait(world, raw);
		n = recv(raw, ret_ip, size, 0);
		assert_true(n >= 28);
	} while (ret_ip[20] != ICMP_ECHO);
	return (size_t)n;
}

static void an_error_on_the_way_is_told_about_the_request_that_met_it(void **state)
{
	struct world world;
	struct packet quoted;
	uint8_t first[96];
	size_t size;
	int raw;

	(void)state;
	allow_ping_sockets();
	raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	assert_true(raw >= 0);
	world_start(&world, AF_INET, (struct world_options){0});
	request(&world, WORLD_REMOTE, 7, 41, "first");
	size = sniff(&world, raw, first, sizeof(first));
	answered(&world, WORLD_REMOTE, 7, 41, "first");
	request(&world, WORLD_REMOTE, 7, 42, "second");
	answered(&world, WORLD_REMOTE, 7, 42, "second");
	send_error(raw, ICMP_HOST_UNREACH, first, size);
	world_is_told(&world, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, &quoted);
	assert_int_equal(quoted.key.src.port, 7);
	assert_int_equal(quoted.l4[6] << 8 | quoted.l4[7], 41);
	close(raw);
	world_stop(&world);
}

static void a_destination_without_a_route_is_told(void **state)
{
	struct world world;
	struct packet quoted;
	struct flow_key key = {.src = {.port = 9}, .dst = {.addr = {8, 8, 8, 8}}, .family = AF_INET}, reversed;
	uint8_t frame[sizeof(struct vnic_vnet_hdr) + FRAME] = {0};
	uint8_t *packet = frame + sizeof(struct vnic_vnet_hdr);
	size_t size;

	(void)state;
	allow_ping_sockets();
	world_start(&world, AF_INET, (struct world_options){0});
	key.src = key_to(&world, WORLD_REMOTE, 9).src;
	reversed = (struct flow_key){.src = key.dst, .dst = key.src, .family = AF_INET};
	reversed.src.port = 9;
	size = packet_make_echo_reply(&reversed, 1, "x", 1, &world.gateway->ends, packet);
	packet[14 + 20] = ICMP_ECHO;
	size += sizeof(struct vnic_vnet_hdr);
	assert_int_equal(send(world.slow, frame, size, 0), size);
	world_is_told(&world, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, &quoted);
	assert_int_equal(world.gateway->stats.icmp_open, 0);
	world_stop(&world);
}

static void a_flow_ends_ten_seconds_after_its_last_packet(void **state)
{
	struct world world;

	(void)state;
	allow_ping_sockets();
	world_start(&world, AF_INET, (struct world_options){0});
	request(&world, WORLD_REMOTE, 7, 1, "hello");
	answered(&world, WORLD_REMOTE, 7, 1, "hello");
	world.gateway->now += 9 * NS_PER_S;
	icmp_expire(world.gateway->icmp);
	assert_int_equal(world.gateway->stats.icmp_open, 1);
	world.gateway->now += NS_PER_S;
	icmp_expire(world.gateway->icmp);
	assert_int_equal(world.gateway->stats.icmp_open, 0);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(an_answer_has_the_sandboxs_identifier_and_its_data),
		vt_netns_test(ipv6_is_answered_too),
		vt_netns_test(where_ping_sockets_are_forbidden_the_sandbox_is_told),
		vt_netns_test(a_denied_destination_is_told),
		vt_netns_test(what_is_no_request_is_ignored),
		vt_netns_test(an_error_on_the_way_is_told_about_the_request_that_met_it),
		vt_netns_test(a_destination_without_a_route_is_told),
		vt_netns_test(a_flow_ends_ten_seconds_after_its_last_packet),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
