/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  A link's ingress hook sees a frame after the packet sockets that want everything, as a capture
 * does, and before the protocols and the packet sockets of one protocol.  The flow's datagrams are made frames for
 * somebody else there: IP drops those at its first look, and a packet socket gets them all the same, which knows them
 * by their mark.  So one rule decides for both, and becomes true and untrue for both at once.
 *
 * Only packets that need no look at what stands behind the IP header's fixed part: without options or extension
 * headers, not fragmented.  And only those that are for us, by their MAC, and of no VLAN.
 *
 * Rejected: a packet socket that sees everything, and a rule that drops what its own filter lets through: until both
 * stand datagrams come twice, or never.
 */
#include "nft_ring.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>

#include "fd.h"
#include "nft_batch.h"

#define TABLE "ring"

static void is(struct nft_batch *batch, uint32_t offset, const void *value, uint32_t size)
{
	nft_load(batch, NFT_PAYLOAD_NETWORK_HEADER, offset, size);
	nft_compare(batch, NFT_CMP_EQ, value, size);
}

static void is_u8(struct nft_batch *batch, uint32_t offset, uint8_t value)
{
	is(batch, offset, &value, sizeof(value));
}

/* By the link's header: for what is of a VLAN that says so, wherever the kernel keeps it. */
static void is_protocol(struct nft_batch *batch, uint16_t protocol)
{
	const uint16_t wire = htons(protocol);

	nft_load(batch, NFT_PAYLOAD_LL_HEADER, offsetof(struct ethhdr, h_proto), sizeof(wire));
	nft_compare(batch, NFT_CMP_EQ, &wire, sizeof(wire));
}

static void is_flow4(struct nft_batch *batch, const struct nft_ring *ring)
{
	const uint16_t fragment = htons(0xbfff), none = 0; /* all but "do not fragment" */

	is_protocol(batch, ETH_P_IP);
	is_u8(batch, 0, 0x45);
	nft_load(batch, NFT_PAYLOAD_NETWORK_HEADER, 6, sizeof(fragment));
	nft_mask(batch, &fragment, sizeof(fragment));
	nft_compare(batch, NFT_CMP_EQ, &none, sizeof(none));
	is_u8(batch, 9, IPPROTO_UDP);
	is(batch, 12, ring->src.bytes, 4);
	is(batch, 16, ring->dst.bytes, 4);
}

static void is_flow6(struct nft_batch *batch, const struct nft_ring *ring)
{
	is_protocol(batch, ETH_P_IPV6);
	is_u8(batch, 6, IPPROTO_UDP);
	is(batch, 8, ring->src.bytes, 16);
	is(batch, 24, ring->dst.bytes, 16);
}

static void write_rule(struct nft_batch *batch, const struct nft_ring *ring)
{
	const uint16_t ports[2] = {htons(ring->src_port), htons(ring->dst_port)};
	const uint8_t for_us = PACKET_HOST;
	bool v4 = ring->src.family == AF_INET;

	nft_rule(batch);
	nft_load_meta(batch, NFT_META_PKTTYPE);
	nft_compare(batch, NFT_CMP_EQ, &for_us, sizeof(for_us));
	if (v4)
		is_flow4(batch, ring);
	else
		is_flow6(batch, ring);
	is(batch, v4 ? 20 : 40, ports, sizeof(ports));
	nft_set_mark(batch, ring->mark);
	nft_set_packet_type(batch, PACKET_OTHERHOST);
	nft_accept(batch);
}

static void free_batch(struct nft_batch **batch)
{
	nft_batch_free(*batch);
}

static void close_socket(struct vnic_nl **nl)
{
	vnic_nl_close(*nl);
}

/* NULL: none any more. */
static int change(const struct nft_ring *ring, struct vnic_error *err)
{
	CLEANUP(free_batch) struct nft_batch *batch = NULL;
	CLEANUP(close_socket) struct vnic_nl *nl = NULL;
	int r = nft_batch_new(&batch, err);

	if (r == 0)
		r = socket_open(NETLINK_NETFILTER, &nl, err);
	if (r < 0)
		return r;
	if (ring) {
		nft_link_table(batch, TABLE);
		nft_link_hook(batch, "ingress", ring->link);
		write_rule(batch, ring);
	} else {
		nft_link_table_del(batch, TABLE);
	}
	return nft_batch_send(batch, nl, err);
}

int nft_ring_apply(const struct nft_ring *ring, struct vnic_error *err)
{
	return change(ring, err);
}

int nft_ring_remove(struct vnic_error *err)
{
	return change(NULL, err);
}
