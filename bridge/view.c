/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Views of frames.
 *
 * Theory of operation.  A cursor walks from layer to layer.  It has two ends: where it is, and where the enclosing
 * layer says that its contents stop; the second only ever moves inwards, so that whatever is checked against it lies in
 * the frame.  A layer enters the view when its header is whole; then the cursor moves behind it.  What is not
 * recognised stays payload.
 *
 * Rejected: libpcap's filters.  A filter answers yes or no to one question; an inspector wants to know where things
 * are.
 */
#include <vnic/view.h>

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>

#include "bytes.h"

#define TAGS_MAX 2
#define TAG_LEN 4
#define ARP_FIXED 8
#define IPV4_LEN 20
#define IPV6_LEN 40
#define EXTENSIONS_MAX 8
#define TCP_LEN 20
#define UDP_LEN 8
#define ICMP_LEN 8 /* of all messages that are in use */
#define SCTP_LEN 12
#define VXLAN_LEN 8
#define VXLAN_VALID_VNI 0x08
#define GENEVE_LEN 8

#define IPV4_MORE 0x2000
#define IPV4_OFFSET 0x1fff
#define IPV6_MORE 0x0001
#define IPV6_OFFSET 0xfff8

struct cursor {
	struct vnic_view *view;
	const uint8_t *at;
	uint32_t left; /* until the end of what encloses it */
};

static uint32_t offset(const struct cursor *cursor)
{
	return (uint32_t)(cursor->at - cursor->view->data);
}

static void skip(struct cursor *cursor, uint32_t len)
{
	cursor->at += len;
	cursor->left -= len;
}

static void malformed(struct cursor *cursor)
{
	cursor->view->flags |= VNIC_VIEW_MALFORMED;
}

/* --- transport ---------------------------------------------------------------------- */

static void enter_l4(struct cursor *cursor, uint32_t layer, uint32_t header)
{
	cursor->view->layers |= layer;
	cursor->view->l4 = offset(cursor);
	cursor->view->l4_len = header;
	skip(cursor, header);
}

static void look_at_tcp(struct cursor *cursor)
{
	uint32_t header = cursor->left < TCP_LEN ? 0 : (cursor->at[12] >> 4) * 4u;

	if (header < TCP_LEN || header > cursor->left)
		return malformed(cursor);
	enter_l4(cursor, VNIC_LAYER_TCP, header);
}

static void look_for_tunnel(struct cursor *cursor, uint16_t port)
{
	switch (port) {
	case 4789:
	case 8472: /* what Linux took before there was an assignment */
		if (cursor->left >= VXLAN_LEN && cursor->at[0] & VXLAN_VALID_VNI)
			cursor->view->layers |= VNIC_LAYER_VXLAN;
		break;
	case 6081:
		if (cursor->left >= GENEVE_LEN && cursor->at[0] >> 6 == 0)
			cursor->view->layers |= VNIC_LAYER_GENEVE;
		break;
	}
}

static void look_at_udp(struct cursor *cursor)
{
	bool whole = !(cursor->view->flags & VNIC_VIEW_FRAGMENT);
	uint32_t len = cursor->left < UDP_LEN ? 0 : get16(cursor->at + 4);
	uint16_t port;

	if (len < UDP_LEN || (whole && len > cursor->left))
		return malformed(cursor);
	if (len < cursor->left)
		cursor->left = len;
	port = get16(cursor->at + 2);
	enter_l4(cursor, VNIC_LAYER_UDP, UDP_LEN);
	look_for_tunnel(cursor, port);
}

static void look_at_fixed(struct cursor *cursor, uint32_t layer, uint32_t header)
{
	if (cursor->left < header)
		return malformed(cursor);
	enter_l4(cursor, layer, header);
}

static void look_at_l4(struct cursor *cursor)
{
	struct vnic_view *view = cursor->view;
	bool v4 = view->layers & VNIC_LAYER_IPV4;

	if (view->flags & VNIC_VIEW_FRAGMENT_LATER)
		return;
	switch (view->ip_proto) {
	case IPPROTO_TCP:
		return look_at_tcp(cursor);
	case IPPROTO_UDP:
		return look_at_udp(cursor);
	case IPPROTO_SCTP:
		return look_at_fixed(cursor, VNIC_LAYER_SCTP, SCTP_LEN);
	case IPPROTO_ICMP:
		if (v4)
			look_at_fixed(cursor, VNIC_LAYER_ICMP, ICMP_LEN);
		return;
	case IPPROTO_ICMPV6:
		if (!v4)
			look_at_fixed(cursor, VNIC_LAYER_ICMPV6, ICMP_LEN);
		return;
	case IPPROTO_GRE:
		view->layers |= VNIC_LAYER_GRE;
		return;
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		view->layers |= VNIC_LAYER_IPIP;
		return;
	}
}

/* --- network ------------------------------------------------------------------------ */

static void set_fragment(struct vnic_view *view, uint32_t bytes_before, bool more)
{
	view->fragment_offset = bytes_before;
	if (bytes_before || more)
		view->flags |= VNIC_VIEW_FRAGMENT;
	if (bytes_before)
		view->flags |= VNIC_VIEW_FRAGMENT_LATER;
}

static void enter_l3(struct cursor *cursor, uint32_t layer, uint32_t header)
{
	cursor->view->layers |= layer;
	cursor->view->l3 = offset(cursor);
	cursor->view->l3_len = header;
	skip(cursor, header);
}

static void look_at_arp(struct cursor *cursor)
{
	const uint8_t *arp = cursor->at;
	uint32_t len;

	if (cursor->left < ARP_FIXED)
		return malformed(cursor);
	len = ARP_FIXED + 2u * arp[4] + 2u * arp[5];
	if (len > cursor->left)
		return malformed(cursor);
	if (get16(arp) == 1 && get16(arp + 2) == ETH_P_IP && arp[4] == ETH_ALEN && arp[5] == 4)
		cursor->view->flags |= VNIC_VIEW_ARP_IPV4;
	cursor->left = len;
	enter_l3(cursor, VNIC_LAYER_ARP, len);
}

static void look_at_ipv4(struct cursor *cursor)
{
	const uint8_t *ip = cursor->at;
	uint32_t header, total, fragment;

	if (cursor->left < IPV4_LEN || ip[0] >> 4 != 4)
		return malformed(cursor);
	header = (ip[0] & 15) * 4u;
	total = get16(ip + 2);
	if (header < IPV4_LEN || total < header || total > cursor->left)
		return malformed(cursor);
	cursor->left = total;
	cursor->view->ip_proto = ip[9];
	fragment = get16(ip + 6);
	set_fragment(cursor->view, (fragment & IPV4_OFFSET) * 8, fragment & IPV4_MORE);
	enter_l3(cursor, VNIC_LAYER_IPV4, header);
	look_at_l4(cursor);
}

static bool is_extension(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_FRAGMENT;
}

/* Moves behind the extension headers; false where the chain does not end in the packet. */
static bool skip_extensions(struct cursor *cursor)
{
	struct vnic_view *view = cursor->view;

	for (int i = 0; is_extension(view->ip_proto) && !(view->flags & VNIC_VIEW_FRAGMENT_LATER); i++) {
		const uint8_t *header = cursor->at;
		uint32_t len;

		if (i == EXTENSIONS_MAX || cursor->left < 8)
			return false;
		len = view->ip_proto == IPPROTO_FRAGMENT ? 8 : (header[1] + 1u) * 8;
		if (len > cursor->left)
			return false;
		if (view->ip_proto == IPPROTO_FRAGMENT) {
			view->flags |= VNIC_VIEW_FRAGMENT_HEADER;
			set_fragment(view, get16(header + 2) & IPV6_OFFSET, get16(header + 2) & IPV6_MORE);
		}
		view->ip_proto = header[0];
		view->l3_len += len;
		skip(cursor, len);
	}
	return true;
}

static void look_at_ipv6(struct cursor *cursor)
{
	const uint8_t *ip = cursor->at;

	if (cursor->left < IPV6_LEN || ip[0] >> 4 != 6 || get16(ip + 4) > cursor->left - IPV6_LEN)
		return malformed(cursor);
	cursor->left = IPV6_LEN + get16(ip + 4);
	cursor->view->ip_proto = ip[6];
	enter_l3(cursor, VNIC_LAYER_IPV6, IPV6_LEN);
	if (!skip_extensions(cursor))
		return malformed(cursor);
	look_at_l4(cursor);
}

/* --- link --------------------------------------------------------------------------- */

static bool is_tag(uint16_t ethertype)
{
	return ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD || ethertype == ETH_P_QINQ1;
}

static void skip_tags(struct cursor *cursor)
{
	struct vnic_view *view = cursor->view;

	while (is_tag(view->ethertype) && view->vlan_count < TAGS_MAX) {
		if (cursor->left < TAG_LEN)
			return malformed(cursor);
		view->layers |= VNIC_LAYER_VLAN;
		view->vlan[view->vlan_count++] = get16(cursor->at);
		view->ethertype = get16(cursor->at + 2);
		skip(cursor, TAG_LEN);
	}
}

static void look_at_ethernet(struct cursor *cursor)
{
	cursor->view->layers |= VNIC_LAYER_ETH;
	cursor->view->ethertype = get16(cursor->at + 2 * ETH_ALEN);
	skip(cursor, ETH_HLEN);
	skip_tags(cursor);
}

static void look_at_version(struct cursor *cursor)
{
	uint8_t version = cursor->at[0] >> 4;

	cursor->view->ethertype = version == 4 ? ETH_P_IP : version == 6 ? ETH_P_IPV6 : 0;
}

static void look_at_l3(struct cursor *cursor)
{
	switch (cursor->view->ethertype) {
	case ETH_P_ARP:
		return look_at_arp(cursor);
	case ETH_P_IP:
		return look_at_ipv4(cursor);
	case ETH_P_IPV6:
		return look_at_ipv6(cursor);
	}
}

/* --- the whole ---------------------------------------------------------------------- */

static void look_at_header(const struct vnic_vnet_hdr *hdr, struct vnic_view *view)
{
	view->segments = 1;
	if (!hdr)
		return;
	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		view->flags |= VNIC_VIEW_PARTIAL_CSUM;
	view->gso_type = hdr->gso_type & (uint8_t)~VNIC_GSO_ECN;
	if (view->gso_type == VNIC_GSO_NONE || hdr->gso_size == 0)
		return;
	view->gso_size = hdr->gso_size;
	if (view->payload_len > view->gso_size)
		view->segments = (view->payload_len - 1) / view->gso_size + 1;
}

int vnic_view_parse(const struct vnic_vnet_hdr *hdr, const void *data, size_t len, bool tun, struct vnic_view *ret_view)
{
	struct vnic_view view = {.data = data, .len = (uint32_t)len};
	struct cursor cursor = {.view = &view, .at = data, .left = (uint32_t)len};

	if (len < (tun ? 1 : ETH_HLEN))
		return -EINVAL;
	if (len > UINT32_MAX)
		return -EMSGSIZE;
	if (tun)
		look_at_version(&cursor);
	else
		look_at_ethernet(&cursor);
	look_at_l3(&cursor);
	view.payload = offset(&cursor);
	view.payload_len = cursor.left;
	look_at_header(hdr, &view);
	*ret_view = view;
	return 0;
}

static struct vnic_addr address_at(const struct vnic_view *view, uint32_t v4, uint32_t v6, uint32_t arp)
{
	struct vnic_addr addr = {0};
	uint32_t at;

	if (view->layers & VNIC_LAYER_IPV6) {
		addr = (struct vnic_addr){.family = AF_INET6, .prefix = 128};
		memcpy(addr.bytes, view->data + view->l3 + v6, 16);
	} else if (view->layers & VNIC_LAYER_IPV4 || view->flags & VNIC_VIEW_ARP_IPV4) {
		at = view->layers & VNIC_LAYER_IPV4 ? v4 : arp;
		addr = (struct vnic_addr){.family = AF_INET, .prefix = 32};
		memcpy(addr.bytes, view->data + view->l3 + at, 4);
	}
	return addr;
}

struct vnic_addr vnic_view_src(const struct vnic_view *view)
{
	return address_at(view, 12, 8, 14);
}

struct vnic_addr vnic_view_dst(const struct vnic_view *view)
{
	return address_at(view, 16, 24, 24);
}
