/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Router solicitations and advertisements (RFC 4861), with resolvers (RFC 8106); see ra.c. */
#ifndef GATEWAY_RA_H
#define GATEWAY_RA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/lease.h>

#define RA_MADE 400
#define RA_INTERVAL 21845 /* seconds after which those that were answered want to hear again */

/*
 * Is this ICMPv6 message, whose checksum is right, a router solicitation?  `hops`: the hop limit with which it came;
 * `nameless`: its source is the unspecified address.
 */
bool ra_is_solicitation(const void *message, size_t size, int hops, bool nameless);

/* What the lease says, without a checksum.  The lease must have an IPv6 address.  Returns the size. */
size_t ra_make(const struct vnic_lease *lease, uint8_t buf[RA_MADE]);

#endif
