/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host port of each sandbox's UDP port: all flows from there leave from here, whatever the remote
 * (RFC 4787 REQ-1, endpoint-independent mapping), so that STUN and its kind work.
 *
 * Theory of operation.  Every flow has a connected socket of its own.  The first one from a sandbox's port gets a
 * port from the kernel, later ones are bound to the same with SO_REUSEPORT, which the kernel allows within one user
 * only.  The first one sets the option after it has its port: with the option before, the kernel might give
 * two of ours the same.  Where somebody else has the port on one of the host's addresses, a later flow gets a port of
 * its own.  (Rejected: one unconnected socket for a sandbox's port.  It takes a look-up for each datagram that comes
 * back and a filter of our own, sees no errors, and cannot send a batch without an address on each datagram.)
 */
#ifndef GATEWAY_MAPPING_H
#define GATEWAY_MAPPING_H

#include <sys/socket.h>

#include "table.h"

struct mappings {
	struct table table; /* by the flow's key with an empty dst */
	struct mapping *mapping;
};

int mappings_open(struct mappings *ret_mappings, uint32_t max, const struct hash_secret *secret);
void mappings_close(struct mappings *mappings);

/*
 * Connects a new host socket for this flow.  *ret_mapping is what mapping_leave takes when the flow ends, 0: the port
 * is the flow's own.
 */
int mapping_connect(struct mappings *mappings, const struct flow_key *key, int fd, const struct sockaddr *to,
		    socklen_t len, uint32_t *ret_mapping);
void mapping_leave(struct mappings *mappings, uint32_t mapping);

#endif
