/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What netns/ offers to network/ beside the public header: processes in steps. */
#ifndef NETNS_NS_H
#define NETNS_NS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <vnic/netns.h>

/* --- clone.c ------------------------------------------------------------------------ */

/*
 * fork(2) into new namespaces with clone3(2): returns 0 in the child, the pid in the caller,
 * or a negative errno.  `sibling`: the child's parent is the caller's parent (CLONE_PARENT).
 * *ret_pidfd is set in the caller only.
 */
pid_t ns_clone(unsigned namespaces, bool sibling, int *ret_pidfd, struct vnic_error *err);

/* --- enter.c ------------------------------------------------------------------------ */

/*
 * Runs fn in a short-lived child that shares memory and descriptors with the caller
 * (CLONE_VM | CLONE_VFORK | CLONE_FILES), after it joined userns_fd and netns_fd (-1: stay).
 * What fn opens, the caller has.  fn must not touch signals or threads, and what it forks has all
 * signals blocked; err is shared memory.  fn may unshare, but no user namespace (the memory is
 * shared), and must not use ns_call itself.
 * Returns what fn returned.
 */
int ns_call(int userns_fd, int netns_fd, int (*fn)(void *ctx, struct vnic_error *err), void *ctx,
	    struct vnic_error *err);

/* --- idmap.c ------------------------------------------------------------------------ */

#define NS_RANGES 16

struct ns_range {
	uint32_t inside, outside, count;
};

/* Maps of user_namespaces(7). */
struct ns_idmap {
	struct ns_range uids[NS_RANGES], gids[NS_RANGES];
	unsigned uid_count, gid_count;
	bool by_helper; /* newuidmap(1) and newgidmap(1) must write it: the caller may not */
};

/*
 * What `kind` means for a caller with these ids.  VNIC_IDMAP_AUTO reads /etc/subuid and
 * /etc/subgid: -ENODATA with a sentence if the user has no range there; ranges beyond NS_RANGES are left out.
 */
int ns_idmap_plan(enum vnic_idmap kind, uid_t uid, gid_t gid, struct ns_idmap *ret_map, struct vnic_error *err);

/*
 * Writes the maps of a child in a new user namespace, by helper where needed.  For pid 0 the caller maps
 * itself, which the kernel allows for single ids.  An unprivileged writer first forbids setgroups, as
 * user_namespaces(7) wants.
 */
int ns_idmap_write(pid_t pid, const struct ns_idmap *map, struct vnic_error *err);

/* --- mount.c, init.c ---------------------------------------------------------------- */

/* In a new mount namespace: propagation to slave, then fresh /proc and /sys where asked.  Returns VNIC_KEPT_*. */
int ns_mounts(bool proc, bool sys, unsigned *ret_kept, struct vnic_error *err);

#endif
