/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Covering: in a mount namespace of our own, one file gets contents of ours, and some directories become empty.
 *
 * Theory of operation.  One small tmpfs holds the file and an empty directory, and copies of these mounts are put on
 * top of what is to be covered.  Where the file's name is a symbolic link, the link itself is covered (move_mount(2)
 * does not follow it unless told to): then it does not matter where it leads, or whether that is there at all, and what
 * the host renames at its end undoes nothing.
 *
 * What nothing can prevent: when the host renames another file over a name that is covered, the kernel removes the
 * cover in all namespaces (detach_mounts, fs/namespace.c), for the name stands for another file now.  So somebody has
 * to look and cover it again; see network/resolv_guard.c.  Rejected: an overlay on the whole directory, which the
 * host's renames would not touch.  It hides what is mounted inside (a container's own resolv.conf, hostname and hosts),
 * makes the directory read-only or its changes vanish, and may be stacked twice only, while sandboxes nest deeper.
 *
 * The tmpfs itself is mounted nowhere.  Its descriptor is not closed here: to dissolve it takes the kernel a grace
 * period of RCU, 50 to 600 us, and init closes what it holds when the command runs and nobody waits.  Before Linux 6.15
 * only what is mounted somewhere can be copied: there it is mounted on "/" for a moment, where no path leads.
 */
#include "ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"

#define FILE_NAME "file"
#define DIR_NAME "dir"

struct cloth {
	int fd; /* the root of the tmpfs */
	bool attached;
};

static int make_tmpfs(int *ret_fd)
{
	CLEANUP_FD int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int fd;

	if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", "vnic", 0) < 0 ||
	    syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", "64k", 0) < 0 ||
	    syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
			  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* For everyone to read and the sandbox's root to write, whatever the caller's umask. */
static int fill(const struct cloth *cloth, const struct ns_cover *cover)
{
	CLEANUP_FD int fd = openat(cloth->fd, FILE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	ssize_t n;

	if (fd < 0 || fchmod(fd, 0644) < 0)
		return -errno;
	n = write(fd, cover->text, cover->size);
	if (n < 0 || (size_t)n != cover->size)
		return n < 0 ? -errno : -ENOSPC;
	if (mkdirat(cloth->fd, DIR_NAME, 0555) < 0 || fchmodat(cloth->fd, DIR_NAME, 0555, 0) < 0)
		return -errno;
	return 0;
}

static int attach(struct cloth *cloth)
{
	if (syscall(SYS_move_mount, cloth->fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	cloth->attached = true;
	return 0;
}

/* No path leads there but from there. */
static void detach(const struct cloth *cloth)
{
	CLEANUP_FD int here = open(".", O_PATH | O_CLOEXEC);

	if (!cloth->attached || here < 0)
		return;
	if (fchdir(cloth->fd) < 0)
		return;
	umount2(".", MNT_DETACH);
	(void)!fchdir(here);
}

/* Looks first whether it is there: a copy that is not put anywhere costs a grace period, too. */
static int put(struct cloth *cloth, const char *name, const char *path)
{
	CLEANUP_FD int copy = -1;
	struct stat covered;
	int r;

	if (lstat(path, &covered) < 0)
		return -errno;
	copy = (int)syscall(SYS_open_tree, cloth->fd, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (copy < 0 && errno == EINVAL && !cloth->attached) {
		r = attach(cloth);
		return r < 0 ? r : put(cloth, name, path);
	}
	if (copy < 0 || syscall(SYS_move_mount, copy, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static bool is_absent(int r)
{
	return r == -ENOENT || r == -ENOTDIR;
}

int ns_cover(const struct ns_cover *cover, const char **ret_uncovered, struct vnic_error *err)
{
	struct cloth cloth = {.fd = -1};
	int r = make_tmpfs(&cloth.fd), dir;

	*ret_uncovered = NULL;
	if (r == 0)
		r = fill(&cloth, cover);
	if (r == 0 && cover->attach)
		r = attach(&cloth);
	for (const char *const *path = cover->dirs; r == 0 && *path; path++) {
		dir = put(&cloth, DIR_NAME, *path);
		if (dir < 0 && !is_absent(dir))
			*ret_uncovered = *path;
	}
	if (r == 0)
		r = put(&cloth, FILE_NAME, cover->file);
	detach(&cloth);
	return r < 0 ? vnic_fail(err, VNIC_STEP_MOUNT, -r, cover->file, NULL) : 0;
}
