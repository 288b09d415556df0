/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICMP echo: a ping socket on the host for each (sandbox address, identifier, destination).
 *
 * Theory of operation.  A request comes over the slow path, with its ICMP header; a large one in fragments, see
 * fragments.c.  A ping socket (ICMP over SOCK_DGRAM, icmp(7)) takes it as it is, puts its own identifier in, and gets
 * only the answers that bear it; the sequence number and the data are the sandbox's.  Answers go back by the slow path
 * with the sandbox's identifier.  The host may forbid ping sockets (net.ipv4.ping_group_range): then the sandbox is
 * told "prohibited".  (Rejected: a raw socket, which takes a capability over the host and gets everybody's answers.)
 *
 * Errors that the host reports are about one request, of which the kernel gives back the header; with it and the
 * IP header of the last request we quote what the sandbox sent.
 *
 * A request that no router may cut leaves the host so too (IP_PMTUDISC_DO), or ping -M do would find a path that is
 * not there; others may be cut by anybody.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bytes.h"
#include "errors.h"
#include "fd.h"
#include "fragments.h"
#include "host.h"
#include "internal.h"
#include "log.h"
#include "reserve.h"
#include "table.h"

#define SPARE 256 /* slots for one batch of events while those that ended are not free yet */
#define ECHO_HEADER 8
/* RFC 792; netinet/ip_icmp.h has a struct icmp of its own. */
#define ICMP4_ECHO_REPLY 0
#define ICMP4_ECHO_REQUEST 8
#define QUOTE 128
#define ANSWERS 64 /* from one socket before others have their turn */

static const int64_t idle_times[TABLE_CLASSES] = {10 * NS_PER_S};

struct echo {
	int fd;
	bool dont_cut;    /* what it sends */
	uint8_t peer[16]; /* whom the host's socket asks */
	/* The last request, from its IP header on. */
	uint8_t quote[QUOTE];
	size_t size, header; /* of the quote; of its IP headers */
	struct log_entry logged;
};

struct icmp {
	struct vnic_gateway *gateway;
	struct table flows;
	struct echo *echo; /* by slot */
	struct fragments *fragments;
	bool forbidden;  /* by the host, as was told */
	uint32_t cut_id; /* of the last packet that was cut */
	uint8_t in[PACKET_MAX], out[PACKET_MAX];
};

static struct log_name log_name(const struct flow_key *key)
{
	return (struct log_name){VNIC_PROTO_ICMP, false, key};
}

static void end(struct icmp *icmp, uint32_t slot)
{
	log_end(icmp->gateway, log_name(&icmp->flows.entries[slot].key), &icmp->echo[slot].logged);
	close_fd(&icmp->echo[slot].fd);
	table_remove(&icmp->flows, slot);
	icmp->gateway->stats.icmp_open--;
}

/* --- requests ----------------------------------------------------------------------- */

static void set_cutting(struct echo *echo, uint16_t family, bool dont_cut)
{
	const int how4 = dont_cut ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
	const int how6 = dont_cut ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_DONT;

	if (family == AF_INET)
		setsockopt(echo->fd, IPPROTO_IP, IP_MTU_DISCOVER, &how4, sizeof(how4));
	else
		setsockopt(echo->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &how6, sizeof(how6));
	echo->dont_cut = dont_cut;
}

static void tell_forbidden(struct icmp *icmp)
{
	const struct vnic_gateway_config *config = &icmp->gateway->config;

	if (!icmp->forbidden && config->echo_forbidden)
		config->echo_forbidden(config->ctx);
	icmp->forbidden = true;
}

static int open_host(struct icmp *icmp, uint32_t slot, const struct destination *to)
{
	const struct loop_ref ref = {.type = REF_ICMP_FLOW, .index = slot};
	struct endpoint peer;
	uint16_t family;
	int fd = host_socket(to->addr.ss_family, to->addr.ss_family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);

	if (fd == -EACCES)
		tell_forbidden(icmp);
	if (fd < 0)
		return fd;
	icmp->echo[slot].fd = fd;
	set_cutting(&icmp->echo[slot], to->addr.ss_family, true);
	if (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0)
		return -errno;
	if (sockaddr_to_endpoint(&to->addr, &peer, &family))
		memcpy(icmp->echo[slot].peer, peer.addr, sizeof(peer.addr));
	return loop_add(icmp->gateway->epfd, fd, EPOLLIN, ref, NULL);
}

static uint32_t new_slot(struct icmp *icmp, const struct flow_key *key)
{
	uint32_t slot;

	if (icmp->flows.count >= icmp->gateway->max.icmp) {
		icmp->gateway->stats.full++;
		end(icmp, table_first(&icmp->flows));
	}
	slot = table_add(&icmp->flows, key, 0, icmp->gateway->now);
	if (!slot) {
		icmp->gateway->stats.full++;
		log_full(icmp->gateway, log_name(key));
		return 0;
	}
	icmp->echo[slot].fd = -1;
	icmp->echo[slot].logged.number = 0;
	icmp->gateway->stats.icmp_open++;
	gateway_wake_at(icmp->gateway, table_expires(&icmp->flows, slot));
	return slot;
}

static void fail(struct icmp *icmp, const struct packet *request, int code)
{
	icmp->gateway->stats.failed++;
	log_failed(icmp->gateway, log_name(&request->key), code);
	errors_tell(icmp->gateway, request, &(struct host_error){.code = code});
}

/* 0: it may not or cannot start, which the sandbox was told. */
static uint32_t start(struct icmp *icmp, const struct packet *request)
{
	struct destination destination;
	uint32_t slot;
	int r = gateway_admit(icmp->gateway, &request->key, VNIC_PROTO_ICMP, &destination);

	if (r == GATEWAY_DENIED) {
		log_denied(icmp->gateway, log_name(&request->key));
		gateway_inject_unreachable(icmp->gateway, request, UNREACHABLE_PROHIBITED);
		return 0;
	}
	if (r < 0) {
		fail(icmp, request, -r);
		return 0;
	}
	slot = new_slot(icmp, &request->key);
	if (!slot)
		return 0;
	r = open_host(icmp, slot, &destination);
	if (r == 0) {
		icmp->gateway->stats.icmp_flows++;
		log_open(icmp->gateway, log_name(&request->key), &icmp->echo[slot].logged);
		return slot;
	}
	fail(icmp, request, -r);
	end(icmp, slot);
	return 0;
}

static void remember(struct echo *echo, const struct packet *request)
{
	echo->header = (size_t)(request->l4 - request->ip);
	echo->size = request->ip_len < QUOTE ? request->ip_len : QUOTE;
	memcpy(echo->quote, request->ip, echo->size);
}

/* True: among them is one of the host itself, about the last request. */
static bool take_errors(struct icmp *icmp, uint32_t slot)
{
	struct echo *echo = &icmp->echo[slot];
	const struct packet request = {.key = icmp->flows.entries[slot].key, .ip = echo->quote, .ip_len = echo->size};
	bool refused = false;

	for (int i = 0; i < ANSWERS; i++) {
		uint8_t head[ECHO_HEADER];
		size_t size = sizeof(head);
		struct host_error error;

		if (!host_error(echo->fd, &error, head, &size))
			break;
		if (size == sizeof(head) && echo->header + sizeof(head) <= echo->size)
			memcpy(echo->quote + echo->header + 6, head + 6, 2); /* which one of the requests it was */
		errors_tell(icmp->gateway, &request, &error);
		refused |= !error.from_afar;
	}
	return refused;
}

static void take_request(struct icmp *icmp, const struct packet *packet)
{
	bool v4 = packet->key.family == AF_INET;
	uint32_t slot;

	if (packet->l4[0] != (v4 ? ICMP4_ECHO_REQUEST : ICMP6_ECHO_REQUEST) || packet->l4[1] != 0) {
		icmp->gateway->stats.ignored++;
		return;
	}
	slot = table_find(&icmp->flows, &packet->key);
	if (!slot)
		slot = start(icmp, packet);
	if (!slot)
		return;
	table_touch(&icmp->flows, slot, 0, icmp->gateway->now);
	remember(&icmp->echo[slot], packet);
	if (icmp->echo[slot].dont_cut != packet->dont_cut)
		set_cutting(&icmp->echo[slot], packet->key.family, packet->dont_cut);
	for (int tries = 0; tries < 2; tries++) { /* an error of an earlier request comes first */
		if (send(icmp->echo[slot].fd, packet->l4, packet->l4_len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
			log_count(icmp->gateway, &icmp->echo[slot].logged, SIDE_INNER, packet->l4_len - ECHO_HEADER);
			return;
		}
		if (tries)
			errors_tell(icmp->gateway, packet, &(struct host_error){.code = errno});
		else if (take_errors(icmp, slot))
			return;
	}
}

void icmp_echo(struct icmp *icmp, const struct packet *packet)
{
	struct packet whole;

	if (!packet->fragment)
		take_request(icmp, packet);
	else if (fragments_join(icmp->fragments, packet, icmp->gateway->now, &whole))
		take_request(icmp, &whole);
}

/* --- answers ------------------------------------------------------------------------ */

static void inject_cut(struct icmp *icmp, size_t size)
{
	uint8_t fragment[FRAGMENT_FRAME];
	size_t offset = 0, len;

	icmp->cut_id++;
	while ((len = fragments_cut(icmp->out, size, icmp->cut_id, &offset, fragment)))
		gateway_inject_made(icmp->gateway, fragment, len);
}

static void answer(struct icmp *icmp, uint32_t slot, size_t size)
{
	const struct flow_key *key = &icmp->flows.entries[slot].key;
	size_t len;

	if (size < ECHO_HEADER || icmp->in[0] != (key->family == AF_INET ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY))
		return;
	len = packet_make_echo_reply(key, get16(icmp->in + 6), icmp->in + ECHO_HEADER, size - ECHO_HEADER,
				     &icmp->gateway->ends, icmp->out);
	log_count(icmp->gateway, &icmp->echo[slot].logged, SIDE_HOST, size - ECHO_HEADER);
	if (len > FRAGMENT_FRAME && key->family == AF_INET6)
		inject_cut(icmp, len);
	else if (len)
		gateway_inject_made(icmp->gateway, icmp->out, len);
}

/* The kernel looks at the identifier only, and cannot tell its peer (no port): is the answer from whom we asked? */
static bool is_from_peer(const struct echo *echo, const struct sockaddr_storage *from)
{
	struct endpoint sender;
	uint16_t family;

	return sockaddr_to_endpoint(from, &sender, &family) && !memcmp(sender.addr, echo->peer, sizeof(echo->peer));
}

void icmp_event(struct icmp *icmp, uint32_t slot)
{
	if (!icmp->flows.entries[slot].used)
		return;
	int fd = icmp->echo[slot].fd;
	for (int i = 0; i < ANSWERS; i++) {
		struct sockaddr_storage from = {0};
		ssize_t n = recvfrom(fd, icmp->in, sizeof(icmp->in), MSG_DONTWAIT, (struct sockaddr *)&from,
				     &(socklen_t){sizeof(from)});

		if (n < 0) {
			take_errors(icmp, slot);
			return;
		}
		table_touch(&icmp->flows, slot, 0, icmp->gateway->now);
		if (is_from_peer(&icmp->echo[slot], &from))
			answer(icmp, slot, (size_t)n);
	}
}

/* --- time and life ------------------------------------------------------------------ */

void icmp_expire(struct icmp *icmp)
{
	uint32_t slot;

	while ((slot = table_first(&icmp->flows)) && table_expires(&icmp->flows, slot) <= icmp->gateway->now)
		end(icmp, slot);
	if (slot)
		gateway_wake_at(icmp->gateway, table_expires(&icmp->flows, slot));
}

void icmp_settle(struct icmp *icmp)
{
	table_settle(&icmp->flows);
}

int icmp_new(struct vnic_gateway *gateway, struct icmp **ret_icmp, struct vnic_error *err)
{
	struct icmp *icmp = reserve(1, sizeof(*icmp));
	uint32_t slots = gateway->max.icmp + SPARE;

	if (!icmp)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	icmp->gateway = gateway;
	icmp->echo = reserve(slots + 1, sizeof(*icmp->echo));
	if (!icmp->echo || table_open(&icmp->flows, slots, idle_times, &gateway->secret) < 0 ||
	    fragments_open(&gateway->stats.fragments_dropped, &icmp->fragments) < 0) {
		icmp_free(icmp);
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	}
	*ret_icmp = icmp;
	return 0;
}

void icmp_free(struct icmp *icmp)
{
	uint32_t slot;

	if (!icmp)
		return;
	while (icmp->echo && (slot = table_first(&icmp->flows)))
		end(icmp, slot);
	fragments_close(icmp->fragments);
	table_close(&icmp->flows);
	release(icmp->echo, icmp->gateway->max.icmp + SPARE + 1, sizeof(*icmp->echo));
	release(icmp, 1, sizeof(*icmp));
}
