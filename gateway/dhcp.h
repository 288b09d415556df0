/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCP for IPv4: a message of a client's, and the answer to it; see dhcp.c. */
#ifndef GATEWAY_DHCP_H
#define GATEWAY_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/lease.h>

#define DHCP_MADE 548 /* every client takes that much: RFC 2131 section 2 */

/* What a message of a client came to; of DHCPv6 too. */
enum lease_outcome {
	LEASE_IGNORED,
	LEASE_OFFERED,
	LEASE_GIVEN,
	LEASE_REFUSED,
	LEASE_TOLD,
	LEASE_RETURNED,
};

struct dhcp_answer {
	enum lease_outcome outcome;
	bool unicast; /* to the leased address, which the client has; otherwise to everybody on the link */
	size_t size;  /* 0: there is none */
	uint8_t bytes[DHCP_MADE];
};

/* The lease must have an IPv4 address.  *ret_answer is whole even where there is nothing to say. */
void dhcp_answer(const struct vnic_lease *lease, const void *message, size_t size, struct dhcp_answer *ret_answer);

#endif
