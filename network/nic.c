/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of a NIC: "kind,key=value,...". */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <vnic/sandbox.h>

#include "parse.h"

static const char *const kinds[] = {
	[VNIC_NIC_VETH] = "veth",       [VNIC_NIC_TAP] = "tap",         [VNIC_NIC_TUN] = "tun",
	[VNIC_NIC_MACVLAN] = "macvlan", [VNIC_NIC_MACVTAP] = "macvtap",
};

const char *vnic_nic_kind_text(enum vnic_nic_kind kind)
{
	return kinds[kind];
}

/* --- keys ----------------------------------------------------------------------------- */

static int set_name(struct vnic_nic *nic, const char *value, struct vnic_error *err)
{
	return parse_ifname(value, "name=", nic->name, err);
}

static int set_ip(struct vnic_nic *nic, const char *value, struct vnic_error *err)
{
	if (!strcmp(value, "dhcp")) {
		nic->dhcp = true;
		return 0;
	}
	if (nic->addr_count == VNIC_NIC_ADDRS)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value, "a NIC takes %d addresses at most",
				 VNIC_NIC_ADDRS);
	if (!strchr(value, '/'))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value,
				 "ip= needs a prefix length, as in 10.0.2.100/24, or is dhcp");
	int r = parse_host(value, &nic->addrs[nic->addr_count], err);
	if (r == 0)
		nic->addr_count++;
	return r;
}

static int set_gw(struct vnic_nic *nic, const char *value, struct vnic_error *err)
{
	struct vnic_addr gw;

	if (!strcmp(value, "none")) {
		nic->no_gw = true;
		return 0;
	}
	if (strchr(value, '/'))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value,
				 "gw= is an address without a prefix length, or none");
	int r = vnic_addr_parse(value, &gw, err);
	if (r < 0)
		return r;
	if (nic->gw_count == 2 || (nic->gw_count == 1 && nic->gw[0].family == gw.family))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value, "a NIC takes one gw= of each address family");
	nic->gw[nic->gw_count++] = gw;
	return 0;
}

static int set_to(struct vnic_nic *nic, const char *value, struct vnic_error *err)
{
	if (!strcmp(value, "gateway"))
		nic->to = VNIC_TO_GATEWAY;
	else if (!strcmp(value, "none"))
		nic->to = VNIC_TO_NONE;
	else if (!strncmp(value, "bridge:", 7)) {
		nic->to = VNIC_TO_BRIDGE;
		return parse_ifname(value + 7, "a bridge's name", nic->to_name, err);
	} else
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, value, "to= takes gateway, bridge:NAME or none");
	return 0;
}

static int set_mac(struct vnic_nic *nic, const char *value, struct vnic_error *err)
{
	return vnic_mac_parse(value, &nic->mac, err);
}

static int set_mtu(struct vnic_nic *nic, const char *value, struct vnic_error *err)
{
	return parse_u32(value, "mtu=", 68, 65535, &nic->mtu, err);
}

static int set_queues(struct vnic_nic *nic, const char *value, struct vnic_error *err)
{
	return parse_u32(value, "queues=", 1, VNIC_TAP_QUEUES, &nic->queues, err);
}

static int set_parent(struct vnic_nic *nic, const char *value, struct vnic_error *err)
{
	return parse_ifname(value, "parent=", nic->parent, err);
}

#define ALL ~0u
#define TUN (1u << VNIC_NIC_TUN)
#define TAPS (1u << VNIC_NIC_TAP | TUN)
#define ETHER (1u << VNIC_NIC_VETH | 1u << VNIC_NIC_TAP)
#define GUEST (1u << VNIC_NIC_KINDS) /* a VMM's tap; what it may not have build.c refuses */
#define LOWER (1u << VNIC_NIC_MACVLAN | 1u << VNIC_NIC_MACVTAP)

static const struct nic_key {
	struct vnic_key key;
	unsigned kinds;
	int (*set)(struct vnic_nic *nic, const char *value, struct vnic_error *err);
} keys[] = {
	{{"name", "NAME"}, ALL & ~GUEST, set_name},
	{{"ip", "ADDRESS/PREFIX|dhcp"}, ETHER | GUEST, set_ip},
	{{"ip", "ADDRESS/PREFIX"}, TUN | LOWER, set_ip},
	{{"gw", "ADDRESS|none"}, ALL, set_gw},
	{{"mac", "MAC"}, ALL & ~TUN, set_mac},
	{{"mtu", "BYTES"}, ALL, set_mtu},
	{{"queues", "NUMBER"}, TAPS | GUEST, set_queues},
	{{"to", "gateway|bridge:NAME|none"}, ETHER, set_to},
	{{"to", "gateway|bridge:NAME"}, GUEST, set_to},
	{{"to", "gateway|none"}, TUN, set_to},
	{{"parent", "LINK"}, LOWER, set_parent},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

const struct vnic_key *vnic_nic_key_at(enum vnic_nic_kind kind, unsigned index)
{
	for (size_t i = 0; i < KEYS; i++)
		if (keys[i].kinds & 1u << kind && index-- == 0)
			return &keys[i].key;
	return NULL;
}

static int refuse_key(const struct vnic_nic *nic, const char *name, struct vnic_error *err)
{
	const struct vnic_key *key;
	char list[128] = "";
	size_t len = 0;

	for (unsigned i = 0; (key = vnic_nic_key_at(nic->kind, i)); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "", key->name);
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, name, "a %s has the keys %s", kinds[nic->kind], list);
}

static int set_key(struct vnic_nic *nic, const char *name, const char *value, struct vnic_error *err)
{
	for (const struct nic_key *key = keys; key < keys + KEYS; key++) {
		if (strcmp(name, key->key.name) != 0 || !(key->kinds & 1u << nic->kind))
			continue;
		if (!value || !*value)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, name, "this key of a NIC needs a value: %s=...",
					 name);
		return key->set(nic, value, err);
	}
	return refuse_key(nic, name, err);
}

/* --- all of it ------------------------------------------------------------------------ */

static int set_kind(struct vnic_nic *nic, const char *text, struct vnic_error *err)
{
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(text, kinds[i])) {
			nic->kind = (enum vnic_nic_kind)i;
			return 0;
		}
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "a NIC is a veth, tap, tun, macvlan or macvtap");
}

/* The router is the server, and one address of each family is what it has to give. */
static int check_dhcp(const struct vnic_nic *nic, struct vnic_error *err)
{
	unsigned v6 = 0;

	for (unsigned i = 0; i < nic->addr_count; i++)
		v6 += nic->addrs[i].family == AF_INET6;
	if (nic->kind == VNIC_NIC_TUN || nic->parent[0] || nic->to != VNIC_TO_GATEWAY)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "ip=dhcp", "only a veth or tap on the gateway has it");
	if (nic->no_gw)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "ip=dhcp", "it and gw=none exclude each other");
	if (v6 > 1 || nic->addr_count - v6 > 1)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "ip=dhcp",
				 "beside it a NIC takes one ip= of each address family");
	return 0;
}

/* What one key can say only together with another. */
static int check(const struct vnic_nic *nic, struct vnic_error *err)
{
	const char *kind = kinds[nic->kind];

	if (1u << nic->kind & LOWER && !nic->parent[0])
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, kind,
				 "it needs parent=NAME, the link of the host that it stands on");
	if (nic->kind == VNIC_NIC_TUN && nic->to == VNIC_TO_BRIDGE)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, kind, "a TUN device cannot be a port of a bridge");
	if (!strcmp(nic->name, "lo"))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, nic->name, "the loopback has this name");
	if (nic->no_gw && nic->gw_count)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, kind, "gw=none and a gw= address exclude each other");
	int r = check_mtu(nic->mtu, nic->addrs, nic->addr_count, err);
	return r == 0 && nic->dhcp ? check_dhcp(nic, err) : r;
}

int vnic_nic_parse(const char *text, struct vnic_nic *ret_nic, struct vnic_error *err)
{
	static const char *const many[] = {"ip", "gw", NULL};
	struct vnic_nic nic = {0};
	char copy[1024], *cursor = copy, *key = copy, *value = NULL;
	int r = parse_copy(text, "--nic", copy, sizeof(copy), err);

	if (r == 0)
		r = parse_item(&cursor, &key, &value, err);
	if (r < 0)
		return r;
	if (value)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, key, "a NIC begins with its kind, as in veth,%s=...",
				 key);
	r = set_kind(&nic, key, err);
	if (r == 0)
		r = parse_check_twice(text, many, err);
	while (r == 0 && (r = parse_item(&cursor, &key, &value, err)) > 0)
		r = set_key(&nic, key, value, err);
	if (r == 0)
		r = check(&nic, err);
	if (r == 0)
		*ret_nic = nic;
	return r;
}
