/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolv.conf(5): what the host's says, when it changes, and the sandbox's own.
 *
 * In the order of a sandbox's life: resolv_mount by init; resolv_refresh and resolv_guard_* by the front.
 */
#ifndef NETWORK_RESOLV_H
#define NETWORK_RESOLV_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <vnic/dns.h>
#include <vnic/error.h>

#define RESOLV_PATH "/etc/resolv.conf"
#define RESOLV_KEEP 4096

/* --- resolv.c: reading -------------------------------------------------------------- */

struct resolv {
	struct vnic_dns_servers servers;
	size_t kept_size;
	char kept[RESOLV_KEEP]; /* lines other than nameserver: search, domain, options, sortlist */
};

/* As the C library reads it: what it does not understand it skips; without a server it is this host. */
void resolv_parse(const char *text, struct resolv *ret_resolv);
/* An unreadable file is an empty one. */
void resolv_read(const char *path, struct resolv *ret_resolv);

/* Which file it was. */
struct resolv_file {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

/* The front's, for the gateway, which opens no files. */
struct resolv_source {
	const char *path;
	bool read;               /* at least once */
	struct resolv_file seen; /* all zero: there was none */
};
/* Always true the first time; afterwards when the path leads to another file, or the file is changed. */
bool resolv_refresh(struct resolv_source *source, struct vnic_dns_servers *servers);

/* What to tell the user whose sandbox has the host's resolv.conf, where that leads nowhere there; false: it works. */
bool resolv_shared_warning(const struct vnic_dns_config *dns, char *buf, size_t size);

/* --- resolv_mount.c ----------------------------------------------------------------- */

struct resolv_config {
	const char *path;           /* of the file in the sandbox; RESOLV_PATH */
	struct resolv_file host;    /* what it was before, for the guard */
	struct vnic_addr listen[2]; /* as in vnic_dns_config */
};

/*
 * In the sandbox's own mount namespace, before the command: covers the file, and the sockets of name services
 * that would answer from the host's side.  Never fails for the sandbox: *ret_kept is what stayed as it was,
 * VNIC_KEPT_*, and *err says why the file did, if it did.
 */
void resolv_mount(const struct resolv_config *config, unsigned *ret_kept, struct vnic_error *err);

/* The file alone, which has lost its cover. */
int resolv_mount_again(const struct resolv_config *config, struct vnic_error *err);

/* --- resolv_guard.c ----------------------------------------------------------------- */

/* Sees when the host put another file over the sandbox's, and covers it again. */
struct resolv_guard {
	const struct resolv_config *config;
	int fd; /* RESOLV_GUARD_EVENTS: something was mounted or unmounted there; owned */
	struct resolv_file host;
};
/*
 * Of epoll(7).  EPOLLPRI, which proc_pid_mountinfo(5) names, is told once only, and a poll(2) of the epoll descriptor
 * takes it from epoll_wait(2); EPOLLIN is always there, and so is told once for each change.
 */
#define RESOLV_GUARD_EVENTS (EPOLLIN | EPOLLET)
#define RESOLV_GUARD_EMPTY ((struct resolv_guard){.fd = -1})

/* The name itself: where it is a symbolic link, that is what is covered.  Absent: all zero. */
struct resolv_file resolv_look(const char *path);
/* By the front.  `init` is in the sandbox's mount namespace, where the file is covered. */
int resolv_guard_open(const struct resolv_config *config, pid_t init, struct resolv_guard *ret_guard,
		      struct vnic_error *err);
void resolv_guard_close(struct resolv_guard *guard);
/* After an event, and once at first.  `command` is a process of the sandbox that may be joined.  1: it was covered
 * again; 0: no need. */
int resolv_guard_look(struct resolv_guard *guard, pid_t command, int command_pidfd, struct vnic_error *err);

#endif
