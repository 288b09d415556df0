/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Internet checksum: RFC 1071.
 *
 * A sum is an opaque number that starts at 0; checksum_finish makes the 16 bits of it that stand in a header,
 * in host byte order, as all numbers here.
 */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Any bytes at any address.  An odd size is padded with a zero, so only the last piece may have one. */
uint64_t checksum_add(uint64_t sum, const void *data, size_t size);
uint64_t checksum_add16(uint64_t sum, uint16_t value);
/* The pseudo header of TCP, UDP and ICMPv6 (RFC 9293 3.1, RFC 8200 8.1): addresses of 4 or 16 bytes. */
uint64_t checksum_add_pseudo(uint64_t sum, const void *src, const void *dst, size_t address_len, uint8_t proto,
			     uint32_t l4_len);

uint16_t checksum_finish(uint64_t sum);
/* The folded sum itself, not complemented: what a header with a partial checksum holds. */
uint16_t checksum_fold(uint64_t sum);

#endif
