/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DNS forwarder's other side: the host's resolvers are asked, and what they say is heard.
 *
 * Theory of operation.  Each question has a connected socket of its own for each server that is asked, so the kernel
 * picks the port, lets nobody else answer, and reports that nobody listens; and an id of its own for each, and the
 * question must come back with the answer.
 *
 *   asking     fds[]: those asked so far, any of which may still answer; the next one is asked after DNS_TRY_TIME, or
 *              at once when there is an error or a "cannot" of the server's; SENDS times in all
 *   streaming  stream: the answer did not fit into a datagram and is asked for over TCP
 *
 * The server that answered last is asked first, so a dead one costs a pause only once.
 *
 * Rejected: one socket for all questions, which is quicker by two system calls and easier to fool.
 */
#include "dns_ask.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bytes.h"
#include "fd.h"

#define SENDS 3         /* so that a question lasts as long as an asker waits: 5 s */
#define DATAGRAMS_MAX 8 /* of one socket in one turn */

/* `sub` of an event: the server's index, or */
#define SUB_STREAM VNIC_DNS_SERVERS

void dns_close_sockets(struct query *query)
{
	for (unsigned i = 0; i < VNIC_DNS_SERVERS; i++)
		close_fd(&query->fds[i]);
	close_fd(&query->stream);
}

int dns_find_server(struct dns *dns, unsigned server, enum vnic_proto proto, struct destination *ret_destination)
{
	const struct vnic_dns_servers *servers = &dns->config.servers;
	struct flow_key key = {0};

	if (server >= servers->count || !sockaddr_to_endpoint(&servers->addrs[server], &key.dst, &key.family))
		return -EHOSTUNREACH;
	if (dns->config.named)
		return gateway_decide(dns->gateway, &key, proto, ret_destination);
	ret_destination->host = false;
	ret_destination->addr = servers->addrs[server]; /* not by way of the key, which has no scope */
	ret_destination->len =
		key.family == AF_INET ? sizeof(struct sockaddr_in) : (socklen_t)sizeof(struct sockaddr_in6);
	return 0;
}

/* --- asking ------------------------------------------------------------------------- */

static void wait_until_next(struct dns *dns, uint32_t slot)
{
	table_touch(&dns->table, slot, DNS_ASKED, dns->gateway->now);
	gateway_wake_at(dns->gateway, table_expires(&dns->table, slot));
}

static int connect_server(struct dns *dns, uint32_t slot, int type, unsigned sub, const struct destination *to,
			  int *ret_fd)
{
	struct loop_ref ref = {.type = REF_DNS, .sub = (uint16_t)sub, .index = slot};
	uint32_t events = type == SOCK_STREAM ? EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET : EPOLLIN;
	CLEANUP_FD int fd = socket(to->addr.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0 || (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0 && errno != EINPROGRESS))
		return -errno;
	r = loop_add(dns->gateway->epfd, fd, events, ref, NULL);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

static int ask(struct dns *dns, uint32_t slot, unsigned server)
{
	struct query *query = &dns->queries[slot];
	struct destination to;
	int r;

	if (query->fds[server] < 0) {
		r = dns_find_server(dns, server, VNIC_PROTO_UDP, &to);
		if (r == GATEWAY_DENIED)
			return -EACCES;
		query->denied = false;
		if (r < 0)
			return r;
		if (getrandom(&query->ids[server], sizeof(query->ids[server]), GRND_NONBLOCK) < 0)
			return -errno;
		r = connect_server(dns, slot, SOCK_DGRAM, server, &to, &query->fds[server]);
		if (r < 0)
			return r;
	}
	dnsmsg_set_id(query->message, query->ids[server]);
	return send(query->fds[server], query->message, query->size, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The one to be asked after the last one; false: none is left. */
static bool find_next(const struct dns *dns, const struct query *query, unsigned *ret_server)
{
	unsigned count = dns->config.servers.count;

	for (unsigned i = 1; i <= count && query->sends < SENDS; i++) {
		unsigned server = (query->last + i) % count;

		if (query->failed & 1u << server)
			continue;
		*ret_server = server;
		return true;
	}
	return false;
}

void dns_ask_next(struct dns *dns, uint32_t slot)
{
	struct query *query = &dns->queries[slot];
	unsigned server;

	while (find_next(dns, query, &server)) {
		query->last = (uint8_t)server;
		if (ask(dns, slot, server) == 0) {
			query->sends++;
			wait_until_next(dns, slot);
			return;
		}
		close_fd(&query->fds[server]);
		query->failed |= (uint8_t)(1u << server);
	}
	dns_fail(dns, slot);
}

void dns_ask(struct dns *dns, uint32_t slot)
{
	struct query *query = &dns->queries[slot];
	unsigned count = dns->config.servers.count;

	query->sends = 0;
	query->failed = 0;
	/* find_next begins after the last one. */
	query->last = (uint8_t)(count ? dns->preferred + count - 1 : 0);
	dns_ask_next(dns, slot);
}

/* It will not answer.  Whoever was asked later may. */
static void give_up_server(struct dns *dns, uint32_t slot, unsigned server)
{
	struct query *query = &dns->queries[slot];

	close_fd(&query->fds[server]);
	query->failed |= (uint8_t)(1u << server);
	if (query->last == server)
		dns_ask_next(dns, slot);
}

/* --- answers: over TCP -------------------------------------------------------------- */

static void start_stream(struct dns *dns, uint32_t slot, unsigned server)
{
	struct query *query = &dns->queries[slot];
	struct destination to;

	dns_close_sockets(query);
	if (dns_find_server(dns, server, VNIC_PROTO_TCP, &to) != 0 ||
	    connect_server(dns, slot, SOCK_STREAM, SUB_STREAM, &to, &query->stream) < 0) {
		dns_truncate(dns, slot);
		return;
	}
	dnsmsg_set_id(query->message, query->ids[server]);
	query->last = (uint8_t)server;
	dns->stats.streams++;
	wait_until_next(dns, slot);
}

/* Sends the question when the connection stands; false: it never will. */
static bool ask_stream(struct query *query)
{
	uint8_t length[DNS_LENGTH];
	struct iovec iov[2] = {{length, sizeof(length)}, {query->message, query->size}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;

	put16(length, query->size);
	n = sendmsg(query->stream, &message, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == ENOTCONN;
	query->streamed = true;
	return n == DNS_LENGTH + query->size; /* a new connection's buffer is empty */
}

/*
 * The answer stays in the socket's buffer until it is whole, so there is none of ours to be kept: an event comes with
 * each segment.
 */
static void stream_event(struct dns *dns, uint32_t slot, uint32_t events)
{
	struct query *query = &dns->queries[slot];
	bool over = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
	ssize_t n;
	size_t size;

	if (!query->streamed && !ask_stream(query)) {
		dns_truncate(dns, slot);
		return;
	}
	n = recv(query->stream, dns->answer, sizeof(dns->answer), MSG_PEEK);
	size = n >= DNS_LENGTH ? get16(dns->answer) : 0;
	if (n >= DNS_LENGTH && size <= DNS_ROOM_MAX && (size_t)n >= DNS_LENGTH + size) {
		if (dnsmsg_answers(query->message, &query->info, query->ids[query->last], dns->answer + DNS_LENGTH,
				   size))
			dns_deliver(dns, slot, dns->answer + DNS_LENGTH, size);
		else
			dns_truncate(dns, slot);
	} else if (size > DNS_ROOM_MAX || over) {
		dns_truncate(dns, slot);
	}
}

/* --- answers: datagrams ------------------------------------------------------------- */

/* It cannot, but another server perhaps can: so does the C library's resolver. */
static bool is_cannot(unsigned rcode)
{
	return rcode == DNSMSG_SERVFAIL || rcode == DNSMSG_NOTIMP || rcode == DNSMSG_REFUSED;
}

static bool can_another(const struct dns *dns, struct query *query, unsigned server)
{
	unsigned next;

	query->failed |= (uint8_t)(1u << server);
	return query->last != server || find_next(dns, query, &next);
}

static void take_answer(struct dns *dns, uint32_t slot, unsigned server, size_t size)
{
	struct query *query = &dns->queries[slot];

	if (is_cannot(dnsmsg_rcode(dns->answer)) && can_another(dns, query, server)) {
		give_up_server(dns, slot, server);
		return;
	}
	if (server < dns->config.servers.count) /* they may have become fewer */
		dns->preferred = server;
	if (dnsmsg_is_truncated(dns->answer) && (query->info.room > DNS_UNFRAGMENTED || dns->gateway->names))
		start_stream(dns, slot, server);
	else
		dns_deliver(dns, slot, dns->answer, size);
}

static void datagram_event(struct dns *dns, uint32_t slot, unsigned server)
{
	struct query *query = &dns->queries[slot];

	for (int i = 0; i < DATAGRAMS_MAX; i++) {
		/* The size that it has, even where that is more than we take. */
		ssize_t n = recv(query->fds[server], dns->answer, DNS_ROOM_MAX, MSG_TRUNC);
		size_t have = n > DNS_ROOM_MAX ? DNS_ROOM_MAX : (size_t)n;

		if (n < 0) {
			if (errno != EAGAIN)
				give_up_server(dns, slot, server);
			return;
		}
		if (dnsmsg_answers(query->message, &query->info, query->ids[server], dns->answer, have)) {
			take_answer(dns, slot, server, (size_t)n);
			return;
		}
		dns->stats.strange++;
	}
	/* Level-triggered: what is left is the next event. */
}

void dns_event(struct dns *dns, uint32_t slot, unsigned sub, uint32_t events)
{
	const struct query *query = &dns->queries[slot];

	/* Closed by an earlier event of this batch? */
	if (!dns->table.entries[slot].used)
		return;
	if (sub == SUB_STREAM && query->stream >= 0)
		stream_event(dns, slot, events);
	else if (sub < SUB_STREAM && query->fds[sub] >= 0)
		datagram_event(dns, slot, sub);
}
