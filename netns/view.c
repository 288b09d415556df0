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

#define MORE ", ..."

static int read_at(int dir, const char *name, char *buf, size_t size)
{
	CLEANUP_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

static FILE *open_at(int dir, const char *name)
{
	CLEANUP_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (file)
		take_fd(&fd);
	return file;
}

/* "         0       1000          1\n" to "0 1000 1", lines joined with ", "; dots for those that do not fit. */
static void read_map(int dir, const char *name, char *ret_map, size_t size)
{
	FILE *file = open_at(dir, name);
	unsigned inside, outside, count;
	size_t len = 0;

	ret_map[0] = '\0';
	while (file && fscanf(file, "%u %u %u", &inside, &outside, &count) == 3) {
		char entry[40];
		int n = snprintf(entry, sizeof(entry), "%s%u %u %u", len ? ", " : "", inside, outside, count);

		if (len + (size_t)n + sizeof(MORE) > size) {
			memcpy(ret_map + len, MORE, sizeof(MORE));
			break;
		}
		memcpy(ret_map + len, entry, (size_t)n + 1);
		len += (size_t)n;
	}
	if (file)
		fclose(file);
}

/* "NSpid:\t4711\t1" of /proc/PID/status: the last one is the innermost.  The line of the groups may be long. */
static int read_inner_pid(int dir, pid_t *ret_pid)
{
	FILE *file = open_at(dir, "status");
	char line[512]; /* 32 levels */
	int code = errno, pid = 0;

	if (!file)
		return -code;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, "NSpid:", 6))
			sscanf(strrchr(line, '\t') ? strrchr(line, '\t') : "", "%d", &pid);
	code = ferror(file) ? errno : 0;
	fclose(file);
	*ret_pid = pid;
	return -code;
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
	if (ns_owner(uts, &owner) < 0 || ns_call(owner, -1, ask_hostname, &host, NULL) < 0)
		ret_name[0] = '\0';
}

/* --- the view ----------------------------------------------------------------------- */

int vnic_ns_view_get(pid_t pid, struct vnic_ns_view *ret_view, struct vnic_error *err)
{
	struct vnic_ns_view view = {.pid = pid};
	char path[32], name[16], object[16];
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
	int r = read_inner_pid(dir, &view.inner_pid);
	if (r < 0) /* it has ended meanwhile */
		return vnic_fail(err, VNIC_STEP_NS_OPEN, r == -ENOENT ? ESRCH : -r, object, NULL);
	*ret_view = view;
	return 0;
}
