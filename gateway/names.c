/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which addresses have a name that is in a rule of the policy.
 *
 * Theory of operation.  A flow has an address and no name, so what the forwarder tells the sandbox is kept: the
 * addresses in the answers, hints of services too, under the name that was asked for, whatever other names the answer
 * went by (CNAME).  An address is known before the sandbox has heard of it, so its first packet finds it.  What the
 * sandbox learns elsewhere opens nothing.
 *
 * For how long.  Programs go on using an address long after its time to live, some until they end; nothing tells us. So
 * it is known for an hour at least, and for a day if it lives longer than an hour.  Addresses of names in no rule are
 * kept for a minute, so that a denial can say which name to allow.
 *
 * Nothing fires when an entry's time is up: it is no longer found, and makes room when room is needed.  If there are
 * too many the one that would expire first is forgotten.
 *
 * Rejected: asking for the names ourselves, now and then.  Servers with many addresses give everybody another few of
 * them, so the sandbox would be told others than we were.
 */
#include "names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "reserve.h"
#include "table.h"

#define NAMES_MAX 4096

/* Classes of the table. */
enum { SEEN, HOUR, DAY };

#define HOUR_S 3600

struct known {
	struct vnic_rule_set rules;
	char name[VNIC_DOMAIN_TEXT]; /* the last by which it was asked for */
};

struct names {
	const struct vnic_policy *policy;
	struct table table;  /* by the address, as a flow's destination */
	struct known *known; /* by slot */
	uint64_t full;
};

int names_new(const struct vnic_policy *policy, const struct hash_secret *secret, struct names **ret_names)
{
	static const int64_t times[TABLE_CLASSES] = {
		[SEEN] = 60 * NS_PER_S, [HOUR] = HOUR_S * NS_PER_S, [DAY] = 24 * HOUR_S * NS_PER_S};
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	names->policy = policy;
	names->known = reserve(NAMES_MAX + 1, sizeof(*names->known));
	if (!names->known || table_open(&names->table, NAMES_MAX, times, secret) < 0) {
		names_free(names);
		return -ENOMEM;
	}
	*ret_names = names;
	return 0;
}

void names_free(struct names *names)
{
	if (!names)
		return;
	table_close(&names->table);
	release(names->known, NAMES_MAX + 1, sizeof(*names->known));
	free(names);
}

static struct flow_key key_of(const struct vnic_addr *addr)
{
	struct flow_key key = {.family = addr->family};

	memcpy(key.dst.addr, addr->bytes, addr->family == AF_INET ? 4 : sizeof(key.dst.addr));
	return key;
}

/* 0: it is not known, or not any more. */
static uint32_t find(const struct names *names, const struct flow_key *key, int64_t now)
{
	uint32_t slot = table_find(&names->table, key);

	return slot && table_expires(&names->table, slot) > now ? slot : 0;
}

static void forget(struct names *names, uint32_t slot)
{
	table_remove(&names->table, slot);
	table_settle(&names->table); /* nobody refers to slots */
}

/* A slot for an address that is not known. */
static uint32_t make_room(struct names *names, const struct flow_key *key, int64_t now)
{
	uint32_t slot = table_find(&names->table, key);

	if (!slot && names->table.count == NAMES_MAX) {
		slot = table_first(&names->table);
		names->full += table_expires(&names->table, slot) > now;
	}
	if (slot)
		forget(names, slot);
	slot = table_add(&names->table, key, SEEN, now);
	names->known[slot] = (struct known){0};
	return slot;
}

static void learn(struct names *names, const struct vnic_addr *addr, const struct known *told, unsigned class,
		  int64_t now)
{
	struct flow_key key = key_of(addr);
	uint32_t slot = find(names, &key, now);
	struct known *known;

	if (!slot)
		slot = make_room(names, &key, now);
	known = &names->known[slot];
	memcpy(known->name, told->name, sizeof(known->name));
	for (unsigned i = 0; i < sizeof(known->rules.bits) / sizeof(known->rules.bits[0]); i++)
		known->rules.bits[i] |= told->rules.bits[i];
	/* A name that is in no rule does not prolong one that is; and an hour does not cut a day short, but its end. */
	if (class >= names->table.entries[slot].class ||
	    (class == HOUR && table_expires(&names->table, slot) < now + HOUR_S * NS_PER_S))
		table_touch(&names->table, slot, class, now);
}

void names_learn(struct names *names, const void *query, const struct dnsmsg_query *info, const void *answer,
		 size_t size, int64_t now)
{
	struct dnsmsg_walk walk = dnsmsg_walk_answer(info, answer, size);
	struct known told = {0};
	struct vnic_addr addr;
	uint32_t ttl;
	bool in_rules;

	if (!dnsmsg_name(query, info, told.name))
		return;
	in_rules = vnic_policy_names(names->policy, told.name, &told.rules);
	while (dnsmsg_next_address(&walk, &addr, &ttl))
		learn(names, &addr, &told, !in_rules ? SEEN : ttl <= HOUR_S ? HOUR : DAY, now);
}

void names_find(const struct names *names, struct vnic_policy_flow *flow, int64_t now)
{
	struct flow_key key = key_of(&flow->dst);
	uint32_t slot = find(names, &key, now);

	if (!slot)
		return;
	flow->named = names->known[slot].rules;
	flow->name = names->known[slot].name;
}

void names_count(const struct names *names, uint32_t *ret_known, uint64_t *ret_full)
{
	*ret_known = names->table.count;
	*ret_full = names->full;
}
