/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packets that go back: their headers, their sizes, and checksums computed here in another way. */
#include "vt.h"

#include <netinet/in.h>
#include <string.h>

#include "packet.h"

#define LINK 14

static const struct link_ends ends = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
static uint8_t buf[PACKET_MAX];

static struct flow_key key_of(bool v6)
{
	struct flow_key key = {.family = v6 ? AF_INET6 : AF_INET};

	memcpy(key.src.addr, (uint8_t[16]){10, 0, 2, 100}, 16);
	memcpy(key.dst.addr, (uint8_t[16]){93, 184, 216, 34}, 16);
	if (v6) {
		memcpy(key.src.addr, (uint8_t[16]){0xfd, [14] = 1}, 16);
		memcpy(key.dst.addr, (uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 16);
	}
	key.src.port = 40000;
	key.dst.port = 443;
	return key;
}

/* --- an independent view ------------------------------------------------------------ */

static unsigned get16(const uint8_t *p)
{
	return (unsigned)(p[0] * 256 + p[1]);
}

/* One's complement addition with the carry taken at each step; right headers with their checksum sum to 0xffff. */
static unsigned ones(unsigned sum, const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		sum += i % 2 ? p[i] : p[i] * 256u;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

static void assert_sums(const uint8_t *frame, size_t size)
{
	const uint8_t *ip = frame + LINK;
	bool v6 = ip[0] >> 4 == 6;
	size_t header = v6 ? 40 : 20, l4 = size - LINK - header;
	uint8_t proto = v6 ? ip[6] : ip[9];
	uint8_t pseudo[4] = {0, 0, 0, proto};
	uint8_t length[4] = {0, (uint8_t)(l4 >> 16), (uint8_t)(l4 >> 8), (uint8_t)l4};
	unsigned sum = 0;

	if (!v6)
		assert_int_equal(ones(0, ip, 20), 0xffff);
	if (proto != IPPROTO_ICMP) {
		sum = v6 ? ones(0, ip + 8, 32) : ones(0, ip + 12, 8);
		sum = ones(ones(sum, pseudo, 4), length, 4);
	}
	assert_int_equal(ones(sum, ip + header, l4), 0xffff);
}

/* A whole packet from key->dst to key->src; returns its layer 4. */
static const uint8_t *assert_answers(const struct flow_key *key, size_t size, uint8_t proto, struct packet *ret_packet)
{
	size_t len = key->family == AF_INET ? 4 : 16;

	assert_true(packet_parse(buf, size, ret_packet));
	assert_int_equal(ret_packet->ip_len, size - LINK);
	assert_memory_equal(buf, &ends, 12);
	assert_int_equal(ret_packet->key.family, key->family);
	assert_memory_equal(ret_packet->key.src.addr, key->dst.addr, len);
	assert_memory_equal(ret_packet->key.dst.addr, key->src.addr, len);
	assert_int_equal(ret_packet->proto, proto);
	assert_int_equal(ret_packet->ip[key->family == AF_INET ? 8 : 7], 64);
	assert_sums(buf, size);
	return ret_packet->l4;
}

/* --- tests -------------------------------------------------------------------------- */

static void a_reset_acknowledges_the_syn(void **state)
{
	const uint8_t tcp[20] = {0x9c, 0x40, 1, 0xbb, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x50, TCP_SYN};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct packet syn = {.key = key_of(v6), .proto = IPPROTO_TCP, .l4 = tcp, .l4_len = sizeof(tcp)};
		struct packet reset;
		const uint8_t *l4 = assert_answers(&syn.key, packet_make_reset(&syn, &ends, buf), IPPROTO_TCP, &reset);

		assert_int_equal(reset.key.src.port, 443);
		assert_int_equal(reset.key.dst.port, 40000);
		assert_int_equal(packet_tcp_flags(&reset), TCP_RST | TCP_ACK);
		assert_int_equal(packet_tcp_seq(&reset), 0);
		assert_memory_equal(l4 + 8, "\0\0\0\0", 4); /* 0xffffffff + 1 */
		assert_int_equal(reset.l4_len, 20);
	}
}

static void a_bare_syn_is_the_syn_without_its_data(void **state)
{
	const uint8_t tcp[30] = {0x9c, 0x40, 1,    0xbb, 1, 2, 3, 4, 0,    0,   0,   0,   0x60, TCP_SYN, 0xff,
				 0xff, 0xaa, 0xbb, 0,    0, 2, 4, 5, 0xb4, 'd', 'a', 't', 'a',  '.',     '.'};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct packet syn = {.key = key_of(v6), .proto = IPPROTO_TCP, .l4 = tcp, .l4_len = sizeof(tcp)};
		const struct flow_key back = {.src = syn.key.dst, .dst = syn.key.src, .family = syn.key.family};
		size_t size = packet_make_bare_syn(&syn, &ends, buf);
		struct packet bare;
		const uint8_t *l4 = assert_answers(&back, size, IPPROTO_TCP, &bare);

		assert_true(size <= PACKET_SYN_MAX);
		assert_memory_equal(&bare.key, &syn.key, sizeof(bare.key));
		assert_int_equal(bare.l4_len, 24);
		assert_memory_equal(l4, tcp, 16);
		assert_memory_equal(l4 + 18, tcp + 18, 6);
	}
}

static void a_datagram_of_any_size_has_right_checksums(void **state)
{
	static uint8_t data[4000];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 11);
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t size = 0; size < sizeof(data); size += size < 70 ? 1 : 517) {
			const struct flow_key key = key_of(v6);
			struct packet packet;
			const uint8_t *l4 = assert_answers(&key, packet_make_udp(&key, data, size, &ends, buf),
							   IPPROTO_UDP, &packet);

			assert_int_equal(packet.key.src.port, 443);
			assert_int_equal(packet.key.dst.port, 40000);
			assert_int_equal(packet.l4_len, 8 + size);
			assert_memory_equal(l4 + 8, data, size);
		}
}

static void a_udp_checksum_is_never_zero(void **state)
{
	const struct flow_key key = key_of(false);

	(void)state;
	/* Over all values of two bytes the sum takes every value, and 0 would mean that there is none. */
	for (unsigned value = 0; value < 65536; value++) {
		uint8_t data[2] = {(uint8_t)(value >> 8), (uint8_t)value};

		packet_make_udp(&key, data, sizeof(data), &ends, buf);
		assert_int_not_equal(get16(buf + LINK + 20 + 6), 0);
	}
}

static void the_longest_datagram_fits_and_one_byte_more_does_not(void **state)
{
	static uint8_t data[65536];

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct flow_key key = key_of(v6);
		size_t most = v6 ? 65527 : 65507;
		struct packet packet;

		assert_answers(&key, packet_make_udp(&key, data, most, &ends, buf), IPPROTO_UDP, &packet);
		assert_int_equal(packet_make_udp(&key, data, most + 1, &ends, buf), 0);
		assert_answers(&key, packet_make_echo_reply(&key, 1, data, most, &ends, buf),
			       v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, &packet);
		assert_int_equal(packet_make_echo_reply(&key, 1, data, most + 1, &ends, buf), 0);
	}
}

static void an_echo_reply_has_identifier_sequence_and_data(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct flow_key key = key_of(v6);
		struct packet packet;
		const uint8_t *l4;
		size_t size;

		key.src.port = 0x1234;
		key.dst.port = 0;
		size = packet_make_echo_reply(&key, 0xabcd, "hello", 5, &ends, buf);
		l4 = assert_answers(&key, size, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, &packet);
		assert_int_equal(l4[0], v6 ? 129 : 0);
		assert_int_equal(l4[1], 0);
		assert_int_equal(get16(l4 + 4), 0x1234);
		assert_int_equal(get16(l4 + 6), 0xabcd);
		assert_memory_equal(l4 + 8, "hello", 5);
	}
}

static void an_error_says_why_and_quotes_the_cause(void **state)
{
	static const uint8_t codes[2][4] = {{0, 1, 3, 13}, {0, 3, 4, 1}}; /* net, host, port, prohibited */

	(void)state;
	for (int v6 = 0; v6 < 2; v6++)
		for (enum unreachable why = UNREACHABLE_NET; why <= UNREACHABLE_PROHIBITED; why++) {
			const struct flow_key key = key_of(v6);
			const struct flow_key out = {.src = key.dst, .dst = key.src, .family = key.family};
			static uint8_t sent[256];
			struct packet cause, error;
			const uint8_t *l4;

			assert_true(packet_parse(sent, packet_make_udp(&out, "hello", 5, &ends, sent), &cause));
			l4 = assert_answers(&key, packet_make_unreachable(&cause, why, &ends, buf),
					    v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, &error);
			assert_int_equal(l4[0], v6 ? 1 : 3);
			assert_int_equal(l4[1], codes[v6][why]);
			assert_memory_equal(l4 + 4, "\0\0\0\0", 4);
			assert_int_equal(error.l4_len, 8 + cause.ip_len);
			assert_memory_equal(l4 + 8, cause.ip, cause.ip_len);
		}
}

static void an_error_quotes_no_more_than_it_may(void **state)
{
	static uint8_t data[3000], sent[PACKET_MAX];

	(void)state;
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t size = 400; size < sizeof(data); size += 100) {
			const struct flow_key key = key_of(v6);
			const struct flow_key out = {.src = key.dst, .dst = key.src, .family = key.family};
			struct packet cause, error;
			size_t most = v6 ? 1280 : 576, whole;

			assert_true(packet_parse(sent, packet_make_udp(&out, data, size, &ends, sent), &cause));
			assert_answers(&key, packet_make_unreachable(&cause, UNREACHABLE_PORT, &ends, buf),
				       v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, &error);
			whole = (v6 ? 48u : 28u) + cause.ip_len;
			assert_int_equal(error.ip_len, whole < most ? whole : most);
		}
}

static void two_packets_that_may_be_cut_can_be_told_apart(void **state)
{
	const struct flow_key key = key_of(false);
	unsigned first;

	(void)state;
	packet_make_udp(&key, "a", 1, &ends, buf);
	first = get16(buf + LINK + 4);
	packet_make_udp(&key, "b", 1, &ends, buf);
	assert_int_not_equal(get16(buf + LINK + 4), first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_reset_acknowledges_the_syn),
		vt_test(a_bare_syn_is_the_syn_without_its_data),
		vt_test(a_datagram_of_any_size_has_right_checksums),
		vt_test(a_udp_checksum_is_never_zero),
		vt_test(the_longest_datagram_fits_and_one_byte_more_does_not),
		vt_test(an_echo_reply_has_identifier_sequence_and_data),
		vt_test(an_error_says_why_and_quotes_the_cause),
		vt_test(an_error_quotes_no_more_than_it_may),
		vt_test(two_packets_that_may_be_cut_can_be_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
