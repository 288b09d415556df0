/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "host.h"

#include <errno.h>
#include <time.h> /* errqueue.h wants it and does not say so */

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int host_socket(int family, int protocol)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	if (family == AF_INET) {
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &(int){1}, sizeof(int));
	} else {
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &(int){1}, sizeof(int));
		/* Or a mapped address would reach IPv4 behind the policy's back. */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
	}
	return fd;
}

static struct host_error error_of(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct sock_extended_err error;

		if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
		    !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			continue;
		memcpy(&error, CMSG_DATA(c), sizeof(error));
		return (struct host_error){
			.code = (int)error.ee_errno,
			.from_afar = error.ee_origin != SO_EE_ORIGIN_LOCAL,
			.type = error.ee_type,
			.what = error.ee_code,
			.mtu = error.ee_info,
		};
	}
	return (struct host_error){.code = EIO};
}

bool host_error(int fd, struct host_error *ret_error, void *quote, size_t *size)
{
	union {
		char space[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = quote, .iov_len = *size};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
	int code = 0;

	*size = n > 0 ? (size_t)n : 0;
	if (n >= 0) {
		*ret_error = error_of(&message);
		return true;
	}
	/* An error that left no message, as when memory is short; asking takes it off. */
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &(socklen_t){sizeof(code)});
	*ret_error = (struct host_error){.code = code};
	return code != 0;
}
