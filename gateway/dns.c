/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DNS forwarder: each question of the sandbox is asked of the host's resolvers, as the host itself would ask it.
 *
 * Theory of operation.  A message is passed on as it is, EDNS and all; only its id is ours.  Each question has a
 * connected socket of its own for each server that is asked, so the kernel picks the port, lets nobody else answer,
 * and reports that nobody listens; and an id of its own for each, and the question must come back with the answer.
 * Being in the host's namespace we reach what the sandbox cannot: 127.0.0.53, and servers behind the policy.
 *
 *   asking     fds[]: those asked so far, any of which may still answer; the next one is asked after TRY_TIME, or
 *              at once when there is an error or a "cannot" of the server's; SENDS times in all
 *   streaming  stream: the answer did not fit into a datagram and is asked for over TCP
 *
 * The server that answered last is asked first, so a dead one costs a pause only once.  At the end the asker is told
 * SERVFAIL, or REFUSED where the policy denies every server.
 *
 * Too large.  An asker says how much it takes: 512 bytes, or more with EDNS.  Servers by themselves send up to
 * 1232 bytes over UDP and then say "truncated" (DNS flag day 2020).  Whoever takes no more than that gets the
 * truncated answer passed on, and asks over TCP, which goes to the server from socket to socket: our asking first
 * would only make it wait twice (RFC 7766 5).  Whoever takes more is saved the trouble: we ask over TCP, and what
 * then fits is sent as a datagram; IPv4 cuts it, on a link of our own.  IPv6 is not cut by routers, so nobody there
 * takes more than 1232 bytes.
 *
 * Rejected: one socket for all questions, which is quicker by two system calls and easier to fool; a cache,
 * for the host's resolver has one, and what it says to the sandbox must not differ from what it says to the host.
 */
#include "dns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "dnsmsg.h"
#include "fd.h"
#include "table.h"

#define PORT 53
#define TRY_TIME (2 * NS_PER_S) /* before the next server is asked */
#define SENDS 3                 /* so that a question lasts as long as an asker waits: 5 s */
#define REFRESH_TIME NS_PER_S   /* between looks at the host's resolvers */
#define QUERY_MAX 1232          /* bytes of a question; nobody needs as much */
#define UNFRAGMENTED 1232       /* 1280 - 40 - 8 */
#define ROOM_MAX 4096           /* what we pass on, however much the asker takes (RFC 6891 6.2.5) */
#define FRAME_MAX (ROOM_MAX + 64)
#define DATAGRAMS_MAX 8 /* of one socket in one turn */
#define LENGTH 2        /* in front of a message over TCP */

/* `sub` of an event: the server's index, or */
#define SUB_STREAM VNIC_DNS_SERVERS

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
	uint8_t message[QUERY_MAX];
};

struct dns {
	struct vnic_gateway *gateway;
	struct vnic_dns_config config;
	struct vnic_dns_stats stats;
	struct table table;    /* by `identity`; when it is full questions are answered SERVFAIL */
	struct query *queries; /* by slot of the table */
	unsigned preferred;    /* the server that answered last */
	int64_t refresh_at;
	uint8_t answer[LENGTH + ROOM_MAX];
	uint8_t frame[FRAME_MAX];
};

/* --- servers ------------------------------------------------------------------------ */

static void refresh(struct dns *dns)
{
	if (!dns->config.ask_resolvers || dns->gateway->now < dns->refresh_at)
		return;
	dns->refresh_at = dns->gateway->now + REFRESH_TIME;
	dns->config.ask_resolvers(dns->config.ctx);
}

static bool is_same_host(const struct vnic_addr *addr, const struct flow_key *key)
{
	return addr->family == key->family &&
	       !memcmp(addr->bytes, key->dst.addr, key->family == AF_INET ? 4 : sizeof(key->dst.addr));
}

static bool is_server(const struct dns *dns, const struct flow_key *key)
{
	struct endpoint server;
	uint16_t family;

	for (unsigned i = 0; i < dns->config.servers.count; i++)
		if (sockaddr_to_endpoint(&dns->config.servers.addrs[i], &server, &family) && family == key->family &&
		    !memcmp(&server, &key->dst, sizeof(server)))
			return true;
	return false;
}

bool dns_owns(struct dns *dns, const struct flow_key *key)
{
	if (!dns || key->dst.port != PORT)
		return false;
	if (dns->config.in_their_name)
		refresh(dns);
	return is_same_host(&dns->config.listen[key->family == AF_INET6], key) ||
	       (dns->config.in_their_name && is_server(dns, key));
}

/* Where the server is, if the policy lets it be asked. */
static bool find_server(struct dns *dns, unsigned server, enum vnic_proto proto, struct destination *ret_destination)
{
	const struct vnic_dns_servers *servers = &dns->config.servers;
	struct flow_key key = {0};

	if (server >= servers->count || !sockaddr_to_endpoint(&servers->addrs[server], &key.dst, &key.family))
		return false;
	if (dns->config.named)
		return gateway_admit(dns->gateway, &key, proto, ret_destination);
	ret_destination->host = false;
	ret_destination->addr = servers->addrs[server]; /* not by way of the key, which has no scope */
	ret_destination->len =
		key.family == AF_INET ? sizeof(struct sockaddr_in) : (socklen_t)sizeof(struct sockaddr_in6);
	return true;
}

bool dns_resolver(struct dns *dns, struct destination *ret_destination)
{
	refresh(dns);
	return find_server(dns, dns->preferred, VNIC_PROTO_TCP, ret_destination);
}

/* --- the end of a question ---------------------------------------------------------- */

static void close_sockets(struct query *query)
{
	for (unsigned i = 0; i < VNIC_DNS_SERVERS; i++)
		close_fd(&query->fds[i]);
	close_fd(&query->stream);
}

static void end(struct dns *dns, uint32_t slot)
{
	close_sockets(&dns->queries[slot]);
	table_remove(&dns->table, slot);
}

static void reply(struct dns *dns, const struct flow_key *client, const void *message, size_t size)
{
	static const struct vnic_vnet_hdr plain = {0};
	size_t frame_size = packet_make_udp(client, message, size, &dns->gateway->ends, dns->frame);

	gateway_inject(dns->gateway, &plain, dns->frame, frame_size);
}

static void reply_made(struct dns *dns, const struct query *query, unsigned rcode, bool truncated)
{
	uint8_t message[DNSMSG_MADE];

	reply(dns, &query->client, message,
	      dnsmsg_make_answer(query->message, &query->info, rcode, truncated, message));
}

static void fail(struct dns *dns, uint32_t slot)
{
	const struct query *query = &dns->queries[slot];

	dns->stats.failed++;
	reply_made(dns, query, query->denied ? DNSMSG_REFUSED : DNSMSG_SERVFAIL, false);
	end(dns, slot);
}

static void truncate_answer(struct dns *dns, uint32_t slot)
{
	dns->stats.answers++;
	reply_made(dns, &dns->queries[slot], 0, true);
	end(dns, slot);
}

static void deliver(struct dns *dns, uint32_t slot, uint8_t *answer, size_t size)
{
	const struct query *query = &dns->queries[slot];

	if (size > query->info.room) {
		truncate_answer(dns, slot);
		return;
	}
	dns->stats.answers++;
	dnsmsg_set_id(answer, query->info.id);
	reply(dns, &query->client, answer, size);
	end(dns, slot);
}

/* --- asking ------------------------------------------------------------------------- */

static void wait_until_next(struct dns *dns, uint32_t slot)
{
	table_touch(&dns->table, slot, 0, dns->gateway->now);
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
		if (!find_server(dns, server, VNIC_PROTO_UDP, &to))
			return -EACCES;
		query->denied = false;
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

static void ask_next(struct dns *dns, uint32_t slot)
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
	fail(dns, slot);
}

/* With the first server. */
static void begin(struct dns *dns, uint32_t slot)
{
	struct query *query = &dns->queries[slot];
	unsigned count = dns->config.servers.count;

	query->sends = 0;
	query->failed = 0;
	/* find_next begins after the last one. */
	query->last = (uint8_t)(count ? dns->preferred + count - 1 : 0);
	ask_next(dns, slot);
}

void dns_set_servers(struct dns *dns, const struct vnic_dns_servers *servers)
{
	dns->config.servers = *servers;
	dns->preferred = 0;
	for (uint32_t slot = 1; slot <= dns->table.touched; slot++) {
		if (!dns->table.entries[slot].used || dns->queries[slot].stream >= 0)
			continue;
		close_sockets(&dns->queries[slot]);
		begin(dns, slot);
	}
}

/* It will not answer.  Whoever was asked later may. */
static void give_up_server(struct dns *dns, uint32_t slot, unsigned server)
{
	struct query *query = &dns->queries[slot];

	close_fd(&query->fds[server]);
	query->failed |= (uint8_t)(1u << server);
	if (query->last == server)
		ask_next(dns, slot);
}

/*
 * What names a question: a second one with the same name is the asker's repetition.  Some askers use one id and port
 * for different questions, so these go into the key, where our own address would stand.
 */
static struct flow_key identity(const struct dns *dns, const struct flow_key *client, const struct dnsmsg_query *info,
				const uint8_t *message)
{
	struct flow_key key = *client;
	uint64_t hash = hash_bytes(&dns->gateway->secret, message, info->question);

	memcpy(key.dst.addr, &hash, sizeof(hash));
	key.dst.port = info->id;
	return key;
}

static uint16_t room_of(const struct flow_key *client, const struct dnsmsg_query *info)
{
	uint16_t most = client->family == AF_INET ? ROOM_MAX : UNFRAGMENTED;

	return info->room < most ? info->room : most;
}

static void refuse(struct dns *dns, const struct query *query, unsigned rcode)
{
	dns->stats.failed++;
	reply_made(dns, query, rcode, false);
}

static void start(struct dns *dns, const struct query *asked)
{
	struct flow_key key = identity(dns, &asked->client, &asked->info, asked->message);
	struct query *query;
	uint32_t slot;

	if (table_find(&dns->table, &key)) /* the asker is impatient; so are we */
		return;
	slot = table_add(&dns->table, &key, 0, dns->gateway->now);
	if (!slot) {
		dns->stats.full++;
		refuse(dns, asked, DNSMSG_SERVFAIL);
		return;
	}
	query = &dns->queries[slot];
	*query = *asked;
	query->info.room = room_of(&query->client, &query->info);
	begin(dns, slot);
}

void dns_query(struct dns *dns, const struct flow_key *client, const void *data, size_t size)
{
	struct query query = {.client = *client, .denied = dns->config.named, .fds = {-1, -1, -1}, .stream = -1};
	int verdict = dnsmsg_read_query(data, size, &query.info);

	if (verdict < 0) {
		dns->gateway->stats.malformed++;
		return;
	}
	dns->stats.queries++;
	query.size = (uint16_t)(size < QUERY_MAX ? size : QUERY_MAX);
	memcpy(query.message, data, query.size);
	if (verdict == 0 && size > QUERY_MAX)
		verdict = DNSMSG_FORMERR;
	if (verdict > 0) {
		refuse(dns, &query, (unsigned)verdict);
		return;
	}
	refresh(dns);
	start(dns, &query);
}

/* --- answers ------------------------------------------------------------------------ */

static void start_stream(struct dns *dns, uint32_t slot, unsigned server)
{
	struct query *query = &dns->queries[slot];
	struct destination to;

	close_sockets(query);
	if (!find_server(dns, server, VNIC_PROTO_TCP, &to) ||
	    connect_server(dns, slot, SOCK_STREAM, SUB_STREAM, &to, &query->stream) < 0) {
		truncate_answer(dns, slot);
		return;
	}
	dnsmsg_set_id(query->message, query->ids[server]);
	query->last = (uint8_t)server;
	dns->stats.streams++;
	wait_until_next(dns, slot);
}

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
	if (dnsmsg_is_truncated(dns->answer) && query->info.room > UNFRAGMENTED)
		start_stream(dns, slot, server);
	else
		deliver(dns, slot, dns->answer, size);
}

static void datagram_event(struct dns *dns, uint32_t slot, unsigned server)
{
	struct query *query = &dns->queries[slot];

	for (int i = 0; i < DATAGRAMS_MAX; i++) {
		/* The size that it has, even where that is more than we take. */
		ssize_t n = recv(query->fds[server], dns->answer, ROOM_MAX, MSG_TRUNC);
		size_t have = n > ROOM_MAX ? ROOM_MAX : (size_t)n;

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

/* Sends the question when the connection stands; false: it never will. */
static bool ask_stream(struct query *query)
{
	uint8_t length[LENGTH] = {(uint8_t)(query->size >> 8), (uint8_t)query->size};
	struct iovec iov[2] = {{length, sizeof(length)}, {query->message, query->size}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n = sendmsg(query->stream, &message, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == ENOTCONN;
	query->streamed = true;
	return n == LENGTH + query->size; /* a new connection's buffer is empty */
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
		truncate_answer(dns, slot);
		return;
	}
	n = recv(query->stream, dns->answer, sizeof(dns->answer), MSG_PEEK);
	size = n >= LENGTH ? (size_t)dns->answer[0] << 8 | dns->answer[1] : 0;
	if (n >= LENGTH && size <= query->info.room && (size_t)n >= LENGTH + size) {
		if (dnsmsg_answers(query->message, &query->info, query->ids[query->last], dns->answer + LENGTH, size))
			deliver(dns, slot, dns->answer + LENGTH, size);
		else
			truncate_answer(dns, slot);
	} else if (size > query->info.room || over) {
		truncate_answer(dns, slot);
	}
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

/* --- time and life ------------------------------------------------------------------ */

void dns_expire(struct dns *dns)
{
	uint32_t slot;

	while ((slot = table_first(&dns->table)) && table_expires(&dns->table, slot) <= dns->gateway->now) {
		if (dns->queries[slot].stream >= 0)
			truncate_answer(dns, slot);
		else
			ask_next(dns, slot);
	}
	if (slot)
		gateway_wake_at(dns->gateway, table_expires(&dns->table, slot));
}

void dns_settle(struct dns *dns)
{
	table_settle(&dns->table);
}

void dns_get_stats(const struct dns *dns, struct vnic_dns_stats *ret_stats)
{
	*ret_stats = dns->stats;
}

static int check(struct dns *dns, struct vnic_error *err)
{
	struct flow_key key = {0};

	for (unsigned i = 0; i < dns->config.servers.count && dns->config.named; i++)
		if (!sockaddr_to_endpoint(&dns->config.servers.addrs[i], &key.dst, &key.family) || dns_owns(dns, &key))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--dns",
					 "this is the forwarder's own address: it would ask itself");
	return 0;
}

int dns_new(struct vnic_gateway *gateway, const struct vnic_dns_config *config, struct dns **ret_dns,
	    struct vnic_error *err)
{
	static const int64_t times[TABLE_CLASSES] = {TRY_TIME, TRY_TIME, TRY_TIME};
	struct dns *dns = calloc(1, sizeof(*dns));
	int r;

	if (!dns)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	dns->gateway = gateway;
	dns->config = *config;
	r = check(dns, err);
	if (r == 0) {
		dns->queries = calloc(gateway->max.dns + 1, sizeof(*dns->queries));
		if (!dns->queries || table_open(&dns->table, gateway->max.dns, times, &gateway->secret) < 0)
			r = vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	}
	if (r < 0)
		dns_free(dns);
	else
		*ret_dns = dns;
	return r;
}

void dns_free(struct dns *dns)
{
	if (!dns)
		return;
	for (uint32_t slot = 1; slot <= dns->table.touched; slot++)
		if (dns->table.entries[slot].used)
			close_sockets(&dns->queries[slot]);
	table_close(&dns->table);
	free(dns->queries);
	free(dns);
}
