/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole gateway without a router: the sandbox, the remote as the sandbox sees it and the host's loopback are three
 * addresses of one lo, so that no socket has to be transparent.  The slow path is a socket pair.
 */
#ifndef TESTS_UNIT_GATEWAY_WORLD_H
#define TESTS_UNIT_GATEWAY_WORLD_H

#include "vt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

struct world {
	int family;
	struct vnic_gateway *gateway;
	struct vnic_opener opener;
	unsigned opened, failures; /* by the opener; the next ones shall fail */
	int last_opened;
	int slow;      /* what the gateway injects */
	int server;    /* on the host's loopback */
	int publish;   /* a published port, which is the gateway's; -1: none */
	int listener;  /* TCP: on the host's loopback; -1: none */
	bool taken;    /* the opener finds every port in use that is asked for by its number */
	uint16_t port; /* of the server, and of the remote */
};

static inline struct sockaddr_storage world_addr(int family, uint8_t last, uint16_t port)
{
	struct endpoint endpoint = {.port = port};
	struct sockaddr_storage addr;

	if (family == AF_INET)
		memcpy(endpoint.addr, (uint8_t[]){127, 0, 0, last}, 4);
	else if (last == 1)
		endpoint.addr[15] = 1;
	else
		memcpy(endpoint.addr, (uint8_t[16]){0xfd, [15] = last}, 16);
	endpoint_to_sockaddr((uint16_t)family, &endpoint, &addr);
	return addr;
}

#define WORLD_HOST 1
#define WORLD_SANDBOX 5
#define WORLD_REMOTE 9
#define WORLD_SERVICE 7007

static inline int world_socket(int family, uint8_t last, uint16_t port)
{
	struct sockaddr_storage addr = world_addr(family, last, port);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static inline uint16_t world_port(int fd)
{
	struct sockaddr_storage addr;
	struct endpoint endpoint;
	uint16_t family;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &(socklen_t){sizeof(addr)}), 0);
	assert_true(sockaddr_to_endpoint(&addr, &endpoint, &family));
	return endpoint.port;
}

static inline int world_open(void *ctx, const struct vnic_open_request *request, int *ret_fd, struct vnic_error *err)
{
	struct world *world = ctx;
	const int reuse = request->reuse_addr;
	int fd;

	if (world->failures) {
		world->failures--;
		return vnic_fail(err, VNIC_STEP_SOCKET, EMFILE, "the fake opener", NULL);
	}
	assert_int_equal(request->side, VNIC_SIDE_ROUTER);
	assert_true(request->transparent);
	if (world->taken && ((const struct sockaddr_in *)&request->bind)->sin_port) /* in both families */
		return vnic_fail(err, VNIC_STEP_SOCKET, EADDRINUSE, "the fake opener", NULL);
	fd = socket(request->domain, request->type | SOCK_CLOEXEC | SOCK_NONBLOCK, request->protocol);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&request->bind, sizeof(request->bind)), 0);
	assert_true(connect(fd, (const struct sockaddr *)&request->connect, sizeof(request->connect)) == 0 ||
		    errno == EINPROGRESS);
	world->opened++;
	world->last_opened = fd;
	*ret_fd = fd;
	return 0;
}

static inline bool world_can_bind(void *ctx)
{
	const struct sockaddr_storage *addr = ctx;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool bound = bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;

	close(fd);
	return bound;
}

/* The kernel makes it ready after the call. */
static inline void world_add_address(uint8_t last)
{
	struct {
		struct in6_addr addr;
		uint32_t prefix;
		unsigned index;
	} request = {.addr.s6_addr = {0xfd, [15] = last}, .prefix = 128, .index = if_nametoindex("lo")};
	struct sockaddr_storage addr = world_addr(AF_INET6, last, 0);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		vt_skip("no IPv6 here");
	assert_true(ioctl(fd, SIOCSIFADDR, &request) == 0 || errno == EEXIST);
	close(fd);
	assert_true(vt_until(world_can_bind, &addr));
}

struct world_options {
	const char *allow; /* NULL: any; "": nothing beside the default */
	uint16_t port;     /* 0: any */
	unsigned udp_max, tcp_max;
	bool publish; /* a port of every address leads to WORLD_SERVICE in the sandbox */
	bool tcp;     /* which is one of TCP */
	bool streams; /* the host listens, and so does the router */
	bool (*log)(void *ctx, const char *line, size_t size);
};

static inline int world_listen(int family, uint8_t last, uint16_t port)
{
	struct sockaddr_storage addr = world_addr(family, last, port);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

/* As network/publish.c opens it. */
static inline int world_publish(int family, bool tcp)
{
	struct sockaddr_storage any = {.ss_family = (sa_family_t)family};
	int fd = socket(family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &(int){1}, sizeof(int))
					    : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &(int){1}, sizeof(int)),
			 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	if (tcp)
		assert_int_equal(listen(fd, 16), 0);
	return fd;
}

/* The log, for a test that begins with an empty one. */
static inline char *world_lines(void)
{
	static char lines[8192];

	return lines;
}

static inline bool world_log(void *ctx, const char *line, size_t size)
{
	(void)ctx;
	assert_true(strlen(world_lines()) + size < 8192);
	strncat(world_lines(), line, size);
	return true;
}

/* That have this text. */
static inline unsigned world_lines_with(const char *text)
{
	unsigned count = 0;

	for (const char *at = world_lines(); (at = strstr(at, text)); at++)
		count++;
	return count;
}

static inline void world_start(struct world *world, int family, struct world_options options)
{
	struct vnic_gateway_config config = {
		.tcp = {-1, -1},
		.udp = {-1, -1},
		.udp_max = options.udp_max,
		.tcp_max = options.tcp_max,
		.log = options.log,
	};
	struct vnic_gateway_publish publish = {.fd = -1, .udp = !options.tcp, .to_port = WORLD_SERVICE};
	int v = family == AF_INET6, pair[2];
	struct vnic_error err;

	*world_lines() = '\0';
	if (v) {
		world_add_address(WORLD_SANDBOX);
		world_add_address(WORLD_REMOTE);
	}
	if (options.publish) {
		publish.fd = world_publish(family, options.tcp);
		config.publishes = &publish;
		config.publish_count = 1;
	}
	*world = (struct world){
		.family = family, .publish = publish.fd, .listener = -1, .opener = {.ctx = world, .open = world_open}};
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	world->slow = pair[0];
	world->server = world_socket(family, WORLD_HOST, options.port);
	world->port = world_port(world->server);
	if (options.streams) {
		world->listener = world_listen(family, WORLD_HOST, world->port);
		config.tcp[v] = world_listen(family, WORLD_REMOTE, world->port);
	}
	config.slow_fd = pair[1];
	config.udp[v] = world_socket(family, WORLD_REMOTE, world->port);
	assert_int_equal(setsockopt(config.udp[v], SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	assert_int_equal(v ? setsockopt(config.udp[v], IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, &(int){1}, sizeof(int))
			   : setsockopt(config.udp[v], IPPROTO_IP, IP_RECVORIGDSTADDR, &(int){1}, sizeof(int)),
			 0);
	config.opener = &world->opener;
	vt_ok(vnic_addr_parse("127.0.0.9", &config.router[VNIC_V4], &err), &err);
	vt_ok(vnic_addr_parse("fd00::9", &config.router[VNIC_V6], &err), &err);
	vt_ok(vnic_addr_parse("127.0.0.5", &config.sandbox[VNIC_V4], &err), &err);
	vt_ok(vnic_addr_parse("fd00::5", &config.sandbox[VNIC_V6], &err), &err);
	vnic_policy_init(&config.policy);
	if (!options.allow || *options.allow)
		vt_ok(vnic_policy_add(&config.policy, true, options.allow ? options.allow : "any", &err), &err);
	vt_ok(vnic_gateway_new(&config, &world->gateway, &err), &err);
}

static inline void world_stop(struct world *world)
{
	vnic_gateway_free(world->gateway);
	close(world->slow);
	if (world->server >= 0)
		close(world->server);
	if (world->listener >= 0)
		close(world->listener);
}

static inline void world_turn(struct world *world)
{
	struct vnic_error err;

	vt_ok(vnic_gateway_dispatch(world->gateway, 0, &err), &err);
}

/* Lets the gateway work until there is something to read. */
static inline void world_wait(struct world *world, int fd)
{
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
				{.fd = vnic_gateway_get_fd(world->gateway), .events = POLLIN}};

	do {
		assert_true(poll(fds, 2, VT_DEADLINE_MS) > 0);
		world_turn(world);
	} while (!(fds[0].revents & POLLIN));
}

/* Until it has nothing to do. */
static inline void world_rest(struct world *world)
{
	struct pollfd fd = {.fd = vnic_gateway_get_fd(world->gateway), .events = POLLIN};

	while (poll(&fd, 1, 0) == 1)
		world_turn(world);
}

/* A sandbox's socket, connected to the remote. */
static inline int world_client(const struct world *world)
{
	struct sockaddr_storage to = world_addr(world->family, WORLD_REMOTE, world->port);
	int fd = world_socket(world->family, WORLD_SANDBOX, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static inline void world_say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static inline void world_hears(struct world *world, int fd, const char *text)
{
	char got[64];

	world_wait(world, fd);
	assert_int_equal(recv(fd, got, sizeof(got), 0), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

/* The server hears it, and answers whoever sent it. */
static inline void world_server_answers(struct world *world, const char *text, const char *answer)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char got[64];

	world_wait(world, world->server);
	assert_int_equal(recvfrom(world->server, got, sizeof(got), 0, (struct sockaddr *)&from, &len), strlen(text));
	assert_memory_equal(got, text, strlen(text));
	assert_int_equal(sendto(world->server, answer, strlen(answer), 0, (struct sockaddr *)&from, len),
			 strlen(answer));
}

/* The next ICMP error on the slow path has this type and code; *ret_quoted is the packet that it is about. */
static inline void world_is_told(struct world *world, uint8_t type, uint8_t code, struct packet *ret_quoted)
{
	static uint8_t frame[2048], quoted[2048];
	size_t hdr = sizeof(struct vnic_vnet_hdr), quote;
	struct packet error;
	ssize_t n;

	world_wait(world, world->slow);
	n = recv(world->slow, frame, sizeof(frame), 0);
	assert_true(n > (ssize_t)hdr);
	assert_true(packet_parse(frame + hdr, (size_t)n - hdr, &error));
	assert_int_equal(error.l4[0], type);
	assert_int_equal(error.l4[1], code);
	quote = error.l4_len - 8;
	memcpy(quoted, frame + hdr, 14); /* of the same family */
	memcpy(quoted + 14, error.l4 + 8, quote);
	assert_true(packet_parse(quoted, 14 + quote, ret_quoted));
	/* From whom the sandbox wrote to, to the sandbox. */
	assert_memory_equal(error.key.src.addr, ret_quoted->key.dst.addr, 16);
	assert_memory_equal(error.key.dst.addr, ret_quoted->key.src.addr, 16);
}

/* Many datagrams of one size in one call. */
static inline void world_send_super(int fd, const void *data, size_t size, uint16_t part)
{
	union {
		char space[CMSG_SPACE(sizeof(part))];
		struct cmsghdr header;
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(part)), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT}};
	struct iovec iov = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.header), &part, sizeof(part));
	assert_int_equal(sendmsg(fd, &message, 0), size);
}

/* Takes what may be a super-datagram; returns the size of its parts, 0: it is none. */
static inline int world_take_super(int fd, void *data, size_t size, ssize_t *ret_size)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = data, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	int part = 0;

	*ret_size = recvmsg(fd, &message, 0);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&part, CMSG_DATA(c), sizeof(part));
	return part;
}

#endif
