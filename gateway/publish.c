/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Published ports: connections from outside into the sandbox, and datagrams; for these see arrivals.c.
 *
 * A listener on the host's side is accepted from, and the router connects to the sandbox in the client's own
 * name (IP_TRANSPARENT), so that logs and access lists inside stay true.  Some addresses cannot be a source in the
 * sandbox's network: loopback, link-local, v4-mapped, and those of the network itself, whom the sandbox would look for
 * on its own link; for these the router's stands.  Where the 4-tuple is taken the client keeps its address and gets
 * another port.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "log.h"
#include "udp.h"

#define ACCEPT_BATCH 64

struct publish {
	struct vnic_gateway *gateway;
	unsigned count;
	struct vnic_gateway_publish ports[];
};

/* May it be a source address in the sandbox's network? */
static bool can_be_source(const struct vnic_gateway *gateway, const struct endpoint *client, uint16_t family)
{
	const uint8_t *a = client->addr;
	struct vnic_addr addr = {.family = (uint8_t)family, .prefix = family == AF_INET ? 32 : 128};

	memcpy(addr.bytes, a, sizeof(addr.bytes));
	if (vnic_addr_contains(&gateway->config.sandbox[family == AF_INET6], &addr))
		return false;
	if (family == AF_INET)
		return a[0] != 127 && a[0] != 0 && !(a[0] == 169 && a[1] == 254) && a[0] < 224;
	struct in6_addr v6; /* aligned, as the macros want it */
	memcpy(&v6, a, sizeof(v6));
	return !IN6_IS_ADDR_LOOPBACK(&v6) && !IN6_IS_ADDR_LINKLOCAL(&v6) && !IN6_IS_ADDR_V4MAPPED(&v6) &&
	       !IN6_IS_ADDR_UNSPECIFIED(&v6) && !IN6_IS_ADDR_MULTICAST(&v6);
}

void publish_key(const struct vnic_gateway *gateway, const struct vnic_gateway_publish *port,
		 const struct endpoint *client, uint16_t family, struct flow_key *ret_key)
{
	bool v6 = family == AF_INET6;
	struct flow_key key = {.src.port = port->to_port, .dst = *client, .family = family};

	memcpy(key.src.addr, gateway->config.sandbox[v6].bytes, sizeof(key.src.addr));
	if (!can_be_source(gateway, client, family))
		memcpy(key.dst.addr, gateway->config.router[v6].bytes, sizeof(key.dst.addr));
	*ret_key = key;
}

int publish_learn_port(int inner_fd, struct flow_key *key)
{
	struct sockaddr_storage own;

	if (key->dst.port)
		return 0;
	if (getsockname(inner_fd, (struct sockaddr *)&own, &(socklen_t){sizeof(own)}) < 0)
		return -errno;
	return sockaddr_to_endpoint(&own, &key->dst, &key->family) ? 0 : -EAFNOSUPPORT;
}

/* key->src is the sandbox's end, key->dst the client's as the sandbox sees it. */
static int connect_inside(struct vnic_gateway *gateway, struct flow_key *key, int *ret_fd)
{
	const struct vnic_opener *opener = gateway->config.opener;
	struct vnic_open_request request = {
		.side = VNIC_SIDE_ROUTER,
		.domain = key->family,
		.type = SOCK_STREAM,
		.transparent = true,
		.reuse_addr = true,
	};

	endpoint_to_sockaddr(key->family, &key->src, &request.connect);
	for (int attempt = 0;; attempt++) {
		struct vnic_error why = {0};

		endpoint_to_sockaddr(key->family, &key->dst, &request.bind);
		int r = opener->open(opener->ctx, &request, ret_fd, &why);
		if (r == 0)
			return publish_learn_port(*ret_fd, key);
		if ((r != -EADDRINUSE && r != -EADDRNOTAVAIL) || attempt)
			return r;
		key->dst.port = 0;
	}
}

/* The same by the other family, in the router's name. */
static void change_family(const struct vnic_gateway *gateway, struct flow_key *key)
{
	struct vnic_gateway_publish port = {.to_port = key->src.port};
	struct endpoint client = {.port = key->dst.port}; /* no address: it cannot be a source */

	publish_key(gateway, &port, &client, key->family == AF_INET6 ? AF_INET : AF_INET6, key);
}

/*
 * A guest that took an IPv4 lease alone is not there for a client who came by IPv6, as "localhost" mostly does: for
 * that client it is asked by IPv4.  And the other way round.
 */
static void choose_family(const struct vnic_gateway *gateway, struct flow_key *key)
{
	bool v6 = key->family == AF_INET6;

	if (leases_lack(gateway->leases, &gateway->config.sandbox[v6], v6))
		change_family(gateway, key);
}

bool publish_connect_otherwise(struct vnic_gateway *gateway, struct flow_key *key, int client_fd, int *ret_fd)
{
	bool v6 = key->family == AF_INET6;
	const struct vnic_addr *other = &gateway->config.sandbox[!v6];
	struct sockaddr_storage own = {0};

	getsockname(client_fd, (struct sockaddr *)&own, &(socklen_t){sizeof(own)});
	if (own.ss_family != key->family || !other->family || leases_lack(gateway->leases, other, !v6) ||
	    memcmp(key->dst.addr, gateway->config.router[v6].bytes, sizeof(key->dst.addr)))
		return false;
	change_family(gateway, key);
	return connect_inside(gateway, key, ret_fd) == 0;
}

/* False: from nowhere. */
static bool key_of(const struct publish *publish, const struct vnic_gateway_publish *port,
		   const struct sockaddr_storage *from, struct flow_key *ret_key)
{
	struct endpoint client;
	uint16_t family;

	if (!sockaddr_to_endpoint(from, &client, &family))
		return false;
	publish_key(publish->gateway, port, &client, family, ret_key);
	choose_family(publish->gateway, ret_key);
	return true;
}

static void bring_in(struct publish *publish, const struct vnic_gateway_publish *port, int client_fd,
		     const struct sockaddr_storage *from)
{
	struct vnic_gateway *gateway = publish->gateway;
	struct flow_key key;
	int inner_fd = -1, r;

	if (!key_of(publish, port, from, &key)) {
		close_fd(&client_fd);
		return;
	}
	r = connect_inside(gateway, &key, &inner_fd);
	if (r < 0) {
		gateway->stats.failed++;
		log_failed(gateway, (struct log_name){VNIC_PROTO_TCP, true, &key}, -r);
		close_fd(&inner_fd);
		gateway_reset(&client_fd);
		return;
	}
	tcp_arrive(gateway->tcp, &key, client_fd, inner_fd);
}

static void accept_some(struct publish *publish, const struct vnic_gateway_publish *port)
{
	/* Level-triggered: what is left is the next event. */
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct sockaddr_storage from = {0};
		int fd = gateway_accept(publish->gateway, port->fd, &from);
		struct flow_key key;

		if (fd < 0 && key_of(publish, port, &from, &key))
			log_full(publish->gateway, (struct log_name){VNIC_PROTO_TCP, true, &key});
		if (fd < 0)
			return;
		bring_in(publish, port, fd, &from);
	}
}

void publish_event(struct publish *publish, uint32_t index)
{
	const struct vnic_gateway_publish *port = &publish->ports[index];

	if (port->udp)
		udp_arrive(publish->gateway->udp, index, port);
	else
		accept_some(publish, port);
}

uint64_t publish_overrun(const struct publish *publish)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < publish->count; i++)
		if (publish->ports[i].udp)
			sum += udp_socket_overrun(publish->ports[i].fd);
	return sum;
}

int publish_new(struct vnic_gateway *gateway, struct publish **ret_publish, struct vnic_error *err)
{
	unsigned count = gateway->config.publish_count;
	struct publish *publish = malloc(sizeof(*publish) + count * sizeof(publish->ports[0]));
	int r = 0;

	if (!publish)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	*publish = (struct publish){.gateway = gateway, .count = count};
	for (uint32_t i = 0; i < count && r == 0; i++) {
		publish->ports[i] = gateway->config.publishes[i];
		r = loop_add(gateway->epfd, publish->ports[i].fd, EPOLLIN,
			     (struct loop_ref){.type = REF_PUBLISH, .index = i}, err);
	}
	if (r < 0) {
		free(publish);
		return r;
	}
	*ret_publish = publish;
	return 0;
}

void publish_free(struct publish *publish, bool keep)
{
	for (unsigned i = 0; publish && i < publish->count && !keep; i++)
		close_fd(&publish->ports[i].fd);
	free(publish);
}
