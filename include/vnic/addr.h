/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses: IPv4 and IPv6 with a prefix, and MACs.  Plain values, parsed and printed. */
#ifndef VNIC_ADDR_H
#define VNIC_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/api.h>
#include <vnic/error.h>

#define VNIC_MAC_LEN 6
#define VNIC_ADDR_TEXT 64 /* enough for any address with prefix, and for a MAC */

/* An IP address with a prefix length.  family 0 (AF_UNSPEC) means "none". */
struct vnic_addr {
	uint8_t family;    /* AF_INET, AF_INET6 or AF_UNSPEC */
	uint8_t prefix;    /* 0..32 or 0..128 */
	uint8_t bytes[16]; /* network byte order; IPv4 uses the first four */
};

struct vnic_mac {
	uint8_t bytes[VNIC_MAC_LEN];
	bool set; /* false: not given, the kernel or vnic chooses */
};

/*
 * "10.0.2.100/24", "fd00::100/64"; without a prefix the address is a host (/32, /128).
 * Errors: -EINVAL with VNIC_STEP_USAGE; host bits, zones ("%eth0") and leading zeros
 * ("010.0.0.1") follow inet_pton(3).
 */
VNIC_API int vnic_addr_parse(const char *text, struct vnic_addr *ret_addr, struct vnic_error *err);

/* Writes "10.0.2.100/24" (with_prefix) or "10.0.2.100"; returns buf. */
VNIC_API const char *vnic_addr_text(const struct vnic_addr *addr, bool with_prefix, char buf[VNIC_ADDR_TEXT]);

/* True if `host` lies in the network of `net` (same family, same prefix bits). */
VNIC_API bool vnic_addr_contains(const struct vnic_addr *net, const struct vnic_addr *host);

/* The `offset`th address of addr's network, with the same prefix: (10.0.2.100/24, 2) -> 10.0.2.2/24. */
VNIC_API struct vnic_addr vnic_addr_host(const struct vnic_addr *addr, uint32_t offset);

/*
 * "02:00:00:aa:bb:cc".  Errors: -EINVAL; a multicast or all-zero MAC is refused, for the
 * kernel refuses it as a link's address (is_valid_ether_addr, include/linux/etherdevice.h).
 */
VNIC_API int vnic_mac_parse(const char *text, struct vnic_mac *ret_mac, struct vnic_error *err);
VNIC_API const char *vnic_mac_text(const struct vnic_mac *mac, char buf[VNIC_ADDR_TEXT]);

/* A random, locally administered unicast MAC (bits 0x02 set, 0x01 clear of the first byte). */
VNIC_API int vnic_mac_random(struct vnic_mac *ret_mac, struct vnic_error *err);

#endif
