/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A plan carried out: links, addresses and routes on each of its sides, and the wait until they carry frames. */
#include "plan.h"

#include <errno.h>
#include <poll.h>

#define LINK_DEADLINE_MS 10000

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

static void fill_router(const struct plan *plan, struct vnic_batch *batch)
{
	for (unsigned i = 0; i < plan->count; i++) {
		const struct nic_plan *nic = &plan->nics[i];

		if (!nic_is_routed(&nic->nic))
			continue;
		if (nic->nic.kind != VNIC_NIC_VETH) /* a pair is born so */
			vnic_batch_link_set(batch, nic->outer_index,
					    &(struct vnic_link){.up = true, .txqueuelen = plan_queue(nic)});
		else if (plan_is_long(plan, nic))
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
			return vnic_fail(err, VNIC_STEP_WAIT, EPIPE, NULL,
					 "a process of vnic has ended before its time");
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
		uint32_t gso_max = plan_is_long(plan, plan_nic) ? PLAN_GSO_MAX : 0;

		vnic_batch_link_set(batch, plan_nic->inner_index,
				    &(struct vnic_link){.name = nic->name, .up = true, .gso_max = gso_max});
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
