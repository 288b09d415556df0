/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cutting frames: no segment is larger than the frame, together they have its payload, and where it was well-formed
 * they are too, with checksums as good as its own was.
 *
 * The input is a byte (1: a TUN packet, 2: the port finishes checksums), a virtio header, and the frame.
 */
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include <vnic/view.h>

#include "checksum.h"
#include "finish.h"
#include "gso.h"

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* What is wrong with a transport checksum: 0 if nothing is; a wrong partial checksum stays as wrong as it was. */
static uint16_t defect(const struct vnic_view *view)
{
	struct vnic_addr src = vnic_view_src(view), dst = vnic_view_dst(view);
	size_t len = vnic_view_end(view) - view->l4;
	uint64_t sum = checksum_add_pseudo(0, src.bytes, dst.bytes, src.family == AF_INET ? 4 : 16, view->ip_proto,
					   (uint32_t)len);
	uint16_t folded = checksum_fold(checksum_add(sum, view->data + view->l4, len));

	return folded == 0xffff ? 0 : folded;
}

static void check_piece(const struct frame *frame, const struct frame *segment, bool tun, const struct gso *gso,
			uint16_t *first)
{
	struct vnic_view whole, piece;
	size_t at = gso->header + (size_t)(gso->done - 1) * gso->size;

	require(vnic_view_parse(&frame->hdr, frame->data, frame->len, tun, &whole) == 0);
	require(vnic_view_parse(&segment->hdr, segment->data, segment->len, tun, &piece) == 0);
	require(!(piece.flags & VNIC_VIEW_MALFORMED) && piece.layers == whole.layers);
	require(piece.payload == whole.payload && vnic_view_end(&piece) == segment->len);
	require(piece.payload_len <= whole.gso_size && at + piece.payload_len <= frame->len);
	require(memcmp(segment->data + piece.payload, frame->data + at, piece.payload_len) == 0);
	if (segment->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return;
	if (gso->done == 1)
		*first = defect(&piece);
	require(defect(&piece) == *first);
}

static void cut(const struct frame *frame, bool tun, unsigned offloads)
{
	/* Exactly as much room as was asked for. */
	struct frame segment = {.data = malloc(frame->len + 1)};
	uint32_t segments = 0;
	size_t total = 0;
	struct gso gso;
	uint16_t first = 0;

	require(segment.data != NULL);
	if (gso_begin(&gso, frame, tun, offloads) == 0) {
		for (; gso_next(&gso, &segment); segments++) {
			require(segment.len <= frame->len && segment.hdr.gso_type == VNIC_GSO_NONE);
			require(!(gso_needs(&segment) & ~offloads));
			total += segment.len - gso.header;
			if (gso.segments > 1)
				check_piece(frame, &segment, tun, &gso, &first);
		}
		require(segments == gso.segments && segments >= 1 && segments <= 65536 / GSO_SIZE_MIN);
		require(total == frame->len - gso.header);
	}
	free(segment.data);
}

static void finish(const uint8_t *data, struct frame frame)
{
	uint8_t *copy = malloc(frame.len + 1);

	require(copy != NULL);
	memcpy(copy, data, frame.len);
	frame.data = copy;
	if (frame_finish_checksum(&frame) == 0)
		require(!(frame.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM));
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame;

	if (size < 1 + sizeof(frame.hdr) || size > VNIC_FRAME_MAX)
		return 0;
	memcpy(&frame.hdr, data + 1, sizeof(frame.hdr));
	frame.len = size - 1 - sizeof(frame.hdr);
	frame.data = malloc(frame.len + 1);
	require(frame.data != NULL);
	memcpy(frame.data, data + 1 + sizeof(frame.hdr), frame.len);
	cut(&frame, data[0] & 1, data[0] & 2 ? VNIC_OFFLOAD_CSUM : 0);
	finish(data + 1 + sizeof(frame.hdr), frame);
	free(frame.data);
	return 0;
}
