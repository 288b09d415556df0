/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device does with frames (ethtool's features), by generic netlink:
 * Documentation/networking/ethtool-netlink.rst.
 *
 * Names, not numbers: the bits differ from kernel to kernel.  Rejected: SIOCETHTOOL, which knows numbers only, after a
 * list of all names was fetched.
 */
#include <libmnl/libmnl.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <net/if.h>

#include <vnic/link.h>

#include "attr.h"
#include "fd.h"
#include "name.h"
#include "socket.h"

#define MESSAGE_BYTES 512u
#define ANSWER_BYTES 8192u

static struct nlmsghdr *begin(void *buf, uint16_t type, uint8_t command)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *head = mnl_nlmsg_put_extra_header(nlh, sizeof(*head));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	head->cmd = command;
	head->version = 1;
	return nlh;
}

/* Sends a request; `take` gets what comes before the acknowledgement. */
static int ask(struct vnic_nl *nl, struct nlmsghdr *request, const char *object,
	       void (*take)(const struct nlmsghdr *nlh, void *ctx), void *ctx, struct vnic_error *err)
{
	_Alignas(struct nlmsghdr) uint8_t buf[ANSWER_BYTES];
	int r;

	request->nlmsg_seq = nl->seq++;
	r = socket_send(nl, request, request->nlmsg_len, err);
	while (r == 0) {
		ssize_t n = socket_receive(nl, buf, sizeof(buf), err);
		int left = (int)n;

		if (n < 0)
			return (int)n;
		for (const struct nlmsghdr *nlh = (void *)buf; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_seq != request->nlmsg_seq)
				continue;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return socket_verdict(nlh, VNIC_STEP_LINK_SET, object, err);
			if (take)
				take(nlh, ctx);
		}
	}
	return r;
}

static void take_family(const struct nlmsghdr *nlh, void *ctx)
{
	const struct nlattr *attrs[CTRL_ATTR_MAX + 1];

	attr_table_message(nlh, sizeof(struct genlmsghdr), attrs, CTRL_ATTR_MAX);
	attr_bytes(attrs[CTRL_ATTR_FAMILY_ID], ctx, sizeof(uint16_t));
}

/* Families have numbers since the last boot. */
static int find_ethtool(struct vnic_nl *nl, uint16_t *ret_family, struct vnic_error *err)
{
	_Alignas(struct nlmsghdr) uint8_t buf[MESSAGE_BYTES];
	struct nlmsghdr *nlh = begin(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, ETHTOOL_GENL_NAME);
	return ask(nl, nlh, ETHTOOL_GENL_NAME, take_family, ret_family, err);
}

static void put_feature(struct nlmsghdr *nlh, const char *name)
{
	struct nlattr *bit = mnl_attr_nest_start(nlh, ETHTOOL_A_BITSET_BITS_BIT);

	mnl_attr_put_strz(nlh, ETHTOOL_A_BITSET_BIT_NAME, name);
	mnl_attr_put(nlh, ETHTOOL_A_BITSET_BIT_VALUE, 0, NULL);
	mnl_attr_nest_end(nlh, bit);
}

int vnic_link_merge_datagrams(int index, struct vnic_error *err)
{
	_Alignas(struct nlmsghdr) uint8_t buf[MESSAGE_BYTES];
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	char text[VNIC_ADDR_TEXT];
	uint16_t family = 0;
	int r = socket_open(NETLINK_GENERIC, &nl, err);

	if (r == 0)
		r = find_ethtool(nl, &family, err);
	if (r < 0)
		return r;
	struct nlmsghdr *nlh = begin(buf, family, ETHTOOL_MSG_FEATURES_SET);
	struct nlattr *about = mnl_attr_nest_start(nlh, ETHTOOL_A_FEATURES_HEADER);
	mnl_attr_put_u32(nlh, ETHTOOL_A_HEADER_DEV_INDEX, (uint32_t)index);
	mnl_attr_put_u32(nlh, ETHTOOL_A_HEADER_FLAGS, ETHTOOL_FLAG_OMIT_REPLY);
	mnl_attr_nest_end(nlh, about);
	struct nlattr *wanted = mnl_attr_nest_start(nlh, ETHTOOL_A_FEATURES_WANTED);
	struct nlattr *bits = mnl_attr_nest_start(nlh, ETHTOOL_A_BITSET_BITS);
	put_feature(nlh, "rx-gro");
	put_feature(nlh, "rx-udp-gro-forwarding");
	mnl_attr_nest_end(nlh, bits);
	mnl_attr_nest_end(nlh, wanted);
	return ask(nl, nlh, link_text(index, NULL, text), NULL, NULL, err);
}
