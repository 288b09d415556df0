/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mapping.h"

#include <errno.h>
#include <netinet/in.h>

#include "reserve.h"

struct mapping {
	uint32_t flows;
	in_port_t port; /* network byte order */
};

int mappings_open(struct mappings *ret_mappings, uint32_t max, const struct hash_secret *secret)
{
	static const int64_t not_by_time[TABLE_CLASSES] = {0};
	struct mappings mappings = {.mapping = reserve(max + 1, sizeof(struct mapping))};

	if (!mappings.mapping || table_open(&mappings.table, max, not_by_time, secret) < 0) {
		release(mappings.mapping, max + 1, sizeof(struct mapping));
		return -ENOMEM;
	}
	*ret_mappings = mappings;
	return 0;
}

void mappings_close(struct mappings *mappings)
{
	release(mappings->mapping, mappings->table.max + 1, sizeof(struct mapping));
	table_close(&mappings->table);
	*mappings = (struct mappings){0};
}

static in_port_t *port_of(struct sockaddr_storage *addr)
{
	return addr->ss_family == AF_INET ? &((struct sockaddr_in *)addr)->sin_port
					  : &((struct sockaddr_in6 *)addr)->sin6_port;
}

static bool set_reuse(int fd, int on)
{
	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0;
}

/* The first flow: the port that it was given is for the others too; 0: not. */
static uint32_t make(struct mappings *mappings, const struct flow_key *key, int fd)
{
	struct sockaddr_storage own = {0};
	uint32_t mapping;

	if (!set_reuse(fd, 1) || getsockname(fd, (struct sockaddr *)&own, &(socklen_t){sizeof(own)}) < 0)
		return 0;
	mapping = table_add(&mappings->table, key, 0, 0);
	if (mapping)
		mappings->mapping[mapping] = (struct mapping){.flows = 1, .port = *port_of(&own)};
	return mapping;
}

/* A later one; false: it must do without. */
static bool bind_to(const struct mapping *mapping, uint16_t family, int fd)
{
	struct sockaddr_storage own = {.ss_family = family};

	*port_of(&own) = mapping->port;
	if (set_reuse(fd, 1) && bind(fd, (struct sockaddr *)&own, sizeof(own)) == 0)
		return true;
	set_reuse(fd, 0);
	return false;
}

/* Between bind and connect anybody could send to it. */
static void drain(int fd)
{
	for (int i = 0; i < 1024 && recv(fd, NULL, 0, MSG_DONTWAIT) >= 0; i++)
		;
}

int mapping_connect(struct mappings *mappings, const struct flow_key *key, int fd, const struct sockaddr *to,
		    socklen_t len, uint32_t *ret_mapping)
{
	const struct flow_key from = {.src = key->src, .family = key->family};
	uint32_t mapping = table_find(&mappings->table, &from);
	bool bound = mapping && bind_to(&mappings->mapping[mapping], key->family, fd);

	if (connect(fd, to, len) < 0)
		return -errno;
	if (bound) {
		mappings->mapping[mapping].flows++;
		drain(fd);
		*ret_mapping = mapping;
	} else {
		*ret_mapping = mapping ? 0 : make(mappings, &from, fd);
	}
	return 0;
}

void mapping_leave(struct mappings *mappings, uint32_t mapping)
{
	if (mapping && --mappings->mapping[mapping].flows == 0)
		table_remove(&mappings->table, mapping);
}
