/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network namespaces pinned to /run/netns/NAME, as ip-netns(8) has them: each program sees the other's.
 *
 * A pin is an empty file with the namespace bind-mounted on it.  The directory is a shared mount of its own, so that
 * pins made or deleted in one mount namespace come and go in the others.  Making is two steps, and
 * the maker may be killed between them: then a plain file is left.  Such a file is mended by the next
 * add (mounted upon) or del (removed).  A maker has its file locked meanwhile, so that nobody mends what is
 * just being made.
 *
 * The namespace is made by a short child that shares our memory (ns_call); the caller never leaves its own.
 */
#include "ns.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define PIN_PATH (sizeof(NS_PIN_DIR) + 1 + VNIC_NAME_MAX)

bool ns_pin_allowed(void)
{
	CLEANUP_FD int mnt = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	/* Root of a user namespace without a mount namespace of its own may not mount anything. */
	if (mnt < 0 || !ns_have_capability(CAP_SYS_ADMIN) || access("/run", W_OK) < 0)
		return false;
	CLEANUP_FD int owner = ioctl(mnt, NS_GET_USERNS);
	return owner >= 0 && ns_is_own(owner, "user");
}

int ns_pin_is(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) < 0 ? -errno : fs.f_type == NSFS_MAGIC;
}

static bool make_shared(void)
{
	return mount("", NS_PIN_DIR, "none", MS_SHARED | MS_REC, NULL) == 0;
}

/* The lock is the one that ip(8) takes here; once the directory is a mount, nobody needs it. */
static int prepare_dir(struct vnic_error *err)
{
	if (mkdir(NS_PIN_DIR, 0755) < 0 && errno != EEXIST)
		return vnic_fail(err, VNIC_STEP_NS_PIN, errno, NS_PIN_DIR, NULL);
	if (make_shared())
		return 0;
	CLEANUP_FD int dir = open(NS_PIN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || flock(dir, LOCK_EX) < 0)
		return vnic_fail(err, VNIC_STEP_NS_PIN, errno, NS_PIN_DIR, NULL);
	if (make_shared())
		return 0;
	if (errno != EINVAL || mount(NS_PIN_DIR, NS_PIN_DIR, "none", MS_BIND | MS_REC, NULL) < 0 || !make_shared())
		return vnic_fail(err, VNIC_STEP_NS_PIN, errno, NS_PIN_DIR, "making it a shared mount");
	return 0;
}

/* Opens and locks the file below a pin.  *ret_file is -1 if the pin is made: the kernel opens a namespace to read only.
 */
static int lock_pin(const char *path, int flags, int *ret_file)
{
	for (;;) {
		if (ns_pin_is(path) > 0) {
			*ret_file = -1;
			return 0;
		}
		CLEANUP_FD int file = open(path, flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
		int r = file < 0 ? -errno : ns_lock_file(file, path);

		if (r > 0) {
			*ret_file = take_fd(&file);
			return 0;
		}
		if (r < 0 && ns_pin_is(path) > 0) /* it was made just now */
			continue;
		if (r < 0 && r != -EAGAIN && file >= 0 && flags & O_CREAT)
			unlink(path); /* refused for a mount: nobody's namespace */
		if (r < 0)
			return r;
	}
}

/* In a child: the caller does not leave its own. */
static int make_and_mount(void *ctx, struct vnic_error *err)
{
	const char *path = ctx;

	int r = ns_leave_netns(NULL, err);

	if (r == 0)
		r = ns_lo_up(err);
	if (r == 0 && mount("/proc/self/ns/net", path, "none", MS_BIND, NULL) < 0)
		r = vnic_fail(err, VNIC_STEP_NS_PIN, errno, path, NULL);
	return r;
}

static void path_of(const char *name, char ret_path[PIN_PATH])
{
	snprintf(ret_path, PIN_PATH, "%s/%s", NS_PIN_DIR, name);
}

int ns_pin_add(const char *name, struct vnic_error *err)
{
	CLEANUP_FD int file = -1;
	char path[PIN_PATH];
	int r = prepare_dir(err);

	if (r < 0)
		return r;
	path_of(name, path);
	r = lock_pin(path, O_CREAT, &file);
	if (r == -EAGAIN || (r == 0 && file < 0))
		return vnic_fail(err, VNIC_STEP_NS_PIN, EEXIST, name, NULL);
	if (r < 0)
		return vnic_fail(err, VNIC_STEP_NS_PIN, -r, name, NULL);
	r = ns_call(-1, -1, make_and_mount, path, err);
	if (r < 0)
		unlink(path);
	return r;
}

static int delete_pin(const char *path)
{
	CLEANUP_FD int file = -1;
	int r = lock_pin(path, 0, &file);

	/* As ip(8): detached, for someone may have it in use.  A half-made pin is no mount. */
	if (r == 0 && file < 0 && umount2(path, MNT_DETACH) < 0)
		r = -errno;
	if (r == 0 && unlink(path) < 0)
		r = -errno;
	return r;
}

int ns_pin_del(const char *name, struct vnic_error *err)
{
	char path[PIN_PATH];

	path_of(name, path);
	int r = delete_pin(path);
	if (r == -EINVAL) /* no mount any more: somebody else was quicker */
		r = delete_pin(path);
	if (r == -EAGAIN)
		return vnic_fail(err, VNIC_STEP_NS_UNPIN, EBUSY, name, "it is just being made");
	return r < 0 ? vnic_fail(err, VNIC_STEP_NS_UNPIN, -r, name, NULL) : 0;
}
