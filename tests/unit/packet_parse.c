/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of the slow path's frames is taken for a packet, and what is seen in it. */
#include "vt.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"

/* --- frames ------------------------------------------------------------------------- */

#define LINK 14

struct frame {
	uint8_t bytes[512];
	size_t size;
};

static void put16(uint8_t *p, size_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* From 10.0.2.100 to 93.184.216.34, with `options` bytes of IP options. */
static struct frame ipv4(uint8_t proto, size_t options, const void *l4, size_t size)
{
	struct frame frame = {.size = LINK + 20 + options + size};
	uint8_t *ip = frame.bytes + LINK;

	put16(frame.bytes + 12, 0x0800);
	ip[0] = (uint8_t)(0x40 | (20 + options) / 4);
	put16(ip + 2, 20 + options + size);
	ip[8] = 61;
	ip[9] = proto;
	memcpy(ip + 12, (uint8_t[]){10, 0, 2, 100, 93, 184, 216, 34}, 8);
	memset(ip + 20, 1, options); /* no operation */
	memcpy(ip + 20 + options, l4, size);
	return frame;
}

/* From fd00::100 to 2001:db8::1; `chain` stands before layer 4, which is what the last of its headers says. */
static struct frame ipv6(uint8_t next, const void *chain, size_t chain_size, const void *l4, size_t size)
{
	struct frame frame = {.size = LINK + 40 + chain_size + size};
	uint8_t *ip = frame.bytes + LINK;

	put16(frame.bytes + 12, 0x86dd);
	ip[0] = 0x60;
	put16(ip + 4, chain_size + size);
	ip[6] = next;
	ip[7] = 61;
	memcpy(ip + 8, (uint8_t[16]){0xfd, [14] = 1}, 16);
	memcpy(ip + 24, (uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 16);
	if (chain_size)
		memcpy(ip + 40, chain, chain_size);
	memcpy(ip + 40 + chain_size, l4, size);
	return frame;
}

/* Ports 40000 and 443, sequence number 0x01020304. */
static const uint8_t syn[24] = {0x9c, 0x40, 1,    0xbb, 1, 2, 3, 4, 0, 0, 0, 0,
				0x60, 0x02, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4};
static const uint8_t datagram[12] = {0x9c, 0x40, 0, 53, 0, 12, 0, 0, 'a', 'b', 'c', 'd'};
static const uint8_t echo4[12] = {8, 0, 0, 0, 0x12, 0x34, 0, 7, 'a', 'b', 'c', 'd'};
static const uint8_t echo6[12] = {128, 0, 0, 0, 0x12, 0x34, 0, 7, 'a', 'b', 'c', 'd'};

/* In memory of exactly that size, so that a sanitizer sees a read beyond the end. */
static bool parse_exact(const void *bytes, size_t size, struct packet *ret_packet)
{
	uint8_t *exact = malloc(size ? size : 1);
	bool good;

	assert_non_null(exact);
	memcpy(exact, bytes, size);
	good = packet_parse(exact, size, ret_packet);
	free(exact);
	return good;
}

static bool parse(const struct frame *frame, struct packet *ret_packet)
{
	return packet_parse(frame->bytes, frame->size, ret_packet);
}

static bool is_packet(const struct frame *frame)
{
	struct packet packet;

	return parse_exact(frame->bytes, frame->size, &packet);
}

/* --- tests -------------------------------------------------------------------------- */

static void a_syn_is_seen_with_its_key(void **state)
{
	struct frame frames[2] = {ipv4(IPPROTO_TCP, 0, syn, sizeof(syn)), ipv6(IPPROTO_TCP, NULL, 0, syn, sizeof(syn))};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet packet;

		assert_true(parse(&frames[v6], &packet));
		assert_int_equal(packet.key.family, v6 ? AF_INET6 : AF_INET);
		assert_int_equal(packet.key.src.port, 40000);
		assert_int_equal(packet.key.dst.port, 443);
		assert_int_equal(packet.proto, IPPROTO_TCP);
		assert_false(packet.fragment);
		assert_int_equal(packet.ip_len, (v6 ? 40 : 20) + sizeof(syn));
		assert_int_equal(packet.l4_len, sizeof(syn));
		assert_ptr_equal(packet.l4, packet.ip + (v6 ? 40 : 20));
		assert_int_equal(packet_tcp_flags(&packet), TCP_SYN);
		assert_int_equal(packet_tcp_seq(&packet), 0x01020304);
	}
}

static void an_ipv4_key_has_zeros_after_the_address(void **state)
{
	struct frame frame = ipv4(IPPROTO_UDP, 0, datagram, sizeof(datagram));
	struct packet packet;

	(void)state;
	memset(&packet, 0xff, sizeof(packet));
	assert_true(parse(&frame, &packet));
	assert_memory_equal(packet.key.src.addr, ((uint8_t[16]){10, 0, 2, 100}), 16);
	assert_memory_equal(packet.key.dst.addr, ((uint8_t[16]){93, 184, 216, 34}), 16);
}

static void an_echo_request_has_its_identifier_for_a_port(void **state)
{
	struct frame frames[2] = {ipv4(IPPROTO_ICMP, 0, echo4, sizeof(echo4)),
				  ipv6(IPPROTO_ICMPV6, NULL, 0, echo6, sizeof(echo6))};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet packet;

		assert_true(parse(&frames[v6], &packet));
		assert_int_equal(packet.key.src.port, 0x1234);
		assert_int_equal(packet.key.dst.port, 0);
	}
}

static void icmp_of_the_other_family_is_refused(void **state)
{
	struct frame four = ipv4(IPPROTO_ICMPV6, 0, echo6, sizeof(echo6));
	struct frame six = ipv6(IPPROTO_ICMP, NULL, 0, echo4, sizeof(echo4));

	(void)state;
	assert_false(is_packet(&four));
	assert_false(is_packet(&six));
}

static void other_protocols_have_no_ports(void **state)
{
	struct frame frame = ipv4(47, 0, syn, sizeof(syn));
	struct packet packet;

	(void)state;
	assert_true(parse(&frame, &packet));
	assert_int_equal(packet.proto, 47);
	assert_int_equal(packet.key.src.port, 0);
	assert_int_equal(packet.key.dst.port, 0);
}

static void a_frame_cut_at_any_byte_is_refused(void **state)
{
	static const uint8_t chain[16] = {IPPROTO_DSTOPTS, 0, 1, 4, [8] = IPPROTO_TCP, 0, 1, 4};
	const struct frame frames[] = {
		ipv4(IPPROTO_TCP, 0, syn, sizeof(syn)),
		ipv4(IPPROTO_TCP, 40, syn, sizeof(syn)),
		ipv4(IPPROTO_UDP, 0, datagram, sizeof(datagram)),
		ipv4(IPPROTO_ICMP, 0, echo4, sizeof(echo4)),
		ipv6(IPPROTO_TCP, NULL, 0, syn, sizeof(syn)),
		ipv6(IPPROTO_HOPOPTS, chain, sizeof(chain), syn, sizeof(syn)),
		ipv6(IPPROTO_UDP, NULL, 0, datagram, sizeof(datagram)),
		ipv6(IPPROTO_ICMPV6, NULL, 0, echo6, sizeof(echo6)),
	};
	struct packet packet;

	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		for (size_t size = 0; size < frames[i].size; size++)
			assert_false(parse_exact(frames[i].bytes, size, &packet));
		assert_true(parse_exact(frames[i].bytes, frames[i].size, &packet));
	}
}

static void padding_behind_the_packet_is_not_part_of_it(void **state)
{
	struct frame frames[2] = {ipv4(IPPROTO_UDP, 0, datagram, sizeof(datagram)),
				  ipv6(IPPROTO_UDP, NULL, 0, datagram, sizeof(datagram))};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet packet;
		size_t before = frames[v6].size;

		frames[v6].size += 18;
		assert_true(parse(&frames[v6], &packet));
		assert_int_equal(packet.ip_len, before - LINK);
		assert_int_equal(packet.l4_len, sizeof(datagram));
	}
}

static void every_ip_header_length_is_taken_if_it_fits(void **state)
{
	(void)state;
	for (unsigned words = 0; words < 16; words++) {
		struct frame frame = ipv4(IPPROTO_TCP, words > 5 ? (words - 5) * 4 : 0, syn, sizeof(syn));

		frame.bytes[LINK] = (uint8_t)(0x40 | words);
		assert_int_equal(is_packet(&frame), words >= 5);
	}
}

static void every_tcp_header_length_is_taken_if_it_fits(void **state)
{
	(void)state;
	for (unsigned words = 0; words < 16; words++)
		for (size_t room = 20; room <= 64; room += 4) {
			uint8_t tcp[64] = {0};
			struct frame frames[2];

			tcp[12] = (uint8_t)(words << 4);
			frames[0] = ipv4(IPPROTO_TCP, 0, tcp, room);
			frames[1] = ipv6(IPPROTO_TCP, NULL, 0, tcp, room);
			for (int v6 = 0; v6 < 2; v6++)
				assert_int_equal(is_packet(&frames[v6]), words >= 5 && words * 4 <= room);
		}
}

static void a_udp_length_that_disagrees_is_refused(void **state)
{
	(void)state;
	for (size_t length = 0; length < 32; length++) {
		uint8_t udp[sizeof(datagram)];
		struct frame four, six;

		memcpy(udp, datagram, sizeof(udp));
		put16(udp + 4, length);
		four = ipv4(IPPROTO_UDP, 0, udp, sizeof(udp));
		assert_int_equal(is_packet(&four), length >= 8 && length <= sizeof(udp));
		six = ipv6(IPPROTO_UDP, NULL, 0, udp, sizeof(udp));
		assert_int_equal(is_packet(&six), length == 0 || (length >= 8 && length <= sizeof(udp)));
	}
}

static void a_udp_length_of_0_over_ipv6_is_that_of_all(void **state)
{
	uint8_t udp[sizeof(datagram)];
	struct packet packet;
	struct frame frame;

	(void)state;
	memcpy(udp, datagram, sizeof(udp));
	put16(udp + 4, 0);
	frame = ipv6(IPPROTO_UDP, NULL, 0, udp, sizeof(udp));
	assert_true(packet_parse(frame.bytes, frame.size, &packet));
	assert_int_equal(packet_datagram_size(&packet), sizeof(udp) - 8);
	assert_memory_equal(packet_datagram(&packet), "abcd", 4);
}

static void an_ip_length_that_disagrees_is_refused(void **state)
{
	struct frame frame = ipv4(IPPROTO_TCP, 0, syn, sizeof(syn));
	struct frame six = ipv6(IPPROTO_TCP, NULL, 0, syn, sizeof(syn));

	(void)state;
	for (size_t length = 0; length < 100; length++) {
		put16(frame.bytes + LINK + 2, length);
		assert_int_equal(is_packet(&frame), length == 20 + sizeof(syn)); /* one option: all is needed */
		put16(six.bytes + LINK + 4, length);
		assert_int_equal(is_packet(&six), length == sizeof(syn));
	}
}

static void the_version_and_the_link_type_must_agree(void **state)
{
	struct frame four = ipv4(IPPROTO_TCP, 0, syn, sizeof(syn)), six = ipv6(IPPROTO_TCP, NULL, 0, syn, sizeof(syn));

	(void)state;
	for (unsigned version = 0; version < 16; version++) {
		four.bytes[LINK] = (uint8_t)(version << 4 | 5);
		assert_int_equal(is_packet(&four), version == 4);
		six.bytes[LINK] = (uint8_t)(version << 4);
		assert_int_equal(is_packet(&six), version == 6);
	}
	four.bytes[LINK] = 0x45;
	for (size_t type = 0; type < 65536; type++) {
		put16(four.bytes + 12, type);
		assert_int_equal(is_packet(&four), type == 0x0800);
	}
}

static void fragments_of_ipv4_are_seen_and_have_no_ports(void **state)
{
	static const uint16_t offsets[] = {0x2000, 0x0001, 0x2001, 0x1fff};

	(void)state;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct frame frame = ipv4(IPPROTO_TCP, 0, "1234", 4); /* less than a TCP header */
		struct packet packet;

		put16(frame.bytes + LINK + 6, offsets[i]);
		assert_true(parse(&frame, &packet));
		assert_true(packet.fragment);
		assert_int_equal(packet.key.dst.port, 0);
	}
}

static void do_not_fragment_is_no_fragment(void **state)
{
	struct frame frame = ipv4(IPPROTO_TCP, 0, syn, sizeof(syn));
	struct packet packet;

	(void)state;
	put16(frame.bytes + LINK + 6, 0x4000);
	assert_true(parse(&frame, &packet));
	assert_false(packet.fragment);
}

static void fragments_of_ipv6_are_seen_and_have_no_ports(void **state)
{
	static const uint16_t offsets[] = {0x0001, 0x0008, 0x0009, 0xfff8};
	uint8_t header[8] = {IPPROTO_TCP};

	(void)state;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct frame frame;
		struct packet packet;

		put16(header + 2, offsets[i]);
		frame = ipv6(IPPROTO_FRAGMENT, header, sizeof(header), "1234", 4);
		assert_true(parse(&frame, &packet));
		assert_true(packet.fragment);
		assert_int_equal(packet.proto, IPPROTO_TCP);
		assert_int_equal(packet.key.dst.port, 0);
	}
}

static void an_atomic_fragment_of_ipv6_is_whole(void **state)
{
	static const uint8_t header[8] = {IPPROTO_TCP}; /* RFC 6946 */
	struct frame frame = ipv6(IPPROTO_FRAGMENT, header, sizeof(header), syn, sizeof(syn));
	struct packet packet;

	(void)state;
	assert_true(parse(&frame, &packet));
	assert_false(packet.fragment);
	assert_int_equal(packet.key.dst.port, 443);
}

/* `count` destination options of 8 bytes, then a SYN. */
static struct frame chained(unsigned count)
{
	uint8_t chain[128] = {0};

	for (unsigned i = 0; i < count; i++)
		memcpy(chain + i * 8, (uint8_t[]){i + 1 < count ? IPPROTO_DSTOPTS : IPPROTO_TCP, 0, 1, 4}, 4);
	return ipv6(count ? IPPROTO_DSTOPTS : IPPROTO_TCP, chain, (size_t)count * 8, syn, sizeof(syn));
}

static void extension_headers_are_walked_up_to_a_cap(void **state)
{
	(void)state;
	for (unsigned count = 0; count <= 8; count++) {
		struct frame frame = chained(count);
		struct packet packet;

		assert_true(parse(&frame, &packet));
		assert_int_equal(packet.proto, IPPROTO_TCP);
		assert_ptr_equal(packet.l4, packet.ip + 40 + (size_t)count * 8);
		assert_int_equal(packet.key.dst.port, 443);
	}
	for (unsigned count = 9; count < 16; count++) {
		struct frame frame = chained(count);

		assert_false(is_packet(&frame));
	}
}

static void an_extension_header_longer_than_the_packet_is_refused(void **state)
{
	static const uint8_t kinds[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds); i++)
		for (unsigned length = 0; length < 256; length++) {
			uint8_t header[8] = {IPPROTO_TCP, (uint8_t)length};
			struct frame frame = ipv6(kinds[i], header, sizeof(header), syn, sizeof(syn));

			if ((length + 1) * 8 > sizeof(header) + sizeof(syn))
				assert_false(is_packet(&frame));
			else if (length == 0)
				assert_true(is_packet(&frame));
		}
}

static void a_routing_header_that_leads_elsewhere_is_refused(void **state)
{
	(void)state;
	for (unsigned left = 0; left < 256; left++) {
		const uint8_t header[8] = {IPPROTO_TCP, 0, 4, (uint8_t)left};
		struct frame frame = ipv6(IPPROTO_ROUTING, header, sizeof(header), syn, sizeof(syn));

		assert_int_equal(is_packet(&frame), left == 0);
	}
}

static void a_refused_frame_leaves_the_result_alone(void **state)
{
	struct frame frame = ipv4(IPPROTO_TCP, 0, syn, sizeof(syn) - 5);
	struct packet packet, before;

	(void)state;
	memset(&packet, 0x5a, sizeof(packet));
	before = packet;
	assert_false(parse(&frame, &packet));
	assert_memory_equal(&packet, &before, sizeof(packet));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_syn_is_seen_with_its_key),
		vt_test(an_ipv4_key_has_zeros_after_the_address),
		vt_test(an_echo_request_has_its_identifier_for_a_port),
		vt_test(icmp_of_the_other_family_is_refused),
		vt_test(other_protocols_have_no_ports),
		vt_test(a_frame_cut_at_any_byte_is_refused),
		vt_test(padding_behind_the_packet_is_not_part_of_it),
		vt_test(every_ip_header_length_is_taken_if_it_fits),
		vt_test(every_tcp_header_length_is_taken_if_it_fits),
		vt_test(a_udp_length_that_disagrees_is_refused),
		vt_test(a_udp_length_of_0_over_ipv6_is_that_of_all),
		vt_test(an_ip_length_that_disagrees_is_refused),
		vt_test(the_version_and_the_link_type_must_agree),
		vt_test(fragments_of_ipv4_are_seen_and_have_no_ports),
		vt_test(do_not_fragment_is_no_fragment),
		vt_test(fragments_of_ipv6_are_seen_and_have_no_ports),
		vt_test(an_atomic_fragment_of_ipv6_is_whole),
		vt_test(extension_headers_are_walked_up_to_a_cap),
		vt_test(an_extension_header_longer_than_the_packet_is_refused),
		vt_test(a_routing_header_that_leads_elsewhere_is_refused),
		vt_test(a_refused_frame_leaves_the_result_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
