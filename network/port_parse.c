/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay port's locator, "kind:argument,key=value,...", as a plain struct. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <vnic/sandbox.h>

#include "impairment.h"
#include "parse.h"

#define KIND(name) (1u << VNIC_PORT_##name)
#define TAPS (KIND(TAP) | KIND(TUN))
#define DEVICES (TAPS | KIND(VETH))
#define CONNS (KIND(STREAM) | KIND(SEQPACKET))
#define ALL ~0u
#define NO_VNI UINT32_MAX

/* --- arguments ------------------------------------------------------------------------ */

static int take_ifname(struct vnic_port *port, const char *text, struct vnic_error *err)
{
	return parse_ifname(text, "a port's interface", port->name, err);
}

static int take_fd_number(struct vnic_port *port, const char *text, struct vnic_error *err)
{
	uint32_t fd = 0;
	int r = parse_u32(text, "fd:", 0, 1 << 20, &fd, err);

	port->fd = (int)fd;
	return r;
}

/* A path, "@name" for one without a file, or ADDRESS:PORT. */
static int take_endpoint(const char *text, bool inet, struct vnic_endpoint *ret_endpoint, struct vnic_error *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&ret_endpoint->addr;
	size_t len = strlen(text), least = text[0] == '@' ? 2 : 1;

	if (inet)
		return parse_sockaddr(text, &ret_endpoint->addr, &ret_endpoint->len, err);
	if (inet_pton(AF_INET, text, &(struct in_addr){0}) == 1)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
				 "an address has a port, as in %s:5000, and a path of this name a slash", text);
	if (len < least || len >= sizeof(un->sun_path))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "a socket's path has %zu to %zu bytes", least,
				 sizeof(un->sun_path) - 1);
	*ret_endpoint = (struct vnic_endpoint){.addr.ss_family = AF_UNIX};
	memcpy(un->sun_path, text, len);
	ret_endpoint->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	if (text[0] == '@') {
		un->sun_path[0] = '\0';
		ret_endpoint->len--;
	}
	return 0;
}

static bool is_inet(const struct vnic_port *port, const char *text)
{
	return port->kind == VNIC_PORT_UDP ||
	       (port->kind == VNIC_PORT_STREAM && !strchr(text, '/') && text[0] != '@' && strchr(text, ':'));
}

/* Where a datagram socket is; whom a UDP socket speaks to; for a connection `connect` will tell which. */
static int take_local(struct vnic_port *port, const char *text, struct vnic_error *err)
{
	return take_endpoint(text, is_inet(port, text), &port->local, err);
}

static int take_remote(struct vnic_port *port, const char *text, struct vnic_error *err)
{
	return take_endpoint(text, is_inet(port, text), &port->remote, err);
}

static int take_path(struct vnic_port *port, const char *text, struct vnic_error *err)
{
	return parse_copy(text, "pcap:", port->path, sizeof(port->path), err);
}

/* Kinds without an argument begin with a key. */
static const struct {
	const char *name;
	int (*argument)(struct vnic_port *port, const char *text, struct vnic_error *err);
} kinds[VNIC_PORT_KINDS] = {
	[VNIC_PORT_TAP] = {"tap", take_ifname},    [VNIC_PORT_TUN] = {"tun", take_ifname},
	[VNIC_PORT_LINK] = {"link", take_ifname},  [VNIC_PORT_VETH] = {"veth", take_ifname},
	[VNIC_PORT_FD] = {"fd", take_fd_number},   [VNIC_PORT_STREAM] = {"stream", take_local},
	[VNIC_PORT_DGRAM] = {"dgram", take_local}, [VNIC_PORT_SEQPACKET] = {"seqpacket", take_local},
	[VNIC_PORT_UDP] = {"udp", take_remote},    [VNIC_PORT_VXLAN] = {"vxlan", NULL},
	[VNIC_PORT_PCAP] = {"pcap", take_path},
};

/* --- keys ----------------------------------------------------------------------------- */

static int set_netns(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	return parse_copy(value, "netns=", port->netns, sizeof(port->netns), err);
}

static int set_ip(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	if (port->addr_count == VNIC_NIC_ADDRS)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value, "a port takes %d addresses at most",
				 VNIC_NIC_ADDRS);
	if (!strchr(value, '/'))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value, "ip= needs a prefix length, as in 10.9.0.1/24");
	int r = parse_host(value, &port->addrs[port->addr_count], err);
	if (r == 0)
		port->addr_count++;
	return r;
}

static int set_mac(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	return vnic_mac_parse(value, &port->mac, err);
}

static int set_mtu(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	return parse_u32(value, "mtu=", 68, 65535, &port->mtu, err);
}

static int set_queues(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	return parse_u32(value, "queues=", 1, VNIC_TAP_QUEUES, &port->queues, err);
}

static int set_isolated(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	(void)value;
	(void)err;
	port->isolated = true;
	return 0;
}

static int set_connect(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	(void)value;
	(void)err;
	if (port->local.len) {
		port->remote = port->local;
		port->local = (struct vnic_endpoint){0};
	}
	return 0;
}

static int set_reconnect(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	set_connect(port, NULL, err);
	return parse_u32(value, "reconnect=", 1, 3600, &port->redial_s, err);
}

static int set_vni(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	return parse_u32(value, "id=", 0, 0xffffff, &port->vni, err);
}

/* ADDRESS or ADDRESS:PORT. */
static int take_host(const char *text, struct vnic_endpoint *ret_endpoint, struct vnic_error *err)
{
	char full[INET6_ADDRSTRLEN + 16];
	struct in6_addr addr;

	if (inet_pton(AF_INET, text, &addr) == 1)
		snprintf(full, sizeof(full), "%s:%d", text, VNIC_VXLAN_PORT);
	else if (inet_pton(AF_INET6, text, &addr) == 1)
		snprintf(full, sizeof(full), "[%s]:%d", text, VNIC_VXLAN_PORT);
	else
		return parse_sockaddr(text, &ret_endpoint->addr, &ret_endpoint->len, err);
	return parse_sockaddr(full, &ret_endpoint->addr, &ret_endpoint->len, err);
}

static int add_remote(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	if (port->remote_count == VNIC_VXLAN_REMOTES)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value, "a port takes %d remotes at most",
				 VNIC_VXLAN_REMOTES);
	int r = take_host(value, &port->remote, err);
	if (r == 0)
		port->remotes[port->remote_count++] = port->remote.addr;
	return r;
}

static int set_local_host(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	return take_host(value, &port->local, err);
}

static int set_read(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	(void)value;
	(void)err;
	port->write = false;
	return 0;
}

static int set_write(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	(void)value;
	(void)err;
	port->write = true;
	return 0;
}

static int set_speed(struct vnic_port *port, const char *value, struct vnic_error *err)
{
	char *end = NULL;

	if (!strcmp(value, "max")) {
		port->speed = 0;
		return 0;
	}
	if (!strcmp(value, "recorded")) {
		port->speed = 1;
		return 0;
	}
	double speed = isdigit((unsigned char)value[0]) ? strtod(value, &end) : 0;
	if (!end || *end || !(speed >= 0.001 && speed <= 1000000))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value,
				 "speed= takes recorded, max, or a factor from 0.001 to 1000000");
	port->speed = speed;
	return 0;
}

static const struct port_key {
	struct vnic_key key;
	unsigned kinds;
	int (*set)(struct vnic_port *port, const char *value, struct vnic_error *err);
} keys[] = {
	{{"netns", "TARGET"}, ALL & ~(KIND(FD) | KIND(PCAP)), set_netns},
	{{"ip", "ADDRESS/PREFIX"}, DEVICES, set_ip},
	{{"mac", "MAC"}, KIND(TAP) | KIND(VETH), set_mac},
	{{"mtu", "BYTES"}, DEVICES, set_mtu},
	{{"queues", "NUMBER"}, TAPS, set_queues},
	{{"peer", "PATH"}, KIND(DGRAM), take_remote},
	{{"local", "ADDRESS:PORT"}, KIND(UDP), take_local},
	{{"id", "NUMBER"}, KIND(VXLAN), set_vni},
	{{"remote", "ADDRESS[:PORT]"}, KIND(VXLAN), add_remote},
	{{"local", "ADDRESS[:PORT]"}, KIND(VXLAN), set_local_host},
	{{"read", NULL}, KIND(PCAP), set_read},
	{{"write", NULL}, KIND(PCAP), set_write},
	{{"speed", "recorded|max|FACTOR"}, KIND(PCAP), set_speed},
	{{"connect", NULL}, CONNS, set_connect},
	{{"reconnect", "SECONDS"}, CONNS, set_reconnect},
	{{"isolated", NULL}, ALL, set_isolated},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* "in.delay", "out.delay", "delay". */
static enum vnic_direction take_direction(const char **name)
{
	if (!strncmp(*name, "in.", 3)) {
		*name += 3;
		return VNIC_INGRESS;
	}
	if (!strncmp(*name, "out.", 4))
		*name += 4;
	return VNIC_EGRESS;
}

const char *vnic_port_kind_text(enum vnic_port_kind kind)
{
	return kinds[kind].name;
}

const struct vnic_key *vnic_port_key_at(enum vnic_port_kind kind, unsigned index)
{
	for (size_t i = 0; i < KEYS; i++)
		if (keys[i].kinds & 1u << kind && index-- == 0)
			return &keys[i].key;
	return NULL;
}

const struct vnic_key *vnic_port_side_key_at(unsigned index)
{
	static const struct vnic_key filter = {"filter", "EXPRESSION"};

	return index ? impairment_key_at(index - 1) : &filter;
}

/* For parse_nearest: those of its kind and then those that all have. */
static const char *key_at(const void *ctx, int index)
{
	const struct vnic_port *port = ctx;
	const struct vnic_key *key;
	unsigned own = 0;

	while (vnic_port_key_at(port->kind, own))
		own++;
	key = (unsigned)index < own ? vnic_port_key_at(port->kind, (unsigned)index)
				    : vnic_port_side_key_at((unsigned)index - own);
	return key ? key->name : NULL;
}

/* Of a port of any kind. */
static bool is_key(const char *name)
{
	for (size_t i = 0; i < KEYS; i++)
		if (!strcmp(name, keys[i].key.name))
			return true;
	return false;
}

static int refuse_key(const struct vnic_port *port, const char *key, struct vnic_error *err)
{
	const char *name = key, *nearest;
	char list[256] = "";
	size_t len = 0;

	take_direction(&name);
	nearest = is_key(name) ? NULL : parse_nearest(name, key_at, port);
	if (nearest)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, key, "%s ports have no such key; did you mean %s?",
				 kinds[port->kind].name, nearest);
	for (size_t i = 0; i < KEYS; i++)
		if (keys[i].kinds & 1u << port->kind)
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "",
						keys[i].key.name);
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, key,
			 "%s ports have the keys %s, and those for filters and weather", kinds[port->kind].name, list);
}

/* -ENOENT: there is no such key. */
static int set_side_key(struct vnic_port *port, const char *name, const char *value, struct vnic_error *err)
{
	enum vnic_direction direction = take_direction(&name);
	int r;

	if (!strcmp(name, "filter"))
		return parse_copy(value ? value : "", "filter=", port->sides[direction].filter,
				  sizeof(port->sides[direction].filter), err);
	r = vnic_impairment_set(&port->sides[direction].impairment, name, value, err);
	if (r == 0)
		port->sides[direction].impaired = true;
	return r;
}

static int check_sides(const struct vnic_port *port, struct vnic_error *err)
{
	int r = 0;

	for (unsigned d = 0; d < VNIC_DIRECTIONS && r == 0; d++)
		r = impairment_check(&port->sides[d].impairment, err);
	return r;
}

/* An empty filter= takes a filter away. */
static int change_key(struct vnic_port *port, const char *key, const char *value, struct vnic_error *err)
{
	const char *name = key;
	enum vnic_direction direction = take_direction(&name);
	int r;

	if (!strcmp(name, "filter") && value && !*value) {
		port->sides[direction].filter[0] = '\0';
		return 0;
	}
	r = set_side_key(port, key, value, err);
	if (r != -ENOENT)
		return r;
	name = is_key(name) ? NULL : parse_nearest(name, key_at, port);
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, key, "only filters and weather can be changed%s%s%s",
			 name ? "; did you mean " : "", name ? name : "", name ? "?" : "");
}

int vnic_port_change(struct vnic_port *port, const char *keys_text, struct vnic_error *err)
{
	static const char *const many[] = {NULL};
	struct vnic_port changed = *port;
	char copy[512], *cursor = copy, *key = copy, *value = NULL;
	int r = parse_copy(keys_text, "what a port is set to", copy, sizeof(copy), err);

	if (r == 0)
		r = parse_check_twice(keys_text, many, err);
	while (r == 0 && (r = parse_item(&cursor, &key, &value, err)) > 0)
		r = change_key(&changed, key, value, err);
	if (r == 0)
		r = check_sides(&changed, err);
	if (r == 0)
		*port = changed;
	return r;
}

static int set_key(struct vnic_port *port, const char *name, const char *value, struct vnic_error *err)
{
	int r = set_side_key(port, name, value, err);

	if (r != -ENOENT)
		return r;
	for (const struct port_key *key = keys; key < keys + KEYS; key++) {
		if (strcmp(name, key->key.name) != 0 || !(key->kinds & 1u << port->kind))
			continue;
		if (!key->key.value && value)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, name, "this key of a port takes no value");
		if (key->key.value && (!value || !*value))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, name, "this key of a port needs a value: %s=...",
					 name);
		return key->set(port, value, err);
	}
	return refuse_key(port, name, err);
}

/* --- all of it ------------------------------------------------------------------------ */

static int take_argument(struct vnic_port *port, char **cursor, struct vnic_error *err)
{
	char *argument = NULL, *value = NULL;
	int r;

	if (**cursor == '\0' || **cursor == ',')
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, port->text, "what is meant stands behind the colon");
	if (!kinds[port->kind].argument)
		return 0;
	r = parse_item(cursor, &argument, &value, err);
	if (r < 0)
		return r;
	if (value)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, argument, "a port's name comes before its keys");
	return kinds[port->kind].argument(port, argument, err);
}

static int refuse_kind(const char *text, struct vnic_error *err)
{
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
			 "a port is tap:NAME, tun:NAME, link:NAME, veth:NAME, stream:PATH, dgram:PATH, seqpacket:PATH, "
			 "udp:ADDRESS:PORT, vxlan:id=NUMBER, pcap:FILE or fd:N");
}

static int set_kind(struct vnic_port *port, const char *kind, struct vnic_error *err)
{
	for (unsigned i = 0; i < VNIC_PORT_KINDS; i++) {
		if (strcmp(kind, kinds[i].name) != 0)
			continue;
		port->kind = (enum vnic_port_kind)i;
		return 0;
	}
	return refuse_kind(port->text, err);
}

static int check_vxlan(const struct vnic_port *port, struct vnic_error *err)
{
	sa_family_t family = port->remote_count ? port->remote.addr.ss_family : port->local.addr.ss_family;

	if (port->vni == NO_VNI)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, port->text,
				 "a vxlan port needs the number of its network: id=7");
	for (unsigned i = 0; i < port->remote_count; i++)
		if (port->remotes[i].ss_family != family || (port->local.len && port->local.addr.ss_family != family))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, port->text,
					 "all addresses of a vxlan port are IPv4 or all are IPv6");
	return 0;
}

/* What one key alone cannot tell. */
static int check(const struct vnic_port *port, struct vnic_error *err)
{
	int r = check_sides(port, err);

	if (r == 0)
		r = check_mtu(port->mtu, port->addrs, port->addr_count, err);
	if (r < 0)
		return r;
	if (port->kind == VNIC_PORT_VXLAN)
		return check_vxlan(port, err);
	if (port->kind == VNIC_PORT_UDP && port->local.len && port->local.addr.ss_family != port->remote.addr.ss_family)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, port->text,
				 "both addresses of a udp port are IPv4 or both are IPv6");
	if (port->redial_s && port->netns[0] && port->remote.addr.ss_family != AF_UNIX)
		return vnic_fail(
			err, VNIC_STEP_USAGE, EINVAL, port->text,
			"a connection cannot be had again in another namespace: leave out netns= or reconnect=");
	return 0;
}

/* UDP has the same port at both ends where nothing else is said, so that two relays can be written alike. */
static void complete(struct vnic_port *port)
{
	if (port->kind != VNIC_PORT_UDP && port->kind != VNIC_PORT_VXLAN)
		return;
	if (!port->local.len && port->remote.len) {
		bool v6 = port->remote.addr.ss_family == AF_INET6;

		port->local.addr.ss_family = port->remote.addr.ss_family;
		port->local.len = port->remote.len;
		if (v6)
			((struct sockaddr_in6 *)&port->local.addr)->sin6_port =
				((const struct sockaddr_in6 *)&port->remote.addr)->sin6_port;
		else
			((struct sockaddr_in *)&port->local.addr)->sin_port =
				((const struct sockaddr_in *)&port->remote.addr)->sin_port;
	}
	if (!port->local.len)
		take_host("0.0.0.0", &port->local, NULL);
	if (port->kind == VNIC_PORT_VXLAN)
		snprintf(port->text, sizeof(port->text), "vxlan:id=%u", port->vni);
}

int vnic_port_parse(const char *text, struct vnic_port *ret_port, struct vnic_error *err)
{
	static const char *const many[] = {"ip", "remote", NULL};
	struct vnic_port port = {.fd = -1, .vni = NO_VNI, .speed = 1};
	char copy[4096], *cursor, *key = copy, *value = NULL;
	int r = parse_copy(text, "a port", copy, sizeof(copy), err);

	if (r < 0)
		return r;
	snprintf(port.text, sizeof(port.text), "%.*s", (int)strcspn(text, ","), text);
	char *colon = strchr(copy, ':');
	if (!colon || (size_t)(colon - copy) > strcspn(copy, ",="))
		return refuse_kind(text, err);
	*colon = '\0';
	cursor = colon + 1;
	r = set_kind(&port, copy, err);
	if (r == 0)
		r = take_argument(&port, &cursor, err);
	if (r == 0 && cursor)
		r = parse_check_twice(text + (cursor - copy), many, err);
	while (r == 0 && (r = parse_item(&cursor, &key, &value, err)) > 0)
		r = set_key(&port, key, value, err);
	if (r == 0)
		r = check(&port, err);
	if (r < 0)
		return r;
	complete(&port);
	if (port.netns[0]) { /* how messages and counters call it: "tap:eth0@red" */
		size_t len = strlen(port.text);

		snprintf(port.text + len, sizeof(port.text) - len, "@%s", port.netns);
	}
	*ret_port = port;
	return 0;
}
