/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many flows of each kind there may be at the same time, for want of descriptors.
 *
 * A process has only so many, and whoever comes first must not have them all: not the clients of a published port, who
 * are not trusted, nor a sandbox's own search of a whole network, or no name would be resolved any more.  So each kind
 * has a share of what there is, and where there is plenty no more than its table holds.  (Rejected: one pool, of which
 * the oldest flow of any kind is ended when it is empty: a stranger's would end the sandbox's.)
 */
#ifndef GATEWAY_SHARES_H
#define GATEWAY_SHARES_H

#include <stdint.h>

struct shares {
	uint32_t tcp, pipes; /* flows; what they may borrow to splice through */
	uint32_t udp, icmp;  /* flows */
	uint32_t dns;        /* questions */
};

/* Of so many descriptors that are still free. */
struct shares shares_of(uint64_t descriptors);

/* Of those that this process may open, when `taken` are kept for other things. */
struct shares shares_here(unsigned taken);

#endif
