/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic run: a command in a sandbox with NICs of its own. */
#include "sandbox.h"

#include <errno.h>
#include <string.h>

static const struct cli_option options[] = {
	{"nic", 'n', "SPEC", true, NULL,
	 "give the sandbox a NIC: KIND[,key=value]..., or none; without this option it has one veth to the router"},
	SANDBOX_FLOW_OPTIONS,
	{"unshare", 0, "LIST", false, NULL,
	 "make these namespaces too: user, mnt, pid, net, ipc, uts, cgroup, time, or all"},
	{"share", 0, "LIST", false, NULL, "keep the caller's namespaces of these kinds instead of making new ones"},
	{"map", 0, "root|self|auto", false, NULL,
	 "who the caller is in the sandbox's user namespace; as root, this also makes one"},
	{"hostname", 0, "NAME", false, NULL, "set the sandbox's host name (makes a UTS namespace)"},
	{"privileged", 0, NULL, false, NULL, "as root: let the command keep all capabilities"},
	SANDBOX_FRONT_OPTIONS,
	{0},
};

static int read_map(const struct cli_args *args, struct vnic_spawn *spawn, struct vnic_error *err)
{
	const char *map = cli_value(args, "map");

	if (!map)
		return 0;
	if (!strcmp(map, "root"))
		spawn->idmap = VNIC_IDMAP_ROOT;
	else if (!strcmp(map, "self"))
		spawn->idmap = VNIC_IDMAP_SELF;
	else if (!strcmp(map, "auto"))
		spawn->idmap = VNIC_IDMAP_AUTO;
	else
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, map, "--map takes root, self or auto");
	spawn->namespaces |= CLONE_NEWUSER;
	return 0;
}

static int read_namespaces(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	const char *more = cli_value(args, "unshare"), *less = cli_value(args, "share");
	unsigned mask = 0;
	int r = 0;

	if (more)
		r = vnic_ns_parse(more, &mask, err);
	if (r < 0)
		return r;
	config->spawn.namespaces |= mask;
	config->spawn.hostname = cli_value(args, "hostname");
	if (config->spawn.hostname)
		config->spawn.namespaces |= CLONE_NEWUTS;
	r = read_map(args, &config->spawn, err);
	if (r == 0 && less)
		r = vnic_ns_parse(less, &mask, err);
	if (r < 0 || !less)
		return r;
	if (mask & CLONE_NEWUSER && cli_value(args, "map"))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--map",
				 "it needs a user namespace: leave out --share user");
	config->spawn.namespaces &= ~mask;
	/* Without a network namespace of its own the default NIC has no place. */
	if (mask & CLONE_NEWNET && !cli_value(args, "nic"))
		config->nic_count = 0;
	if (mask & CLONE_NEWPID)
		cli_warn("--share pid: processes that the command leaves behind will outlive the sandbox");
	return 0;
}

static int run(const struct cli_args *args, struct vnic_error *err)
{
	struct vnic_sandbox_config config;
	int r;

	vnic_sandbox_defaults(!vnic_privileged(), &config);
	config.spawn.privileged = cli_flag(args, "privileged");
	r = sandbox_read(args, &config, err);
	if (r == 0)
		r = read_namespaces(args, &config, err);
	return r < 0 ? r : sandbox_run(args, &config, err);
}

const struct command cmd_run = {
	.name = "run",
	.operands = "[--] COMMAND [ARGUMENT]...",
	.summary = "run a command in a sandbox with NICs of its own",
	.details =
		"The command starts once its NICs work: links are up, addresses and routes are set.  Its exit status\n"
		"is passed on.  When the command or vnic ends, nothing is left on the host.\n"
		"\n"
		"It reaches the Internet, but neither the host nor private networks, unless rules say otherwise;\n"
		"what is denied is reported with the rule that would allow it.\n"
		"\n"
		"  vnic run --deny any --allow example.org:443 -- curl https://example.org\n"
		"\n"
		"A NIC is written KIND[,key=value]...: KIND is veth, tap, tun, macvlan or macvtap; keys are name=,\n"
		"ip=ADDRESS/PREFIX (repeatable), gw=ADDRESS or gw=none, mac=, mtu=, queues= (tap, tun),\n"
		"ip=dhcp (the command configures it by DHCP, router advertisements or DHCPv6; veth, tap),\n"
		"to=gateway|bridge:NAME|none, and parent=LINK (macvlan, macvtap).",
	.options = options,
	.min_operands = 1,
	.max_operands = -1,
	.own_status = true,
	.run = run,
};
