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

/* --- mount.c ------------------------------------------------------------------------ */

/* In a new mount namespace: propagation to slave, then fresh /proc and /sys where asked.  Returns VNIC_KEPT_*. */
int ns_mounts(bool proc, bool sys, unsigned *ret_kept, struct vnic_error *err);

/* --- init.c, spawn.c: parent and child in step -------------------------------------- */

/* What parent and child share; made by the parent before ns_clone. */
struct ns_step {
	int parent, child; /* the ends of a SOCK_SEQPACKET pair that carries struct ns_message */
	int mapped;        /* eventfd: the parent has written the child's id maps */
	int go;            /* eventfd: the command may start */
};
#define NS_STEP_EMPTY ((struct ns_step){-1, -1, -1, -1})

int ns_step_open(struct ns_step *ret_step, struct vnic_error *err);
void ns_step_close(struct ns_step *step);
/* Signals an eventfd of a step. */
int ns_step_signal(int event_fd, struct vnic_error *err);
/* Waits for an eventfd, or for the end of the process at the other end of `control`: -EPIPE. */
int ns_step_wait(int event_fd, int control, struct vnic_error *err);

enum ns_message_type {
	NS_READY,    /* value: VNIC_KEPT_* */
	NS_FAILED,   /* err; the child ends */
	NS_EXECUTED, /* with the command's pidfd */
	NS_STOPPED,  /* value: the signal */
};
struct ns_message {
	enum ns_message_type type;
	int value;
	struct vnic_error err;
};

/* -EAGAIN when `wait` is false and there is none; -EPIPE at the end.  ret_fd may be NULL. */
int ns_message_recv(int control, bool wait, struct ns_message *ret_message, int *ret_fd, struct vnic_error *err);
int ns_message_send(int control, const struct ns_message *message, int fd, struct vnic_error *err);

/*
 * The life of a child after ns_clone(ns_clone_flags(spawn->namespaces)), see struct vnic_spawn.  `self_map`:
 * maps that the child writes itself; NULL: none are needed or the parent does it and signals `mapped`.
 */
_Noreturn void ns_child_main(const struct vnic_spawn *spawn, const struct ns_idmap *self_map, struct ns_step *step);
/* A time namespace is made by the child itself: clone3 cannot set its offsets. */
unsigned ns_clone_flags(unsigned namespaces);

/* Takes the parent's ends of the step and waits for NS_READY. */
int ns_child_ready(struct vnic_child *child, struct vnic_error *err);

/* Closes all descriptors but those in `keep`, which may contain -1 and need not be sorted. */
void ns_close_all_but(int *keep, unsigned count);

#endif
