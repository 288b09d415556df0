/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cutting super-frames: what is refused, what is kept.  That the bytes are right: tests/kernel/gso_equal.c. */
#include "superframe.h"
#include "vt.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <vnic/view.h>

#include "bytes.h"
#include "checksum.h"
#include "finish.h"
#include "gso.h"

static uint8_t space[VNIC_FRAME_MAX], cut[VNIC_FRAME_MAX], other[VNIC_FRAME_MAX];

static const struct superframe tcp = {.payload = 4000, .gso_size = 1000, .tcp_options = 12, .tcp_flags = 0x99};
static const struct superframe udp = {.payload = 4000, .gso_size = 1000, .udp = true, .v6 = true};

static struct frame make(const struct superframe *spec)
{
	struct frame frame = {.data = space};

	frame.len = superframe_make(spec, space, &frame.hdr);
	return frame;
}

static int begin(const struct frame *frame)
{
	struct gso gso;

	return gso_begin(&gso, frame, false, 0);
}

static void flags_stay_where_they_belong(void **state)
{
	struct frame frame = make(&tcp), segment = {.data = cut};
	uint8_t flags[8];
	struct gso gso;
	size_t n = 0;

	(void)state;
	assert_int_equal(gso_begin(&gso, &frame, false, 0), 0);
	assert_int_equal(gso.segments, 4);
	while (gso_next(&gso, &segment))
		flags[n++] = segment.data[34 + 13];
	assert_int_equal(n, 4);
	assert_memory_equal(flags, "\x90\x10\x10\x19", 4);
}

/* Without the link header nothing else changes. */
static void a_tun_packet_is_cut_like_a_frame(void **state)
{
	(void)state;
	srandom(3);
	for (int i = 0; i < 200; i++) {
		struct superframe spec = superframe_random();
		struct frame frame = make(&spec), packet = frame;
		struct frame of_frame = {.data = cut}, of_packet = {.data = other};
		size_t link = superframe_l3(&spec);
		struct gso frames, packets;

		packet.data += link;
		packet.len -= link;
		packet.hdr.hdr_len = 0;
		packet.hdr.csum_start = (uint16_t)(spec.finished ? 0 : packet.hdr.csum_start - link);
		assert_int_equal(gso_begin(&frames, &frame, false, 0), 0);
		assert_int_equal(gso_begin(&packets, &packet, true, 0), 0);
		while (gso_next(&frames, &of_frame)) {
			assert_true(gso_next(&packets, &of_packet));
			assert_int_equal(of_packet.len, of_frame.len - link);
			assert_memory_equal(of_packet.data, of_frame.data + link, of_packet.len);
		}
		assert_false(gso_next(&packets, &of_packet));
	}
}

static void a_port_that_finishes_checksums_gets_them_partial(void **state)
{
	(void)state;
	srandom(4);
	for (int i = 0; i < 200; i++) {
		struct superframe spec = superframe_random();
		struct frame frame = make(&spec), whole = {.data = cut}, partial = {.data = other};
		struct gso wholes, partials;

		assert_int_equal(gso_begin(&wholes, &frame, false, 0), 0);
		assert_int_equal(gso_begin(&partials, &frame, false, VNIC_OFFLOAD_CSUM), 0);
		while (gso_next(&wholes, &whole)) {
			assert_true(gso_next(&partials, &partial));
			assert_int_equal(partial.hdr.gso_type, 0);
			if (partials.segments > 1)
				assert_int_equal(partial.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
			assert_int_equal(frame_finish_checksum(&partial), 0);
			assert_int_equal(partial.len, whole.len);
			assert_memory_equal(partial.data, whole.data, whole.len);
		}
		assert_false(gso_next(&partials, &partial));
	}
}

static void a_frame_that_needs_nothing_passes_whatever_it_is(void **state)
{
	struct frame frame = {.data = space, .len = 60}, segment = {.data = cut};
	struct gso gso;

	(void)state;
	for (size_t i = 0; i < frame.len; i++)
		space[i] = (uint8_t)random();
	assert_int_equal(gso_needs(&frame), 0);
	assert_int_equal(gso_begin(&gso, &frame, false, 0), 0);
	assert_true(gso_next(&gso, &segment));
	assert_int_equal(segment.len, 60);
	assert_memory_equal(segment.data, space, 60);
	assert_false(gso_next(&gso, &segment));
}

static void what_a_port_must_take_depends_on_the_frame(void **state)
{
	struct frame frame = make(&tcp);

	(void)state;
	assert_int_equal(gso_needs(&frame), VNIC_OFFLOAD_CSUM | VNIC_OFFLOAD_TSO4);
	frame.hdr.gso_type |= VNIC_GSO_ECN;
	assert_int_equal(gso_needs(&frame), VNIC_OFFLOAD_CSUM | VNIC_OFFLOAD_TSO4 | VNIC_OFFLOAD_ECN);
	frame = make(&udp);
	assert_int_equal(gso_needs(&frame), VNIC_OFFLOAD_CSUM | VNIC_OFFLOAD_USO4 | VNIC_OFFLOAD_USO6);
	frame.hdr.gso_type = VNIC_GSO_UFO;
	assert_int_equal(gso_needs(&frame), ~0u);
}

static void a_header_that_lies_is_refused(void **state)
{
	static const struct vnic_vnet_hdr good = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						  .gso_type = VNIC_GSO_TCPV4,
						  .hdr_len = 66,
						  .gso_size = 1000,
						  .csum_start = 34,
						  .csum_offset = 16};
	struct vnic_vnet_hdr bad[] = {good, good, good, good, good, good, good};
	struct frame frame = make(&tcp);

	(void)state;
	assert_memory_equal(&frame.hdr, &good, sizeof(good));
	assert_int_equal(begin(&frame), 0);
	bad[0].gso_size = 0;
	bad[1].gso_size = 7;
	bad[2].hdr_len = 4067;
	bad[3].csum_start = 35;
	bad[4].csum_start = 0xffff;
	bad[5].csum_offset = 6;
	bad[6].gso_type = VNIC_GSO_TCPV6;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		frame.hdr = bad[i];
		assert_int_equal(begin(&frame), -EPROTO);
	}
	frame.hdr = good;
	frame.hdr.gso_type = VNIC_GSO_UDP;
	assert_int_equal(begin(&frame), -EPROTO);
}

static void a_packet_that_lies_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} lies[] = {
		{14, 0x46},        /* four bytes of options, which are TCP's */
		{17, 0},           /* shorter than the frame */
		{20, 0x20},        /* more fragments */
		{21, 0x01},        /* a later one */
		{23, IPPROTO_UDP}, /* not TCP */
		{46, 0x40},        /* a TCP header of 16 bytes */
		{12, 0x86},        /* no ethertype that we know */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct frame frame = make(&tcp);

		space[lies[i].at] = lies[i].value;
		assert_int_equal(begin(&frame), -EPROTO);
	}
}

static void no_frame_is_cut_that_was_cut_short(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct superframe spec = v6 ? udp : tcp;
		struct frame frame = make(&spec);

		for (frame.len--; frame.len > 0; frame.len--)
			assert_int_equal(begin(&frame), -EPROTO);
	}
}

static void offloads_that_nobody_has_are_refused(void **state)
{
	static const uint8_t types[] = {2,
					VNIC_GSO_UFO,
					6,
					0x20 | VNIC_GSO_TCPV4,
					0x40 | VNIC_GSO_TCPV4,
					VNIC_GSO_ECN,
					VNIC_GSO_UDP | VNIC_GSO_ECN};
	struct frame frame = make(&tcp);

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		frame.hdr.gso_type = types[i];
		assert_int_equal(begin(&frame), -EPROTONOSUPPORT);
	}
}

static void a_super_frame_inside_a_tunnel_is_refused(void **state)
{
	struct superframe spec = udp;
	struct frame frame;

	(void)state;
	spec.v6 = false;
	frame = make(&spec);
	put16(space + 36, 4789);
	space[42] = 0x08;
	assert_int_equal(begin(&frame), 0); /* equal datagrams, be they a tunnel's */
	frame.hdr.gso_type = VNIC_GSO_TCPV4;
	assert_int_equal(begin(&frame), -EPROTONOSUPPORT);
}

/* The kernel leaves the pseudo header's sum to the sender; a routing header makes its destination another one. */
static void the_senders_pseudo_header_is_kept(void **state)
{
	struct superframe spec = udp;
	struct frame frame = make(&spec), segment = {.data = cut};
	uint64_t sum;
	struct gso gso;

	(void)state;
	put16(space + 54 + 6, (get16(space + 54 + 6) + 5) & 0xffff);
	assert_int_equal(gso_begin(&gso, &frame, false, 0), 0);
	while (gso_next(&gso, &segment)) {
		sum = checksum_add_pseudo(0, cut + 22, cut + 38, 16, IPPROTO_UDP, (uint32_t)(segment.len - 54));
		sum = checksum_add16(checksum_add(sum, cut + 54, segment.len - 54), 5);
		assert_int_equal(checksum_fold(sum), 0xffff);
	}
}

/* --- partial checksums -------------------------------------------------------------- */

static void a_finished_checksum_is_that_of_the_whole(void **state)
{
	(void)state;
	srandom(5);
	for (int i = 0; i < 300; i++) {
		struct superframe spec = superframe_random();
		struct frame frame, whole = {.data = cut};
		unsigned seed = (unsigned)i;

		spec.gso_size = 0;
		spec.finished = false;
		srandom(seed);
		frame = make(&spec);
		spec.finished = true;
		srandom(seed);
		whole.len = superframe_make(&spec, cut, &whole.hdr);
		assert_int_equal(frame_finish_checksum(&frame), 0);
		assert_memory_equal(frame.data, whole.data, whole.len);
		assert_memory_equal(&frame.hdr, &whole.hdr, sizeof(whole.hdr));
		assert_int_equal(frame_finish_checksum(&frame), 0);
		assert_memory_equal(frame.data, whole.data, whole.len);
	}
}

static void a_checksum_of_zero_is_written_as_ffff(void **state)
{
	uint8_t bytes[16] = {0};
	struct frame frame = {
		.hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_offset = 6}, .data = bytes, .len = 16};

	(void)state;
	bytes[0] = bytes[1] = 0xff;
	assert_int_equal(frame_finish_checksum(&frame), 0);
	assert_int_equal(get16(bytes + 6), 0xffff);
}

static void a_checksum_outside_of_the_frame_is_refused(void **state)
{
	uint8_t bytes[16] = {0};
	struct frame frame = {.data = bytes, .len = 16};
	static const struct {
		uint16_t start, offset;
		int result;
	} cases[] = {{0, 14, 0}, {0, 15, -EPROTO}, {14, 0, 0}, {15, 0, -EPROTO}, {0xffff, 0xffff, -EPROTO},
		     {4, 8, 0},  {5, 8, -EPROTO}}; /* CRC32c has four bytes */

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gso gso;

		frame.hdr = (struct vnic_vnet_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						   .csum_start = cases[i].start,
						   .csum_offset = cases[i].offset};
		assert_int_equal(gso_begin(&gso, &frame, false, 0), cases[i].result);
		assert_int_equal(frame_finish_checksum(&frame), cases[i].result);
	}
	frame.hdr = (struct vnic_vnet_hdr){.gso_type = VNIC_GSO_TCPV4};
	assert_int_equal(frame_finish_checksum(&frame), -EPROTO);
}

/* RFC 3720, B.4: 32 bytes of zeros have the CRC32c aa 36 91 8a, in the order of the wire. */
static void an_sctp_checksum_is_a_crc(void **state)
{
	uint8_t bytes[32] = {[8] = 1, 2, 3, 4};
	struct frame frame = {
		.hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_offset = 8}, .data = bytes, .len = 32};

	(void)state;
	assert_int_equal(frame_finish_checksum(&frame), 0);
	assert_memory_equal(bytes + 8, "\xaa\x36\x91\x8a", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(flags_stay_where_they_belong),
		vt_test(a_tun_packet_is_cut_like_a_frame),
		vt_test(a_port_that_finishes_checksums_gets_them_partial),
		vt_test(a_frame_that_needs_nothing_passes_whatever_it_is),
		vt_test(what_a_port_must_take_depends_on_the_frame),
		vt_test(a_header_that_lies_is_refused),
		vt_test(a_packet_that_lies_is_refused),
		vt_test(no_frame_is_cut_that_was_cut_short),
		vt_test(offloads_that_nobody_has_are_refused),
		vt_test(a_super_frame_inside_a_tunnel_is_refused),
		vt_test(the_senders_pseudo_header_is_kept),
		vt_test(a_finished_checksum_is_that_of_the_whole),
		vt_test(a_checksum_of_zero_is_written_as_ffff),
		vt_test(a_checksum_outside_of_the_frame_is_refused),
		vt_test(an_sctp_checksum_is_a_crc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
