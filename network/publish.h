/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's ports of a sandbox, as open sockets. */
#ifndef NETWORK_PUBLISH_H
#define NETWORK_PUBLISH_H

#include <vnic/gateway.h>
#include <vnic/sandbox.h>

struct publish_list {
	unsigned count;
	struct vnic_gateway_publish ports[VNIC_PUBLISHES];
};

/* A port for each address family that the sandbox has.  What was opened before a failure stays in the list. */
int publish_open(const struct vnic_publish *publishes, unsigned count, const struct vnic_addr sandbox[2],
		 struct publish_list *list, struct vnic_error *err);
void publish_close(struct publish_list *list);

#endif
