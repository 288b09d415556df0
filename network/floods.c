/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rings for floods, in the router: see gateway/flood.c for what they are for, and netlink/nft_ring.c for how a flow's
 * datagrams get there.
 *
 * The ring is made before the flow is led to it, and the flow is led away before the gateway hears of it.  Its socket
 * is kept until the gateway has closed its own, for the last one who closes waits for the kernel.
 */
#include "floods.h"

#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include <vnic/fdpass.h>

#include "fd.h"
#include "flood_ring.h"
#include "nft_ring.h"

#define MARK 3u /* neither VNIC_MARK_FLOW nor the slow path's */

static void read_end(const struct sockaddr_storage *from, struct vnic_addr *ret_addr, uint16_t *ret_port)
{
	const struct sockaddr_in *v4 = (const void *)from;
	const struct sockaddr_in6 *v6 = (const void *)from;

	*ret_addr =
		(struct vnic_addr){.family = (uint8_t)from->ss_family, .prefix = from->ss_family == AF_INET ? 32 : 128};
	if (from->ss_family == AF_INET)
		memcpy(ret_addr->bytes, &v4->sin_addr, sizeof(v4->sin_addr));
	else
		memcpy(ret_addr->bytes, &v6->sin6_addr, sizeof(v6->sin6_addr));
	*ret_port = ntohs(v4->sin_port); /* at the same place in both */
}

static bool is_from(const struct nic_plan *nic, const struct vnic_addr *src)
{
	for (unsigned i = 0; i < nic->nic.addr_count; i++)
		if (vnic_addr_contains(&nic->nic.addrs[i], src))
			return nic->nic.kind == VNIC_NIC_VETH && nic_is_gated(&nic->nic);
	return false;
}

/* NULL: of none that is a pair. */
static const struct nic_plan *find_nic(const struct plan *plan, const struct vnic_addr *src)
{
	for (unsigned i = 0; i < plan->count; i++)
		if (is_from(&plan->nics[i], src))
			return &plan->nics[i];
	return NULL;
}

static int begin(const struct plan *plan, const struct opener_flood *flow, int *ret_fd, struct vnic_error *err)
{
	struct nft_ring rule = {.mark = MARK};
	const struct nic_plan *nic;
	CLEANUP_FD int fd = -1;
	int r;

	read_end(&flow->src, &rule.src, &rule.src_port);
	read_end(&flow->dst, &rule.dst, &rule.dst_port);
	if ((rule.src.family != AF_INET && rule.src.family != AF_INET6) || rule.dst.family != rule.src.family)
		return vnic_fail(err, VNIC_STEP_SOCKET, EAFNOSUPPORT, "for a flood", NULL);
	nic = find_nic(plan, &rule.src);
	if (!nic)
		return vnic_fail(err, VNIC_STEP_SOCKET, ENODEV, "for a flood", NULL);
	rule.link = nic->outer_name;
	r = flood_ring_make(nic->outer_index, rule.src.family == AF_INET ? ETHERTYPE_IP : ETHERTYPE_IPV6, MARK, &fd,
			    err);
	if (r == 0)
		r = nft_ring_apply(&rule, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

/* True: datagrams no longer go to the ring. */
static bool end(void)
{
	int r = nft_ring_remove(NULL);

	return r == 0 || r == -ENOENT;
}

/* A ring that nobody reads would swallow the flow. */
static bool give(struct floods *floods, int answer_to)
{
	if (vnic_fd_send(answer_to, &floods->fd, 1, "", 1, NULL) == 0)
		return true;
	end();
	close_fd(&floods->fd);
	return false;
}

void floods_hear(struct floods *floods, const struct plan *plan, const struct opener_flood *flood, int answer_to)
{
	switch (flood->what) {
	case VNIC_FLOOD_BEGINS:
		if (floods->fd >= 0 || begin(plan, flood, &floods->fd, NULL) < 0 || !give(floods, answer_to))
			vnic_fd_send(answer_to, NULL, 0, "", 1, NULL);
		break;
	case VNIC_FLOOD_ENDS: /* where it cannot, for lack of memory, the gateway goes on, and asks again */
		vnic_fd_send(answer_to, &floods->fd, end() ? 0 : 1, "", 1, NULL);
		break;
	case VNIC_FLOOD_GONE:
		close_fd(&floods->fd);
		break;
	}
}
