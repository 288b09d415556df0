/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checksums of a frame that somebody has changed.
 *
 * Theory of operation.  Everything is summed anew: who changed what is not known, and a change pays for
 * reading the frame once.  A super-frame gets a partial checksum, which does not depend on its payload; who cuts it
 * later finishes each segment.  (Rejected: RFC 1624's updates, which need every change to be reported.)
 */
#include "renew.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>

#include <vnic/inspect.h>

#include "bytes.h"
#include "checksum.h"
#include "finish.h"
#include "gso.h"

#define IPV4_CHECK 10
#define IPV6_LEN 40
#define IPV6_NEXT 6

/* Behind it the pseudo header has another destination than the header. */
static bool has_routing_header(const struct vnic_view *view)
{
	uint32_t at = view->l3 + IPV6_LEN;
	uint8_t next = vnic_view_u8(view, view->l3 + IPV6_NEXT);

	if (!(view->layers & VNIC_LAYER_IPV6))
		return false;
	while (next != IPPROTO_ROUTING && at < view->l3 + view->l3_len) {
		uint32_t len = next == IPPROTO_FRAGMENT ? 8 : (vnic_view_u8(view, at + 1) + 1u) * 8;

		next = vnic_view_u8(view, at);
		at += len;
	}
	return next == IPPROTO_ROUTING;
}

static void fill_ipv4(uint8_t *ip, uint32_t len)
{
	put16(ip + IPV4_CHECK, 0);
	put16(ip + IPV4_CHECK, checksum_finish(checksum_add(0, ip, len)));
}

static void fill_transport(uint8_t *data, const struct vnic_view *view)
{
	uint8_t *l4 = data + view->l4, *place = l4 + view_checksum_offset(view);
	uint32_t len = vnic_view_end(view) - view->l4;
	uint16_t check;

	put16(place, 0);
	check = checksum_finish(checksum_add(view_pseudo_sum(view, len), l4, len));
	put16(place, check || !(view->layers & VNIC_LAYER_UDP) ? check : 0xffff);
}

static bool has_udp_without_checksum(const struct vnic_view *view)
{
	return view->layers & VNIC_LAYER_UDP && view->layers & VNIC_LAYER_IPV4 && !vnic_view_u16(view, view->l4 + 6) &&
	       !(view->flags & VNIC_VIEW_PARTIAL_CSUM);
}

static void fill(uint8_t *data, const struct vnic_view *view)
{
	if (view->layers & VNIC_LAYER_IPV4)
		fill_ipv4(data + view->l3, view->l3_len);
	if (view->flags & VNIC_VIEW_FRAGMENT || has_routing_header(view) || has_udp_without_checksum(view))
		return;
	if (view->layers & VNIC_LAYER_SCTP)
		finish_sctp(data + view->l4, vnic_view_end(view) - view->l4);
	else if (view_checksum_offset(view))
		fill_transport(data, view);
}

int vnic_frame_fill_checksums(void *frame, size_t len, bool tun)
{
	struct vnic_view view;
	int r = vnic_view_parse(NULL, frame, len, tun, &view);

	if (r == 0)
		fill(frame, &view);
	return r;
}

/* A partial checksum of something else than the packet's own transport: inside a tunnel, or behind a routing header. */
static bool has_inner_partial(const struct frame *frame, const struct vnic_view *view)
{
	return view->flags & VNIC_VIEW_PARTIAL_CSUM &&
	       (frame->hdr.csum_start != view->l4 || !view->l4 || has_routing_header(view));
}

static int renew_frame(struct frame *frame, const struct vnic_view *view)
{
	int r = has_inner_partial(frame, view) ? frame_finish_checksum(frame) : 0;

	if (r < 0)
		return r;
	fill(frame->data, view);
	frame->hdr = (struct vnic_vnet_hdr){0};
	return 0;
}

static int renew_super_frame(struct frame *frame, const struct vnic_view *view, bool tun)
{
	const uint32_t offset = view_checksum_offset(view);
	struct gso gso;

	if (!(view->layers & (VNIC_LAYER_TCP | VNIC_LAYER_UDP)) || view->layers & VNIC_LAYER_ENCAPSULATED ||
	    has_routing_header(view))
		return -EPROTO;
	if (view->layers & VNIC_LAYER_IPV4)
		fill_ipv4(frame->data + view->l3, view->l3_len);
	put16(frame->data + view->l4 + offset, checksum_fold(view_pseudo_sum(view, vnic_view_end(view) - view->l4)));
	frame->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	frame->hdr.hdr_len = (uint16_t)view->payload;
	frame->hdr.csum_start = (uint16_t)view->l4;
	frame->hdr.csum_offset = (uint16_t)offset;
	return gso_begin(&gso, frame, tun, 0) < 0 ? -EPROTO : 0;
}

int frame_renew(struct frame *frame, bool tun)
{
	struct vnic_view view;
	int r = vnic_view_parse(&frame->hdr, frame->data, frame->len, tun, &view);

	if (r < 0)
		return r;
	if (view.gso_type == VNIC_GSO_NONE)
		return renew_frame(frame, &view);
	if (view.segments > 1)
		return renew_super_frame(frame, &view, tun);
	frame->hdr.gso_type = VNIC_GSO_NONE; /* it has shrunk to one */
	return renew_frame(frame, &view);
}
