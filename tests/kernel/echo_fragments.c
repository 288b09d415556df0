/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What gateway/fragments.c relies on: an echo request above the MTU comes over the slow path in pieces that are
 * in order and without gaps, also when the sandbox sent them in another order.
 */
#include "tproxy_frames.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#define PIECE 1448
#define PIECES 4

/* Its data may be anything: no router looks at an echo request's checksum. */
static void send_piece(const struct world *world, int wire, const char *remote, const char *sandbox, unsigned number)
{
	const unsigned offset = number * PIECE, more = number < PIECES - 1;
	uint8_t data[8 + PIECE] = {0};
	struct forged forged = {.src = sandbox, .dst = remote, .payload = data + 8, .payload_size = PIECE - 8};
	struct slow_frame frame;
	uint8_t *ip;

	forged.protocol = is_v6(remote) ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	if (number == 0)
		forged.icmp_type = is_v6(remote) ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
	frame = forge(&forged);
	ip = frame.data + ETHER;
	if (is_v6(remote)) {
		memmove(ip + 48, ip + 40, PIECE);
		memcpy(ip + 40, (uint8_t[]){ip[6], 0, 0, 0, 0, 0, 0, 7}, 8);
		put16(ip + 42, offset | more);
		put16(ip + 4, 8 + PIECE);
		ip[6] = IPPROTO_FRAGMENT;
		frame.size += 8;
	} else {
		put16(ip + 4, 7);
		put16(ip + 6, offset / 8 | more << 13);
		put16(ip + 10, 0);
		put16(ip + 10, folded(sum16(ip, 20, 0)));
	}
	memcpy(frame.data, world->plan.nics[0].outer_mac.bytes, VNIC_MAC_LEN);
	memcpy(frame.data + VNIC_MAC_LEN, world->plan.nics[0].inner_mac.bytes, VNIC_MAC_LEN);
	assert_int_equal(write(wire, frame.data, frame.size), frame.size);
}

static void the_pieces_of_an_echo_request_come_in_order(const char *remote, const char *sandbox)
{
	static const unsigned order[PIECES] = {2, 0, 3, 1};
	CLEANUP_WORLD struct world world = world_new();
	CLEANUP_FD int wire = sandbox_wire(&world);
	size_t offset = 0;

	for (unsigned i = 0; i < PIECES; i++)
		send_piece(&world, wire, remote, sandbox, order[i]);
	while (offset < (size_t)PIECES * PIECE) {
		struct slow_frame frame = slow_read(&world);
		const uint8_t *ip = ip_of(&frame);
		unsigned place = is_v6(remote) ? get16(ip + 42) & 0xfff8 : (get16(ip + 6) & 0x1fffu) * 8;
		bool more = is_v6(remote) ? get16(ip + 42) & 1 : get16(ip + 6) & 0x2000;
		size_t size = is_v6(remote) ? get16(ip + 4) - 8u : get16(ip + 2) - 20u;

		assert_int_equal(place, offset);
		offset += size;
		assert_int_equal(more, offset < (size_t)PIECES * PIECE);
	}
	assert_int_equal(offset, PIECES * PIECE);
	assert_slow_is_silent(&world);
}
OF_BOTH_FAMILIES(the_pieces_of_an_echo_request_come_in_order)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTS_OF(the_pieces_of_an_echo_request_come_in_order),
	};

	world_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
