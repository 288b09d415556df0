/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a counter of nf_tables has counted. */
#ifndef NETLINK_NFT_COUNTER_H
#define NETLINK_NFT_COUNTER_H

#include <stdint.h>

#include <vnic/error.h>

#include "socket.h"

/* Of a table of the family "inet", in the namespace of `nl`, a socket of NETLINK_NETFILTER.  -ENOENT: there is none. */
int nft_counter_read(struct vnic_nl *nl, const char *table, const char *name, uint64_t *ret_packets,
		     struct vnic_error *err);

#endif
