/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever comes over the slow path, the gateway stays whole and the flows go on: random bytes, truncated headers,
 * every length of options, and good packets with a few bytes changed.
 *
 * The seed is fixed, so what fails once fails again.  VNIC_FLOOD_SECONDS makes more of it than a test of this ring has
 * time for.
 */
#include "gateway_world.h"

#include <stdlib.h>
#include <time.h>

#include "bytes.h"

#define FRAMES 100000
#define TURN 64 /* frames between two looks at the flow beside */
#define ROOM 2048
#define LINK 14

static uint64_t state_of_random = 0x9e3779b97f4a7c15;

static uint32_t any(uint32_t below)
{
	state_of_random ^= state_of_random << 13;
	state_of_random ^= state_of_random >> 7;
	state_of_random ^= state_of_random << 17;
	return (uint32_t)(state_of_random >> 32) % below;
}

static void fill(uint8_t *at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)any(256);
}

/* --- good packets ------------------------------------------------------------------- */

static size_t put_ip(uint8_t *frame, bool v6, uint8_t proto, size_t header, size_t l4)
{
	uint8_t *ip = frame + LINK;

	put16(frame + 12, v6 ? 0x86dd : 0x0800);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, (unsigned)(header - 40 + l4));
		ip[6] = header > 40 ? IPPROTO_DSTOPTS : proto;
		ip[7] = 63;
		ip[8] = ip[24] = 0xfd;
		ip[23] = WORLD_SANDBOX;
		ip[39] = WORLD_REMOTE;
		if (header > 40) {
			ip[40] = proto;
			ip[41] = (uint8_t)((header - 40) / 8 - 1);
		}
	} else {
		ip[0] = (uint8_t)(0x40 | header / 4);
		put16(ip + 2, (unsigned)(header + l4));
		put16(ip + 4, any(8));
		ip[8] = 63;
		ip[9] = proto;
		memcpy(ip + 12, (uint8_t[]){127, 0, 0, WORLD_SANDBOX, 127, 0, 0, WORLD_REMOTE}, 8);
	}
	return LINK + header;
}

/* Options of every length, of which the bytes are random. */
static size_t make_any(uint8_t *frame)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_UDP, IPPROTO_ICMPV6, 0, 43, 44, 50, 132};
	uint8_t proto = protocols[any(any(2) ? 2 : sizeof(protocols))];
	bool v6 = any(2);
	size_t header = v6 ? 40 + 8 * any(20) : 20 + 4 * any(11), l4 = any(120), at;

	memset(frame, 0, ROOM);
	fill(frame + LINK + 20, header + l4);
	if (proto == IPPROTO_ICMP && v6)
		proto = IPPROTO_ICMPV6;
	at = put_ip(frame, v6, proto, header, l4);
	if (proto == IPPROTO_TCP) {
		frame[at + 12] = (uint8_t)(any(16) << 4);
		frame[at + 13] = 0x02;
	} else if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
		frame[at] = v6 ? 128 : 8;
		frame[at + 1] = 0;
	}
	if (!v6 && !any(4)) /* a piece of something */
		put16(frame + LINK + 6, any(2) ? 0x2000 : any(4) * 8);
	return at + l4;
}

/* --- bad ones ----------------------------------------------------------------------- */

static size_t make_frame(uint8_t *frame)
{
	size_t size = make_any(frame);

	switch (any(4)) {
	case 0:
		return size;
	case 1:
		return any((uint32_t)size + 1);
	case 2:
		for (uint32_t i = any(8) + 1; i; i--)
			frame[12 + any((uint32_t)size - 12)] = (uint8_t)any(256);
		return size;
	default:
		size = any(256);
		fill(frame, size);
		return size;
	}
}

static void send_frame(struct world *world)
{
	uint8_t frame[sizeof(struct vnic_vnet_hdr) + ROOM] = {0};
	size_t hdr = any(16) ? sizeof(struct vnic_vnet_hdr) : any(sizeof(struct vnic_vnet_hdr) + 1);
	size_t size = hdr + make_frame(frame + hdr);

	while (send(world->slow, frame, size, 0) < 0) {
		assert_int_equal(errno, EAGAIN);
		world_turn(world);
	}
}

/* --- tests -------------------------------------------------------------------------- */

static void take_answers(struct world *world)
{
	static uint8_t frame[PACKET_MAX + sizeof(struct vnic_vnet_hdr)];
	struct packet packet;
	ssize_t n;

	world_rest(world);
	while ((n = recv(world->slow, frame, sizeof(frame), MSG_DONTWAIT)) > 0)
		assert_true(packet_parse(frame + sizeof(struct vnic_vnet_hdr), (size_t)n - sizeof(struct vnic_vnet_hdr),
					 &packet));
}

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

/* FRAMES, or as many as fit into the time that was asked for. */
static bool is_enough(unsigned long count, time_t since)
{
	const char *seconds = getenv("VNIC_FLOOD_SECONDS");

	return seconds ? now() - since >= strtol(seconds, NULL, 10) : count >= FRAMES;
}

static void flood(int family)
{
	const time_t since = now();
	unsigned long count = 0;
	struct world world;
	int client;

	world_start(&world, family, (struct world_options){0});
	client = world_client(&world);
	while (!is_enough(count, since)) {
		for (unsigned i = 0; i < TURN; i++)
			send_frame(&world);
		count += TURN;
		take_answers(&world);
		world_say(client, "are you there?");
		world_server_answers(&world, "are you there?", "I am");
		world_hears(&world, client, "I am");
	}
	world_rest(&world);
	assert_true(world.gateway->stats.malformed > count / 10);
	assert_true(world.gateway->stats.ignored > count / 100);
	assert_int_equal(world.gateway->stats.udp_flows, 1);
	print_message("# %lu frames\n", count);
	close(client);
	world_stop(&world);
}

static void a_flow_of_ipv4_goes_on_in_a_flood_of_malformed_packets(void **state)
{
	(void)state;
	flood(AF_INET);
}

static void a_flow_of_ipv6_goes_on_in_a_flood_of_malformed_packets(void **state)
{
	(void)state;
	flood(AF_INET6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_flow_of_ipv4_goes_on_in_a_flood_of_malformed_packets),
		vt_netns_test(a_flow_of_ipv6_goes_on_in_a_flood_of_malformed_packets),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
