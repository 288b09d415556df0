/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan of a sandbox's NICs: every name, index, MAC, address and route decided before the
 * first system call, and then carried out by up to three processes, each in its namespace.
 *
 * "Inner" is the sandbox's side of a NIC, "outer" the other: in the router, or on the host for a bridge.
 */
#ifndef NETWORK_PLAN_H
#define NETWORK_PLAN_H

#include <vnic/sandbox.h>

#include "subnet.h"

/*
 * Frames that wait for a VMM.  Beyond them the kernel drops without a word while TCP counts bytes: a guest without
 * segmentation offload and with the largest window that is common (tcp_rmem, 6 MiB) has 4,096 of 1,500 bytes under way.
 * Set by netlink: the ioctl asks for the host's CAP_NET_ADMIN (dev_ioctl, net/core/dev_ioctl.c).
 */
#define PLAN_HANDED_QUEUE 4096

#define LO_INDEX 1   /* net/core/dev.c: LOOPBACK_IFINDEX */
#define PLAN_OUTER 4 /* the router's and the forwarder's address, each for both families */

struct nic_plan {
	struct vnic_nic nic; /* as asked, with name and MTU filled in */
	int inner_index, outer_index;
	struct vnic_mac inner_mac, outer_mac;
	char outer_name[IFNAMSIZ];
	int lower_index; /* of the bridge, or of the macvlan's parent; in the caller's namespace */
	unsigned outer_count;
	struct vnic_addr outer[PLAN_OUTER]; /* the router's addresses */
	struct vnic_addr dns[2];   /* those of `outer` at which the forwarder answers; by family, AF_UNSPEC: none */
	uint32_t priority;         /* of the default routes */
	bool by_default;           /* nobody gave addresses */
	struct vnic_addr hosts[2]; /* by family: of the host, in the NIC's network or where it would be by default */
};

/* What a plan depends on and only the host knows. */
struct plan_host {
	struct subnets nets; /* its own */
	const char *no_ipv6; /* why the gateway cannot have IPv6; NULL: it can */
};

/*
 * Frames of TCP between sandbox and router may be this long ("BIG TCP"): the stack between them is gone through a third
 * as often, +20 % out of the sandbox, +40 % by IPv6; twice as much gains nothing.
 */
#define PLAN_GSO_MAX (192u << 10)

struct plan {
	bool captured;       /* frames are to be seen as they are sent: no longer ones */
	const char *no_ipv6; /* as in plan_host, where a NIC on the gateway would have it */
	unsigned count;
	struct nic_plan nics[VNIC_NICS];
};

/* A device whose descriptors the command gets. */
static inline bool nic_is_handed(const struct vnic_nic *nic)
{
	return nic->places;
}

/* A device with a descriptor, whose frames the relay carries to the other side. */
static inline bool nic_is_relayed(const struct vnic_nic *nic)
{
	return (nic->kind == VNIC_NIC_TAP || nic->kind == VNIC_NIC_TUN) && nic->to != VNIC_TO_NONE &&
	       !nic_is_handed(nic);
}

/* Is its outer side in the router? */
static inline bool nic_is_routed(const struct vnic_nic *nic)
{
	return (nic->kind == VNIC_NIC_VETH && nic->to != VNIC_TO_BRIDGE) ||
	       ((nic_is_relayed(nic) || nic_is_handed(nic)) && nic->to == VNIC_TO_GATEWAY);
}

/* Do its flows go through the gateway? */
static inline bool nic_is_gated(const struct vnic_nic *nic)
{
	return nic_is_routed(nic) && nic->to == VNIC_TO_GATEWAY;
}

/* Does it need links of the caller's namespace, and so privilege there? */
static inline bool nic_needs_host(const struct vnic_nic *nic)
{
	return nic->to == VNIC_TO_BRIDGE || nic->kind == VNIC_NIC_MACVLAN || nic->kind == VNIC_NIC_MACVTAP;
}

static inline uint32_t plan_queue(const struct nic_plan *plan)
{
	return nic_is_handed(&plan->nic) ? PLAN_HANDED_QUEUE : 0;
}

/* A pair to the gateway, whose frames may be long on the way. */
bool plan_is_long(const struct plan *plan, const struct nic_plan *nic);
/* True if one of the plan's NICs has its outer side, or its relay, in the router. */
bool plan_has_router(const struct plan *plan);
bool plan_is_relayed(const struct plan *plan);
/* Its command is a VMM: all NICs are handed to it. */
bool plan_is_handed(const struct plan *plan);

/* Decides everything but what only the host's kernel knows.  Pure, but for random MACs. */
int plan_make(const struct vnic_nic *nics, unsigned count, const struct plan_host *host, struct plan *ret_plan,
	      struct vnic_error *err);

/*
 * A line for the user where the NIC's network has no room for a router, or is the host's, too, or is another for that
 * reason.  None where only the IPv6 network moved, whose addresses nobody types: hosts in fd00::/64 would hear of it at
 * each run.
 */
bool plan_note(const struct nic_plan *plan, char *buf, size_t size);

/* Looks up bridges and parents; in the namespace of `nl`. */
int plan_resolve(struct plan *plan, struct vnic_nl *nl, struct vnic_error *err);

/*
 * Makes the links, each end born in its namespace; by whoever has CAP_NET_ADMIN over both.
 * TAP and TUN devices are made by the sides themselves.
 */
int plan_make_links(const struct plan *plan, struct vnic_nl *nl, int router_fd, int sandbox_fd, struct vnic_error *err);

/* In the router: lo, addresses. */
int plan_router_side(const struct plan *plan, struct vnic_error *err);

/*
 * Waits until the outer ends on this side, the caller's, carry frames: they do once the inner ends are up.
 * -EPIPE when a lifeline is at its end: a socket or a pidfd of a process without which there is nothing to wait for,
 * or -1.
 */
enum plan_side { PLAN_ROUTER, PLAN_HOST };
#define PLAN_LIFELINES 2
int plan_wait(const struct plan *plan, enum plan_side side, const int lifelines[PLAN_LIFELINES],
	      struct vnic_error *err);

/* In the sandbox: lo, links up, addresses, routes. */
int plan_sandbox_side(const struct plan *plan, int lifeline, struct vnic_error *err);

/*
 * The device of a TAP or TUN NIC, made in the caller's namespace.  The relay's super-frames need its offloads; a VMM
 * sets those that its guest has.
 */
int plan_open_device(const struct nic_plan *plan, const char *name, const struct vnic_mac *mac,
		     struct vnic_tap *ret_tap, struct vnic_error *err);

#endif
