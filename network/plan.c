/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a sandbox's NICs are to be, decided; plan_apply.c carries it out. */
#include "plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

/*
 * Above those that tunnel drivers take in each new namespace (tunl0, sit0, ...).  The two ends must differ: a
 * link whose peer has its own ifindex looks like one without a peer, and the kernel lets its carrier
 * wait for up to a second (linkwatch_urgent_event, net/core/link_watch.c).
 */
#define FIRST_INNER 100
#define FIRST_OUTER 200
#define FIRST_HOST 0x1000000
#define DEFAULT_MTU 1500
#define ROUTER_HOST 2 /* 10.0.2.2, fd00::2; the networks are chosen in subnet.c */
#define DNS_HOST 3
#define SANDBOX_HOST 0x64
#define SANDBOX_HOST6 0x100

bool plan_has_router(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->count; i++)
		if (nic_is_routed(&plan->nics[i].nic) || nic_is_relayed(&plan->nics[i].nic))
			return true;
	return false;
}

bool plan_is_relayed(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->count; i++)
		if (nic_is_relayed(&plan->nics[i].nic))
			return true;
	return false;
}

bool plan_is_handed(const struct plan *plan)
{
	return plan->count && nic_is_handed(&plan->nics[0].nic);
}

bool plan_is_long(const struct plan *plan, const struct nic_plan *nic)
{
	return nic->nic.kind == VNIC_NIC_VETH && nic_is_gated(&nic->nic) && !plan->captured;
}

/* 10.0.2.100/24 and fd00::100/64; the next NIC has 10.0.3.100/24 and fd00:0:0:1::100/64. */
static void default_addrs(struct nic_plan *plan, unsigned position, bool ipv6, struct subnets *used)
{
	static const struct {
		uint8_t family;
		uint32_t host;
	} kinds[] = {{AF_INET, SANDBOX_HOST}, {AF_INET6, SANDBOX_HOST6}};
	struct vnic_nic *nic = &plan->nic;

	for (unsigned i = 0; i < (ipv6 ? 2 : 1); i++) {
		struct vnic_addr net = subnets_choose(used, kinds[i].family, position);

		subnets_add(used, &net);
		nic->addrs[nic->addr_count++] = vnic_addr_host(&net, kinds[i].host);
	}
	plan->by_default = true;
}

/* Where the sandbox's NIC and the host's own links share addresses, or would with the usual plan. */
static void compare_with_host(struct nic_plan *plan, unsigned position, const struct subnets *host)
{
	for (unsigned i = 0; i < plan->nic.addr_count; i++) {
		struct vnic_addr usual = subnets_usual(plan->nic.addrs[i].family, position);
		const struct vnic_addr *shared = subnets_find(host, plan->by_default ? &usual : &plan->nic.addrs[i]);
		struct vnic_addr *place = &plan->hosts[plan->nic.addrs[i].family == AF_INET6];

		if (shared && !place->family)
			*place = *shared;
	}
}

static const struct vnic_addr *gw_of(const struct vnic_nic *nic, uint8_t family)
{
	for (unsigned i = 0; i < nic->gw_count; i++)
		if (nic->gw[i].family == family)
			return &nic->gw[i];
	return NULL;
}

static bool same_addr(const struct vnic_addr *a, const struct vnic_addr *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static bool has_room(const struct vnic_addr *addr)
{
	return addr->prefix <= (addr->family == AF_INET ? 32 : 128) - 2;
}

static bool is_taken(const struct nic_plan *plan, const struct vnic_addr *addr)
{
	for (unsigned i = 0; i < plan->nic.addr_count; i++)
		if (same_addr(&plan->nic.addrs[i], addr))
			return true;
	for (unsigned i = 0; i < plan->outer_count; i++)
		if (same_addr(&plan->outer[i], addr))
			return true;
	return false;
}

/* The last address of an IPv4 subnet is for broadcasts. */
static bool is_in(const struct vnic_addr *net, uint32_t host)
{
	unsigned bits = (net->family == AF_INET ? 32u : 128u) - net->prefix;

	return bits >= 32 || host < (1u << bits) - (net->family == AF_INET);
}

/* The first free host of the network from this one on; false: there is none. */
static bool find_free(const struct nic_plan *plan, const struct vnic_addr *net, uint32_t host,
		      struct vnic_addr *ret_addr)
{
	for (; is_in(net, host); host++) {
		*ret_addr = vnic_addr_host(net, host);
		if (!is_taken(plan, ret_addr))
			return true;
	}
	return false;
}

/* The router takes host 2 of the first network of each family; host 1, then a later one, where the sandbox has that. */
static void default_gw(struct nic_plan *plan, uint8_t family)
{
	struct vnic_nic *nic = &plan->nic;

	if (gw_of(nic, family))
		return;
	for (unsigned i = 0; i < nic->addr_count; i++) {
		const struct vnic_addr *addr = &nic->addrs[i];

		if (addr->family != family || !has_room(addr))
			continue;
		struct vnic_addr gw = vnic_addr_host(addr, ROUTER_HOST);
		if (is_taken(plan, &gw))
			gw = vnic_addr_host(addr, 1);
		if (is_taken(plan, &gw) && !find_free(plan, addr, DNS_HOST, &gw))
			continue;
		nic->gw[nic->gw_count++] = gw;
		return;
	}
}

/* A gateway address takes the prefix of the network it lies in. */
static int place_gateways(struct nic_plan *plan, struct vnic_error *err)
{
	struct vnic_nic *nic = &plan->nic;
	char text[VNIC_ADDR_TEXT];

	for (unsigned g = 0; g < nic->gw_count; g++) {
		const struct vnic_addr *net = NULL;

		for (unsigned i = 0; i < nic->addr_count && !net; i++) {
			if (same_addr(&nic->addrs[i], &nic->gw[g]))
				return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, vnic_addr_text(&nic->gw[g], false, text),
						 "it is both ip= and gw= of the same NIC");
			if (vnic_addr_contains(&nic->addrs[i], &nic->gw[g]))
				net = &nic->addrs[i];
		}
		if (!net)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, vnic_addr_text(&nic->gw[g], false, text),
					 "gw= lies in none of the NIC's networks (ip=)");
		nic->gw[g].prefix = net->prefix;
		if (host_flaw(&nic->gw[g]))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, vnic_addr_text(&nic->gw[g], true, text), "%s",
					 host_flaw(&nic->gw[g]));
		if (nic_is_routed(nic))
			plan->outer[plan->outer_count++] = nic->gw[g];
	}
	return 0;
}

/* The forwarder takes host 3 of the first network of each family that has room, or the first free one after it. */
static void place_dns(struct nic_plan *plan, bool ipv6)
{
	for (unsigned i = 0; i < plan->nic.addr_count; i++) {
		const struct vnic_addr *net = &plan->nic.addrs[i];
		bool v6 = net->family == AF_INET6;
		struct vnic_addr addr;

		if (plan->dns[v6].family || (v6 && !ipv6) || net->prefix > (v6 ? 128 : 32) - 3)
			continue;
		if (find_free(plan, net, DNS_HOST, &addr))
			plan->dns[v6] = plan->outer[plan->outer_count++] = addr;
	}
}

/* A server of DHCP has an address of its own in each network. */
static int check_dhcp(const struct vnic_nic *nic, struct vnic_error *err)
{
	char text[VNIC_ADDR_TEXT];

	for (unsigned i = 0; i < nic->addr_count && nic->dhcp; i++)
		if (!gw_of(nic, nic->addrs[i].family))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, vnic_addr_text(&nic->addrs[i], true, text),
					 "this network has no room for the router, which ip=dhcp asks");
	return 0;
}

/*
 * On the host many sandboxes meet: there name and index are made of the MAC, which is random.  The index must be
 * chosen too, or the kernel overlooks the one chosen for the inner end (veth_newlink, drivers/net/veth.c).
 */
static void name_outer(struct nic_plan *plan, unsigned position)
{
	const uint8_t *mac = plan->outer_mac.bytes;

	if (plan->nic.to == VNIC_TO_BRIDGE) {
		snprintf(plan->outer_name, IFNAMSIZ, "vnic%02x%02x%02x%02x", mac[2], mac[3], mac[4], mac[5]);
		plan->outer_index = FIRST_HOST + (mac[3] << 16 | mac[4] << 8 | mac[5]);
	} else {
		snprintf(plan->outer_name, IFNAMSIZ, "nic%u", position);
		plan->outer_index = FIRST_OUTER + (int)position;
	}
}

/* A guest that is saved and resumed, behind another router, still knows its MAC. */
static int choose_outer_mac(struct nic_plan *plan, unsigned position, struct vnic_error *err)
{
	if (!nic_is_handed(&plan->nic) || plan->nic.to == VNIC_TO_BRIDGE)
		return vnic_mac_random(&plan->outer_mac, err);
	plan->outer_mac = (struct vnic_mac){{0x02, 'v', 'n', 'i', 'c', (uint8_t)(0x20 + position)}, true};
	return 0;
}

static int decide(struct nic_plan *plan, unsigned position, const struct plan_host *host, struct subnets *used,
		  struct vnic_error *err)
{
	struct vnic_nic *nic = &plan->nic;
	bool gateway = nic_is_gated(nic);
	int r = 0;

	if (!nic->name[0])
		snprintf(nic->name, sizeof(nic->name), "eth%u", position);
	if (!nic->mtu && !nic_needs_host(nic))
		nic->mtu = DEFAULT_MTU;
	if (!nic->addr_count && gateway)
		default_addrs(plan, position, !host->no_ipv6 && nic->mtu >= IPV6_LEAST_MTU, used);
	if (gateway)
		compare_with_host(plan, position, &host->nets);
	if (gateway && !nic->no_gw) {
		default_gw(plan, AF_INET);
		if (!host->no_ipv6)
			default_gw(plan, AF_INET6);
	}
	plan->inner_index = FIRST_INNER + (int)position;
	plan->priority = position ? 1024 + position : 0;
	plan->inner_mac = nic->mac;
	if (!plan->inner_mac.set)
		r = vnic_mac_random(&plan->inner_mac, err);
	if (r == 0)
		r = choose_outer_mac(plan, position, err);
	if (r < 0)
		return r;
	name_outer(plan, position);
	r = place_gateways(plan, err);
	if (r == 0 && gateway && !nic->no_gw)
		place_dns(plan, !host->no_ipv6);
	return r < 0 ? r : check_dhcp(nic, err);
}

/* What a default must keep clear of: the host's networks, and those that other NICs were given. */
static void gather_used(const struct vnic_nic *nics, unsigned count, const struct subnets *host,
			struct subnets *ret_used)
{
	*ret_used = *host;
	for (unsigned i = 0; i < count; i++)
		for (unsigned a = 0; a < nics[i].addr_count; a++)
			subnets_add(ret_used, &nics[i].addrs[a]);
}

int plan_make(const struct vnic_nic *nics, unsigned count, const struct plan_host *host, struct plan *ret_plan,
	      struct vnic_error *err)
{
	struct plan plan = {.count = count};
	struct subnets used;

	if (count > VNIC_NICS)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--nic", "a sandbox takes %d NICs at most", VNIC_NICS);
	gather_used(nics, count, &host->nets, &used);
	for (unsigned i = 0; i < count; i++) {
		plan.nics[i].nic = nics[i];
		int r = decide(&plan.nics[i], i, host, &used, err);
		if (r < 0)
			return r;
		if (nic_is_gated(&nics[i]))
			plan.no_ipv6 = host->no_ipv6;
		for (unsigned j = 0; j < i; j++)
			if (!strcmp(plan.nics[j].nic.name, plan.nics[i].nic.name))
				return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, plan.nics[i].nic.name,
						 "two NICs have this name");
	}
	*ret_plan = plan;
	return 0;
}

bool plan_note(const struct nic_plan *plan, char *buf, size_t size)
{
	const struct vnic_addr *v4 = &plan->hosts[0], *shared = v4->family ? v4 : &plan->hosts[1];
	const struct vnic_nic *nic = &plan->nic;
	char theirs[VNIC_ADDR_TEXT], ours[VNIC_ADDR_TEXT], gw[VNIC_ADDR_TEXT];

	if (nic_is_gated(nic) && !nic->no_gw && !nic->gw_count &&
	    (nic->addrs[0].family == AF_INET || !has_room(&nic->addrs[0])))
		snprintf(buf, size,
			 "%s leads nowhere: its network has no room for a router (say gw=none if that is meant)",
			 nic->name);
	else if (plan->by_default && v4->family)
		snprintf(buf, size, "the host is %s itself: %s is %s, and its router %s",
			 vnic_addr_text(v4, true, theirs), nic->name, vnic_addr_text(&nic->addrs[0], true, ours),
			 nic->gw_count ? vnic_addr_text(&nic->gw[0], false, gw) : "unnamed");
	else if (!plan->by_default && shared->family)
		snprintf(buf, size, "the host is %s itself: what is there the sandbox looks for at its own %s",
			 vnic_addr_text(shared, true, theirs), nic->name);
	else
		return false;
	return true;
}

int plan_resolve(struct plan *plan, struct vnic_nl *nl, struct vnic_error *err)
{
	for (unsigned i = 0; i < plan->count; i++) {
		struct nic_plan *nic = &plan->nics[i];
		const char *name = nic->nic.to == VNIC_TO_BRIDGE ? nic->nic.to_name : nic->nic.parent;
		struct vnic_link_info info;

		if (!nic_needs_host(&nic->nic))
			continue;
		int r = vnic_link_get(nl, 0, name, &info, err);
		if (r < 0)
			return r;
		if (nic->nic.to == VNIC_TO_BRIDGE && strcmp(info.kind, "bridge") != 0)
			return vnic_fail(err, VNIC_STEP_LINK_GET, EINVAL, name, "it is not a bridge");
		nic->lower_index = info.index;
		if (!nic->nic.mtu)
			nic->nic.mtu = info.mtu;
	}
	return 0;
}
