/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Batches: many requests in one sendmsg(2), each failure found again.
 *
 * Theory of operation.  The kernel carries out the messages of one datagram in order, before
 * sendmsg returns, and answers each failure by the number (nlmsg_seq) of its request; a success
 * is answered only when asked for.  So only the last message of a datagram asks (NLM_F_ACK):
 * what was refused arrives before that answer, and a batch without failures costs one send
 * and one receive, however long it is.
 *
 * A datagram holds at most CHUNK_MESSAGES.  Should all of them fail, their answers must fit the
 * socket's receive buffer together, for nobody reads while sendmsg runs, and what does not fit is
 * dropped.  An answer weighs up to 1.3 KB there (its buffer and struct sk_buff); 128 of them are 166 KB of
 * the default 208 KB.
 *
 * Rejected: an acknowledgement of every message, with a larger SO_RCVBUF.  It needs
 * SO_RCVBUFFORCE above net.core.rmem_max, thus privilege, and a receive for each message.
 */
#include "batch.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <netlink/errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "socket.h"

#define CHUNK_MESSAGES 128u
#define CHUNK_BYTES 65536u /* well below net.core.wmem_default, where EMSGSIZE begins */
#define ANSWER_BYTES 8192u

/* Doubles until `need` elements fit. */
static int grow(void **array, size_t *room, size_t need, size_t element)
{
	size_t wanted = *room ? *room : 16;
	void *bigger;

	if (need <= *room)
		return 0;
	while (wanted < need)
		wanted *= 2;
	bigger = realloc(*array, wanted * element);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	*room = wanted;
	return 0;
}

int vnic_batch_new(struct vnic_batch **ret_batch, struct vnic_error *err)
{
	struct vnic_batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	*ret_batch = batch;
	return 0;
}

static void clear(struct vnic_batch *batch)
{
	free(batch->data);
	free(batch->messages);
	*batch = (struct vnic_batch){0};
}

void vnic_batch_free(struct vnic_batch *batch)
{
	if (!batch)
		return;
	clear(batch);
	free(batch);
}

void batch_begin(struct vnic_batch *batch, enum vnic_step step, const char *object)
{
	batch->step = step;
	snprintf(batch->object, sizeof(batch->object), "%s", object);
	batch->calls++;
}

void batch_refuse(struct vnic_batch *batch, int code, const char *why)
{
	if (batch->failure.code)
		return;
	vnic_fail(&batch->failure, batch->step, code, batch->object, why ? "%s" : NULL, why);
	batch->failure_position = batch->calls - 1;
}

static void append_raw(struct vnic_batch *batch, const struct nlmsghdr *nlh)
{
	size_t size = NLMSG_ALIGN(nlh->nlmsg_len);

	if (batch->count == BATCH_MAX) {
		batch_refuse(batch, EINVAL, "the batch is full");
		return;
	}
	if (grow((void **)&batch->data, &batch->data_room, batch->size + size, 1) < 0 ||
	    grow((void **)&batch->messages, &batch->messages_room, batch->count + 1, sizeof(*batch->messages)) < 0) {
		batch_refuse(batch, ENOMEM, NULL);
		return;
	}
	struct batch_message *message = &batch->messages[batch->count++];
	*message = (struct batch_message){
		.offset = batch->size,
		.step = batch->step,
		.position = batch->calls - 1,
	};
	memcpy(message->object, batch->object, sizeof(message->object));
	memcpy(batch->data + batch->size, nlh, size);
	batch->size += size;
}

void batch_append(struct vnic_batch *batch, int nl_result, struct nl_msg **msg)
{
	if (nl_result < 0)
		batch_refuse(batch, nl_result == -NLE_NOMEM ? ENOMEM : EINVAL, nl_geterror(nl_result));
	else
		append_raw(batch, nlmsg_hdr(*msg));
	nlmsg_free(*msg);
	*msg = NULL;
}

void batch_wish(struct vnic_batch *batch)
{
	if (!batch->failure.code)
		batch->messages[batch->count - 1].wish = true;
}

void batch_need(struct vnic_batch *batch)
{
	if (!batch->failure.code)
		batch->messages[batch->count - 1].needs = true;
}

static struct nlmsghdr *message_at(const struct vnic_batch *batch, size_t index)
{
	return (struct nlmsghdr *)(void *)(batch->data + batch->messages[index].offset);
}

static size_t end_of(const struct vnic_batch *batch, size_t index)
{
	return index + 1 < batch->count ? batch->messages[index + 1].offset : batch->size;
}

/* How many messages from `first` on go into one datagram. */
static size_t chunk_count(const struct vnic_batch *batch, size_t first)
{
	size_t start = batch->messages[first].offset;
	size_t count = 1;

	while (first + count < batch->count && count < CHUNK_MESSAGES && !batch->messages[first + count].needs &&
	       end_of(batch, first + count) - start <= CHUNK_BYTES)
		count++;
	return count;
}

struct outcome {
	int result, position; /* of the first failure */
	size_t behind;        /* the message behind the one that was refused last */
	struct vnic_error *err;
};

/* Reads one answer.  True when it is that of the last message. */
static bool take_answer(const struct vnic_batch *batch, size_t first, size_t count, const struct nlmsghdr *nlh,
			struct outcome *outcome)
{
	size_t index = nlh->nlmsg_seq - message_at(batch, first)->nlmsg_seq;
	const struct batch_message *message;

	if (nlh->nlmsg_type != NLMSG_ERROR || index >= count)
		return false; /* left over from an earlier, broken off exchange */
	message = &batch->messages[first + index];
	if (socket_verdict(nlh, message->step, message->object, NULL) < 0)
		outcome->behind = first + index + 1;
	if (outcome->result == 0 && !message->wish) {
		outcome->result = socket_verdict(nlh, message->step, message->object, outcome->err);
		outcome->position = message->position;
	}
	return index == count - 1;
}

static int send_chunk(const struct vnic_batch *batch, struct vnic_nl *nl, size_t first, size_t count,
		      struct outcome *outcome)
{
	size_t start = batch->messages[first].offset;
	_Alignas(struct nlmsghdr) uint8_t buf[ANSWER_BYTES];
	bool done = false;
	int r;

	for (size_t i = first; i < first + count; i++) {
		struct nlmsghdr *nlh = message_at(batch, i);

		nlh->nlmsg_seq = nl->seq++;
		nlh->nlmsg_flags |= NLM_F_REQUEST;
	}
	message_at(batch, first + count - 1)->nlmsg_flags |= NLM_F_ACK;
	r = socket_send(nl, batch->data + start, end_of(batch, first + count - 1) - start, outcome->err);
	while (r == 0 && !done) {
		ssize_t n = socket_receive(nl, buf, sizeof(buf), outcome->err);
		int left = (int)n;

		if (n < 0)
			return (int)n;
		for (const struct nlmsghdr *nlh = (void *)buf; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left))
			done |= take_answer(batch, first, count, nlh, outcome);
	}
	return r;
}

static int send_all(const struct vnic_batch *batch, struct vnic_nl *nl, struct outcome *outcome)
{
	size_t count;

	for (size_t first = 0; first < batch->count; first += count) {
		if (batch->messages[first].needs && outcome->behind == first) {
			count = 1;
			continue;
		}
		count = chunk_count(batch, first);
		int r = send_chunk(batch, nl, first, count, outcome);

		if (r < 0) {
			outcome->position = batch->messages[first].position;
			return r;
		}
	}
	return outcome->result;
}

int vnic_batch_send(struct vnic_batch *batch, struct vnic_nl *nl, int *ret_failed, struct vnic_error *err)
{
	struct outcome outcome = {.err = err};
	int r;

	if (batch->failure.code) {
		if (err)
			*err = batch->failure;
		r = -batch->failure.code;
		outcome.position = batch->failure_position;
	} else {
		r = send_all(batch, nl, &outcome);
	}
	if (r < 0 && ret_failed)
		*ret_failed = outcome.position;
	clear(batch);
	return r;
}
