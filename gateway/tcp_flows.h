/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flows of TCP: slots that never move, found by the flows' names, and in FIFOs by what they wait for.  What they
 * go through is in tcp.c.
 */
#ifndef GATEWAY_TCP_FLOWS_H
#define GATEWAY_TCP_FLOWS_H

#include "dns_tcp.h"
#include "internal.h"
#include "log.h"
#include "stream.h"

#define BUCKETS 16384 /* a power of two */
#define SYN_MAX 192   /* link header, IPv4 with options or IPv6, TCP with options */
_Static_assert(PACKET_SYN_MAX <= SYN_MAX, "a bare SYN does not fit");
#define NONE 0 /* slot 0 is not used, so an empty list is a zeroed one */

enum tcp_state { TCP_DEAD, TCP_FRESH, TCP_CONNECTING, TCP_WAITING, TCP_OFFERED, TCP_ARRIVING, TCP_OPEN };

struct flow {
	struct flow_key key; /* all zero: it has lost its name */
	uint8_t state;
	bool arrived;       /* of a client of a published port */
	bool again;         /* on the list of those whose turn was cut short */
	bool asks;          /* the forwarder: what it carries is messages */
	uint8_t resolvers;  /* if it asks: those that it was sent to */
	uint32_t hash_next; /* in its bucket */
	uint32_t next;      /* in the list it is on: free, fresh, waiting, offered, again */
	int64_t offered_at;
	int fds[2]; /* by enum side */
	union {
		struct { /* when OPEN */
			union {
				struct stream streams[2]; /* by the side that bytes come from */
				struct dns_tcp questions; /* if it asks */
			};
			struct log_entry logged;
		};
		struct { /* before */
			uint16_t size;
			struct vnic_vnet_hdr hdr;
			uint8_t frame[SYN_MAX];
		} syn;
	};
};

/* A FIFO of flows through their `next`. */
struct queue {
	uint32_t first, last;
};

struct tcp {
	struct vnic_gateway *gateway;
	struct flow *flows;
	uint32_t max, touched; /* slots ever used */
	uint32_t arrived;      /* flows of clients: at most half */
	uint32_t free, buried; /* lists; buried ones become free when the batch is over */
	struct queue fresh, waiting, offered, again;
	uint32_t offered_count, offered_max;
	unsigned offered_to; /* in this batch: bits of VNIC_V4, VNIC_V6 */
	struct pipe_pool pipes;
	uint32_t buckets[BUCKETS];
};

static inline uint32_t tcp_slot(const struct tcp *tcp, const struct flow *flow)
{
	return (uint32_t)(flow - tcp->flows);
}

void tcp_queue_push(struct tcp *tcp, struct queue *queue, uint32_t slot);
/* NONE: it is empty. */
uint32_t tcp_queue_pop(struct tcp *tcp, struct queue *queue);
void tcp_queue_remove(struct tcp *tcp, struct queue *queue, uint32_t slot);

struct log_name tcp_log_name(const struct flow *flow);

struct flow *tcp_find(struct tcp *tcp, const struct flow_key *key);
/* For a new connection of that name: a flow that is over for the router's kernel loses it. */
struct flow *tcp_find_living(struct tcp *tcp, const struct flow_key *key);
/* FRESH, without descriptors; NULL: the cap is reached. */
struct flow *tcp_new_flow(struct tcp *tcp, const struct flow_key *key);
void tcp_rename(struct tcp *tcp, struct flow *flow, const struct flow_key *key);
/* Closes what it has, takes it off the FIFOs; its slot stays unused until tcp_free_buried. */
void tcp_bury(struct tcp *tcp, struct flow *flow);
void tcp_free_buried(struct tcp *tcp);

#endif
