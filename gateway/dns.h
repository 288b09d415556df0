/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The DNS forwarder; see dns.c. */
#ifndef GATEWAY_DNS_H
#define GATEWAY_DNS_H

#include <vnic/dns.h>

#include "internal.h"

struct dns;

/* -EINVAL: a server is the forwarder itself. */
int dns_new(struct vnic_gateway *gateway, const struct vnic_dns_config *config, struct dns **ret_dns,
	    struct vnic_error *err);
void dns_free(struct dns *dns);

/* Is this for the forwarder?  `dns` may be NULL. */
bool dns_owns(struct dns *dns, const struct flow_key *key);
/* A datagram that is. */
void dns_query(struct dns *dns, const struct flow_key *client, const void *data, size_t size);
/* As vnic_gateway_set_resolvers. */
void dns_set_servers(struct dns *dns, const struct vnic_dns_servers *servers);
/*
 * A TCP flow that is goes to this server: the first that may be asked, but for those `passed`, which are bits, for they
 * could not be connected to.  Returns as gateway_admit; -EHOSTUNREACH: there are no more.
 */
int dns_resolver(struct dns *dns, unsigned passed, struct destination *ret_destination);

/* REF_DNS; `sub` of the loop_ref. */
void dns_event(struct dns *dns, uint32_t slot, unsigned sub, uint32_t events);
void dns_expire(struct dns *dns);
void dns_settle(struct dns *dns);
void dns_get_stats(const struct dns *dns, struct vnic_dns_stats *ret_stats);

#endif
