/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a relay's port needs, opened where its locator says (port_parse.c).
 *
 * Opening happens in a short-lived child in the target's namespaces; what it makes hangs on descriptors
 * (a TAP device on its queues, a veth pair on a scratch namespace that only our sockets hold), so that it ends
 * even by SIGKILL.  But the kernel takes its time for a namespace: where we end by ourselves the pair is deleted, and
 * its name is free at once.
 */
#include "port_open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "enter.h"
#include "fd.h"
#include "ns.h"
#include "stale.h"

#define PORT_DEADLINE_MS 10000
#define DIAL_SECONDS 5 /* for the first connection */
#define RELAY_END 1000 /* ifindex of the relay's end of a pair, in a namespace where nothing else is */

/* --- links, in the target's namespaces ------------------------------------------------ */

/* The user knows the port by its name, not by an index or the name of our end. */
static int blame(const struct vnic_port *port, int r, struct vnic_error *err)
{
	if (r < 0 && err)
		snprintf(err->object, sizeof(err->object), "%s", port->name);
	return r;
}

static int set_up_link(struct vnic_nl *nl, const struct vnic_port *port, int index, struct vnic_error *err)
{
	CLEANUP(free_batch) struct vnic_batch *batch = NULL;
	int r = vnic_batch_new(&batch, err);

	if (r < 0)
		return r;
	vnic_batch_link_set(batch, index, &(struct vnic_link){.name = port->name, .up = true});
	for (unsigned i = 0; i < port->addr_count; i++)
		vnic_batch_addr_add(batch, index, &port->addrs[i]);
	return vnic_batch_send(batch, nl, NULL, err);
}

/* A device that stays lets its owner attach, and change nothing: it has been set up before, or it is told. */
static int set_up_device(struct vnic_nl *nl, const struct vnic_port *port, int index, struct vnic_error *err)
{
	struct vnic_link_info info;
	char text[VNIC_ADDR_TEXT];
	int r = set_up_link(nl, port, index, err);

	if (r != -EPERM || vnic_link_get(nl, index, NULL, &info, NULL) < 0 || !(info.flags & IFF_UP))
		return r;
	if (port->addr_count)
		return vnic_fail(err, VNIC_STEP_ADDR, EPERM, vnic_addr_text(&port->addrs[0], true, text), "of %s",
				 port->name);
	return 0;
}

static int open_device(void *ctx, struct vnic_error *err)
{
	struct opening *opening = ctx;
	const struct vnic_port *port = opening->port;
	CLEANUP(vnic_tap_close) struct vnic_tap tap = VNIC_TAP_EMPTY;
	struct vnic_tap_config config = {
		.tun = port->kind == VNIC_PORT_TUN,
		.name = port->name,
		.queues = port->queues,
		.vnet_hdr = true,
		.offloads = VNIC_OFFLOAD_ALL,
		.mtu = port->mtu,
		.mac = port->mac,
	};
	int r = vnic_tap_open(&config, &tap, err);

	if (r == 0)
		r = vnic_nl_open(&opening->beside, err);
	if (r == 0)
		r = set_up_device(opening->beside, port, tap.index, err);
	if (r == 0) {
		opening->tap = tap;
		tap = VNIC_TAP_EMPTY;
	}
	return r;
}

static int note_address(const struct vnic_addr_info *info, void *ctx)
{
	struct opening *opening = ctx;

	opening->answers |= info->scope != RT_SCOPE_LINK; /* every link that is up has such a one of its own */
	return 0;
}

static int open_link(void *ctx, struct vnic_error *err)
{
	struct opening *opening = ctx;
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	struct vnic_link_info info = {0};
	int r = vnic_nl_open(&nl, err);

	if (r == 0)
		r = vnic_link_get(nl, 0, opening->port->name, &info, err);
	if (r == 0)
		r = vnic_addr_list(nl, info.index, note_address, opening, err);
	return r < 0 ? r : blame(opening->port, vnic_packet_open(info.index, &opening->fd, err), err);
}

static int make_pair(const struct vnic_port *port, struct vnic_nl *nl, int target_fd, struct vnic_error *err)
{
	struct vnic_link inner = {
		.name = port->name,
		.mac = port->mac,
		.mtu = port->mtu,
		.has_netns = true,
		.netns_fd = target_fd,
	};
	struct vnic_link outer = {
		.kind = VNIC_LINK_VETH,
		.name = "relay",
		.index = RELAY_END,
		.mtu = port->mtu,
		.up = true,
		.peer = &inner,
	};
	int r = vnic_mac_random(&outer.mac, err);

	if (r == 0 && !inner.mac.set)
		r = vnic_mac_random(&inner.mac, err);
	return r < 0 ? r : blame(port, vnic_link_add(nl, &outer, err), err);
}

static void close_monitor(struct vnic_monitor **monitor)
{
	vnic_monitor_close(*monitor);
}

/* Sockets stay in the namespace they were opened in: `here` speaks to the target. */
static int open_pair(void *ctx, struct vnic_error *err)
{
	struct opening *opening = ctx;
	const struct vnic_port *port = opening->port;
	CLEANUP(close_nl) struct vnic_nl *here = NULL;
	CLEANUP(close_monitor) struct vnic_monitor *monitor = NULL;
	CLEANUP_FD int target_fd = -1;
	int index = 0;
	int r = vnic_nl_open(&here, err);

	if (r == 0)
		r = ns_leave_netns(&target_fd, err);
	if (r < 0)
		return r;
	silence_netns();
	r = vnic_nl_open(&opening->there, err);
	if (r == 0)
		r = vnic_monitor_open(&monitor, err);
	if (r == 0)
		r = make_pair(port, opening->there, target_fd, err);
	if (r == 0)
		r = nl_index_of(here, port->name, &index, err);
	if (r == 0)
		r = set_up_link(here, port, index, err);
	if (r == 0)
		r = vnic_monitor_wait_link(monitor, RELAY_END, "relay", VNIC_LINK_OPER_UP, PORT_DEADLINE_MS, err);
	return r < 0 ? r : vnic_packet_open(RELAY_END, &opening->fd, err);
}

/* --- sockets, in the target's namespaces ---------------------------------------------- */

bool port_is_path(const struct vnic_endpoint *endpoint)
{
	return endpoint->addr.ss_family == AF_UNIX && ((const struct sockaddr_un *)&endpoint->addr)->sun_path[0];
}

static int bind_to(int fd, const struct vnic_endpoint *local, int type, const char *text, struct vnic_error *err)
{
	if (local->addr.ss_family == AF_UNIX)
		remove_stale_socket((const struct sockaddr_un *)&local->addr, type);
	else if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(fd, (const struct sockaddr *)&local->addr, local->len) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, text, NULL);
	return 0;
}

/* The first connection is waited for, or its failure is told. */
static int dial(int fd, const struct vnic_endpoint *remote, const char *text, struct vnic_error *err)
{
	const struct timeval limit = {.tv_sec = DIAL_SECONDS};

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&remote->addr, remote->len) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno == EINPROGRESS ? ETIMEDOUT : errno, text, "connect");
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){0}, sizeof(struct timeval));
	return 0;
}

int port_socket_type(const struct vnic_port *port)
{
	return port->kind == VNIC_PORT_STREAM      ? SOCK_STREAM
	       : port->kind == VNIC_PORT_SEQPACKET ? SOCK_SEQPACKET
						   : SOCK_DGRAM;
}

static int open_socket(void *ctx, struct vnic_error *err)
{
	struct opening *opening = ctx;
	const struct vnic_port *port = opening->port;
	const struct vnic_endpoint *any = port->local.len ? &port->local : &port->remote;
	int type = port_socket_type(port), r = 0;
	CLEANUP_FD int fd = -1;

	if (!port->local.len && port->redial_s) /* dialled by the relay, now and again */
		return 0;
	fd = socket(any->addr.ss_family, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, port->text, NULL);
	refuse_fds(fd); /* before anybody can reach it */
	if (port->local.len)
		r = bind_to(fd, &port->local, type, port->text, err);
	if (r == 0 && type != SOCK_DGRAM && port->remote.len)
		r = dial(fd, &port->remote, port->text, err);
	opening->listens = type != SOCK_DGRAM && !port->remote.len;
	if (r < 0)
		return r;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	opening->fd = take_fd(&fd); /* from here on undo removes its path, too */
	if (opening->listens && listen(opening->fd, 16) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, port->text, "listen");
	return 0;
}

/* --- a descriptor --------------------------------------------------------------------- */

/* What the user handed over: a queue of a TAP or TUN, or a socket of any kind that can be a port. */
static int open_fd(struct opening *opening, struct vnic_error *err)
{
	const char *text = opening->port->text;
	int fd = opening->port->fd;

	if (fcntl(fd, F_GETFD) < 0)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "there is no such open descriptor");
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &(int){0}, &(socklen_t){sizeof(int)}) == 0) {
		fcntl(fd, F_SETFL, O_NONBLOCK);
		opening->fd = fd;
		return 0;
	}
	if (errno != ENOTSOCK)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, text, "getsockopt");
	if (vnic_tap_adopt(&fd, 1, &opening->tap, NULL) < 0)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
				 "this descriptor is neither a TAP or TUN device nor a socket");
	nl_open_beside(opening->tap.fds[0], &opening->beside, NULL); /* a namespace that may not be ours to ask */
	return 0;
}

/* --- a capture ------------------------------------------------------------------------ */

static int open_pcap(struct opening *opening, struct vnic_error *err)
{
	const struct vnic_port *port = opening->port;
	int flags = port->write ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY;
	struct stat info = {0};
	CLEANUP_FD int fd = open(port->path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);

	if (fd < 0 || fstat(fd, &info) < 0)
		return vnic_fail(err, VNIC_STEP_OPEN, errno, port->path, NULL);
	if (!port->write && !S_ISREG(info.st_mode))
		return vnic_fail(err, VNIC_STEP_OPEN, EINVAL, port->path, "what is replayed is a regular file");
	opening->fd = take_fd(&fd);
	return 0;
}

/* --- each where it belongs ------------------------------------------------------------ */

int port_open(struct opening *opening, const char *state_dir, struct vnic_error *err)
{
	static int (*const openers[VNIC_PORT_KINDS])(void *ctx, struct vnic_error *err) = {
		[VNIC_PORT_TAP] = open_device, [VNIC_PORT_TUN] = open_device,       [VNIC_PORT_LINK] = open_link,
		[VNIC_PORT_VETH] = open_pair,  [VNIC_PORT_STREAM] = open_socket,    [VNIC_PORT_DGRAM] = open_socket,
		[VNIC_PORT_UDP] = open_socket, [VNIC_PORT_SEQPACKET] = open_socket, [VNIC_PORT_VXLAN] = open_socket,
	};
	CLEANUP(vnic_target_close) struct vnic_target target = VNIC_TARGET_EMPTY;
	const struct vnic_port *port = opening->port;

	if (port->kind == VNIC_PORT_FD)
		return open_fd(opening, err);
	if (port->kind == VNIC_PORT_PCAP)
		return open_pcap(opening, err);
	/* In a child even for our own namespace: a pair's other end needs a namespace of its own. */
	if (!port->netns[0])
		return ns_call(-1, -1, openers[port->kind], opening, err);
	int r = vnic_target_open(port->netns, state_dir, &target, err);
	return r < 0 ? r : vnic_target_call(&target, openers[port->kind], opening, err);
}

/* --- the end -------------------------------------------------------------------------- */

static void delete_pair(void *ctx)
{
	struct vnic_nl *there = ctx;

	vnic_link_del(there, RELAY_END, NULL, NULL); /* it may be gone, with its namespace */
	vnic_nl_close(there);
}

static void remove_path(void *ctx)
{
	unlink(ctx);
	free(ctx);
}

void port_arrange_end(const struct opening *opening, struct vnic_relay *relay, unsigned number)
{
	const struct vnic_endpoint *local = &opening->port->local;

	if (opening->there)
		vnic_relay_at_end(relay, number, delete_pair, opening->there);
	else if (port_is_path(local))
		vnic_relay_at_end(relay, number, remove_path,
				  strdup(((const struct sockaddr_un *)&local->addr)->sun_path));
}

void port_undo(struct opening *opening)
{
	if (opening->there)
		delete_pair(opening->there);
	vnic_tap_close(&opening->tap);
	vnic_nl_close(opening->beside);
	if (opening->port->kind == VNIC_PORT_FD) /* that is still the user's */
		return;
	if (opening->fd >= 0 && port_is_path(&opening->port->local))
		unlink(((const struct sockaddr_un *)&opening->port->local.addr)->sun_path);
	close_fd(&opening->fd);
}
