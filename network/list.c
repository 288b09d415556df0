/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running sandboxes, found where they cannot be forgotten: among the processes.  Each has an init
 * called "vnic-init" whose first child is the command.  Only named ones have a file besides.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "enter.h"
#include "fd.h"
#include "guest.h"
#include "ns.h"

/* Whose the names are, asked once for all sandboxes. */
struct names {
	struct name {
		pid_t pid;
		char text[VNIC_NAME_MAX + 1];
	} * list;
	size_t count;
};

static void names_free(struct names *names)
{
	free(names->list);
}

static int note_name(const struct vnic_netns_info *info, void *ctx)
{
	struct names *names = ctx;
	bool full = (names->count & (names->count - 1)) == 0; /* room doubles: 1, 2, 4, ... */

	if (!info->sandbox)
		return 0;
	if (full) {
		struct name *bigger = realloc(names->list, (names->count ? names->count * 2 : 1) * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		names->list = bigger;
	}
	names->list[names->count].pid = info->pid;
	memcpy(names->list[names->count].text, info->name, sizeof(info->name));
	names->count++;
	return 0;
}

/* Names of sandboxes that were killed go when they are looked at. */
static int names_read(const char *state_dir, struct names *names, struct vnic_error *err)
{
	int r = state_dir ? vnic_netns_list(state_dir, note_name, names, err) : 0;

	return r == -ENOMEM ? vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL) : r;
}

static const char *name_of(const struct names *names, pid_t pid)
{
	for (size_t i = 0; i < names->count; i++)
		if (names->list[i].pid == pid)
			return names->list[i].text;
	return "";
}

/* It has ended, or we may not look at it. */
static bool is_hidden(int r)
{
	return r == -ENOENT || r == -ESRCH || r == -EACCES || r == -EPERM;
}

/* Reads a small file of /proc; its length, 0 when it is hidden. */
static int read_proc(pid_t pid, const char *file, char *ret_text, size_t size, struct vnic_error *err)
{
	char path[64];

	ret_text[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_text, size - 1);
	if (n < 0)
		return is_hidden(-errno) ? 0 : vnic_fail(err, VNIC_STEP_READ, errno, path, NULL);
	ret_text[n] = '\0';
	return (int)n;
}

/* 0: this is no init, or it has no command. */
static pid_t command_of(pid_t init, struct vnic_error *err)
{
	char file[48], text[128];
	int command, r = read_proc(init, "comm", text, sizeof(text), err);

	if (r <= 0 || strcmp(text, "vnic-init\n") != 0)
		return r < 0 ? r : 0;
	snprintf(file, sizeof(file), "task/%d/children", init);
	r = read_proc(init, file, text, sizeof(text), err);
	return r < 0 ? r : sscanf(text, "%d", &command) == 1 ? command : 0;
}

static int read_command(pid_t pid, char *ret_text, size_t size, struct vnic_error *err)
{
	int n = read_proc(pid, "cmdline", ret_text, size, err);

	for (int i = 0; i + 1 < n; i++)
		if (!isprint((unsigned char)ret_text[i]))
			ret_text[i] = ' ';
	return n;
}

static int note_link(const struct vnic_link_info *link, void *ctx)
{
	struct vnic_sandbox_info *info = ctx;

	if (!(link->flags & IFF_LOOPBACK) && info->nic_count < VNIC_NICS)
		info->nics[info->nic_count++].link = *link;
	return 0;
}

static int note_addr(const struct vnic_addr_info *addr, void *ctx)
{
	struct vnic_sandbox_info *info = ctx;

	for (unsigned i = 0; i < info->nic_count; i++)
		if (info->nics[i].link.index == addr->ifindex && info->nics[i].addr_count < VNIC_NIC_ADDRS)
			info->nics[i].addrs[info->nics[i].addr_count++] = addr->addr;
	return 0;
}

static int look_at_links(const struct vnic_target *target, struct vnic_sandbox_info *info, struct vnic_error *err)
{
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	int r = vnic_nl_open_in(target, &nl, err);

	if (r == 0)
		r = vnic_link_list(nl, note_link, info, err);
	return r < 0 ? r : vnic_addr_list(nl, 0, note_addr, info, err);
}

static int look_inside(pid_t pid, struct vnic_sandbox_info *info, struct vnic_error *err)
{
	CLEANUP(vnic_target_close) struct vnic_target target = VNIC_TARGET_EMPTY;
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	int r = vnic_target_open(text, NULL, &target, err);
	if (r == 0 && !ns_is_own(target.netns_fd, "net")) /* else the links are the host's */
		r = look_at_links(&target, info, err);
	if (r == 0 && !info->nic_count)
		guest_look(pid, info);
	return r;
}

/* 1; 0 for one that ends while we look, or that we may not look at. */
static int describe(pid_t command, const struct names *names, struct vnic_sandbox_info *ret_info,
		    struct vnic_error *err)
{
	struct vnic_sandbox_info info = {.pid = command};
	char path[32];
	struct stat st;
	int r;

	snprintf(path, sizeof(path), "/proc/%d", command);
	r = stat(path, &st) < 0 ? vnic_fail(err, VNIC_STEP_READ, errno, path, NULL) : look_inside(command, &info, err);
	if (r == 0)
		r = read_command(command, info.command, sizeof(info.command), err);
	if (r < 0)
		return is_hidden(r) ? 0 : r;
	info.uid = st.st_uid;
	snprintf(info.name, sizeof(info.name), "%s", name_of(names, command));
	*ret_info = info;
	return 1;
}

int vnic_sandbox_list(const char *state_dir, int (*each)(const struct vnic_sandbox_info *info, void *ctx), void *ctx,
		      struct vnic_error *err)
{
	CLEANUP(names_free) struct names names = {0};
	struct dirent *entry;
	int r = names_read(state_dir, &names, err);
	DIR *proc = r < 0 ? NULL : opendir("/proc");

	if (!proc)
		return r < 0 ? r : vnic_fail(err, VNIC_STEP_READ, errno, "/proc", NULL);
	while (r == 0 && (errno = 0, entry = readdir(proc))) {
		struct vnic_sandbox_info info;

		r = isdigit((unsigned char)entry->d_name[0]) ? command_of(atoi(entry->d_name), err) : 0;
		if (r > 0)
			r = describe(r, &names, &info, err);
		if (r > 0)
			r = each(&info, ctx);
	}
	if (r == 0 && errno)
		r = vnic_fail(err, VNIC_STEP_READ, errno, "/proc", NULL);
	closedir(proc);
	return r;
}
