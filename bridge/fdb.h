/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The learning table: behind which port a MAC was last seen. */
#ifndef BRIDGE_FDB_H
#define BRIDGE_FDB_H

#include <stdbool.h>
#include <stdint.h>

#include <vnic/error.h>

#define FDB_NONE UINT32_MAX /* no such MAC */

struct fdb_entry {
	uint64_t mac;
	uint32_t port;
	uint32_t seen; /* seconds */
	uint32_t next; /* in its bucket, or in the list of free entries */
};

struct fdb {
	struct fdb_entry *entries;
	uint32_t *buckets;
	unsigned shift; /* 64 - log2(number of buckets) */
	uint64_t secret;
	uint32_t max, used, free;
	uint32_t age, swept; /* seconds */
	uint64_t full, moves;
};

/* Of six bytes as they stand in a frame: for many?  One that a frame may come from? */
static inline bool mac_is_group(const uint8_t *mac)
{
	return mac[0] & 1;
}

static inline bool mac_is_station(const uint8_t *mac)
{
	return !mac_is_group(mac) && (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

/* All times are seconds of one clock that never goes back. */
int fdb_init(struct fdb *fdb, uint32_t max, uint32_t age_s, struct vnic_error *err);
void fdb_done(struct fdb *fdb);

/* Six bytes as they stand in a frame. */
void fdb_learn(struct fdb *fdb, const uint8_t *mac, uint32_t port, uint32_t now);
/* The port, or FDB_NONE if the MAC is not known or was not seen for age_s. */
uint32_t fdb_find(const struct fdb *fdb, const uint8_t *mac, uint32_t now);

/* Forgets what is too old; works once a second at most, whoever calls how often. */
void fdb_sweep(struct fdb *fdb, uint32_t now);
void fdb_forget_port(struct fdb *fdb, uint32_t port);

#endif
