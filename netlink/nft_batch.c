/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  libnftnl writes each object into a message, all messages stand in one buffer between
 * NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END, and one sendmsg(2) carries them.  The kernel checks every message,
 * then makes all of them true at once.  Failures are answered by the number of their message; the last rule asks
 * for an acknowledgement, so a transaction that goes well costs one send and one receive.  What concerns the
 * transaction as a whole (no permission, no nf_tables) is answered as if it were the first message's, and
 * nothing comes after it.
 *
 * Rejected: libnftables, which takes the text of nft(8).  Its context and parser cost 1.3 ms a process,
 * more than all the rest of a sandbox's network.
 */
#include "nft_batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 4096u /* of ours; libnftnl does not look where the buffer ends */
#define ANSWER_BYTES 8192u
#define FIRST_SEQ 1u
#define TYPE_IP6ADDR 8 /* what nft(8) shows the set's members as */

/* --- messages ----------------------------------------------------------------------- */

static void fail(struct nft_batch *batch, int code)
{
	if (!batch->failure)
		batch->failure = -code;
}

/* Where the next message goes; NULL when it cannot. */
static char *room(struct nft_batch *batch, const char *object)
{
	if (batch->count == NFT_MESSAGES || NFT_BYTES - batch->size < MESSAGE_MAX) {
		fail(batch, EMSGSIZE);
		return NULL;
	}
	snprintf(batch->objects[batch->count], sizeof(batch->objects[0]), "%s", object);
	return (char *)batch->data + batch->size;
}

static uint32_t next_seq(const struct nft_batch *batch)
{
	return FIRST_SEQ + batch->count;
}

static void added(struct nft_batch *batch, const struct nlmsghdr *nlh)
{
	batch->size += NLMSG_ALIGN(nlh->nlmsg_len);
	batch->count++;
}

static struct nlmsghdr *begin(struct nft_batch *batch, const char *object, uint16_t type, uint16_t flags)
{
	char *at = room(batch, object);

	return at ? nftnl_nlmsg_build_hdr(at, type, batch->family, flags, next_seq(batch)) : NULL;
}

int nft_batch_new(struct nft_batch **ret_batch, struct vnic_error *err)
{
	struct nft_batch *batch = malloc(sizeof(*batch));
	uint8_t *data = malloc(NFT_BYTES);

	if (!batch || !data) {
		free(batch);
		free(data);
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	}
	*batch = (struct nft_batch){.data = data, .family = NFPROTO_INET};
	added(batch, nftnl_batch_begin(room(batch, ""), next_seq(batch)));
	*ret_batch = batch;
	return 0;
}

void nft_batch_free(struct nft_batch *batch)
{
	if (!batch)
		return;
	if (batch->rule)
		nftnl_rule_free(batch->rule);
	free(batch->data);
	free(batch);
}

static void put_table(struct nft_batch *batch, const char *name, uint16_t type, uint16_t flags)
{
	struct nftnl_table *table = nftnl_table_alloc();
	struct nlmsghdr *nlh = begin(batch, name, type, flags);

	if (!table || !nlh || nftnl_table_set_str(table, NFTNL_TABLE_NAME, name) < 0) {
		fail(batch, ENOMEM);
	} else {
		nftnl_table_nlmsg_build_payload(nlh, table);
		added(batch, nlh);
	}
	if (table)
		nftnl_table_free(table);
	batch->table = name;
}

void nft_table(struct nft_batch *batch, const char *name)
{
	batch->family = NFPROTO_INET;
	put_table(batch, name, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
}

void nft_link_table(struct nft_batch *batch, const char *name)
{
	batch->family = NFPROTO_NETDEV;
	put_table(batch, name, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
}

void nft_link_table_del(struct nft_batch *batch, const char *name)
{
	batch->family = NFPROTO_NETDEV;
	put_table(batch, name, NFT_MSG_DELTABLE, 0);
}

struct hook {
	uint32_t number;
	int32_t priority;
	uint32_t policy;
	const char *link; /* NULL: it is not of a link */
};

static void add_chain(struct nft_batch *batch, const char *name, const struct hook *hook)
{
	struct nftnl_chain *chain = nftnl_chain_alloc();
	char object[sizeof(batch->objects[0])];
	struct nlmsghdr *nlh;

	snprintf(object, sizeof(object), "chain %s", name);
	nlh = begin(batch, object, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
	if (!chain || !nlh || nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, batch->table) < 0 ||
	    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name) < 0 ||
	    (hook && nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter") < 0) ||
	    (hook && hook->link && nftnl_chain_set_str(chain, NFTNL_CHAIN_DEV, hook->link) < 0)) {
		fail(batch, ENOMEM);
	} else {
		if (hook) {
			nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook->number);
			nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, hook->priority);
			nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, hook->policy);
		}
		nftnl_chain_nlmsg_build_payload(nlh, chain);
		added(batch, nlh);
	}
	if (chain)
		nftnl_chain_free(chain);
	batch->chain = name;
	batch->rules = 0;
}

void nft_set(struct nft_batch *batch, const char *name, uint32_t most, unsigned seconds)
{
	struct nftnl_set *set = nftnl_set_alloc();
	char object[sizeof(batch->objects[0])];
	struct nlmsghdr *nlh;

	snprintf(object, sizeof(object), "set %s", name);
	nlh = begin(batch, object, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);
	if (!set || !nlh || nftnl_set_set_str(set, NFTNL_SET_TABLE, batch->table) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, name) < 0) {
		fail(batch, ENOMEM);
	} else {
		nftnl_set_set_u32(set, NFTNL_SET_ID, batch->count);
		nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
		nftnl_set_set_u32(set, NFTNL_SET_FLAGS, NFT_SET_EVAL | NFT_SET_TIMEOUT);
		nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, TYPE_IP6ADDR);
		nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, sizeof(struct in6_addr));
		nftnl_set_set_u32(set, NFTNL_SET_DESC_SIZE, most);
		nftnl_set_set_u64(set, NFTNL_SET_TIMEOUT, seconds * 1000ull);
		nftnl_set_nlmsg_build_payload(nlh, set);
		added(batch, nlh);
	}
	if (set)
		nftnl_set_free(set);
}

void nft_counter(struct nft_batch *batch, const char *name)
{
	struct nftnl_obj *counter = nftnl_obj_alloc();
	char object[sizeof(batch->objects[0])];
	struct nlmsghdr *nlh;

	snprintf(object, sizeof(object), "counter %s", name);
	nlh = begin(batch, object, NFT_MSG_NEWOBJ, NLM_F_CREATE | NLM_F_EXCL);
	if (!counter || !nlh) {
		fail(batch, ENOMEM);
	} else {
		nftnl_obj_set_str(counter, NFTNL_OBJ_TABLE, batch->table);
		nftnl_obj_set_str(counter, NFTNL_OBJ_NAME, name);
		nftnl_obj_set_u32(counter, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
		nftnl_obj_nlmsg_build_payload(nlh, counter);
		added(batch, nlh);
	}
	if (counter)
		nftnl_obj_free(counter);
}

void nft_chain(struct nft_batch *batch, const char *name)
{
	add_chain(batch, name, NULL);
}

void nft_hook(struct nft_batch *batch, const char *name, uint32_t hook, int32_t priority)
{
	add_chain(batch, name, &(struct hook){.number = hook, .priority = priority, .policy = NF_DROP});
}

void nft_link_hook(struct nft_batch *batch, const char *name, const char *link)
{
	add_chain(batch, name, &(struct hook){.number = NF_NETDEV_INGRESS, .policy = NF_ACCEPT, .link = link});
}

/* --- rules -------------------------------------------------------------------------- */

void nft_rule(struct nft_batch *batch)
{
	batch->rule = nftnl_rule_alloc();
	if (!batch->rule || nftnl_rule_set_str(batch->rule, NFTNL_RULE_TABLE, batch->table) < 0 ||
	    nftnl_rule_set_str(batch->rule, NFTNL_RULE_CHAIN, batch->chain) < 0)
		fail(batch, ENOMEM);
}

static void end_rule(struct nft_batch *batch)
{
	char object[sizeof(batch->objects[0])];
	struct nlmsghdr *nlh;

	snprintf(object, sizeof(object), "rule %u of chain %.16s", ++batch->rules, batch->chain);
	nlh = begin(batch, object, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	if (nlh && !batch->failure) {
		nftnl_rule_nlmsg_build_payload(nlh, batch->rule);
		added(batch, nlh);
	}
	if (batch->rule)
		nftnl_rule_free(batch->rule);
	batch->rule = NULL;
}

/* The rule's next expression; NULL when out of memory. */
static struct nftnl_expr *expression(struct nft_batch *batch, const char *name)
{
	struct nftnl_expr *expr = batch->failure ? NULL : nftnl_expr_alloc(name);

	if (expr)
		nftnl_rule_add_expr(batch->rule, expr);
	else
		fail(batch, ENOMEM);
	return expr;
}

void nft_load_meta(struct nft_batch *batch, enum nft_meta_keys key)
{
	struct nftnl_expr *meta = expression(batch, "meta");

	if (!meta)
		return;
	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

void nft_load(struct nft_batch *batch, enum nft_payload_bases base, uint32_t offset, uint32_t size)
{
	struct nftnl_expr *payload = expression(batch, "payload");

	if (!payload)
		return;
	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, size);
}

void nft_mask(struct nft_batch *batch, const void *mask, uint32_t size)
{
	static const uint8_t nothing[16];
	struct nftnl_expr *bitwise = expression(batch, "bitwise");

	if (!bitwise)
		return;
	nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_LEN, size);
	nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_MASK, mask, size);
	nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_XOR, nothing, size);
}

void nft_compare(struct nft_batch *batch, enum nft_cmp_ops op, const void *with, uint32_t size)
{
	struct nftnl_expr *cmp = expression(batch, "cmp");

	if (!cmp)
		return;
	nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(cmp, NFTNL_EXPR_CMP_DATA, with, size);
}

void nft_in_set(struct nft_batch *batch, const char *set)
{
	struct nftnl_expr *update = expression(batch, "dynset");

	if (!update)
		return;
	nftnl_expr_set_u32(update, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
	nftnl_expr_set_u32(update, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
	if (nftnl_expr_set_str(update, NFTNL_EXPR_DYNSET_SET_NAME, set) < 0)
		fail(batch, ENOMEM);
}

void nft_count(struct nft_batch *batch, const char *counter)
{
	struct nftnl_expr *reference = expression(batch, "objref");

	if (!reference)
		return;
	nftnl_expr_set_u32(reference, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
	if (nftnl_expr_set_str(reference, NFTNL_EXPR_OBJREF_IMM_NAME, counter) < 0)
		fail(batch, ENOMEM);
}

static void put_in_register(struct nft_batch *batch, const void *value, uint32_t size)
{
	struct nftnl_expr *immediate = expression(batch, "immediate");

	if (!immediate)
		return;
	nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	nftnl_expr_set(immediate, NFTNL_EXPR_IMM_DATA, value, size);
}

static void set_meta(struct nft_batch *batch, enum nft_meta_keys key, const void *value, uint32_t size)
{
	struct nftnl_expr *meta;

	put_in_register(batch, value, size);
	meta = expression(batch, "meta");
	if (!meta)
		return;
	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(meta, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

void nft_set_mark(struct nft_batch *batch, uint32_t mark)
{
	set_meta(batch, NFT_META_MARK, &mark, sizeof(mark));
}

void nft_set_packet_type(struct nft_batch *batch, uint8_t type)
{
	set_meta(batch, NFT_META_PKTTYPE, &type, sizeof(type));
}

void nft_tproxy(struct nft_batch *batch, uint16_t port)
{
	uint16_t wire_port = htons(port);
	struct nftnl_expr *tproxy;

	put_in_register(batch, &wire_port, sizeof(wire_port));
	tproxy = expression(batch, "tproxy");
	if (!tproxy)
		return;
	nftnl_expr_set_u32(tproxy, NFTNL_EXPR_TPROXY_FAMILY, NFPROTO_UNSPEC); /* both */
	nftnl_expr_set_u32(tproxy, NFTNL_EXPR_TPROXY_REG_PORT, NFT_REG_1);
}

static void has_socket(struct nft_batch *batch, enum nft_socket_keys key, const void *value, uint32_t size)
{
	struct nftnl_expr *lookup = expression(batch, "socket");

	if (!lookup)
		return;
	nftnl_expr_set_u32(lookup, NFTNL_EXPR_SOCKET_KEY, key);
	nftnl_expr_set_u32(lookup, NFTNL_EXPR_SOCKET_DREG, NFT_REG_1);
	nft_compare(batch, NFT_CMP_EQ, value, size);
}

void nft_has_socket(struct nft_batch *batch, uint32_t mark)
{
	has_socket(batch, NFT_SOCKET_MARK, &mark, sizeof(mark));
}

void nft_has_transparent(struct nft_batch *batch)
{
	const uint8_t yes = 1;

	has_socket(batch, NFT_SOCKET_TRANSPARENT, &yes, sizeof(yes));
}

static void verdict(struct nft_batch *batch, int code, const char *chain)
{
	struct nftnl_expr *immediate = expression(batch, "immediate");

	if (immediate) {
		nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
		nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, (uint32_t)code);
		if (chain && nftnl_expr_set_str(immediate, NFTNL_EXPR_IMM_CHAIN, chain) < 0)
			fail(batch, ENOMEM);
	}
	end_rule(batch);
}

void nft_accept(struct nft_batch *batch)
{
	verdict(batch, NF_ACCEPT, NULL);
}

void nft_drop(struct nft_batch *batch)
{
	verdict(batch, NF_DROP, NULL);
}

void nft_goto(struct nft_batch *batch, const char *chain)
{
	verdict(batch, NFT_GOTO, chain);
}

/* --- sending ------------------------------------------------------------------------ */

/* Reads one answer.  True when no more will come. */
static bool take_answer(const struct nft_batch *batch, const struct nlmsghdr *nlh, unsigned last, int *result,
			struct vnic_error *err)
{
	unsigned index = nlh->nlmsg_seq - FIRST_SEQ;

	if (nlh->nlmsg_type != NLMSG_ERROR || index >= batch->count)
		return false;
	if (*result == 0)
		*result = socket_verdict(nlh, VNIC_STEP_NFT, batch->objects[index], err);
	return index == last || index == 0;
}

static int take_answers(const struct nft_batch *batch, struct vnic_nl *nl, unsigned last, struct vnic_error *err)
{
	_Alignas(struct nlmsghdr) uint8_t buf[ANSWER_BYTES];
	bool done = false;
	int result = 0;

	while (!done) {
		ssize_t n = socket_receive(nl, buf, sizeof(buf), err);
		int left = (int)n;

		if (n < 0)
			return (int)n;
		for (const struct nlmsghdr *nlh = (void *)buf; mnl_nlmsg_ok(nlh, left) && !done;
		     nlh = mnl_nlmsg_next(nlh, &left))
			done = take_answer(batch, nlh, last, &result, err);
	}
	return result;
}

static struct nlmsghdr *message_at(const struct nft_batch *batch, unsigned index)
{
	size_t offset = 0;

	for (unsigned i = 0; i < index; i++)
		offset += NLMSG_ALIGN(((struct nlmsghdr *)(void *)(batch->data + offset))->nlmsg_len);
	return (struct nlmsghdr *)(void *)(batch->data + offset);
}

int nft_batch_send(struct nft_batch *batch, struct vnic_nl *nl, struct vnic_error *err)
{
	unsigned last = batch->count - 1; /* of our objects */
	char *at = room(batch, "");
	int r;

	if (batch->failure)
		return vnic_fail(err, VNIC_STEP_NFT, -batch->failure, batch->table, NULL);
	message_at(batch, last)->nlmsg_flags |= NLM_F_ACK;
	added(batch, nftnl_batch_end(at, next_seq(batch)));
	r = socket_send(nl, batch->data, batch->size, err);
	return r < 0 ? r : take_answers(batch, nl, last, err);
}
