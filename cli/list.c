/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic list: running sandboxes and their NICs. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>

static const struct cli_option options[] = {
	{"json", 0, NULL, false, NULL, "print JSON"},
	{0},
};

/* --- text --------------------------------------------------------------------------- */

static void print_drops(const struct vnic_link_info *link)
{
	if (link->rx_dropped || link->tx_dropped)
		printf(" dropped %" PRIu64 " in, %" PRIu64 " out", link->rx_dropped, link->tx_dropped);
}

static int print_one(const struct vnic_sandbox_info *info, void *ctx)
{
	char text[VNIC_ADDR_TEXT];

	(void)ctx;
	printf("%-16s %8d %6u  %s\n", info->name[0] ? info->name : "-", info->pid, info->uid, info->command);
	for (unsigned i = 0; i < info->nic_count; i++) {
		const struct vnic_link_info *link = &info->nics[i].link;

		printf("    %-15s %s", cli_plain(link->name, text, sizeof(text)), link->flags & IFF_UP ? "up" : "down");
		if (link->mac.set)
			printf(" %s", vnic_mac_text(&link->mac, text));
		printf(" mtu %u", link->mtu);
		for (unsigned a = 0; a < info->nics[i].addr_count; a++)
			printf(" %s", vnic_addr_text(&info->nics[i].addrs[a], true, text));
		print_drops(link);
		printf("\n");
	}
	return 0;
}

/* --- JSON --------------------------------------------------------------------------- */

static json_t *nic_json(const struct vnic_link_info *link, const struct vnic_addr *addrs, unsigned count)
{
	json_t *list = json_array();
	char text[VNIC_ADDR_TEXT];

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, json_string(vnic_addr_text(&addrs[i], true, text)));
	json_t *nic =
		json_pack("{s:o, s:s, s:b, s:i, s:I, s:I, s:I, s:I, s:o}", "name", cli_json_text(link->name), "kind",
			  link->kind, "up", (link->flags & IFF_UP) != 0, "mtu", (int)link->mtu, "rx_bytes",
			  (json_int_t)link->rx_bytes, "tx_bytes", (json_int_t)link->tx_bytes, "rx_dropped",
			  (json_int_t)link->rx_dropped, "tx_dropped", (json_int_t)link->tx_dropped, "addresses", list);
	if (nic && link->mac.set)
		json_object_set_new(nic, "mac", json_string(vnic_mac_text(&link->mac, text)));
	return nic;
}

static int add_json(const struct vnic_sandbox_info *info, void *ctx)
{
	json_t *list = ctx, *nics = json_array();

	for (unsigned i = 0; i < info->nic_count; i++)
		json_array_append_new(nics,
				      nic_json(&info->nics[i].link, info->nics[i].addrs, info->nics[i].addr_count));
	json_t *sandbox = json_pack("{s:s?, s:i, s:I, s:o, s:b, s:o}", "name", info->name[0] ? info->name : NULL, "pid",
				    (int)info->pid, "uid", (json_int_t)info->uid, "command",
				    cli_json_text(info->command), "vmm", info->vmm, "nics", nics);
	return json_array_append_new(list, sandbox) < 0 ? -ENOMEM : 0;
}

static int run(const struct cli_args *args, struct vnic_error *err)
{
	const char *state_dir;
	int r = cli_state_dir(false, &state_dir, err);

	if (r < 0)
		return r;
	if (!cli_flag(args, "json")) {
		printf("%-16s %8s %6s  %s\n", "NAME", "PID", "UID", "COMMAND");
		return vnic_sandbox_list(state_dir, print_one, NULL, err);
	}
	json_t *list = json_array();
	r = vnic_sandbox_list(state_dir, add_json, list, err);
	if (r == 0)
		return cli_print_json(list, err);
	json_decref(list);
	return r == -ENOMEM ? vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL) : r;
}

const struct command cmd_list = {
	.name = "list",
	.operands = "",
	.summary = "show running sandboxes and their NICs",
	.options = options,
	.run = run,
};
