/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic tap: persistent TAP and TUN devices. */
#include "cli.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* --- add ---------------------------------------------------------------------------- */

static const struct cli_option add_options[] = {
	{"tun", 0, NULL, false, NULL, "make a TUN (packets without link header) instead of a TAP"},
	{"owner", 0, "USER", false, NULL, "let this user attach to it without privilege"},
	{"group", 0, "GROUP", false, NULL, "let the members of this group do so"},
	{"queues", 0, "N", false, "1", "how many queues it may have; more than one makes a multi-queue device"},
	{"mac", 0, "MAC", false, NULL, "set its MAC address"},
	{"mtu", 0, "BYTES", false, NULL, "set its MTU"},
	{"up", 0, NULL, false, NULL, "set it up, which its owner may not"},
	{0},
};

static bool is_number(const char *text)
{
	return text[0] && text[strspn(text, "0123456789")] == '\0';
}

static int owner_of(const char *text, struct vnic_tap_config *config, struct vnic_error *err)
{
	const struct passwd *user;

	if (!text)
		return 0;
	config->set_owner = true;
	if (is_number(text))
		return parse_u32(text, "--owner", 0, UINT32_MAX - 1, &config->owner, err);
	user = getpwnam(text);
	if (!user)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "there is no such user");
	config->owner = user->pw_uid;
	return 0;
}

static int group_of(const char *text, struct vnic_tap_config *config, struct vnic_error *err)
{
	const struct group *group;

	if (!text)
		return 0;
	config->set_group = true;
	if (is_number(text))
		return parse_u32(text, "--group", 0, UINT32_MAX - 1, &config->group, err);
	group = getgrnam(text);
	if (!group)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "there is no such group");
	config->group = group->gr_gid;
	return 0;
}

static int add(const struct cli_args *args, struct vnic_error *err)
{
	struct vnic_tap_config config = {
		.name = args->operands[0],
		.tun = cli_flag(args, "tun"),
		.persistent = true,
		.up = cli_flag(args, "up"),
	};
	const char *mac = cli_value(args, "mac");
	char name[IFNAMSIZ];
	struct vnic_tap tap;
	int r = parse_ifname(config.name, "NAME", name, err);

	if (r == 0)
		r = owner_of(cli_value(args, "owner"), &config, err);
	if (r == 0)
		r = group_of(cli_value(args, "group"), &config, err);
	if (r == 0)
		r = cli_number(args, "queues", 1, VNIC_TAP_QUEUES, &config.queues, err);
	if (r == 0)
		r = cli_number(args, "mtu", 68, 65535, &config.mtu, err);
	if (r == 0 && mac)
		r = vnic_mac_parse(mac, &config.mac, err);
	if (r == 0)
		r = vnic_tap_open(&config, &tap, err);
	if (r == 0)
		vnic_tap_close(&tap);
	return r;
}

/* --- del ---------------------------------------------------------------------------- */

static int del_one(const char *name, void *nl, struct vnic_error *err)
{
	struct vnic_link_info info;
	char checked[IFNAMSIZ];
	int r = parse_ifname(name, "NAME", checked, err);

	if (r < 0)
		return r;
	r = vnic_link_get(nl, 0, checked, &info, err);
	if (r == 0 && strcmp(info.kind, "tun") != 0)
		return vnic_fail(err, VNIC_STEP_LINK_DEL, EINVAL, name, "this link is not a TAP or TUN device");
	if (r == 0)
		r = vnic_tap_delete(checked, info.flags & IFF_POINTOPOINT, err);
	if (r == -ENODEV) {
		printf("%s was not there\n", name);
		return 0;
	}
	return r;
}

static int del(const struct cli_args *args, struct vnic_error *err)
{
	struct vnic_nl *nl;
	int r = vnic_nl_open(&nl, err);

	if (r < 0)
		return r;
	r = cli_each_operand(args, del_one, nl, err);
	vnic_nl_close(nl);
	return r;
}

/* --- list --------------------------------------------------------------------------- */

static const struct cli_option list_options[] = {
	{"json", 0, NULL, false, NULL, "print JSON"},
	{0},
};

/* Devices that end with their program are the program's own affair. */
static bool is_listed(const struct vnic_link_info *link)
{
	return strcmp(link->kind, "tun") == 0 && link->tun.persistent;
}

static const char *kind_of(const struct vnic_link_info *link)
{
	return link->flags & IFF_POINTOPOINT ? "tun" : "tap";
}

static const char *id_text(bool is_set, uint32_t id, char buf[16])
{
	if (!is_set)
		return "-";
	snprintf(buf, 16, "%" PRIu32, id);
	return buf;
}

static int print_one(const struct vnic_link_info *link, void *ctx)
{
	const struct vnic_tun_info *tun = &link->tun;
	char owner[16], group[16], name[IFNAMSIZ];

	(void)ctx;
	if (!is_listed(link))
		return 0;
	printf("%-15s %-4s %-7s %6s %6s %6u %s\n", cli_plain(link->name, name, sizeof(name)), kind_of(link),
	       tun->multi_queue ? "several" : "one", id_text(tun->has_owner, tun->owner, owner),
	       id_text(tun->has_group, tun->group, group), link->mtu, link->flags & IFF_UP ? "up" : "down");
	return 0;
}

static json_t *id_json(bool is_set, uint32_t id)
{
	return is_set ? json_integer(id) : json_null();
}

static int add_json(const struct vnic_link_info *link, void *ctx)
{
	const struct vnic_tun_info *tun = &link->tun;

	if (!is_listed(link))
		return 0;
	json_t *device = json_pack("{s:o, s:s, s:b, s:o, s:o, s:i, s:b}", "name", cli_json_text(link->name), "kind",
				   kind_of(link), "multi_queue", tun->multi_queue, "owner",
				   id_json(tun->has_owner, tun->owner), "group", id_json(tun->has_group, tun->group),
				   "mtu", (int)link->mtu, "up", (link->flags & IFF_UP) != 0);
	return json_array_append_new(ctx, device) < 0 ? -ENOMEM : 0;
}

static int list(const struct cli_args *args, struct vnic_error *err)
{
	struct vnic_nl *nl;
	int r = vnic_nl_open(&nl, err);

	if (r < 0)
		return r;
	if (cli_flag(args, "json")) {
		json_t *devices = json_array();

		r = vnic_link_list(nl, add_json, devices, err);
		if (r == 0)
			r = cli_print_json(json_incref(devices), err);
		json_decref(devices);
	} else {
		printf("%-15s %-4s %-7s %6s %6s %6s %s\n", "NAME", "KIND", "QUEUES", "OWNER", "GROUP", "MTU", "STATE");
		r = vnic_link_list(nl, print_one, NULL, err);
	}
	vnic_nl_close(nl);
	return r;
}

/* --- commands ----------------------------------------------------------------------- */

static const struct command cmd_add = {
	.name = "add",
	.operands = "NAME",
	.summary = "make a persistent device, or change one that exists",
	.options = add_options,
	.min_operands = 1,
	.max_operands = 1,
	.run = add,
};

static const struct command cmd_del = {
	.name = "del",
	.operands = "NAME...",
	.summary = "delete devices",
	.min_operands = 1,
	.max_operands = -1,
	.run = del,
};

static const struct command cmd_list_devices = {
	.name = "list",
	.operands = "",
	.summary = "list persistent devices",
	.options = list_options,
	.run = list,
};

static const struct command *const subcommands[] = {&cmd_add, &cmd_del, &cmd_list_devices, NULL};

const struct command cmd_tap = {
	.name = "tap",
	.operands = "",
	.summary = "make, list and delete persistent TAP and TUN devices",
	.subcommands = subcommands,
};
