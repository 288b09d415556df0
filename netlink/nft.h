/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The router's ruleset. */
#ifndef NETLINK_NFT_H
#define NETLINK_NFT_H

#include <stdint.h>

#include <vnic/addr.h>
#include <vnic/error.h>

/* A NIC's end in the router. */
struct nft_nic {
	const char *name; /* of the link; its chain is called so too */
	int index;
	const struct vnic_addr *nets; /* what the sandbox may send from */
	unsigned net_count;
	const struct vnic_addr *own; /* the router's addresses there */
	unsigned own_count;
};

#define NFT_SOURCES 64 /* of IPv6 beside the NIC's own, in five minutes */

struct nft_router {
	int slow_index;              /* ifindex of slow0 */
	uint32_t slow_mark;          /* routed into slow0 */
	uint32_t flow_mark;          /* SO_MARK of the connected transparent sockets of UDP flows */
	uint16_t tcp_port, udp_port; /* of the transparent sockets */
	bool ipv6;                   /* false: all IPv6 is dropped */
	bool early_demux;            /* the kernel looks for a TCP packet's socket before its route */
	const struct nft_nic *nics;
	unsigned nic_count;
};

/*
 * Makes the table "vnic" in the caller's network namespace; there must be none yet.  Errors: VNIC_STEP_NFT, -ENOENT or
 * -EOPNOTSUPP where the kernel lacks nf_tables or tproxy, -EMSGSIZE for too many addresses.
 */
int nft_router_apply(const struct nft_router *router, struct vnic_error *err);

/*
 * Packets out of the sandbox, by the NIC of this name, that were dropped for their source: it is none of the NIC's, or
 * one of IPv6 too many.  In the caller's network namespace.  -ENOENT: they are not counted.
 */
int nft_router_dropped(const char *nic, uint64_t *ret_packets, struct vnic_error *err);

#endif
