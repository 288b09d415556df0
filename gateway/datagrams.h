/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A batch of datagrams from one socket to another: recvmmsg(2), sendmmsg(2), and nothing touched in between.
 *
 * A socket with UDP_GRO gives many datagrams of one flow as one super-datagram and their size; it is sent as it
 * came, with that size as UDP_SEGMENT.  Single ones of one size that wait together are sent so too.
 */
#ifndef GATEWAY_DATAGRAMS_H
#define GATEWAY_DATAGRAMS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "packet.h"

#define DATAGRAMS 32

struct datagrams;

/* Over a socket that many share: to whom, and from which of the host's addresses. */
struct way {
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	struct endpoint from; /* without its port, which the socket has */
};

int datagrams_open(struct datagrams **ret_batch);
void datagrams_close(struct datagrams *batch);

/*
 * Takes at most DATAGRAMS that wait there; the number, or a negative errno.  Sockets are non-blocking.  `named`: with
 * addresses, which a connected socket's need not have.
 */
int datagrams_receive(struct datagrams *batch, int fd, bool named);
/* Instead of receiving: data that stays where it is until it was sent.  `part`: of a super-datagram; 0: it is none. */
void datagrams_put(struct datagrams *batch, unsigned index, const void *data, size_t size, size_t part);
/*
 * From where to where it was sent; false: the socket did not tell, as it does with IP_RECVORIGDSTADDR, and with
 * IP_PKTINFO, which leaves the port out.
 */
bool datagrams_key(const struct datagrams *batch, unsigned index, struct flow_key *ret_key);
/* For answers to it; where datagrams_key is true. */
void datagrams_way_back(const struct datagrams *batch, unsigned index, struct way *ret_way);
size_t datagrams_size(const struct datagrams *batch, unsigned index);
/* How many datagrams it is: one, or the parts of a super-datagram. */
unsigned datagrams_count(const struct datagrams *batch, unsigned index);
/* Its bytes; *ret_part is the size of each but the last of the datagrams that they are. */
const uint8_t *datagrams_data(const struct datagrams *batch, unsigned index, size_t *ret_part);
/* Sends from `index` on, before `end`; `way` is NULL over a connected socket.  How many, or a negative errno. */
int datagrams_send(struct datagrams *batch, unsigned index, unsigned end, int fd, const struct way *way);

#endif
