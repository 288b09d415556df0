/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generic receive offload: frames of one flow, read one after the other, become a super-frame.
 *
 * Theory of operation.  The first frame is copied to the caller's room.  Each that follows it in its flow adds its
 * payload there, until one does not, or says that it is the last: it is shorter, or has PSH.  When the super-frame
 * is taken, its lengths and a partial checksum are written.  One flow is held at a time: frames that come
 * from one read of a socket mostly belong together, and a table of flows would hold frames back.
 *
 * The rules are the kernel's (tcp_gro_receive, udp_gro_receive_segment, inet_gro_receive), so that gso.c or the
 * kernel gets the very same frames back from the super-frame: same link header, addresses, ports, TTL, TOS, flow label,
 * TCP acknowledgement, window, flags and options, timestamps among them; sequence numbers and IPv4 identifications
 * in order.  (Identifications may also all be the same with "don't fragment", where they mean nothing: RFC 6864.
 * They will count up then.)  No IP options, no fragments, no tunnels.
 *
 * The super-frame's checksum will be made anew, so a frame enters only if its own is right, or is partial, or the
 * kernel said that it had looked (DATA_VALID): a damaged frame stays damaged.
 */
#include "coalesce.h"

#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>

#include <vnic/view.h>

#include "bytes.h"
#include "checksum.h"
#include "gso.h"

#define IPV4_LEN 20
#define IPV6_LEN 40
#define IP_MAX 65535
#define UDP_FRAMES 64 /* UDP_MAX_SEGMENTS of Linux before 6.9 */
#define TCP_CHECK 16
#define UDP_CHECK 6
#define TCP_FLAGS 13
#define PSH 0x08
#define ACK 0x10
#define ECE 0x40
#define DONT_FRAGMENT 0x40

void coalesce_begin(struct coalesce *coalesce, uint8_t *data, bool tun, unsigned offloads)
{
	*coalesce = (struct coalesce){.frame = {.data = data}, .tun = tun, .offloads = offloads};
}

/* --- which frames ------------------------------------------------------------------- */

static unsigned offloads_for(const struct vnic_view *view)
{
	if (view->layers & VNIC_LAYER_UDP)
		return VNIC_OFFLOAD_CSUM | VNIC_OFFLOAD_USO4 | VNIC_OFFLOAD_USO6;
	return VNIC_OFFLOAD_CSUM | (view->layers & VNIC_LAYER_IPV4 ? VNIC_OFFLOAD_TSO4 : VNIC_OFFLOAD_TSO6);
}

/* A data segment or datagram in a plain IP packet. */
static bool is_plain(const struct coalesce *coalesce, const struct frame *frame, const struct vnic_view *view)
{
	const uint8_t *l4 = view->data + view->l4;

	if (frame->hdr.gso_type != VNIC_GSO_NONE || view->flags & ~VNIC_VIEW_PARTIAL_CSUM || !view->payload_len ||
	    vnic_view_end(view) != view->len || view->layers & VNIC_LAYER_ENCAPSULATED)
		return false;
	if (!(view->layers & (VNIC_LAYER_TCP | VNIC_LAYER_UDP)) || offloads_for(view) & ~coalesce->offloads)
		return false;
	if (view->l3_len != (view->layers & VNIC_LAYER_IPV4 ? IPV4_LEN : IPV6_LEN))
		return false;
	if (view->layers & VNIC_LAYER_UDP)
		return get16(l4 + UDP_CHECK) != 0;
	return (l4[TCP_FLAGS] & (uint8_t) ~(PSH | ECE)) == ACK;
}

static uint64_t pseudo_sum(const uint8_t *ip, bool v4, uint8_t proto, size_t l4_len)
{
	return checksum_add_pseudo(0, ip + (v4 ? 12 : 8), ip + (v4 ? 16 : 24), v4 ? 4 : 16, proto, (uint32_t)l4_len);
}

static bool is_right(const struct frame *frame, const struct vnic_view *view)
{
	const uint8_t *ip = view->data + view->l3, *l4 = view->data + view->l4;
	bool v4 = view->layers & VNIC_LAYER_IPV4;
	size_t len = view->len - view->l4, offset = view->layers & VNIC_LAYER_TCP ? TCP_CHECK : UDP_CHECK;
	uint64_t pseudo;

	if (v4 && checksum_finish(checksum_add(0, ip, IPV4_LEN)) != 0)
		return false;
	if (frame->hdr.flags & VIRTIO_NET_HDR_F_DATA_VALID)
		return true;
	pseudo = pseudo_sum(ip, v4, view->ip_proto, len);
	if (frame->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return frame->hdr.csum_start == view->l4 && frame->hdr.csum_offset == offset &&
		       get16(l4 + offset) == checksum_fold(pseudo);
	return checksum_finish(checksum_add(pseudo, l4, len)) == 0;
}

/* --- the first ---------------------------------------------------------------------- */

static uint8_t tcp_flags(const struct vnic_view *view)
{
	return view->layers & VNIC_LAYER_TCP ? view->data[view->l4 + TCP_FLAGS] : 0;
}

/* Not one that would also be the last; nor one so small that nobody would cut the super-frame again. */
static bool may_begin(const struct vnic_view *view)
{
	return view->payload_len >= GSO_SIZE_MIN && !(tcp_flags(view) & PSH) && view->len <= VNIC_FRAME_MAX;
}

static void hold(struct coalesce *coalesce, const struct frame *frame, const struct vnic_view *view)
{
	const uint8_t *ip = view->data + view->l3;

	memcpy(coalesce->frame.data, frame->data, frame->len);
	coalesce->frame.len = frame->len;
	coalesce->frame.hdr = frame->hdr;
	coalesce->v4 = view->layers & VNIC_LAYER_IPV4;
	coalesce->tcp = view->layers & VNIC_LAYER_TCP;
	coalesce->l3 = view->l3;
	coalesce->l4 = view->l4;
	coalesce->header = view->payload;
	coalesce->size = view->payload_len;
	coalesce->next_seq = vnic_view_tcp_seq(view) + view->payload_len;
	coalesce->next_id = coalesce->v4 ? get16(ip + 4) : 0;
	coalesce->last_flags = tcp_flags(view);
	coalesce->closed = false;
	coalesce->frames = 1;
}

/* --- those that follow -------------------------------------------------------------- */

static bool same(const uint8_t *a, const uint8_t *b, size_t from, size_t to)
{
	return memcmp(a + from, b + from, to - from) == 0;
}

/* Total length, identification and checksum may differ; of IPv6 the length. */
static bool same_ip(const struct coalesce *coalesce, const uint8_t *held, const uint8_t *ip)
{
	if (coalesce->v4)
		return same(held, ip, 0, 2) && same(held, ip, 6, 10) && same(held, ip, 12, 20);
	return same(held, ip, 0, 4) && same(held, ip, 6, 40);
}

/* Sequence number, checksum and PSH may differ. */
static bool same_tcp(const struct coalesce *coalesce, const uint8_t *held, const uint8_t *tcp)
{
	return same(held, tcp, 0, 4) && same(held, tcp, 8, 13) && !((held[13] ^ tcp[13]) & ~PSH) &&
	       same(held, tcp, 14, 16) && same(held, tcp, 18, coalesce->header - coalesce->l4) &&
	       get32(tcp + 4) == coalesce->next_seq;
}

static bool same_flow(const struct coalesce *coalesce, const struct vnic_view *view)
{
	const uint8_t *held = coalesce->frame.data;

	if (view->l3 != coalesce->l3 || view->l4 != coalesce->l4 || view->payload != coalesce->header)
		return false;
	if (!same(held, view->data, 0, view->l3) || !same_ip(coalesce, held + view->l3, view->data + view->l3))
		return false;
	if (coalesce->tcp)
		return same_tcp(coalesce, held + view->l4, view->data + view->l4);
	return same(held, view->data, view->l4, view->l4 + 4);
}

/* The second frame tells whether identifications count up or stay. */
static bool follows_id(struct coalesce *coalesce, const uint8_t *ip)
{
	uint16_t id;

	if (!coalesce->v4)
		return true;
	id = get16(ip + 4);
	if (coalesce->frames == 1)
		coalesce->id_step = !(ip[6] & DONT_FRAGMENT && id == coalesce->next_id);
	return id == (uint16_t)(coalesce->next_id + coalesce->id_step);
}

static bool has_room(const struct coalesce *coalesce, const struct vnic_view *view)
{
	return !coalesce->closed && view->payload_len <= coalesce->size &&
	       coalesce->frame.len - coalesce->l3 + view->payload_len <= IP_MAX &&
	       (coalesce->tcp || coalesce->frames < UDP_FRAMES);
}

static void append(struct coalesce *coalesce, const struct vnic_view *view)
{
	memcpy(coalesce->frame.data + coalesce->frame.len, view->data + view->payload, view->payload_len);
	coalesce->frame.len += view->payload_len;
	coalesce->next_seq += view->payload_len;
	coalesce->next_id = (uint16_t)(coalesce->next_id + coalesce->id_step);
	coalesce->last_flags = tcp_flags(view);
	coalesce->closed = view->payload_len < coalesce->size || coalesce->last_flags & PSH;
	coalesce->frames++;
}

enum coalesce_verdict coalesce_add(struct coalesce *coalesce, const struct frame *frame)
{
	struct vnic_view view;
	bool plain = vnic_view_parse(&frame->hdr, frame->data, frame->len, coalesce->tun, &view) == 0 &&
		     is_plain(coalesce, frame, &view);

	if (!coalesce->frames) {
		if (!plain || !may_begin(&view) || !is_right(frame, &view))
			return COALESCE_PASS;
		hold(coalesce, frame, &view);
		return COALESCE_HELD;
	}
	if (!plain || !has_room(coalesce, &view) || !same_flow(coalesce, &view) ||
	    !follows_id(coalesce, view.data + view.l3) || !is_right(frame, &view))
		return COALESCE_FLUSH;
	append(coalesce, &view);
	return COALESCE_HELD;
}

/* --- taking ------------------------------------------------------------------------- */

static void set_ip(const struct coalesce *coalesce, uint8_t *ip, size_t len)
{
	if (!coalesce->v4) {
		put16(ip + 4, (unsigned)(len - IPV6_LEN));
		return;
	}
	put16(ip + 2, (unsigned)len);
	put16(ip + 10, 0);
	put16(ip + 10, checksum_finish(checksum_add(0, ip, IPV4_LEN)));
}

static void make_super(struct coalesce *coalesce)
{
	struct frame *frame = &coalesce->frame;
	uint8_t *ip = frame->data + coalesce->l3, *l4 = frame->data + coalesce->l4;
	size_t len = frame->len - coalesce->l4, offset = coalesce->tcp ? TCP_CHECK : UDP_CHECK;

	set_ip(coalesce, ip, frame->len - coalesce->l3);
	if (coalesce->tcp)
		l4[TCP_FLAGS] = coalesce->last_flags;
	else
		put16(l4 + 4, (unsigned)len);
	put16(l4 + offset, checksum_fold(pseudo_sum(ip, coalesce->v4, coalesce->tcp ? IPPROTO_TCP : IPPROTO_UDP, len)));
	frame->hdr = (struct vnic_vnet_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = !coalesce->tcp ? VNIC_GSO_UDP
			    : coalesce->v4 ? VNIC_GSO_TCPV4
					   : VNIC_GSO_TCPV6,
		.hdr_len = (uint16_t)coalesce->header,
		.gso_size = (uint16_t)coalesce->size,
		.csum_start = (uint16_t)coalesce->l4,
		.csum_offset = (uint16_t)offset,
	};
}

bool coalesce_take(struct coalesce *coalesce, struct frame *ret_frame, uint32_t *ret_frames)
{
	if (!coalesce->frames)
		return false;
	if (coalesce->frames > 1)
		make_super(coalesce);
	*ret_frame = coalesce->frame;
	*ret_frames = coalesce->frames;
	coalesce->frames = 0;
	return true;
}
