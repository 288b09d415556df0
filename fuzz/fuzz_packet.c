/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames of the slow path: what is taken for a packet lies within the frame, and every answer to it is a packet
 * from whom it was for to whom it is from.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"

#define LINK 14

static uint8_t answer[PACKET_MAX];

static void check_view(const struct packet *packet, const uint8_t *frame, size_t size)
{
	const uint8_t *end = frame + size;
	volatile uint8_t last = 0;

	if (packet->ip != frame + LINK || packet->ip_len > size - LINK || packet->l4 < packet->ip || packet->l4 > end ||
	    packet->l4_len > (size_t)(end - packet->l4))
		abort();
	if (packet->l4 + packet->l4_len != packet->ip + packet->ip_len)
		abort();
	/* A sanitizer sees a byte that is not there. */
	for (size_t i = 0; i < packet->ip_len; i++)
		last = packet->ip[i];
	(void)last;
}

static void check_answer(const struct packet *packet, size_t size)
{
	struct packet parsed;

	if (size > sizeof(answer) || !packet_parse(answer, size, &parsed) || parsed.ip_len != size - LINK)
		abort();
	if (memcmp(parsed.key.src.addr, packet->key.dst.addr, 16) ||
	    memcmp(parsed.key.dst.addr, packet->key.src.addr, 16))
		abort();
}

/* A SYN stays the one that it was. */
static void check_bare_syn(const struct packet *packet, const struct link_ends *ends)
{
	size_t size = packet_make_bare_syn(packet, ends, answer);
	struct packet parsed;

	if (size > PACKET_SYN_MAX || !packet_parse(answer, size, &parsed) ||
	    memcmp(&parsed.key, &packet->key, sizeof(parsed.key)) ||
	    packet_tcp_flags(&parsed) != packet_tcp_flags(packet) || packet_tcp_seq(&parsed) != packet_tcp_seq(packet))
		abort();
}

static void answer_to(const struct packet *packet)
{
	static const struct link_ends ends = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	static const struct icmp_error too_big = {.type = 3, .code = 4, .info = 1400};
	size_t size;

	for (enum unreachable why = UNREACHABLE_NET; why <= UNREACHABLE_PROHIBITED; why++)
		check_answer(packet, packet_make_unreachable(packet, why, &ends, answer));
	check_answer(packet, packet_make_error(packet, &too_big, &ends, answer));
	if (packet->proto == IPPROTO_TCP && packet_tcp_flags(packet) & TCP_SYN) {
		check_answer(packet, packet_make_reset(packet, &ends, answer));
		check_bare_syn(packet, &ends);
	}
	size = packet_make_udp(&packet->key, packet->l4, packet->l4_len, &ends, answer);
	if (size)
		check_answer(packet, size);
	size = packet_make_echo_reply(&packet->key, 1, packet->l4, packet->l4_len, &ends, answer);
	if (size)
		check_answer(packet, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet packet;

	if (!packet_parse(data, size, &packet))
		return 0;
	check_view(&packet, data, size);
	if (!packet.fragment)
		answer_to(&packet);
	return 0;
}
