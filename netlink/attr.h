/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes of received messages.  A missing or short attribute reads as zero or "". */
#ifndef NETLINK_ATTR_H
#define NETLINK_ATTR_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/addr.h>

/* table[type] for 0..max; NULL: not there.  It points into the payload. */
void attr_table(const void *payload, size_t size, const struct nlattr **ret_table, unsigned max);
/* ... of the attributes behind a message's `head` bytes, or inside a nest (NULL: none). */
void attr_table_message(const struct nlmsghdr *nlh, size_t head, const struct nlattr **ret_table, unsigned max);
void attr_table_nested(const struct nlattr *nest, const struct nlattr **ret_table, unsigned max);

uint8_t attr_u8(const struct nlattr *attr);
uint32_t attr_u32(const struct nlattr *attr);
/* Always terminated; what does not fit is cut. */
void attr_text(const struct nlattr *attr, char *ret_text, size_t size);
/* Copies the first `size` bytes and returns true; leaves ret_bytes alone where there are fewer. */
bool attr_bytes(const struct nlattr *attr, void *ret_bytes, size_t size);
/* False for another family, or too few bytes. */
bool attr_addr(const struct nlattr *attr, uint8_t family, uint8_t prefix, struct vnic_addr *ret_addr);

#endif
