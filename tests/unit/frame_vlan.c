/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VLAN tag that is put back into a frame. */
#include "vt.h"

#include <linux/virtio_net.h>
#include <string.h>

#include "vlan.h"

static const uint8_t plain[] = "DDDDDDSSSSSS\x08\x00payload";

#define SPACE (FRAME_HEADROOM + 64)
#define PLAIN_LEN (sizeof(plain) - 1)

static struct frame frame_in(uint8_t space[SPACE])
{
	memcpy(space + FRAME_HEADROOM, plain, PLAIN_LEN);
	return (struct frame){.data = space + FRAME_HEADROOM, .len = PLAIN_LEN};
}

static void the_tag_stands_between_macs_and_type(void **state)
{
	uint8_t space[SPACE];
	struct frame frame = frame_in(space);

	(void)state;
	frame_push_vlan(&frame, 0x88a8, 0x2064);
	assert_int_equal(frame.len, PLAIN_LEN + 4);
	assert_memory_equal(frame.data, "DDDDDDSSSSSS\x88\xa8\x20\x64\x08\x00payload", PLAIN_LEN + 4);
}

static void offsets_of_a_partial_checksum_move_along(void **state)
{
	uint8_t space[SPACE];
	struct frame frame = frame_in(space);

	(void)state;
	frame.hdr = (struct vnic_vnet_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .hdr_len = 54, .csum_start = 34, .csum_offset = 16};
	frame_push_vlan(&frame, 0x8100, 1);
	assert_int_equal(frame.hdr.csum_start, 38);
	assert_int_equal(frame.hdr.csum_offset, 16);
	assert_int_equal(frame.hdr.hdr_len, 58);
}

static void a_frame_without_offloads_keeps_an_empty_header(void **state)
{
	const struct vnic_vnet_hdr empty = {0};
	uint8_t space[SPACE];
	struct frame frame = frame_in(space);

	(void)state;
	frame_push_vlan(&frame, 0x8100, 1);
	assert_memory_equal(&frame.hdr, &empty, sizeof(empty));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(the_tag_stands_between_macs_and_type),
		vt_test(offsets_of_a_partial_checksum_move_along),
		vt_test(a_frame_without_offloads_keeps_an_empty_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
