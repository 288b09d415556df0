/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reserve.h"

int table_open(struct table *ret_table, uint32_t max, const int64_t idle[TABLE_CLASSES],
	       const struct hash_secret *secret)
{
	uint32_t buckets = 1;

	while (buckets < max)
		buckets <<= 1;
	struct table table = {.max = max, .mask = buckets - 1, .secret = secret};
	table.buckets = reserve(buckets, sizeof(*table.buckets));
	table.entries = reserve(max + 1, sizeof(*table.entries));
	if (!table.buckets || !table.entries) {
		table_close(&table);
		return -ENOMEM;
	}
	memcpy(table.idle, idle, sizeof(table.idle));
	*ret_table = table;
	return 0;
}

void table_close(struct table *table)
{
	release(table->buckets, table->mask + 1, sizeof(*table->buckets));
	release(table->entries, table->max + 1, sizeof(*table->entries));
	*table = (struct table){0};
}

/* --- by key ------------------------------------------------------------------------- */

static uint32_t *bucket_of(const struct table *table, const struct flow_key *key)
{
	return &table->buckets[hash_bytes(table->secret, key, sizeof(*key)) & table->mask];
}

uint32_t table_find(const struct table *table, const struct flow_key *key)
{
	uint32_t slot = *bucket_of(table, key);

	while (slot && memcmp(&table->entries[slot].key, key, sizeof(*key)))
		slot = table->entries[slot].chain;
	return slot;
}

/* --- by age ------------------------------------------------------------------------- */

static void append(struct table *table, uint32_t slot, unsigned class, int64_t now)
{
	struct table_entry *entry = &table->entries[slot];

	entry->class = (uint8_t) class;
	entry->last = now;
	entry->newer = 0;
	entry->older = table->newest[class];
	*(entry->older ? &table->entries[entry->older].newer : &table->oldest[class]) = slot;
	table->newest[class] = slot;
}

static void detach(struct table *table, uint32_t slot)
{
	const struct table_entry *entry = &table->entries[slot];

	*(entry->older ? &table->entries[entry->older].newer : &table->oldest[entry->class]) = entry->newer;
	*(entry->newer ? &table->entries[entry->newer].older : &table->newest[entry->class]) = entry->older;
}

void table_touch(struct table *table, uint32_t slot, unsigned class, int64_t now)
{
	detach(table, slot);
	append(table, slot, class, now);
}

int64_t table_expires(const struct table *table, uint32_t slot)
{
	const struct table_entry *entry = &table->entries[slot];

	return entry->last + table->idle[entry->class];
}

uint32_t table_first(const struct table *table)
{
	uint32_t first = 0;

	for (unsigned class = 0; class < TABLE_CLASSES; class ++) {
		uint32_t slot = table->oldest[class];

		if (slot && (!first || table_expires(table, slot) < table_expires(table, first)))
			first = slot;
	}
	return first;
}

/* --- slots -------------------------------------------------------------------------- */

uint32_t table_add(struct table *table, const struct flow_key *key, unsigned class, int64_t now)
{
	uint32_t *bucket = bucket_of(table, key), slot = table->free;

	if (slot)
		table->free = table->entries[slot].chain;
	else if (table->touched < table->max)
		slot = ++table->touched;
	else
		return 0;
	table->entries[slot] = (struct table_entry){.key = *key, .used = true, .chain = *bucket};
	*bucket = slot;
	table->count++;
	append(table, slot, class, now);
	return slot;
}

void table_remove(struct table *table, uint32_t slot)
{
	struct table_entry *entry = &table->entries[slot];
	uint32_t *at = bucket_of(table, &entry->key);

	while (*at != slot)
		at = &table->entries[*at].chain;
	*at = entry->chain;
	detach(table, slot);
	entry->used = false;
	entry->chain = table->freed;
	table->freed = slot;
	table->count--;
}

void table_settle(struct table *table)
{
	while (table->freed) {
		uint32_t slot = table->freed;

		table->freed = table->entries[slot].chain;
		table->entries[slot].chain = table->free;
		table->free = slot;
	}
}
