/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel says of links: one by index or name, or all of them. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include <vnic/link.h>

#include "attr.h"
#include "dump.h"
#include "fd.h"
#include "name.h"
#include "parse.h"
#include "socket.h"

static void parse_stats(const struct nlattr *attr, struct vnic_link_info *info)
{
	/* The kernel's struct grows at its end; the beginning is what we want. */
	struct rtnl_link_stats64 stats;

	if (!attr_bytes(attr, &stats, offsetof(struct rtnl_link_stats64, multicast)))
		return;
	info->rx_packets = stats.rx_packets;
	info->tx_packets = stats.tx_packets;
	info->rx_bytes = stats.rx_bytes;
	info->tx_bytes = stats.tx_bytes;
	info->rx_dropped = stats.rx_dropped;
	info->tx_dropped = stats.tx_dropped;
}

static void parse_tun(const struct nlattr *attr, struct vnic_tun_info *ret_tun)
{
	const struct nlattr *attrs[IFLA_TUN_MAX + 1];

	attr_table_nested(attr, attrs, IFLA_TUN_MAX);
	*ret_tun = (struct vnic_tun_info){
		.persistent = attr_u8(attrs[IFLA_TUN_PERSIST]),
		.multi_queue = attr_u8(attrs[IFLA_TUN_MULTI_QUEUE]),
		.has_owner = attrs[IFLA_TUN_OWNER],
		.has_group = attrs[IFLA_TUN_GROUP],
		.owner = attr_u32(attrs[IFLA_TUN_OWNER]),
		.group = attr_u32(attrs[IFLA_TUN_GROUP]),
	};
}

/* False for a message that is not about a link. */
static bool parse(const struct nlmsghdr *nlh, struct vnic_link_info *ret_info)
{
	const struct nlattr *attrs[IFLA_MAX + 1], *nest[IFLA_INFO_MAX + 1];
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(nlh);
	struct vnic_link_info info = {0};

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*head))
		return false;
	attr_table_message(nlh, sizeof(*head), attrs, IFLA_MAX);
	attr_table_nested(attrs[IFLA_LINKINFO], nest, IFLA_INFO_MAX);
	info.index = head->ifi_index;
	info.flags = head->ifi_flags;
	attr_text(attrs[IFLA_IFNAME], info.name, sizeof(info.name));
	attr_text(attrs[IFLA_IFALIAS], info.alias, sizeof(info.alias));
	attr_text(nest[IFLA_INFO_KIND], info.kind, sizeof(info.kind));
	info.mac.set = attr_bytes(attrs[IFLA_ADDRESS], info.mac.bytes, VNIC_MAC_LEN);
	info.mtu = attr_u32(attrs[IFLA_MTU]);
	info.txqueuelen = attr_u32(attrs[IFLA_TXQLEN]);
	info.group = attr_u32(attrs[IFLA_GROUP]);
	info.master = (int)attr_u32(attrs[IFLA_MASTER]);
	info.parent = (int)attr_u32(attrs[IFLA_LINK]);
	info.promiscuity = attr_u32(attrs[IFLA_PROMISCUITY]);
	info.operstate = attr_u8(attrs[IFLA_OPERSTATE]);
	parse_stats(attrs[IFLA_STATS64], &info);
	if (!strcmp(info.kind, "tun"))
		parse_tun(nest[IFLA_INFO_DATA], &info.tun);
	*ret_info = info;
	return true;
}

static int receive_link(struct vnic_nl *nl, uint32_t seq, const char *object, struct vnic_link_info *ret_info,
			struct vnic_error *err)
{
	_Alignas(struct nlmsghdr) uint8_t buf[SOCKET_DATAGRAM];

	for (;;) {
		ssize_t n = socket_receive(nl, buf, sizeof(buf), err);
		int left = (int)n;

		if (n < 0)
			return (int)n;
		for (const struct nlmsghdr *nlh = (void *)buf; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_seq != seq)
				continue; /* left over from an earlier, broken off exchange */
			if (parse(nlh, ret_info))
				return 0;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return socket_verdict(nlh, VNIC_STEP_LINK_GET, object, err);
		}
	}
}

int vnic_link_get(struct vnic_nl *nl, int index, const char *name, struct vnic_link_info *ret_info,
		  struct vnic_error *err)
{
	_Alignas(struct nlmsghdr) uint8_t request[128] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	char object[VNIC_ADDR_TEXT];
	struct ifinfomsg *head;
	char ifname[IFNAMSIZ];
	int r;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = nl->seq++;
	head = mnl_nlmsg_put_extra_header(nlh, sizeof(*head));
	head->ifi_index = index;
	if (!index) {
		r = parse_ifname(name, "a link's name", ifname, err);
		if (r < 0)
			return r;
		mnl_attr_put_strz(nlh, IFLA_IFNAME, ifname);
	}
	r = socket_send(nl, nlh, nlh->nlmsg_len, err);
	if (r < 0)
		return r;
	return receive_link(nl, nlh->nlmsg_seq, link_text(index, index ? NULL : ifname, object), ret_info, err);
}

int vnic_link_list(struct vnic_nl *nl, int (*each)(const struct vnic_link_info *info, void *ctx), void *ctx,
		   struct vnic_error *err)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
	CLEANUP(dump_free) struct dump dump = {0};
	struct vnic_link_info info;
	int r = dump_ask(nl, RTM_GETLINK, &head, sizeof(head), VNIC_STEP_LINK_GET, &dump, err);

	for (const struct nlmsghdr *nlh = NULL; r == 0 && (nlh = dump_next(&dump, nlh));)
		if (parse(nlh, &info))
			r = each(&info, ctx);
	return r;
}
