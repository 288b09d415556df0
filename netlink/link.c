/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Links: make, change, delete.
 *
 * Theory of operation.  A link is born in its namespace, with its name, MAC, MTU, flags and master, by
 * one RTM_NEWLINK; a veth pair too, the second end's namespace standing beside the first's.  Moving an end later
 * costs a grace period (16 ms), being born there nothing.  What the kernel cannot do at birth follows as a
 * message of its own in the same batch, addressed by name: the alias, which rtnl_create_link
 * ignores, and settings of a bridge port, which need the port to be one already.
 *
 * Changes are RTM_SETLINK, not RTM_NEWLINK without NLM_F_CREATE: before Linux 5.18 the latter with an
 * unknown name and a group changed every link of that group.
 */
#include <errno.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/route/link.h>
#include <netlink/route/link/macvlan.h>
#include <netlink/route/link/macvtap.h>
#include <stdio.h>

#include <vnic/link.h>

#include "batch.h"
#include "convert.h"
#include "name.h"
#include "parse.h"

static void put_link(struct rtnl_link **link)
{
	rtnl_link_put(*link);
}
#define CLEANUP_LINK CLEANUP(put_link)

static const char *const kind_texts[] = {
	[VNIC_LINK_NONE] = "",           [VNIC_LINK_VETH] = "veth",       [VNIC_LINK_BRIDGE] = "bridge",
	[VNIC_LINK_MACVLAN] = "macvlan", [VNIC_LINK_MACVTAP] = "macvtap", [VNIC_LINK_IFB] = "ifb",
};

/* False, and the batch refuses, for a name that the kernel would refuse, but with a reason. */
static bool name_is_good(struct vnic_batch *batch, const char *name)
{
	struct vnic_error why;
	char copy[IFNAMSIZ];

	if (!name || parse_ifname(name, "a link's name", copy, &why) == 0)
		return true;
	batch_refuse(batch, why.code, why.detail);
	return false;
}

/* --- building ----------------------------------------------------------------------- */

static int set_mac(struct rtnl_link *to, const struct vnic_mac *mac)
{
	CLEANUP_NL_ADDR struct nl_addr *converted = mac_to_nl(mac);

	if (!converted)
		return -ENOMEM;
	rtnl_link_set_addr(to, converted);
	return 0;
}

/* All that birth and change have in common. */
static int describe(struct rtnl_link *to, const struct vnic_link *link)
{
	if (link->mtu)
		rtnl_link_set_mtu(to, link->mtu);
	if (link->txqueuelen)
		rtnl_link_set_txqlen(to, link->txqueuelen);
	if (link->group)
		rtnl_link_set_group(to, link->group);
	if (link->master)
		rtnl_link_set_master(to, link->master);
	if (link->has_netns)
		rtnl_link_set_ns_fd(to, link->netns_fd);
	if (link->up)
		rtnl_link_set_flags(to, IFF_UP);
	if (link->no_arp)
		rtnl_link_set_flags(to, IFF_NOARP);
	return link->mac.set ? set_mac(to, &link->mac) : 0;
}

static int describe_birth(struct rtnl_link *to, const struct vnic_link *link)
{
	if (link->name)
		rtnl_link_set_name(to, link->name);
	if (link->index)
		rtnl_link_set_ifindex(to, link->index);
	if (link->parent)
		rtnl_link_set_link(to, link->parent);
	return describe(to, link);
}

/*
 * An end of a pair.  Without a word about queues the kernel allocates one a CPU and uses the first only; to
 * leave the others it waits for an RCU grace period at either end (veth_init_queues, drivers/net/veth.c).
 */
static struct rtnl_link *new_end(void)
{
	struct rtnl_link *end = rtnl_link_alloc();

	if (end) {
		rtnl_link_set_num_tx_queues(end, 1);
		rtnl_link_set_num_rx_queues(end, 1);
	}
	return end;
}

/* A libnl link of the kind; NULL when out of memory. */
static struct rtnl_link *link_of_kind(const struct vnic_link *link)
{
	uint32_t mode = link->mode ? (uint32_t)link->mode : (uint32_t)VNIC_MACVLAN_BRIDGE;
	struct rtnl_link *made;

	switch (link->kind) {
	case VNIC_LINK_VETH:
		return new_end(); /* put_pair says that it is one */
	case VNIC_LINK_MACVLAN:
		made = rtnl_link_macvlan_alloc();
		if (made)
			rtnl_link_macvlan_set_mode(made, mode);
		return made;
	case VNIC_LINK_MACVTAP:
		made = rtnl_link_macvtap_alloc();
		if (made)
			rtnl_link_macvtap_set_mode(made, mode);
		return made;
	default:
		made = rtnl_link_alloc();
		if (made && rtnl_link_set_type(made, kind_texts[link->kind]) < 0) {
			rtnl_link_put(made);
			return NULL;
		}
		return made;
	}
}

/* IFLA_LINKINFO of a pair.  libnl's own leaves the group of the second end out. */
static int put_pair(struct nl_msg *msg, const struct vnic_link *peer)
{
	const unsigned flags = peer->no_arp ? IFF_NOARP : 0;
	const struct ifinfomsg head = {.ifi_index = peer->index, .ifi_flags = flags, .ifi_change = flags};
	CLEANUP_LINK struct rtnl_link *second = new_end();
	struct nlattr *info, *data, *end;

	if (!second || describe_birth(second, peer) < 0)
		return -NLE_NOMEM;
	if (!(info = nla_nest_start(msg, IFLA_LINKINFO)) || nla_put_string(msg, IFLA_INFO_KIND, "veth") < 0 ||
	    !(data = nla_nest_start(msg, IFLA_INFO_DATA)) || !(end = nla_nest_start(msg, VETH_INFO_PEER)) ||
	    nlmsg_append(msg, (void *)&head, sizeof(head), NLMSG_ALIGNTO) < 0 || rtnl_link_fill_info(msg, second) < 0 ||
	    (peer->group && nla_put_u32(msg, IFLA_GROUP, peer->group) < 0))
		return -NLE_MSGSIZE;
	nla_nest_end(msg, end);
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return 0;
}

static void append_birth(struct vnic_batch *batch, const struct vnic_link *link)
{
	static const struct vnic_link nothing = {0};
	CLEANUP_LINK struct rtnl_link *made = link_of_kind(link);
	struct nl_msg *msg = NULL;
	int r;

	if (!made || describe_birth(made, link) < 0) {
		batch_refuse(batch, ENOMEM, NULL);
		return;
	}
	r = rtnl_link_build_add_request(made, NLM_F_CREATE | NLM_F_EXCL, &msg);
	if (r == 0 && link->kind == VNIC_LINK_VETH)
		r = put_pair(msg, link->peer ? link->peer : &nothing);
	batch_append(batch, r, &msg);
}

/* --- messages that libnl does not build ----------------------------------------------- */

/* Begins a message about the link with `index`, or `name` when index is 0; NULL when out of memory. */
static struct nl_msg *message_about(int type, int index, const char *name)
{
	struct ifinfomsg about = {.ifi_family = AF_UNSPEC, .ifi_index = index};
	struct nl_msg *msg = nlmsg_alloc_simple(type, 0);

	if (msg && nlmsg_append(msg, &about, sizeof(about), NLMSG_ALIGNTO) == 0 &&
	    (index || !name || nla_put_string(msg, IFLA_IFNAME, name) == 0))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

/* Appends the message, or ENOMEM when it is not complete. */
static void append_if(struct vnic_batch *batch, bool complete, struct nl_msg *msg)
{
	if (complete) {
		batch_append(batch, 0, &msg);
		return;
	}
	nlmsg_free(msg);
	batch_refuse(batch, ENOMEM, NULL);
}

static void append_alias(struct vnic_batch *batch, int index, const char *name, const char *alias)
{
	struct nl_msg *msg = message_about(RTM_SETLINK, index, name);

	append_if(batch, msg && nla_put_string(msg, IFLA_IFALIAS, alias) == 0, msg);
}

/* The port's settings of a bridge go by RTM_NEWLINK; RTM_SETLINK overlooks them. */
static void append_isolated(struct vnic_batch *batch, int index, const char *name)
{
	struct nl_msg *msg = message_about(RTM_NEWLINK, index, name);
	struct nlattr *info = msg ? nla_nest_start(msg, IFLA_LINKINFO) : NULL;
	bool complete = info && nla_put_string(msg, IFLA_INFO_SLAVE_KIND, "bridge") == 0;
	struct nlattr *data = complete ? nla_nest_start(msg, IFLA_INFO_SLAVE_DATA) : NULL;

	complete = data && nla_put_u8(msg, IFLA_BRPORT_ISOLATED, 1) == 0;
	if (complete) {
		nla_nest_end(msg, data);
		nla_nest_end(msg, info);
	}
	append_if(batch, complete, msg);
}

/*
 * More than 64 KiB in a super-frame.  IFLA_GSO_MAX_SIZE is for IPv6 since Linux 5.19, and before 5.18 taken unchecked
 * at birth: so it is asked for afterwards, when no kernel takes what it cannot do.
 */
static void append_gso_max(struct vnic_batch *batch, int index, const char *name, uint32_t size)
{
	enum { GSO_IPV4_MAX_SIZE = 63 }; /* IFLA_GSO_IPV4_MAX_SIZE, include/uapi/linux/if_link.h, Linux 6.3 */
	struct nl_msg *msg = message_about(RTM_SETLINK, index, name);

	append_if(batch,
		  msg && nla_put_u32(msg, IFLA_GSO_MAX_SIZE, size) == 0 &&
			  nla_put_u32(msg, GSO_IPV4_MAX_SIZE, size) == 0,
		  msg);
	batch_wish(batch);
}

/* --- the calls ---------------------------------------------------------------------- */

/* What a link that is born cannot have, with the reason; NULL: all is well. */
static const char *objection(const struct vnic_link *link)
{
	const struct vnic_link *peer = link->peer;

	if (link->kind <= VNIC_LINK_NONE || link->kind > VNIC_LINK_IFB)
		return "a new link needs a kind";
	if (peer && link->kind != VNIC_LINK_VETH)
		return "only a veth has a peer";
	if (peer && peer->up)
		return "the second end of a pair cannot be born up (the kernel answers ENOTCONN): set it up afterwards";
	if (peer && (peer->master || peer->alias || peer->isolated))
		return "the second end of a pair gets its master, alias and isolation afterwards";
	if ((link->kind == VNIC_LINK_MACVLAN || link->kind == VNIC_LINK_MACVTAP) && !link->parent)
		return "a macvlan or macvtap needs a parent";
	if ((link->alias || link->isolated) && link->has_netns)
		return "a link born in another namespace gets its alias and isolation afterwards, from there";
	if (link->gso_max || (peer && peer->gso_max))
		return "a link gets its gso_max afterwards (append_gso_max says why)";
	if ((link->alias || link->isolated) && !link->name && !link->index)
		return "a link with an alias or isolation needs a name or an index";
	return NULL;
}

void vnic_batch_link_add(struct vnic_batch *batch, const struct vnic_link *link)
{
	const char *why = objection(link);

	batch_begin(batch, VNIC_STEP_LINK_ADD, link->name ? link->name : why ? "" : kind_texts[link->kind]);
	if (why) {
		batch_refuse(batch, EINVAL, why);
		return;
	}
	if (!name_is_good(batch, link->name) || (link->peer && !name_is_good(batch, link->peer->name)))
		return;
	append_birth(batch, link);
	if (link->alias)
		append_alias(batch, link->index, link->name, link->alias);
	if (link->isolated)
		append_isolated(batch, link->index, link->name);
}

static bool changes_anything_but_isolation(const struct vnic_link *link, bool rename)
{
	return rename || link->alias || link->mac.set || link->mtu || link->txqueuelen || link->group || link->master ||
	       link->no_master || link->has_netns || link->up || link->down || link->no_arp;
}

static void append_change(struct vnic_batch *batch, int index, const struct vnic_link *link)
{
	CLEANUP_LINK struct rtnl_link *changes = rtnl_link_alloc();
	struct nl_msg *msg = NULL;
	int r;

	if (!changes || describe(changes, link) < 0) {
		batch_refuse(batch, ENOMEM, NULL);
		return;
	}
	if (index)
		rtnl_link_set_ifindex(changes, index);
	if (link->name)
		rtnl_link_set_name(changes, link->name);
	if (link->alias)
		rtnl_link_set_ifalias(changes, link->alias);
	if (link->no_master)
		rtnl_link_set_master(changes, 0);
	if (link->down)
		rtnl_link_unset_flags(changes, IFF_UP);
	r = rtnl_link_build_add_request(changes, 0, &msg);
	if (r == 0)
		nlmsg_hdr(msg)->nlmsg_type = RTM_SETLINK;
	batch_append(batch, r, &msg);
}

void vnic_batch_link_set(struct vnic_batch *batch, int index, const struct vnic_link *link)
{
	char text[VNIC_ADDR_TEXT];

	batch_begin(batch, VNIC_STEP_LINK_SET, link_text(index, link->name, text));
	if (!index && !link->name) {
		batch_refuse(batch, EINVAL, "a change needs the link's index or name");
		return;
	}
	if (link->isolated && link->has_netns) {
		batch_refuse(batch, EINVAL, "a link cannot be isolated and moved at once");
		return;
	}
	if (!name_is_good(batch, link->name))
		return;
	if (changes_anything_but_isolation(link, index && link->name))
		append_change(batch, index, link);
	if (link->isolated)
		append_isolated(batch, index, link->name);
	if (link->gso_max)
		append_gso_max(batch, index, link->name, link->gso_max);
}

void vnic_batch_link_del(struct vnic_batch *batch, int index, const char *name)
{
	char text[VNIC_ADDR_TEXT];
	struct nl_msg *msg;

	batch_begin(batch, VNIC_STEP_LINK_DEL, link_text(index, name, text));
	if (!index && !name) {
		batch_refuse(batch, EINVAL, "a deletion needs the link's index or name");
		return;
	}
	if (!index && !name_is_good(batch, name))
		return;
	msg = message_about(RTM_DELLINK, index, name);
	append_if(batch, msg, msg);
}

void vnic_batch_link_del_group(struct vnic_batch *batch, uint32_t group)
{
	char text[VNIC_ADDR_TEXT];
	struct nl_msg *msg;

	snprintf(text, sizeof(text), "group %u", group);
	batch_begin(batch, VNIC_STEP_LINK_DEL, text);
	if (group == 0) {
		batch_refuse(batch, EINVAL, "group 0 is the default of all links");
		return;
	}
	msg = message_about(RTM_DELLINK, 0, NULL);
	append_if(batch, msg && nla_put_u32(msg, IFLA_GROUP, group) == 0, msg);
}

int vnic_link_add(struct vnic_nl *nl, const struct vnic_link *link, struct vnic_error *err)
{
	struct vnic_batch batch = {0};

	vnic_batch_link_add(&batch, link);
	return vnic_batch_send(&batch, nl, NULL, err);
}

int vnic_link_set(struct vnic_nl *nl, int index, const struct vnic_link *link, struct vnic_error *err)
{
	struct vnic_batch batch = {0};

	vnic_batch_link_set(&batch, index, link);
	return vnic_batch_send(&batch, nl, NULL, err);
}

int vnic_link_del(struct vnic_nl *nl, int index, const char *name, struct vnic_error *err)
{
	struct vnic_batch batch = {0};

	vnic_batch_link_del(&batch, index, name);
	return vnic_batch_send(&batch, nl, NULL, err);
}

int vnic_link_del_group(struct vnic_nl *nl, uint32_t group, struct vnic_error *err)
{
	struct vnic_batch batch = {0};

	vnic_batch_link_del_group(&batch, group);
	return vnic_batch_send(&batch, nl, NULL, err);
}
