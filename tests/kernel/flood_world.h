/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A flow of the sandbox, and the ring that it is led into. */
#ifndef TESTS_KERNEL_FLOOD_WORLD_H
#define TESTS_KERNEL_FLOOD_WORLD_H

#include "flood_ring.h"
#include "floods.h"
#include "tproxy_world.h"

enum { PORT = 7007 };

struct flow {
	int fd; /* of the sandbox, connected */
	struct flow_key key;
	struct opener_flood flood;
};

struct led {
	struct floods floods;
	int pair[2];
	struct flood_ring ring;
	struct datagrams *batch;
	uint64_t bad;
};

static inline struct endpoint endpoint_of(const struct sockaddr_storage *storage)
{
	struct endpoint endpoint = {0};
	union world_addr addr;

	memcpy(&addr, storage, sizeof(addr));
	endpoint.port = ntohs(addr.v4.sin_port);
	if (addr.any.sa_family == AF_INET)
		memcpy(endpoint.addr, &addr.v4.sin_addr, 4);
	else
		memcpy(endpoint.addr, &addr.v6.sin6_addr, 16);
	return endpoint;
}

static inline struct flow flow_to(const struct world *world, const char *remote, const char *sandbox)
{
	union world_addr to = world_addr(remote, PORT), from = world_addr(sandbox, 0);
	struct flow flow = {.fd = sandbox_socket(world, to.any.sa_family, SOCK_DGRAM, 0)};
	socklen_t size = world_addr_len(&to);

	assert_return_code(bind(flow.fd, &from.any, size), errno);
	assert_return_code(connect(flow.fd, &to.any, size), errno);
	assert_return_code(getsockname(flow.fd, (struct sockaddr *)&flow.flood.src, &(socklen_t){size}), errno);
	memcpy(&flow.flood.dst, &to, size);
	flow.key = (struct flow_key){
		.src = endpoint_of(&flow.flood.src), .dst = endpoint_of(&flow.flood.dst), .family = to.any.sa_family};
	return flow;
}

/* The helper's: a descriptor, or -1. */
static inline int answer(const struct led *led)
{
	struct vnic_error err;
	unsigned count = 0;
	int fd = -1;
	size_t size;
	char byte;

	vt_ok(vnic_fd_recv(led->pair[0], &fd, 1, &count, &byte, 1, &size, &err), &err);
	assert_int_equal(size, 1);
	return fd;
}

static inline int tell(struct led *led, const struct plan *plan, struct opener_flood flood, enum vnic_flood what)
{
	flood.what = what;
	floods_hear(&led->floods, plan, &flood, led->pair[1]);
	return answer(led);
}

static inline struct led lead(const struct world *world, const struct flow *flow)
{
	struct led led = {.floods = FLOODS_EMPTY, .ring = FLOOD_RING_EMPTY};
	int fd;

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, led.pair), errno);
	fd = tell(&led, &world->plan, flow->flood, VNIC_FLOOD_BEGINS);
	if (fd < 0)
		vt_skip("the kernel's rings cannot tell of super-datagrams (Linux 6.4), or it has no ingress hook");
	assert_int_equal(flood_ring_open(fd, &led.ring), 0);
	assert_int_equal(datagrams_open(&led.batch), 0);
	return led;
}

static inline void stop_leading(struct led *led, const struct world *world, struct flow *flow)
{
	flood_ring_close(&led->ring);
	floods_hear(&led->floods, &world->plan, &(struct opener_flood){.what = VNIC_FLOOD_GONE}, led->pair[1]);
	assert_int_equal(led->floods.fd, -1);
	datagrams_close(led->batch);
	close(led->pair[0]);
	close(led->pair[1]);
	close(flow->fd);
}

/* At least one. */
static inline int take(struct led *led, const struct flow *flow)
{
	for (;;) {
		int n = flood_ring_receive(&led->ring, &flow->key, led->batch, &led->bad);

		if (n > 0)
			return n;
		assert_true(n == 0 || vt_readable(led->ring.fd));
	}
}

#endif
