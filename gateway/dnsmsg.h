/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DNS messages, as far as a forwarder must understand them: is this one question, how large may the answer be, is
 * this its answer, and which addresses are in it (RFC 1035, 3596, 6891, 9460, 9619).
 */
#ifndef GATEWAY_DNSMSG_H
#define GATEWAY_DNSMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/policy.h>

#define DNSMSG_ROOM 512 /* of an asker without EDNS, RFC 1035 4.2.1 */
#define DNSMSG_MADE 288 /* an answer of our own is no longer */

/* RCODEs, RFC 1035 4.1.1. */
enum {
	DNSMSG_FORMERR = 1,
	DNSMSG_SERVFAIL = 2,
	DNSMSG_NOTIMP = 4,
	DNSMSG_REFUSED = 5,
};

struct dnsmsg_query {
	uint16_t id;
	uint16_t question; /* bytes of header and question */
	uint16_t room;     /* bytes that the asker takes */
	bool edns;
};

/*
 * A message from the sandbox.  Returns 0: one question, to be passed on as it is; an RCODE: to be answered with that,
 * by dnsmsg_make_answer; -1: nothing that anybody would answer.
 */
int dnsmsg_read_query(const void *message, size_t size, struct dnsmsg_query *ret_query);

/* An answer, taken by itself: what it answers.  False: that does not stand in it. */
bool dnsmsg_read_answer(const void *message, size_t size, struct dnsmsg_query *ret_query);

/* Is this the answer to that query, which was sent with `id`? */
bool dnsmsg_answers(const void *query, const struct dnsmsg_query *info, uint16_t id, const void *answer, size_t size);
/* Of an answer. */
unsigned dnsmsg_rcode(const void *answer);
bool dnsmsg_is_truncated(const void *answer);

/*
 * The name that was asked for, in lower case and without a dot at the end; false: the root, or it has other characters
 * than letters, digits, '-' and '_', which no rule has.
 */
bool dnsmsg_name(const void *query, const struct dnsmsg_query *info, char ret_name[VNIC_DOMAIN_TEXT]);

/* Where we are among the records of an answer. */
struct dnsmsg_walk {
	const uint8_t *message;
	size_t size, at;
	unsigned left;
	/* Within a record: parameters that were not looked at, and addresses one behind the other. */
	size_t param, params_end;
	size_t address, addresses_end;
	bool v6;
	uint32_t ttl;
};
/* Of what answers this query; a zone transfer has none, for they are of other names. */
struct dnsmsg_walk dnsmsg_walk_answer(const struct dnsmsg_query *info, const void *answer, size_t size);
/*
 * The next address (A, AAAA, a hint in SVCB and HTTPS) and its TTL in seconds; false: there is none, or what follows is
 * not whole.
 */
bool dnsmsg_next_address(struct dnsmsg_walk *walk, struct vnic_addr *ret_addr, uint32_t *ret_ttl);

void dnsmsg_set_id(void *message, uint16_t id);

/* An answer without data, no longer than the query and DNSMSG_MADE bytes, with the asker's id.  Returns its size. */
size_t dnsmsg_make_answer(const void *query, const struct dnsmsg_query *info, unsigned rcode, bool truncated,
			  uint8_t *buf);

/* Leaves of an answer that is larger than `room` those records that fit, and says so.  Returns its size. */
size_t dnsmsg_cut(const struct dnsmsg_query *info, void *answer, size_t size, size_t room);

#endif
