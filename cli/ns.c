/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic ns: named network namespaces, and the namespaces of processes side by side. */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"
#include "parse.h"

/* --- add, del ----------------------------------------------------------------------- */

static int add_one(const char *name, void *ctx, struct vnic_error *err)
{
	return vnic_netns_add(name, ctx, err);
}

static int add(const struct cli_args *args, struct vnic_error *err)
{
	const char *state_dir;
	int r = cli_state_dir(true, &state_dir, err);

	return r < 0 ? r : cli_each_operand(args, add_one, (void *)state_dir, err);
}

static int del_one(const char *name, void *ctx, struct vnic_error *err)
{
	bool absent;
	int r = vnic_netns_del(name, ctx, &absent, err);

	if (r == 0 && absent)
		printf("%s was not there\n", name);
	return r;
}

static int del(const struct cli_args *args, struct vnic_error *err)
{
	const char *state_dir;
	int r = cli_state_dir(false, &state_dir, err);

	return r < 0 ? r : cli_each_operand(args, del_one, (void *)state_dir, err);
}

/* --- list --------------------------------------------------------------------------- */

static const char *kind_of(const struct vnic_netns_info *info)
{
	return info->sandbox ? "sandbox" : info->held ? "holder" : "file";
}

static int list_line(const struct vnic_netns_info *info, void *ctx)
{
	char pid[16] = "-", inode[24] = "-", name[sizeof(info->name)];

	(void)ctx;
	if (info->pid)
		snprintf(pid, sizeof(pid), "%d", info->pid);
	if (info->inode)
		snprintf(inode, sizeof(inode), "%ju", (uintmax_t)info->inode);
	printf("%-20s %-8s %8s %12s\n", cli_plain(info->name, name, sizeof(name)), kind_of(info), pid, inode);
	return 0;
}

static int list_json(const struct vnic_netns_info *info, void *ctx)
{
	json_t *name = json_pack("{s:o, s:s, s:i, s:I}", "name", cli_json_text(info->name), "kind", kind_of(info),
				 "pid", info->pid, "inode", (json_int_t)info->inode);

	return json_array_append_new(ctx, name) < 0 ? -ENOMEM : 0;
}

static int list(const struct cli_args *args, struct vnic_error *err)
{
	const char *state_dir;
	int r = cli_state_dir(false, &state_dir, err);

	if (r < 0)
		return r;
	if (!cli_flag(args, "json")) {
		printf("%-20s %-8s %8s %12s\n", "NAME", "KIND", "PID", "INODE");
		return vnic_netns_list(state_dir, list_line, NULL, err);
	}
	json_t *array = json_array();
	r = vnic_netns_list(state_dir, list_json, array, err);
	if (r == 0)
		return cli_print_json(array, err);
	json_decref(array);
	return r == -ENOMEM ? vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL) : r;
}

/* --- show --------------------------------------------------------------------------- */

/* The first column, of those up to this one, with the same namespace. */
static int first_with(const struct vnic_ns_view *views, int row, int column)
{
	int first = 0;

	while (views[first].inode[row] != views[column].inode[row])
		first++;
	return first;
}

/*
 * The same letter in a row: the same namespace.  A letter for each that is seen for the first time; after Z come AA,
 * AB, as columns of spreadsheets have them.
 */
static const char *letter_of(const struct vnic_ns_view *views, int row, int column, char buf[8])
{
	int others = 0, own = first_with(views, row, column);

	for (int i = 0; i < own; i++)
		others += views[i].inode[row] && first_with(views, row, i) == i;
	if (others < 26)
		snprintf(buf, 8, "%c", 'A' + others);
	else
		snprintf(buf, 8, "%c%c", 'A' + (others / 26 - 1) % 26, 'A' + others % 26);
	return buf;
}

static void print_cell(const char *text)
{
	char plain[256];

	printf(" %-24s", text[0] ? cli_plain(text, plain, sizeof(plain)) : "-");
}

static void print_namespaces(const struct vnic_ns_view *views, int count)
{
	char text[32], letter[8];

	for (int row = 0; row < VNIC_NS_COUNT; row++) {
		printf("%-12s", vnic_ns_index_text((enum vnic_ns_index)row));
		for (int i = 0; i < count; i++) {
			if (views[i].inode[row])
				snprintf(text, sizeof(text), "%s %ju", letter_of(views, row, i, letter),
					 (uintmax_t)views[i].inode[row]);
			else
				snprintf(text, sizeof(text), "-");
			print_cell(text);
		}
		putchar('\n');
	}
}

static void print_pids(const char *head, const struct vnic_ns_view *views, int count, bool inner)
{
	char text[16];

	printf("%-12s", head);
	for (int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%d", inner ? views[i].inner_pid : views[i].pid);
		print_cell(text);
	}
	putchar('\n');
}

static void print_texts(const char *head, const struct vnic_ns_view *views, int count, size_t offset)
{
	printf("%-12s", head);
	for (int i = 0; i < count; i++)
		print_cell((const char *)&views[i] + offset);
	putchar('\n');
}

static void print_table(const struct vnic_ns_view *views, int count)
{
	print_pids("pid", views, count, false);
	print_pids("pid inside", views, count, true);
	print_texts("command", views, count, offsetof(struct vnic_ns_view, comm));
	print_namespaces(views, count);
	print_texts("uid map", views, count, offsetof(struct vnic_ns_view, uid_map));
	print_texts("gid map", views, count, offsetof(struct vnic_ns_view, gid_map));
	print_texts("host name", views, count, offsetof(struct vnic_ns_view, hostname));
}

static json_t *view_json(const struct vnic_ns_view *view)
{
	json_t *namespaces = json_object();

	for (int i = 0; i < VNIC_NS_COUNT; i++)
		if (view->inode[i])
			json_object_set_new(namespaces, vnic_ns_index_text((enum vnic_ns_index)i),
					    json_integer((json_int_t)view->inode[i]));
	return json_pack("{s:i, s:i, s:o, s:o, s:s, s:s, s:o}", "pid", view->pid, "pid_inside", view->inner_pid,
			 "command", cli_json_text(view->comm), "namespaces", namespaces, "uid_map", view->uid_map,
			 "gid_map", view->gid_map, "hostname", cli_json_text(view->hostname));
}

static int print_views_json(const struct vnic_ns_view *views, int count, struct vnic_error *err)
{
	json_t *array = json_array();

	for (int i = 0; i < count; i++)
		if (json_array_append_new(array, view_json(&views[i])) < 0) {
			json_decref(array);
			return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
		}
	return cli_print_json(array, err);
}

/* The target is held meanwhile, so that its pid stays its own. */
static int view_target(const char *text, const char *state_dir, struct vnic_ns_view *ret_view, struct vnic_error *err)
{
	CLEANUP(vnic_target_close) struct vnic_target target = VNIC_TARGET_EMPTY;
	uint32_t pid;
	int r;

	if (isdigit((unsigned char)text[0])) { /* whatever its namespaces are: we may not be allowed to open them */
		r = parse_u32(text, "a process id", 1, INT32_MAX, &pid, err);
		return r < 0 ? r : vnic_ns_view_get((pid_t)pid, ret_view, err);
	}
	r = vnic_target_open(text, state_dir, &target, err);
	if (r == 0 && !target.pid)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
				 "it is a network namespace, and processes are compared: give a pid, or the name of a "
				 "sandbox");
	return r < 0 ? r : vnic_ns_view_get(target.pid, ret_view, err);
}

static int show_views(const struct cli_args *args, struct vnic_ns_view *views, struct vnic_error *err)
{
	const char *state_dir;
	int r = cli_state_dir(false, &state_dir, err);

	for (int i = 0; i < args->operand_count && r == 0; i++)
		r = view_target(args->operands[i], state_dir, &views[i], err);
	if (r < 0)
		return r;
	if (cli_flag(args, "json"))
		return print_views_json(views, args->operand_count, err);
	print_table(views, args->operand_count);
	return 0;
}

static int show(const struct cli_args *args, struct vnic_error *err)
{
	struct vnic_ns_view *views = calloc((size_t)args->operand_count, sizeof(*views));

	if (!views)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	int r = show_views(args, views, err);
	free(views);
	return r;
}

/* --- the commands ------------------------------------------------------------------- */

static const struct cli_option json_options[] = {
	{.name = "json", .help = "print JSON"},
	{0},
};

static const struct command cmd_add = {
	.name = "add",
	.operands = "NAME...",
	.summary = "make named network namespaces",
	.details = "As root they are pinned in /run/netns, as by 'ip netns add'.  Otherwise a process holds each of\n"
		   "them, with a user namespace of its own, until 'vnic ns del'.",
	.min_operands = 1,
	.max_operands = -1,
	.run = add,
};
static const struct command cmd_del = {
	.name = "del",
	.operands = "NAME...",
	.summary = "delete named network namespaces; one that does not exist is reported, not an error",
	.min_operands = 1,
	.max_operands = -1,
	.run = del,
};
static const struct command cmd_list_names = {
	.name = "list",
	.operands = "",
	.summary = "list named network namespaces: files of /run/netns, holders, sandboxes",
	.options = json_options,
	.run = list,
};
static const struct command cmd_show = {
	.name = "show",
	.operands = "PROCESS...",
	.summary = "put the namespaces of processes side by side",
	.details =
		"A process is a pid, or the name of a sandbox or of a namespace made without root.\n"
		"Each process has a column, each kind of namespace a row.  In a row, the same letter means the same\n"
		"namespace; the number is its inode, as in /proc/PID/ns.  A dash: this user may not look.",
	.options = json_options,
	.min_operands = 1,
	.max_operands = -1,
	.run = show,
};

const struct command cmd_ns = {
	.name = "ns",
	.operands = "",
	.summary = "manage named network namespaces, and compare the namespaces of processes",
	.subcommands = (const struct command *const[]){&cmd_add, &cmd_del, &cmd_list_names, &cmd_show, NULL},
};
