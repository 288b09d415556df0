/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Joining all namespaces of a process.
 *
 * Theory of operation.  Linux 5.8 joins several at once by a pidfd, checking each with the credentials
 * that the user namespace among them will give: right for everyone.  Where that is refused or missing, one by one.  The
 * order matters then: a privileged caller must enter what its own rights open before it enters the user
 * namespace, for there it loses them; an ordinary user must enter the user namespace first.  So: all but user, as far
 * as it goes; user; what is left, and now a refusal counts.
 *
 * Namespaces that are already the caller's are left out: setns into the own user namespace is
 * refused (EINVAL), and into others it would need privilege for nothing.
 */
#include "ns.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

void ns_set_close(struct ns_set *set)
{
	for (unsigned i = 0; i < VNIC_NS_COUNT; i++)
		close_fd(&set->fds[i]);
}

/* Has the kernel namespaces of this kind? */
static bool is_known(const char *kind)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	return access(path, F_OK) == 0;
}

/* The inside id of the first line: root where root is mapped, the user's own with a map to self. */
static uint32_t first_id(const char *process, const char *file)
{
	uint32_t id = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/%s", process, file);
	FILE *map = fopen(path, "re");
	if (map) {
		if (fscanf(map, "%u", &id) != 1)
			id = 0;
		fclose(map);
	}
	return id;
}

static int fill_set(const struct vnic_target *target, struct ns_set *set, struct vnic_error *err)
{
	char path[64], process[16];

	for (unsigned i = 0; i < VNIC_NS_COUNT; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", target->pid, ns_kinds[i].name);
		CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
		int code = errno;
		if (fd < 0 && ns_has_ended(target->pidfd))
			return vnic_fail(err, VNIC_STEP_NS_OPEN, ESRCH, target->text, "it has ended");
		if (fd < 0 && code == ENOENT && !is_known(ns_kinds[i].name))
			continue;
		if (fd < 0)
			return vnic_fail(err, VNIC_STEP_NS_OPEN, code, target->text, NULL);
		if (ns_is_own(fd, ns_kinds[i].name))
			continue;
		set->mask |= ns_kinds[i].flag;
		set->fds[i] = take_fd(&fd);
	}
	snprintf(process, sizeof(process), "%d", target->pid);
	set->uid = first_id(process, "uid_map");
	set->gid = first_id(process, "gid_map");
	if (ns_has_ended(target->pidfd))
		return vnic_fail(err, VNIC_STEP_NS_OPEN, ESRCH, target->text, "it has ended");
	return 0;
}

int ns_set_open(const struct vnic_target *target, struct ns_set *ret_set, struct vnic_error *err)
{
	struct ns_set set = NS_SET_EMPTY;
	int r = fill_set(target, &set, err);

	if (r < 0)
		ns_set_close(&set);
	else
		*ret_set = set;
	return r;
}

/* Joins those of `mask`; returns the mask of those that were refused. */
static unsigned join_each(const struct ns_set *set, unsigned mask, int *ret_code)
{
	unsigned refused = 0;

	for (unsigned i = 0; i < VNIC_NS_COUNT; i++) {
		if (!(mask & ns_kinds[i].flag) || setns(set->fds[i], (int)ns_kinds[i].flag) == 0)
			continue;
		*ret_code = errno;
		refused |= ns_kinds[i].flag;
	}
	return refused;
}

unsigned ns_join_one_by_one(const struct ns_set *set, int *ret_code)
{
	unsigned user = set->mask & CLONE_NEWUSER;
	unsigned left = join_each(set, set->mask & ~user, ret_code);

	if (user && join_each(set, user, ret_code))
		return left | user;
	return left ? join_each(set, left, ret_code) : 0;
}

/*
 * By raw system calls: glibc's want all threads of the process to follow and wait for those of the
 * caller, which a child of ns_clone does not have.
 */
int ns_become(uid_t uid, gid_t gid, struct vnic_error *err)
{
	if (syscall(SYS_setgroups, 0, NULL) < 0 && errno != EPERM) /* forbidden with an unprivileged gid_map */
		return vnic_fail(err, VNIC_STEP_CAPS, errno, "supplementary groups", NULL);
	if (syscall(SYS_setresgid, gid, gid, gid) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
		return vnic_fail(err, VNIC_STEP_CAPS, errno, "user and group ids", NULL);
	return 0;
}

int ns_become_somebody(struct vnic_error *err)
{
	return ns_become(first_id("self", "uid_map"), first_id("self", "gid_map"), err);
}

int ns_join(const struct ns_set *set, int pidfd, const char *object, struct vnic_error *err)
{
	char text[96];
	int code = 0;

	if (!set->mask)
		return 0;
	if (setns(pidfd, (int)set->mask) < 0) {
		unsigned left = ns_join_one_by_one(set, &code);

		if (left)
			return vnic_fail(err, VNIC_STEP_NS_JOIN, code, object, "refused: %s",
					 vnic_ns_text(left, text, sizeof(text)));
	}
	/* Somebody with a name inside: the overflow id, which an unmapped caller has, owns nothing there. */
	return set->mask & CLONE_NEWUSER ? ns_become(set->uid, set->gid, err) : 0;
}
