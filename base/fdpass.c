/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors over a Unix socket.
 *
 * The receiver always offers the kernel room for as many descriptors as a message can carry
 * (SCM_MAX_FD, 253).  With less room the kernel installs some and drops the rest, and which ones
 * arrived would have to be guessed from MSG_CTRUNC.
 */
#include "fdpass.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"

#define FDS_MAX 253

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static int check(unsigned count, size_t size, struct vnic_error *err)
{
	if (count > FDS_MAX)
		return vnic_fail(err, VNIC_STEP_FD_PASS, EMSGSIZE, NULL, "a message carries at most %d", FDS_MAX);
	if (size == 0)
		return vnic_fail(err, VNIC_STEP_FD_PASS, EINVAL, NULL, "descriptors need a byte of data beside them");
	return 0;
}

int vnic_fd_send(int socket, const int *fds, unsigned count, const void *data, size_t size, struct vnic_error *err)
{
	union control control = {0};
	struct iovec iov = {(void *)(uintptr_t)data, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int r = check(count, size, err);

	if (r < 0)
		return r;
	if (count) {
		struct cmsghdr *cmsg = &control.align;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
	}
	do {
		ssize_t n = TEMP_FAILURE_RETRY(sendmsg(socket, &msg, MSG_NOSIGNAL));

		if (n < 0)
			return vnic_fail(err, VNIC_STEP_FD_PASS, errno, NULL, NULL);
		/* A stream may take a part; the descriptors went with its first byte. */
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
	} while (iov.iov_len);
	return 0;
}

static unsigned take_fds(struct msghdr *msg, int fds[FDS_MAX])
{
	unsigned count = 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t bytes = cmsg->cmsg_len - CMSG_LEN(0);

		memcpy(fds + count, CMSG_DATA(cmsg), bytes);
		count += (unsigned)(bytes / sizeof(int));
	}
	return count;
}

int receive_fds(int socket, int flags, int *ret_fds, unsigned max, unsigned *ret_count, void *data, size_t size,
		size_t *ret_size, struct vnic_error *err)
{
	union control control;
	struct iovec iov = {data, size};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	int fds[FDS_MAX];
	unsigned count;
	ssize_t n = TEMP_FAILURE_RETRY(recvmsg(socket, &msg, flags | MSG_CMSG_CLOEXEC));

	if (n < 0)
		return vnic_fail(err, VNIC_STEP_FD_PASS, errno, NULL, NULL);
	count = take_fds(&msg, fds);
	if (count > max || msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
		for (unsigned i = 0; i < count; i++)
			close_fd(&fds[i]);
		/* The kernel also cuts a message when this process has no descriptor numbers left. */
		if (count <= max && msg.msg_flags & MSG_CTRUNC)
			return vnic_fail(err, VNIC_STEP_FD_PASS, EMFILE, NULL, "some were lost on the way");
		return vnic_fail(err, VNIC_STEP_FD_PASS, EMSGSIZE, NULL,
				 "more arrived than the %u descriptors and %zu bytes expected", max, size);
	}
	for (unsigned i = 0; i < count; i++)
		ret_fds[i] = fds[i];
	*ret_count = count;
	*ret_size = (size_t)n;
	return 0;
}

int vnic_fd_recv(int socket, int *ret_fds, unsigned max, unsigned *ret_count, void *data, size_t size, size_t *ret_size,
		 struct vnic_error *err)
{
	return receive_fds(socket, 0, ret_fds, max, ret_count, data, size, ret_size, err);
}
