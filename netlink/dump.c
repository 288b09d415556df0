/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dumps.
 *
 * Theory of operation.  The kernel sends a dump in datagrams as the reader asks for more, and lets go of its locks in
 * between.  When the table changed meanwhile it marks a message with NLM_F_DUMP_INTR: entries may be
 * missing or stand there twice.  So the whole answer is collected first, and thrown away and
 * asked for anew when any message has the mark; only then does the caller see it.
 *
 * Rejected: calling back as messages arrive.  The caller would have to take back what it did
 * with the first half of an answer that turns out to be wrong.
 */
#include "dump.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"

#define REQUEST_BYTES 128

void dump_free(struct dump *dump)
{
	free(dump->data);
	*dump = (struct dump){0};
}

/* Where the next datagram goes; NULL: no memory, or no end. */
static uint8_t *next_datagram(struct dump *dump)
{
	size_t room = dump->room ? dump->room * 2 : (size_t)SOCKET_DATAGRAM * 2;
	uint8_t *bigger;

	if (dump->room - dump->size < SOCKET_DATAGRAM) {
		bigger = room <= DUMP_BYTES_MAX ? realloc(dump->data, room) : NULL;
		if (!bigger)
			return NULL;
		dump->data = bigger;
		dump->room = room;
	}
	return dump->data + dump->size;
}

struct progress {
	bool kept;        /* the datagram is part of the answer */
	bool interrupted; /* so is one with the mark */
	bool done;
};

static int look_at(const void *datagram, size_t size, uint32_t seq, enum vnic_step step, struct progress *progress,
		   struct vnic_error *err)
{
	int left = (int)size;

	progress->kept = false;
	for (const struct nlmsghdr *nlh = datagram; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_seq != seq)
			continue; /* left over from an earlier, broken off exchange */
		progress->kept = true;
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			progress->interrupted = true;
		if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR) {
			progress->done = true;
			return socket_verdict(nlh, step, NULL, err);
		}
	}
	return 0;
}

/* Reads until the end of the answer to `seq`. */
static int collect(struct vnic_nl *nl, uint32_t seq, enum vnic_step step, struct dump *dump, bool *ret_interrupted,
		   struct vnic_error *err)
{
	struct progress progress = {0};

	while (!progress.done) {
		uint8_t *datagram = next_datagram(dump);
		ssize_t n;
		int r;

		if (!datagram)
			return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
		n = socket_receive(nl, datagram, SOCKET_DATAGRAM, err);
		if (n < 0)
			return (int)n;
		r = look_at(datagram, (size_t)n, seq, step, &progress, err);
		if (r < 0)
			return r;
		if (progress.kept)
			dump->size += NLMSG_ALIGN((size_t)n);
	}
	*ret_interrupted = progress.interrupted;
	return 0;
}

int dump_ask(struct vnic_nl *nl, uint16_t type, const void *head, size_t head_size, enum vnic_step step,
	     struct dump *ret_dump, struct vnic_error *err)
{
	_Alignas(struct nlmsghdr) uint8_t request[REQUEST_BYTES] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	CLEANUP(dump_free) struct dump dump = {0};
	bool interrupted = false;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	memcpy(mnl_nlmsg_put_extra_header(nlh, head_size), head, head_size);
	for (int i = 0; i < DUMP_TRIES; i++) {
		int r;

		dump.size = 0;
		nlh->nlmsg_seq = nl->seq++;
		r = socket_send(nl, nlh, nlh->nlmsg_len, err);
		if (r == 0)
			r = collect(nl, nlh->nlmsg_seq, step, &dump, &interrupted, err);
		if (r < 0)
			return r;
		if (!interrupted) {
			*ret_dump = dump;
			dump = (struct dump){0};
			return 0;
		}
	}
	return vnic_fail(err, step, EINTR, NULL, "the table changed during each of %d attempts to read it", DUMP_TRIES);
}

const struct nlmsghdr *dump_next(const struct dump *dump, const struct nlmsghdr *nlh)
{
	const uint8_t *at = nlh ? (const uint8_t *)nlh + NLMSG_ALIGN(nlh->nlmsg_len) : dump->data;
	const struct nlmsghdr *next = (const void *)at;
	int left = at ? (int)(dump->data + dump->size - at) : 0; /* DUMP_BYTES_MAX fits */

	return mnl_nlmsg_ok(next, left) ? next : NULL;
}
