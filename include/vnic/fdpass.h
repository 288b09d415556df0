/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File descriptors over a connected Unix socket (unix(7), SCM_RIGHTS), at most 253 a message, beside a byte of data or
 * more.
 */
#ifndef VNIC_FDPASS_H
#define VNIC_FDPASS_H

#include <stddef.h>

#include <vnic/api.h>
#include <vnic/error.h>

/* Sends all of the data.  -EINVAL: there is none; -EMSGSIZE: more descriptors than a message carries. */
VNIC_API int vnic_fd_send(int socket, const int *fds, unsigned count, const void *data, size_t size,
			  struct vnic_error *err);

/*
 * Takes a message, or what a stream has of it; *ret_size 0: the peer has closed.  The caller owns the descriptors.
 * -EMSGSIZE: more of them than `max`, or more data than `size`; -EMFILE: no numbers are left for them.  Then those that
 * came are closed.
 */
VNIC_API int vnic_fd_recv(int socket, int *ret_fds, unsigned max, unsigned *ret_count, void *data, size_t size,
			  size_t *ret_size, struct vnic_error *err);

#endif
