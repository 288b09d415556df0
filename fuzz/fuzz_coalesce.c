/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Merging frames: nothing is lost, and what was merged can be cut into the very same frames again (but for IPv4's
 * identification, which may have stood still, and for checksums that were partial).
 *
 * The input is a list of frames, each behind two bytes of length and ten of a virtio header.  Every frame is added
 * twice, once as it is and once as the next of its flow, so that something merges.
 */
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include <vnic/view.h>

#include "bytes.h"
#include "checksum.h"
#include "coalesce.h"
#include "gso.h"

#define FRAMES 64

static uint8_t room[FRAME_HEADROOM + VNIC_FRAME_MAX], piece[VNIC_FRAME_MAX];
static struct frame added[FRAMES]; /* since the last take */
static unsigned count;

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void forget(void)
{
	for (; count; count--)
		free(added[count - 1].data);
}

/* Without what may differ; 0xffff and 0 are the same in a checksum. */
static void blank(const struct frame *frame, const struct vnic_view *view, bool partial)
{
	uint8_t *check = frame->data + view->l4 + (view->layers & VNIC_LAYER_TCP ? 16 : 6);

	if (view->layers & VNIC_LAYER_IPV4) {
		memset(frame->data + view->l3 + 4, 0, 2);
		memset(frame->data + view->l3 + 10, 0, 2);
	}
	if (partial || get16(check) == 0xffff)
		put16(check, 0);
}

static void check_same(struct frame *segment, struct frame *frame)
{
	struct vnic_view view;
	bool partial = frame->hdr.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);

	require(segment->len == frame->len);
	require(vnic_view_parse(NULL, segment->data, segment->len, false, &view) == 0);
	blank(segment, &view, partial);
	blank(frame, &view, partial);
	require(memcmp(segment->data, frame->data, frame->len) == 0);
}

static void take(struct coalesce *coalesce)
{
	struct frame held, segment = {.data = piece};
	uint32_t frames;
	struct gso gso;

	if (!coalesce_take(coalesce, &held, &frames)) {
		require(count == 0);
		return;
	}
	require(frames == count && held.len <= VNIC_FRAME_MAX);
	if (frames > 1) {
		require(gso_begin(&gso, &held, false, 0) == 0 && gso.segments == frames);
		for (unsigned i = 0; gso_next(&gso, &segment); i++)
			check_same(&segment, &added[i]);
	} else {
		require(held.len == added[0].len && memcmp(held.data, added[0].data, held.len) == 0);
	}
	forget();
}

static void add(struct coalesce *coalesce, const struct frame *frame)
{
	enum coalesce_verdict verdict = coalesce_add(coalesce, frame);

	if (verdict == COALESCE_FLUSH) {
		require(count > 0);
		take(coalesce);
		verdict = coalesce_add(coalesce, frame);
	}
	require(verdict != COALESCE_FLUSH);
	if (verdict == COALESCE_PASS)
		return;
	require(count < FRAMES);
	added[count] = *frame;
	added[count].data = malloc(frame->len);
	require(added[count].data != NULL);
	memcpy(added[count++].data, frame->data, frame->len);
}

/* Sequence number and identification go on; a whole checksum becomes right. */
static void follow(struct frame *frame)
{
	struct vnic_view view;
	uint8_t *ip, *tcp;

	if (vnic_view_parse(&frame->hdr, frame->data, frame->len, false, &view) < 0)
		return;
	ip = frame->data + view.l3;
	tcp = frame->data + view.l4;
	if (view.layers & VNIC_LAYER_IPV4) {
		put16(ip + 4, get16(ip + 4) + 1u);
		put16(ip + 10, 0);
		put16(ip + 10, checksum_finish(checksum_add(0, ip, view.l3_len)));
	}
	if (view.layers & VNIC_LAYER_TCP) {
		put32(tcp + 4, get32(tcp + 4) + view.payload_len);
		frame->hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct coalesce coalesce;
	struct frame frame;

	coalesce_begin(&coalesce, room + FRAME_HEADROOM, false, VNIC_OFFLOAD_ALL);
	for (unsigned i = 0; i < FRAMES / 2 && size >= 12; i++) {
		frame.len = (size_t)get16(data) % (size - 12 + 1);
		memcpy(&frame.hdr, data + 2, sizeof(frame.hdr));
		frame.data = malloc(frame.len + 1);
		require(frame.data != NULL);
		memcpy(frame.data, data + 12, frame.len);
		data += 12 + frame.len;
		size -= 12 + frame.len;
		add(&coalesce, &frame);
		follow(&frame);
		add(&coalesce, &frame);
		free(frame.data);
	}
	take(&coalesce);
	return 0;
}
