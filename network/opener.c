/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The opener: sockets in the router for a process that stays on the host's side.
 *
 * A process that is in the host's network namespace without privilege can never enter the router and come
 * back.  So it asks the router's helper over a socket pair, one request a datagram, and gets the
 * descriptor as SCM_RIGHTS.  A request for its own side is served on the spot.  One message has no
 * answer here: that of a flood, see floods.c.
 *
 * The front may ask for any socket.  The gateway, which parses what the sandbox sends, gets those of flows: whoever
 * took it over must find nothing here that its own filter of system calls forbids it, such as a Unix socket that is
 * connected to a service of the host.
 *
 * A UDP socket that is bound to a remote's address and not yet connected would be found for the datagrams of all flows
 * to there.  The ruleset lets it not have them, but looks twice: for the socket, among hundreds that have this address,
 * and then whether it is connected, which it may have become in between.  So it is bound to the loopback, by which no
 * datagram of a sandbox comes, until it is connected.
 *
 * Who asks waits for the answer, and does nothing else meanwhile.  So each request is answered, in the worst case by
 * the end of the connection; and both are numbered, for an answer that could not be received, the kernel being out of
 * memory, is still there when the next one is waited for.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <vnic/fdpass.h>

#include "build.h"
#include "fd.h"
#include "slowpath.h"

#define ANSWER_SECONDS 5

struct answer {
	uint32_t number;
	int result;
	struct vnic_error err;
};

static int set_flag(int fd, int level, int option, struct vnic_error *err)
{
	if (setsockopt(fd, level, option, &(int){1}, sizeof(int)) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, NULL, "setsockopt %d/%d", level, option);
	return 0;
}

/* 0: to none. */
static int bind_to_link(int fd, int index, struct vnic_error *err)
{
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, NULL, "SO_BINDTOIFINDEX");
	return 0;
}

static socklen_t addr_len(const struct sockaddr_storage *addr)
{
	return addr->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static int place(int fd, const struct vnic_open_request *request, struct vnic_error *err)
{
	if (request->bind.ss_family && bind(fd, (const void *)&request->bind, addr_len(&request->bind)) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, NULL, "bind");
	if (request->connect.ss_family &&
	    connect(fd, (const void *)&request->connect,
		    request->connect_len ? request->connect_len : addr_len(&request->connect)) < 0 &&
	    errno != EINPROGRESS)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, NULL, "connect");
	return 0;
}

/* Of a UDP flow, see above. */
static int place_unseen(int fd, const struct vnic_open_request *request, struct vnic_error *err)
{
	int r = bind_to_link(fd, LO_INDEX, err);

	if (r == 0)
		r = place(fd, request, err);
	return r < 0 ? r : bind_to_link(fd, 0, err);
}

static int set_up(int fd, const struct vnic_open_request *request, struct vnic_error *err)
{
	bool unseen = request->transparent && request->type == SOCK_DGRAM && request->connect.ss_family;
	bool v6 = request->domain == AF_INET6;
	int r = 0;

	if (request->transparent)
		r = set_flag(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, err);
	if (request->side == VNIC_SIDE_ROUTER && request->type == SOCK_STREAM)
		slowpath_unpace(fd);
	if (r == 0 && request->reuse_addr)
		r = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, err);
	if (r == 0 && request->reuse_port)
		r = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, err);
	if (r < 0)
		return r;
	if (request->device[0] &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, request->device, (socklen_t)strlen(request->device)) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, request->device, "SO_BINDTODEVICE");
	r = unseen ? place_unseen(fd, request, err) : place(fd, request, err);
	if (r < 0)
		return r;
	if (request->mark) /* only for speed */
		setsockopt(fd, SOL_SOCKET, SO_MARK, &request->mark, sizeof(request->mark));
	if (request->backlog > 0 && listen(fd, request->backlog) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, NULL, "listen");
	return 0;
}

/* In the caller's network namespace. */
static int open_here(const struct vnic_open_request *request, int *ret_fd, struct vnic_error *err)
{
	CLEANUP_FD int fd = -1;
	int r;

	if (request->domain == AF_PACKET) {
		struct vnic_link_info info;
		struct vnic_nl *nl;

		r = vnic_nl_open(&nl, err);
		if (r < 0)
			return r;
		r = vnic_link_get(nl, 0, request->device, &info, err);
		vnic_nl_close(nl);
		return r < 0 ? r : vnic_packet_open(info.index, ret_fd, err);
	}
	fd = socket(request->domain, request->type | SOCK_CLOEXEC | SOCK_NONBLOCK, request->protocol);
	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, NULL, "family %d, type %d", request->domain,
				 request->type);
	if (request->domain == AF_UNIX)
		refuse_fds(fd);
	r = set_up(fd, request, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

void opener_limit(int socket)
{
	const struct timeval limit = {.tv_sec = ANSWER_SECONDS};

	setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

/* The answer of this number; those of earlier requests, which nobody waits for, are thrown away. */
static int await_answer(int socket, uint32_t number, struct answer *ret_answer, int *ret_fd, struct vnic_error *err)
{
	for (;;) {
		CLEANUP_FD int fd = -1;
		unsigned count = 0;
		size_t size = 0;
		int r = vnic_fd_recv(socket, &fd, 1, &count, ret_answer, sizeof(*ret_answer), &size, err);

		if (r < 0)
			return r;
		if (size == 0)
			return vnic_fail(err, VNIC_STEP_SOCKET, EPIPE, "to the router", "its helper has ended");
		if (size != sizeof(*ret_answer))
			return vnic_fail(err, VNIC_STEP_SOCKET, EPROTO, "to the router", NULL);
		if (ret_answer->number != number)
			continue;
		*ret_fd = take_fd(&fd);
		return 0;
	}
}

int opener_ask(int socket, const struct vnic_open_request *request, int *ret_fd, struct vnic_error *err)
{
	static _Atomic uint32_t asked;
	struct opener_question question = {.number = ++asked, .request = *request};
	CLEANUP_FD int fd = -1;
	struct answer answer = {0};
	int r;

	if (request->side == VNIC_SIDE_HOST)
		return open_here(request, ret_fd, err);
	r = vnic_fd_send(socket, NULL, 0, &question, sizeof(question), err);
	if (r == 0)
		r = await_answer(socket, question.number, &answer, &fd, err);
	if (r == -EAGAIN) /* the socket has a limit (opener_limit) */
		return vnic_fail(err, VNIC_STEP_WAIT, ETIMEDOUT, "vnic-router", NULL);
	if (r < 0)
		return r;
	if (answer.result < 0) {
		if (err)
			*err = answer.err;
		return answer.result;
	}
	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, EPROTO, "to the router", NULL);
	*ret_fd = take_fd(&fd);
	return 0;
}

int opener_tell_flood(int socket, const struct opener_flood *flood)
{
	return vnic_fd_send(socket, NULL, 0, flood, sizeof(*flood), NULL);
}

static bool is_in_scope(const struct vnic_open_request *request, enum opener_scope scope)
{
	if (scope == OPENER_ALL)
		return memchr(request->device, '\0', sizeof(request->device));
	return (request->domain == AF_INET || request->domain == AF_INET6) &&
	       (request->type == SOCK_STREAM || request->type == SOCK_DGRAM) && request->protocol == 0 &&
	       !request->device[0];
}

_Static_assert(sizeof(struct opener_flood) != sizeof(struct opener_question), "told apart by their size");

int opener_answer(int socket, enum opener_scope scope, struct opener_flood *ret_flood, struct vnic_error *err)
{
	union {
		struct opener_question question;
		struct opener_flood flood;
	} heard = {0};
	struct answer answer = {0};
	CLEANUP_FD int fd = -1;
	unsigned count = 0;
	size_t size = 0;
	int r = vnic_fd_recv(socket, NULL, 0, &count, &heard, sizeof(heard), &size, err);

	if (r < 0)
		return r;
	if (size == 0)
		return -EPIPE;
	if (size == sizeof(heard.flood)) {
		*ret_flood = heard.flood;
		return OPENER_FLOOD;
	}
	answer.number = heard.question.number;
	if (size != sizeof(heard.question))
		answer.result = vnic_fail(&answer.err, VNIC_STEP_SOCKET, EPROTO, "in the router", NULL);
	else if (!is_in_scope(&heard.question.request, scope))
		answer.result = vnic_fail(&answer.err, VNIC_STEP_SOCKET, EPERM, "in the router", NULL);
	else
		answer.result = open_here(&heard.question.request, &fd, &answer.err);
	if (vnic_fd_send(socket, &fd, fd >= 0 ? 1 : 0, &answer, sizeof(answer), &answer.err) == 0)
		return 0;
	answer.result = -answer.err.code; /* the descriptor stays here */
	r = vnic_fd_send(socket, NULL, 0, &answer, sizeof(answer), err);
	return r < 0 ? -EPIPE : 0;
}
