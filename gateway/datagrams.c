/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "datagrams.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "internal.h"

#define ROOM 65536      /* of one datagram, or super-datagram */
#define SUPER_MAX 65000 /* of those that we make: an IP packet is not longer than 65535 */

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

struct datagram {
	struct iovec iov;
	struct sockaddr_storage from, to; /* to: as the sandbox wrote it; ss_family 0: not told */
	uint16_t part;                    /* of a super-datagram; 0: it is none */
	union {
		char space[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct sockaddr_in6))];
		struct cmsghdr align;
	} control;
};

struct datagrams {
	unsigned dirty; /* the first ones are not ready for receiving */
	struct mmsghdr messages[DATAGRAMS];
	struct datagram datagrams[DATAGRAMS];
	uint8_t *space;
};

int datagrams_open(struct datagrams **ret_batch)
{
	struct datagrams *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return -ENOMEM;
	batch->space = mmap(NULL, (size_t)DATAGRAMS * ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (batch->space == MAP_FAILED) {
		free(batch);
		return -ENOMEM;
	}
	/* Small datagrams touch a page each; a huge page would make them cost 2 MiB. */
	madvise(batch->space, (size_t)DATAGRAMS * ROOM, MADV_NOHUGEPAGE);
	batch->dirty = DATAGRAMS;
	*ret_batch = batch;
	return 0;
}

void datagrams_close(struct datagrams *batch)
{
	if (!batch)
		return;
	munmap(batch->space, (size_t)DATAGRAMS * ROOM);
	free(batch);
}

/* --- receiving ---------------------------------------------------------------------- */

static void make_ready(struct datagrams *batch)
{
	for (unsigned i = 0; i < batch->dirty; i++) {
		struct datagram *datagram = &batch->datagrams[i];

		datagram->iov = (struct iovec){.iov_base = batch->space + (size_t)i * ROOM, .iov_len = ROOM};
		datagram->from.ss_family = datagram->to.ss_family = AF_UNSPEC;
		batch->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &datagram->from,
			.msg_namelen = sizeof(datagram->from),
			.msg_iov = &datagram->iov,
			.msg_iovlen = 1,
			.msg_control = &datagram->control,
			.msg_controllen = sizeof(datagram->control),
		};
	}
	batch->dirty = 0;
}

static void read_control(struct msghdr *message, struct datagram *datagram)
{
	int size = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&size, CMSG_DATA(c), sizeof(size));
		else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR)
			memcpy(&datagram->to, CMSG_DATA(c), sizeof(struct sockaddr_in));
		else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR)
			memcpy(&datagram->to, CMSG_DATA(c), sizeof(struct sockaddr_in6));
	}
	datagram->part = (uint16_t)size;
}

static void make_sendable(struct mmsghdr *message, struct datagram *datagram)
{
	struct msghdr *header = &message->msg_hdr;
	struct cmsghdr *c = &datagram->control.align;

	read_control(header, datagram);
	datagram->iov.iov_len = message->msg_len;
	header->msg_name = NULL;
	header->msg_namelen = 0;
	header->msg_controllen = 0;
	if (datagram->part >= message->msg_len)
		datagram->part = 0;
	if (!datagram->part)
		return;
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(datagram->part));
	memcpy(CMSG_DATA(c), &datagram->part, sizeof(datagram->part));
	header->msg_controllen = CMSG_SPACE(sizeof(datagram->part));
}

int datagrams_receive(struct datagrams *batch, int fd)
{
	int n;

	make_ready(batch);
	n = recvmmsg(fd, batch->messages, DATAGRAMS, MSG_DONTWAIT, NULL);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++)
		make_sendable(&batch->messages[i], &batch->datagrams[i]);
	batch->dirty = (unsigned)n;
	return n;
}

bool datagrams_key(const struct datagrams *batch, unsigned index, struct flow_key *ret_key)
{
	const struct datagram *datagram = &batch->datagrams[index];
	struct flow_key key = {0};
	uint16_t family;

	if (!sockaddr_to_endpoint(&datagram->from, &key.src, &key.family) ||
	    !sockaddr_to_endpoint(&datagram->to, &key.dst, &family) || family != key.family)
		return false;
	*ret_key = key;
	return true;
}

size_t datagrams_size(const struct datagrams *batch, unsigned index)
{
	return batch->datagrams[index].iov.iov_len;
}

const uint8_t *datagrams_data(const struct datagrams *batch, unsigned index, size_t *ret_part)
{
	const struct datagram *datagram = &batch->datagrams[index];

	*ret_part = datagram->part ? datagram->part : datagram->iov.iov_len;
	return datagram->iov.iov_base;
}

/* --- sending ------------------------------------------------------------------------ */

/* A way with a smaller MTU than the datagrams came by: one by one they are cut into fragments, as on any way. */
static int send_parts(const struct datagram *datagram, int fd)
{
	const uint8_t *data = datagram->iov.iov_base;
	size_t left = datagram->iov.iov_len, part = datagram->part;

	while (left) {
		size_t size = left < part ? left : part;

		if (send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			return -errno;
		data += size;
		left -= size;
	}
	return 1;
}

/* Can they be sent as one?  All have one size, which the last may fall short of. */
static unsigned count_alike(const struct datagrams *batch, unsigned index, unsigned end)
{
	const struct datagram *first = &batch->datagrams[index];
	size_t size = first->iov.iov_len, total = size;
	unsigned i = index + 1;

	if (first->part || size == 0)
		return 1;
	for (; i < end && batch->datagrams[i - 1].iov.iov_len == size; i++) {
		const struct datagram *next = &batch->datagrams[i];

		total += next->iov.iov_len;
		if (next->part || next->iov.iov_len == 0 || next->iov.iov_len > size || total > SUPER_MAX)
			break;
	}
	return i - index;
}

/* Several small ones as one super-datagram: the way through the kernel's stack is paid once. */
static int send_alike(const struct datagrams *batch, unsigned index, unsigned count, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(uint16_t))];
		struct cmsghdr header;
	} control = {
		.header = {.cmsg_len = CMSG_LEN(sizeof(uint16_t)), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT}};
	struct iovec iov[DATAGRAMS];
	struct msghdr message = {
		.msg_iov = iov, .msg_iovlen = count, .msg_control = &control, .msg_controllen = sizeof(control)};

	for (unsigned i = 0; i < count; i++)
		iov[i] = batch->datagrams[index + i].iov;
	memcpy(CMSG_DATA(&control.header), &(uint16_t){(uint16_t)iov[0].iov_len}, sizeof(uint16_t));
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : (int)count;
}

/* The way out does not take super-datagrams, or not of this size. */
static bool is_refusal(int code)
{
	return code == EINVAL || code == EMSGSIZE || code == EIO;
}

int datagrams_send(struct datagrams *batch, unsigned index, unsigned end, int fd)
{
	unsigned alike = count_alike(batch, index, end);
	int n;

	if (alike > 1) {
		n = send_alike(batch, index, alike, fd);
		if (n > 0 || !is_refusal(-n))
			return n;
		end = index + alike;
	} else {
		unsigned stop = index + 1;

		while (stop < end && count_alike(batch, stop, end) == 1)
			stop++;
		end = stop;
	}
	n = sendmmsg(fd, &batch->messages[index], end - index, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		return n;
	if (batch->datagrams[index].part && is_refusal(errno))
		return send_parts(&batch->datagrams[index], fd);
	return -errno;
}
