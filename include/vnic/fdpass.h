/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File descriptors over a connected Unix socket (unix(7), SCM_RIGHTS), at most 253 a message.
 * The receiver owns what it gets; a message with more descriptors than `max` is refused
 * with -EMSGSIZE and all of them are closed.
 */
#ifndef VNIC_FDPASS_H
#define VNIC_FDPASS_H

#include <stddef.h>

#include <vnic/api.h>
#include <vnic/error.h>

VNIC_API int vnic_fd_send(int socket, const int *fds, unsigned count, const void *data, size_t size,
			  struct vnic_error *err);
VNIC_API int vnic_fd_recv(int socket, int *ret_fds, unsigned max, unsigned *ret_count, void *data, size_t size,
			  size_t *ret_size, struct vnic_error *err);

#endif
