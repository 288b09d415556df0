/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

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
#define LINK_DEADLINE_MS 10000

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

/* --- deciding ----------------------------------------------------------------------- */

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

/* The router takes host 2 of the first network of each family, or host 1 where the sandbox itself is 2. */
static void default_gw(struct vnic_nic *nic, uint8_t family)
{
	unsigned bits = family == AF_INET ? 32 : 128;

	if (gw_of(nic, family))
		return;
	for (unsigned i = 0; i < nic->addr_count; i++) {
		const struct vnic_addr *addr = &nic->addrs[i];

		if (addr->family != family || addr->prefix > bits - 2)
			continue;
		struct vnic_addr gw = vnic_addr_host(addr, ROUTER_HOST);
		if (same_addr(&gw, addr))
			gw = vnic_addr_host(addr, 1);
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
		if (nic_is_routed(nic))
			plan->outer[plan->outer_count++] = nic->gw[g];
	}
	return 0;
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

/* The forwarder takes host 3 of the first network of each family that has room, or the first free one after it. */
static void place_dns(struct nic_plan *plan, bool ipv6)
{
	for (unsigned i = 0; i < plan->nic.addr_count; i++) {
		const struct vnic_addr *net = &plan->nic.addrs[i];
		bool v6 = net->family == AF_INET6;
		struct vnic_addr addr = vnic_addr_host(net, DNS_HOST);

		if (plan->dns[v6].family || (v6 && !ipv6) || net->prefix > (v6 ? 128 : 32) - 3)
			continue;
		for (uint32_t host = DNS_HOST; is_taken(plan, &addr);)
			addr = vnic_addr_host(net, ++host);
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
		default_addrs(plan, position, !host->no_ipv6, used);
	if (gateway)
		compare_with_host(plan, position, &host->nets);
	if (gateway && !nic->no_gw) {
		default_gw(nic, AF_INET);
		if (!host->no_ipv6)
			default_gw(nic, AF_INET6);
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

bool plan_host_note(const struct nic_plan *plan, char *buf, size_t size)
{
	const struct vnic_addr *v4 = &plan->hosts[0], *shared = v4->family ? v4 : &plan->hosts[1];
	const struct vnic_nic *nic = &plan->nic;
	char theirs[VNIC_ADDR_TEXT], ours[VNIC_ADDR_TEXT], gw[VNIC_ADDR_TEXT];

	if (plan->by_default && v4->family)
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

/* --- carrying out ------------------------------------------------------------------- */

static void add_link(struct vnic_batch *batch, const struct nic_plan *plan, int router_fd, int sandbox_fd)
{
	const struct vnic_nic *nic = &plan->nic;
	struct vnic_link inner = {
		.name = nic->name,
		.index = plan->inner_index,
		.mac = plan->inner_mac,
		.mtu = nic->mtu,
		.has_netns = true,
		.netns_fd = sandbox_fd,
	};
	struct vnic_link outer = {
		.kind = VNIC_LINK_VETH,
		.name = plan->outer_name,
		.index = plan->outer_index,
		.mac = plan->outer_mac,
		.mtu = nic->mtu,
		.up = true,
		.peer = &inner,
	};

	switch (nic->kind) {
	case VNIC_NIC_TAP:
	case VNIC_NIC_TUN:
		return;
	case VNIC_NIC_MACVLAN:
	case VNIC_NIC_MACVTAP:
		inner.kind = nic->kind == VNIC_NIC_MACVLAN ? VNIC_LINK_MACVLAN : VNIC_LINK_MACVTAP;
		inner.parent = plan->lower_index;
		vnic_batch_link_add(batch, &inner);
		return;
	case VNIC_NIC_VETH:
		break;
	}
	if (nic->to == VNIC_TO_BRIDGE) {
		outer.master = plan->lower_index;
	} else {
		outer.has_netns = true;
		outer.netns_fd = router_fd;
	}
	vnic_batch_link_add(batch, &outer);
}

int plan_make_links(const struct plan *plan, struct vnic_nl *nl, int router_fd, int sandbox_fd, struct vnic_error *err)
{
	struct vnic_batch *batch;
	int r = vnic_batch_new(&batch, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < plan->count; i++)
		add_link(batch, &plan->nics[i], router_fd, sandbox_fd);
	r = vnic_batch_send(batch, nl, NULL, err);
	vnic_batch_free(batch);
	return r;
}

#define LO_INDEX 1 /* net/core/dev.c: LOOPBACK_IFINDEX */

static void lo_up(struct vnic_batch *batch)
{
	vnic_batch_link_set(batch, LO_INDEX, &(struct vnic_link){.name = "lo", .up = true});
}

/* Sends what `fill` says, in the caller's namespace. */
static int apply(const struct plan *plan, void (*fill)(const struct plan *plan, struct vnic_batch *batch),
		 struct vnic_error *err)
{
	struct vnic_batch *batch = NULL;
	struct vnic_nl *nl;
	int r = vnic_nl_open(&nl, err);

	if (r < 0)
		return r;
	r = vnic_batch_new(&batch, err);
	if (r == 0) {
		lo_up(batch);
		fill(plan, batch);
		r = vnic_batch_send(batch, nl, NULL, err);
	}
	vnic_batch_free(batch);
	vnic_nl_close(nl);
	return r;
}

bool plan_is_merged(const struct plan *plan, const struct nic_plan *nic)
{
	return nic->nic.kind == VNIC_NIC_VETH && nic_is_gated(&nic->nic) && !plan->captured;
}

static void fill_router(const struct plan *plan, struct vnic_batch *batch)
{
	for (unsigned i = 0; i < plan->count; i++) {
		const struct nic_plan *nic = &plan->nics[i];

		if (!nic_is_routed(&nic->nic))
			continue;
		if (nic->nic.kind != VNIC_NIC_VETH) /* a pair is born so */
			vnic_batch_link_set(batch, nic->outer_index,
					    &(struct vnic_link){.up = true, .txqueuelen = plan_queue(nic)});
		else if (plan_is_merged(plan, nic))
			vnic_batch_link_set(batch, nic->outer_index, &(struct vnic_link){.gso_max = PLAN_GSO_MAX});
		for (unsigned a = 0; a < nic->outer_count; a++)
			vnic_batch_addr_add(batch, nic->outer_index, &nic->outer[a]);
	}
}

int plan_router_side(const struct plan *plan, struct vnic_error *err)
{
	return apply(plan, fill_router, err);
}

/* A device's carrier is there from its first descriptor on; a pair's comes with the second end, a moment later. */
static bool has_carrier_to_wait_for(const struct vnic_nic *nic, enum plan_side side)
{
	return nic->kind == VNIC_NIC_VETH && nic_is_routed(nic) == (side == PLAN_ROUTER);
}

/*
 * Waits for a change.  The questions are asked without waiting and the waiting is done here, where the end of the other
 * processes is seen too: what is waited for may have ended with them.
 */
static int wait_event(const struct vnic_monitor *monitor, const int lifelines[PLAN_LIFELINES], struct vnic_error *err)
{
	struct pollfd fds[1 + PLAN_LIFELINES] = {{.fd = vnic_monitor_get_fd(monitor), .events = POLLIN}};

	for (unsigned i = 0; i < PLAN_LIFELINES; i++)
		fds[1 + i] = (struct pollfd){.fd = lifelines[i], .events = POLLIN | POLLRDHUP};
	if (poll(fds, 1 + PLAN_LIFELINES, LINK_DEADLINE_MS) == 0)
		return -ETIMEDOUT;
	for (unsigned i = 0; i < PLAN_LIFELINES; i++)
		if (fds[1 + i].revents)
			return vnic_fail(err, VNIC_STEP_WAIT, EPIPE, NULL, "the other process has ended");
	return 0;
}

static int wait_carrier(struct vnic_monitor *monitor, const struct nic_plan *nic, const int lifelines[PLAN_LIFELINES],
			struct vnic_error *err)
{
	int r;

	do
		r = vnic_monitor_wait_link(monitor, nic->outer_index, nic->outer_name, VNIC_LINK_OPER_UP, 0, err);
	while (r == -ETIMEDOUT && (r = wait_event(monitor, lifelines, err)) == 0);
	return r;
}

static int wait_addr(struct vnic_monitor *monitor, int index, const struct vnic_addr *addr,
		     const int lifelines[PLAN_LIFELINES], struct vnic_error *err)
{
	int r;

	do
		r = vnic_monitor_wait_addr(monitor, index, addr, 0, err);
	while (r == -ETIMEDOUT && (r = wait_event(monitor, lifelines, err)) == 0);
	return r;
}

/* Those of IPv4 work at once. */
static int wait_addrs(struct vnic_monitor *monitor, int index, const struct vnic_addr *addrs, unsigned count,
		      const int lifelines[PLAN_LIFELINES], struct vnic_error *err)
{
	int r = 0;

	for (unsigned i = 0; i < count && r == 0; i++)
		if (addrs[i].family == AF_INET6)
			r = wait_addr(monitor, index, &addrs[i], lifelines, err);
	return r;
}

static int wait_nic(struct vnic_monitor *monitor, const struct nic_plan *nic, enum plan_side side,
		    const int lifelines[PLAN_LIFELINES], struct vnic_error *err)
{
	int r = has_carrier_to_wait_for(&nic->nic, side) ? wait_carrier(monitor, nic, lifelines, err) : 0;

	if (r == 0 && side == PLAN_ROUTER && nic_is_routed(&nic->nic))
		r = wait_addrs(monitor, nic->outer_index, nic->outer, nic->outer_count, lifelines, err);
	return r;
}

int plan_wait(const struct plan *plan, enum plan_side side, const int lifelines[PLAN_LIFELINES], struct vnic_error *err)
{
	struct vnic_monitor *monitor = NULL;
	int r = 0;

	for (unsigned i = 0; i < plan->count && r == 0; i++) {
		const struct nic_plan *nic = &plan->nics[i];

		if (nic_is_routed(&nic->nic) != (side == PLAN_ROUTER))
			continue;
		if (!monitor)
			r = vnic_monitor_open(&monitor, err);
		if (r == 0)
			r = wait_nic(monitor, nic, side, lifelines, err);
	}
	vnic_monitor_close(monitor);
	return r;
}

static void add_addresses(const struct nic_plan *plan, struct vnic_batch *batch)
{
	const struct vnic_nic *nic = &plan->nic;

	for (unsigned a = 0; a < nic->addr_count; a++)
		vnic_batch_addr_add(batch, plan->inner_index, &nic->addrs[a]);
	for (unsigned g = 0; g < nic->gw_count; g++) {
		struct vnic_addr any = {.family = nic->gw[g].family};

		vnic_batch_route_add(batch, &(struct vnic_route){
						    .dst = any,
						    .gateway = nic->gw[g],
						    .oif = plan->inner_index,
						    .priority = plan->priority,
					    });
	}
}

static void fill_sandbox(const struct plan *plan, struct vnic_batch *batch)
{
	for (unsigned i = 0; i < plan->count; i++) {
		const struct nic_plan *plan_nic = &plan->nics[i];
		const struct vnic_nic *nic = &plan_nic->nic;
		bool merged = plan_is_merged(plan, plan_nic);

		vnic_batch_link_set(
			batch, plan_nic->inner_index,
			&(struct vnic_link){.name = nic->name, .up = true, .gso_max = merged ? PLAN_GSO_MAX : 0});
		if (merged)
			vnic_batch_queue_set(batch, plan_nic->inner_index, PLAN_QUEUE);
		if (!nic->dhcp)
			add_addresses(plan_nic, batch);
	}
}

int plan_sandbox_side(const struct plan *plan, int lifeline, struct vnic_error *err)
{
	const int lifelines[PLAN_LIFELINES] = {lifeline, -1};
	struct vnic_monitor *monitor = NULL;
	int r = apply(plan, fill_sandbox, err);

	if (r == 0 && plan->count)
		r = vnic_monitor_open(&monitor, err);
	for (unsigned i = 0; i < plan->count && r == 0; i++)
		if (!plan->nics[i].nic.dhcp)
			r = wait_addrs(monitor, plan->nics[i].inner_index, plan->nics[i].nic.addrs,
				       plan->nics[i].nic.addr_count, lifelines, err);
	vnic_monitor_close(monitor);
	return r;
}

int plan_open_device(const struct nic_plan *plan, const char *name, const struct vnic_mac *mac,
		     struct vnic_tap *ret_tap, struct vnic_error *err)
{
	bool handed = nic_is_handed(&plan->nic);
	struct vnic_tap_config config = {
		.tun = plan->nic.kind == VNIC_NIC_TUN,
		.name = name,
		.queues = plan->nic.queues,
		.vnet_hdr = true,
		.offloads = handed ? 0 : VNIC_OFFLOAD_ALL,
		.persistent = plan->nic.to == VNIC_TO_NONE,
		.mtu = plan->nic.mtu,
	};

	if (!config.tun)
		config.mac = *mac;
	return vnic_tap_open(&config, ret_tap, err);
}
