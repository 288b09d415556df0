/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands that start a sandbox, run and vm, have in common: options, and the time while it runs. */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

#include "capture_options.h"
#include "cli.h"

/* For their tables; --nic is each one's own. */
/* clang-format off */
#define SANDBOX_FLOW_OPTIONS \
	{"publish", 'p', "PORTS", true, NULL, \
	 "bring connections to a host port into the sandbox: [ADDRESS:]PORT[:PORT][/udp], the host's port first; PORT may " \
	 "be a range, FIRST-LAST"}, \
	{"allow", 0, "RULE", true, NULL, \
	 "let flows start: internet, lan, host, any, a network, or a name, as example.org or *.example.org; then " \
	 "[:PORT[-PORT]][/tcp|udp|icmp]"}, \
	{"deny", 0, "RULE", true, NULL, "forbid flows; of the rules that match, the most specific decides"}, \
	{"dns", 0, "ADDRESS|allowed|none", true, NULL, \
	 "ask this resolver instead of the host's, if the policy allows it; allowed: resolve only names that --allow " \
	 "has; none: no forwarder, and the host's resolv.conf"}, \
	{"name", 0, "NAME", false, NULL, "name the sandbox, for 'vnic exec NAME' and 'vnic list'"}

#define SANDBOX_FRONT_OPTIONS \
	{"capture", 'w', "FILE", false, NULL, "write what the NICs carry to FILE, as pcapng"}, \
	CAPTURE_FILE_OPTIONS, \
	{"log", 0, "FILE", false, NULL, \
	 "append a line of JSON to FILE for each flow that begins, ends or does not start, and for each name asked for"}, \
	{"stats", 0, NULL, false, NULL, \
	 "print flows, bytes, denials and drops at the end, and whenever vnic gets SIGUSR1, which is then not passed " \
	 "on"}, \
	{"json", 0, NULL, false, NULL, "print the figures of --stats as JSON, one line each time"}, \
	{"ready-fd", 0, "N", false, NULL, "write a line to this descriptor when the NICs work and the command runs"}, \
	{"exit-fd", 0, "N", false, NULL, "end the sandbox when the other end of this descriptor is closed"}
/* clang-format on */

/* What --nic and SANDBOX_FLOW_OPTIONS say; *config has its defaults before. */
int sandbox_read(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err);

/* Starts it and serves until its command has ended: returns the exit status. */
int sandbox_run(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err);

#endif
