/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the UDP part share: udp.c, arrivals.c for the flows that begin outside, flood.c for the fast ones.
 */
#ifndef GATEWAY_UDP_H
#define GATEWAY_UDP_H

#include "arrivals.h"
#include "datagrams.h"
#include "flood.h"
#include "internal.h"
#include "log.h"
#include "mapping.h"
#include "table.h"

#define TURNS 4 /* full batches from one socket before others have their turn */

struct udp_flow {
	int fds[2];           /* by enum side; -1 on the host's side: a published port, which many share */
	uint32_t mapping;     /* 0: its host port is its own */
	uint32_t arrival;     /* of the client that began it; 0: the sandbox did */
	uint8_t datagrams[2]; /* that came from each side, 0..2 */
	bool busy;            /* its sockets were made fit for bulk */
	struct log_entry logged;
};

struct udp {
	struct vnic_gateway *gateway;
	struct table flows;
	struct udp_flow *flow; /* by slot of flows */
	struct mappings mappings;
	struct arrivals arrivals;
	struct datagrams *batch;
	struct flood flood;
	uint32_t max;
};

/* A slot for a new flow, if need be at the expense of another, which has been counted; 0: none. */
uint32_t udp_new_flow(struct udp *udp, const struct flow_key *key);
void udp_end_flow(struct udp *udp, uint32_t slot);
struct log_name udp_log_name(const struct udp *udp, uint32_t slot);
/* The socket in the router that speaks for key->dst; port 0: any that is free. */
int udp_open_inner(struct udp *udp, const struct flow_key *key, int *ret_fd);
int udp_watch(struct udp *udp, uint32_t slot, enum side side);
/* Does a datagram of the flow wait that came from that side? */
bool udp_has_waiting(const struct udp *udp, uint32_t slot, enum side side);
/* So many datagrams came from that side. */
void udp_touch(struct udp *udp, uint32_t slot, enum side from, unsigned datagrams);
/* Sends those of the batch before `stop` on to the other side; false: the flow has ended. */
bool udp_pass(struct udp *udp, uint32_t slot, enum side from, unsigned index, unsigned stop);
/* Fit for many datagrams, at the price of some system calls. */
void udp_make_busy(struct udp_flow *flow);
void udp_set_bulk(int fd);
/* Datagrams that the kernel dropped because they came faster than they were taken from this socket; -1: none. */
uint64_t udp_socket_overrun(int fd);

#endif
