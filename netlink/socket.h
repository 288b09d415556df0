/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One netlink socket: bytes out, bytes in, and what an acknowledgement says. */
#ifndef NETLINK_SOCKET_H
#define NETLINK_SOCKET_H

#include <linux/netlink.h>
#include <stdint.h>
#include <sys/types.h>

#include <vnic/link.h>

/* The kernel packs a dump into datagrams of at most this size, if the reader has room for it. */
#define SOCKET_DATAGRAM 32768

/* The functions are the kernel's socket, or a fake in a test; both return a negative errno on failure. */
struct vnic_nl {
	int (*send)(void *wire, const void *data, size_t size);
	ssize_t (*receive)(void *wire, void *buf, size_t size);
	void *wire;
	uint32_t seq; /* of the next request */
};

/* vnic_nl_open for any bus: NETLINK_ROUTE, NETLINK_NETFILTER. */
int socket_open(int bus, struct vnic_nl **ret_nl, struct vnic_error *err);
int socket_send(struct vnic_nl *nl, const void *data, size_t size, struct vnic_error *err);
ssize_t socket_receive(struct vnic_nl *nl, void *buf, size_t size, struct vnic_error *err);

/* For CLEANUP. */
static inline void close_nl(struct vnic_nl **nl)
{
	vnic_nl_close(*nl);
}

/* What an NLMSG_ERROR or NLMSG_DONE says: 0, or the failure with the kernel's words. */
int socket_verdict(const struct nlmsghdr *nlh, enum vnic_step step, const char *object, struct vnic_error *err);

#endif
