/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings of a link's IP by netlink.  They are those of /proc/sys/net/ipv4/conf/LINK, but need no writable
 * /proc/sys, and travel with the message that makes the link.
 */
#include "link_ip.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include "batch.h"
#include "name.h"

/* Begins RTM_SETLINK with the nest of that family open; NULL when out of memory. */
static struct nl_msg *begin(struct vnic_batch *batch, int index, int family, struct nlattr **ret_spec,
			    struct nlattr **ret_family)
{
	const struct ifinfomsg about = {.ifi_family = AF_UNSPEC, .ifi_index = index};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_SETLINK, 0);
	char text[VNIC_ADDR_TEXT];

	batch_begin(batch, VNIC_STEP_LINK_SET, link_text(index, NULL, text));
	if (msg && nlmsg_append(msg, (void *)&about, sizeof(about), NLMSG_ALIGNTO) == 0 &&
	    (*ret_spec = nla_nest_start(msg, IFLA_AF_SPEC)) && (*ret_family = nla_nest_start(msg, family)))
		return msg;
	nlmsg_free(msg);
	batch_refuse(batch, ENOMEM, NULL);
	return NULL;
}

static void end(struct vnic_batch *batch, struct nl_msg *msg, struct nlattr *spec, struct nlattr *family, int result)
{
	nla_nest_end(msg, family);
	nla_nest_end(msg, spec);
	batch_append(batch, result, &msg);
}

void batch_link_routes(struct vnic_batch *batch, int index, bool one_net)
{
	struct nlattr *spec, *family, *conf;
	struct nl_msg *msg = begin(batch, index, AF_INET, &spec, &family);
	int r = 0;

	if (!msg)
		return;
	conf = nla_nest_start(msg, IFLA_INET_CONF);
	if (!conf || nla_put_u32(msg, IPV4_DEVCONF_FORWARDING, 1) < 0 ||
	    nla_put_u32(msg, IPV4_DEVCONF_ACCEPT_LOCAL, 1) < 0 || nla_put_u32(msg, IPV4_DEVCONF_RP_FILTER, 0) < 0 ||
	    nla_put_u32(msg, IPV4_DEVCONF_SEND_REDIRECTS, 0) < 0 ||
	    nla_put_u32(msg, IPV4_DEVCONF_ARP_ANNOUNCE, 2) < 0 ||
	    nla_put_u32(msg, IPV4_DEVCONF_ARP_IGNORE, one_net ? 2 : 1) < 0)
		r = -NLE_NOMEM;
	else
		nla_nest_end(msg, conf);
	end(batch, msg, spec, family, r);
}

void batch_link_no_link_local(struct vnic_batch *batch, int index)
{
	struct nlattr *spec, *family;
	struct nl_msg *msg = begin(batch, index, AF_INET6, &spec, &family);

	if (!msg)
		return;
	end(batch, msg, spec, family, nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE));
}
