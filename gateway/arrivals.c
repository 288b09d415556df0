/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UDP flows that begin outside, at a published port.
 *
 * Theory of operation.  A published port is one socket of the host, which all its clients share; it tells of each
 * datagram from whom and to which of the host's addresses it came.  The first one of a client opens a socket in
 * the router that is bound to the client's own address, as publish.c says it, and connected to the sandbox.
 * From there it is a flow like any other, but that its answers are sent over the shared socket: to that client, and
 * from the address that it had written to.  What the sandbox sends to the client by itself, as long as the flow
 * lives, comes to the same inner socket and goes the same way.
 *
 * Clients are not trusted: they have at most half of the flows, and among them the one that was silent for
 * longest makes room for a new one.
 *
 * Rejected: a connected socket for each client, bound to the published port by SO_REUSEPORT.  The kernel would find the
 * flow, but between bind and connect it gives that socket everybody's datagrams, and the gateway, without
 * privilege, cannot bind a port below 1024, nor one that root has bound.
 */
#include "arrivals.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "reserve.h"
#include "udp.h"

int arrivals_open(struct arrivals *ret_arrivals, uint32_t max, const struct hash_secret *secret)
{
	static const int64_t not_by_time[TABLE_CLASSES] = {0};
	struct arrivals arrivals = {.arrival = reserve(max + 1, sizeof(struct arrival))};

	if (!arrivals.arrival || table_open(&arrivals.table, max, not_by_time, secret) < 0) {
		release(arrivals.arrival, max + 1, sizeof(struct arrival));
		return -ENOMEM;
	}
	*ret_arrivals = arrivals;
	return 0;
}

void arrivals_close(struct arrivals *arrivals)
{
	release(arrivals->arrival, arrivals->table.max + 1, sizeof(struct arrival));
	table_close(&arrivals->table);
	*arrivals = (struct arrivals){0};
}

/* Link-local addresses exist once a link: its index goes where they have zeroes, as the BSDs do it. */
static void add_scope(struct flow_key *key, const struct way *way)
{
	if (key->family == AF_INET6 && way->to.v6.sin6_scope_id)
		memcpy(key->src.addr + 4, &way->to.v6.sin6_scope_id, sizeof(way->to.v6.sin6_scope_id));
}

/* --- a new client ------------------------------------------------------------------- */

/* *key is the flow's as the sandbox will see it; its dst gets the port that the client has there. */
static int open_inner(struct udp *udp, struct flow_key *key, int *ret_fd)
{
	CLEANUP_FD int fd = -1;
	int r;

	if (table_find(&udp->flows, key))
		key->dst.port = 0; /* taken: it keeps its address and gets another port */
	r = udp_open_inner(udp, key, &fd);
	if (r == 0)
		r = publish_learn_port(fd, key);
	if (r < 0)
		return r;
	if (table_find(&udp->flows, key))
		return -EADDRINUSE;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* So many that somebody must go? */
static void make_room(struct udp *udp)
{
	struct arrivals *arrivals = &udp->arrivals;

	if (arrivals->table.count < (udp->max + 1) / 2)
		return;
	udp->gateway->stats.full++;
	udp_end_flow(udp, arrivals->arrival[table_first(&arrivals->table)].slot);
}

static uint32_t new_flow(struct udp *udp, const struct flow_key *key, int inner_fd)
{
	uint32_t slot = udp_new_flow(udp, key);

	if (!slot) {
		close_fd(&inner_fd);
		return 0;
	}
	udp->flow[slot].fds[SIDE_INNER] = inner_fd;
	if (udp_watch(udp, slot, SIDE_INNER) == 0)
		return slot;
	udp_end_flow(udp, slot);
	return 0;
}

/* 0: it cannot be. */
static uint32_t start(struct udp *udp, const struct vnic_gateway_publish *port, const struct flow_key *outside,
		      const struct way *way)
{
	struct arrivals *arrivals = &udp->arrivals;
	struct vnic_gateway_stats *stats = &udp->gateway->stats;
	uint32_t slot = 0, arrival;
	struct flow_key key;
	int fd = -1;

	publish_key(udp->gateway, port, &outside->src, outside->family, &key);
	make_room(udp);
	if (open_inner(udp, &key, &fd) == 0)
		slot = new_flow(udp, &key, fd);
	arrival = slot ? table_add(&arrivals->table, outside, 0, udp->gateway->now) : 0;
	if (!arrival) {
		stats->failed++;
		log_failed(udp->gateway, (struct log_name){VNIC_PROTO_UDP, true, &key}, 0);
		if (slot)
			udp_end_flow(udp, slot);
		return 0;
	}
	arrivals->arrival[arrival] = (struct arrival){.slot = slot, .fd = port->fd, .way = *way};
	udp->flow[slot].arrival = arrival;
	stats->udp_flows++;
	stats->published++;
	log_open(udp->gateway, udp_log_name(udp, slot), &udp->flow[slot].logged);
	return slot;
}

/* --- datagrams ---------------------------------------------------------------------- */

/* The one's `index` is the first of; they are alike in where they came from and where to. */
static unsigned run_end(const struct udp *udp, unsigned index, unsigned end, const struct flow_key *first)
{
	struct flow_key key;

	while (++index < end)
		if (!datagrams_key(udp->batch, index, &key) || memcmp(&key, first, sizeof(key)))
			break;
	return index;
}

static void take(struct udp *udp, uint32_t port_index, const struct vnic_gateway_publish *port,
		 struct flow_key *outside, unsigned index, unsigned stop)
{
	uint32_t arrival, slot;
	struct way way;

	if (outside->src.port == 0) { /* nobody could answer */
		udp->gateway->stats.ignored += stop - index;
		return;
	}
	datagrams_way_back(udp->batch, index, &way);
	add_scope(outside, &way);
	outside->dst.port = (uint16_t)port_index;
	arrival = table_find(&udp->arrivals.table, outside);
	if (arrival)
		table_touch(&udp->arrivals.table, arrival, 0, udp->gateway->now);
	slot = arrival ? udp->arrivals.arrival[arrival].slot : start(udp, port, outside, &way);
	if (!slot)
		return;
	udp_touch(udp, slot, SIDE_HOST, stop - index);
	udp_pass(udp, slot, SIDE_HOST, index, stop);
}

void udp_arrive(struct udp *udp, uint32_t port_index, const struct vnic_gateway_publish *port)
{
	for (int turn = 0; turn < TURNS; turn++) {
		int n = datagrams_receive(udp->batch, port->fd, true);
		unsigned stop;

		for (unsigned i = 0; n > 0 && i < (unsigned)n; i = stop) {
			struct flow_key outside;

			stop = i + 1;
			if (!datagrams_key(udp->batch, i, &outside)) {
				udp->gateway->stats.ignored++;
				continue;
			}
			stop = run_end(udp, i, (unsigned)n, &outside);
			take(udp, port_index, port, &outside, i, stop);
		}
		if (n < DATAGRAMS)
			return;
		if (turn == 0)
			udp_set_bulk(port->fd);
	}
	/* Level-triggered: what is left is the next event. */
}
