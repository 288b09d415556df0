/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The opener: who has what a process needs opens it, and hands over the descriptor.
 *
 * The relay and the gateway are given descriptors, never names and never privileges.  What they
 * need at run time they ask an opener for.  libvnic's own opener is a helper process in
 * the router (network/opener.c); tests give a fake.
 */
#ifndef VNIC_OPENER_H
#define VNIC_OPENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <vnic/api.h>
#include <vnic/error.h>

enum vnic_side {
	VNIC_SIDE_ROUTER, /* the router's network namespace */
	VNIC_SIDE_HOST,   /* the namespace of whoever started the sandbox */
};

/* Of the connected sockets of UDP flows in the router, whose ruleset knows them by it. */
#define VNIC_MARK_FLOW 2u

/* A socket as socket(2) has it, with what must be done before it can be handed over. */
struct vnic_open_request {
	enum vnic_side side;
	int domain, type, protocol; /* SOCK_CLOEXEC and SOCK_NONBLOCK are always set */
	bool transparent;           /* IP_TRANSPARENT or IPV6_TRANSPARENT */
	bool reuse_addr, reuse_port;
	char device[16];              /* SO_BINDTODEVICE, for AF_PACKET: bind there with vnic_packet_open; "": none */
	struct sockaddr_storage bind; /* ss_family 0: none */
	struct sockaddr_storage connect; /* ss_family 0: none; EINPROGRESS is success */
	socklen_t connect_len;           /* 0: that of the family; needed for AF_UNIX */
	uint32_t mark;                   /* SO_MARK, given last, if it may be; 0: none */
	int backlog;                     /* >0: listen(2) */
};

struct vnic_opener {
	void *ctx;
	/* On success *ret_fd is the caller's. */
	int (*open)(void *ctx, const struct vnic_open_request *request, int *ret_fd, struct vnic_error *err);
};

#endif
