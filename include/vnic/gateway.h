/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway: carries the router's flows to host sockets and back.
 *
 * It stays in the host's network namespace and gets descriptors that were opened in the router.  The first
 * packet of a flow comes over the slow path, a packet socket; then TCP is spliced between two kernel sockets, and
 * UDP and ICMP echo are relayed between two sockets.
 */
#ifndef VNIC_GATEWAY_H
#define VNIC_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/addr.h>
#include <vnic/api.h>
#include <vnic/dns.h>
#include <vnic/error.h>
#include <vnic/lease.h>
#include <vnic/opener.h>
#include <vnic/policy.h>

/* Index of what exists once for each address family. */
enum { VNIC_V4, VNIC_V6 };

struct vnic_gateway;

#define VNIC_LOG_LINE 1024
#define VNIC_PUBLISHES 1024

/* A host port whose connections, or datagrams, go into the sandbox. */
struct vnic_gateway_publish {
	int fd; /* on the host's side: listening for TCP, bound for UDP, with packet information; the gateway's from
		   then on */
	bool udp;
	uint16_t to_port; /* in the sandbox */
};

/* What becomes of a flood; in this order, and one flood at a time. */
enum vnic_flood {
	VNIC_FLOOD_BEGINS,
	VNIC_FLOOD_ENDS, /* the flow shall go the ordinary way again */
	VNIC_FLOOD_GONE, /* the gateway has closed the ring */
};

struct vnic_gateway_config {
	int slow_fd;              /* packet socket on the slow path, PACKET_VNET_HDR; owned by the gateway afterwards */
	struct vnic_mac slow_mac; /* of the router's end of the slow path */
	struct vnic_mac own_mac;  /* of the gateway's end */
	int tcp[2];               /* transparent listeners in the router; -1: none; owned */
	unsigned backlog;         /* SYNs that the listeners have room for; 0: 2048, as in a new namespace */
	int udp[2];               /* transparent sockets in the router, original destination as ancillary data; owned */
	const struct vnic_opener *opener;             /* must live as long as the gateway */
	struct vnic_addr router[2];                   /* stand for the host's loopback */
	struct vnic_addr sandbox[2];                  /* where published ports lead; AF_UNSPEC: none of this family */
	const struct vnic_gateway_publish *publishes; /* needed only by vnic_gateway_new */
	unsigned publish_count;
	const struct vnic_lease *leases; /* of guests that configure themselves; needed only by vnic_gateway_new */
	unsigned lease_count;            /* at most VNIC_LEASES */
	int lease_sockets[VNIC_LEASE_SOCKETS]; /* in the router, where there is a lease; -1: none; owned */
	struct vnic_policy policy;
	struct vnic_dns_config dns;
	unsigned tcp_max, udp_max; /* flows; 0: 32768 and 8192, or as RLIMIT_NOFILE allows; clients of published ports
				      have at most half */
	/*
	 * Called for the first denied flow of a kind, and to each of 32 names, with what vnic_policy_remedy() says.  Of
	 * a question that dns.only_allowed denies `flow` has no .dst, but a .name, which is the rule, too, if one can
	 * have it.  May be NULL.
	 */
	void (*denied)(void *ctx, const struct vnic_policy_flow *flow, const char *rule);
	/*
	 * Takes the log of flows, a line of JSON with its newline at a time, less than VNIC_LOG_LINE bytes, as
	 * vnic-run(1) describes them; must not block.  False: it did not take this line, which is counted.  NULL: there
	 * is no log.
	 */
	bool (*log)(void *ctx, const char *line, size_t size);
	/* Called once, when the host forbids the ping sockets by which echo requests leave; may be NULL. */
	void (*echo_forbidden)(void *ctx);
	/*
	 * A flow of the sandbox sends datagrams faster than they are taken.  Whoever has the router may make a ring of
	 * them and say so with vnic_gateway_take_ring, as after each of the first two; `flow` has the remote's address
	 * to bind to and the sandbox's to connect to, and is NULL after the first.  May be NULL.
	 */
	void (*flood)(void *ctx, enum vnic_flood what, const struct vnic_open_request *flow);
	/* Called when bulk data begins to pass through TCP flows, and a second or two after its end; may be NULL. */
	void (*bulk)(void *ctx, bool bulk);
	void *ctx;
};

struct vnic_gateway_stats {
	uint64_t tcp_flows, udp_flows, icmp_flows; /* ever started */
	uint64_t published;                        /* of TCP and UDP flows: those that came from the host's side */
	uint32_t tcp_open, udp_open, icmp_open;
	uint64_t bytes_out, bytes_in;  /* payload, from and to the sandbox */
	uint64_t denied, failed, full; /* not started: policy; the host's answer; a cap */
	uint64_t malformed, ignored;   /* of the slow path; ignored: begin no flow, or were lost on the way back */
	/*
	 * Datagrams lost: not taken by a full queue or by the host; come faster than they were taken, of
	 * which the kernel counts a super-datagram once.
	 */
	uint64_t udp_unsent, udp_overrun;
	uint64_t fragments_dropped; /* of echo requests that never became whole */
	uint64_t unlogged;          /* lines of the log that were not taken */
	struct vnic_lease_stats leases;
};

/* What the sandbox has sent and has not gone out yet: for when it has ended. */
struct vnic_gateway_rest {
	unsigned open; /* TCP flows that end on the host's side when the sandbox's end has come, and what came before it
			*/
	unsigned held; /* of these, those whose remote has not taken what is there */
};

VNIC_API int vnic_gateway_new(const struct vnic_gateway_config *config, struct vnic_gateway **ret_gateway,
			      struct vnic_error *err);
VNIC_API void vnic_gateway_free(struct vnic_gateway *gateway);
VNIC_API int vnic_gateway_get_fd(const struct vnic_gateway *gateway);
/* When `fd`, which stays the caller's, is readable or hung up, dispatch returns -ECANCELED. */
VNIC_API int vnic_gateway_stop_on(struct vnic_gateway *gateway, int fd, struct vnic_error *err);
/* Handles what is there; waits up to timeout_ms for something (-1: for ever).  0, or a negative errno. */
VNIC_API int vnic_gateway_dispatch(struct vnic_gateway *gateway, int timeout_ms, struct vnic_error *err);
/* What the host's resolvers are by now; questions under way are asked of others anew.  NULL: they are the same. */
VNIC_API void vnic_gateway_set_resolvers(struct vnic_gateway *gateway, const struct vnic_dns_servers *servers);
/*
 * The ring that was asked for, from now on the gateway's, or again, where it cannot end yet; -1: there is none, or the
 * flow goes the ordinary way again; -EMFILE: there is one, for which this process has no descriptor left.
 */
VNIC_API void vnic_gateway_take_ring(struct vnic_gateway *gateway, int fd);
VNIC_API void vnic_gateway_get_dns_stats(const struct vnic_gateway *gateway, struct vnic_dns_stats *ret_stats);
VNIC_API void vnic_gateway_get_rest(const struct vnic_gateway *gateway, struct vnic_gateway_rest *ret_rest);
VNIC_API void vnic_gateway_get_stats(const struct vnic_gateway *gateway, struct vnic_gateway_stats *ret_stats);

#endif
