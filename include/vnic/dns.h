/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gateway's DNS forwarder: where the sandbox asks it, and whom it asks. */
#ifndef VNIC_DNS_H
#define VNIC_DNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <vnic/addr.h>

#define VNIC_DNS_SERVERS 3 /* as many as the C library's resolver takes (MAXNS, resolv.h) */

/* Resolvers in the order of preference, each with its port. */
struct vnic_dns_servers {
	unsigned count;
	struct sockaddr_storage addrs[VNIC_DNS_SERVERS];
};

struct vnic_dns_config {
	/* Where it answers, port 53 of UDP and TCP; by family, AF_UNSPEC: not there.  Neither: no forwarder. */
	struct vnic_addr listen[2];
	struct vnic_dns_servers servers;
	/*
	 * The user named the servers: the policy decides about them as about any other destination.  Otherwise they are
	 * the host's own, which answer whatever the policy says: to ask them is what a forwarder is for.
	 */
	bool named;
	/*
	 * Answers at the addresses of the host's resolvers too, where the sandbox has the host's resolv.conf.
	 * Not with `named`.
	 */
	bool in_their_name;
	/*
	 * Answers only what is asked about names in the policy's rules; at the addresses of `servers`, too, whatever
	 * the policy says.  Otherwise a question, about any name, carries information to whoever answers for it.
	 */
	bool only_allowed;
	/*
	 * Asks what the host's resolvers are by now: vnic_gateway_set_resolvers is the answer, at once or later, and
	 * questions wait for it, though not for long.  Called before a question, at most once a second, and not again
	 * before the answer.  NULL: they never change.  Must not block.
	 */
	void (*ask_resolvers)(void *ctx);
	void *ctx;
};

/* queries = answers + failed + full + repeated + open */
struct vnic_dns_stats {
	uint64_t queries;    /* taken from the sandbox */
	uint64_t answers;    /* a resolver's, passed on, or said to be too large */
	uint64_t failed;     /* malformed; no resolver answered, or none may be asked; denied */
	uint64_t full;       /* turned away, for too many were under way, or too much was */
	uint64_t repeated;   /* by an asker whose question was under way; one answer is for all */
	uint32_t open;       /* under way */
	uint64_t streams;    /* of those taken as datagrams, asked again over TCP, for the answer did not fit */
	uint64_t denied;     /* of those that failed: about names in no rule, where only these are answered */
	uint64_t strange;    /* datagrams from a resolver's address that answer no question of ours */
	uint32_t known;      /* addresses that are kept, with their names, for rules with names */
	uint64_t known_full; /* those forgotten early, as there were too many */
};

#endif
