/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that come in pieces, and packets that are cut. */
#include "vt.h"

#include <netinet/in.h>
#include <string.h>

#include "bytes.h"
#include "checksum.h"
#include "fragments.h"

#define LINK 14
#define NOW 1000000000000LL
#define SECOND 1000000000LL

static uint64_t dropped;
static struct fragments *fragments;

static int set_up(void **state)
{
	(void)state;
	dropped = 0;
	return fragments_open(&dropped, &fragments);
}

static int tear_down(void **state)
{
	(void)state;
	fragments_close(fragments);
	return 0;
}

/* --- pieces ------------------------------------------------------------------------- */

struct piece {
	bool v6, more;
	uint32_t id;
	size_t offset, size;
	size_t options; /* IPv4 */
};

static uint8_t data_at(size_t offset)
{
	return (uint8_t)(offset * 31 + offset / 256);
}

/* A piece of an echo request, whose bytes are data_at(), but for the type. */
static size_t write_piece(const struct piece *piece, uint8_t *frame)
{
	size_t header = piece->v6 ? 48 : 20 + piece->options;
	uint8_t *ip = frame + LINK;

	memset(frame, 0, LINK + header);
	put16(frame + 12, piece->v6 ? 0x86dd : 0x0800);
	if (piece->v6) {
		ip[0] = 0x60;
		put16(ip + 4, (unsigned)(8 + piece->size));
		ip[6] = IPPROTO_FRAGMENT;
		ip[40] = IPPROTO_ICMPV6;
		put16(ip + 42, (unsigned)piece->offset | piece->more);
		put16(ip + 46, (unsigned)(piece->id));
	} else {
		ip[0] = (uint8_t)(0x40 | header / 4);
		put16(ip + 2, (unsigned)(header + piece->size));
		put16(ip + 4, (unsigned)(piece->id));
		put16(ip + 6, (unsigned)piece->offset / 8 | (piece->more ? 0x2000 : 0));
		ip[9] = IPPROTO_ICMP;
		memset(ip + 20, 1, piece->options);
	}
	for (size_t i = 0; i < piece->size; i++)
		ip[header + i] = data_at(piece->offset + i);
	if (!piece->offset)
		ip[header] = piece->v6 ? 128 : 8;
	return LINK + header + piece->size;
}

static bool join_at(struct piece piece, int64_t now, struct packet *ret_packet)
{
	static uint8_t frame[PACKET_MAX];
	struct packet packet;

	assert_true(packet_parse(frame, write_piece(&piece, frame), &packet));
	assert_true(packet.fragment);
	return fragments_join(fragments, &packet, now, ret_packet);
}

static bool join(struct piece piece)
{
	struct packet whole;

	return join_at(piece, NOW, &whole);
}

static void assert_whole(const struct packet *packet, bool v6, size_t size)
{
	assert_false(packet->fragment);
	assert_false(packet->dont_cut);
	assert_int_equal(packet->key.family, v6 ? AF_INET6 : AF_INET);
	assert_int_equal(packet->proto, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	assert_int_equal(packet->l4_len, size);
	assert_int_equal(packet->key.src.port, data_at(4) << 8 | data_at(5));
	for (size_t i = 1; i < size; i++)
		assert_int_equal(packet->l4[i], data_at(i));
}

/* --- joining ------------------------------------------------------------------------ */

static void pieces_in_order_make_a_packet(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet whole;

		assert_false(join((struct piece){.v6 = v6, .more = true, .id = 7, .size = 1480}));
		assert_false(join((struct piece){.v6 = v6, .more = true, .id = 7, .offset = 1480, .size = 1480}));
		assert_true(join_at((struct piece){.v6 = v6, .id = 7, .offset = 2960, .size = 333}, NOW, &whole));
		assert_whole(&whole, v6, 3293);
	}
	assert_int_equal(dropped, 0);
}

static void options_of_ipv4_stay(void **state)
{
	struct packet whole;

	(void)state;
	assert_false(join((struct piece){.more = true, .size = 1472, .options = 8}));
	assert_true(join_at((struct piece){.offset = 1472, .size = 9}, NOW, &whole));
	assert_whole(&whole, false, 1481);
	assert_int_equal(whole.l4 - whole.ip, 28);
	assert_int_equal(checksum_finish(checksum_add(0, whole.ip, 28)), 0);
}

static void packets_may_come_mixed(void **state)
{
	struct packet whole;

	(void)state;
	for (uint32_t id = 1; id <= 8; id++)
		assert_false(join((struct piece){.more = true, .id = id, .size = 8 * id}));
	for (uint32_t id = 8; id >= 1; id--) {
		assert_true(join_at((struct piece){.id = id, .offset = 8 * id, .size = 8}, NOW, &whole));
		assert_whole(&whole, false, 8 * id + 8);
	}
	assert_int_equal(dropped, 0);
}

static void the_ninth_packet_takes_the_place_of_the_oldest(void **state)
{
	struct packet whole;

	(void)state;
	for (uint32_t id = 1; id <= 9; id++)
		assert_false(join_at((struct piece){.more = true, .id = id, .size = 8}, NOW + id, &whole));
	assert_int_equal(dropped, 1);
	assert_false(join((struct piece){.id = 1, .offset = 8, .size = 8}));
	assert_int_equal(dropped, 2);
	for (uint32_t id = 2; id <= 9; id++)
		assert_true(join_at((struct piece){.id = id, .offset = 8, .size = 8}, NOW + 9, &whole));
}

static void a_gap_an_overlap_or_another_order_loses_the_packet(void **state)
{
	static const size_t offsets[] = {8, 24, 32, 1480};

	(void)state;
	for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		dropped = 0;
		assert_false(join((struct piece){.more = true, .size = 16}));
		assert_false(join((struct piece){.offset = offsets[i], .more = true, .size = 16}));
		assert_int_equal(dropped, 1);
		assert_false(join((struct piece){.offset = 16, .size = 8})); /* what would have been right is late */
		assert_int_equal(dropped, 2);
	}
}

static void a_first_piece_begins_anew(void **state)
{
	struct packet whole;

	(void)state;
	assert_false(join((struct piece){.more = true, .size = 800}));
	assert_false(join((struct piece){.more = true, .size = 16}));
	assert_int_equal(dropped, 1);
	assert_true(join_at((struct piece){.offset = 16, .size = 8}, NOW, &whole));
	assert_whole(&whole, false, 24);
}

static void after_a_second_a_piece_is_too_late(void **state)
{
	struct packet whole;

	(void)state;
	assert_false(join((struct piece){.more = true, .size = 16}));
	assert_false(join_at((struct piece){.offset = 16, .size = 8}, NOW + SECOND, &whole));
	assert_int_equal(dropped, 1);
}

static void only_the_last_piece_has_an_odd_size(void **state)
{
	(void)state;
	assert_false(join((struct piece){.more = true, .size = 15}));
	assert_int_equal(dropped, 1);
}

static void the_longest_packet_fits_and_eight_bytes_more_do_not(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		size_t max = v6 ? 65535 : 65515, offset = 0;
		struct packet whole;

		dropped = 0;
		for (; max - offset > 32768; offset += 32768)
			assert_false(join((struct piece){.v6 = v6, .more = true, .offset = offset, .size = 32768}));
		assert_true(join_at((struct piece){.v6 = v6, .offset = offset, .size = max - offset}, NOW, &whole));
		assert_whole(&whole, v6, max);
		assert_int_equal(dropped, 0);
		for (offset = 0; max - offset > 32768; offset += 32768)
			assert_false(join((struct piece){.v6 = v6, .more = true, .offset = offset, .size = 32768}));
		assert_false(join((struct piece){.v6 = v6, .offset = offset, .size = max - offset + 1}));
		assert_int_equal(dropped, 1);
	}
}

/* --- cutting ------------------------------------------------------------------------ */

static void what_was_cut_can_be_joined_again(void **state)
{
	static const struct link_ends ends = {{2}, {4}};
	static uint8_t data[65527], frame[PACKET_MAX], fragment[FRAGMENT_FRAME];
	static const size_t sizes[] = {1, 1224, 1225, 4000, sizeof(data)};
	struct flow_key key = {.family = AF_INET6, .src = {.addr = {0xfd, 5}}, .dst = {.addr = {0x20, 1}}};

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = data_at(i);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = packet_make_echo_reply(&key, 1, data, sizes[i], &ends, frame), offset = 0, len;
		struct packet piece, whole;
		bool is_whole = false;

		while ((len = fragments_cut(frame, size, 99, &offset, fragment))) {
			assert_true(len <= sizeof(fragment) && packet_parse(fragment, len, &piece));
			assert_false(is_whole);
			if (piece.fragment)
				is_whole = fragments_join(fragments, &piece, NOW, &whole);
			else
				is_whole = true; /* an atomic one */
			if (!piece.fragment)
				whole = piece;
		}
		assert_true(is_whole);
		assert_int_equal(whole.l4_len, 8 + sizes[i]);
		assert_memory_equal(whole.l4 + 8, data, sizes[i]);
		assert_memory_equal(whole.key.src.addr, key.dst.addr, 16);
	}
	assert_int_equal(dropped, 0);
}

#define PIECES_TEST(f)                         \
	{                                      \
#f, f, set_up, tear_down, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PIECES_TEST(pieces_in_order_make_a_packet),
		PIECES_TEST(options_of_ipv4_stay),
		PIECES_TEST(packets_may_come_mixed),
		PIECES_TEST(the_ninth_packet_takes_the_place_of_the_oldest),
		PIECES_TEST(a_gap_an_overlap_or_another_order_loses_the_packet),
		PIECES_TEST(a_first_piece_begins_anew),
		PIECES_TEST(after_a_second_a_piece_is_too_late),
		PIECES_TEST(only_the_last_piece_has_an_odd_size),
		PIECES_TEST(the_longest_packet_fits_and_eight_bytes_more_do_not),
		PIECES_TEST(what_was_cut_can_be_joined_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
