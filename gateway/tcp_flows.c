/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tcp_flows.h"

#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"

void tcp_queue_push(struct tcp *tcp, struct queue *queue, uint32_t slot)
{
	tcp->flows[slot].next = NONE;
	if (queue->first == NONE)
		queue->first = slot;
	else
		tcp->flows[queue->last].next = slot;
	queue->last = slot;
}

uint32_t tcp_queue_pop(struct tcp *tcp, struct queue *queue)
{
	uint32_t slot = queue->first;

	if (slot != NONE)
		queue->first = tcp->flows[slot].next;
	return slot;
}

void tcp_queue_remove(struct tcp *tcp, struct queue *queue, uint32_t slot)
{
	uint32_t before = NONE;

	for (uint32_t at = queue->first; at != slot; at = tcp->flows[at].next)
		before = at;
	if (before == NONE)
		queue->first = tcp->flows[slot].next;
	else
		tcp->flows[before].next = tcp->flows[slot].next;
	if (queue->last == slot)
		queue->last = before;
}

static uint32_t *bucket_of(struct tcp *tcp, const struct flow_key *key)
{
	return &tcp->buckets[hash_bytes(&tcp->gateway->secret, key, sizeof(*key)) & (BUCKETS - 1)];
}

struct flow *tcp_find(struct tcp *tcp, const struct flow_key *key)
{
	for (uint32_t at = *bucket_of(tcp, key); at != NONE; at = tcp->flows[at].hash_next)
		if (!memcmp(&tcp->flows[at].key, key, sizeof(*key)))
			return &tcp->flows[at];
	return NULL;
}

struct flow *tcp_new_flow(struct tcp *tcp, const struct flow_key *key)
{
	uint32_t slot = tcp->free, *bucket = bucket_of(tcp, key);
	struct flow *flow;

	if (slot != NONE)
		tcp->free = tcp->flows[slot].next;
	else if (tcp->touched < tcp->max)
		slot = ++tcp->touched;
	else
		return NULL;
	flow = &tcp->flows[slot];
	*flow = (struct flow){.key = *key, .state = TCP_FRESH, .fds = {-1, -1}, .hash_next = *bucket};
	*bucket = slot;
	tcp->gateway->stats.tcp_open++;
	return flow;
}

static void unhash(struct tcp *tcp, struct flow *flow)
{
	uint32_t *at = bucket_of(tcp, &flow->key);

	if (!flow->key.family) /* it has lost its name */
		return;
	while (&tcp->flows[*at] != flow)
		at = &tcp->flows[*at].hash_next;
	*at = flow->hash_next;
}

void tcp_rename(struct tcp *tcp, struct flow *flow, const struct flow_key *key)
{
	uint32_t *bucket = bucket_of(tcp, key);

	unhash(tcp, flow);
	flow->key = *key;
	flow->hash_next = *bucket;
	*bucket = tcp_slot(tcp, flow);
}

/* It lives on without its name, which another takes. */
static void lose_name(struct tcp *tcp, struct flow *flow)
{
	unhash(tcp, flow);
	flow->key = (struct flow_key){0};
}

/* For the router's kernel it is over; what has come until then may still wait for us. */
static bool is_over(const struct flow *flow)
{
	struct tcp_info info = {.tcpi_state = TCP_ESTABLISHED};

	if (flow->fds[SIDE_INNER] < 0)
		return false;
	getsockopt(flow->fds[SIDE_INNER], IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof(info)});
	return info.tcpi_state == TCP_CLOSE;
}

struct flow *tcp_find_living(struct tcp *tcp, const struct flow_key *key)
{
	struct flow *flow = tcp_find(tcp, key);

	if (!flow || !is_over(flow))
		return flow;
	lose_name(tcp, flow);
	return NULL;
}

struct log_name tcp_log_name(const struct flow *flow)
{
	return (struct log_name){VNIC_PROTO_TCP, flow->arrived, &flow->key};
}

void tcp_bury(struct tcp *tcp, struct flow *flow)
{
	uint32_t slot = tcp_slot(tcp, flow);

	if (flow->state == TCP_FRESH)
		tcp_queue_remove(tcp, &tcp->fresh, slot);
	if (flow->state == TCP_WAITING)
		tcp_queue_remove(tcp, &tcp->waiting, slot);
	if (flow->state == TCP_OFFERED) {
		tcp_queue_remove(tcp, &tcp->offered, slot);
		tcp->offered_count--;
	}
	if (flow->again)
		tcp_queue_remove(tcp, &tcp->again, slot);
	if (flow->state == TCP_OPEN) {
		log_end(tcp->gateway, tcp_log_name(flow), &flow->logged);
		if (flow->asks)
			dns_tcp_close(tcp->gateway->dns, &flow->questions);
		for (int i = 0; i < 2 && !flow->asks; i++)
			stream_close(&flow->streams[i], &tcp->pipes);
	}
	unhash(tcp, flow);
	close_fd(&flow->fds[SIDE_HOST]);
	close_fd(&flow->fds[SIDE_INNER]);
	flow->state = TCP_DEAD;
	flow->next = tcp->buried;
	tcp->buried = slot;
	tcp->arrived -= flow->arrived;
	tcp->gateway->stats.tcp_open--;
}

void tcp_free_buried(struct tcp *tcp)
{
	while (tcp->buried != NONE) {
		struct flow *flow = &tcp->flows[tcp->buried];
		uint32_t slot = tcp->buried;

		tcp->buried = flow->next;
		flow->next = tcp->free;
		tcp->free = slot;
	}
}
