/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Datagram sockets on the host's side that tell which ICMP errors came back. */
#ifndef GATEWAY_HOST_H
#define GATEWAY_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Non-blocking, and reports errors; an IPv6 one speaks no IPv4.  The descriptor, or a negative errno. */
int host_socket(int family, int protocol);

/* What became of something that was sent. */
struct host_error {
	int code;           /* errno */
	bool from_afar;     /* somebody on the way said so in ICMP; otherwise the host itself did */
	uint8_t type, what; /* from afar: the ICMP type and code */
	uint32_t mtu;       /* EMSGSIZE: the most that would pass */
};

/*
 * Takes the next error off the socket's queue; false: there is none.  *quote gets what followed the IP header (ping)
 * or the UDP header in the packet that the error is about; *size is its length.
 */
bool host_error(int fd, struct host_error *ret_error, void *quote, size_t *size);

#endif
