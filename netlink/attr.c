/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "attr.h"

#include <libmnl/libmnl.h>
#include <string.h>
#include <sys/socket.h>

struct table {
	const struct nlattr **at;
	unsigned max;
};

static int keep(const struct nlattr *attr, void *data)
{
	const struct table *table = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type <= table->max)
		table->at[type] = attr;
	return MNL_CB_OK;
}

void attr_table(const void *payload, size_t size, const struct nlattr **ret_table, unsigned max)
{
	struct table table = {.at = ret_table, .max = max};

	for (unsigned i = 0; i <= max; i++)
		ret_table[i] = NULL;
	mnl_attr_parse_payload(payload, size, keep, &table);
}

void attr_table_message(const struct nlmsghdr *nlh, size_t head, const struct nlattr **ret_table, unsigned max)
{
	size_t size = mnl_nlmsg_get_payload_len(nlh);

	head = NLMSG_ALIGN(head);
	attr_table(mnl_nlmsg_get_payload_offset(nlh, head), size > head ? size - head : 0, ret_table, max);
}

void attr_table_nested(const struct nlattr *nest, const struct nlattr **ret_table, unsigned max)
{
	attr_table(nest ? mnl_attr_get_payload(nest) : NULL, nest ? mnl_attr_get_payload_len(nest) : 0, ret_table, max);
}

bool attr_bytes(const struct nlattr *attr, void *ret_bytes, size_t size)
{
	if (!attr || mnl_attr_get_payload_len(attr) < size)
		return false;
	memcpy(ret_bytes, mnl_attr_get_payload(attr), size);
	return true;
}

uint8_t attr_u8(const struct nlattr *attr)
{
	uint8_t value = 0;

	attr_bytes(attr, &value, sizeof(value));
	return value;
}

uint32_t attr_u32(const struct nlattr *attr)
{
	uint32_t value = 0;

	attr_bytes(attr, &value, sizeof(value));
	return value;
}

void attr_text(const struct nlattr *attr, char *ret_text, size_t size)
{
	size_t len = attr ? strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr)) : 0;

	if (len >= size)
		len = size - 1;
	if (len)
		memcpy(ret_text, mnl_attr_get_payload(attr), len);
	ret_text[len] = '\0';
}

bool attr_addr(const struct nlattr *attr, uint8_t family, uint8_t prefix, struct vnic_addr *ret_addr)
{
	struct vnic_addr addr = {.family = family, .prefix = prefix};

	if (family != AF_INET && family != AF_INET6)
		return false;
	if (!attr_bytes(attr, addr.bytes, family == AF_INET ? 4 : 16))
		return false;
	*ret_addr = addr;
	return true;
}
