/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How an error calls a link. */
#ifndef NETLINK_NAME_H
#define NETLINK_NAME_H

#include <stdio.h>

#include <vnic/addr.h>

static inline const char *link_text(int index, const char *name, char buf[VNIC_ADDR_TEXT])
{
	if (name)
		snprintf(buf, VNIC_ADDR_TEXT, "%s", name);
	else
		snprintf(buf, VNIC_ADDR_TEXT, "number %d", index);
	return buf;
}

#endif
