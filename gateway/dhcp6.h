/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCP for IPv6: a message of a client's, and the answer to it; see dhcp6.c. */
#ifndef GATEWAY_DHCP6_H
#define GATEWAY_DHCP6_H

#include "dhcp.h"

#define DHCP6_MADE 1232 /* of an IPv6 packet that nobody has to cut */

struct dhcp6_answer {
	enum lease_outcome outcome;
	size_t size; /* 0: there is none */
	uint8_t bytes[DHCP6_MADE];
};

/* The lease must have an IPv6 address.  *ret_answer is whole even where there is nothing to say. */
void dhcp6_answer(const struct vnic_lease *lease, const void *message, size_t size, struct dhcp6_answer *ret_answer);

#endif
