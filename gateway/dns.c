/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DNS forwarder: each question of the sandbox is asked of the host's resolvers, as the host itself would ask it.
 *
 * Theory of operation.  A message is passed on as it is, EDNS and all; only its id is ours.  Being in the host's
 * namespace we reach what the sandbox cannot: 127.0.0.53, and servers behind the policy.  How they are asked: see
 * dns_ask.c.  At the end the asker is told SERVFAIL, or REFUSED where the policy denies every server.
 *
 * Too large.  An asker says how much it takes: 512 bytes, or more with EDNS.  Servers by themselves send up to
 * 1232 bytes over UDP and then say "truncated" (DNS flag day 2020).  Whoever takes no more than that gets the
 * truncated answer passed on, and asks over TCP (dns_tcp.c): our asking first would only make it wait twice
 * (RFC 7766 5).  Whoever takes more is saved the trouble: we ask over TCP, and what then fits is sent as a datagram;
 * IPv4 cuts it, on a link of our own.  IPv6 is not cut by routers, so nobody there takes more than 1232 bytes.
 *
 * Which resolvers.  They may have become others since the last question, so whoever knows is asked before the first of
 * each second, and questions are held until he has answered: the old ones may be another network's, and must not hear
 * what is asked now.  TCP, which comes after a question as a rule, is not held.
 *
 * Names in rules.  Whatever is passed on, or said to be too large, is shown to names.c before, whole, so where a rule
 * has a name we ask over TCP for every answer that was truncated: some askers are content with the records that fit,
 * and never ask over TCP themselves.
 *
 * Rejected: a cache, for the host's resolver has one, and what it says to the sandbox must not differ from what it says
 * to the host.
 */
#include "dns_ask.h"
#include "log.h"
#include "names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PORT 53
#define LOOK_TIME NS_PER_S      /* between looks at the host's resolvers */
#define PATIENCE (NS_PER_S / 4) /* with who looks: then those known so far are asked */

/* --- servers ------------------------------------------------------------------------ */

static void look(struct dns *dns)
{
	if (!dns->config.ask_resolvers || dns->looking || dns->gateway->now < dns->looked_at + LOOK_TIME)
		return;
	dns->looked_at = dns->gateway->now;
	dns->looking = true;
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

static bool is_forwarder(const struct dns *dns, const struct flow_key *key)
{
	return key->dst.port == PORT && is_same_host(&dns->config.listen[key->family == AF_INET6], key);
}

bool dns_owns(struct dns *dns, const struct flow_key *key)
{
	bool theirs = dns && (dns->config.in_their_name || dns->config.only_allowed);

	if (theirs && key->dst.port == PORT)
		look(dns);
	return dns && (is_forwarder(dns, key) || (theirs && is_server(dns, key)));
}

int dns_resolver(struct dns *dns, unsigned passed, struct destination *ret_destination)
{
	unsigned count, server;
	int r = -EHOSTUNREACH;

	look(dns);
	count = dns->config.servers.count;
	for (unsigned i = 0; i < count && r != 0; i++) {
		server = (dns->preferred + i) % count;
		if (passed & 1u << server)
			continue;
		passed |= 1u << server;
		r = dns_find_server(dns, server, VNIC_PROTO_TCP, ret_destination);
	}
	if (r == 0)
		ret_destination->resolvers = (uint8_t)passed;
	return r;
}

void dns_set_servers(struct dns *dns, const struct vnic_dns_servers *servers)
{
	dns->looking = false;
	if (servers) {
		dns->config.servers = *servers;
		dns->preferred = 0;
	}
	for (uint32_t slot = 1; slot <= dns->table.touched; slot++) {
		const struct table_entry *entry = &dns->table.entries[slot];

		if (!entry->used || dns->queries[slot].stream >= 0 || (!servers && entry->class != DNS_HELD))
			continue;
		dns_close_sockets(&dns->queries[slot]);
		dns_ask(dns, slot);
	}
}

/* --- the end of a question ---------------------------------------------------------- */

static void end(struct dns *dns, uint32_t slot)
{
	dns_close_sockets(&dns->queries[slot]);
	table_remove(&dns->table, slot);
}

static void reply(struct dns *dns, const struct flow_key *client, const void *message, size_t size)
{
	gateway_inject_made(dns->gateway, dns->frame,
			    packet_make_udp(client, message, size, &dns->gateway->ends, dns->frame));
}

static void reply_made(struct dns *dns, const struct query *query, unsigned rcode, bool truncated)
{
	uint8_t message[DNSMSG_MADE];

	reply(dns, &query->client, message,
	      dnsmsg_make_answer(query->message, &query->info, rcode, truncated, message));
}

void dns_fail(struct dns *dns, uint32_t slot)
{
	const struct query *query = &dns->queries[slot];

	dns->stats.failed++;
	reply_made(dns, query, query->denied ? DNSMSG_REFUSED : DNSMSG_SERVFAIL, false);
	end(dns, slot);
}

void dns_truncate(struct dns *dns, uint32_t slot)
{
	dns->stats.answers++;
	reply_made(dns, &dns->queries[slot], 0, true);
	end(dns, slot);
}

void dns_deliver(struct dns *dns, uint32_t slot, uint8_t *answer, size_t size)
{
	const struct query *query = &dns->queries[slot];
	size_t have = size < DNS_ROOM_MAX ? size : DNS_ROOM_MAX;

	if (dns->gateway->names)
		names_learn(dns->gateway->names, query->message, &query->info, answer, have, dns->gateway->now);
	if (size > query->info.room)
		size = dnsmsg_cut(&query->info, answer, have, query->info.room);
	dns->stats.answers++;
	dnsmsg_set_id(answer, query->info.id);
	reply(dns, &query->client, answer, size);
	end(dns, slot);
}

/* --- questions ----------------------------------------------------------------------- */

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
	uint16_t most = client->family == AF_INET ? DNS_ROOM_MAX : DNS_UNFRAGMENTED;

	return info->room < most ? info->room : most;
}

static void start(struct dns *dns, const struct query *asked)
{
	bool held = dns->looking && dns->gateway->now < dns->looked_at + PATIENCE;
	struct flow_key key = identity(dns, &asked->client, &asked->info, asked->message);
	struct query *query;
	uint32_t slot;

	if (table_find(&dns->table, &key)) { /* the asker is impatient; so are we */
		dns->stats.repeated++;
		return;
	}
	slot = table_add(&dns->table, &key, held ? DNS_HELD : DNS_ASKED, dns->gateway->now);
	if (!slot) {
		dns->stats.full++;
		reply_made(dns, asked, DNSMSG_SERVFAIL, false);
		return;
	}
	query = &dns->queries[slot];
	*query = *asked;
	query->info.room = room_of(&query->client, &query->info);
	if (held)
		gateway_wake_at(dns->gateway, table_expires(&dns->table, slot));
	else
		dns_ask(dns, slot);
}

/* May it be asked?  0, or an RCODE. */
static int judge(struct dns *dns, const struct flow_key *client, const uint8_t *message,
		 const struct dnsmsg_query *info)
{
	struct vnic_policy_flow flow = {.proto = VNIC_PROTO_ANY};
	char name[VNIC_DOMAIN_TEXT];
	bool denied;

	if (dnsmsg_name(message, info, name))
		flow.name = name;
	denied = dns->config.only_allowed &&
		 (!flow.name || !vnic_policy_names(&dns->gateway->config.policy, name, &flow.named));
	log_question(dns->gateway, client, flow.name, denied);
	if (!denied)
		return 0;
	dns->stats.denied++;
	gateway_deny(dns->gateway, &flow);
	return DNSMSG_REFUSED;
}

int dns_judge(struct dns *dns, const struct flow_key *client, const uint8_t *message, size_t size,
	      struct dnsmsg_query *ret_info)
{
	int verdict = dnsmsg_read_query(message, size, ret_info);

	if (verdict < 0) {
		dns->gateway->stats.malformed++;
		return verdict;
	}
	dns->stats.queries++;
	if (verdict == 0 && size > DNS_QUERY_MAX)
		verdict = DNSMSG_FORMERR;
	if (verdict == 0)
		verdict = judge(dns, client, message, ret_info);
	dns->stats.failed += verdict > 0;
	return verdict;
}

void dns_query(struct dns *dns, const struct flow_key *client, const void *data, size_t size)
{
	struct query query = {.client = *client, .denied = dns->config.named, .fds = {-1, -1, -1}, .stream = -1};
	int verdict = dns_judge(dns, client, data, size, &query.info);

	if (verdict < 0)
		return;
	query.size = (uint16_t)(size < DNS_QUERY_MAX ? size : DNS_QUERY_MAX);
	memcpy(query.message, data, query.size);
	if (verdict > 0) {
		reply_made(dns, &query, (unsigned)verdict, false);
		return;
	}
	look(dns);
	start(dns, &query);
}

/* --- time and life ------------------------------------------------------------------ */

void dns_expire(struct dns *dns)
{
	uint32_t slot;

	while ((slot = table_first(&dns->table)) && table_expires(&dns->table, slot) <= dns->gateway->now) {
		if (dns->queries[slot].stream >= 0)
			dns_truncate(dns, slot);
		else if (dns->table.entries[slot].class == DNS_HELD)
			dns_ask(dns, slot);
		else
			dns_ask_next(dns, slot);
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
	ret_stats->open = dns->table.count + dns->open_by_tcp;
}

static int check(struct dns *dns, struct vnic_error *err)
{
	struct flow_key key = {0};

	for (unsigned i = 0; i < dns->config.servers.count && dns->config.named; i++)
		if (!sockaddr_to_endpoint(&dns->config.servers.addrs[i], &key.dst, &key.family) ||
		    is_forwarder(dns, &key))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--dns",
					 "this is the forwarder's own address: it would ask itself");
	return 0;
}

int dns_new(struct vnic_gateway *gateway, const struct vnic_dns_config *config, struct dns **ret_dns,
	    struct vnic_error *err)
{
	static const int64_t times[TABLE_CLASSES] = {[DNS_ASKED] = DNS_TRY_TIME, [DNS_HELD] = PATIENCE};
	struct dns *dns = calloc(1, sizeof(*dns));
	int r;

	if (!dns)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	dns->gateway = gateway;
	dns->config = *config;
	dns->looked_at = -LOOK_TIME;
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
			dns_close_sockets(&dns->queries[slot]);
	table_close(&dns->table);
	free(dns->queries);
	free(dns);
}
