/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Partial checksums.
 *
 * Theory of operation.  The sender leaves the sum of the pseudo header in the checksum's place; the sum over all from
 * csum_start to the frame's end, that place included, is then the whole one, whatever the protocol (virtio 1.2,
 * section 5.1.6.2).  A result of 0 is written as its other form 0xffff, for in UDP 0 means "none".
 *
 * SCTP is different: its checksum is a CRC32c over the same bytes (RFC 9260, appendix A).  A veth offloads that too
 * (NETIF_F_SCTP_CRC), so a packet socket may be handed such a frame, and is only told NEEDS_CSUM.  It is known by
 * csum_offset 8, which no other protocol has.
 *
 * A tunnel of the kernel over links of one host (a veth, a bridge) leaves the inner checksum, and the cutting of what
 * TCP sends, to a device at the end of the way, and there is none: so a socket is given a frame that is partial, and
 * not told.  But it can be seen: what stands in the checksum's place is the pseudo header's sum.  Where a
 * finished checksum has that value by chance (one in 65,536), finishing it again gives the same value, so nothing that
 * was right is made wrong; and of frames that were damaged on the way as many more are believed as any checksum
 * believes by chance.  Of a super-frame the size of the segments is lost; they are made to fit any link that carries
 * IPv6. (Rejected: a packet socket below the tunnel, which would be told, but wants privilege and the underlay's link.)
 */
#include "finish.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "bytes.h"
#include "checksum.h"
#include "gso.h"

#define SCTP_OFFSET 8 /* of the checksum in the header */
#define CRC_LEN 4
#define LINK_MTU 1500 /* what is larger, and partial, is a super-frame */
#define SAFE_MTU 1280 /* RFC 8200, section 5 */

uint32_t view_checksum_offset(const struct vnic_view *view)
{
	switch (view->layers & (VNIC_LAYER_TCP | VNIC_LAYER_UDP | VNIC_LAYER_ICMP | VNIC_LAYER_ICMPV6)) {
	case VNIC_LAYER_TCP:
		return 16;
	case VNIC_LAYER_UDP:
		return 6;
	case VNIC_LAYER_ICMP:
	case VNIC_LAYER_ICMPV6:
		return 2;
	default:
		return 0;
	}
}

uint64_t view_pseudo_sum(const struct vnic_view *view, size_t len)
{
	const uint8_t *ip = view->data + view->l3;
	bool v4 = view->layers & VNIC_LAYER_IPV4;

	if (view->layers & VNIC_LAYER_ICMP)
		return 0;
	return checksum_add_pseudo(0, ip + (v4 ? 12 : 8), ip + (v4 ? 16 : 24), v4 ? 4 : 16, view->ip_proto,
				   (uint32_t)len);
}

/* --- whole checksums ------------------------------------------------------------------ */

/* Half a byte at a time: SCTP is rare, and a table of sixteen stays in one cache line. */
static uint32_t crc32c(const uint8_t *p, size_t size)
{
	static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
					   0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
					   0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
	uint32_t crc = UINT32_MAX;

	for (; size; p++, size--) {
		crc ^= *p;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

/* The least significant byte comes first (RFC 9260, appendix A). */
void finish_sctp(uint8_t *start, size_t size)
{
	uint8_t *place = start + SCTP_OFFSET;
	uint32_t crc;

	memset(place, 0, CRC_LEN);
	crc = crc32c(start, size);
	for (int i = 0; i < CRC_LEN; i++)
		place[i] = (uint8_t)(crc >> 8 * i);
}

static void finish_sum(uint8_t *start, size_t size, size_t offset)
{
	uint16_t check = checksum_finish(checksum_add(0, start, size));

	put16(start + offset, check ? check : 0xffff);
}

static bool is_partial(const struct frame *frame)
{
	return frame->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
}

bool frame_checksum_fits(const struct frame *frame)
{
	size_t start = frame->hdr.csum_start, offset = frame->hdr.csum_offset;

	return !is_partial(frame) || start + offset + (offset == SCTP_OFFSET ? CRC_LEN : 2) <= frame->len;
}

int frame_finish_checksum(struct frame *frame)
{
	size_t start = frame->hdr.csum_start, offset = frame->hdr.csum_offset;

	if (frame->hdr.gso_type != VNIC_GSO_NONE || !frame_checksum_fits(frame))
		return -EPROTO;
	if (!is_partial(frame))
		return 0;
	if (offset == SCTP_OFFSET)
		finish_sctp(frame->data + start, frame->len - start);
	else
		finish_sum(frame->data + start, frame->len - start, offset);
	frame->hdr = (struct vnic_vnet_hdr){0};
	return 0;
}

/* --- what nobody has said is partial ---------------------------------------------------- */

/* Of TCP and UDP.  What is padded has been on a wire, and so is finished. */
static bool is_whole_l4(const struct frame *frame, const struct vnic_view *view)
{
	return view->layers & (VNIC_LAYER_TCP | VNIC_LAYER_UDP) && !(view->flags & VNIC_VIEW_FRAGMENT) &&
	       vnic_view_end(view) == frame->len;
}

static void say_super(struct frame *frame, const struct vnic_view *view)
{
	uint32_t headers = view->l3_len + view->l4_len;

	if (!(view->layers & VNIC_LAYER_TCP) || frame->len - view->l3 <= LINK_MTU || headers + GSO_SIZE_MIN > SAFE_MTU)
		return;
	frame->hdr.gso_type = view->layers & VNIC_LAYER_IPV4 ? VNIC_GSO_TCPV4 : VNIC_GSO_TCPV6;
	frame->hdr.gso_size = (uint16_t)(SAFE_MTU - headers);
	frame->hdr.hdr_len = (uint16_t)view->payload;
}

void frame_find_partial(struct frame *frame)
{
	struct vnic_view view;
	uint32_t offset;

	if (vnic_view_parse(NULL, frame->data, frame->len, false, &view) < 0 || !is_whole_l4(frame, &view))
		return;
	offset = view_checksum_offset(&view);
	if (vnic_view_u16(&view, view.l4 + offset) != checksum_fold(view_pseudo_sum(&view, view.len - view.l4)))
		return;
	frame->hdr = (struct vnic_vnet_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = (uint16_t)view.l4, .csum_offset = (uint16_t)offset};
	say_super(frame, &view);
}
