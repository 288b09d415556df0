/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The NICs of a VMM's guest, for whoever lists sandboxes.
 *
 * Theory of operation.  They are taps of which the VMM holds the descriptors and the router the links; no name leads to
 * either.  So the descriptors are looked for among the VMM's own, and one of each tap is copied (pidfd_getfd(2)): it
 * knows the network namespace that its link is in (nl_open_beside).  Both are allowed to whoever may trace the VMM, and
 * the copy is gone before the VMM notices.  Where they are refused (Yama, a VMM that cannot be dumped, kernels
 * before 5.6) the guest is listed without NICs.
 *
 * What a descriptor is, is asked of /proc first: of a copy of any other, the close may wait for whoever owns it (FUSE).
 *
 * Rejected: entering the router by its helper's /proc/PID/ns.  It cannot be dumped, and is nobody's but root's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

#include "enter.h"
#include "fd.h"
#include "guest.h"

#define TUN_PATH "/dev/net/tun"

/* By what it is called, which is quick to see, but may be another file's name. */
static bool may_be_tap(int proc, const char *number)
{
	char path[32], text[64];

	snprintf(path, sizeof(path), "fd/%.16s", number);
	ssize_t n = readlinkat(proc, path, text, sizeof(text));
	return n == (ssize_t)strlen(TUN_PATH) && !memcmp(text, TUN_PATH, (size_t)n);
}

/* The name of its link: "iff:" of /proc/PID/fdinfo/FD.  False for what has none, and so is no TAP. */
static bool read_name(int proc, const char *number, char ret_name[IFNAMSIZ])
{
	char path[32], line[64];
	bool found = false;

	snprintf(path, sizeof(path), "fdinfo/%.16s", number);
	CLEANUP_FD int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	if (!file)
		return false;
	take_fd(&fd);
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "iff:\t%15s", ret_name) == 1;
	fclose(file);
	return found;
}

static bool is_known(const struct vnic_sandbox_info *info, const char *name)
{
	for (unsigned i = 0; i < info->nic_count; i++)
		if (!strcmp(info->nics[i].link.name, name))
			return true;
	return false;
}

static void swap(uint64_t *a, uint64_t *b)
{
	uint64_t kept = *a;

	*a = *b;
	*b = kept;
}

/* As the guest sees it: what the router sends, it gets.  Its MAC is another. */
static void turn_round(struct vnic_link_info *link)
{
	swap(&link->rx_packets, &link->tx_packets);
	swap(&link->rx_bytes, &link->tx_bytes);
	swap(&link->rx_dropped, &link->tx_dropped);
	link->mac.set = false;
}

static void note_tap(int vmm, int proc, const char *number, struct vnic_sandbox_info *info)
{
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	struct vnic_link_info *link = &info->nics[info->nic_count].link;
	char name[IFNAMSIZ];

	if (!read_name(proc, number, name) || is_known(info, name))
		return;
	CLEANUP_FD int fd = pidfd_getfd(vmm, atoi(number), 0);
	if (fd < 0 || nl_open_beside(fd, &nl, NULL) < 0 || vnic_link_get(nl, 0, name, link, NULL) < 0)
		return;
	turn_round(link);
	info->nic_count++;
}

void guest_look(pid_t pid, struct vnic_sandbox_info *info)
{
	CLEANUP_FD int vmm = pidfd_open(pid, 0);
	char path[32];
	struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	CLEANUP_FD int proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_FD int fds = proc < 0 ? -1 : openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fds < 0 ? NULL : fdopendir(fds);
	if (!dir)
		return;
	take_fd(&fds);
	while (info->nic_count < VNIC_NICS && (entry = readdir(dir)))
		if (may_be_tap(proc, entry->d_name))
			note_tap(vmm, proc, entry->d_name, info);
	closedir(dir);
	info->vmm = info->nic_count > 0;
}
