/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A flow that is led into a ring: what comes by it, what does not, and how it ends. */
#include "flood_world.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <sys/resource.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { COUNT = 500, FEW = 10 /* than blocks, so that they have room however long it takes */ };

static size_t size_of(uint32_t number)
{
	return sizeof(number) + number * 7919 % 1400;
}

static void make(uint32_t number, uint8_t data[2048])
{
	for (size_t i = 0; i < 2048; i++)
		data[i] = (uint8_t)(number + i * 31);
	memcpy(data, &number, sizeof(number));
}

static void send_one(const struct flow *flow, uint32_t number)
{
	uint8_t data[2048];

	make(number, data);
	assert_int_equal(send(flow->fd, data, size_of(number), 0), size_of(number));
}

static void its_datagrams_come_whole_and_in_order(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	int before = vt_open_fds();
	struct flow flow = flow_to(&world, remote, sandbox);
	struct led led = lead(&world, &flow);
	uint8_t expected[2048];
	uint32_t number = 0;

	while (number < COUNT) {
		for (uint32_t i = 0; number % FEW == 0 && i < FEW; i++)
			send_one(&flow, number + i);
		int n = take(&led, &flow);

		for (int i = 0; i < n; i++, number++) {
			size_t part, size = datagrams_size(led.batch, (unsigned)i);

			make(number, expected);
			assert_int_equal(size, size_of(number));
			assert_memory_equal(datagrams_data(led.batch, (unsigned)i, &part), expected, size);
			assert_int_equal(part, size);
		}
	}
	assert_int_equal(led.bad, 0);
	assert_int_equal(flood_ring_overrun(&led.ring), 0);
	assert_int_equal(recv(world.slow.udp[world_slot(remote)], expected, sizeof(expected), 0), -1);
	assert_int_equal(errno, EAGAIN);
	stop_leading(&led, &world, &flow);
	assert_int_equal(vt_open_fds(), before);
}
OF_BOTH_FAMILIES(its_datagrams_come_whole_and_in_order)

static void a_super_datagram_keeps_its_parts(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	struct flow flow = flow_to(&world, remote, sandbox);
	struct led led = lead(&world, &flow);
	static const uint8_t longest[46 * 1400];
	uint8_t data[2048];
	size_t part;

	make(7, data);
	assert_return_code(setsockopt(flow.fd, SOL_UDP, UDP_SEGMENT, &(int){100}, sizeof(int)), errno);
	assert_int_equal(send(flow.fd, data, 1050, 0), 1050);
	assert_int_equal(take(&led, &flow), 1);
	assert_int_equal(datagrams_count(led.batch, 0), 11);
	assert_memory_equal(datagrams_data(led.batch, 0, &part), data, 1050);
	assert_int_equal(part, 100);
	assert_return_code(setsockopt(flow.fd, SOL_UDP, UDP_SEGMENT, &(int){1400}, sizeof(int)), errno);
	assert_int_equal(send(flow.fd, longest, sizeof(longest), 0), sizeof(longest));
	assert_int_equal(take(&led, &flow), 1);
	assert_int_equal(datagrams_size(led.batch, 0), sizeof(longest));
	assert_int_equal(led.bad, 0);
	stop_leading(&led, &world, &flow);
}
OF_BOTH_FAMILIES(a_super_datagram_keeps_its_parts)

/* They come to the transparent socket, for no flow is open here. */
static void assert_ordinary(const struct world *world, const char *remote, size_t size)
{
	int fd = world->slow.udp[world_slot(remote)];
	uint8_t data[8192];

	assert_true(vt_readable(fd));
	assert_int_equal(recv(fd, data, sizeof(data), 0), size);
}

static void what_is_cut_or_of_another_flow_goes_the_ordinary_way(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	struct flow flow = flow_to(&world, remote, sandbox), other = flow_to(&world, remote, sandbox);
	struct led led = lead(&world, &flow);
	uint8_t data[4000] = {1};

	assert_int_equal(send(flow.fd, data, sizeof(data), 0), sizeof(data));
	assert_ordinary(&world, remote, sizeof(data));
	send_one(&other, 3);
	assert_ordinary(&world, remote, size_of(3));
	send_one(&flow, 4);
	assert_int_equal(take(&led, &flow), 1);
	assert_int_equal(datagrams_size(led.batch, 0), size_of(4));
	assert_int_equal(led.bad, 0);
	close(other.fd);
	stop_leading(&led, &world, &flow);
}
OF_BOTH_FAMILIES(what_is_cut_or_of_another_flow_goes_the_ordinary_way)

/* As somebody writes it who is root in the sandbox. */
static void send_raw(const struct world *world, const struct flow *flow, uint16_t checksum)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char data[8];
	} packet = {.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP}, .data = "a packet"};
	union world_addr to = world_addr(REMOTE4, 0);
	int fd = sandbox_socket(world, AF_INET, SOCK_RAW, IPPROTO_RAW);

	memcpy(&packet.ip.saddr, flow->key.src.addr, 4);
	memcpy(&packet.ip.daddr, flow->key.dst.addr, 4);
	packet.udp = (struct udphdr){.source = htons(flow->key.src.port),
				     .dest = htons(PORT),
				     .len = htons(sizeof(packet.udp) + sizeof(packet.data)),
				     .check = htons(checksum)};
	assert_int_equal(sendto(fd, &packet, sizeof(packet), 0, &to.any, sizeof(to.v4)), sizeof(packet));
	close(fd);
}

static void a_damaged_datagram_is_counted_and_not_taken(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	struct flow flow = flow_to(&world, REMOTE4, SANDBOX4);
	struct led led = lead(&world, &flow);
	size_t part;

	(void)state;
	send_raw(&world, &flow, 0x1234);
	send_raw(&world, &flow, 0); /* has none */
	assert_int_equal(take(&led, &flow), 1);
	assert_int_equal(datagrams_size(led.batch, 0), 8);
	assert_memory_equal(datagrams_data(led.batch, 0, &part), "a packet", 8);
	assert_int_equal(led.bad, 1);
	stop_leading(&led, &world, &flow);
}

static void what_finds_no_room_is_counted(void **state)
{
	enum { MANY = 10000 };
	CLEANUP_WORLD struct world world = world_new();
	struct flow flow = flow_to(&world, REMOTE4, SANDBOX4);
	struct led led = lead(&world, &flow);
	uint8_t data[1000] = {0};
	int taken = 0, n;

	(void)state;
	for (int i = 0; i < MANY; i++)
		assert_int_equal(send(flow.fd, data, sizeof(data), 0), sizeof(data));
	assert_true(flood_ring_overrun(&led.ring) > 0);
	while ((n = flood_ring_receive(&led.ring, &flow.key, led.batch, &led.bad)) >= 0)
		taken += n;
	assert_int_equal((uint64_t)taken + flood_ring_overrun(&led.ring), MANY);
	assert_true(flood_ring_is_empty(&led.ring));
	stop_leading(&led, &world, &flow);
}

static void a_flow_that_is_quiet_again_goes_the_ordinary_way(const char *remote, const char *sandbox)
{
	CLEANUP_WORLD struct world world = world_new();
	struct flow flow = flow_to(&world, remote, sandbox);
	struct led led = lead(&world, &flow);

	send_one(&flow, 1);
	assert_false(flood_ring_is_empty(&led.ring)); /* the kernel still fills this block */
	assert_int_equal(tell(&led, &world.plan, flow.flood, VNIC_FLOOD_ENDS), -1);
	send_one(&flow, 2);
	assert_ordinary(&world, remote, size_of(2));
	assert_int_equal(take(&led, &flow), 1);
	assert_int_equal(datagrams_size(led.batch, 0), size_of(1));
	assert_int_equal(flood_ring_receive(&led.ring, &flow.key, led.batch, &led.bad), -EAGAIN);
	assert_true(flood_ring_is_empty(&led.ring));
	stop_leading(&led, &world, &flow);

	struct flow next = flow_to(&world, remote, sandbox);
	struct led again = lead(&world, &next);
	send_one(&next, 3);
	assert_int_equal(take(&again, &next), 1);
	stop_leading(&again, &world, &next);
}
OF_BOTH_FAMILIES(a_flow_that_is_quiet_again_goes_the_ordinary_way)

static void a_flow_that_cannot_leave_its_ring_is_told_so_and_leaves_it_later(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	struct flow flow = flow_to(&world, REMOTE4, SANDBOX4);
	struct led led = lead(&world, &flow);
	int next = dup(STDERR_FILENO);
	struct rlimit all;

	(void)state;
	close(next);
	assert_return_code(getrlimit(RLIMIT_NOFILE, &all), errno);
	assert_return_code(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next, all.rlim_max}), errno);
	floods_hear(&led.floods, &world.plan, &(struct opener_flood){.what = VNIC_FLOOD_ENDS}, led.pair[1]);
	assert_return_code(setrlimit(RLIMIT_NOFILE, &all), errno);
	int again = answer(&led);
	assert_true(again >= 0);
	close(again);
	send_one(&flow, 1);
	assert_int_equal(take(&led, &flow), 1);
	assert_int_equal(tell(&led, &world.plan, flow.flood, VNIC_FLOOD_ENDS), -1);
	send_one(&flow, 2);
	assert_ordinary(&world, REMOTE4, size_of(2));
	stop_leading(&led, &world, &flow);
}

static void a_flow_of_no_nic_gets_no_ring(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	struct flow flow = flow_to(&world, REMOTE4, SANDBOX4);
	struct led led = {.floods = FLOODS_EMPTY};
	union world_addr strange = world_addr("10.99.0.1", 1);

	(void)state;
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, led.pair), errno);
	memcpy(&flow.flood.src, &strange, sizeof(strange.v4));
	assert_int_equal(tell(&led, &world.plan, flow.flood, VNIC_FLOOD_BEGINS), -1);
	flow.flood.src.ss_family = AF_UNIX;
	assert_int_equal(tell(&led, &world.plan, flow.flood, VNIC_FLOOD_BEGINS), -1);
	close(led.pair[0]);
	close(led.pair[1]);
	close(flow.fd);
}

static void a_ring_that_cannot_be_handed_over_swallows_nothing(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	struct flow flow = flow_to(&world, REMOTE4, SANDBOX4);
	struct floods floods = FLOODS_EMPTY;
	int before = vt_open_fds(), pair[2];

	(void)state;
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), errno);
	close(pair[0]);
	flow.flood.what = VNIC_FLOOD_BEGINS;
	floods_hear(&floods, &world.plan, &flow.flood, pair[1]);
	close(pair[1]);
	assert_int_equal(vt_open_fds(), before);
	send_one(&flow, 1);
	assert_ordinary(&world, REMOTE4, size_of(1));
	close(flow.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTS_OF(its_datagrams_come_whole_and_in_order),
		TESTS_OF(a_super_datagram_keeps_its_parts),
		TESTS_OF(what_is_cut_or_of_another_flow_goes_the_ordinary_way),
		vt_netns_test(a_damaged_datagram_is_counted_and_not_taken),
		vt_netns_test(what_finds_no_room_is_counted),
		TESTS_OF(a_flow_that_is_quiet_again_goes_the_ordinary_way),
		vt_netns_test(a_flow_that_cannot_leave_its_ring_is_told_so_and_leaves_it_later),
		vt_netns_test(a_flow_of_no_nic_gets_no_ring),
		vt_netns_test(a_ring_that_cannot_be_handed_over_swallows_nothing),
	};

	world_own_namespaces(CLONE_NEWNET | CLONE_NEWNS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
