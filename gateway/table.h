/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flows of a part that ends them by idle time: found by their keys, and in the order in which they expire.
 *
 * Each flow is in one of a few classes; all of a class have the same idle time, so a class is a list from the one
 * unused for longest to the one just used, and nothing is ever scanned.  The part keeps what else it knows in an array
 * of its own with the same slots.  Slot 0 is never used: it means none.
 */
#ifndef GATEWAY_TABLE_H
#define GATEWAY_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "hash.h"
#include "packet.h"

#define TABLE_CLASSES 3

struct table_entry {
	struct flow_key key;
	uint8_t class;
	bool used;
	uint32_t chain;        /* the next in its bucket; or in the list of free slots */
	uint32_t older, newer; /* in its class */
	int64_t last;          /* when it was used, ns */
};

struct table {
	const struct hash_secret *secret; /* not ours */
	struct table_entry *entries;
	uint32_t *buckets;
	uint32_t max, mask;      /* slots 1..max; buckets - 1 */
	uint32_t count, touched; /* in use; ever used */
	uint32_t free, freed;    /* lists; `freed` ones wait for table_settle */
	uint32_t oldest[TABLE_CLASSES], newest[TABLE_CLASSES];
	int64_t idle[TABLE_CLASSES]; /* ns */
};

/* Memory is touched only as far as slots are used.  `idle` in ns, by class.  -ENOMEM. */
int table_open(struct table *ret_table, uint32_t max, const int64_t idle[TABLE_CLASSES],
	       const struct hash_secret *secret);
void table_close(struct table *table);

uint32_t table_find(const struct table *table, const struct flow_key *key);
/* 0: no slot is free. */
uint32_t table_add(struct table *table, const struct flow_key *key, unsigned class, int64_t now);
/* Used just now, and in this class from now on. */
void table_touch(struct table *table, uint32_t slot, unsigned class, int64_t now);
/* The slot stays unused until table_settle. */
void table_remove(struct table *table, uint32_t slot);
void table_settle(struct table *table);

/* The flow that will expire first; 0: there is none. */
uint32_t table_first(const struct table *table);
int64_t table_expires(const struct table *table, uint32_t slot);

#endif
