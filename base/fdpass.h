/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_FDPASS_H
#define BASE_FDPASS_H

#include <vnic/fdpass.h>

/* vnic_fd_recv with the flags of recvmsg(2). */
int receive_fds(int socket, int flags, int *ret_fds, unsigned max, unsigned *ret_count, void *data, size_t size,
		size_t *ret_size, struct vnic_error *err);

#endif
