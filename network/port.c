/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A relay's ports from their locators, "kind:argument,key=value,...": parsed into a plain struct,
 * then opened where the locator says.
 *
 * Opening happens in a short-lived child in the target's namespaces; what it makes hangs on descriptors
 * (a TAP device on its queues, a veth pair on a scratch namespace that only our sockets hold), so that it ends
 * even by SIGKILL.  But the kernel takes its time for a namespace: where we end by ourselves the pair is deleted, and
 * its name is free at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "ns.h"
#include "parse.h"
#include "plan.h"

#define PORT_DEADLINE_MS 10000
#define RELAY_END 1000 /* ifindex of the relay's end of a pair, in a namespace where nothing else is */

static const struct {
	const char *name;
	bool device; /* takes the keys of a link that is made */
} kinds[] = {
	[VNIC_PORT_TAP] = {"tap", true},   [VNIC_PORT_TUN] = {"tun", true}, [VNIC_PORT_LINK] = {"link", false},
	[VNIC_PORT_VETH] = {"veth", true}, [VNIC_PORT_FD] = {"fd", false},
};

/* --- parsing ------------------------------------------------------------------------ */

static int set_ip(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	if (port->addr_count == VNIC_NIC_ADDRS)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value, "a port takes %d addresses at most",
				 VNIC_NIC_ADDRS);
	if (!strchr(value, '/'))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value, "ip= needs a prefix length, as in 10.9.0.1/24");
	int r = vnic_addr_parse(value, &port->addrs[port->addr_count], err);
	if (r == 0)
		port->addr_count++;
	return r;
}

static int set_key(struct vnic_port *port, const char *key, const char *value, struct vnic_error *err)
{
	bool device = kinds[port->kind].device;

	if (!strcmp(key, "isolated") && !value) {
		port->isolated = true;
		return 0;
	}
	if (!value || !*value)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, key, "this key of a port needs a value: %s=...", key);
	if (!strcmp(key, "netns") && port->kind != VNIC_PORT_FD)
		return parse_copy(value, "netns=", port->netns, sizeof(port->netns), err);
	if (device && !strcmp(key, "ip"))
		return set_ip(port, value, err);
	if (device && !strcmp(key, "mtu"))
		return parse_u32(value, "mtu=", 68, 65535, &port->mtu, err);
	if (device && port->kind != VNIC_PORT_TUN && !strcmp(key, "mac"))
		return vnic_mac_parse(value, &port->mac, err);
	if (device && port->kind != VNIC_PORT_VETH && !strcmp(key, "queues"))
		return parse_u32(value, "queues=", 1, VNIC_TAP_QUEUES, &port->queues, err);
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, key, "%s ports have the keys %s", kinds[port->kind].name,
			 port->kind == VNIC_PORT_FD     ? "isolated"
			 : port->kind == VNIC_PORT_LINK ? "netns, isolated"
			 : port->kind == VNIC_PORT_VETH ? "netns, ip, mac, mtu, isolated"
			 : port->kind == VNIC_PORT_TUN  ? "netns, ip, mtu, queues, isolated"
							: "netns, ip, mac, mtu, queues, isolated");
}

static int set_kind(struct vnic_port *port, const char *kind, const char *argument, struct vnic_error *err)
{
	uint32_t fd = 0;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kind, kinds[i].name) != 0)
			continue;
		port->kind = (enum vnic_port_kind)i;
		if (port->kind != VNIC_PORT_FD)
			return parse_ifname(argument, "a port's interface", port->name, err);
		int r = parse_u32(argument, "fd:", 0, 1 << 20, &fd, err);
		port->fd = (int)fd;
		return r;
	}
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, port->text,
			 "a port is tap:NAME, tun:NAME, link:NAME, veth:NAME or fd:N");
}

int vnic_port_parse(const char *text, struct vnic_port *ret_port, struct vnic_error *err)
{
	struct vnic_port port = {.fd = -1};
	char copy[512], *cursor, *key = copy, *value = NULL;
	int r = parse_copy(text, "a port", copy, sizeof(copy), err);

	if (r < 0)
		return r;
	snprintf(port.text, sizeof(port.text), "%.*s", (int)strcspn(text, ","), text);
	char *colon = strchr(copy, ':');
	if (!colon || (size_t)(colon - copy) > strcspn(copy, ",="))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "a port is written KIND:NAME[,key=value]...");
	*colon = '\0';
	cursor = colon + 1;
	r = parse_item(&cursor, &key, &value, err);
	if (r < 0)
		return r;
	if (value)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, key, "a port's name comes before its keys");
	r = set_kind(&port, copy, key, err);
	while (r == 0 && (r = parse_item(&cursor, &key, &value, err)) > 0)
		r = set_key(&port, key, value, err);
	if (r == 0 && port.netns[0]) { /* how messages and counters call it: "tap:eth0@red" */
		size_t len = strlen(port.text);

		snprintf(port.text + len, sizeof(port.text) - len, "@%s", port.netns);
	}
	if (r == 0)
		*ret_port = port;
	return r;
}

/* --- opening, in the target's namespaces -------------------------------------------- */

struct opening {
	const struct vnic_port *port;
	struct vnic_tap tap;
	int packet_fd;
	struct vnic_nl *there; /* of a pair: in the scratch namespace */
};

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

static int open_device(void *ctx, struct vnic_error *err)
{
	struct opening *opening = ctx;
	const struct vnic_port *port = opening->port;
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
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
		r = vnic_nl_open(&nl, err);
	if (r == 0)
		r = set_up_link(nl, port, tap.index, err);
	if (r == 0) {
		opening->tap = tap;
		tap = VNIC_TAP_EMPTY;
	}
	return r;
}

static int open_link(void *ctx, struct vnic_error *err)
{
	struct opening *opening = ctx;
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	struct vnic_link_info info = {0};
	int r = vnic_nl_open(&nl, err);

	if (r == 0)
		r = vnic_link_get(nl, 0, opening->port->name, &info, err);
	return r < 0 ? r : blame(opening->port, vnic_packet_open(info.index, &opening->packet_fd, err), err);
}

/* The relay's end speaks for others, never for itself: without IPv6 it sends nothing of its own. */
static void silence_namespace(void)
{
	CLEANUP_FD int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1", 1) < 0)
		return;
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

static int index_of(struct vnic_nl *nl, const char *name, int *ret_index, struct vnic_error *err)
{
	struct vnic_link_info info = {0};
	int r = vnic_link_get(nl, 0, name, &info, err);

	if (r == 0)
		*ret_index = info.index;
	return r;
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
	silence_namespace();
	r = vnic_nl_open(&opening->there, err);
	if (r == 0)
		r = vnic_monitor_open(&monitor, err);
	if (r == 0)
		r = make_pair(port, opening->there, target_fd, err);
	if (r == 0)
		r = index_of(here, port->name, &index, err);
	if (r == 0)
		r = set_up_link(here, port, index, err);
	if (r == 0)
		r = vnic_monitor_wait_link(monitor, RELAY_END, "relay", VNIC_LINK_OPER_UP, PORT_DEADLINE_MS, err);
	return r < 0 ? r : vnic_packet_open(RELAY_END, &opening->packet_fd, err);
}

/* What the user handed over: a queue of a TAP or TUN, or a packet socket. */
static int open_fd(struct opening *opening, struct vnic_error *err)
{
	const char *text = opening->port->text;
	int fd = opening->port->fd, domain = 0;

	if (fcntl(fd, F_GETFD) < 0)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "there is no such open descriptor");
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof(domain)}) == 0) {
		opening->packet_fd = fd;
		return domain == AF_PACKET
			       ? 0
			       : vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "this socket is not a packet socket");
	}
	if (vnic_tap_adopt(&fd, 1, &opening->tap, NULL) < 0)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
				 "this descriptor is neither a TAP or TUN device nor a packet socket");
	return 0;
}

static int open_where(struct opening *opening, const char *state_dir, struct vnic_error *err)
{
	static int (*const openers[])(void *ctx, struct vnic_error *err) = {
		[VNIC_PORT_TAP] = open_device,
		[VNIC_PORT_TUN] = open_device,
		[VNIC_PORT_LINK] = open_link,
		[VNIC_PORT_VETH] = open_pair,
	};
	CLEANUP(vnic_target_close) struct vnic_target target = VNIC_TARGET_EMPTY;
	const struct vnic_port *port = opening->port;

	if (port->kind == VNIC_PORT_FD)
		return open_fd(opening, err);
	/* In a child even for our own namespace: a pair's other end needs a namespace of its own. */
	if (!port->netns[0])
		return ns_call(-1, -1, openers[port->kind], opening, err);
	int r = vnic_target_open(port->netns, state_dir, &target, err);
	return r < 0 ? r : vnic_target_call(&target, openers[port->kind], opening, err);
}

static void undo(struct opening *opening)
{
	if (opening->there)
		vnic_link_del(opening->there, RELAY_END, NULL, NULL);
	vnic_nl_close(opening->there);
	vnic_tap_close(&opening->tap);
	if (opening->port->kind != VNIC_PORT_FD) /* that is still the user's */
		close_fd(&opening->packet_fd);
}

int vnic_port_open(const struct vnic_port *port, const char *state_dir, struct vnic_relay *relay,
		   struct vnic_error *err)
{
	struct opening opening = {.port = port, .packet_fd = -1};
	int r = open_where(&opening, state_dir, err);

	if (r == 0)
		r = opening.packet_fd >= 0 ? vnic_relay_add_packet(relay, port->text, opening.packet_fd, err)
					   : vnic_relay_add_tap(relay, port->text, &opening.tap, err);
	if (r < 0) {
		undo(&opening);
		return r;
	}
	if (opening.there)
		vnic_relay_own_link(relay, (unsigned)r, opening.there, RELAY_END);
	if (port->isolated)
		vnic_relay_set_isolated(relay, (unsigned)r, true);
	return r;
}
