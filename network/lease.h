/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests that configure themselves: what the gateway shall tell them, and the sockets at which they ask. */
#ifndef NETWORK_LEASE_H
#define NETWORK_LEASE_H

#include <vnic/lease.h>

#include "build.h"

/*
 * Of the NICs with ip=dhcp, whose ends in the router are there; IPv6 only where the router has it.  Returns how many;
 * ret_leases has VNIC_LEASES places.
 */
unsigned lease_plan(const struct build *build, bool ipv6, struct vnic_lease *ret_leases);

/*
 * The domains of resolv.conf's search line, as DNS writes names; `kept`: whole lines, as in struct resolv.  Names that
 * are none are left out, and those for which there is no room.  Returns the size.
 */
uint8_t lease_search(const char *kept, size_t size, uint8_t ret_names[VNIC_LEASE_SEARCH]);

/* In the router's namespace.  Those that no lease needs are -1; the rest is the caller's. */
int lease_open(const struct vnic_lease *leases, unsigned count, int ret_fds[VNIC_LEASE_SOCKETS],
	       struct vnic_error *err);

#endif
