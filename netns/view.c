/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one process's namespaces look like from here.
 *
 * Two processes share a namespace when the inodes of their /proc/PID/ns/KIND are equal.  All is read
 * through one descriptor of /proc/PID: it goes stale when the process ends, so a number that is used
 * again cannot mix two processes.
 */
#include "ns.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static int read_at(int dir, const char *name, char *buf, size_t size)
{
	CLEANUP_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

/* "         0       1000          1\n" to "0 1000 1", lines joined with ", ". */
static void read_map(int dir, const char *name, char *ret_map, size_t size)
{
	char text[1024], *save = NULL;
	unsigned inside, outside, count;
	size_t len = 0;

	ret_map[0] = '\0';
	if (read_at(dir, name, text, sizeof(text)) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line && len < size; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%u %u %u", &inside, &outside, &count) == 3)
			len += (size_t)snprintf(ret_map + len, size - len, "%s%u %u %u", len ? ", " : "", inside,
						outside, count);
}

/* "NSpid:\t4711\t1": the last one is the innermost. */
static pid_t inner_pid(const char *status)
{
	const char *line = strstr(status, "\nNSpid:");
	int pid = 0;

	if (!line)
		return 0;
	line += strlen("\nNSpid:");
	for (int n = 0; sscanf(line, " %d%n", &pid, &n) == 1 && n > 0; line += n)
		if (line[n] == '\n' || !line[n])
			break;
	return pid;
}

/* --- the host name ------------------------------------------------------------------ */

struct hostname {
	int uts;
	char *name;
	size_t size;
};

static int ask_hostname(void *ctx, struct vnic_error *err)
{
	struct hostname *host = ctx;

	if (setns(host->uts, CLONE_NEWUTS) < 0 || gethostname(host->name, host->size) < 0)
		return vnic_fail(err, VNIC_STEP_NS_JOIN, errno, "uts", NULL);
	return 0;
}

static void read_hostname(int dir, ino_t inode, char *ret_name, size_t size)
{
	CLEANUP_FD int uts = openat(dir, "ns/uts", O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int owner = -1;
	struct hostname host = {uts, ret_name, size};
	struct stat own;

	ret_name[0] = '\0';
	if (uts < 0)
		return;
	if (stat("/proc/self/ns/uts", &own) == 0 && own.st_ino == inode) {
		gethostname(ret_name, size);
		return;
	}
	owner = ns_owner(uts);
	if (ns_call(owner, -1, ask_hostname, &host, NULL) < 0)
		ret_name[0] = '\0';
}

/* --- the view ----------------------------------------------------------------------- */

int vnic_ns_view_get(pid_t pid, struct vnic_ns_view *ret_view, struct vnic_error *err)
{
	struct vnic_ns_view view = {.pid = pid};
	char path[32], name[16], object[16], status[4096];
	struct stat st;

	snprintf(object, sizeof(object), "%d", pid);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	CLEANUP_FD int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, errno == ENOENT ? ESRCH : errno, object, NULL);
	for (unsigned i = 0; i < VNIC_NS_COUNT; i++) {
		snprintf(name, sizeof(name), "ns/%s", ns_kinds[i].name);
		if (fstatat(dir, name, &st, 0) == 0)
			view.inode[i] = st.st_ino;
		else if (i == VNIC_NS_NET && errno == ENOENT) /* a zombie has left its namespaces */
			return vnic_fail(err, VNIC_STEP_NS_OPEN, ESRCH, object, "it has ended");
	}
	read_map(dir, "uid_map", view.uid_map, sizeof(view.uid_map));
	read_map(dir, "gid_map", view.gid_map, sizeof(view.gid_map));
	if (read_at(dir, "comm", view.comm, sizeof(view.comm)) == 0)
		view.comm[strcspn(view.comm, "\n")] = '\0';
	read_hostname(dir, view.inode[VNIC_NS_UTS], view.hostname, sizeof(view.hostname));
	int r = read_at(dir, "status", status, sizeof(status));
	if (r < 0) /* it has ended meanwhile */
		return vnic_fail(err, VNIC_STEP_NS_OPEN, r == -ENOENT ? ESRCH : -r, object, NULL);
	view.inner_pid = inner_pid(status);
	*ret_view = view;
	return 0;
}
