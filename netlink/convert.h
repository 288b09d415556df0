/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic's plain values as libnl's objects, and cleanup for these. */
#ifndef NETLINK_CONVERT_H
#define NETLINK_CONVERT_H

#include <netlink/addr.h>

#include <vnic/addr.h>

#include "fd.h"

static inline void put_nl_addr(struct nl_addr **addr)
{
	nl_addr_put(*addr);
}
#define CLEANUP_NL_ADDR CLEANUP(put_nl_addr)

static inline size_t addr_len(int family)
{
	return family == AF_INET ? 4 : 16;
}

/* With the prefix length; NULL when out of memory. */
static inline struct nl_addr *addr_to_nl(const struct vnic_addr *addr)
{
	struct nl_addr *converted = nl_addr_build(addr->family, addr->bytes, addr_len(addr->family));

	if (converted)
		nl_addr_set_prefixlen(converted, addr->prefix);
	return converted;
}

static inline struct nl_addr *mac_to_nl(const struct vnic_mac *mac)
{
	return nl_addr_build(AF_LLC, mac->bytes, sizeof(mac->bytes));
}

#endif
