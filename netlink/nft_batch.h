/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A transaction of nf_tables: a table with chains and rules that becomes true as a whole, or not at all.
 *
 * A rule is a row of expressions: what is looked at goes into the register and is compared; a comparison that
 * fails ends the rule.
 */
#ifndef NETLINK_NFT_BATCH_H
#define NETLINK_NFT_BATCH_H

#include <libnftnl/rule.h>
#include <linux/netfilter/nf_tables.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/error.h>

#include "socket.h"

#define NFT_MESSAGES 640
#define NFT_BYTES (200u << 10) /* below net.core.wmem_default, where EMSGSIZE begins; untouched pages cost nothing */

/* Valid after nft_batch_new.  As with vnic_batch, the first failure is remembered, and nft_batch_send reports it. */
struct nft_batch {
	uint8_t *data;
	size_t size;
	unsigned count;                 /* messages, with the two that enclose the transaction */
	char objects[NFT_MESSAGES][40]; /* what each is about */
	uint16_t family;                /* of the table, NFPROTO_* */
	const char *table, *chain;      /* of the rules that follow */
	unsigned rules;                 /* in this chain so far */
	struct nftnl_rule *rule;        /* being written */
	int failure;                    /* negative errno */
};

int nft_batch_new(struct nft_batch **ret_batch, struct vnic_error *err);
void nft_batch_free(struct nft_batch *batch);

/* A table of the family "inet" that is not there yet; what follows belongs to it.  Strings must outlive the batch. */
void nft_table(struct nft_batch *batch, const char *name);
/* One of the family "netdev", which sees what links receive before anybody else does. */
void nft_link_table(struct nft_batch *batch, const char *name);
void nft_link_table_del(struct nft_batch *batch, const char *name);
/* A chain; the rules that follow go there.  A chain that is jumped to comes before the rule that does so. */
void nft_chain(struct nft_batch *batch, const char *name);
/* The chain that the kernel calls; what reaches its end is dropped. */
void nft_hook(struct nft_batch *batch, const char *name, uint32_t hook, int32_t priority);

/* The chain that the kernel calls for what this link receives; what reaches its end goes on. */
void nft_link_hook(struct nft_batch *batch, const char *name, const char *link);

/* IPv6 addresses that packets bring: `most` of them, each until `seconds` after the last packet that had it. */
void nft_set(struct nft_batch *batch, const char *name, uint32_t most, unsigned seconds);

/* A number of packets, which nft_counter_read reads. */
void nft_counter(struct nft_batch *batch, const char *name);

/* Begins a rule; it ends with one of the verdicts. */
void nft_rule(struct nft_batch *batch);
void nft_load_meta(struct nft_batch *batch, enum nft_meta_keys key);
void nft_load(struct nft_batch *batch, enum nft_payload_bases base, uint32_t offset, uint32_t size);
/* Keeps these bits of what was loaded. */
void nft_mask(struct nft_batch *batch, const void *mask, uint32_t size);
void nft_compare(struct nft_batch *batch, enum nft_cmp_ops op, const void *with, uint32_t size);
/* What was loaded is in the set, or there was room for it. */
void nft_in_set(struct nft_batch *batch, const char *set);
/* Counts the packet there. */
void nft_count(struct nft_batch *batch, const char *counter);
void nft_set_mark(struct nft_batch *batch, uint32_t mark);
/* PACKET_*: for whom a frame is, as the link layer has it. */
void nft_set_packet_type(struct nft_batch *batch, uint8_t type);
/* Hands the packet to the transparent socket of its flow, or to the one that listens on this port; ends the rule if
 * there is none. */
void nft_tproxy(struct nft_batch *batch, uint16_t port);
/* The kernel would hand the packet, as it is, to a socket with this SO_MARK. */
void nft_has_socket(struct nft_batch *batch, uint32_t mark);
/* The same to a transparent one, be it in TIME-WAIT. */
void nft_has_transparent(struct nft_batch *batch);

void nft_accept(struct nft_batch *batch);
void nft_drop(struct nft_batch *batch);
void nft_goto(struct nft_batch *batch, const char *chain);

/* In the namespace of `nl`, a socket of NETLINK_NETFILTER. */
int nft_batch_send(struct nft_batch *batch, struct vnic_nl *nl, struct vnic_error *err);

#endif
