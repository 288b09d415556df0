/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dumps: one consistent answer, read in full before anyone looks at it. */
#ifndef NETLINK_DUMP_H
#define NETLINK_DUMP_H

#include <stddef.h>
#include <stdint.h>

#include "socket.h"

#define DUMP_TRIES 10
#define DUMP_BYTES_MAX (256u << 20) /* about 200,000 links */

struct dump {
	uint8_t *data;
	size_t size, room;
};

/* `head` is the family's header (ifinfomsg, ifaddrmsg, rtmsg).  Fills *ret_dump, to be freed by dump_free. */
int dump_ask(struct vnic_nl *nl, uint16_t type, const void *head, size_t head_size, enum vnic_step step,
	     struct dump *ret_dump, struct vnic_error *err);
/* The message after nlh (NULL: the first), or NULL at the end. */
const struct nlmsghdr *dump_next(const struct dump *dump, const struct nlmsghdr *nlh);
void dump_free(struct dump *dump);

#endif
