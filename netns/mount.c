/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a new mount namespace needs so that a sandbox sees itself: its own processes in
 * /proc, its own network in /sys.
 *
 * The kernel may refuse either where the old mount is overmounted (a container masks parts of
 * /proc; mount_too_revealing in fs/namespace.c).  Then it stays as it was and the
 * caller is told.  A fresh /sys hides /sys/fs/cgroup, which is cloned before and put back;
 * recursively, for a user namespace may not take single mounts out of a locked tree.
 */
#include "ns.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x4
#endif

#define CGROUP_DIR "/sys/fs/cgroup"

static int mount_sys(void)
{
	CLEANUP_FD int cgroup =
		(int)syscall(SYS_open_tree, AT_FDCWD, CGROUP_DIR, OPEN_TREE_CLONE | AT_RECURSIVE | (unsigned)O_CLOEXEC);

	if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -errno;
	if (cgroup >= 0)
		syscall(SYS_move_mount, cgroup, "", AT_FDCWD, CGROUP_DIR, MOVE_MOUNT_F_EMPTY_PATH);
	return 0;
}

int ns_mounts(bool proc, bool sys, unsigned *ret_kept, struct vnic_error *err)
{
	unsigned kept = 0;

	/* Slave, not private: what the host mounts later still appears, what we mount stays here. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return vnic_fail(err, VNIC_STEP_MOUNT, errno, "/", "changing propagation to slave");
	if (proc && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		kept |= VNIC_KEPT_PROC;
	if (sys && mount_sys() < 0)
		kept |= VNIC_KEPT_SYS;
	*ret_kept = kept;
	return 0;
}
