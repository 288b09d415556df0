/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flow of the sandbox that sends faster than its datagrams are taken, and its ring.
 *
 * Theory of operation.  A datagram out of the sandbox goes through the router's stack to the flow's socket, one by one,
 * within the sender's sendmsg(2), and each wakes us.  In a flood whoever has the router (network/floods.c) lets the
 * flow's datagrams end at the link by which they come, and be written into a ring that we have in our memory.  What is
 * sent from there to the host is sent as if it had come from the flow's socket: udp_pass.
 *
 *   none       until two full batches of a flow wait
 *   asked      the router's helper makes the ring; we go on
 *   on         the flow comes by the ring; what came before is read first
 *   leaving    it has become quiet, or has ended: the helper shall let it go the ordinary way, or it is on for longer
 *   left       it does; what is still in the ring is sent before what has come since
 *
 * A ring has one flow, and there is one ring: it costs 2 MiB.  Another flood goes the ordinary way until it is free.
 * Making and closing the ring takes tens of milliseconds in the kernel, so both are done by the helper, who is told
 * when we have closed our part.  It also opens the sockets of other flows, which wait meanwhile: so where
 * there was no ring, or it was hardly used, as by a flow that comes in bursts or in fragments, none is asked for in the
 * next seconds.
 *
 * What is cut into fragments goes the ordinary way all the same, and may be overtaken.
 *
 * Rejected: the router's link polling in a kernel thread and merging, which docs/decisions/0008-udp-speed.md explains.
 */
#include "flood.h"

#include <errno.h>
#include <sys/epoll.h>

#include "fd.h"
#include "internal.h"
#include "udp.h"

#define TURNS_BEFORE 64 /* batches that may wait on the flow's socket */
#define LOOK_NS (NS_PER_S / 4)
#define QUIET 2500 /* datagrams in that time, which the ring's millisecond slows more than it helps */
#define REST_NS (5 * NS_PER_S)

static void tell(struct udp *udp, enum vnic_flood what, const struct vnic_open_request *flow)
{
	const struct vnic_gateway_config *config = &udp->gateway->config;

	config->flood(config->ctx, what, flow);
}

void flood_begins(struct udp *udp, uint32_t slot)
{
	struct flood *flood = &udp->flood;
	const struct flow_key *key = &udp->flows.entries[slot].key;
	struct vnic_open_request flow = {.side = VNIC_SIDE_ROUTER, .domain = key->family, .type = SOCK_DGRAM};

	if (flood->state != FLOOD_NONE || udp->gateway->now < flood->rest_until || !udp->gateway->config.flood)
		return;
	endpoint_to_sockaddr(key->family, &key->dst, &flow.bind);
	endpoint_to_sockaddr(key->family, &key->src, &flow.connect);
	flood->state = FLOOD_ASKED;
	flood->slot = slot;
	tell(udp, VNIC_FLOOD_BEGINS, &flow);
}

static void forget(struct udp *udp)
{
	struct flood *flood = &udp->flood;
	int64_t rest_until = flood->useful ? 0 : udp->gateway->now + REST_NS;

	*flood = FLOOD_EMPTY;
	flood->rest_until = rest_until;
}

static void leave(struct udp *udp)
{
	udp->flood.state = FLOOD_LEAVING;
	tell(udp, VNIC_FLOOD_ENDS, NULL);
}

static void look_later(struct udp *udp)
{
	udp->flood.seen = 0;
	udp->flood.look_at = udp->gateway->now + LOOK_NS;
	gateway_wake_at(udp->gateway, udp->flood.look_at);
}

static void go_on(struct udp *udp)
{
	udp->flood.useful = true;
	look_later(udp);
}

/* The helper had no memory to let it go. */
static void stay(struct udp *udp)
{
	udp->flood.state = FLOOD_ON;
	look_later(udp);
}

/* What came before goes first. */
static void read_socket(struct udp *udp)
{
	for (int i = 0; i < TURNS_BEFORE && udp->flood.slot && udp_has_waiting(udp, udp->flood.slot, SIDE_INNER); i++)
		udp_event(udp, udp->flood.slot, SIDE_INNER, 0);
}

static void begin(struct udp *udp, int fd)
{
	struct flood *flood = &udp->flood;

	read_socket(udp);
	flood->state = FLOOD_ON;
	if (flood_ring_open(fd, &flood->ring) == 0 &&
	    loop_add(udp->gateway->epfd, flood->ring.fd, EPOLLIN, (struct loop_ref){.type = REF_RING}, NULL) < 0)
		flood_ring_close(&flood->ring);
	if (flood->ring.fd < 0 || !flood->slot)
		leave(udp);
	else
		look_later(udp);
}

/* Nothing comes by the ring any more, and what had come is sent. */
static void finish(struct udp *udp)
{
	struct flood *flood = &udp->flood;

	udp->gateway->stats.udp_overrun += flood_ring_overrun(&flood->ring);
	if (flood->ring.fd >= 0) /* the helper has it too, so closing does not */
		loop_remove(udp->gateway->epfd, flood->ring.fd);
	flood_ring_close(&flood->ring);
	forget(udp);
	tell(udp, VNIC_FLOOD_GONE, NULL);
}

/* With the parts of super-datagrams. */
static unsigned count(const struct udp *udp, unsigned stop)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < stop; i++)
		sum += datagrams_count(udp->batch, i);
	return sum;
}

void flood_event(struct udp *udp)
{
	struct flood *flood = &udp->flood;
	struct vnic_gateway_stats *stats = &udp->gateway->stats;

	for (int turn = 0; turn < FLOOD_TURNS && flood->ring.fd >= 0; turn++) {
		static const struct flow_key nobody;
		const struct flow_key *key = flood->slot ? &udp->flows.entries[flood->slot].key : &nobody;
		int n = flood_ring_receive(&flood->ring, key, udp->batch, &stats->ignored);

		if (n < 0)
			break;
		if (n == 0)
			continue;
		flood->seen += count(udp, (unsigned)n);
		udp_touch(udp, flood->slot, SIDE_INNER, (unsigned)n);
		udp_pass(udp, flood->slot, SIDE_INNER, 0, (unsigned)n);
	}
	if (flood->state == FLOOD_LEFT && (flood->ring.fd < 0 || flood_ring_is_empty(&flood->ring)))
		finish(udp);
}

void flood_take_ring(struct udp *udp, int fd)
{
	struct flood *flood = &udp->flood;

	if (flood->state == FLOOD_ASKED && fd == -1) {
		forget(udp);
	} else if (flood->state == FLOOD_ASKED) { /* without a descriptor it cannot be opened either */
		begin(udp, fd);
	} else if (flood->state == FLOOD_LEAVING && fd == -1) {
		flood->state = FLOOD_LEFT;
		flood_event(udp);
	} else {
		close_fd(&fd);
		if (flood->state == FLOOD_LEAVING)
			stay(udp);
	}
}

bool flood_holds(const struct udp *udp, uint32_t slot)
{
	return udp->flood.state == FLOOD_LEFT && udp->flood.slot == slot;
}

bool flood_has_waiting(const struct udp *udp, uint32_t slot)
{
	const struct flood *flood = &udp->flood;

	return flood->slot == slot && flood->ring.fd >= 0 && !flood_ring_is_empty(&flood->ring);
}

void flood_flow_ends(struct udp *udp, uint32_t slot)
{
	if (udp->flood.slot != slot)
		return;
	udp->flood.slot = 0;
	if (udp->flood.state == FLOOD_ON)
		leave(udp);
}

void flood_expire(struct udp *udp)
{
	struct flood *flood = &udp->flood;

	if (flood->state != FLOOD_ON)
		return;
	if (udp->gateway->now < flood->look_at)
		gateway_wake_at(udp->gateway, flood->look_at);
	else if (flood->seen < QUIET)
		leave(udp);
	else
		go_on(udp);
}

uint64_t flood_overrun(struct udp *udp)
{
	return flood_ring_overrun(&udp->flood.ring);
}
