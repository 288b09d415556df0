/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The netlink socket.
 *
 * Theory of operation.  Opening costs three system calls: socket(2) and two options.  The socket
 * is not bound, for the kernel binds it at the first request.  NETLINK_EXT_ACK makes the kernel say in words
 * why it refused; NETLINK_CAP_ACK keeps the refused request out of its answer, so that answers
 * have a small, known size (batch.c counts on that).
 *
 * Rejected: libnl's nl_sock.  It keeps one error number of an answer and loses the kernel's
 * words, and sends one message at a time.
 */
#include "socket.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attr.h"

static int kernel_send(void *wire, const void *data, size_t size)
{
	return TEMP_FAILURE_RETRY(mnl_socket_sendto(wire, data, size)) < 0 ? -errno : 0;
}

/* Root of a network namespace may send to any socket there, in the kernel's name but for the sender's number. */
static ssize_t kernel_receive(void *wire, void *buf, size_t size)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	struct msghdr msg = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	do {
		n = recvmsg(mnl_socket_get_fd(wire), &msg, 0);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n < 0)
		return -errno;
	return msg.msg_flags & MSG_TRUNC ? -ENOSPC : n;
}

int socket_open(int bus, struct vnic_nl **ret_nl, struct vnic_error *err)
{
	struct vnic_nl *nl = calloc(1, sizeof(*nl));
	int on = 1;

	if (!nl)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	*nl = (struct vnic_nl){.send = kernel_send, .receive = kernel_receive, .seq = 1};
	nl->wire = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!nl->wire) {
		int code = errno;

		free(nl);
		return vnic_fail(err, VNIC_STEP_SOCKET, code, "of netlink", NULL);
	}
	/* Without these (before Linux 4.12) errors have no words; nothing else changes. */
	(void)mnl_socket_setsockopt(nl->wire, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(nl->wire, NETLINK_CAP_ACK, &on, sizeof(on));
	*ret_nl = nl;
	return 0;
}

int vnic_nl_open(struct vnic_nl **ret_nl, struct vnic_error *err)
{
	return socket_open(NETLINK_ROUTE, ret_nl, err);
}

void vnic_nl_close(struct vnic_nl *nl)
{
	if (!nl)
		return;
	mnl_socket_close(nl->wire);
	free(nl);
}

int socket_send(struct vnic_nl *nl, const void *data, size_t size, struct vnic_error *err)
{
	int r = nl->send(nl->wire, data, size);

	return r < 0 ? vnic_fail(err, VNIC_STEP_NETLINK, -r, NULL, NULL) : 0;
}

ssize_t socket_receive(struct vnic_nl *nl, void *buf, size_t size, struct vnic_error *err)
{
	ssize_t n = nl->receive(nl->wire, buf, size);

	return n < 0 ? vnic_fail(err, VNIC_STEP_NETLINK, (int)-n, NULL, NULL) : n;
}

/* Where the attributes start that follow the verdict, counted from the payload; 0: there are none. */
static size_t words_offset(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *verdict = mnl_nlmsg_get_payload(nlh);

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return 0;
	if (nlh->nlmsg_type == NLMSG_DONE)
		return sizeof(int);
	if (nlh->nlmsg_flags & NLM_F_CAPPED)
		return sizeof(*verdict);
	return sizeof(*verdict) + mnl_nlmsg_get_payload_len(&verdict->msg);
}

int socket_verdict(const struct nlmsghdr *nlh, enum vnic_step step, const char *object, struct vnic_error *err)
{
	size_t need = nlh->nlmsg_type == NLMSG_DONE ? sizeof(int) : sizeof(struct nlmsgerr);
	size_t size = mnl_nlmsg_get_payload_len(nlh);
	const struct nlattr *attrs[NLMSGERR_ATTR_MAX + 1];
	size_t offset;
	int code;

	if (size < need)
		return vnic_fail(err, VNIC_STEP_NETLINK, EBADMSG, object, NULL);
	memcpy(&code, mnl_nlmsg_get_payload(nlh), sizeof(code)); /* first in both */
	if (code >= 0)
		return 0;
	offset = words_offset(nlh);
	if (offset && offset < size) {
		char words[sizeof(err->detail)];

		attr_table(mnl_nlmsg_get_payload_offset(nlh, offset), size - offset, attrs, NLMSGERR_ATTR_MAX);
		attr_text(attrs[NLMSGERR_ATTR_MSG], words, sizeof(words));
		if (words[0])
			return vnic_fail(err, step, -code, object, "kernel: %s", words);
	}
	return vnic_fail(err, step, -code, object, NULL);
}
