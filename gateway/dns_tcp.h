/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions over TCP; see dns_tcp.c. */
#ifndef GATEWAY_DNS_TCP_H
#define GATEWAY_DNS_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "packet.h"
#include "stream.h"

#define DNS_TCP_KEPT (16u << 20) /* bytes of messages that are not over yet */

struct dns;

/* One way of a connection: a message that is read, then sent. */
struct dns_way {
	uint8_t length[2]; /* of the message */
	uint8_t *bytes;    /* with the length in front; allocated once that is known */
	uint32_t room, size;
	uint32_t have, sent;
	bool back;  /* to who sent it: it is the answer by now */
	bool ended; /* and the other side knows */
};

struct dns_tcp {
	struct dns_way ways[2]; /* by the side that messages come from */
	uint32_t open;          /* questions that were passed on and not answered yet */
};

/*
 * Carries what can be carried in one turn between the descriptors, which are by side, for edge-triggered events; adds
 * the bytes read to counts[], by side.  A negative errno: it cannot go on.
 */
int dns_tcp_pump(struct dns *dns, struct dns_tcp *tcp, const struct flow_key *client, const int fds[2],
		 uint64_t counts[2]);
/* Gives back what it holds; what is open has failed. */
void dns_tcp_close(struct dns *dns, struct dns_tcp *tcp);

#endif
