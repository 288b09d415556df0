/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A plan of requests; the files that build requests fill it. */
#ifndef NETLINK_BATCH_H
#define NETLINK_BATCH_H

#include <netlink/msg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/link.h>

#define BATCH_MAX 65536 /* messages */

struct batch_message {
	size_t offset; /* into vnic_batch.data */
	enum vnic_step step;
	int position; /* of the call that wanted it */
	bool wish;    /* the kernel may refuse it */
	bool needs;   /* is not sent where the one before it was refused */
	char object[VNIC_ADDR_TEXT];
};

/* Valid when zeroed. */
struct vnic_batch {
	uint8_t *data; /* raw messages, one after another */
	size_t size, data_room;
	struct batch_message *messages;
	size_t count, messages_room;
	/* The vnic_batch_* call that is being carried out. */
	enum vnic_step step;
	char object[VNIC_ADDR_TEXT];
	int calls;
	/* The first of them that failed; code 0: none. */
	struct vnic_error failure;
	int failure_position;
};

/* Begins one vnic_batch_* call; all that follows belongs to it. */
void batch_begin(struct vnic_batch *batch, enum vnic_step step, const char *object);
/*
 * Takes the result of a libnl function that builds a message, and the message with it.  (By its address,
 * for the function may be called in the argument list.)
 */
void batch_append(struct vnic_batch *batch, int nl_result, struct nl_msg **msg);
/* The message appended last is a wish: what the kernel answers to it does not count. */
void batch_wish(struct vnic_batch *batch);
/* It needs the one before it, and is not sent where that is refused; so its answer is awaited: one more send. */
void batch_need(struct vnic_batch *batch);
/* Makes the call a failure; `why` may be NULL. */
void batch_refuse(struct vnic_batch *batch, int code, const char *why);

#endif
