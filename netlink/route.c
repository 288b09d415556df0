/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes: add, delete, list. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include <vnic/link.h>

#include "attr.h"
#include "batch.h"
#include "convert.h"
#include "dump.h"

static void put_route(struct rtnl_route **route)
{
	rtnl_route_put(*route);
}

static bool is_ip(uint8_t family)
{
	return family == AF_INET || family == AF_INET6;
}

static uint8_t scope_of(const struct vnic_route *route)
{
	if (route->scope)
		return route->scope;
	if (route->type == RTN_LOCAL || route->type == RTN_NAT)
		return RT_SCOPE_HOST;
	if (route->gateway.family || !route->oif)
		return RT_SCOPE_UNIVERSE;
	return RT_SCOPE_LINK;
}

/* The route takes the next hop over. */
static int set_nexthop(struct rtnl_route *to, const struct vnic_route *route)
{
	CLEANUP_NL_ADDR struct nl_addr *gateway = NULL;
	struct rtnl_nexthop *hop;

	if (!route->oif && !route->gateway.family)
		return 0; /* blackhole, unreachable, prohibit */
	if (route->gateway.family) {
		struct vnic_addr host = route->gateway;

		host.prefix = host.family == AF_INET ? 32 : 128;
		gateway = addr_to_nl(&host);
		if (!gateway)
			return -ENOMEM;
	}
	hop = rtnl_route_nh_alloc();
	if (!hop)
		return -ENOMEM;
	if (route->oif)
		rtnl_route_nh_set_ifindex(hop, route->oif);
	if (gateway)
		rtnl_route_nh_set_gateway(hop, gateway);
	rtnl_route_add_nexthop(to, hop);
	return 0;
}

static int describe(struct rtnl_route *to, const struct vnic_route *route)
{
	struct vnic_addr net = vnic_addr_host(&route->dst, 0); /* the kernel refuses host bits */
	CLEANUP_NL_ADDR struct nl_addr *dst = addr_to_nl(&net);

	if (!dst || rtnl_route_set_dst(to, dst) < 0)
		return -ENOMEM;
	rtnl_route_set_table(to, route->table ? route->table : RT_TABLE_MAIN);
	rtnl_route_set_type(to, route->type ? route->type : RTN_UNICAST);
	rtnl_route_set_scope(to, scope_of(route));
	if (route->priority)
		rtnl_route_set_priority(to, route->priority);
	if (route->mtu && rtnl_route_set_metric(to, RTAX_MTU, route->mtu) < 0)
		return -ENOMEM;
	return set_nexthop(to, route);
}

static void append(struct vnic_batch *batch, const struct vnic_route *route,
		   int (*build)(struct rtnl_route *route, int flags, struct nl_msg **ret_msg), uint8_t protocol,
		   int flags)
{
	CLEANUP(put_route) struct rtnl_route *made = NULL;
	char text[VNIC_ADDR_TEXT];
	struct nl_msg *msg = NULL;

	batch_begin(batch, VNIC_STEP_ROUTE, vnic_addr_text(&route->dst, true, text));
	if (!is_ip(route->dst.family) || (route->gateway.family && route->gateway.family != route->dst.family)) {
		batch_refuse(batch, EINVAL, "destination and gateway must be of one family, IPv4 or IPv6");
		return;
	}
	made = rtnl_route_alloc();
	if (!made || describe(made, route) < 0) {
		batch_refuse(batch, ENOMEM, NULL);
		return;
	}
	rtnl_route_set_protocol(made, protocol);
	batch_append(batch, build(made, flags, &msg), &msg);
}

void vnic_batch_route_add(struct vnic_batch *batch, const struct vnic_route *route)
{
	append(batch, route, rtnl_route_build_add_request, RTPROT_STATIC, NLM_F_CREATE | NLM_F_EXCL);
}

/* Protocol "unspec" also matches the routes that the kernel itself made. */
void vnic_batch_route_del(struct vnic_batch *batch, const struct vnic_route *route)
{
	append(batch, route, rtnl_route_build_del_request, RTPROT_UNSPEC, 0);
}

int vnic_route_add(struct vnic_nl *nl, const struct vnic_route *route, struct vnic_error *err)
{
	struct vnic_batch batch = {0};

	vnic_batch_route_add(&batch, route);
	return vnic_batch_send(&batch, nl, NULL, err);
}

int vnic_route_del(struct vnic_nl *nl, const struct vnic_route *route, struct vnic_error *err)
{
	struct vnic_batch batch = {0};

	vnic_batch_route_del(&batch, route);
	return vnic_batch_send(&batch, nl, NULL, err);
}

/* --- listing ------------------------------------------------------------------------ */

/* False for a message that is not about a route of IPv4 or IPv6. */
static bool parse(const struct nlmsghdr *nlh, struct vnic_route *ret_route)
{
	const struct nlattr *attrs[RTA_MAX + 1], *metrics[RTAX_MAX + 1];
	const struct rtmsg *head = mnl_nlmsg_get_payload(nlh);
	struct vnic_route route = {0};

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*head) ||
	    !is_ip(head->rtm_family))
		return false;
	attr_table_message(nlh, sizeof(*head), attrs, RTA_MAX);
	attr_table_nested(attrs[RTA_METRICS], metrics, RTAX_MAX);
	route.dst = (struct vnic_addr){.family = head->rtm_family};
	attr_addr(attrs[RTA_DST], head->rtm_family, head->rtm_dst_len, &route.dst); /* absent: default */
	attr_addr(attrs[RTA_GATEWAY], head->rtm_family, head->rtm_family == AF_INET ? 32 : 128, &route.gateway);
	route.oif = (int)attr_u32(attrs[RTA_OIF]);
	route.table = attrs[RTA_TABLE] ? attr_u32(attrs[RTA_TABLE]) : head->rtm_table;
	route.priority = attr_u32(attrs[RTA_PRIORITY]);
	route.mtu = attr_u32(metrics[RTAX_MTU]);
	route.type = head->rtm_type;
	route.scope = head->rtm_scope;
	*ret_route = route;
	return true;
}

int vnic_route_list(struct vnic_nl *nl, int family, uint32_t table,
		    int (*each)(const struct vnic_route *route, void *ctx), void *ctx, struct vnic_error *err)
{
	struct rtmsg head = {.rtm_family = (unsigned char)family};
	CLEANUP(dump_free) struct dump dump = {0};
	struct vnic_route route;
	int r = dump_ask(nl, RTM_GETROUTE, &head, sizeof(head), VNIC_STEP_ROUTE, &dump, err);

	for (const struct nlmsghdr *nlh = NULL; r == 0 && (nlh = dump_next(&dump, nlh));)
		if (parse(nlh, &route) && (!table || route.table == table))
			r = each(&route, ctx);
	return r;
}
