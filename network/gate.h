/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway's process: born by the front, in the host's namespaces; given the router's descriptors by the
 * router's helper; left with no privilege.
 */
#ifndef NETWORK_GATE_H
#define NETWORK_GATE_H

#include <vnic/gateway.h>

#include "ns.h"
#include "publish.h"
#include "turns.h"

/* What the router's helper opens for the gateway; GATE_LEASE is followed by the others of vnic_lease_socket. */
enum {
	GATE_SLOW,
	GATE_TCP4,
	GATE_UDP4,
	GATE_TCP6,
	GATE_UDP6,
	GATE_LEASE,
	GATE_FDS = GATE_LEASE + VNIC_LEASE_SOCKETS,
};

struct gate_hello {
	struct vnic_mac slow_mac, own_mac;
	unsigned backlog;   /* SYNs that the listeners have room for */
	bool has[GATE_FDS]; /* those that come with it, in this order; gate_send sets it */
	unsigned lease_count;
	struct vnic_lease leases[VNIC_LEASES];
};

/* What the gateway writes to the descriptor that comes with NS_STATS. */
struct gate_stats {
	struct vnic_gateway_stats flows;
	struct vnic_dns_stats dns;
};

struct gate {
	struct ns_step step;        /* front <-> gateway */
	int hello[2];               /* socket pair: [1] the router's helper sends to [0] the gateway, later of floods */
	int opener[2];              /* socket pair: [0] the gateway asks [1] the router's helper */
	struct vnic_addr router[2]; /* as in vnic_gateway_config */
	struct vnic_addr sandbox[2]; /* where published ports lead */
	struct publish_list published;
	struct vnic_dns_config dns; /* but for the functions */
	const struct vnic_policy *policy;
	int log;                     /* where the log goes; not ours, -1: there is none */
	char log_cut[VNIC_LOG_LINE]; /* the rest of a line that was cut, */
	size_t log_rest;             /* and its size */
	bool log_failed;             /* the user was told */
	struct turns turns;
	struct {
		bool asked; /* the sandbox has ended, and the front waits for what is left to go out */
		struct vnic_gateway_rest rest;
		uint64_t bytes;
		int64_t moved_at; /* ns: when these last changed; 0: they have not been looked at */
	} finish;
	bool privileged; /* become nobody */
	bool ipv6;       /* the router's helper has opened it; known when flows may come */
};
#define GATE_EMPTY ((struct gate){.step = NS_STEP_EMPTY, .hello = {-1, -1}, .opener = {-1, -1}, .log = -1})

int gate_open(struct gate *gate, struct vnic_error *err);
void gate_close(struct gate *gate);

/* The gateway's life; says NS_READY on its step when flows may come, and NS_NOTE for each line to tell the user. */
_Noreturn void gate_main(struct gate *gate);

/* What a helper in the host's namespaces gives up: root (it becomes nobody), capabilities, and being traced. */
int gate_drop_privilege(bool privileged, struct vnic_error *err);

/* In the router's helper; a descriptor that there is not is -1. */
int gate_send(const struct gate *gate, struct gate_hello *hello, const int fds[GATE_FDS], struct vnic_error *err);

#endif
