/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A checksum that was left unfinished is seen without a virtio header, and one that was finished is left as it is. */
#include "superframe.h"
#include "vt.h"

#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include <vnic/view.h>

#include "bytes.h"
#include "checksum.h"
#include "finish.h"
#include "gso.h"

static uint8_t space[VNIC_FRAME_MAX], before[VNIC_FRAME_MAX], cut[VNIC_FRAME_MAX];

static struct frame make(const struct superframe *spec, struct vnic_vnet_hdr *ret_hdr)
{
	struct frame frame = {.data = space};

	frame.len = superframe_make(spec, space, ret_hdr);
	return frame;
}

static bool is_right(const struct frame *frame)
{
	struct vnic_view view;
	size_t len;

	assert_int_equal(vnic_view_parse(NULL, frame->data, frame->len, false, &view), 0);
	struct vnic_addr src = vnic_view_src(&view), dst = vnic_view_dst(&view);
	len = view.layers & VNIC_LAYER_IPV4 ? 4 : 16;
	return checksum_finish(checksum_add(
		       checksum_add_pseudo(0, src.bytes, dst.bytes, len, view.ip_proto, view.len - view.l4),
		       frame->data + view.l4, frame->len - view.l4)) == 0;
}

static void a_partial_checksum_is_found_where_it_is(void **state)
{
	(void)state;
	srandom(5);
	for (int i = 0; i < 2000; i++) {
		struct superframe spec = superframe_random();
		struct vnic_vnet_hdr hdr;

		spec.gso_size = 0;
		spec.finished = false;
		spec.payload %= 1300;
		struct frame frame = make(&spec, &hdr);
		frame_find_partial(&frame);
		assert_int_equal(frame.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(frame.hdr.csum_start, hdr.csum_start);
		assert_int_equal(frame.hdr.csum_offset, hdr.csum_offset);
		assert_int_equal(frame.hdr.gso_type, VNIC_GSO_NONE);
		assert_int_equal(frame_finish_checksum(&frame), 0);
		assert_true(is_right(&frame));
	}
}

static void a_finished_checksum_stays_as_it_is(void **state)
{
	struct superframe spec = {.payload = 100, .tcp_flags = 0x10, .finished = true};
	struct vnic_vnet_hdr hdr;
	int alike = 0;

	(void)state;
	srandom(6);
	for (uint32_t i = 0; i < 65536; i++) {
		spec.udp = i & 1;
		spec.v6 = i & 2;
		struct frame frame = make(&spec, &hdr);
		frame.hdr = (struct vnic_vnet_hdr){0};
		memcpy(before, frame.data, frame.len);
		frame_find_partial(&frame);
		alike += frame.hdr.flags != 0;
		assert_int_equal(frame_finish_checksum(&frame), 0);
		assert_memory_equal(frame.data, before, frame.len);
	}
	assert_true(alike < 10);
}

/* Two bytes of the payload are chosen so that the checksum becomes the pseudo header's sum. */
static void a_finished_checksum_that_looks_partial_is_finished_to_the_same(void **state)
{
	struct superframe spec = {.payload = 100, .tcp_flags = 0x10};
	struct vnic_vnet_hdr hdr;

	(void)state;
	srandom(7);
	for (int i = 0; i < 100; i++) {
		spec.udp = i & 1;
		spec.v6 = i & 2;
		struct frame frame = make(&spec, &hdr);
		uint8_t *place = frame.data + superframe_payload(&spec);
		size_t start = hdr.csum_start;

		put16(place, 0);
		put16(place, checksum_finish(checksum_add16(checksum_add(0, frame.data + start, frame.len - start),
							    get16(frame.data + start + hdr.csum_offset))));
		assert_true(is_right(&frame));
		memcpy(before, frame.data, frame.len);
		frame_find_partial(&frame);
		assert_int_equal(frame.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(frame_finish_checksum(&frame), 0);
		assert_memory_equal(frame.data, before, frame.len);
	}
}

static void a_super_frame_is_cut_to_what_any_link_carries(void **state)
{
	struct superframe spec = {
		.payload = 30000, .gso_size = 1400, .tcp_options = 12, .tcp_flags = 0x18, .finished = false};
	struct vnic_vnet_hdr hdr;
	struct gso gso;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		spec.v6 = v6;
		struct frame frame = make(&spec, &hdr), segment = {.data = cut};
		size_t payload = 0, headers = superframe_payload(&spec);

		frame_find_partial(&frame);
		assert_int_equal(frame.hdr.gso_type, v6 ? VNIC_GSO_TCPV6 : VNIC_GSO_TCPV4);
		assert_int_equal(gso_begin(&gso, &frame, false, 0), 0);
		while (gso_next(&gso, &segment)) {
			assert_true(segment.len - superframe_l3(&spec) <= 1280);
			assert_memory_equal(segment.data + headers, frame.data + headers + payload,
					    segment.len - headers);
			assert_true(is_right(&segment));
			payload += segment.len - headers;
		}
		assert_int_equal(payload, 30000);
	}
}

static void what_is_no_whole_packet_is_left_alone(void **state)
{
	struct superframe spec = {.payload = 100, .tcp_flags = 0x10};
	struct vnic_vnet_hdr hdr;
	struct frame frame = make(&spec, &hdr);

	(void)state;
	frame.len++; /* padding */
	frame_find_partial(&frame);
	assert_int_equal(frame.hdr.flags, 0);
	frame.len -= 2;
	frame_find_partial(&frame);
	assert_int_equal(frame.hdr.flags, 0);
	frame.len++;
	put16(frame.data + superframe_l3(&spec) + 6, 0x2000); /* more fragments */
	frame_find_partial(&frame);
	assert_int_equal(frame.hdr.flags, 0);
	for (size_t len = 0; len < frame.len; len++) {
		struct frame part = {.data = frame.data, .len = len};

		frame_find_partial(&part);
		assert_int_equal(part.hdr.flags, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_partial_checksum_is_found_where_it_is),
		vt_test(a_finished_checksum_stays_as_it_is),
		vt_test(a_finished_checksum_that_looks_partial_is_finished_to_the_same),
		vt_test(a_super_frame_is_cut_to_what_any_link_carries),
		vt_test(what_is_no_whole_packet_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
