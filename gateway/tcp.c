/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP: two kernel sockets for each flow and the bytes between them.
 *
 * Theory of operation.  The sandbox's SYN comes over the slow path.  We connect a host socket first and let the
 * sandbox wait; only when the host side answers is the same SYN written back, virtio header and all.  It now
 * comes from slow0, meets the TPROXY rule, and the router's kernel completes the handshake in the destination's
 * name.  The accepted socket is matched to its host socket by the 4-tuple, and from there on bytes are spliced.
 * A refusal is answered with the RST or the ICMP error that the host saw.  There is no TCP of our own: neither a
 * segment nor a window passes through here.  Only what is said to the forwarder is looked into: see dns_tcp.c.
 *
 * A client may use its port again as soon as its kernel has done with the former connection, of which we may still
 * have to read the end: then this one loses its name, and the SYN is that of a new flow.
 *
 *   FRESH        the SYN is kept, and has a slot; in a FIFO
 *   CONNECTING   the host socket's connect(2) is under way
 *   WAITING      connected, but the listener's queue has no room for another SYN; in a FIFO
 *   OFFERED      the SYN was written back; a retransmitted one is written back again, never connected twice
 *   ARRIVING     from outside: accepted on the host's side, and being connected to the sandbox
 *   OPEN         both sockets are there
 *   DEAD         closed; the slot is free for use after the batch
 *
 * A SYN takes a microsecond to keep and many to connect, and the packet socket's buffer has room for a few hundred of
 * them where the host's administrator left it as it is (net.core.rmem_max).  So all that have come are kept before
 * some are connected, and those that come meanwhile before the next: a burst waits in our table, not in the socket, and
 * other flows have their turns in between.  (Rejected: a PACKET_RX_RING, whose memory would be resident for ever.)
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dns.h"
#include "fd.h"
#include "internal.h"
#include "reserve.h"
#include "tcp_flows.h"

#define CONNECT_BATCH 16              /* fresh flows connected in one turn */
#define BACKLOG_DEFAULT 2048          /* a new namespace's for SYNs */
#define OFFERED_MAX 1024              /* at most, and half of the backlog */
#define OFFER_TIMEOUT (10 * NS_PER_S) /* nobody claims it: the sandbox gave up */
#define TRIM_INTERVAL NS_PER_S
/* Urgent data is an event, too: reads stop in front of it. */
#define STREAM_EVENTS (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET)
#define SOURCE_EVENTS (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR) /* after which a short read is not the last */

/* --- while it is open --------------------------------------------------------------- */

/* A reset, or an error that means one, goes on to the other side as a reset. */
static void abort_flow(struct tcp *tcp, struct flow *flow)
{
	for (int i = 0; i < 2; i++)
		gateway_reset(&flow->fds[i]);
	tcp_bury(tcp, flow);
}

/* It was to begin, and cannot. */
static void fail(struct tcp *tcp, struct flow *flow, int code)
{
	tcp->gateway->stats.failed++;
	log_failed(tcp->gateway, tcp_log_name(flow), code);
	abort_flow(tcp, flow);
}

/* Edge-triggered: a direction whose turn ends early must have another, for no event will come. */
static void have_another_turn(struct tcp *tcp, struct flow *flow)
{
	if (flow->again)
		return;
	flow->again = true;
	tcp_queue_push(tcp, &tcp->again, tcp_slot(tcp, flow));
	tcp->gateway->busy = true;
}

/* What a side has said before it took no more: a server may answer before the end of the question, and close. */
static void hear_out(struct tcp *tcp, struct flow *flow, enum side from)
{
	uint64_t bytes = 0;

	if (flow->streams[!from].refused)
		stream_pump_out(&flow->streams[from], &tcp->pipes, flow->fds[from], flow->fds[!from], &bytes);
	log_count(tcp->gateway, &flow->logged, from, bytes);
}

/* False: the flow is no more. */
static bool pump(struct tcp *tcp, struct flow *flow, enum side from)
{
	struct stream *stream = &flow->streams[from];
	uint64_t bytes = 0;
	int r = stream_pump(stream, &tcp->pipes, flow->fds[from], flow->fds[!from], &bytes);

	log_count(tcp->gateway, &flow->logged, from, bytes);
	if (tcp->pipes.used)
		gateway_wake_at(tcp->gateway, tcp->gateway->now + TRIM_INTERVAL);
	if (r < 0) {
		hear_out(tcp, flow, !from);
		abort_flow(tcp, flow);
		return false;
	}
	if (r == STREAM_MORE)
		have_another_turn(tcp, flow);
	if (stream->ended && flow->streams[!from].ended) {
		tcp_bury(tcp, flow);
		return false;
	}
	return true;
}

static void pump_questions(struct tcp *tcp, struct flow *flow)
{
	uint64_t bytes[2] = {0};
	int r = dns_tcp_pump(tcp->gateway->dns, &flow->questions, &flow->key, flow->fds, bytes);

	log_count(tcp->gateway, &flow->logged, SIDE_HOST, bytes[SIDE_HOST]);
	log_count(tcp->gateway, &flow->logged, SIDE_INNER, bytes[SIDE_INNER]);
	if (r < 0)
		abort_flow(tcp, flow);
	else if (r == STREAM_MORE)
		have_another_turn(tcp, flow);
	else if (r == STREAM_ENDED)
		tcp_bury(tcp, flow);
}

static void pump_both(struct tcp *tcp, struct flow *flow)
{
	if (flow->asks)
		pump_questions(tcp, flow);
	else if (pump(tcp, flow, SIDE_INNER))
		pump(tcp, flow, SIDE_HOST);
}

/* --- opening ------------------------------------------------------------------------ */

static void offer(struct tcp *tcp, struct flow *flow)
{
	flow->state = TCP_OFFERED;
	flow->offered_at = tcp->gateway->now;
	tcp_queue_push(tcp, &tcp->offered, tcp_slot(tcp, flow));
	tcp->offered_count++;
	gateway_inject(tcp->gateway, &flow->syn.hdr, flow->syn.frame, flow->syn.size);
	tcp->offered_to |= 1u << (flow->key.family == AF_INET6);
}

static void offer_waiting(struct tcp *tcp)
{
	while (tcp->offered_count < tcp->offered_max && tcp->waiting.first != NONE)
		offer(tcp, &tcp->flows[tcp_queue_pop(tcp, &tcp->waiting)]);
}

static void refuse(struct tcp *tcp, const struct packet *syn, int code)
{
	enum unreachable why;

	tcp->gateway->stats.failed++;
	log_failed(tcp->gateway, (struct log_name){VNIC_PROTO_TCP, false, &syn->key}, code);
	if (code == ECONNREFUSED)
		gateway_inject_reset(tcp->gateway, syn);
	else if (gateway_why(code, &why))
		gateway_inject_unreachable(tcp->gateway, syn, why);
}

static void refuse_kept(struct tcp *tcp, struct flow *flow, int code)
{
	struct packet packet;

	if (packet_parse(flow->syn.frame, flow->syn.size, &packet))
		refuse(tcp, &packet, code);
	tcp_bury(tcp, flow);
}

static void connected(struct tcp *tcp, struct flow *flow)
{
	if (tcp->offered_count < tcp->offered_max) {
		offer(tcp, flow);
		return;
	}
	flow->state = TCP_WAITING;
	tcp_queue_push(tcp, &tcp->waiting, tcp_slot(tcp, flow));
}

/*
 * A peer that is gone without a word would hold its flow for ever, and what the other side asks of its own kernel does
 * not reach him: that kernel speaks with ours.  The times are the host's (tcp_keepalive_time, two hours).
 */
static void set_up(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	/* That it is urgent is lost, the byte itself must not be (RFC 6093). */
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int));
}

/* Within the host a pacing congestion control (BBR) only costs; reno is the one that everyone may choose. */
static void choose_unpaced(int fd)
{
	static const char *control = "cubic";

	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, (socklen_t)strlen(control)) == 0 || errno != EPERM)
		return;
	control = "reno";
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, (socklen_t)strlen(control));
}

static int connect_host(struct tcp *tcp, struct flow *flow, const struct destination *to)
{
	struct loop_ref ref = {.type = REF_TCP_FLOW, .sub = SIDE_HOST, .index = tcp_slot(tcp, flow)};
	int fd = socket(to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	flow->fds[SIDE_HOST] = fd;
	set_up(fd);
	if (to->host)
		choose_unpaced(fd);
	if (flow->asks) /* another resolver may answer, while who asks still waits */
		setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &(int){1}, sizeof(int));
	/* Or a mapped address would reach IPv4 behind the policy's back. */
	if (to->addr.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
	if (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0 && errno != EINPROGRESS)
		return -errno;
	/* Connected already, as over loopback, it is an event at once. */
	return loop_add(tcp->gateway->epfd, fd, STREAM_EVENTS, ref, NULL);
}

/* The host does not connect it.  Who asks has other resolvers, and his SYN is still here. */
static void go_elsewhere(struct tcp *tcp, struct flow *flow, int code)
{
	struct destination destination;

	while (flow->asks && dns_resolver(tcp->gateway->dns, flow->resolvers, &destination) == 0) {
		flow->resolvers = destination.resolvers;
		close_fd(&flow->fds[SIDE_HOST]);
		if (connect_host(tcp, flow, &destination) == 0)
			return;
	}
	refuse_kept(tcp, flow, code);
}

/* The policy is asked, and the host. */
static void start(struct tcp *tcp, struct flow *flow)
{
	struct destination destination;
	struct packet syn;
	int r;

	flow->state = TCP_CONNECTING;
	packet_parse(flow->syn.frame, flow->syn.size, &syn); /* as it did when it came */
	r = gateway_admit(tcp->gateway, &syn.key, VNIC_PROTO_TCP, &destination);
	if (r == GATEWAY_DENIED) {
		log_denied(tcp->gateway, tcp_log_name(flow));
		gateway_inject_unreachable(tcp->gateway, &syn, UNREACHABLE_PROHIBITED);
		tcp_bury(tcp, flow);
		return;
	}
	if (r == 0) {
		flow->resolvers = destination.resolvers;
		flow->asks = flow->resolvers != 0;
		r = connect_host(tcp, flow, &destination);
	}
	if (r < 0)
		go_elsewhere(tcp, flow, -r);
}

static void start_fresh(struct tcp *tcp)
{
	for (int i = 0; i < CONNECT_BATCH && tcp->fresh.first != NONE; i++)
		start(tcp, &tcp->flows[tcp_queue_pop(tcp, &tcp->fresh)]);
	if (tcp->fresh.first != NONE)
		tcp->gateway->busy = true;
}

static void keep(struct tcp *tcp, const struct vnic_vnet_hdr *hdr, const uint8_t *frame, size_t size,
		 const struct packet *packet)
{
	struct flow *flow = tcp_new_flow(tcp, &packet->key);

	if (!flow) { /* it will be retransmitted, and room may have come by then */
		tcp->gateway->stats.full++;
		log_full(tcp->gateway, (struct log_name){VNIC_PROTO_TCP, false, &packet->key});
		return;
	}
	if (size <= SYN_MAX) {
		flow->syn.hdr = *hdr;
		flow->syn.size = (uint16_t)size;
		memcpy(flow->syn.frame, frame, size);
	} else { /* data, as for Fast Open: no listener of ours has given out a cookie, so it comes again */
		flow->syn.hdr = (struct vnic_vnet_hdr){0};
		flow->syn.size = (uint16_t)packet_make_bare_syn(packet, &tcp->gateway->ends, flow->syn.frame);
	}
	tcp_queue_push(tcp, &tcp->fresh, tcp_slot(tcp, flow));
	tcp->gateway->busy = true;
}

void tcp_syn(struct tcp *tcp, const struct vnic_vnet_hdr *hdr, uint8_t *frame, size_t size, const struct packet *packet)
{
	struct flow *flow = tcp_find_living(tcp, &packet->key);

	if (!flow)
		keep(tcp, hdr, frame, size, packet);
	else if (flow->state == TCP_OFFERED || flow->state == TCP_OPEN) /* its socket knows what to say */
		gateway_inject(tcp->gateway, hdr, frame, size);
}

/* --- events ------------------------------------------------------------------------- */

static int finish_connect(int fd)
{
	int code = 0;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &(socklen_t){sizeof(code)});
	return code;
}

static void begin_streams(struct tcp *tcp, struct flow *flow)
{
	flow->state = TCP_OPEN;
	tcp->gateway->stats.tcp_flows++;
	tcp->gateway->stats.published += flow->arrived;
	if (flow->asks) {
		flow->questions = (struct dns_tcp){0};
	} else { /* events so far went by: an end may have been among them */
		flow->streams[SIDE_HOST] = (struct stream){.hup = true};
		flow->streams[SIDE_INNER] = (struct stream){.hup = true};
	}
	log_open(tcp->gateway, tcp_log_name(flow), &flow->logged);
}

static void open_flow(struct tcp *tcp, struct flow *flow, int fd)
{
	struct loop_ref ref = {.type = REF_TCP_FLOW, .sub = SIDE_INNER, .index = tcp_slot(tcp, flow)};

	flow->fds[SIDE_INNER] = fd;
	int r = loop_add(tcp->gateway->epfd, fd, STREAM_EVENTS, ref, NULL);
	if (r < 0) {
		fail(tcp, flow, -r);
		return;
	}
	tcp_queue_remove(tcp, flow->state == TCP_OFFERED ? &tcp->offered : &tcp->waiting, tcp_slot(tcp, flow));
	if (flow->state == TCP_OFFERED)
		tcp->offered_count--;
	begin_streams(tcp, flow);
	pump_both(tcp, flow);
}

void tcp_accept(struct tcp *tcp, int listener)
{
	struct sockaddr_storage peer, local;

	/* No more than were offered; should there be others, the listener stays readable. */
	do {
		socklen_t len = sizeof(local);
		struct flow_key key = {0};
		int fd = gateway_accept(tcp->gateway, listener, &peer);
		struct flow *flow = NULL;

		if (fd < 0) {
			if (errno == ECONNABORTED || errno == EINTR)
				continue;
			break;
		}
		if (getsockname(fd, (struct sockaddr *)&local, &len) == 0 &&
		    sockaddr_to_endpoint(&peer, &key.src, &key.family) &&
		    sockaddr_to_endpoint(&local, &key.dst, &key.family))
			flow = tcp_find(tcp, &key);
		if (flow && (flow->state == TCP_OFFERED || flow->state == TCP_WAITING))
			open_flow(tcp, flow, fd);
		else /* who was given up: there is nobody whom he could speak with */
			gateway_reset(&fd);
	} while (tcp->offered_count);
	offer_waiting(tcp);
}

/*
 * Unless the sandbox is a machine of its own, the kernel has done the whole handshake while the SYN was written: what
 * was offered can be accepted at once, and no timer is needed for it.
 */
static void accept_offered(struct tcp *tcp)
{
	for (unsigned v = VNIC_V4; v <= VNIC_V6; v++)
		if (tcp->offered_to & 1u << v)
			tcp_accept(tcp, tcp->gateway->config.tcp[v]);
	tcp->offered_to = 0;
	if (tcp->offered.first != NONE)
		gateway_wake_at(tcp->gateway, tcp->flows[tcp->offered.first].offered_at + OFFER_TIMEOUT);
}

/* Clients are not trusted: half of the flows stay the sandbox's.  NULL: no room. */
static struct flow *new_arrival(struct tcp *tcp, const struct flow_key *key)
{
	struct flow *flow = NULL;

	if (tcp->arrived < (tcp->max + 1) / 2 && !tcp_find_living(tcp, key))
		flow = tcp_new_flow(tcp, key);
	if (!flow)
		return NULL;
	flow->arrived = true;
	tcp->arrived++;
	return flow;
}

static int watch(struct tcp *tcp, struct flow *flow, enum side side)
{
	struct loop_ref ref = {.type = REF_TCP_FLOW, .sub = (uint16_t)side, .index = tcp_slot(tcp, flow)};

	set_up(flow->fds[side]);
	return loop_add(tcp->gateway->epfd, flow->fds[side], STREAM_EVENTS, ref, NULL);
}

void tcp_arrive(struct tcp *tcp, const struct flow_key *key, int host_fd, int inner_fd)
{
	struct flow *flow = new_arrival(tcp, key);
	int fds[2] = {host_fd, inner_fd};

	if (!flow) {
		tcp->gateway->stats.full++;
		log_full(tcp->gateway, (struct log_name){VNIC_PROTO_TCP, true, key});
		gateway_reset(&host_fd);
		gateway_reset(&inner_fd);
		return;
	}
	flow->state = TCP_ARRIVING;
	memcpy(flow->fds, fds, sizeof(fds));
	int r = watch(tcp, flow, SIDE_HOST);
	if (r == 0)
		r = watch(tcp, flow, SIDE_INNER);
	if (r < 0)
		fail(tcp, flow, -r);
}

static bool arrive_otherwise(struct tcp *tcp, struct flow *flow)
{
	struct flow_key key = flow->key;
	int fd = -1;

	if (!publish_connect_otherwise(tcp->gateway, &key, flow->fds[SIDE_HOST], &fd))
		return false;
	close_fd(&flow->fds[SIDE_INNER]);
	flow->fds[SIDE_INNER] = fd;
	if (tcp_find_living(tcp, &key))
		return false;
	tcp_rename(tcp, flow, &key);
	return watch(tcp, flow, SIDE_INNER) == 0;
}

static void arrived(struct tcp *tcp, struct flow *flow)
{
	int code = finish_connect(flow->fds[SIDE_INNER]);

	if (code == ECONNREFUSED && arrive_otherwise(tcp, flow))
		return;
	if (code) {
		fail(tcp, flow, code);
		return;
	}
	begin_streams(tcp, flow);
	pump_both(tcp, flow);
}

void tcp_event(struct tcp *tcp, uint32_t slot, enum side side, uint32_t events)
{
	struct flow *flow = &tcp->flows[slot];

	switch ((enum tcp_state)flow->state) {
	case TCP_CONNECTING:
		if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
			int code = finish_connect(flow->fds[SIDE_HOST]);

			if (code)
				go_elsewhere(tcp, flow, code);
			else
				connected(tcp, flow);
		}
		break;
	case TCP_ARRIVING:
		if (side == SIDE_INNER && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
			arrived(tcp, flow);
		break;
	case TCP_OPEN:
		if (flow->asks) {
			pump_questions(tcp, flow);
			break;
		}
		/* Readable: from this side.  Writable: what waits for this side. */
		if (events & SOURCE_EVENTS)
			flow->streams[side].hup = true;
		if (events & (EPOLLIN | SOURCE_EVENTS) && !pump(tcp, flow, side))
			break;
		if (events & EPOLLOUT && stream_is_held_up(&flow->streams[!side]))
			pump(tcp, flow, !side);
		break;
	case TCP_FRESH:
	case TCP_WAITING: /* pumped when it opens */
	case TCP_OFFERED:
	case TCP_DEAD: /* closed by an earlier event of this batch */
		break;
	}
}

void tcp_again(struct tcp *tcp)
{
	struct queue again = tcp->again;

	tcp->again = (struct queue){NONE, NONE};
	for (uint32_t slot = again.first, next; slot != NONE; slot = next) {
		next = tcp->flows[slot].next;
		tcp->flows[slot].again = false;
		pump_both(tcp, &tcp->flows[slot]);
	}
	start_fresh(tcp);
}

static void accept_all(struct tcp *tcp)
{
	for (unsigned v = VNIC_V4; v <= VNIC_V6; v++)
		if (tcp->gateway->config.tcp[v] >= 0)
			tcp_accept(tcp, tcp->gateway->config.tcp[v]);
}

void tcp_expire(struct tcp *tcp)
{
	struct vnic_gateway *gateway = tcp->gateway;

	if (tcp->offered.first != NONE) /* it may be us who are late */
		accept_all(tcp);
	while (tcp->offered.first != NONE) {
		struct flow *flow = &tcp->flows[tcp->offered.first];

		if (flow->offered_at + OFFER_TIMEOUT > gateway->now) {
			gateway_wake_at(gateway, flow->offered_at + OFFER_TIMEOUT);
			break;
		}
		gateway->stats.failed++;
		log_failed(gateway, tcp_log_name(flow), ETIMEDOUT);
		tcp_bury(tcp, flow);
	}
	offer_waiting(tcp);
	if (pipe_pool_trim(&tcp->pipes))
		gateway_wake_at(gateway, gateway->now + TRIM_INTERVAL);
}

void tcp_settle(struct tcp *tcp)
{
	if (tcp->offered_to)
		accept_offered(tcp);
	tcp_free_buried(tcp);
}

bool tcp_is_bulk(const struct tcp *tcp)
{
	return tcp->pipes.used || tcp->pipes.warm_count;
}

void tcp_get_rest(const struct tcp *tcp, struct vnic_gateway_rest *ret_rest)
{
	*ret_rest = (struct vnic_gateway_rest){0};
	for (uint32_t slot = 1; slot <= tcp->touched; slot++) {
		const struct flow *flow = &tcp->flows[slot];

		if (flow->state != TCP_OPEN || flow->asks || flow->streams[SIDE_INNER].ended)
			continue;
		ret_rest->open++;
		ret_rest->held += stream_is_held_up(&flow->streams[SIDE_INNER]);
	}
}

/* --- life --------------------------------------------------------------------------- */

int tcp_new(struct vnic_gateway *gateway, struct tcp **ret_tcp, struct vnic_error *err)
{
	uint32_t max = gateway->max.tcp;
	struct tcp *tcp = reserve(1, sizeof(*tcp));

	if (!tcp)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	tcp->gateway = gateway;
	tcp->max = max;
	tcp->pipes.max = gateway->max.pipes;
	tcp->offered_max = (gateway->config.backlog ? gateway->config.backlog : BACKLOG_DEFAULT) / 2;
	if (tcp->offered_max > OFFERED_MAX)
		tcp->offered_max = OFFERED_MAX;
	tcp->flows = reserve(max + 1u, sizeof(*tcp->flows));
	if (!tcp->flows) {
		release(tcp, 1, sizeof(*tcp));
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	}
	*ret_tcp = tcp;
	return 0;
}

void tcp_free(struct tcp *tcp)
{
	if (!tcp)
		return;
	for (uint32_t slot = 1; slot <= tcp->touched; slot++) {
		struct flow *flow = &tcp->flows[slot];

		if (flow->state == TCP_DEAD)
			continue;
		if (flow->state != TCP_OPEN) /* not yet answered, but the host has called already */
			log_failed(tcp->gateway, tcp_log_name(flow), ECANCELED);
		tcp_bury(tcp, flow);
	}
	pipe_pool_close(&tcp->pipes);
	release(tcp->flows, tcp->max + 1u, sizeof(*tcp->flows));
	release(tcp, 1, sizeof(*tcp));
}
