/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sandbox's side of its NICs, built by init in the sandbox before the command runs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <vnic/fdpass.h>

#include "build.h"
#include "enter.h"
#include "fd.h"

/* As for the router's sockets (slowpath_unpace); reno is the one that every namespace may choose. */
static void choose_congestion_control(void)
{
	static const char path[] = "/proc/sys/net/ipv4/tcp_congestion_control";

	if (!ns_set_sysctl(path, "cubic"))
		ns_set_sysctl(path, "reno");
}

static void leave_to_others(struct build *build)
{
	ns_step_close(&build->router_step);
	gate_close(&build->gate);
	nic_capture_close(&build->capture);
	close_fd(&build->devices[0]);
	close_fd(&build->opener[0]);
	close_fd(&build->opener[1]);
	for (unsigned i = 0; i < build->plan.count; i++)
		if (!nic_is_handed(&build->plan.nics[i].nic))
			vnic_tap_close(&build->host_taps[i]);
}

/* The kernel chooses a device's index: it goes into our copy of the plan. */
static int open_devices(struct build *build, struct vnic_error *err)
{
	int r = 0;

	for (unsigned i = 0; i < build->plan.count && r == 0; i++) {
		struct nic_plan *plan = &build->plan.nics[i];
		CLEANUP(vnic_tap_close) struct vnic_tap tap = VNIC_TAP_EMPTY;

		if (plan->nic.kind != VNIC_NIC_TAP && plan->nic.kind != VNIC_NIC_TUN)
			continue;
		r = plan_open_device(plan, plan->nic.name, &plan->inner_mac, &tap, err);
		if (r < 0)
			break;
		plan->inner_index = tap.index;
		if (nic_is_relayed(&plan->nic))
			r = vnic_fd_send(build->devices[1], tap.fds, tap.queues, &i, sizeof(i), err);
	}
	close_fd(&build->devices[1]);
	return r;
}

/* --- a VMM's ------------------------------------------------------------------------ */

static int put(const int *fds, const int *places, unsigned count, struct vnic_error *err)
{
	for (unsigned i = 0; i < count; i++)
		if (dup2(fds[i], places[i]) < 0) /* without close-on-exec */
			return vnic_fail(err, VNIC_STEP_SANDBOX, errno, "a VMM's descriptor", NULL);
	return 0;
}

/* The next one that the router hands over. */
static int take_device(struct build *build, struct vnic_error *err)
{
	int fds[VNIC_TAP_QUEUES];
	unsigned count = 0, nic = 0;
	size_t size;
	int r = vnic_fd_recv(build->devices[1], fds, VNIC_TAP_QUEUES, &count, &nic, sizeof(nic), &size, err);

	if (r < 0)
		return r;
	if (size != sizeof(nic) || nic >= build->plan.count)
		r = vnic_fail(err, VNIC_STEP_SANDBOX, EPROTO, "devices", "the router ended before it had made them");
	else
		r = put(fds, build->plan.nics[nic].nic.places, count, err);
	for (unsigned i = 0; i < count; i++)
		close_fd(&fds[i]);
	return r;
}

static int take_devices(struct build *build, struct vnic_error *err)
{
	int r = build->has_router ? ns_step_wait(build->linked, build->init_step.child, err) : 0;

	for (unsigned i = 0; i < build->plan.count && r == 0; i++) {
		const struct vnic_tap *tap = &build->host_taps[i];

		if (tap->queues)
			r = put(tap->fds, build->plan.nics[i].nic.places, tap->queues, err);
		else
			r = take_device(build, err);
	}
	return r;
}

/* --- a command's -------------------------------------------------------------------- */

static bool has_resolv(const struct build *build)
{
	return build->resolv.listen[0].family || build->resolv.listen[1].family;
}

/*
 * Who may have ping sockets: all groups (GID_T_MAX, net/ipv4/ping.c), or of a user namespace, which need not have so
 * many, one.  That may also be the namespace of a sandbox around this one.
 */
static void let_ping(const struct build *build)
{
	static const char path[] = "/proc/sys/net/ipv4/ping_group_range";
	unsigned group = build->user ? build->sandbox_map.gids[0].inside : getegid();
	char one[32];

	snprintf(one, sizeof(one), "%u %u", group, group);
	if (build->user || !ns_set_sysctl(path, "0 2147483647"))
		ns_set_sysctl(path, one);
}

int build_sandbox_side(void *ctx, struct vnic_error *err)
{
	struct build *build = ctx;
	unsigned kept = 0;
	int r;

	leave_to_others(build);
	if (plan_is_handed(&build->plan))
		return take_devices(build, err);
	if (!(build->spawn.namespaces & CLONE_NEWNET))
		return 0;
	/* Where /proc/sys may not be written the sandbox works all the same, but for ping and low ports. */
	let_ping(build);
	ns_set_sysctl("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	if (build->has_gateway)
		choose_congestion_control();
	if (has_resolv(build))
		resolv_mount(&build->resolv, &kept, NULL); /* while the router is made */
	r = open_devices(build, err);
	if (r == 0 && build->plan.count)
		r = ns_step_wait(build->linked, build->init_step.child, err);
	if (r == 0)
		r = plan_sandbox_side(&build->plan, build->init_step.child, err);
	return r < 0 ? r : (int)kept;
}

static int open_netns(pid_t pid, int *ret_fd, struct vnic_error *err)
{
	char path[64];
	int fd;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	else
		snprintf(path, sizeof(path), "/proc/self/ns/net");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, errno, path, NULL);
	*ret_fd = fd;
	return 0;
}

int build_links(struct build *build, pid_t router, const struct vnic_child *init, struct vnic_error *err)
{
	CLEANUP_FD int router_fd = -1, init_fd = -1;
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	int r = ns_step_wait(build->init_step.netns, init->control, err);

	if (r == 0)
		r = open_netns(router, &router_fd, err);
	if (r == 0)
		r = open_netns(ns_proc_pid(init->pid, init->pidfd), &init_fd, err);
	if (r == 0)
		r = vnic_nl_open(&nl, err);
	if (r == 0)
		r = plan_make_links(&build->plan, nl, router_fd, init_fd, err);
	return r < 0 ? r : ns_step_signal(build->linked, err);
}
