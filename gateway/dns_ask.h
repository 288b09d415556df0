/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the DNS forwarder share: dns.c and dns_tcp.c for who asks, dns_ask.c for who is asked. */
#ifndef GATEWAY_DNS_ASK_H
#define GATEWAY_DNS_ASK_H

#include "dns.h"
#include "dnsmsg.h"
#include "table.h"

/* Classes of the table. */
enum { DNS_ASKED, DNS_HELD };

#define DNS_TRY_TIME (2 * NS_PER_S) /* before the next server is asked */
#define DNS_QUERY_MAX 1232          /* bytes of a question; nobody needs as much */
#define DNS_UNFRAGMENTED 1232       /* 1280 - 40 - 8 */
#define DNS_ROOM_MAX 4096           /* what we pass on, however much the asker takes (RFC 6891 6.2.5) */
#define DNS_LENGTH 2                /* in front of a message over TCP */

struct query {
	struct flow_key client;
	struct dnsmsg_query info;
	uint16_t size;
	uint8_t sends, last; /* how often it was asked, and of whom last */
	uint8_t failed;      /* bits: servers not to be asked again */
	bool denied;         /* by the policy, each so far */
	bool streamed;       /* was it sent over the stream? */
	int fds[VNIC_DNS_SERVERS];
	uint16_t ids[VNIC_DNS_SERVERS];
	int stream;
	uint8_t message[DNS_QUERY_MAX];
};

struct dns {
	struct vnic_gateway *gateway;
	struct vnic_dns_config config;
	struct vnic_dns_stats stats;
	struct table table;    /* by `identity`; when it is full questions are answered SERVFAIL */
	struct query *queries; /* by slot of the table */
	uint32_t open_by_tcp;  /* questions that are not in it: see dns_tcp.c */
	size_t kept_by_tcp;    /* bytes, of DNS_TCP_KEPT */
	unsigned preferred;    /* the server that answered last */
	int64_t looked_at;     /* the host's resolvers */
	bool looking;          /* it is not known yet what they are */
	uint8_t answer[DNS_LENGTH + DNS_ROOM_MAX];
	uint8_t frame[DNS_ROOM_MAX + 64];
};

/* --- dns.c: the beginning of a question --------------------------------------------- */

/*
 * Of a message from the sandbox, which is counted, logged and told: 0, it is a question to be asked; an RCODE, with
 * which it is answered; -1: nothing that anybody would answer.
 */
int dns_judge(struct dns *dns, const struct flow_key *client, const uint8_t *message, size_t size,
	      struct dnsmsg_query *ret_info);

/* --- dns.c: the end of a question --------------------------------------------------- */

/* The asker gets the answer, with his own id, or hears that it is too large for him. */
void dns_deliver(struct dns *dns, uint32_t slot, uint8_t *answer, size_t size);
/* He hears that there is one, and can ask for it over TCP. */
void dns_truncate(struct dns *dns, uint32_t slot);
/* No server is left. */
void dns_fail(struct dns *dns, uint32_t slot);

/* --- dns_ask.c ---------------------------------------------------------------------- */

/* Where the server is, if the policy lets it be asked.  Returns as gateway_admit; -EHOSTUNREACH: there is none. */
int dns_find_server(struct dns *dns, unsigned server, enum vnic_proto proto, struct destination *ret_destination);
/* Asks the first server, as if none had been asked. */
void dns_ask(struct dns *dns, uint32_t slot);
/* Asks the next one; the question may have ended. */
void dns_ask_next(struct dns *dns, uint32_t slot);
void dns_close_sockets(struct query *query);

#endif
