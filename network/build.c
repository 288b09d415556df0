/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sandbox before its first process: what was asked is checked, everything is decided, and what belongs to
 * the host (bridges, published ports, socket pairs) is opened.
 */
#include "build.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "enter.h"
#include "fd.h"
#include "slowpath.h"

#define NOBODY 65534
#define HANDED_QUEUES 253 /* of descriptors in a message: SCM_MAX_FD, include/net/scm.h */

static unsigned gateway_nics(const struct vnic_sandbox_config *config)
{
	unsigned count = 0;

	for (unsigned i = 0; i < config->nic_count; i++)
		count += nic_is_gated(&config->nics[i]);
	return count;
}

/* A VMM's. */
static int check_handed(const struct vnic_sandbox_config *config, unsigned count, struct vnic_error *err)
{
	for (unsigned i = 0; i < config->nic_count; i++) {
		const struct vnic_nic *nic = &config->nics[i];

		if (count != config->nic_count || nic->kind != VNIC_NIC_TAP)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, vnic_nic_kind_text(nic->kind),
					 "a VMM takes NICs of the kind tap");
		if (nic->to == VNIC_TO_NONE)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "to=none",
					 "a VMM's NIC goes to the gateway or to a bridge");
		if (nic->name[0])
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, nic->name, "the guest names its NICs itself");
		if (nic->queues > HANDED_QUEUES)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL,
					 "queues=", "a VMM's NIC has from 1 to %d of them", HANDED_QUEUES);
	}
	return 0;
}

static int check_placed(const struct vnic_sandbox_config *config, struct vnic_error *err)
{
	unsigned namespaces = config->spawn.namespaces;

	if (config->nic_count && !(namespaces & CLONE_NEWNET))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--nic",
				 "NICs need a network namespace of their own: leave out --share net");
	if (config->rootless && config->nic_count && !(namespaces & CLONE_NEWUSER))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--share user",
				 "without root a sandbox with NICs needs a user namespace of its own");
	return 0;
}

/* What only the gateway does: given without it, somebody thinks that it protects or serves. */
static int check_gated(const struct vnic_sandbox_config *config, struct vnic_error *err)
{
	const struct {
		const char *option;
		bool given;
	} options[] = {
		{"--publish", config->publish_count > 0},
		{config->policy.count > 1 && config->policy.rules[1].allow ? "--allow" : "--deny",
		 config->policy.count > 1},
		{"--log", config->has_log},
		{"--dns", config->dns.count > 0 || config->dns_only_allowed},
	};

	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]) && !gateway_nics(config); i++)
		if (options[i].given)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, options[i].option,
					 "it needs a NIC on the gateway (veth, tap or tun without to=)");
	return 0;
}

/* What is to be done where all of the Internet is allowed, so that names open nothing; NULL: nothing. */
static const char *names_remedy(const struct vnic_policy *policy)
{
	bool by_default = false, opened = false, closed = false;

	for (unsigned i = 0; i < policy->count; i++) {
		const struct vnic_rule_policy *rule = &policy->rules[i];
		bool internet = rule->by_class && rule->dst_class == VNIC_CLASS_INTERNET;
		bool all = rule->proto == VNIC_PROTO_ANY && rule->port_first == 0 && rule->port_last == 65535;

		if (!rule->allow && internet)
			return NULL;
		by_default |= rule->fallback;
		opened |= internet && all && !rule->fallback;
		closed |= !rule->allow && rule->by_class && rule->dst_class == VNIC_CLASS_ANY;
	}
	return opened ? "leave out --allow internet" : by_default && !closed ? "add --deny any" : NULL;
}

/* Rules with names that open nothing: somebody thinks that they confine. */
static int check_names(const struct vnic_sandbox_config *config, struct vnic_error *err)
{
	const struct vnic_policy *policy = &config->policy;
	const char *remedy = names_remedy(policy);

	if (config->dns_only_allowed && !policy->names_size)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--dns allowed", "no --allow has a name");
	if (!policy->names_size)
		return 0;
	if (remedy)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, policy->names + 1,
				 "this name opens nothing, for all of the Internet is allowed: %s", remedy);
	if (config->no_dns)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, policy->names + 1,
				 "the address of this name will not be known: leave out --dns none");
	return 0;
}

static bool is_any(const struct vnic_addr *addr)
{
	static const struct vnic_addr zero;

	return memcmp(addr->bytes, zero.bytes, sizeof(addr->bytes)) == 0; /* none was given, or 0.0.0.0, or :: */
}

static bool addresses_overlap(const struct vnic_addr *a, const struct vnic_addr *b)
{
	if (a->family && b->family && a->family != b->family)
		return false;
	return is_any(a) || is_any(b) || memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* The kernel would say that somebody else listens there. */
static int check_published_once(const struct vnic_sandbox_config *config, struct vnic_error *err)
{
	for (unsigned i = 0; i < config->publish_count; i++)
		for (unsigned j = 0; j < i; j++) {
			const struct vnic_publish *a = &config->publishes[i], *b = &config->publishes[j];
			char port[32];

			if (a->udp != b->udp || a->port >= b->port + b->count || b->port >= a->port + a->count ||
			    !addresses_overlap(&a->addr, &b->addr))
				continue;
			snprintf(port, sizeof(port), "%d%s", a->port > b->port ? a->port : b->port,
				 a->udp ? "/udp" : "");
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, port, "this port is published twice");
		}
	return 0;
}

static int check_config(const struct vnic_sandbox_config *config, struct vnic_error *err)
{
	unsigned namespaces = config->spawn.namespaces, handed = 0;

	for (unsigned i = 0; i < config->nic_count; i++)
		handed += nic_is_handed(&config->nics[i]);
	int r = handed ? check_handed(config, handed, err) : check_placed(config, err);
	if (r < 0)
		return r;
	if (config->spawn.hostname && !config->spawn.hostname[0])
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--hostname", "a host name cannot be empty");
	if (config->spawn.hostname && !(namespaces & CLONE_NEWUTS))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--hostname",
				 "it needs a UTS namespace: leave out --share uts");
	for (unsigned i = 0; i < config->nic_count && config->capture; i++)
		if (!nic_is_routed(&config->nics[i]))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--capture",
					 "it sees NICs whose other end is in the router, not a %s%s",
					 vnic_nic_kind_text(config->nics[i].kind),
					 nic_needs_host(&config->nics[i]) ? " on the host's links" : " with to=none");
	if (config->capture && !config->nic_count)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--capture", "there is no NIC to capture");
	r = check_gated(config, err);
	if (r == 0)
		r = check_names(config, err);
	if (r == 0)
		r = check_published_once(config, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < config->nic_count; i++)
		if (config->rootless && nic_needs_host(&config->nics[i]))
			return vnic_fail(err, VNIC_STEP_SANDBOX, EPERM, vnic_nic_kind_text(config->nics[i].kind),
					 "a NIC on a bridge or link of the host needs root");
	return vnic_ns_check(namespaces, err);
}

/*
 * Rootless, U maps root to the caller (with `auto`: and its subordinate ids), and S maps from
 * what U has.  With privilege, U's root is nobody outside, and S, if asked for, is a child of the host's.
 */
static int plan_ids(struct build *build, struct vnic_error *err)
{
	struct ns_idmap *router = &build->router_map, *sandbox = &build->sandbox_map;
	enum vnic_idmap kind = build->spawn.idmap;
	int r = 0;

	if (!build->rootless) {
		/* In a user namespace that lacks nobody: its root, who is somebody else outside already. */
		uint32_t uid = ns_is_mapped("/proc/self/uid_map", NOBODY) ? NOBODY : getuid();
		uint32_t gid = ns_is_mapped("/proc/self/gid_map", NOBODY) ? NOBODY : getgid();

		*router =
			(struct ns_idmap){.uids = {{0, uid, 1}}, .gids = {{0, gid, 1}}, .uid_count = 1, .gid_count = 1};
	} else if (build->has_router) {
		r = ns_idmap_plan(kind == VNIC_IDMAP_AUTO ? VNIC_IDMAP_AUTO : VNIC_IDMAP_ROOT, getuid(), getgid(),
				  router, err);
	}
	if (r < 0)
		return r;
	if (!build->nested)
		return build->user ? ns_idmap_plan(kind, getuid(), getgid(), sandbox, err) : 0;
	*sandbox = *router;
	sandbox->by_helper = false;
	for (unsigned i = 0; i < NS_RANGES; i++) {
		sandbox->uids[i].outside = sandbox->uids[i].inside;
		sandbox->gids[i].outside = sandbox->gids[i].inside;
	}
	if (kind == VNIC_IDMAP_SELF) {
		sandbox->uids[0].inside = getuid();
		sandbox->gids[0].inside = getgid();
	}
	return 0;
}

static int make_pair(int type, int fds[2], struct vnic_error *err)
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "to another process of vnic", NULL);
	return 0;
}

static int open_channels(const struct vnic_sandbox_config *config, struct build *build, struct vnic_error *err)
{
	int r = ns_step_open(&build->init_step, err);

	if (r == 0 && (build->linked = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
		r = vnic_fail(err, VNIC_STEP_OPEN, errno, "an eventfd", NULL);
	if (r == 0 && build->has_router)
		r = ns_step_open(&build->router_step, err);
	if (r == 0 && build->has_gateway)
		r = gate_open(&build->gate, err);
	if (r == 0 && config->capture)
		r = nic_capture_open(config->capture, &build->capture, err);
	if (r == 0)
		r = publish_open(config->publishes, config->publish_count, build->gate.sandbox, &build->gate.published,
				 err);
	if (r == 0 && build->has_router)
		r = make_pair(SOCK_SEQPACKET, build->opener, err);
	if (r == 0 && (plan_is_relayed(&build->plan) || (build->has_router && plan_is_handed(&build->plan))))
		r = make_pair(SOCK_SEQPACKET, build->devices, err);
	return r;
}

/* Devices in a bridge of the host: made and joined to it here; the router's child relays, or a VMM gets them. */
static int open_host_devices(struct build *build, struct vnic_nl *nl, struct vnic_error *err)
{
	int r = 0;

	for (unsigned i = 0; i < build->plan.count && r == 0; i++) {
		struct nic_plan *nic = &build->plan.nics[i];
		struct vnic_tap *tap = &build->host_taps[i];

		if (nic->nic.kind == VNIC_NIC_VETH || nic->nic.to != VNIC_TO_BRIDGE)
			continue;
		r = plan_open_device(nic, nic->outer_name, &nic->outer_mac, tap, err);
		nic->outer_index = tap->index;
		if (r == 0)
			r = vnic_link_set(nl, tap->index,
					  &(struct vnic_link){.master = nic->lower_index,
							      .up = true,
							      .txqueuelen = plan_queue(nic)},
					  err);
	}
	return r;
}

static int look_at_host(struct plan_host *host, struct vnic_error *err)
{
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	int r = vnic_nl_open(&nl, err);

	host->no_ipv6 = slowpath_no_ipv6();
	return r < 0 ? r : subnets_look(&host->nets, nl, err);
}

static int prepare_host(struct build *build, struct vnic_error *err)
{
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	bool needed = false;

	for (unsigned i = 0; i < build->plan.count; i++)
		needed |= nic_needs_host(&build->plan.nics[i].nic);
	if (!needed)
		return 0;
	int r = vnic_nl_open(&nl, err);
	if (r == 0)
		r = plan_resolve(&build->plan, nl, err);
	return r < 0 ? r : open_host_devices(build, nl, err);
}

/* The first address of its family. */
static void keep_first(struct vnic_addr addrs[2], const struct vnic_addr *addr)
{
	struct vnic_addr *place = &addrs[addr->family == AF_INET6];

	if (!place->family)
		*place = *addr;
}

/* The forwarder, whom it asks, and what the sandbox's resolv.conf says. */
static void plan_names(const struct vnic_sandbox_config *config, struct build *build)
{
	struct vnic_dns_config *dns = &build->gate.dns;
	bool mounts = config->spawn.namespaces & CLONE_NEWNS;
	bool handed = plan_is_handed(&build->plan); /* the guest has a resolv.conf of its own */

	dns->servers = config->dns;
	dns->named = config->dns.count > 0;
	dns->only_allowed = config->dns_only_allowed;
	dns->in_their_name = !mounts && !dns->named && !handed;
	build->resolvers.path = build->resolv.path = RESOLV_PATH;
	if (!dns->named)
		resolv_refresh(&build->resolvers, &dns->servers);
	build->resolv.host = resolv_look(RESOLV_PATH);
	if (mounts && !handed)
		memcpy(build->resolv.listen, dns->listen, sizeof(build->resolv.listen));
}

/* The first NIC on the gateway lends its router addresses to the host's loopback. */
static void plan_gate(const struct vnic_sandbox_config *config, struct build *build)
{
	for (unsigned i = 0; i < build->plan.count; i++) {
		const struct nic_plan *nic = &build->plan.nics[i];

		if (!nic_is_gated(&nic->nic))
			continue;
		build->has_gateway = true;
		for (unsigned a = 0; a < nic->nic.addr_count; a++)
			keep_first(build->gate.sandbox, &nic->nic.addrs[a]);
		for (unsigned a = 0; a < nic->outer_count; a++)
			keep_first(build->gate.router, &nic->outer[a]);
		for (unsigned v = 0; v < 2 && !config->no_dns; v++)
			if (nic->dns[v].family)
				keep_first(build->gate.dns.listen, &nic->dns[v]);
	}
	build->gate.policy = &config->policy;
	build->gate.log = config->has_log ? config->log_fd : -1;
	plan_names(config, build);
	build->gate.privileged = !config->rootless;
}

static int check_forwarder(const struct vnic_sandbox_config *config, const struct vnic_dns_config *dns,
			   struct vnic_error *err)
{
	if (!config->policy.names_size || dns->listen[VNIC_V4].family || dns->listen[VNIC_V6].family)
		return 0;
	return vnic_fail(
		err, VNIC_STEP_USAGE, EINVAL, config->policy.names + 1,
		"its address will not be known, for no NIC's network has room for the name server: a prefix of "
		"29 or less");
}

int vnic_sandbox_check(const struct vnic_sandbox_config *config, struct vnic_error *err)
{
	const struct plan_host nowhere = {.no_ipv6 = NULL};
	struct plan plan;
	int r = check_config(config, err);

	return r < 0 ? r : plan_make(config->nics, config->nic_count, &nowhere, &plan, err);
}

int build_make(const struct vnic_sandbox_config *config, struct build *build, struct vnic_error *err)
{
	struct plan_host host = {.no_ipv6 = NULL};
	int r = check_config(config, err);

	if (r == 0 && gateway_nics(config))
		r = look_at_host(&host, err);
	if (r == 0)
		r = plan_make(config->nics, config->nic_count, &host, &build->plan, err);
	if (r < 0)
		return r;
	build->spawn = config->spawn;
	build->spawn.setup = build_sandbox_side;
	build->spawn.ctx = build;
	build->rootless = config->rootless;
	build->user = config->spawn.namespaces & CLONE_NEWUSER;
	build->has_router = plan_has_router(&build->plan);
	build->nested = build->rootless && build->has_router && !plan_is_handed(&build->plan);
	build->plan.captured = config->capture;
	build->capture.plan = &build->plan;
	build->capture.privileged = !config->rootless;
	plan_gate(config, build);
	r = check_forwarder(config, &build->gate.dns, err);
	if (r == 0)
		r = plan_ids(build, err);
	if (r == 0)
		r = prepare_host(build, err);
	return r < 0 ? r : open_channels(config, build, err);
}

void build_close(struct build *build)
{
	ns_step_close(&build->router_step);
	ns_step_close(&build->init_step);
	gate_close(&build->gate);
	nic_capture_close(&build->capture);
	close_fd(&build->linked);
	for (unsigned i = 0; i < 2; i++) {
		close_fd(&build->devices[i]);
		close_fd(&build->opener[i]);
	}
	for (unsigned i = 0; i < VNIC_NICS; i++)
		vnic_tap_close(&build->host_taps[i]);
}
