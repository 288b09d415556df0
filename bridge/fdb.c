/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The learning table.
 *
 * Theory of operation.  Entries live in one array of the largest allowed size, chained by index into
 * buckets; nothing is allocated after fdb_init, so a flood of forged MACs costs no memory.  When the
 * array is full a new MAC is not learnt, which is counted, and its frames are flooded: known
 * stations stay reachable at full speed.  (Rejected: to throw out the oldest, which lets one port
 * push all others out.)  The hash is multiplication by a random odd number, so that whoever
 * chooses MACs cannot choose the bucket.
 *
 * Age is looked at on each look-up; fdb_sweep only gives the entries back.
 */
#include "fdb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t mac_key(const uint8_t *mac)
{
	uint64_t key = 0;

	memcpy(&key, mac, 6);
	return key;
}

static uint32_t *bucket_of(const struct fdb *fdb, uint64_t key)
{
	return &fdb->buckets[(key * fdb->secret) >> fdb->shift];
}

static bool too_old(const struct fdb *fdb, const struct fdb_entry *entry, uint32_t now)
{
	return now - entry->seen >= fdb->age;
}

int fdb_init(struct fdb *fdb, uint32_t max, uint32_t age_s, struct vnic_error *err)
{
	struct fdb new = {.max = max, .age = age_s, .shift = 63};
	size_t count = 2;

	while (count < max) {
		count *= 2;
		new.shift--;
	}
	if (getrandom(&new.secret, sizeof(new.secret), 0) != (ssize_t)sizeof(new.secret))
		return vnic_fail(err, VNIC_STEP_READ, errno, "the kernel's random numbers", NULL);
	new.secret |= 1;
	new.entries = calloc(max, sizeof(*new.entries));
	new.buckets = malloc(count * sizeof(*new.buckets));
	if (!new.entries || !new.buckets) {
		fdb_done(&new);
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, "the table of MACs", NULL);
	}
	memset(new.buckets, 0xff, count * sizeof(*new.buckets)); /* FDB_NONE */
	for (uint32_t i = 0; i < max; i++)
		new.entries[i].next = i + 1 < max ? i + 1 : FDB_NONE;
	*fdb = new;
	return 0;
}

void fdb_done(struct fdb *fdb)
{
	free(fdb->entries);
	free(fdb->buckets);
	*fdb = (struct fdb){0};
}

static struct fdb_entry *find(const struct fdb *fdb, uint64_t key)
{
	for (uint32_t i = *bucket_of(fdb, key); i != FDB_NONE; i = fdb->entries[i].next)
		if (fdb->entries[i].mac == key)
			return &fdb->entries[i];
	return NULL;
}

static struct fdb_entry *add(struct fdb *fdb, uint64_t key)
{
	uint32_t *bucket = bucket_of(fdb, key), i = fdb->free;

	if (i == FDB_NONE)
		return NULL;
	fdb->free = fdb->entries[i].next;
	fdb->entries[i] = (struct fdb_entry){.mac = key, .next = *bucket};
	*bucket = i;
	fdb->used++;
	return &fdb->entries[i];
}

void fdb_learn(struct fdb *fdb, const uint8_t *mac, uint32_t port, uint32_t now)
{
	uint64_t key = mac_key(mac);
	struct fdb_entry *entry = find(fdb, key);

	if (!entry) {
		entry = add(fdb, key);
		if (!entry) {
			fdb->full++;
			return;
		}
	} else if (entry->port != port) {
		fdb->moves++;
	}
	entry->port = port;
	entry->seen = now;
}

uint32_t fdb_find(const struct fdb *fdb, const uint8_t *mac, uint32_t now)
{
	const struct fdb_entry *entry = find(fdb, mac_key(mac));

	return entry && !too_old(fdb, entry, now) ? entry->port : FDB_NONE;
}

static void remove_entry(struct fdb *fdb, uint32_t *link)
{
	uint32_t i = *link;

	*link = fdb->entries[i].next;
	fdb->entries[i].next = fdb->free;
	fdb->free = i;
	fdb->used--;
}

void fdb_sweep(struct fdb *fdb, uint32_t now)
{
	size_t count = (size_t)1 << (64 - fdb->shift);

	if (now == fdb->swept)
		return;
	fdb->swept = now;
	for (size_t b = 0; b < count && fdb->used; b++)
		for (uint32_t *link = &fdb->buckets[b]; *link != FDB_NONE;)
			if (too_old(fdb, &fdb->entries[*link], now))
				remove_entry(fdb, link);
			else
				link = &fdb->entries[*link].next;
}

void fdb_forget_port(struct fdb *fdb, uint32_t port)
{
	size_t count = (size_t)1 << (64 - fdb->shift);

	for (size_t b = 0; b < count; b++)
		for (uint32_t *link = &fdb->buckets[b]; *link != FDB_NONE;)
			if (fdb->entries[*link].port == port)
				remove_entry(fdb, link);
			else
				link = &fdb->entries[*link].next;
}
