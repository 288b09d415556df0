/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Views of frames: what a view names lies in the frame, in order, and is what it claims to be.
 *
 * The input is a byte (1: a TUN packet), a virtio header, and the frame.
 */
#include <stdlib.h>
#include <string.h>

#include <vnic/view.h>

#define L4 (VNIC_LAYER_TCP | VNIC_LAYER_UDP | VNIC_LAYER_SCTP | VNIC_LAYER_ICMP | VNIC_LAYER_ICMPV6)

static void require(bool truth)
{
	if (!truth)
		abort();
}

static bool at_most_one(uint32_t bits)
{
	return !(bits & (bits - 1));
}

static void check_offsets(const struct vnic_view *view)
{
	uint32_t link = view->layers & VNIC_LAYER_ETH ? 14 + 4u * view->vlan_count : 0;

	require((uint64_t)view->payload + view->payload_len <= view->len);
	require(view->vlan_count <= 2 && !view->vlan_count == !(view->layers & VNIC_LAYER_VLAN));
	if (view->layers & (VNIC_LAYER_IP | VNIC_LAYER_ARP))
		require(view->l3 == link && view->l3 + view->l3_len <= vnic_view_end(view));
	else
		require(!view->l3 && !view->l3_len && view->payload == link);
	if (view->layers & L4)
		require(view->l4 == view->l3 + view->l3_len && view->l4 + view->l4_len == view->payload);
	else
		require(!view->l4 && !view->l4_len);
}

static void check_layers(const struct vnic_view *view)
{
	require(at_most_one(view->layers & (VNIC_LAYER_IP | VNIC_LAYER_ARP)));
	require(at_most_one(view->layers & L4));
	require(!(view->layers & (L4 | VNIC_LAYER_ENCAPSULATED)) || view->layers & VNIC_LAYER_IP);
	require(!(view->layers & L4) || !(view->flags & (VNIC_VIEW_FRAGMENT_LATER | VNIC_VIEW_MALFORMED)));
	require(!(view->flags & VNIC_VIEW_FRAGMENT_LATER) || view->flags & VNIC_VIEW_FRAGMENT);
	require(view->segments >= 1 && (view->segments == 1 || view->gso_size));
	require(view->segments == 1 || (uint64_t)(view->segments - 1) * view->gso_size < view->payload_len);
}

/* A sanitizer sees a byte that is not there. */
static void read_all(const struct vnic_view *view)
{
	static volatile uint32_t sink;
	struct vnic_addr src = vnic_view_src(view), dst = vnic_view_dst(view);

	for (uint32_t i = 0; i < vnic_view_end(view); i++)
		sink ^= view->data[i];
	sink ^= vnic_view_tcp_seq(view) ^ vnic_view_tcp_ack(view) ^ vnic_view_tcp_flags(view);
	sink ^= (uint32_t)vnic_view_sport(view) << 16 | vnic_view_dport(view);
	sink ^= vnic_view_u32(view, view->len - 1);
	(void)sink;
	require(src.family == dst.family);
	require(!(view->layers & VNIC_LAYER_IP) || src.family);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vnic_vnet_hdr hdr;
	struct vnic_view view;

	if (size < 1 + sizeof(hdr))
		return 0;
	memcpy(&hdr, data + 1, sizeof(hdr));
	if (vnic_view_parse(&hdr, data + 1 + sizeof(hdr), size - 1 - sizeof(hdr), data[0] & 1, &view) < 0)
		return 0;
	check_offsets(&view);
	check_layers(&view);
	read_all(&view);
	return 0;
}
