/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gateway's process can no longer do once it carries flows; see confine.c. */
#ifndef GATEWAY_CONFINE_H
#define GATEWAY_CONFINE_H

#include <vnic/error.h>

/*
 * For the rest of the calling thread's life, and that of its children.  Needs no_new_privs.  Fails only where the
 * kernel has no seccomp filters; where it has no Landlock, or an old one, there is less of that.
 */
int confine(struct vnic_error *err);

/* The two halves, for tests. */
int confine_calls(struct vnic_error *err);
/* The version of Landlock that is in force; 0: the kernel has none. */
int confine_files(void);

#endif
