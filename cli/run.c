/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic run: a command in a sandbox with NICs of its own. */
#include "cli.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "front.h"
#include "stats.h"

#define PUBLISHES_MAX 256
#define DNS_PORT 53

static const struct cli_option options[] = {
	{"nic", 'n', "SPEC", true, NULL,
	 "give the sandbox a NIC: KIND[,key=value]... or none; without this option one veth to the router"},
	{"publish", 'p', "PORTS", true, NULL,
	 "bring connections to a host port into the sandbox: [ADDRESS:]PORT:PORT[/udp], or FIRST-LAST for PORT"},
	{"allow", 0, "RULE", true, NULL,
	 "let flows start: internet, lan, host, any, or a network; then [:PORT[-PORT]][/tcp|udp|icmp]"},
	{"deny", 0, "RULE", true, NULL, "forbid flows; among rules that match the most specific decides"},
	{"dns", 0, "ADDRESS", true, NULL,
	 "let the forwarder ask this resolver instead of the host's, if the policy allows it; or none: no forwarder"},
	{"name", 0, "NAME", false, NULL, "name the sandbox, for 'vnic exec NAME' and 'vnic list'"},
	{"unshare", 0, "LIST", false, NULL,
	 "make these namespaces too, of user, mnt, pid, net, ipc, uts, cgroup, time and all"},
	{"share", 0, "LIST", false, NULL, "do not make these namespaces, which are made by default"},
	{"map", 0, "root|self|auto", false, NULL,
	 "who the caller is in the sandbox's user namespace; as root this makes one"},
	{"hostname", 0, "NAME", false, NULL, "set the sandbox's host name (makes a UTS namespace)"},
	{"privileged", 0, NULL, false, NULL, "as root: leave the command the machine's capabilities"},
	{"stats", 0, NULL, false, NULL,
	 "print flows, bytes, denials and drops at the end, and whenever vnic gets SIGUSR1, which then is not passed "
	 "on"},
	{"json", 0, NULL, false, NULL, "print what --stats prints as JSON, each time one line"},
	{"ready-fd", 0, "N", false, NULL, "write a line to this descriptor when the NICs work and the command runs"},
	{"exit-fd", 0, "N", false, NULL, "end the sandbox when the other end of this descriptor is closed"},
	{0},
};

/* --- what was asked ----------------------------------------------------------------- */

static int read_nics(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	const char *text;

	for (int i = 0; (text = cli_value_at(args, "nic", i)); i++) {
		if (i == 0)
			config->nic_count = 0;
		if (!strcmp(text, "none"))
			continue;
		if (config->nic_count == VNIC_NICS)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--nic", "a sandbox takes %d NICs at most",
					 VNIC_NICS);
		int r = vnic_nic_parse(text, &config->nics[config->nic_count], err);
		if (r < 0)
			return r;
		config->nic_count++;
	}
	return 0;
}

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
	config->spawn.namespaces &= ~mask;
	/* Without a network namespace of its own the default NIC has no place. */
	if (mask & CLONE_NEWNET && !cli_value(args, "nic"))
		config->nic_count = 0;
	if (mask & CLONE_NEWPID)
		cli_warn("--share pid: processes that the command leaves behind will outlive the sandbox");
	return 0;
}

static int read_policy(const struct cli_args *args, struct vnic_policy *policy, struct vnic_error *err)
{
	static const struct {
		const char *option;
		bool allow;
	} kinds[] = {{"allow", true}, {"deny", false}};
	const char *text;

	for (unsigned k = 0; k < 2; k++)
		for (int i = 0; (text = cli_value_at(args, kinds[k].option, i)); i++) {
			int r = vnic_policy_add(policy, kinds[k].allow, text, err);

			if (r < 0)
				return r;
		}
	return 0;
}

static int read_publishes(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	static struct vnic_publish publishes[PUBLISHES_MAX];
	const char *text;

	config->publishes = publishes;
	for (int i = 0; (text = cli_value_at(args, "publish", i)); i++) {
		if (i == PUBLISHES_MAX)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--publish", "given more than %d times",
					 PUBLISHES_MAX);
		int r = vnic_publish_parse(text, &publishes[i], err);
		if (r < 0)
			return r;
		config->publish_count++;
	}
	return 0;
}

static int read_resolver(const char *text, struct vnic_dns_servers *servers, struct vnic_error *err)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};
	struct vnic_addr addr;
	int r = vnic_addr_parse(text, &addr, err);

	if (r < 0)
		return r;
	if (servers->count == VNIC_DNS_SERVERS)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--dns", "given more than %d times", VNIC_DNS_SERVERS);
	memcpy(&v4.sin_addr, addr.bytes, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, addr.bytes, sizeof(v6.sin6_addr));
	if (addr.family == AF_INET)
		memcpy(&servers->addrs[servers->count++], &v4, sizeof(v4));
	else
		memcpy(&servers->addrs[servers->count++], &v6, sizeof(v6));
	return 0;
}

static int read_dns(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	const char *text;
	int r = 0;

	for (int i = 0; r == 0 && (text = cli_value_at(args, "dns", i)); i++)
		if (!strcmp(text, "none"))
			config->no_dns = true;
		else
			r = read_resolver(text, &config->dns, err);
	if (r == 0 && config->no_dns && config->dns.count)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--dns none", "there is another --dns");
	return r;
}

static int read_fd(const struct cli_args *args, const char *option, int *ret_fd, struct vnic_error *err)
{
	uint32_t number = UINT32_MAX;
	int r = cli_number(args, option, 0, 1 << 20, &number, err);

	return r < 0 || number == UINT32_MAX ? r : front_take_fd(option, number, ret_fd, err);
}

static int read_config(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	int r;

	vnic_sandbox_defaults(cli_rootless(), config);
	config->spawn.argv = args->operands;
	config->spawn.privileged = cli_flag(args, "privileged");
	config->name = cli_value(args, "name");
	r = config->name ? vnic_name_check(config->name, err) : 0;
	if (r == 0)
		r = read_nics(args, config, err);
	if (r == 0)
		r = read_publishes(args, config, err);
	if (r == 0)
		r = read_policy(args, &config->policy, err);
	if (r == 0)
		r = read_dns(args, config, err);
	if (r == 0)
		r = read_namespaces(args, config, err);
	if (r == 0 && config->name)
		r = cli_state_dir(true, &config->state_dir, err);
	return r;
}

/* --- while it runs ------------------------------------------------------------------ */

static int take_event(struct vnic_sandbox *sandbox, struct front *front, int *ret_status, struct vnic_error *err)
{
	enum vnic_sandbox_event event;
	int value, r;

	while ((r = vnic_sandbox_next(sandbox, &event, &value, err)) == 0) {
		switch (event) {
		case VNIC_SANDBOX_EXITED:
			*ret_status = value;
			return 1;
		case VNIC_SANDBOX_STOPPED:
			front_stop(front, value);
			break;
		case VNIC_SANDBOX_WARNING:
			cli_warn("%s", vnic_sandbox_warning(sandbox, (unsigned)value));
			break;
		case VNIC_SANDBOX_NOTHING:
			break;
		}
	}
	return r == -EAGAIN ? 0 : r;
}

/* How to print the gateway's figures. */
enum figures { FIGURES_NONE, FIGURES_TEXT, FIGURES_JSON };

static int read_figures(const struct cli_args *args, enum figures *ret_figures, struct vnic_error *err)
{
	bool json = cli_flag(args, "json");

	if (json && !cli_flag(args, "stats"))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--json", "only --stats has something to print");
	if (cli_flag(args, "stats"))
		*ret_figures = json ? FIGURES_JSON : FIGURES_TEXT;
	return 0;
}

static void take_signals(struct vnic_sandbox *sandbox, struct front *front, enum figures figures)
{
	int signal;

	while ((signal = front_next_signal(front)))
		if (signal == SIGUSR1 && figures)
			stats_print(sandbox, figures == FIGURES_JSON);
		else if (signal != SIGCHLD)
			vnic_sandbox_signal(sandbox, signal, NULL);
}

static int serve(struct vnic_sandbox *sandbox, struct front *front, int exit_fd, enum figures figures, int *ret_status,
		 struct vnic_error *err)
{
	struct pollfd fds[] = {
		{.fd = vnic_sandbox_get_fd(sandbox), .events = POLLIN},
		{.fd = front->signals, .events = POLLIN},
		{.fd = exit_fd, .events = POLLRDHUP},
	};
	int r;

	while ((r = take_event(sandbox, front, ret_status, err)) == 0) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return vnic_fail(err, VNIC_STEP_WAIT, errno, NULL, NULL);
		take_signals(sandbox, front, figures);
		if (fds[2].revents) {
			fds[2].fd = -1;
			vnic_sandbox_signal(sandbox, SIGKILL, NULL);
		}
	}
	return r < 0 ? r : 0;
}

static int tell_ready(int fd, struct vnic_error *err)
{
	if (fd >= 0 && write(fd, "1\n", 2) < 0)
		return vnic_fail(err, VNIC_STEP_WRITE, errno, "--ready-fd", NULL);
	return 0;
}

static int run(const struct cli_args *args, struct vnic_error *err)
{
	struct vnic_sandbox_config config;
	struct vnic_sandbox *sandbox = NULL;
	CLEANUP(front_end) struct front front = FRONT_EMPTY;
	CLEANUP_FD int ready_fd = -1, exit_fd = -1;
	enum figures figures = FIGURES_NONE;
	int status = 0;
	int r = read_config(args, &config, err);

	if (r == 0)
		r = read_figures(args, &figures, err);
	if (r == 0)
		r = read_fd(args, "ready-fd", &ready_fd, err);
	if (r == 0)
		r = read_fd(args, "exit-fd", &exit_fd, err);
	if (r == 0)
		r = front_begin(&front, err);
	config.spawn.mask = &front.mask;
	if (r == 0)
		r = vnic_sandbox_start(&config, &sandbox, err);
	if (r == 0)
		r = tell_ready(ready_fd, err);
	close_fd(&ready_fd);
	if (r == 0)
		r = serve(sandbox, &front, exit_fd, figures, &status, err);
	if (r == 0 && figures)
		stats_print(sandbox, figures == FIGURES_JSON);
	vnic_sandbox_free(sandbox);
	return r < 0 ? r : status;
}

const struct command cmd_run = {
	.name = "run",
	.operands = "[--] COMMAND [ARGUMENT]...",
	.summary = "run a command in a sandbox with NICs of its own",
	.details = "The command starts when its NICs work: addresses set, routes in, links up.  Its exit status is\n"
		   "passed on; when it, or vnic, ends, nothing is left on the host.\n"
		   "\n"
		   "A NIC is written KIND[,key=value]...: KIND is veth, tap, tun, macvlan or macvtap; keys are name=,\n"
		   "ip=ADDRESS/PREFIX (repeatable), gw=ADDRESS or gw=none, mac=, mtu=, queues= (tap, tun),\n"
		   "ip=dhcp (the command configures it by DHCP, router advertisements or DHCPv6; veth, tap),\n"
		   "to=gateway|bridge:NAME|none, and parent=LINK (macvlan, macvtap).\n",
	.options = options,
	.min_operands = 1,
	.max_operands = -1,
	.own_status = true,
	.run = run,
};
