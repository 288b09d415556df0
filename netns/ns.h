/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What netns/ offers to network/ beside the public header: processes in steps. */
#ifndef NETNS_NS_H
#define NETNS_NS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <vnic/netns.h>

/* --- mask.c ------------------------------------------------------------------------- */

struct ns_kind {
	unsigned flag;    /* CLONE_NEW* */
	const char *name; /* as in /proc/PID/ns */
};
extern const struct ns_kind ns_kinds[VNIC_NS_COUNT]; /* by enum vnic_ns_index */

/* --- check.c ------------------------------------------------------------------------ */

/* What decides whether namespaces can be made here; plain values, so that a test can be anywhere. */
struct ns_surroundings {
	unsigned kinds;          /* CLONE_NEW* that the kernel has; 0: no /proc to see it in */
	bool privileged;         /* CAP_SYS_ADMIN over the own user namespace */
	bool chrooted;           /* as far as can be seen */
	bool ids_mapped;         /* the own uid and gid, in the own user namespace */
	bool no_user_namespaces; /* the limit is 0 */
	bool pid_pending;        /* children go to another pid namespace than the process's own */
};
int ns_check_in(unsigned namespaces, const struct ns_surroundings *here, struct vnic_error *err);
/* Is the id in this map (/proc/PID/uid_map, gid_map)?  True where there is no such file. */
bool ns_is_mapped(const char *path, uint32_t id);

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

/*
 * The user namespace that owns a namespace, as a new descriptor; *ret_owner is -1 where it is the caller's own or
 * above it: joining it would gain nothing or be refused.
 */
int ns_owner(int ns_fd, int *ret_owner);

/* --- orphan.c ----------------------------------------------------------------------- */

/*
 * What a process of ours drops that lives beside the user's: every descriptor but `keep`, the working directory,
 * signals' handlers and mask.  `name` is what ps(1) shows.
 */
void ns_forget(const char *name, int *keep, unsigned keep_count);
/*
 * Starts a process that outlives the caller: nobody's child, in a session of its own, in new
 * namespaces (CLONE_NEW*, maybe none), and it forgets.  It runs fn, which returns its exit status.
 */
int ns_orphan(const char *name, unsigned namespaces, int *keep, unsigned keep_count, int (*fn)(void *ctx), void *ctx,
	      struct vnic_error *err);

/* --- name.c ------------------------------------------------------------------------- */

/* Whose a name in a state directory is. */
struct ns_name_owner {
	pid_t pid; /* 0: the name is taken but nothing is published yet */
	bool sandbox;
	bool elsewhere; /* the number is one of another pid namespace: pid is 0, for here somebody else may have it */
	int pidfd;      /* -1: pid 0; to be closed */
};
/* -ENOENT: nobody has it (a stale file is removed). */
int ns_name_find(const char *name, const char *state_dir, struct ns_name_owner *ret_owner, struct vnic_error *err);
/*
 * Locks a file for as long as the descriptor is open anywhere, and checks that the path still leads to it:
 * 1 yes, 0 no (open it again), -EAGAIN another has the lock.
 */
int ns_lock_file(int fd, const char *path);

/* --- target.c ----------------------------------------------------------------------- */

/* Has the process of this pidfd ended? */
bool ns_has_ended(int pidfd);
/* Is this namespace the caller's?  `kind` as in struct ns_kind.  False where it cannot be told. */
bool ns_is_own(int ns_fd, const char *kind);

/* --- join.c ------------------------------------------------------------------------- */

/* The namespaces of a process that are not the caller's. */
struct ns_set {
	unsigned mask;          /* CLONE_NEW* */
	int fds[VNIC_NS_COUNT]; /* -1: not in the mask */
	uint32_t uid, gid;      /* to become inside, with a user namespace */
};
#define NS_SET_EMPTY ((struct ns_set){.fds = {-1, -1, -1, -1, -1, -1, -1, -1}})

int ns_set_open(const struct vnic_target *target, struct ns_set *ret_set, struct vnic_error *err);
void ns_set_close(struct ns_set *set);
/* Moves the calling process; a pid namespace is for its children.  There is no way back. */
int ns_join(const struct ns_set *set, int pidfd, const char *object, struct vnic_error *err);
/*
 * Takes these ids and sheds all groups where that is not forbidden, in a child of ns_clone, whose caller may have had
 * threads.
 */
int ns_become(uid_t uid, gid_t gid, struct vnic_error *err);
/* In a user namespace that was joined by its file: the ids of ns_set, from its maps. */
int ns_become_somebody(struct vnic_error *err);
/* The way of old kernels; returns the mask of those that were refused, *ret_code is the errno. */
unsigned ns_join_one_by_one(const struct ns_set *set, int *ret_code);

/* --- pin.c, holder.c ---------------------------------------------------------------- */

#define NS_PIN_DIR "/run/netns" /* of ip-netns(8) */

/* May the caller mount in the namespaces that it is in? */
bool ns_pin_allowed(void);
/* Is a namespace mounted there?  1, 0, or why that cannot be told. */
int ns_pin_is(const char *path);
int ns_pin_add(const char *name, struct vnic_error *err);
/* -ENOENT: there is none. */
int ns_pin_del(const char *name, struct vnic_error *err);
int ns_holder_add(const char *name, const char *state_dir, struct vnic_error *err);

/* --- net.c --------------------------------------------------------------------------- */

/* Brings lo up in the caller's network namespace. */
int ns_lo_up(struct vnic_error *err);

/*
 * For a child of ours, or an fn of ns_call: leaves the network namespace for a new one, which belongs to the
 * caller's user namespace and lives as long as a member of it or a socket opened in it.  *ret_old, unless NULL, is
 * the one that was left.
 */
int ns_leave_netns(int *ret_old, struct vnic_error *err);

/*
 * Writes a file of /proc/sys in the caller's namespaces.  False: it may not be written, which in a container is no
 * surprise.
 */
bool ns_set_sysctl(const char *path, const char *value);

/* --- caps.c ------------------------------------------------------------------------- */

/* Has the caller this capability (CAP_*, effective) over its own user namespace? */
bool ns_have_capability(unsigned capability);
/* Root of the host in namespaces without a user namespace keeps the network's capabilities, not the machine's. */
int ns_drop_machine_caps(struct vnic_error *err);
/* Gives up every capability, in all sets, and the way to new ones (no_new_privs). */
int ns_drop_all_caps(struct vnic_error *err);

/* --- idmap.c ------------------------------------------------------------------------ */

#define NS_RANGES 16

struct ns_range {
	uint32_t inside, outside, count;
};

/* Maps of user_namespaces(7). */
struct ns_idmap {
	struct ns_range uids[NS_RANGES], gids[NS_RANGES];
	unsigned uid_count, gid_count;
	bool by_helper;       /* newuidmap(1) and newgidmap(1) must write it: the caller may not */
	bool without_setfcap; /* root is mapped by a root that may not give files capabilities */
};

/*
 * What `kind` means for a caller with these ids.  VNIC_IDMAP_AUTO reads /etc/subuid and
 * /etc/subgid: -ENODATA with a sentence if the user has no range there; ranges beyond NS_RANGES are left
 * out, and those that overlap one before them.
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

/* --- cover.c ------------------------------------------------------------------------ */

struct ns_cover {
	const char *file; /* gets this text; must be there, if only as a symbolic link that leads nowhere */
	const void *text;
	size_t size;
	const char *const *dirs; /* become empty; ends with NULL; those that are absent stay so */
	bool attach;             /* in the way of kernels before 6.15, for tests */
};
/*
 * In a mount namespace of the caller's own, and with CAP_SYS_ADMIN over it.  *ret_uncovered: a directory that the
 * kernel refused to cover; static; NULL: none.  Leaves one descriptor open, until the process ends or closes all.
 */
int ns_cover(const struct ns_cover *cover, const char **ret_uncovered, struct vnic_error *err);

/* --- init.c, spawn.c: parent and child in step -------------------------------------- */

/* What parent and child share; made by the parent before ns_clone. */
struct ns_step {
	int parent, child; /* the ends of a SOCK_SEQPACKET pair that carries struct ns_message */
	int mapped;        /* eventfd: the parent has written the child's id maps */
	int netns;         /* eventfd: the child has made its network namespace, if it was to */
	int go;            /* eventfd: the command may start */
};
#define NS_STEP_EMPTY ((struct ns_step){-1, -1, -1, -1, -1})

int ns_step_open(struct ns_step *ret_step, struct vnic_error *err);
void ns_step_close(struct ns_step *step);
/* Signals an eventfd of a step. */
int ns_step_signal(int event_fd, struct vnic_error *err);
/* Waits for an eventfd, or for the end of the process at the other end of `control`: -EPIPE. */
int ns_step_wait(int event_fd, int control, struct vnic_error *err);

enum ns_message_type {
	NS_READY,     /* value: VNIC_KEPT_*; of a router: its relay's pid, with its pidfd */
	NS_FAILED,    /* err; the child ends */
	NS_EXECUTED,  /* with the command's pidfd */
	NS_STOPPED,   /* value: the signal */
	NS_NOTE,      /* note: a line for the user */
	NS_STARTED,   /* another child was started: value: its pid, with its pidfd */
	NS_STATS,     /* the other way: write your counters to this descriptor */
	NS_NEXT_FILE, /* open the file of this number; the other way: here it is, or err */
	NS_FINISH,    /* the other way: write what is left, and end; a gateway: send it, and say the same */
	NS_RESOLVERS, /* what are the host's resolvers? the other way: read them from this descriptor; none: the same */
};
#define NS_NOTE_TEXT 640 /* has room for the longest name of the DNS twice */
struct ns_message {
	enum ns_message_type type;
	int value;
	struct vnic_error err;
	char note[NS_NOTE_TEXT];
};

/* -EAGAIN when `wait` is false and there is none; -EPIPE at the end.  ret_fd may be NULL. */
int ns_message_recv(int control, bool wait, struct ns_message *ret_message, int *ret_fd, struct vnic_error *err);
int ns_message_send(int control, const struct ns_message *message, int fd, struct vnic_error *err);
/* The failure of which it tells, now the caller's: always a negative errno, whatever a process that was taken over
 * says. */
int ns_message_failure(const struct ns_message *message, struct vnic_error *err);
/* Sends NS_NOTE; what does not fit is cut. */
void ns_note(int control, const char *text, ...) VNIC_PRINTF(2, 3);

/*
 * The life of a child, see struct vnic_spawn; a time namespace is made by itself.  `self_map`:
 * maps that the child writes itself; NULL: none are needed or the parent does it and signals `mapped`.
 */
_Noreturn void ns_child_main(const struct vnic_spawn *spawn, const struct ns_idmap *self_map, struct ns_step *step);

/*
 * Starts such a child and sees to its maps (NULL: no user namespace).  Moves the parent's ends of the
 * step into *ret_child.  The caller has all signals blocked and set spawn->mask.  `sibling` as in ns_clone:
 * then *ret_child only serves to be handed on.
 */
int ns_child_start(const struct vnic_spawn *spawn, const struct ns_idmap *map, bool sibling, struct ns_step *step,
		   struct vnic_child *ret_child, struct vnic_error *err);

/*
 * What /proc calls a process that we see as `pid`: the same, unless the kernel refused us a /proc of our own pid
 * namespace (VNIC_KEPT_PROC of the sandbox that we are in).
 */
pid_t ns_proc_pid(pid_t pid, int pidfd);
/* Has /proc the numbers of our own pid namespace? */
bool ns_proc_is_own(void);

/* Takes the parent's ends of the step and waits for NS_READY. */
int ns_child_ready(struct vnic_child *child, struct vnic_error *err);

/* --- execute.c ---------------------------------------------------------------------- */

/*
 * execvp(3) with another environment (NULL: the caller's).  Returns only on failure, with -ENOENT exactly where a shell
 * says that there is no such command.  Allocates nothing: the caller may be a child that shares memory.
 */
int ns_execute(char *const *argv, char *const *envp, struct vnic_error *err);
/* Has the caller a controlling terminal? */
bool ns_has_terminal(void);

/* Closes all descriptors but those in `keep`, which may contain -1 and need not be sorted. */
void ns_close_all_but(int *keep, unsigned count);

#endif
