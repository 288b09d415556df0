/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Namespaces: start a process in new ones, join those of another, give them names, compare them.
 *
 * Sets of namespaces are masks of the CLONE_NEW* bits of <sched.h>; see namespaces(7).
 */
#ifndef VNIC_NETNS_H
#define VNIC_NETNS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h> /* sigset_t, also where <signal.h> of strict C hides it */
#include <sys/types.h>

#include <vnic/api.h>
#include <vnic/error.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define VNIC_NS_ALL                                                                                                  \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | \
	 CLONE_NEWTIME)
#define VNIC_NAME_MAX 64 /* characters of a name */

/* "net,mnt,pid" or "all" into a mask; -EINVAL names the word.  And back: writes "net,mnt,pid". */
VNIC_API int vnic_ns_parse(const char *list, unsigned *ret_mask, struct vnic_error *err);
VNIC_API const char *vnic_ns_text(unsigned mask, char *buf, size_t size);

/* --- starting ----------------------------------------------------------------------- */

enum vnic_idmap {
	VNIC_IDMAP_ROOT, /* the caller is root (0) inside */
	VNIC_IDMAP_SELF, /* the caller keeps uid and gid */
	VNIC_IDMAP_AUTO, /* root, and the ranges of /etc/subuid and /etc/subgid from 1 on, by newuidmap(1) */
};

/*
 * A command to be started.  The child is vnic's init, pid 1 where there is a pid namespace: born in the
 * new namespaces; ids mapped; mounts, hostname; `setup` runs; it waits; after vnic_child_release it starts the
 * command, reaps, forwards the signals that processes send to it, and ends with the command's exit status.
 */
struct vnic_spawn {
	unsigned namespaces;               /* CLONE_NEW*, possibly none */
	enum vnic_idmap idmap;             /* with CLONE_NEWUSER */
	const char *hostname;              /* with CLONE_NEWUTS; NULL: unchanged */
	bool no_proc, no_sys;              /* leave /proc, /sys as they are although there is a mount namespace */
	int64_t boottime_ns, monotonic_ns; /* clock offsets, with CLONE_NEWTIME */
	bool privileged;      /* keep SYS_ADMIN, SYS_PTRACE and their like when root without a user namespace */
	bool sweep;           /* without a pid namespace: kill what the command leaves behind when it ends */
	char *const *argv;    /* argv[0] is looked up in PATH of envp; ends with NULL */
	char *const *envp;    /* NULL: the caller's */
	const sigset_t *mask; /* the command's signal mask; NULL: the caller's */
	/*
	 * Runs in the child, in its new namespaces, with all capabilities over them.  A
	 * failure there is the failure of vnic_spawn_start; it returns 0 or VNIC_KEPT_*.  May be NULL.
	 */
	int (*setup)(void *ctx, struct vnic_error *err);
	void *ctx;
	struct vnic_name *name; /* held by the child too, and dropped by it if the caller dies first; NULL: none */
};

/* What was kept as it was because the kernel refused to change it; each is worth a line to the user. */
#define VNIC_KEPT_PROC 0x1u      /* /proc shows the parent's processes */
#define VNIC_KEPT_SYS 0x2u       /* /sys shows the parent's network */
#define VNIC_KEPT_RESOLV 0x4u    /* /etc/resolv.conf is the parent's, or absent */
#define VNIC_KEPT_RESOLVERS 0x8u /* a socket of the parent's name services can be reached */

struct vnic_child {
	pid_t pid;         /* of init, as the caller sees it; it cannot be traced or joined by a sandbox's root */
	int pidfd;         /* readable when the child has ended; owned */
	int control;       /* socket to the child; owned */
	int go;            /* eventfd that the child waits on; owned */
	unsigned kept;     /* VNIC_KEPT_* */
	pid_t command;     /* the command itself, the one to join; 0 before vnic_child_release */
	int command_pidfd; /* owned */
	pid_t keeper;      /* of vnic_target_exec: kills the command when the caller dies; 0: none */
};
#define VNIC_CHILD_EMPTY ((struct vnic_child){.pidfd = -1, .control = -1, .go = -1, .command_pidfd = -1})

/* Refuses combinations of namespaces that the kernel refuses, each with its own sentence. */
VNIC_API int vnic_ns_check(unsigned namespaces, struct vnic_error *err);

/* Returns when the child's namespaces are ready and it waits to be released. */
VNIC_API int vnic_spawn_start(const struct vnic_spawn *spawn, struct vnic_child *ret_child, struct vnic_error *err);
/* Lets it execute; returns when it has (or has failed to: -ENOENT, -EACCES, ... with VNIC_STEP_EXEC). */
VNIC_API int vnic_child_release(struct vnic_child *child, struct vnic_error *err);
/* Takes what init has to say: *ret_signal is the signal that stopped the command.  -EAGAIN: nothing now. */
VNIC_API int vnic_child_next_stop(struct vnic_child *child, int *ret_signal, struct vnic_error *err);
/* Waits for its end.  *ret_status is an exit status as the shell has it: 0..255, 128+n for a signal. */
VNIC_API int vnic_child_wait(struct vnic_child *child, int *ret_status, struct vnic_error *err);
/* Kills it if it still runs, and reaps it. */
VNIC_API void vnic_child_close(struct vnic_child *child);

/*
 * May the caller make namespaces and links where it is, without a user namespace of its own?  Capabilities of a user
 * namespace count for nothing in a network that was there before it (unshare -r).
 */
VNIC_API bool vnic_privileged(void);

/* --- finding and joining ------------------------------------------------------------ */

/*
 * Something with namespaces: a process, or a network namespace that a file names.
 * Written by the user as digits (a pid), a text with a slash (a path to a namespace file), else a name: of a
 * running sandbox, of a holder, or of /run/netns.
 */
struct vnic_target {
	char text[128]; /* as given */
	pid_t pid;      /* 0: only netns_fd */
	int pidfd;      /* -1 without a pid */
	int netns_fd;   /* its network namespace */
	int userns_fd;  /* the user namespace that owns it, -1 where it is the caller's own */
};
#define VNIC_TARGET_EMPTY ((struct vnic_target){.pidfd = -1, .netns_fd = -1, .userns_fd = -1})

/*
 * `state_dir`: where names of sandboxes and holders are kept, a directory; NULL: names of /run/netns only.
 * Errors: -ESRCH no such process, -ENOENT no such name or path, -EINVAL not a network namespace.
 */
VNIC_API int vnic_target_open(const char *text, const char *state_dir, struct vnic_target *ret_target,
			      struct vnic_error *err);
VNIC_API void vnic_target_close(struct vnic_target *target);

/*
 * Runs fn in the user and network namespaces of the target, in a short-lived child that shares
 * memory and descriptors with the caller, which waits: what fn opens, the caller has.  The
 * caller's own namespaces never change.  fn must not touch signals or threads.  Returns what fn returned.
 */
VNIC_API int vnic_target_call(const struct vnic_target *target, int (*fn)(void *ctx, struct vnic_error *err), void *ctx,
			      struct vnic_error *err);

/*
 * Starts argv in all namespaces of the target (or in its network namespace, with a fresh /sys,
 * where it is a file).  The command is the caller's child and in its process group; a
 * keeper process kills it when the caller dies.  Namespaces that are already the caller's are left out.
 * `mask`: the command's signal mask; NULL: the caller's.  `privileged` as in struct vnic_spawn.  ret_child->command is
 * ret_child->pid, and there is nothing to release.
 */
VNIC_API int vnic_target_exec(const struct vnic_target *target, char *const *argv, char *const *envp,
			      const sigset_t *mask, bool privileged, struct vnic_child *ret_child,
			      struct vnic_error *err);

/* --- names -------------------------------------------------------------------------- */

/* [A-Za-z][A-Za-z0-9_.-]{0,63} */
VNIC_API int vnic_name_check(const char *name, struct vnic_error *err);

/*
 * As root (CAP_SYS_ADMIN over the host): pins a new network namespace to /run/netns/NAME as
 * ip-netns(8) does.  Otherwise starts a holder process with user and network namespaces of its own, found by the
 * name in state_dir.  lo is up in both.  -EEXIST: the name is taken.
 */
VNIC_API int vnic_netns_add(const char *name, const char *state_dir, struct vnic_error *err);
/* Deletes it.  *ret_absent: there was none, which is success.  -EBUSY: the name is a running sandbox's. */
VNIC_API int vnic_netns_del(const char *name, const char *state_dir, bool *ret_absent, struct vnic_error *err);

struct vnic_netns_info {
	char name[VNIC_NAME_MAX + 1];
	pid_t pid;      /* of the holder, or of a sandbox's command; 0 for a file, or in another pid namespace */
	bool held;      /* by a process; false: by a file */
	bool sandbox;   /* made by a running sandbox */
	uint64_t inode; /* of the network namespace; 0: could not be looked at */
};
VNIC_API int vnic_netns_list(const char *state_dir, int (*each)(const struct vnic_netns_info *info, void *ctx),
			     void *ctx, struct vnic_error *err);

/*
 * A name taken in state_dir: a file that holds the pid and is locked (fcntl(2), F_OFD_SETLK) for as long as anyone has
 * the descriptor; the name is free when the last holder of the lock is gone, however it went.
 */
struct vnic_name {
	int fd; /* -1: none */
	char path[256];
};
#define VNIC_NAME_EMPTY ((struct vnic_name){.fd = -1})
VNIC_API int vnic_name_take(const char *name, const char *state_dir, struct vnic_name *ret_name,
			    struct vnic_error *err);
/*
 * Records whose namespaces the name stands for, by its number in the caller's pid namespace; `sandbox` as in
 * vnic_netns_info.  Who is in another pid namespace is told so, and nothing else.
 */
VNIC_API int vnic_name_publish(struct vnic_name *name, pid_t pid, bool sandbox, struct vnic_error *err);
/* Removes the file and the caller's hold on it. */
VNIC_API void vnic_name_drop(struct vnic_name *name);

/* --- comparing ---------------------------------------------------------------------- */

enum vnic_ns_index {
	VNIC_NS_USER,
	VNIC_NS_MNT,
	VNIC_NS_PID,
	VNIC_NS_NET,
	VNIC_NS_IPC,
	VNIC_NS_UTS,
	VNIC_NS_CGROUP,
	VNIC_NS_TIME,
	VNIC_NS_COUNT,
};

struct vnic_ns_view {
	pid_t pid;                       /* as the caller sees it */
	pid_t inner_pid;                 /* in its innermost pid namespace (NSpid of proc_pid_status(5)) */
	uint64_t inode[VNIC_NS_COUNT];   /* 0: may not be looked at, or the kernel lacks this kind */
	char hostname[65];               /* of its UTS namespace; "" if it could not be entered */
	char uid_map[256], gid_map[256]; /* "0 1000 1", lines joined with ", " */
	char comm[16];
};
VNIC_API int vnic_ns_view_get(pid_t pid, struct vnic_ns_view *ret_view, struct vnic_error *err);
/* "user", "mnt", ...; static. */
VNIC_API const char *vnic_ns_index_text(enum vnic_ns_index index);

#endif
