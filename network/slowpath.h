/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes a network namespace a router whose flows the gateway carries: the slow path, routing rules,
 * the ruleset, and the sockets at which flows arrive.
 */
#ifndef NETWORK_SLOWPATH_H
#define NETWORK_SLOWPATH_H

#include "plan.h"

#define SLOWPATH_INDEX 300 /* ifindex of slow0; slow1 follows; the plan's NICs have lower ones */
/*
 * Of the transparent sockets.  Not among the ports that clients take for themselves: a transparent socket may have to
 * be bound to any address and port that there is, and a listener would be in its way.
 */
#define SLOWPATH_PORT 1
/*
 * Connections that wait for accept(2), and as many handshakes.  More SYNs than this must not be
 * re-injected at a time.
 */
#define SLOWPATH_BACKLOG 16384

/* Of the router, on the link of each NIC. */
extern const struct vnic_addr slowpath_link_local;

enum { SLOWPATH_V4, SLOWPATH_V6, SLOWPATH_FAMILIES };

struct slowpath {
	int packet_fd;              /* on slow1, PACKET_VNET_HDR: the first packet of a flow, and the way back */
	int tcp[SLOWPATH_FAMILIES]; /* transparent listeners */
	int udp[SLOWPATH_FAMILIES]; /* transparent, with IP_RECVORIGDSTADDR */
	struct vnic_mac slow0_mac;  /* frames come with it as their destination, and must go back so */
	struct vnic_mac slow1_mac;
	bool ipv6;        /* false: the kernel has none, or /proc/sys may not be written; the v6 sockets are -1 */
	int backlog;      /* SLOWPATH_BACKLOG, or less where /proc/sys may not be written */
	bool early_demux; /* of TCP, where /proc/sys may not be written: the ruleset makes up for it */
};
#define SLOWPATH_EMPTY ((struct slowpath){.packet_fd = -1, .tcp = {-1, -1}, .udp = {-1, -1}})

/* Why the gateway can have no IPv6 here, a line for the user; static; NULL: it can, as far as can be seen. */
const char *slowpath_no_ipv6(void);

/*
 * In the router's namespace, whose links, with lo up, and addresses are there (plan_router_side); needs CAP_NET_ADMIN
 * over it.  The descriptors are the caller's, and non-blocking.  On failure links, rules and routes are left to the end
 * of the namespace.  Errors: VNIC_STEP_SYSCTL where the host's rp_filter is inherited and cannot be changed.
 */
int slowpath_set_up(const struct plan *plan, struct slowpath *ret_slowpath, struct vnic_error *err);
/*
 * The ruleset, without which nothing comes to these sockets, and the wait until the pair carries frames.  A step of its
 * own, so that the gateway can take the sockets meanwhile.  Errors: VNIC_STEP_NFT where the kernel lacks nf_tables or
 * tproxy.
 */
int slowpath_let_in(const struct plan *plan, const struct slowpath *slowpath, struct vnic_error *err);
/*
 * A TCP socket of the router speaks to the sandbox over a pair in memory.  BBR, where it is the host's default, paces
 * there for nothing and takes three quarters of the throughput; the host's own choice stays that of the other leg.
 */
void slowpath_unpace(int fd);
/* A receive buffer as large as the caller may have: without privilege over the host that is net.core.rmem_max. */
void slowpath_widen(int fd, int bytes);
#define SLOWPATH_UDP_BUFFER (4 << 20) /* of a socket at which all begin */
void slowpath_close(struct slowpath *slowpath);

#endif
