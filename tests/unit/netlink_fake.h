/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel that answers from a script: each request is noted, and the next answers are queued for it. */
#ifndef TESTS_UNIT_NETLINK_FAKE_H
#define TESTS_UNIT_NETLINK_FAKE_H

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdio.h>
#include <string.h>

#include "socket.h"
#include "vt.h"

#define FAKE_DATAGRAMS 512

struct fake {
	/* Called for each message of a request; it puts the answers. */
	void (*answer)(struct fake *fake, const struct nlmsghdr *request);
	int sends, requests;
	int receive_error; /* when no answer is left */
	struct {
		_Alignas(struct nlmsghdr) uint8_t data[512];
		size_t size;
	} queue[FAKE_DATAGRAMS];
	int head, tail;
	int step; /* the script's own */
};

static inline int fake_send(void *wire, const void *data, size_t size)
{
	struct fake *fake = wire;
	int left = (int)size;

	fake->sends++;
	for (const struct nlmsghdr *nlh = data; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		fake->requests++;
		fake->answer(fake, nlh);
	}
	return 0;
}

static inline ssize_t fake_receive(void *wire, void *buf, size_t size)
{
	struct fake *fake = wire;
	size_t len;

	if (fake->head == fake->tail)
		return -fake->receive_error;
	len = fake->queue[fake->head].size;
	assert_true(len <= size);
	memcpy(buf, fake->queue[fake->head++].data, len);
	return (ssize_t)len;
}

static inline struct vnic_nl fake_nl(struct fake *fake)
{
	fake->receive_error = ENOBUFS;
	return (struct vnic_nl){.send = fake_send, .receive = fake_receive, .wire = fake, .seq = 1};
}

/* A datagram with one message in it; the script may add to it, and then calls fake_put. */
static inline struct nlmsghdr *fake_message(struct fake *fake, uint16_t type, uint32_t seq)
{
	struct nlmsghdr *nlh;

	assert_true(fake->tail < FAKE_DATAGRAMS);
	nlh = mnl_nlmsg_put_header(fake->queue[fake->tail].data);
	nlh->nlmsg_type = type;
	nlh->nlmsg_seq = seq;
	return nlh;
}

static inline void fake_put(struct fake *fake, const struct nlmsghdr *nlh)
{
	fake->queue[fake->tail++].size = NLMSG_ALIGN(nlh->nlmsg_len);
}

static inline void fake_verdict(struct fake *fake, const struct nlmsghdr *request, int error, const char *words)
{
	struct nlmsghdr *nlh = fake_message(fake, NLMSG_ERROR, request->nlmsg_seq);
	struct nlmsgerr *verdict = mnl_nlmsg_put_extra_header(nlh, sizeof(*verdict));

	verdict->error = error;
	verdict->msg = *request;
	nlh->nlmsg_flags = NLM_F_CAPPED;
	if (words) {
		nlh->nlmsg_flags |= NLM_F_ACK_TLVS;
		mnl_attr_put_strz(nlh, NLMSGERR_ATTR_MSG, words);
	}
	fake_put(fake, nlh);
}

static inline void fake_done(struct fake *fake, uint32_t seq, int error, uint16_t flags)
{
	struct nlmsghdr *nlh = fake_message(fake, NLMSG_DONE, seq);

	memcpy(mnl_nlmsg_put_extra_header(nlh, sizeof(error)), &error, sizeof(error));
	nlh->nlmsg_flags = (uint16_t)(NLM_F_MULTI | flags);
	fake_put(fake, nlh);
}

#endif
