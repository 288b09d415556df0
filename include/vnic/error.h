/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors that can be acted upon: the step, the object, the kernel's words, the remedy.
 *
 * A vnic_error is a plain value without pointers.  It may be copied, and written to and
 * read from a socket between processes of the same build.
 */
#ifndef VNIC_ERROR_H
#define VNIC_ERROR_H

#include <stddef.h>

#include <vnic/api.h>

/*
 * What was being done.  Texts and remedies stand in one table in base/error.c, in this
 * order; a static_assert keeps the two together.
 */
enum vnic_step {
	VNIC_STEP_NONE,
	VNIC_STEP_USAGE,     /* read an option, key or argument given by the user */
	VNIC_STEP_MEMORY,    /* allocate memory */
	VNIC_STEP_OPEN,      /* open a file */
	VNIC_STEP_MKDIR,     /* make a directory for names */
	VNIC_STEP_READ,      /* read a file */
	VNIC_STEP_WRITE,     /* write a file */
	VNIC_STEP_LOCK,      /* lock a file or take a name */
	VNIC_STEP_EPOLL,     /* use the event loop */
	VNIC_STEP_SOCKET,    /* open or use a socket */
	VNIC_STEP_FD_PASS,   /* pass file descriptors over a Unix socket */
	VNIC_STEP_NETLINK,   /* talk netlink (transport) */
	VNIC_STEP_LINK_ADD,  /* create a link */
	VNIC_STEP_LINK_SET,  /* change a link */
	VNIC_STEP_LINK_DEL,  /* delete a link */
	VNIC_STEP_LINK_GET,  /* look up a link */
	VNIC_STEP_LINK_WAIT, /* wait for a link */
	VNIC_STEP_ADDR,      /* add, delete or list an address */
	VNIC_STEP_ROUTE,     /* add, delete or list a route */
	VNIC_STEP_RULE,      /* add, delete or list a routing rule */
	VNIC_STEP_NEIGH,     /* add, delete or list a neighbour */
	VNIC_STEP_NFT,       /* set up nf_tables */
	VNIC_STEP_REDIRECT,  /* redirect a link's frames in the kernel */
	VNIC_STEP_NS_CHECK,  /* combine namespaces */
	VNIC_STEP_FORK,      /* start a process */
	VNIC_STEP_CLONE,     /* start a process in new namespaces */
	VNIC_STEP_UNSHARE,   /* make a namespace */
	VNIC_STEP_NS_OPEN,   /* find or open a namespace */
	VNIC_STEP_NS_JOIN,   /* join a namespace */
	VNIC_STEP_NS_PIN,    /* pin a namespace to a name */
	VNIC_STEP_NS_UNPIN,  /* take a namespace's name away */
	VNIC_STEP_IDMAP,     /* map user and group ids */
	VNIC_STEP_MOUNT,     /* mount a file system */
	VNIC_STEP_HOSTNAME,  /* set the host name */
	VNIC_STEP_SYSCTL,    /* set a sysctl */
	VNIC_STEP_CAPS,      /* change capabilities or other credentials */
	VNIC_STEP_EXEC,      /* execute a command */
	VNIC_STEP_WAIT,      /* wait for a process */
	VNIC_STEP_SIGNAL,    /* send or receive a signal */
	VNIC_STEP_TUN_OPEN,  /* open /dev/net/tun */
	VNIC_STEP_TAP_ADD,   /* create or attach to a TAP or TUN device */
	VNIC_STEP_TAP_SET,   /* set up a TAP or TUN device */
	VNIC_STEP_TAP_IO,    /* read or write frames */
	VNIC_STEP_PACKET,    /* open a packet socket */
	VNIC_STEP_PORT,      /* open a relay port */
	VNIC_STEP_RELAY,     /* relay frames */
	VNIC_STEP_FILTER,    /* compile a packet filter */
	VNIC_STEP_SANDBOX,   /* set up a sandbox */
	VNIC_STEP_TERMINAL,  /* use the terminal */
	VNIC_STEP_OUTPUT,    /* write output */
	VNIC_STEP_PUBLISH,   /* open a port of the host */
	VNIC_STEP_COUNT,
};

struct vnic_error {
	int code; /* positive errno, 0: no error */
	enum vnic_step step;
	char object[128]; /* the thing: a link, a path, an option; may be "" */
	char detail[256]; /* the kernel's extended ack, or our own sentence; may be "" */
};

/*
 * Fills *err (unless NULL) and returns -code, so that `return vnic_fail(...)` is the one
 * way out.  `code` is a positive errno.  `object` may be NULL, `detail` may be NULL and is
 * a printf format otherwise.  An error that is already set is replaced.
 */
VNIC_API int vnic_fail(struct vnic_error *err, enum vnic_step step, int code, const char *object, const char *detail,
		       ...) VNIC_PRINTF(5, 6);

/*
 * One line without a newline: "cannot create link eth0: File exists (kernel: ...)".
 * Always terminated.  Returns the length that the whole text has.
 */
VNIC_API size_t vnic_error_text(const struct vnic_error *err, char *buf, size_t size);

/* What the user can do about it, a static string, or NULL where the cause is not known. */
VNIC_API const char *vnic_error_remedy(const struct vnic_error *err);

/* The step's text, as in "cannot <text>"; static. */
VNIC_API const char *vnic_step_text(enum vnic_step step);

#endif
