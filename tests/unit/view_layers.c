/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a view says of frames, whole and broken. */
#include "superframe.h"
#include "vt.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <vnic/view.h>

#define MACS "\x02\0\0\0\0\x02\x02\0\0\0\0\x01"
#define BYTES(text) (text), sizeof(text) - 1

static uint8_t space[VNIC_FRAME_MAX];

/* From an allocation of its own size, so that a sanitizer sees a read beyond it. */
static struct vnic_view look(const void *frame, size_t len, bool tun)
{
	static uint8_t *exact;
	struct vnic_view view;

	free(exact);
	exact = malloc(len);
	assert_non_null(exact);
	memcpy(exact, frame, len);
	assert_int_equal(vnic_view_parse(NULL, exact, len, tun, &view), 0);
	return view;
}

static struct vnic_view look_at(const struct superframe *spec, bool tun)
{
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(spec, space, &hdr), skip = tun ? superframe_l3(spec) : 0;
	struct vnic_view view = look(space + skip, len - skip, tun);
	struct vnic_view again;

	assert_int_equal(vnic_view_parse(&hdr, view.data, view.len, tun, &again), 0);
	return again;
}

static void every_layer_stands_where_its_maker_put_it(void **state)
{
	(void)state;
	srandom(1);
	for (int i = 0; i < 2000; i++) {
		struct superframe spec = superframe_random();
		bool tun = random() & 1;
		size_t skip = tun ? superframe_l3(&spec) : 0;
		struct vnic_view view = look_at(&spec, tun);

		assert_int_equal(view.flags, spec.finished ? 0 : VNIC_VIEW_PARTIAL_CSUM);
		assert_int_equal(view.layers & ~(VNIC_LAYER_ETH | VNIC_LAYER_VLAN),
				 (spec.v6 ? VNIC_LAYER_IPV6 : VNIC_LAYER_IPV4) |
					 (spec.udp ? VNIC_LAYER_UDP : VNIC_LAYER_TCP));
		assert_int_equal(!(view.layers & VNIC_LAYER_ETH), tun);
		assert_int_equal(view.vlan_count, tun ? 0 : spec.tags);
		assert_int_equal(view.l3, superframe_l3(&spec) - skip);
		assert_int_equal(view.l4, superframe_l4(&spec) - skip);
		assert_int_equal(view.l3 + view.l3_len, view.l4);
		assert_int_equal(view.payload, superframe_payload(&spec) - skip);
		assert_int_equal(view.l4 + view.l4_len, view.payload);
		assert_int_equal(view.payload_len, spec.payload);
		assert_int_equal(vnic_view_sport(&view), spec.sport);
		assert_int_equal(vnic_view_dport(&view), 5201);
		assert_int_equal(vnic_view_tcp_flags(&view), spec.udp ? 0 : spec.tcp_flags);
		assert_int_equal(vnic_view_tcp_seq(&view), spec.udp ? 0 : spec.seq);
		assert_int_equal(vnic_view_tcp_ack(&view), spec.udp ? 0 : spec.ack);
	}
}

static void a_super_frame_says_how_many_packets_it_is(void **state)
{
	static const struct {
		unsigned payload, size, segments;
	} cases[] = {{14480, 1448, 10}, {14481, 1448, 11}, {1448, 1448, 1}, {1, 1448, 1}, {0, 1448, 1}, {100, 0, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct superframe spec = {.payload = cases[i].payload, .gso_size = (uint16_t)cases[i].size};
		struct vnic_view view = look_at(&spec, false);

		assert_int_equal(view.segments, cases[i].segments);
		assert_int_equal(view.gso_size, cases[i].size);
		assert_int_equal(view.gso_type, cases[i].size ? VNIC_GSO_TCPV4 : VNIC_GSO_NONE);
	}
}

static void tags_are_listed_from_the_outside(void **state)
{
	struct superframe spec = {.tags = 2, .payload = 5};
	struct vnic_view view = look_at(&spec, false);

	(void)state;
	assert_int_equal(view.vlan_count, 2);
	assert_int_equal(view.vlan[0], 0x2002);
	assert_int_equal(view.vlan[1], 0x2001);
	assert_int_equal(view.ethertype, 0x0800);
}

static void a_third_tag_stays_an_ethertype(void **state)
{
	struct vnic_view view = look(BYTES(MACS "\x88\xa8\0\1\x81\0\0\2\x81\0\0\3\x08\0"), false);

	(void)state;
	assert_int_equal(view.vlan_count, 2);
	assert_int_equal(view.ethertype, 0x8100);
	assert_int_equal(view.layers, VNIC_LAYER_ETH | VNIC_LAYER_VLAN);
	assert_int_equal(view.payload, 22);
}

static void addresses_are_hosts(void **state)
{
	struct superframe spec = {.v6 = true, .payload = 5};
	struct vnic_view view = look_at(&spec, false);
	struct vnic_addr src = vnic_view_src(&view), dst = vnic_view_dst(&view);
	char text[VNIC_ADDR_TEXT];

	(void)state;
	assert_string_equal(vnic_addr_text(&src, true, text), "fd00::1/128");
	assert_string_equal(vnic_addr_text(&dst, true, text), "fd00::2/128");
	spec.v6 = false;
	view = look_at(&spec, false);
	src = vnic_view_src(&view);
	assert_string_equal(vnic_addr_text(&src, true, text), "10.9.0.1/32");
	assert_memory_equal(vnic_view_mac_src(&view), "\2\0\0\0\0\1", 6);
	assert_memory_equal(vnic_view_mac_dst(&view), "\2\0\0\0\0\2", 6);
}

static void arp_has_a_sender_and_a_target(void **state)
{
	static const char arp[] = MACS "\x08\x06\0\1\x08\0\6\4\0\2"
				       "\2\0\0\0\0\1\x0a\x09\0\1"
				       "\2\0\0\0\0\2\x0a\x09\0\2padding";
	struct vnic_view view = look(BYTES(arp), false);
	struct vnic_addr src = vnic_view_src(&view), dst = vnic_view_dst(&view);
	char text[VNIC_ADDR_TEXT];

	(void)state;
	assert_int_equal(view.layers, VNIC_LAYER_ETH | VNIC_LAYER_ARP);
	assert_int_equal(view.flags, VNIC_VIEW_ARP_IPV4);
	assert_int_equal(vnic_view_u16(&view, view.l3 + 6), 2);
	assert_string_equal(vnic_addr_text(&src, false, text), "10.9.0.1");
	assert_string_equal(vnic_addr_text(&dst, false, text), "10.9.0.2");
	assert_int_equal(vnic_view_end(&view), 42);
	view = look(arp, 41, false);
	assert_int_equal(view.layers, VNIC_LAYER_ETH);
	assert_int_equal(view.flags, VNIC_VIEW_MALFORMED);
	assert_int_equal(vnic_view_src(&view).family, 0);
}

static void link_padding_is_not_payload(void **state)
{
	struct superframe spec = {.udp = true, .payload = 3};
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(&spec, space, &hdr);
	struct vnic_view view;

	(void)state;
	memset(space + len, 0, 60 - len);
	view = look(space, 60, false);
	assert_int_equal(view.payload_len, 3);
	assert_int_equal(vnic_view_end(&view), len);
}

/* IPv4, 40 bytes, with this fragment field and TCP; the payload is cut from a SYN. */
static struct vnic_view look_at_fragment(uint16_t field)
{
	struct superframe spec = {.payload = 0};
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(&spec, space, &hdr);

	space[20] = (uint8_t)(field >> 8);
	space[21] = (uint8_t)field;
	return look(space, len, false);
}

static void only_the_first_fragment_has_a_layer_4(void **state)
{
	struct vnic_view view = look_at_fragment(0x2000);

	(void)state;
	assert_int_equal(view.flags, VNIC_VIEW_FRAGMENT);
	assert_true(view.layers & VNIC_LAYER_TCP);
	view = look_at_fragment(0x2003);
	assert_int_equal(view.flags, VNIC_VIEW_FRAGMENT | VNIC_VIEW_FRAGMENT_LATER);
	assert_int_equal(view.fragment_offset, 24);
	assert_int_equal(view.layers, VNIC_LAYER_ETH | VNIC_LAYER_IPV4);
	assert_int_equal(view.ip_proto, IPPROTO_TCP);
	assert_int_equal(view.payload_len, 20);
	view = look_at_fragment(0x0003);
	assert_int_equal(view.flags, VNIC_VIEW_FRAGMENT | VNIC_VIEW_FRAGMENT_LATER);
}

static void a_fragment_header_for_a_whole_packet_makes_no_fragment(void **state)
{
	struct superframe spec = {.v6 = true, .ip_options = 8, .payload = 4};
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(&spec, space, &hdr);
	struct vnic_view view;

	(void)state;
	space[14 + 6] = IPPROTO_FRAGMENT;
	view = look(space, len, false);
	assert_int_equal(view.flags, VNIC_VIEW_FRAGMENT_HEADER);
	assert_true(view.layers & VNIC_LAYER_TCP);
	space[14 + 40 + 3] = 0x10; /* offset 2 times 8 */
	view = look(space, len, false);
	assert_int_equal(view.flags, VNIC_VIEW_FRAGMENT_HEADER | VNIC_VIEW_FRAGMENT | VNIC_VIEW_FRAGMENT_LATER);
	assert_int_equal(view.fragment_offset, 16);
	assert_int_equal(view.layers, VNIC_LAYER_ETH | VNIC_LAYER_IPV6);
}

static void a_packet_within_a_packet_is_only_told_of(void **state)
{
	struct superframe spec = {.udp = true, .payload = 30};
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(&spec, space, &hdr);
	struct vnic_view view;

	(void)state;
	space[36] = 4789 >> 8;
	space[37] = 4789 & 255;
	space[42] = 0x08;
	view = look(space, len, false);
	assert_int_equal(view.layers & (VNIC_LAYER_ENCAPSULATED | VNIC_LAYER_UDP), VNIC_LAYER_VXLAN | VNIC_LAYER_UDP);
	space[42] = 0;
	view = look(space, len, false);
	assert_int_equal(view.layers & VNIC_LAYER_ENCAPSULATED, 0);
	space[23] = IPPROTO_GRE;
	view = look(space, len, false);
	assert_int_equal(view.layers, VNIC_LAYER_ETH | VNIC_LAYER_IPV4 | VNIC_LAYER_GRE);
	assert_int_equal(view.l4, 0);
	assert_int_equal(view.payload, 34);
	space[23] = IPPROTO_IPV6;
	view = look(space, len, false);
	assert_int_equal(view.layers & VNIC_LAYER_ENCAPSULATED, VNIC_LAYER_IPIP);
}

static void echo_and_sctp_have_headers_of_fixed_size(void **state)
{
	struct superframe spec = {.payload = 30};
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(&spec, space, &hdr);
	struct vnic_view view;

	(void)state;
	space[23] = IPPROTO_ICMP;
	view = look(space, len, false);
	assert_true(view.layers & VNIC_LAYER_ICMP);
	assert_int_equal(view.l4_len, 8);
	space[23] = IPPROTO_SCTP;
	view = look(space, len, false);
	assert_true(view.layers & VNIC_LAYER_SCTP);
	assert_int_equal(view.payload_len, 30 + 8);
	space[23] = IPPROTO_ICMPV6; /* in IPv4: no */
	view = look(space, len, false);
	assert_int_equal(view.layers, VNIC_LAYER_ETH | VNIC_LAYER_IPV4);
}

/* However a frame is cut short, the view ends before what is not whole, and stays inside. */
static void a_cut_frame_has_only_whole_layers(void **state)
{
	(void)state;
	srandom(2);
	for (int i = 0; i < 300; i++) {
		struct superframe spec = superframe_random();
		struct vnic_vnet_hdr hdr;
		size_t len;

		spec.payload = 4;
		len = superframe_make(&spec, space, &hdr);
		for (size_t cut = 14; cut < len; cut++) {
			struct vnic_view view = look(space, cut, false);

			assert_true(view.flags & VNIC_VIEW_MALFORMED);
			assert_true(vnic_view_end(&view) <= cut);
			assert_false(view.layers & (VNIC_LAYER_IP | VNIC_LAYER_TCP | VNIC_LAYER_UDP));
		}
	}
}

static void nine_extension_headers_are_too_many(void **state)
{
	struct superframe spec = {.v6 = true, .ip_options = 72, .payload = 4};
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(&spec, space, &hdr);
	struct vnic_view view;

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		space[54 + 8 * i] = i < 8 ? IPPROTO_DSTOPTS : IPPROTO_TCP;
		space[55 + 8 * i] = 0;
	}
	view = look(space, len, false);
	assert_true(view.flags & VNIC_VIEW_MALFORMED);
	assert_int_equal(view.layers, VNIC_LAYER_ETH | VNIC_LAYER_IPV6);
	space[54 + 8 * 7] = IPPROTO_TCP;
	space[54 + 8 * 8 + 12] = 0x50;
	view = look(space, len, false);
	assert_int_equal(view.flags, 0);
	assert_int_equal(view.payload, 54 + 64 + 20);
}

static void lengths_that_lie_are_not_believed(void **state)
{
	struct superframe spec = {.udp = true, .payload = 8};
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(&spec, space, &hdr);
	static const struct {
		size_t at;
		uint8_t value;
		uint32_t without;
	} lies[] = {
		{14, 0x44, VNIC_LAYER_IPV4}, /* a header of 16 bytes */
		{14, 0x55, VNIC_LAYER_IPV4}, /* version 5 */
		{17, 19, VNIC_LAYER_IPV4},   /* the packet ends in its header */
		{17, 200, VNIC_LAYER_IPV4},  /* and behind the frame */
		{39, 7, VNIC_LAYER_UDP},     {39, 17, VNIC_LAYER_UDP},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint8_t truth = space[lies[i].at];
		struct vnic_view view;

		space[lies[i].at] = lies[i].value;
		view = look(space, len, false);
		assert_true(view.flags & VNIC_VIEW_MALFORMED);
		assert_false(view.layers & lies[i].without);
		space[lies[i].at] = truth;
	}
}

static void less_than_a_link_header_is_no_frame(void **state)
{
	struct vnic_view view = {.len = 77};

	(void)state;
	assert_int_equal(vnic_view_parse(NULL, MACS "\x08", 13, false, &view), -EINVAL);
	assert_int_equal(vnic_view_parse(NULL, "", 0, true, &view), -EINVAL);
	assert_int_equal(view.len, 77);
	look("\x60", 1, true);
}

static void numbers_beyond_the_frame_are_zero(void **state)
{
	struct vnic_view view = look(BYTES(MACS "\x12\x34"), false);

	(void)state;
	assert_int_equal(vnic_view_u16(&view, 12), 0x1234);
	assert_int_equal(vnic_view_u16(&view, 13), 0x3400);
	assert_int_equal(vnic_view_u32(&view, 14), 0);
	assert_int_equal(vnic_view_u8(&view, UINT32_MAX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(every_layer_stands_where_its_maker_put_it),
		vt_test(a_super_frame_says_how_many_packets_it_is),
		vt_test(tags_are_listed_from_the_outside),
		vt_test(a_third_tag_stays_an_ethertype),
		vt_test(addresses_are_hosts),
		vt_test(arp_has_a_sender_and_a_target),
		vt_test(link_padding_is_not_payload),
		vt_test(only_the_first_fragment_has_a_layer_4),
		vt_test(a_fragment_header_for_a_whole_packet_makes_no_fragment),
		vt_test(a_packet_within_a_packet_is_only_told_of),
		vt_test(echo_and_sctp_have_headers_of_fixed_size),
		vt_test(a_cut_frame_has_only_whole_layers),
		vt_test(nine_extension_headers_are_too_many),
		vt_test(lengths_that_lie_are_not_believed),
		vt_test(less_than_a_link_header_is_no_frame),
		vt_test(numbers_beyond_the_frame_are_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
