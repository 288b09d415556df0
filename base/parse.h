/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts that users write: numbers and "kind:argument,key=value,...". */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <vnic/addr.h>
#include <vnic/error.h>

/* Decimal digits only, no sign, no space; min <= value <= max.  `what` names the thing in the error. */
int parse_u32(const char *text, const char *what, uint32_t min, uint32_t max, uint32_t *ret_value,
	      struct vnic_error *err);

/* Copies into a buffer of `size`; -EINVAL with a sentence when it is empty or does not fit. */
int parse_copy(const char *text, const char *what, char *ret_buf, size_t size, struct vnic_error *err);

/* An interface name as the kernel's dev_valid_name has it: 1..15 bytes, no '/', ':', space, not "." or "..". */
int parse_ifname(const char *text, const char *what, char ret_name[16], struct vnic_error *err);

/* "10.0.0.1:80" or "[fd00::1]:80". */
int parse_sockaddr(const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_len, struct vnic_error *err);

/* Why a host cannot have this address, with the prefix of its network; NULL: it can, as any of IPv6. */
const char *host_flaw(const struct vnic_addr *addr);

/*
 * "10.9.0.1/24" or "fd09::1/64", of which a link can have the address for its own: -EINVAL for one of the loopback, of
 * multicast, zero, or with a flaw.
 */
int parse_host(const char *text, struct vnic_addr *ret_addr, struct vnic_error *err);

#define IPV6_LEAST_MTU 1280 /* RFC 8200, section 5: on a link with less the kernel has no IPv6 */
/* -EINVAL if one of these addresses is IPv6 and the link's MTU, 0 for the usual one, too small for it. */
int check_mtu(uint32_t mtu, const struct vnic_addr *addrs, unsigned count, struct vnic_error *err);

/*
 * Walks "a,b=c,d": each call cuts one item off *cursor and splits it at the first '='.
 * Returns 1 with *ret_key and *ret_value (NULL without '='), 0 at the end, or -EINVAL for an empty item.
 * `text` is the writable copy that *cursor points into; the results point into it.
 */
int parse_item(char **cursor, char **ret_key, char **ret_value, struct vnic_error *err);

/* -EINVAL where "a,b=c,b=d" has a key twice that is not among `many`, which ends with NULL. */
int parse_check_twice(const char *text, const char *const *many, struct vnic_error *err);

/* Two paths lead to one file, or would; a device is not meant: any number may write to it, as to /dev/null. */
bool parse_same_file(const char *a, const char *b);

/* Of the words that next(ctx, 0), next(ctx, 1), ... yield until NULL the one that may have been meant; NULL: none is
 * near. */
const char *parse_nearest(const char *word, const char *(*next)(const void *ctx, int index), const void *ctx);

#endif
