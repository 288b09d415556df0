/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refusing what the kernel would refuse, before anything is started and each with its own sentence.
 *
 * The kernel has two numbers, EPERM and EINVAL, for a dozen rules.  The rules that can be known
 * beforehand are here, in the order in which copy_process (kernel/fork.c), create_user_ns
 * (kernel/user_namespace.c), copy_namespaces (kernel/nsproxy.c) and copy_pid_ns (kernel/pid_namespace.c) ask
 * them.  What is asked of the system is collected first, so that the decision itself is a pure function.
 *
 * Not here, for a process cannot know it of itself: how deep its namespaces are nested (32 is
 * the limit: ENOSPC), limits set in a parent namespace, what a security module says.  These
 * have remedies in base/error.c.
 */
#include "ns.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/stat.h>

#define REFUSE(code, ...) vnic_fail(err, VNIC_STEP_NS_CHECK, code, text, __VA_ARGS__)

int ns_check_in(unsigned namespaces, const struct ns_surroundings *here, struct vnic_error *err)
{
	char buf[96];
	const char *text = vnic_ns_text(namespaces, buf, sizeof(buf));
	unsigned unknown = namespaces & VNIC_NS_ALL & ~here->kinds;

	if (namespaces & ~(unsigned)VNIC_NS_ALL)
		return REFUSE(EINVAL,
			      "0x%x is no namespace: CLONE_FS, CLONE_VM and their like share with the parent "
			      "what a new namespace must have for itself",
			      namespaces & ~(unsigned)VNIC_NS_ALL);
	if (!namespaces)
		return 0;
	if (!here->kinds)
		return REFUSE(ENOSYS, "/proc is not mounted here, and all that is known of namespaces stands there");
	if (unknown)
		return REFUSE(EOPNOTSUPP, "this kernel has no %s namespaces", vnic_ns_text(unknown, buf, sizeof(buf)));
	if (namespaces & CLONE_NEWUSER) {
		if (here->no_user_namespaces)
			return REFUSE(EPERM, "/proc/sys/user/max_user_namespaces is 0: 'sudo sysctl "
					     "user.max_user_namespaces=10000' allows them");
		if (here->chrooted)
			return REFUSE(EPERM, "a process in a chroot may not make user namespaces; use pivot_root(8) "
					     "instead of chroot(8), or start outside of it");
		if (!here->ids_mapped)
			return REFUSE(EPERM, "this process's own uid or gid has no mapping in its user namespace");
	} else if (!here->privileged) {
		return REFUSE(EPERM, "without root (CAP_SYS_ADMIN) new namespaces need a user namespace among them");
	}
	if ((namespaces & CLONE_NEWPID) && here->pid_pending)
		return REFUSE(EINVAL, "this process has another pid namespace waiting for its children "
				      "(unshare --pid without --fork)");
	return 0;
}

/* --- the surroundings --------------------------------------------------------------- */

bool ns_is_mapped(const char *path, uint32_t id)
{
	uint64_t inside, outside, count;
	bool found = false;
	FILE *file = fopen(path, "re");

	if (!file)
		return true; /* without /proc something else is said */
	while (!found && fscanf(file, "%" SCNu64 "%" SCNu64 "%" SCNu64, &inside, &outside, &count) == 3)
		found = id >= inside && id < inside + count;
	fclose(file);
	return found;
}

/*
 * In a chroot whose directory is not itself a mount point.  One into a mount point is not recognised; there, and before
 * Linux 5.8, the kernel refuses by itself.
 */
static bool is_chrooted(void)
{
	struct statx root;

	return statx(AT_FDCWD, "/", AT_STATX_DONT_SYNC, STATX_TYPE, &root) == 0 &&
	       root.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT && !(root.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static bool is_zero(const char *path)
{
	FILE *file = fopen(path, "re");
	int value = 1;

	if (!file)
		return false;
	bool zero = fscanf(file, "%d", &value) == 1 && value == 0;
	fclose(file);
	return zero;
}

/* False where it cannot be told: then the kernel refuses by itself. */
static bool is_pid_pending(void)
{
	struct stat own, childrens;

	if (stat("/proc/self/ns/pid", &own) < 0)
		return false;
	if (stat("/proc/self/ns/pid_for_children", &childrens) < 0)
		return errno == ENOENT; /* it has no init yet (pidns_for_children_get, kernel/pid_namespace.c) */
	return own.st_ino != childrens.st_ino;
}

/* Asks only for what `namespaces` makes matter. */
static struct ns_surroundings look_around(unsigned namespaces)
{
	struct ns_surroundings here = {.ids_mapped = true};
	bool user = namespaces & CLONE_NEWUSER;
	CLEANUP_FD int dir = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool unseen = dir < 0 && errno != ENOENT; /* for want of descriptors, say, which the next step will tell */

	for (unsigned i = 0; i < VNIC_NS_COUNT; i++)
		if (unseen || (dir >= 0 && (faccessat(dir, ns_kinds[i].name, F_OK, 0) == 0 || errno != ENOENT)))
			here.kinds |= ns_kinds[i].flag;
	if (user) {
		here.no_user_namespaces = is_zero("/proc/sys/user/max_user_namespaces");
		here.ids_mapped =
			ns_is_mapped("/proc/self/uid_map", geteuid()) && ns_is_mapped("/proc/self/gid_map", getegid());
		here.chrooted = is_chrooted();
	} else {
		here.privileged = ns_have_capability(CAP_SYS_ADMIN);
	}
	if (namespaces & CLONE_NEWPID)
		here.pid_pending = is_pid_pending();
	return here;
}

int vnic_ns_check(unsigned namespaces, struct vnic_error *err)
{
	const struct ns_surroundings here = look_around(namespaces);

	return ns_check_in(namespaces, &here, err);
}
