/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy: which flows may start.  A list of rules over classes of addresses, networks, names, ports and
 * protocols; the most specific rule that matches decides, and nothing else does.
 */
#ifndef VNIC_POLICY_H
#define VNIC_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include <vnic/addr.h>
#include <vnic/api.h>
#include <vnic/error.h>

#define VNIC_POLICY_RULES 256
#define VNIC_POLICY_NAMES 8192 /* bytes of all names in rules, each with a byte at its end */
#define VNIC_DOMAIN_TEXT 254   /* of a name of the DNS: 253 characters (RFC 1035 2.3.4) and the end */

enum vnic_class {
	VNIC_CLASS_INTERNET, /* public addresses, and none of the below */
	VNIC_CLASS_LAN,      /* private, shared, link-local and unique local addresses */
	VNIC_CLASS_HOST,     /* the host's own addresses, and its loopback, seen as the router's address */
	VNIC_CLASS_SPECIAL,  /* metadata services, multicast, broadcasts, reserved: in no class but any */
	VNIC_CLASS_ANY,      /* in rules only */
};

enum vnic_proto { VNIC_PROTO_ANY, VNIC_PROTO_TCP, VNIC_PROTO_UDP, VNIC_PROTO_ICMP };

struct vnic_rule_policy {
	bool allow;
	bool by_class; /* by dst_class; else by name, or by net */
	bool fallback; /* decides only where no other rule matches */
	uint16_t name; /* where it begins in `names`; 0: not by name */
	enum vnic_class dst_class;
	struct vnic_addr net;
	uint16_t port_first, port_last; /* 0, 65535: any */
	enum vnic_proto proto;
};

struct vnic_policy {
	unsigned count;
	struct vnic_rule_policy rules[VNIC_POLICY_RULES];
	unsigned names_size;           /* 0: no rule has one */
	char names[VNIC_POLICY_NAMES]; /* in lower case, without a dot at the end; from 1 on, for 0 means none */
};

/* Some of a policy's rules, by their index. */
struct vnic_rule_set {
	uint64_t bits[VNIC_POLICY_RULES / 64];
};

/* A flow that wants to start. */
struct vnic_policy_flow {
	enum vnic_proto proto;
	struct vnic_addr dst;
	uint16_t port;
	bool host;      /* dst is one of the host's own addresses, or stands for its loopback */
	bool loopback;  /* it stands for the host's loopback */
	bool broadcast; /* dst is a broadcast address of the host's networks: special, whatever it looks like */
	struct vnic_rule_set named; /* the rules that have a name of dst: vnic_policy_names() */
	const char *name;           /* by which dst was asked for last; NULL: not known */
};

/* The default: where no other rule matches, internet is allowed. */
VNIC_API void vnic_policy_init(struct vnic_policy *policy);

/*
 * Adds "host", "lan", "internet", "any", "192.168.0.0/16", "10.1.2.3:443/tcp", "[fd00::/8]:53/udp",
 * "lan:80-90", "any/icmp"; and if it allows "example.org:443/tcp", or "*.example.org" for every name below.
 * -EINVAL names what is wrong; -ENOSPC: too many.
 */
VNIC_API int vnic_policy_add(struct vnic_policy *policy, bool allow, const char *text, struct vnic_error *err);

/* Adds the rules that have this name, written like `names`, to the set; false: there are none. */
VNIC_API bool vnic_policy_names(const struct vnic_policy *policy, const char *name, struct vnic_rule_set *set);

/*
 * May it start?  The most specific matching rule decides, the default last of all: a network before a name, a name
 * before a class, a longer prefix before a shorter, a single class before `any`; then fewer ports before more, then a
 * protocol before none; among equals deny before allow.  Without a match: no.  A network does not open the host's
 * loopback because the address that stands for it happens to lie there: only a rule for `host`, `any`, or that one
 * address does.  A name opens addresses of the class internet only: who runs its DNS chooses them.
 */
VNIC_API bool vnic_policy_allows(const struct vnic_policy *policy, const struct vnic_policy_flow *flow);

/*
 * The broadest rule that would let this flow start: its name, if that is known, else its class, unless that is
 * internet, which is open unless somebody closed it, else its address, else that with port and protocol.  NULL: a rule
 * as narrow as that forbids it; or it is a broadcast, which the gateway does not send.
 */
VNIC_API const char *vnic_policy_remedy(const struct vnic_policy *policy, const struct vnic_policy_flow *flow,
					char *buf, size_t size);

/* The class of an address; `host` as in struct vnic_policy_flow. */
VNIC_API enum vnic_class vnic_policy_class(const struct vnic_addr *addr, bool host);
VNIC_API enum vnic_class vnic_policy_flow_class(const struct vnic_policy_flow *flow);
/* "internet", "lan", ...; static. */
VNIC_API const char *vnic_class_text(enum vnic_class which);

#endif
