/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UDP: two connected sockets for each flow, and batches of datagrams between them.
 *
 * Theory of operation.  A flow is a pair of endpoints as the sandbox sees them.  Its first datagram comes by TPROXY
 * to the unconnected transparent socket; it asks the policy, gets a host socket, is sent, and then a transparent socket
 * is opened in the router, bound to the remote's address and connected to the sandbox's.  The kernel prefers a
 * connected socket, so that gets all that follows, and what leaves from it has the right source.  Datagrams that came
 * to the unconnected socket in the meantime are sent on from there.
 *
 *   free     the slot is in the table's list
 *   half     fds[SIDE_HOST]: the first datagram was sent, the inner socket is not there yet; never outlives a batch
 *   open     both sockets
 *
 * The host socket is connected: then the kernel picks the flow, reports ICMP errors, and lets nobody answer but the
 * remote (RFC 4787: address and port-dependent filtering, the strictest: a hole that is made for one peer is for that
 * peer).  Which host port it has: see mapping.h.
 *
 * Flows that begin outside, at a published port, have no host socket of their own: see arrivals.c.
 *
 * Time.  A flow ends when it was idle for long enough, which depends on what it has shown so far: see `idle_times`.
 * When the cap is reached, the one that would end first ends now.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dns.h"
#include "errors.h"
#include "fd.h"
#include "host.h"
#include "reserve.h"
#include "udp.h"

#define SPARE (4 * DATAGRAMS) /* slots that one batch of events may use while those that ended are not free yet */
#define TURNS_NEW 128         /* batches that may wait behind the one that begins a flow */
#define BUSY_BUFFER (1 << 20) /* the kernel gives what net.core.rmem_max and wmem_max allow */
#define DNS_PORT 53
#define SPARED 16

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* RFC 4787 REQ-5: two minutes at least, five are better; a well-known port may have less. */
enum udp_class { CLASS_DNS, CLASS_NEW, CLASS_TALKING /* several datagrams both ways */ };
static const int64_t idle_times[TABLE_CLASSES] = {
	[CLASS_DNS] = 10 * NS_PER_S,
	[CLASS_NEW] = 120 * NS_PER_S,
	[CLASS_TALKING] = 300 * NS_PER_S,
};

/* --- errors back into the sandbox --------------------------------------------------- */

/* The error is about a datagram that is gone; its headers are what the sandbox's kernel wants to see. */
static void refuse(struct udp *udp, const struct flow_key *key, enum unreachable why)
{
	uint8_t frame[128];
	struct packet cause;

	if (errors_datagram(udp->gateway, key, frame, &cause))
		gateway_inject_unreachable(udp->gateway, &cause, why);
}

static void refuse_for(struct udp *udp, const struct flow_key *key, int code)
{
	enum unreachable why;

	if (gateway_why(code, &why))
		refuse(udp, key, why);
}

/* --- what is lost ------------------------------------------------------------------- */

uint64_t udp_socket_overrun(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &(socklen_t){sizeof(info)}) < 0)
		return 0;
	return info[SK_MEMINFO_DROPS];
}

static uint64_t flow_overrun(const struct udp_flow *flow)
{
	return udp_socket_overrun(flow->fds[SIDE_HOST]) + udp_socket_overrun(flow->fds[SIDE_INNER]);
}

uint64_t udp_overrun(struct udp *udp)
{
	const struct vnic_gateway *gateway = udp->gateway;
	uint64_t sum = gateway->stats.udp_overrun + flood_overrun(udp);

	for (int v = VNIC_V4; v <= VNIC_V6; v++)
		sum += udp_socket_overrun(gateway->config.udp[v]);
	for (uint32_t slot = 1; slot <= udp->flows.touched; slot++)
		if (udp->flows.entries[slot].used)
			sum += flow_overrun(&udp->flow[slot]);
	return sum;
}

static void count_unsent(struct udp *udp, unsigned index, unsigned stop)
{
	for (; index < stop; index++)
		udp->gateway->stats.udp_unsent += datagrams_count(udp->batch, index);
}

/* --- the end of a flow -------------------------------------------------------------- */

struct log_name udp_log_name(const struct udp *udp, uint32_t slot)
{
	return (struct log_name){VNIC_PROTO_UDP, udp->flow[slot].arrival != 0, &udp->flows.entries[slot].key};
}

void udp_end_flow(struct udp *udp, uint32_t slot)
{
	struct udp_flow *flow = &udp->flow[slot];

	log_end(udp->gateway, udp_log_name(udp, slot), &flow->logged);
	flood_flow_ends(udp, slot);
	udp->gateway->stats.udp_overrun += flow_overrun(flow);
	mapping_leave(&udp->mappings, flow->mapping);
	if (flow->arrival)
		table_remove(&udp->arrivals.table, flow->arrival);
	close_fd(&flow->fds[SIDE_HOST]);
	close_fd(&flow->fds[SIDE_INNER]);
	table_remove(&udp->flows, slot);
	udp->gateway->stats.udp_open--;
}

static void take_host_errors(struct udp *udp, uint32_t slot)
{
	struct host_error error;

	if (udp->flow[slot].arrival) /* a shared socket tells of none */
		return;
	for (int i = 0; i < DATAGRAMS; i++) {
		if (!host_error(udp->flow[slot].fds[SIDE_HOST], &error, NULL, &(size_t){0}))
			return;
		errors_tell_datagram(udp->gateway, &udp->flows.entries[slot].key, &error);
	}
	/* Level-triggered: what is left is the next event. */
}

/* Does a datagram wait there?  -1: there is no socket. */
static bool has_datagram(int fd)
{
	return recv(fd, NULL, 0, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

bool udp_has_waiting(const struct udp *udp, uint32_t slot, enum side side)
{
	return has_datagram(udp->flow[slot].fds[side]) || (side == SIDE_INNER && flood_has_waiting(udp, slot));
}

/* Takes the errors off a socket; false: the flow has ended. */
static bool take_errors(struct udp *udp, uint32_t slot, enum side side)
{
	int code = 0;

	if (side == SIDE_HOST) {
		take_host_errors(udp, slot);
		return true;
	}
	getsockopt(udp->flow[slot].fds[side], SOL_SOCKET, SO_ERROR, &code, &(socklen_t){sizeof(code)});
	if (code != ECONNREFUSED)
		return true;
	/* Somebody may be there again, and is for certain if he has sent; a published port itself stays open. */
	if (udp->flow[slot].arrival || udp_has_waiting(udp, slot, side))
		return true;
	/* Nobody is there any more in the sandbox: the host's kernel shall say so to the remote. */
	udp_end_flow(udp, slot);
	return false;
}

/* --- datagrams ---------------------------------------------------------------------- */

/* Over the flow's own socket, or the one that it shares. */
static int send_some(struct udp *udp, uint32_t slot, enum side to, unsigned index, unsigned stop)
{
	const struct udp_flow *flow = &udp->flow[slot];
	const struct arrival *arrival = &udp->arrivals.arrival[flow->arrival];

	if (to == SIDE_HOST && flow->arrival)
		return datagrams_send(udp->batch, index, stop, arrival->fd, &arrival->way);
	return datagrams_send(udp->batch, index, stop, flow->fds[to], NULL);
}

bool udp_pass(struct udp *udp, uint32_t slot, enum side from, unsigned index, unsigned stop)
{
	enum side to = !from;
	unsigned failed = stop;

	while (index < stop) {
		int n = send_some(udp, slot, to, index, stop);

		if (n == -EAGAIN || n == -ENOBUFS)
			break; /* the queue is full; the rest is lost, as on any wire */
		if (n > 0) {
			for (int i = 0; i < n; i++)
				log_count(udp->gateway, &udp->flow[slot].logged, from,
					  datagrams_size(udp->batch, index++));
		} else if (index != failed) {
			failed = index; /* an error of an earlier one comes first; once more */
			if (!take_errors(udp, slot, to)) {
				count_unsent(udp, index, stop);
				return false;
			}
		} else {
			if (to == SIDE_HOST)
				refuse_for(udp, &udp->flows.entries[slot].key, -n);
			count_unsent(udp, index, index + 1);
			index++;
		}
	}
	count_unsent(udp, index, stop);
	return true;
}

void udp_set_bulk(int fd)
{
	setsockopt(fd, SOL_UDP, UDP_GRO, &(int){1}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){BUSY_BUFFER}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){BUSY_BUFFER}, sizeof(int));
}

/* Not before it is worth the system calls: most flows are a question and an answer. */
void udp_make_busy(struct udp_flow *flow)
{
	if (flow->busy)
		return;
	flow->busy = true;
	for (int side = 0; side < 2; side++)
		if (flow->fds[side] >= 0)
			udp_set_bulk(flow->fds[side]);
}

void udp_touch(struct udp *udp, uint32_t slot, enum side from, unsigned datagrams)
{
	struct udp_flow *flow = &udp->flow[slot];
	const struct table_entry *entry = &udp->flows.entries[slot];
	unsigned seen = flow->datagrams[from] + datagrams;
	unsigned class = entry->class;

	flow->datagrams[from] = seen > 2 ? 2 : (uint8_t)seen;
	if (class == CLASS_NEW && flow->datagrams[SIDE_HOST] == 2 && flow->datagrams[SIDE_INNER] == 2)
		class = CLASS_TALKING;
	table_touch(&udp->flows, slot, class, udp->gateway->now);
}

void udp_event(struct udp *udp, uint32_t slot, enum side side, uint32_t events)
{
	if (!udp->flows.entries[slot].used)
		return;
	if (events & EPOLLERR && !take_errors(udp, slot, side))
		return;
	if (side == SIDE_INNER && flood_holds(udp, slot))
		return;
	for (int turn = 0; turn < TURNS; turn++) {
		int n = datagrams_receive(udp->batch, udp->flow[slot].fds[side], false);

		if (n <= 0) {
			if (n < 0 && n != -EAGAIN)
				take_errors(udp, slot, side);
			return;
		}
		udp_touch(udp, slot, side, (unsigned)n);
		if (!udp_pass(udp, slot, side, 0, (unsigned)n) || n < DATAGRAMS)
			return;
		udp_make_busy(&udp->flow[slot]);
		if (side == SIDE_INNER && turn > 0)
			flood_begins(udp, slot);
	}
}

/* --- the beginning of a flow -------------------------------------------------------- */

int udp_watch(struct udp *udp, uint32_t slot, enum side side)
{
	const struct loop_ref ref = {.type = REF_UDP_FLOW, .sub = (uint16_t)side, .index = slot};

	return loop_add(udp->gateway->epfd, udp->flow[slot].fds[side], EPOLLIN, ref, NULL);
}

static int open_host(struct udp *udp, uint32_t slot, const struct destination *to)
{
	struct udp_flow *flow = &udp->flow[slot];
	int fd = host_socket(to->addr.ss_family, 0), r;

	if (fd < 0)
		return fd;
	flow->fds[SIDE_HOST] = fd;
	r = mapping_connect(&udp->mappings, &udp->flows.entries[slot].key, fd, (const struct sockaddr *)&to->addr,
			    to->len, &flow->mapping);
	return r < 0 ? r : udp_watch(udp, slot, SIDE_HOST);
}

int udp_open_inner(struct udp *udp, const struct flow_key *key, int *ret_fd)
{
	const struct vnic_opener *opener = udp->gateway->config.opener;
	struct vnic_open_request request = {
		.side = VNIC_SIDE_ROUTER,
		.domain = key->family,
		.type = SOCK_DGRAM,
		.transparent = true,
		.mark = VNIC_MARK_FLOW,
		.reuse_addr = key->dst.port != 0, /* other flows have the same remote */
	};

	endpoint_to_sockaddr(key->family, &key->dst, &request.bind);
	endpoint_to_sockaddr(key->family, &key->src, &request.connect);
	return opener->open(opener->ctx, &request, ret_fd, NULL);
}

/* Where something waits to be read somebody is there, as where a client has taken an old port up again. */
static bool has_waiting(const struct udp *udp, uint32_t slot)
{
	return udp_has_waiting(udp, slot, SIDE_INNER) || udp_has_waiting(udp, slot, SIDE_HOST);
}

/* Ends the flow that would end first; those that are just being spoken in have another turn, a few of them. */
static void make_room(struct udp *udp)
{
	uint32_t first = table_first(&udp->flows);

	for (int i = 0; i < SPARED && has_waiting(udp, first); i++, first = table_first(&udp->flows))
		table_touch(&udp->flows, first, udp->flows.entries[first].class, udp->gateway->now);
	udp->gateway->stats.full++;
	udp_end_flow(udp, first);
}

uint32_t udp_new_flow(struct udp *udp, const struct flow_key *key)
{
	uint32_t slot;

	if (udp->flows.count >= udp->max)
		make_room(udp);
	slot = table_add(&udp->flows, key, key->dst.port == DNS_PORT ? CLASS_DNS : CLASS_NEW, udp->gateway->now);
	if (!slot)
		return 0;
	udp->flow[slot] = (struct udp_flow){.fds = {-1, -1}};
	udp->gateway->stats.udp_open++;
	gateway_wake_at(udp->gateway, table_expires(&udp->flows, slot));
	return slot;
}

static void fail(struct udp *udp, const struct flow_key *key, int code)
{
	udp->gateway->stats.failed++;
	log_failed(udp->gateway, (struct log_name){VNIC_PROTO_UDP, false, key}, code);
	refuse_for(udp, key, code);
}

/* 0: it may not or cannot start, which the sandbox was told. */
static uint32_t start(struct udp *udp, const struct flow_key *key)
{
	const struct log_name name = {VNIC_PROTO_UDP, false, key};
	struct destination destination;
	uint32_t slot;
	int r = gateway_admit(udp->gateway, key, VNIC_PROTO_UDP, &destination);

	if (r == GATEWAY_DENIED) {
		log_denied(udp->gateway, name);
		refuse(udp, key, UNREACHABLE_PROHIBITED);
		return 0;
	}
	if (r < 0) {
		fail(udp, key, -r);
		return 0;
	}
	slot = udp_new_flow(udp, key);
	if (!slot) {
		udp->gateway->stats.full++;
		log_full(udp->gateway, name);
		return 0;
	}
	r = open_host(udp, slot, &destination);
	if (r == 0) {
		udp->gateway->stats.udp_flows++;
		log_open(udp->gateway, name, &udp->flow[slot].logged);
		return slot;
	}
	fail(udp, key, -r);
	udp_end_flow(udp, slot);
	return 0;
}

/* They never become a flow, so all that come for the forwarder come here. */
static void ask_forwarder(struct udp *udp, const struct flow_key *key, unsigned index)
{
	size_t left = datagrams_size(udp->batch, index), part, size;
	const uint8_t *data = datagrams_data(udp->batch, index, &part);

	for (; left; data += size, left -= size) {
		size = left < part ? left : part;
		dns_query(udp->gateway->dns, key, data, size);
	}
}

static void take_new(struct udp *udp, unsigned index)
{
	struct flow_key key;
	uint32_t slot;

	if (!datagrams_key(udp->batch, index, &key) || key.src.port == 0 || key.dst.port == 0) {
		udp->gateway->stats.ignored++;
		return;
	}
	if (dns_owns(udp->gateway->dns, &key)) {
		ask_forwarder(udp, &key, index);
		return;
	}
	slot = table_find(&udp->flows, &key);
	if (!slot)
		slot = start(udp, &key);
	if (!slot)
		return;
	udp_touch(udp, slot, SIDE_INNER, 1);
	/* Sent before the inner socket is opened, which takes as long as an answer from near. */
	if (!udp_pass(udp, slot, SIDE_INNER, index, index + 1) || udp->flow[slot].fds[SIDE_INNER] >= 0)
		return;
	if (udp_open_inner(udp, &key, &udp->flow[slot].fds[SIDE_INNER]) < 0 || udp_watch(udp, slot, SIDE_INNER) < 0) {
		udp->gateway->stats.failed++;
		udp_end_flow(udp, slot);
	}
}

/* Flows that got a slot, and some that did not. */
static uint64_t count_begun(const struct udp *udp)
{
	return udp->gateway->stats.udp_flows + udp->gateway->stats.failed;
}

/* What came before its flow was open goes before what comes by its own socket: where one begins all is taken. */
void udp_new_datagrams(struct udp *udp, int socket, uint16_t family)
{
	uint64_t before = count_begun(udp), begun;
	int turn = 0, n;

	(void)family; /* the addresses say it */
	do {
		n = datagrams_receive(udp->batch, socket, true);
		for (int i = 0; i < n; i++)
			take_new(udp, (unsigned)i);
		begun = count_begun(udp) - before;
	} while (n > 0 && begun > 0 && begun < DATAGRAMS && ++turn < TURNS_NEW);
}

/* --- time and life ------------------------------------------------------------------ */

/* What waits to be read has come in time. */
static void expire_flow(struct udp *udp, uint32_t slot)
{
	if (has_waiting(udp, slot))
		table_touch(&udp->flows, slot, udp->flows.entries[slot].class, udp->gateway->now);
	else
		udp_end_flow(udp, slot);
}

void udp_expire(struct udp *udp)
{
	uint32_t slot;

	while ((slot = table_first(&udp->flows)) && table_expires(&udp->flows, slot) <= udp->gateway->now)
		expire_flow(udp, slot);
	if (slot)
		gateway_wake_at(udp->gateway, table_expires(&udp->flows, slot));
	flood_expire(udp);
}

void udp_settle(struct udp *udp)
{
	table_settle(&udp->flows);
	table_settle(&udp->mappings.table);
	table_settle(&udp->arrivals.table);
}

int udp_new(struct vnic_gateway *gateway, struct udp **ret_udp, struct vnic_error *err)
{
	uint32_t max = gateway->max.udp;
	struct udp *udp = calloc(1, sizeof(*udp));

	if (!udp)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	udp->gateway = gateway;
	udp->flood = FLOOD_EMPTY;
	udp->max = max;
	udp->flow = reserve(max + SPARE + 1, sizeof(*udp->flow));
	if (!udp->flow || table_open(&udp->flows, max + SPARE, idle_times, &gateway->secret) < 0 ||
	    mappings_open(&udp->mappings, max + SPARE, &gateway->secret) < 0 ||
	    arrivals_open(&udp->arrivals, max + SPARE, &gateway->secret) < 0 || datagrams_open(&udp->batch) < 0) {
		udp_free(udp);
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	}
	*ret_udp = udp;
	return 0;
}

void udp_free(struct udp *udp)
{
	uint32_t slot;

	if (!udp)
		return;
	while (udp->flow && (slot = table_first(&udp->flows)))
		udp_end_flow(udp, slot);
	flood_ring_close(&udp->flood.ring);
	datagrams_close(udp->batch);
	table_close(&udp->flows);
	mappings_close(&udp->mappings);
	arrivals_close(&udp->arrivals);
	release(udp->flow, udp->max + SPARE + 1, sizeof(*udp->flow));
	free(udp);
}
