/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting for links and addresses.
 *
 * Theory of operation.  One socket is subscribed to events, a second one asks.  An event only says that
 * something may have changed: after it the kernel is asked whether the wish holds now.  The subscription
 * comes first, so a change after the question always wakes us, and an overflow of the event
 * socket (ENOBUFS) is just one more reason to ask.
 *
 * Rejected: reading the wish's fate out of the events.  It is faster where many links change, but needs the
 * question too, for the state before the first event and after each overflow, and two ways to one answer.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <limits.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <vnic/link.h>

#include "clock.h"
#include "name.h"
#include "socket.h"

#define OPERSTATE_UP 6 /* IF_OPER_UP; <linux/if.h> and <net/if.h> exclude each other */

#define DRAIN_MAX 4096 /* events; a storm must not keep us from asking */

struct vnic_monitor {
	struct mnl_socket *events;
	struct vnic_nl *nl;
};

/* What is waited for.  `holds` returns 1, 0 (not yet) or a negative errno. */
struct wish {
	int (*holds)(const struct wish *wish, struct vnic_nl *nl, struct vnic_error *err);
	int index;
	const char *name;
	unsigned flags;
	bool oper_up;
	const struct vnic_addr *addr;
	const char *object;
};

int vnic_monitor_open(struct vnic_monitor **ret_monitor, struct vnic_error *err)
{
	const unsigned groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
	struct vnic_monitor *monitor = calloc(1, sizeof(*monitor));
	int r;

	if (!monitor)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	monitor->events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!monitor->events || mnl_socket_bind(monitor->events, groups, MNL_SOCKET_AUTOPID) < 0)
		r = vnic_fail(err, VNIC_STEP_SOCKET, errno, "of netlink", NULL);
	else
		r = vnic_nl_open(&monitor->nl, err);
	if (r < 0) {
		vnic_monitor_close(monitor);
		return r;
	}
	*ret_monitor = monitor;
	return 0;
}

void vnic_monitor_close(struct vnic_monitor *monitor)
{
	if (!monitor)
		return;
	if (monitor->events)
		mnl_socket_close(monitor->events);
	vnic_nl_close(monitor->nl);
	free(monitor);
}

int vnic_monitor_get_fd(const struct vnic_monitor *monitor)
{
	return mnl_socket_get_fd(monitor->events);
}

/* Takes all events that are there; what they say does not matter, nor that some were lost or cut. */
static int drain(struct vnic_monitor *monitor, struct vnic_error *err)
{
	char buf[64];

	for (int i = 0; i < DRAIN_MAX; i++) {
		if (recv(vnic_monitor_get_fd(monitor), buf, sizeof(buf), MSG_TRUNC) >= 0 || errno == ENOBUFS ||
		    errno == EINTR)
			continue;
		if (errno == EAGAIN)
			break;
		return vnic_fail(err, VNIC_STEP_NETLINK, errno, NULL, NULL);
	}
	return 0;
}

/* Waits for an event.  deadline in ns, -1: none.  False when the time is over. */
static bool wait_event(const struct vnic_monitor *monitor, int64_t deadline)
{
	struct pollfd poll_fd = {.fd = vnic_monitor_get_fd(monitor), .events = POLLIN};
	int64_t left = deadline - monotonic_ns();
	struct timespec timeout = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};

	if (deadline >= 0 && left <= 0)
		return false;
	/* An error or a signal is no event, but asking once more does no harm. */
	(void)ppoll(&poll_fd, 1, deadline >= 0 ? &timeout : NULL, NULL);
	return true;
}

static int wait_for(struct vnic_monitor *monitor, const struct wish *wish, int timeout_ms, struct vnic_error *err)
{
	int64_t deadline = timeout_ms < 0 ? -1 : monotonic_ns() + timeout_ms * INT64_C(1000000);

	do {
		int r = drain(monitor, err);

		if (r == 0)
			r = wish->holds(wish, monitor->nl, err);
		if (r != 0)
			return r < 0 ? r : 0;
	} while (wait_event(monitor, deadline));
	return vnic_fail(err, VNIC_STEP_LINK_WAIT, ETIMEDOUT, wish->object, NULL);
}

/* Asks for the wish's link: 1 it is there, 0 it is not. */
static int find(const struct wish *wish, struct vnic_nl *nl, struct vnic_link_info *ret_info, struct vnic_error *err)
{
	struct vnic_error why;
	int r = vnic_link_get(nl, wish->index, wish->name, ret_info, &why);

	if (r == -ENODEV)
		return 0;
	if (r < 0 && err)
		*err = why;
	return r < 0 ? r : 1;
}

static int link_holds(const struct wish *wish, struct vnic_nl *nl, struct vnic_error *err)
{
	struct vnic_link_info info;
	int r = find(wish, nl, &info, err);

	if (r <= 0)
		return r;
	return (info.flags & wish->flags) == wish->flags && (!wish->oper_up || info.operstate == OPERSTATE_UP);
}

static int gone_holds(const struct wish *wish, struct vnic_nl *nl, struct vnic_error *err)
{
	struct vnic_link_info info;
	int r = find(wish, nl, &info, err);

	return r < 0 ? r : !r;
}

static int is_usable(const struct vnic_addr_info *info, void *ctx)
{
	const struct vnic_addr *addr = ctx;

	return info->addr.family == addr->family && !memcmp(info->addr.bytes, addr->bytes, sizeof(addr->bytes)) &&
	       !(info->flags & IFA_F_TENTATIVE);
}

static int is_local(const struct vnic_route *route, void *ctx)
{
	const struct vnic_addr *addr = ctx;

	return route->type == RTN_LOCAL && !memcmp(route->dst.bytes, addr->bytes, sizeof(addr->bytes));
}

static int addr_holds(const struct wish *wish, struct vnic_nl *nl, struct vnic_error *err)
{
	struct vnic_addr addr = *wish->addr;
	int r = vnic_addr_list(nl, wish->index, is_usable, &addr, err);

	/*
	 * Nobody answers for an address of IPv6 until deferred work has joined its multicast group and then added its
	 * local route (addrconf_dad_work, net/ipv6/addrconf.c); without DAD the flags do not tell.
	 */
	return r == 1 && addr.family == AF_INET6 ? vnic_route_list(nl, AF_INET6, RT_TABLE_LOCAL, is_local, &addr, err)
						 : r;
}

int vnic_monitor_look(struct vnic_monitor *monitor, int index, struct vnic_link_info *ret_info, struct vnic_error *err)
{
	int r = drain(monitor, err);

	return r < 0 ? r : vnic_link_get(monitor->nl, index, NULL, ret_info, err);
}

int vnic_monitor_wait_link(struct vnic_monitor *monitor, int index, const char *name, unsigned flags, int timeout_ms,
			   struct vnic_error *err)
{
	char text[VNIC_ADDR_TEXT];
	struct wish wish = {
		.holds = link_holds,
		.index = index,
		.name = name,
		.flags = flags & ~VNIC_LINK_OPER_UP,
		.oper_up = flags & VNIC_LINK_OPER_UP,
		.object = link_text(index, name, text),
	};

	return wait_for(monitor, &wish, timeout_ms, err);
}

int vnic_monitor_wait_gone(struct vnic_monitor *monitor, int index, const char *name, int timeout_ms,
			   struct vnic_error *err)
{
	char text[VNIC_ADDR_TEXT];
	struct wish wish = {
		.holds = gone_holds,
		.index = index,
		.name = name,
		.object = link_text(index, name, text),
	};

	return wait_for(monitor, &wish, timeout_ms, err);
}

int vnic_monitor_wait_addr(struct vnic_monitor *monitor, int ifindex, const struct vnic_addr *addr, int timeout_ms,
			   struct vnic_error *err)
{
	char text[VNIC_ADDR_TEXT];
	struct wish wish = {
		.holds = addr_holds,
		.index = ifindex,
		.addr = addr,
		.object = vnic_addr_text(addr, true, text),
	};

	return wait_for(monitor, &wish, timeout_ms, err);
}
