/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Datagram sockets on the host's side that tell which ICMP errors came back. */
#ifndef GATEWAY_HOST_H
#define GATEWAY_HOST_H

#include <stddef.h>
#include <stdint.h>

/* Non-blocking, and reports errors; an IPv6 one speaks no IPv4.  The descriptor, or a negative errno. */
int host_socket(int family, int protocol);

/*
 * Takes the next error off the socket's queue and returns its errno; 0: there is none.  *quote gets what followed
 * the IP header (ping) or the UDP header in the packet that the error is about; *size is its length.
 */
int host_error(int fd, void *quote, size_t *size);

#endif
