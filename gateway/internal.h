/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway's inside: one event loop, and what the parts owe each other.
 *
 * A part (tcp, udp, icmp, dns) owns its flows in an array of slots that never moves; an event names a part, a
 * slot and which descriptor of it.  A slot that is freed stays unused until the batch of events has been
 * handled, so an event can never meet another flow than its own.
 */
#ifndef GATEWAY_INTERNAL_H
#define GATEWAY_INTERNAL_H

#include <vnic/gateway.h>
#include <vnic/tap.h>

#include "clock.h"
#include "hash.h"
#include "loop.h"
#include "packet.h"
#include "shares.h"

/* What became ready: the type of a loop_ref; `index` is a flow's slot, `sub` says which of its descriptors. */
enum gateway_ref {
	REF_SLOW,
	REF_TCP_LISTEN, /* sub: VNIC_V4, VNIC_V6 */
	REF_TCP_FLOW,   /* sub: enum side */
	REF_UDP_NEW,    /* sub: VNIC_V4, VNIC_V6 */
	REF_UDP_FLOW,   /* sub: enum side */
	REF_ICMP_FLOW,
	REF_PUBLISH, /* index: of the published port */
	REF_DNS,     /* see dns.h */
	REF_LEASE,   /* sub: enum vnic_lease_socket */
	REF_RING,
	REF_TIMER,
	REF_STOP,
};

#define DENIED_NAMES 32

/* The two ends of a flow. */
enum side { SIDE_HOST, SIDE_INNER };

struct tcp;
struct udp;
struct icmp;
struct publish;
struct dns;
struct names;
struct leases;

struct vnic_gateway {
	struct vnic_gateway_config config;
	struct vnic_gateway_stats stats;
	struct link_ends ends;     /* of frames that we send */
	struct hash_secret secret; /* of all tables of flows */
	int epfd;
	bool stopped;
	bool bulk; /* as the caller was told */
	bool busy; /* a flow wants a turn although no event will come */
	struct shares max;
	int spare_fd; /* closed when there is no other, see spare.c */
	int timer_fd;
	int64_t timer_at;                    /* when it fires, ns; 0: not armed */
	int64_t now;                         /* CLOCK_MONOTONIC at the begin of this batch, ns */
	int64_t sleepy_until;                /* do not spin before, ns */
	uint32_t denied_told;                /* bits of the kinds of denial that were told */
	uint64_t denied_names[DENIED_NAMES]; /* the names of which one was told, as hashes */
	unsigned denied_name_count;
	uint64_t log_number;  /* of the last flow that was logged */
	uint64_t log_missing; /* lines not taken since the last one that was */
	struct tcp *tcp;
	struct udp *udp;
	struct icmp *icmp;
	struct publish *publish;
	struct dns *dns;       /* NULL: none */
	struct names *names;   /* NULL: they make no difference */
	struct leases *leases; /* NULL: none */
};

/* --- gateway.c ---------------------------------------------------------------------- */

/*
 * Writes a frame to the slow path, to the router's end whoever it was for: its MACs are written over.  One that does
 * not fit in the queue is lost, as on any wire.
 */
void gateway_inject(struct vnic_gateway *gateway, const struct vnic_vnet_hdr *hdr, uint8_t *frame, size_t size);
/* The same of a frame that we made: with finished checksums, and no super-frame. */
void gateway_inject_made(struct vnic_gateway *gateway, uint8_t *frame, size_t size);
void gateway_inject_reset(struct vnic_gateway *gateway, const struct packet *syn);
void gateway_inject_error(struct vnic_gateway *gateway, const struct packet *cause, const struct icmp_error *error);
void gateway_inject_unreachable(struct vnic_gateway *gateway, const struct packet *cause, enum unreachable why);

/* Sees to it that the parts' `expire` runs at `when` (ns, CLOCK_MONOTONIC) or earlier. */
void gateway_wake_at(struct vnic_gateway *gateway, int64_t when);

/* --- admission.c -------------------------------------------------------------------- */

/* Where the host side of a flow goes. */
struct destination {
	bool host;         /* the host itself: its loopback, or an address of its own */
	uint8_t resolvers; /* for who asks the forwarder: those passed over, and this one, as bits; 0: none of them */
	struct sockaddr_storage addr;
	socklen_t len;
};
/*
 * Asks the policy and translates the router's address to the host's loopback.  GATEWAY_DENIED: denied, which has been
 * counted and told; negative: it cannot start, whatever the policy says.
 */
#define GATEWAY_DENIED 1
int gateway_admit(struct vnic_gateway *gateway, const struct flow_key *key, enum vnic_proto proto,
		  struct destination *ret_destination);
/* The same, whatever is the forwarder's: for what it asks itself. */
int gateway_decide(struct vnic_gateway *gateway, const struct flow_key *key, enum vnic_proto proto,
		   struct destination *ret_destination);
/* Counts and tells what is denied; of a question that is, only .name is set. */
void gateway_deny(struct vnic_gateway *gateway, const struct vnic_policy_flow *flow);

/* The answer to a failed connect or send: which unreachable an errno means; false: none, stay silent. */
bool gateway_why(int code, enum unreachable *ret_why);

/* --- spare.c ------------------------------------------------------------------------ */

/* Opens it, if it is not open. */
void gateway_keep_spare(struct vnic_gateway *gateway);
/* After a call has failed.  True: there is room for one descriptor, until gateway_keep_spare. */
bool gateway_lend_spare(struct vnic_gateway *gateway);
/*
 * accept4(2).  Where there are no descriptors left, whoever waits is turned away with a reset and counted as `full`,
 * errno is EAGAIN, and *ret_from, which is untouched else, says who it was: he would keep the listener readable, and us
 * awake, for as long as he waits.
 */
int gateway_accept(struct vnic_gateway *gateway, int listener, struct sockaddr_storage *ret_from);
/* Closes a TCP socket such that its peer hears of a reset, not of an end. */
void gateway_reset(int *fd);

/* --- endpoint.c --------------------------------------------------------------------- */

/* Socket addresses of keys and back. */
socklen_t endpoint_to_sockaddr(uint16_t family, const struct endpoint *endpoint, struct sockaddr_storage *ret_addr);
bool sockaddr_to_endpoint(const struct sockaddr_storage *addr, struct endpoint *ret_endpoint, uint16_t *ret_family);

/* --- tcp.c -------------------------------------------------------------------------- */

int tcp_new(struct vnic_gateway *gateway, struct tcp **ret_tcp, struct vnic_error *err);
void tcp_free(struct tcp *tcp);
/* A SYN on the slow path, as it was read. */
void tcp_syn(struct tcp *tcp, const struct vnic_vnet_hdr *hdr, uint8_t *frame, size_t size,
	     const struct packet *packet);
void tcp_accept(struct tcp *tcp, int listener);
void tcp_event(struct tcp *tcp, uint32_t slot, enum side side, uint32_t events);
/*
 * A connection from outside: host_fd is accepted, inner_fd is being connected to key->src.  Takes both over, also
 * when it fails.
 */
void tcp_arrive(struct tcp *tcp, const struct flow_key *key, int host_fd, int inner_fd);
/* Those whose turn was cut short, and those that are to begin, when gateway->busy. */
void tcp_again(struct tcp *tcp);
void tcp_expire(struct tcp *tcp);
/* Were pipes used in the last second or two? */
bool tcp_is_bulk(const struct tcp *tcp);
/* After each batch: what was offered is accepted, slots that were freed may be used again. */
void tcp_settle(struct tcp *tcp);
void tcp_get_rest(const struct tcp *tcp, struct vnic_gateway_rest *ret_rest);

/* --- udp.c -------------------------------------------------------------------------- */

int udp_new(struct vnic_gateway *gateway, struct udp **ret_udp, struct vnic_error *err);
void udp_free(struct udp *udp);
/* Datagrams on a transparent socket: the first ones of flows. */
void udp_new_datagrams(struct udp *udp, int socket, uint16_t family);
void udp_event(struct udp *udp, uint32_t slot, enum side side, uint32_t events);
/* Datagrams at a published port, which has this index. */
void udp_arrive(struct udp *udp, uint32_t port_index, const struct vnic_gateway_publish *port);
void udp_expire(struct udp *udp);
/* Datagrams that overran the sockets of flows, ended and open. */
uint64_t udp_overrun(struct udp *udp);
void udp_settle(struct udp *udp);

/* --- flood.c ------------------------------------------------------------------------ */

void flood_event(struct udp *udp);
/* As vnic_gateway_take_ring. */
void flood_take_ring(struct udp *udp, int fd);

/* --- icmp.c ------------------------------------------------------------------------- */

int icmp_new(struct vnic_gateway *gateway, struct icmp **ret_icmp, struct vnic_error *err);
void icmp_free(struct icmp *icmp);
/* An echo request on the slow path, or a fragment of one. */
void icmp_echo(struct icmp *icmp, const struct packet *packet);
void icmp_event(struct icmp *icmp, uint32_t slot);
void icmp_expire(struct icmp *icmp);
void icmp_settle(struct icmp *icmp);

/* --- publish.c ---------------------------------------------------------------------- */

int publish_new(struct vnic_gateway *gateway, struct publish **ret_publish, struct vnic_error *err);
/* Closes the host's ports, unless `keep`: then they stay their maker's. */
void publish_free(struct publish *publish, bool keep);
void publish_event(struct publish *publish, uint32_t index);
/* Datagrams that overran the ports themselves. */
uint64_t publish_overrun(const struct publish *publish);
/* The flow of a client of this port, as the sandbox sees it: from its own address, if that can be one there. */
void publish_key(const struct vnic_gateway *gateway, const struct vnic_gateway_publish *port,
		 const struct endpoint *client, uint16_t family, struct flow_key *ret_key);
/* Where key->dst.port is 0 the kernel has chosen it for this socket. */
int publish_learn_port(int inner_fd, struct flow_key *key);
/*
 * The sandbox refused a connection of that name, which becomes another one if it may be asked by the other family:
 * once, and for a client who comes in the router's name anyway.  "localhost" is ::1 first, and many servers have only
 * IPv4.
 */
bool publish_connect_otherwise(struct vnic_gateway *gateway, struct flow_key *key, int client_fd, int *ret_fd);

/* --- lease.c ------------------------------------------------------------------------ */

int leases_new(struct vnic_gateway *gateway, struct leases **ret_leases, struct vnic_error *err);
void leases_free(struct leases *leases);
/* Guests ask. */
void leases_event(struct leases *leases, enum vnic_lease_socket socket);
void leases_expire(struct leases *leases);
/*
 * Is it the address of a guest who has taken the lease of the other family and not this one?  Then nobody is there.
 * NULL is allowed.
 */
bool leases_lack(const struct leases *leases, const struct vnic_addr *addr, bool v6);

#endif
