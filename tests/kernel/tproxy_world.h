/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A router with a slow path, in the test's own network namespace, and a sandbox with one NIC, eth0, in another.
 * Nothing is privileged over the host.
 */
#ifndef TESTS_KERNEL_TPROXY_WORLD_H
#define TESTS_KERNEL_TPROXY_WORLD_H

#include <arpa/inet.h>
#include <grp.h>
#include <linux/virtio_net.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "netlink_side.h"
#include "ns.h"
#include "slowpath.h"

#define REMOTE4 "8.8.8.8"
#define REMOTE6 "2001:db8::8"
#define SANDBOX4 "10.0.2.100"
#define SANDBOX6 "fd00::100"
#define ROUTER4 "10.0.2.2"
#define ROUTER6 "fd00::2"

struct world {
	int router, sandbox; /* network namespaces; the test stands in the router */
	struct plan plan;
	struct slowpath slow;
};

/*
 * Moves the program into new namespaces, as root of a user namespace that belongs to nobody, even when root runs it. By
 * clone(2), for unshare(2) wants a single thread, and sanitizers start one of their own after a fork(2).
 */
static inline void world_own_namespaces(unsigned namespaces)
{
	struct ns_idmap map;
	struct vnic_error err;
	long pid;
	int status;

	if (geteuid() == 0 && setgroups(0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0 &&
	    setresuid(65534, 65534, 65534) == 0)
		prctl(PR_SET_DUMPABLE, 1); /* or /proc/self/uid_map is root's */
	if (ns_idmap_plan(VNIC_IDMAP_ROOT, getuid(), getgid(), &map, &err) < 0)
		exit(1);
	pid = syscall(SYS_clone, namespaces | CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0 && ns_idmap_write(0, &map, &err) == 0)
		return;
	if (pid <= 0) {
		printf("1..0 # skip: no new namespaces here: %s\n", strerror(pid < 0 ? errno : err.code));
		exit(0);
	}
	while (waitpid((pid_t)pid, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static inline void world_enter(int netns)
{
	assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

static inline void world_close(struct world *world)
{
	close_fd(&world->router);
	close_fd(&world->sandbox);
	slowpath_close(&world->slow);
}
#define CLEANUP_WORLD CLEANUP(world_close)

/*
 * Until the link carries frames and its addresses work.  Those of IPv6 do a moment after they were added; what comes
 * for them before is dropped, and asked for again in a second.
 */
static inline void world_await(struct side *side, int ifindex, const struct vnic_addr *addrs, unsigned count)
{
	struct vnic_error err;

	vt_ok(vnic_monitor_wait_link(side->monitor, ifindex, NULL, VNIC_LINK_OPER_UP, VT_DEADLINE_MS, &err), &err);
	for (unsigned i = 0; i < count; i++)
		vt_ok(vnic_monitor_wait_addr(side->monitor, ifindex, &addrs[i], VT_DEADLINE_MS, &err), &err);
}

/* With the NICs, but without a slow path. */
static inline struct world world_of_nics(const char *const *texts, unsigned count)
{
	struct world world = {.slow = SLOWPATH_EMPTY};
	struct vnic_nic nics[VNIC_NICS];
	struct vnic_error err;
	struct side sandbox = side_new();
	struct side router = side_here();

	for (unsigned i = 0; i < count; i++)
		vt_ok(vnic_nic_parse(texts[i], &nics[i], &err), &err);
	vt_ok(plan_make(nics, count, &(struct plan_host){.no_ipv6 = NULL}, &world.plan, &err), &err);
	vt_ok(plan_make_links(&world.plan, router.nl, router.netns, sandbox.netns, &err), &err);
	vt_ok(plan_router_side(&world.plan, &err), &err);
	world_enter(sandbox.netns);
	vt_ok(plan_sandbox_side(&world.plan, -1, &err), &err);
	world_enter(router.netns);
	for (unsigned i = 0; i < count; i++) {
		const struct nic_plan *nic = &world.plan.nics[i];

		world_await(&sandbox, nic->inner_index, nic->nic.addrs, nic->nic.addr_count);
		world_await(&router, nic->outer_index, nic->outer, nic->outer_count);
	}
	world.router = take_fd(&router.netns);
	world.sandbox = take_fd(&sandbox.netns);
	side_close(&router);
	side_close(&sandbox);
	return world;
}

static inline struct world world_new(void)
{
	static const char *const nic = "veth";
	struct world world = world_of_nics(&nic, 1);
	struct vnic_error err;

	vt_ok(slowpath_set_up(&world.plan, &world.slow, &err), &err);
	vt_ok(slowpath_let_in(&world.plan, &world.slow, &err), &err);
	return world;
}

/* --- addresses and sockets ---------------------------------------------------------- */

union world_addr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static inline union world_addr world_addr(const char *ip, uint16_t port)
{
	union world_addr addr = {.any.sa_family = strchr(ip, ':') ? AF_INET6 : AF_INET};

	addr.v4.sin_port = htons(port); /* at the same place in both */
	assert_int_equal(
		inet_pton(addr.any.sa_family, ip,
			  addr.any.sa_family == AF_INET ? (void *)&addr.v4.sin_addr : (void *)&addr.v6.sin6_addr),
		1);
	return addr;
}

static inline socklen_t world_addr_len(const union world_addr *addr)
{
	return addr->any.sa_family == AF_INET ? sizeof(addr->v4) : sizeof(addr->v6);
}

static inline void assert_addr(const union world_addr *addr, const char *ip, uint16_t port)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(addr->any.sa_family,
		  addr->any.sa_family == AF_INET ? (const void *)&addr->v4.sin_addr : (const void *)&addr->v6.sin6_addr,
		  text, sizeof(text));
	assert_string_equal(text, ip);
	assert_int_equal(ntohs(addr->v4.sin_port), port);
}

static inline int world_slot(const char *ip)
{
	return strchr(ip, ':') ? SLOWPATH_V6 : SLOWPATH_V4;
}

/* A non-blocking socket of the sandbox. */
static inline int sandbox_socket(const struct world *world, int family, int type, int protocol)
{
	int fd;

	world_enter(world->sandbox);
	fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	world_enter(world->router);
	assert_true(fd >= 0);
	return fd;
}

/* One that has begun to connect. */
static inline int sandbox_connect(const struct world *world, const char *ip, uint16_t port)
{
	union world_addr to = world_addr(ip, port);
	int fd = sandbox_socket(world, to.any.sa_family, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, &to.any, world_addr_len(&to)), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

/* How connecting ended: an errno. */
static inline int connected(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
	int code = -1;
	socklen_t len = sizeof(code);

	if (poll(&poll_fd, 1, VT_DEADLINE_MS) != 1)
		return ETIMEDOUT;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len), 0);
	return code;
}

/* --- the slow path ------------------------------------------------------------------ */

struct slow_frame {
	struct vnic_vnet_hdr hdr;
	uint8_t data[2048]; /* from the Ethernet header on */
	size_t size;        /* of data */
};

#define ETHER 14

static inline struct slow_frame slow_read(const struct world *world)
{
	struct slow_frame frame;
	ssize_t n;

	assert_true(vt_readable(world->slow.packet_fd));
	n = read(world->slow.packet_fd, &frame, sizeof(frame.hdr) + sizeof(frame.data));
	assert_true(n > (ssize_t)sizeof(frame.hdr) + ETHER);
	frame.size = (size_t)n - sizeof(frame.hdr);
	return frame;
}

static inline void slow_write(const struct world *world, const struct slow_frame *frame)
{
	size_t size = sizeof(frame->hdr) + frame->size;

	assert_int_equal(write(world->slow.packet_fd, frame, size), size);
}

/* Nothing has come; to be asked when something later is known to have arrived. */
static inline void assert_slow_is_silent(const struct world *world)
{
	uint8_t byte;

	assert_int_equal(recv(world->slow.packet_fd, &byte, 1, MSG_PEEK), -1);
	assert_int_equal(errno, EAGAIN);
}

/* --- tests -------------------------------------------------------------------------- */

/* One test for each family of a behaviour, a function that takes the remote's and the sandbox's address. */
#define OF_BOTH_FAMILIES(name)                \
	static void name##_ipv4(void **state) \
	{                                     \
		(void)state;                  \
		name(REMOTE4, SANDBOX4);      \
	}                                     \
	static void name##_ipv6(void **state) \
	{                                     \
		(void)state;                  \
		name(REMOTE6, SANDBOX6);      \
	}
#define TESTS_OF(name) vt_netns_test(name##_ipv4), vt_netns_test(name##_ipv6)

#endif
