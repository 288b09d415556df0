/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The flow whose datagrams end at the link by which they come, for a packet socket with a ring: see nft_ring.c. */
#ifndef NETLINK_NFT_RING_H
#define NETLINK_NFT_RING_H

#include <stdint.h>

#include <vnic/addr.h>
#include <vnic/error.h>

struct nft_ring {
	const char *link;
	struct vnic_addr src, dst; /* of one family */
	uint16_t src_port, dst_port;
	uint32_t mark; /* that its packets get */
};

/* In the caller's network namespace, where there is one at most: -EEXIST.  Errors: VNIC_STEP_NFT. */
int nft_ring_apply(const struct nft_ring *ring, struct vnic_error *err);
int nft_ring_remove(struct vnic_error *err);

#endif
