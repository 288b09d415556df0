/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames merged into super-frames: what gso.c cuts comes back whole, and what does not belong together stays apart. */
#include "superframe.h"
#include "vt.h"

#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include <vnic/view.h>

#include "bytes.h"
#include "checksum.h"
#include "coalesce.h"
#include "gso.h"

static uint8_t space[VNIC_FRAME_MAX], pieces[VNIC_FRAME_MAX], room[FRAME_HEADROOM + VNIC_FRAME_MAX];

static const struct superframe tcp = {.payload = 1000, .finished = true, .tcp_options = 12, .tcp_flags = 0x10, .id = 7};
static const struct superframe udp = {.payload = 1000, .finished = true, .udp = true, .v6 = true, .id = 7};

static struct coalesce begin(void)
{
	struct coalesce coalesce;

	coalesce_begin(&coalesce, room + FRAME_HEADROOM, false, VNIC_OFFLOAD_ALL);
	return coalesce;
}

static enum coalesce_verdict add(struct coalesce *coalesce, const struct superframe *spec)
{
	struct frame frame = {.data = space};

	frame.len = superframe_make(spec, space, &frame.hdr);
	return coalesce_add(coalesce, &frame);
}

/* The next in its flow. */
static struct superframe after(const struct superframe *spec)
{
	struct superframe next = *spec;

	next.id++;
	next.seq += spec->payload;
	return next;
}

static struct frame take(struct coalesce *coalesce, uint32_t frames)
{
	struct frame frame;
	uint32_t count;

	assert_true(coalesce_take(coalesce, &frame, &count));
	assert_int_equal(count, frames);
	assert_false(coalesce_take(coalesce, &frame, &count));
	return frame;
}

/* --- what belongs together ---------------------------------------------------------- */

static void what_was_cut_comes_back_whole(void **state)
{
	unsigned merged = 0;

	(void)state;
	srandom(6);
	for (int i = 0; i < 1500; i++) {
		struct superframe spec = superframe_random();
		struct frame whole = {.data = space}, piece = {.data = pieces}, back;
		struct coalesce coalesce = begin();
		struct gso gso;

		spec.finished = false;
		spec.ip_options = 0;
		spec.tcp_flags &= 0x58;
		spec.gso_size = spec.gso_size ? spec.gso_size : 100;
		spec.payload = spec.udp && spec.payload > 64u * spec.gso_size ? 64u * spec.gso_size : spec.payload;
		whole.len = superframe_make(&spec, space, &whole.hdr);
		if (spec.payload <= spec.gso_size)
			continue;
		assert_int_equal(gso_begin(&gso, &whole, false, random() & 1 ? VNIC_OFFLOAD_CSUM : 0), 0);
		while (gso_next(&gso, &piece))
			assert_int_equal(coalesce_add(&coalesce, &piece), COALESCE_HELD);
		back = take(&coalesce, gso.segments);
		assert_int_equal(back.len, whole.len);
		assert_memory_equal(back.data, whole.data, whole.len);
		assert_memory_equal(&back.hdr, &whole.hdr, sizeof(whole.hdr));
		merged++;
	}
	assert_true(merged > 700);
}

static void one_frame_leaves_as_it_came(void **state)
{
	struct coalesce coalesce = begin();
	struct frame back;
	size_t len;

	(void)state;
	assert_int_equal(add(&coalesce, &tcp), COALESCE_HELD);
	back = take(&coalesce, 1);
	len = superframe_payload(&tcp) + tcp.payload;
	assert_int_equal(back.len, len);
	assert_memory_equal(back.data, space, len);
	assert_int_equal(back.hdr.flags, 0);
	assert_int_equal(back.hdr.gso_type, 0);
}

static void a_short_or_pushed_segment_is_the_last(void **state)
{
	(void)state;
	for (int pushed = 0; pushed < 2; pushed++) {
		struct coalesce coalesce = begin();
		struct superframe second = after(&tcp), third;
		struct frame back;

		if (pushed)
			second.tcp_flags |= 0x08;
		else
			second.payload = 999;
		third = after(&second);
		third.tcp_flags = tcp.tcp_flags;
		assert_int_equal(add(&coalesce, &tcp), COALESCE_HELD);
		assert_int_equal(add(&coalesce, &second), COALESCE_HELD);
		assert_int_equal(add(&coalesce, &third), COALESCE_FLUSH);
		back = take(&coalesce, 2);
		assert_int_equal(back.data[34 + 13], second.tcp_flags);
		assert_int_equal(add(&coalesce, &third), COALESCE_HELD);
	}
}

static void identifications_may_stand_still_only_in_packets_that_nobody_cuts(void **state)
{
	(void)state;
	for (int cut = 0; cut < 2; cut++) {
		struct coalesce coalesce = begin();

		for (unsigned i = 0; i < 3; i++) {
			struct superframe spec = tcp;
			struct frame frame = {.data = space};

			spec.seq = i * tcp.payload;
			frame.len = superframe_make(&spec, space, &frame.hdr);
			if (cut) {
				put16(space + 20, 0);
				put16(space + 24, 0);
				put16(space + 24, checksum_finish(checksum_add(0, space + 14, 20)));
			}
			assert_int_equal(coalesce_add(&coalesce, &frame), cut && i ? COALESCE_FLUSH : COALESCE_HELD);
		}
		take(&coalesce, cut ? 1 : 3);
	}
}

static void a_super_frame_is_never_longer_than_ip_allows(void **state)
{
	struct coalesce coalesce = begin();
	struct superframe spec = tcp;
	unsigned held = 0;

	(void)state;
	while (add(&coalesce, &spec) == COALESCE_HELD) {
		spec = after(&spec);
		held++;
	}
	assert_int_equal(held, (65535 - 20 - 32) / 1000);
	assert_int_equal(take(&coalesce, held).len, superframe_payload(&tcp) + 1000 * held);
}

static void no_more_than_64_datagrams_are_merged(void **state)
{
	struct coalesce coalesce = begin();
	struct superframe spec = udp;

	(void)state;
	spec.payload = 10;
	for (int i = 0; i < 64; i++)
		assert_int_equal(add(&coalesce, &spec), COALESCE_HELD);
	assert_int_equal(add(&coalesce, &spec), COALESCE_FLUSH);
	take(&coalesce, 64);
}

/* --- what does not ------------------------------------------------------------------ */

/* The second frame of a flow after one byte of it has another value and its checksums are right again. */
static enum coalesce_verdict add_changed(const struct superframe *first, size_t at, uint8_t xor)
{
	struct coalesce coalesce = begin();
	struct superframe second = after(first);
	struct frame frame = {.data = space};
	size_t l3 = superframe_l3(first);

	assert_int_equal(add(&coalesce, first), COALESCE_HELD);
	second.finished = false;
	frame.len = superframe_make(&second, space, &frame.hdr);
	space[at] ^= xor;
	if (!first->v6) {
		put16(space + l3 + 10, 0);
		put16(space + l3 + 10, checksum_finish(checksum_add(0, space + l3, 20)));
	}
	/* Checksums are not what is asked for here. */
	frame.hdr = (struct vnic_vnet_hdr){.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	return coalesce_add(&coalesce, &frame);
}

static void frames_that_differ_in_any_byte_of_their_headers_stay_apart(void **state)
{
	struct superframe specs[] = {tcp, tcp, udp, udp};

	(void)state;
	specs[1].v6 = true;
	specs[3].v6 = false;
	for (size_t s = 0; s < 4; s++) {
		size_t l3 = superframe_l3(&specs[s]), l4 = superframe_l4(&specs[s]),
		       end = superframe_payload(&specs[s]);

		for (size_t at = 0; at < end; at++) {
			bool ip_checksum = !specs[s].v6 && (at == l3 + 10 || at == l3 + 11);
			bool checksum = at - l4 - (specs[s].udp ? 6 : 16) < 2;
			/* The lengths' own tests are elsewhere. */
			bool length = at == l3 + (specs[s].v6 ? 4 : 2) || at == l3 + (specs[s].v6 ? 5 : 3) ||
				      (specs[s].udp && (at == l4 + 4 || at == l4 + 5));

			if (!ip_checksum && !length)
				assert_int_equal(add_changed(&specs[s], at, 1),
						 checksum ? COALESCE_HELD : COALESCE_FLUSH);
		}
	}
}

static void flags_other_than_push_do_not_merge(void **state)
{
	(void)state;
	for (unsigned bit = 0x01; bit <= 0x80; bit <<= 1) {
		struct coalesce coalesce = begin();
		struct superframe second = after(&tcp);

		second.tcp_flags ^= (uint8_t)bit;
		assert_int_equal(add(&coalesce, &tcp), COALESCE_HELD);
		assert_int_equal(add(&coalesce, &second), bit == 0x08 ? COALESCE_HELD : COALESCE_FLUSH);
	}
}

static void a_lost_or_doubled_segment_ends_the_run(void **state)
{
	struct coalesce coalesce = begin();
	struct superframe lost = after(&tcp);

	(void)state;
	lost = after(&lost);
	assert_int_equal(add(&coalesce, &tcp), COALESCE_HELD);
	assert_int_equal(add(&coalesce, &tcp), COALESCE_FLUSH);
	assert_int_equal(add(&coalesce, &lost), COALESCE_FLUSH);
	take(&coalesce, 1);
}

static void a_longer_segment_ends_the_run(void **state)
{
	struct coalesce coalesce = begin();
	struct superframe longer = after(&tcp);

	(void)state;
	longer.payload++;
	assert_int_equal(add(&coalesce, &tcp), COALESCE_HELD);
	assert_int_equal(add(&coalesce, &longer), COALESCE_FLUSH);
}

/* What cannot be merged passes while nothing is held, and waits for what is held. */
static void assert_alone(const struct frame *frame)
{
	struct coalesce coalesce = begin();
	struct frame other = {.data = pieces};
	struct frame held;
	uint32_t frames;

	assert_int_equal(coalesce_add(&coalesce, frame), COALESCE_PASS);
	assert_false(coalesce_take(&coalesce, &held, &frames));
	other.len = superframe_make(&tcp, pieces, &other.hdr);
	assert_int_equal(coalesce_add(&coalesce, &other), COALESCE_HELD);
	assert_int_equal(coalesce_add(&coalesce, frame), COALESCE_FLUSH);
}

/* A frame that is not what its checksums say merges with none, be it the first or the second. */
static void assert_not_merged(const struct superframe *spec, size_t at, uint8_t xor)
{
	for (int second = 0; second < 2; second++) {
		struct coalesce coalesce = begin();
		struct superframe next = after(spec);
		struct frame frame = {.data = space}, held;
		size_t len;

		len = frame.len = superframe_make(spec, space, &frame.hdr);
		space[at] ^= second ? 0 : xor;
		assert_int_equal(coalesce_add(&coalesce, &frame), COALESCE_HELD);
		memcpy(pieces, space, len);
		frame.len = superframe_make(&next, space, &frame.hdr);
		space[at] ^= second ? xor : 0;
		assert_int_equal(coalesce_add(&coalesce, &frame), COALESCE_FLUSH);
		held = take(&coalesce, 1);
		assert_int_equal(held.len, len);
		assert_memory_equal(held.data, pieces, len);
	}
}

static void a_damaged_frame_stays_damaged(void **state)
{
	struct superframe udp4 = udp;

	(void)state;
	udp4.v6 = false;
	assert_not_merged(&tcp, superframe_payload(&tcp) + 500, 0x10);
	assert_not_merged(&tcp, superframe_l3(&tcp) + 10, 0x10);
	assert_not_merged(&udp, superframe_payload(&udp) + 500, 0x10);
	assert_not_merged(&udp4, superframe_l3(&udp4) + 11, 0x01);
}

static void a_partial_checksum_that_lies_does_not_merge(void **state)
{
	struct superframe spec = tcp, next = after(&tcp);
	struct coalesce coalesce = begin();
	struct frame frame = {.data = space};

	(void)state;
	spec.finished = next.finished = false;
	assert_not_merged(&spec, superframe_l4(&spec) + 16, 1);
	assert_int_equal(add(&coalesce, &spec), COALESCE_HELD);
	frame.len = superframe_make(&next, space, &frame.hdr);
	frame.hdr.csum_start++;
	assert_int_equal(coalesce_add(&coalesce, &frame), COALESCE_FLUSH);
	frame.hdr.csum_start--;
	assert_int_equal(coalesce_add(&coalesce, &frame), COALESCE_HELD);
	take(&coalesce, 2);
}

static void what_is_no_plain_segment_passes(void **state)
{
	struct superframe empty = tcp, push = tcp, options = tcp, tiny = udp, super = tcp, unchecked = udp;
	struct superframe *specs[] = {&empty, &push, &options, &tiny, &super, &unchecked};

	(void)state;
	empty.payload = 0;
	push.tcp_flags = 0x18;
	options.ip_options = 4;
	tiny.payload = 7;
	super.gso_size = 100;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct frame frame = {.data = space};

		frame.len = superframe_make(specs[i], space, &frame.hdr);
		if (specs[i] == &unchecked)
			put16(space + 54 + 6, 0);
		assert_alone(&frame);
	}
}

static void fragments_padding_and_strangers_pass(void **state)
{
	struct frame frame = {.data = space};

	(void)state;
	frame.len = superframe_make(&tcp, space, &frame.hdr);
	space[20] = 0x20;
	put16(space + 24, 0);
	put16(space + 24, checksum_finish(checksum_add(0, space + 14, 20)));
	assert_alone(&frame);
	frame.len = superframe_make(&tcp, space, &frame.hdr) + 1;
	assert_alone(&frame);
	put16(space + 12, 0x88b5);
	assert_alone(&frame);
	frame.len = 5;
	assert_alone(&frame);
}

static void a_port_is_given_only_what_it_takes(void **state)
{
	struct superframe specs[] = {tcp, tcp, udp};
	static const unsigned lacks[] = {VNIC_OFFLOAD_TSO4, VNIC_OFFLOAD_TSO6, VNIC_OFFLOAD_USO6};

	(void)state;
	specs[1].v6 = true;
	for (size_t s = 0; s < 3; s++) {
		struct coalesce coalesce;

		coalesce_begin(&coalesce, room + FRAME_HEADROOM, false, VNIC_OFFLOAD_ALL & ~lacks[s]);
		assert_int_equal(add(&coalesce, &specs[s]), COALESCE_PASS);
		coalesce_begin(&coalesce, room + FRAME_HEADROOM, false, VNIC_OFFLOAD_CSUM | lacks[s]);
		assert_int_equal(add(&coalesce, &specs[s]), s == 2 ? COALESCE_PASS : COALESCE_HELD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(what_was_cut_comes_back_whole),
		vt_test(one_frame_leaves_as_it_came),
		vt_test(a_short_or_pushed_segment_is_the_last),
		vt_test(identifications_may_stand_still_only_in_packets_that_nobody_cuts),
		vt_test(a_super_frame_is_never_longer_than_ip_allows),
		vt_test(no_more_than_64_datagrams_are_merged),
		vt_test(frames_that_differ_in_any_byte_of_their_headers_stay_apart),
		vt_test(flags_other_than_push_do_not_merge),
		vt_test(a_lost_or_doubled_segment_ends_the_run),
		vt_test(a_longer_segment_ends_the_run),
		vt_test(a_damaged_frame_stays_damaged),
		vt_test(a_partial_checksum_that_lies_does_not_merge),
		vt_test(what_is_no_plain_segment_passes),
		vt_test(fragments_padding_and_strangers_pass),
		vt_test(a_port_is_given_only_what_it_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
