/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Neighbours: which MAC an address has. */
#include <errno.h>
#include <linux/neighbour.h>
#include <netlink/route/neighbour.h>

#include <vnic/link.h>

#include "batch.h"
#include "convert.h"

static void put_neigh(struct rtnl_neigh **neigh)
{
	rtnl_neigh_put(*neigh);
}

static int describe(struct rtnl_neigh *to, const struct vnic_neigh *neigh)
{
	CLEANUP_NL_ADDR struct nl_addr *dst = addr_to_nl(&neigh->addr);
	CLEANUP_NL_ADDR struct nl_addr *mac = mac_to_nl(&neigh->mac);

	if (!dst || !mac || rtnl_neigh_set_dst(to, dst) < 0)
		return -ENOMEM;
	if (neigh->mac.set)
		rtnl_neigh_set_lladdr(to, mac);
	rtnl_neigh_set_ifindex(to, neigh->ifindex);
	rtnl_neigh_set_state(to, neigh->state ? neigh->state : NUD_PERMANENT);
	return 0;
}

static void append(struct vnic_batch *batch, const struct vnic_neigh *neigh,
		   int (*build)(struct rtnl_neigh *neigh, int flags, struct nl_msg **ret_msg), int flags)
{
	CLEANUP(put_neigh) struct rtnl_neigh *made = NULL;
	char text[VNIC_ADDR_TEXT];
	struct nl_msg *msg = NULL;

	batch_begin(batch, VNIC_STEP_NEIGH, vnic_addr_text(&neigh->addr, false, text));
	if (neigh->addr.family != AF_INET && neigh->addr.family != AF_INET6) {
		batch_refuse(batch, EINVAL, "a neighbour needs an address");
		return;
	}
	made = rtnl_neigh_alloc();
	if (!made || describe(made, neigh) < 0) {
		batch_refuse(batch, ENOMEM, NULL);
		return;
	}
	batch_append(batch, build(made, flags, &msg), &msg);
}

/* Replaces what the kernel may have learned meanwhile. */
void vnic_batch_neigh_add(struct vnic_batch *batch, const struct vnic_neigh *neigh)
{
	append(batch, neigh, rtnl_neigh_build_add_request, NLM_F_CREATE | NLM_F_REPLACE);
}

void vnic_batch_neigh_del(struct vnic_batch *batch, const struct vnic_neigh *neigh)
{
	append(batch, neigh, rtnl_neigh_build_delete_request, 0);
}
