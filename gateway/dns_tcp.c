/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions over TCP, and their answers.
 *
 * Theory of operation.  A connection to the forwarder is a flow as any other, to the resolver that answered last; if
 * that cannot be connected to, to the next one.  But each message is held until it is whole, and then treated as one
 * that came as a datagram: a question is judged, of an answer the addresses are learnt, and it is passed on as it is.
 * What an answer is about stands in itself, so nobody keeps what was asked, in which order, or how often; a zone
 * transfer is many answers.
 *
 * Each way has one message at a time, of which no byte too many is read: what comes behind it waits at its source.  A
 * question that is not asked becomes its own answer, which is no longer, and goes back between two of the resolver's.
 * Whoever has begun to send to the sandbox goes on until the end of his message.
 *
 * All messages together have DNS_TCP_KEPT.  Beyond that the connection is reset and the question counted as `full`.
 * What streams keep is not counted with them: a sandbox that does not read its downloads still hears its answers.
 *
 * Rejected: asking for them ourselves, as dns_ask.c does for datagrams, so that another server could be asked after
 * the first has not answered.  It takes another connection for each question, and a place for each answer while its
 * asker reads an earlier one.
 */
#include "dns_tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bytes.h"
#include "dns_ask.h"
#include "names.h"

#define ROUNDS 64 /* steps of one turn: a score of messages each way */

static void drop(struct dns *dns, struct dns_way *way)
{
	if (way->bytes) {
		dns->kept_by_tcp -= way->room;
		free(way->bytes);
	}
	*way = (struct dns_way){.ended = way->ended};
}

static bool is_whole(const struct dns_way *way)
{
	return way->bytes && way->have >= way->size;
}

/* One step: 1 something was done, 0 would block (an event will come, or a step of the other way), or an errno. */

/* Its length is known. */
static int make_room(struct dns *dns, struct dns_way *way, enum side from)
{
	way->size = DNS_LENGTH + get16(way->length);
	if (dns->kept_by_tcp + way->size <= DNS_TCP_KEPT)
		way->bytes = malloc(way->size);
	if (!way->bytes) {
		dns->stats.queries += from == SIDE_INNER;
		dns->stats.full += from == SIDE_INNER;
		return -ENOBUFS;
	}
	way->room = way->size;
	dns->kept_by_tcp += way->room;
	memcpy(way->bytes, way->length, DNS_LENGTH);
	return 1;
}

static void take_question(struct dns *dns, struct dns_tcp *tcp, const struct flow_key *client)
{
	struct dns_way *way = &tcp->ways[SIDE_INNER];
	uint8_t *message = way->bytes + DNS_LENGTH, made[DNSMSG_MADE];
	struct dnsmsg_query info;
	int verdict = dns_judge(dns, client, message, way->size - DNS_LENGTH, &info);

	if (verdict < 0) {
		drop(dns, way);
	} else if (verdict > 0) {
		size_t size = dnsmsg_make_answer(message, &info, (unsigned)verdict, false, made);

		/* The question again, and EDNS if it had that. */
		memcpy(message, made, size);
		put16(way->bytes, (unsigned)size);
		way->size = DNS_LENGTH + (uint32_t)size;
		way->back = true;
	} else {
		tcp->open++;
		dns->open_by_tcp++;
	}
}

static void take_answer(struct dns *dns, struct dns_tcp *tcp)
{
	const struct dns_way *way = &tcp->ways[SIDE_HOST];
	const uint8_t *message = way->bytes + DNS_LENGTH;
	size_t size = way->size - DNS_LENGTH;
	struct dnsmsg_query info;

	if (dns->gateway->names && dnsmsg_read_answer(message, size, &info))
		names_learn(dns->gateway->names, message, &info, message, size, dns->gateway->now);
	if (tcp->open) {
		tcp->open--;
		dns->open_by_tcp--;
		dns->stats.answers++;
	}
}

static int end(struct dns *dns, struct dns_tcp *tcp, enum side from, int to)
{
	struct dns_way *way = &tcp->ways[from];

	if (tcp->ways[!from].back && from == SIDE_HOST)
		return 0;
	drop(dns, way); /* what there is of a message will never be whole */
	shutdown(to, SHUT_WR);
	way->ended = true;
	return 1;
}

/* Of the message at hand, and not a byte of the next. */
static int receive(struct dns *dns, struct dns_tcp *tcp, enum side from, const int fds[2], uint64_t *count)
{
	struct dns_way *way = &tcp->ways[from];
	bool known = way->bytes;
	uint8_t *at = (known ? way->bytes : way->length) + way->have;
	ssize_t n = recv(fds[from], at, (known ? way->size : DNS_LENGTH) - way->have, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return end(dns, tcp, from, fds[!from]);
	way->have += (uint32_t)n;
	*count += (uint64_t)n;
	return 1;
}

static int pass_on(struct dns *dns, struct dns_tcp *tcp, enum side from, const int fds[2])
{
	struct dns_way *way = &tcp->ways[from];
	const struct dns_way *other = &tcp->ways[!from];
	enum side to = way->back ? from : !from;
	ssize_t n;

	if (to == SIDE_INNER && other->sent && (from == SIDE_INNER || other->back))
		return 0;
	n = send(fds[to], way->bytes + way->sent, way->size - way->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	way->sent += (uint32_t)n;
	if (way->sent == way->size)
		drop(dns, way);
	return 1;
}

static int step(struct dns *dns, struct dns_tcp *tcp, const struct flow_key *client, enum side from, const int fds[2],
		uint64_t *count)
{
	struct dns_way *way = &tcp->ways[from];
	int r;

	if (way->ended)
		return 0;
	if (is_whole(way))
		return pass_on(dns, tcp, from, fds);
	r = receive(dns, tcp, from, fds, count);
	if (r > 0 && !way->bytes && way->have == DNS_LENGTH)
		r = make_room(dns, way, from);
	if (r > 0 && is_whole(way) && from == SIDE_INNER)
		take_question(dns, tcp, client);
	else if (r > 0 && is_whole(way))
		take_answer(dns, tcp);
	return r;
}

int dns_tcp_pump(struct dns *dns, struct dns_tcp *tcp, const struct flow_key *client, const int fds[2],
		 uint64_t counts[2])
{
	int in = 1, out = 1;

	for (int round = 0; round < ROUNDS && (in > 0 || (in == 0 && out > 0)); round++) {
		if (out >= 0) /* or what the resolver said before it took no more is still to be heard */
			out = step(dns, tcp, client, SIDE_INNER, fds, &counts[SIDE_INNER]);
		in = step(dns, tcp, client, SIDE_HOST, fds, &counts[SIDE_HOST]);
	}
	if (in < 0 || out < 0)
		return in < 0 ? in : out;
	if (tcp->ways[SIDE_INNER].ended && tcp->ways[SIDE_HOST].ended)
		return STREAM_ENDED;
	return in > 0 || out > 0 ? STREAM_MORE : STREAM_BLOCKED;
}

void dns_tcp_close(struct dns *dns, struct dns_tcp *tcp)
{
	dns->stats.failed += tcp->open;
	dns->open_by_tcp -= tcp->open;
	for (int side = 0; side < 2; side++)
		drop(dns, &tcp->ways[side]);
	*tcp = (struct dns_tcp){0};
}
