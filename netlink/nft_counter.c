/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft_counter.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "fd.h"

#define MESSAGE_BYTES 4096

static void free_object(struct nftnl_obj **object)
{
	if (*object)
		nftnl_obj_free(*object);
}

static int ask(struct vnic_nl *nl, const char *table, const char *name, uint32_t seq, struct vnic_error *err)
{
	_Alignas(struct nlmsghdr) char buf[MESSAGE_BYTES];
	CLEANUP(free_object) struct nftnl_obj *counter = nftnl_obj_alloc();
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETOBJ, NFPROTO_INET, 0, seq);

	if (!counter)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	nftnl_obj_set_str(counter, NFTNL_OBJ_TABLE, table);
	nftnl_obj_set_str(counter, NFTNL_OBJ_NAME, name);
	nftnl_obj_set_u32(counter, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	nftnl_obj_nlmsg_build_payload(nlh, counter);
	return socket_send(nl, nlh, nlh->nlmsg_len, err);
}

static int hear(struct vnic_nl *nl, const char *name, uint32_t seq, uint64_t *ret_packets, struct vnic_error *err)
{
	_Alignas(struct nlmsghdr) char buf[MESSAGE_BYTES];
	CLEANUP(free_object) struct nftnl_obj *counter = nftnl_obj_alloc();
	const struct nlmsghdr *nlh = (const void *)buf;
	ssize_t n;

	if (!counter)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	n = socket_receive(nl, buf, sizeof(buf), err);
	if (n < 0)
		return (int)n;
	if (!mnl_nlmsg_ok(nlh, (int)n) || nlh->nlmsg_seq != seq)
		return vnic_fail(err, VNIC_STEP_NFT, EBADMSG, name, NULL);
	if (nlh->nlmsg_type == NLMSG_ERROR)
		return socket_verdict(nlh, VNIC_STEP_NFT, name, err);
	if (nftnl_obj_nlmsg_parse(nlh, counter) < 0)
		return vnic_fail(err, VNIC_STEP_NFT, EBADMSG, name, NULL);
	*ret_packets = nftnl_obj_get_u64(counter, NFTNL_OBJ_CTR_PKTS);
	return 0;
}

int nft_counter_read(struct vnic_nl *nl, const char *table, const char *name, uint64_t *ret_packets,
		     struct vnic_error *err)
{
	uint32_t seq = nl->seq++;
	int r = ask(nl, table, name, seq, err);

	return r < 0 ? r : hear(nl, name, seq, ret_packets, err);
}
