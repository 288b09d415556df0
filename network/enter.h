/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink sockets in other namespaces; vnic_tap_open_in and vnic_nl_open_in are of the same file. */
#ifndef NETWORK_ENTER_H
#define NETWORK_ENTER_H

#include <vnic/sandbox.h>

/*
 * The network namespace of a socket or a TAP, called `text` in errors; and a netlink socket opened there, where the
 * caller has power over its owner.
 */
int target_beside(int fd, const char *text, struct vnic_target *ret_target, struct vnic_error *err);
int nl_open_beside(int fd, struct vnic_nl **ret_nl, struct vnic_error *err);

/* The index of the link with this name, in the namespace of `nl`. */
int nl_index_of(struct vnic_nl *nl, const char *name, int *ret_index, struct vnic_error *err);

/*
 * In a new network namespace, for links that speak for others and never for themselves: without IPv6 they send nothing
 * of their own.
 */
void silence_netns(void);

/* For CLEANUP. */
static inline void close_nl(struct vnic_nl **nl)
{
	vnic_nl_close(*nl);
}

static inline void free_batch(struct vnic_batch **batch)
{
	vnic_batch_free(*batch);
}

#endif
