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

/* Room for what comes, and for what goes. */
union control {
	char space[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct sockaddr_in6))];
	struct cmsghdr align;
};

struct datagram {
	struct iovec iov;
	struct sockaddr_storage from, to; /* to: as the sender wrote it; ss_family 0: not told */
	uint16_t part;                    /* of a super-datagram; 0: it is none */
	union control control;
};

struct datagrams {
	unsigned dirty; /* the first ones are not ready for receiving */
	bool named;     /* the others are ready for what tells from where and where to */
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

static void make_ready(struct datagrams *batch, bool named)
{
	if (named != batch->named)
		batch->dirty = DATAGRAMS;
	batch->named = named;
	for (unsigned i = 0; i < batch->dirty; i++) {
		struct datagram *datagram = &batch->datagrams[i];

		datagram->iov = (struct iovec){.iov_base = batch->space + (size_t)i * ROOM, .iov_len = ROOM};
		datagram->from.ss_family = datagram->to.ss_family = AF_UNSPEC;
		batch->messages[i].msg_hdr = (struct msghdr){
			.msg_name = named ? &datagram->from : NULL,
			.msg_namelen = named ? sizeof(datagram->from) : 0,
			.msg_iov = &datagram->iov,
			.msg_iovlen = 1,
			.msg_control = &datagram->control,
			.msg_controllen = sizeof(datagram->control),
		};
	}
	batch->dirty = 0;
}

static void read_address(const struct cmsghdr *c, struct datagram *datagram)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct in_pktinfo info4;
	struct in6_pktinfo info6;

	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR) {
		memcpy(&datagram->to, CMSG_DATA(c), sizeof(v4));
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR) {
		memcpy(&datagram->to, CMSG_DATA(c), sizeof(v6));
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&info4, CMSG_DATA(c), sizeof(info4));
		v4.sin_addr = info4.ipi_spec_dst; /* of our own, also where it was sent to all */
		memcpy(&datagram->to, &v4, sizeof(v4));
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&info6, CMSG_DATA(c), sizeof(info6));
		v6.sin6_addr = info6.ipi6_addr;
		memcpy(&datagram->to, &v6, sizeof(v6));
	}
}

static void read_control(struct msghdr *message, struct datagram *datagram)
{
	int size = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&size, CMSG_DATA(c), sizeof(size));
		else
			read_address(c, datagram);
	}
	datagram->part = (uint16_t)size;
}

static char *put_control(char *at, int level, int type, const void *data, size_t size)
{
	const struct cmsghdr header = {.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};

	memcpy(at, &header, sizeof(header));
	memcpy(at + CMSG_LEN(0), data, size);
	return at + CMSG_SPACE(size);
}

/* What goes with its bytes: msg_control has the room of a union control. */
static void address(struct msghdr *message, const struct way *way, uint16_t part)
{
	char *start = message->msg_control, *at = start;

	message->msg_name = way ? (void *)&way->to : NULL;
	message->msg_namelen = way ? way->len : 0;
	if (part)
		at = put_control(at, SOL_UDP, UDP_SEGMENT, &part, sizeof(part));
	if (way && way->to.any.sa_family == AF_INET) {
		struct in_pktinfo info = {0};

		memcpy(&info.ipi_spec_dst, way->from.addr, sizeof(info.ipi_spec_dst));
		at = put_control(at, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else if (way) {
		struct in6_pktinfo info = {.ipi6_ifindex = way->to.v6.sin6_scope_id};

		memcpy(&info.ipi6_addr, way->from.addr, sizeof(info.ipi6_addr));
		at = put_control(at, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
	message->msg_controllen = (size_t)(at - start);
}

static void make_sendable(struct mmsghdr *message, struct datagram *datagram)
{
	read_control(&message->msg_hdr, datagram);
	datagram->iov.iov_len = message->msg_len;
	if (datagram->part >= message->msg_len)
		datagram->part = 0;
	address(&message->msg_hdr, NULL, datagram->part);
}

int datagrams_receive(struct datagrams *batch, int fd, bool named)
{
	int n;

	make_ready(batch, named);
	n = recvmmsg(fd, batch->messages, DATAGRAMS, MSG_DONTWAIT, NULL);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++)
		make_sendable(&batch->messages[i], &batch->datagrams[i]);
	batch->dirty = (unsigned)n;
	return n;
}

void datagrams_put(struct datagrams *batch, unsigned index, const void *data, size_t size, size_t part)
{
	struct datagram *datagram = &batch->datagrams[index];
	struct msghdr *message = &batch->messages[index].msg_hdr;

	datagram->iov = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = size};
	datagram->part = part < size ? (uint16_t)part : 0;
	*message = (struct msghdr){.msg_iov = &datagram->iov, .msg_iovlen = 1, .msg_control = &datagram->control};
	address(message, NULL, datagram->part);
	batch->dirty = DATAGRAMS;
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

void datagrams_way_back(const struct datagrams *batch, unsigned index, struct way *ret_way)
{
	const struct datagram *datagram = &batch->datagrams[index];
	uint16_t family;

	*ret_way = (struct way){.len = datagram->from.ss_family == AF_INET ? sizeof(struct sockaddr_in)
									   : sizeof(struct sockaddr_in6)};
	memcpy(&ret_way->to, &datagram->from, ret_way->len);
	sockaddr_to_endpoint(&datagram->to, &ret_way->from, &family);
}

size_t datagrams_size(const struct datagrams *batch, unsigned index)
{
	return batch->datagrams[index].iov.iov_len;
}

unsigned datagrams_count(const struct datagrams *batch, unsigned index)
{
	const struct datagram *datagram = &batch->datagrams[index];
	size_t part = datagram->part;

	return part ? (unsigned)((datagram->iov.iov_len + part - 1) / part) : 1;
}

const uint8_t *datagrams_data(const struct datagrams *batch, unsigned index, size_t *ret_part)
{
	const struct datagram *datagram = &batch->datagrams[index];

	*ret_part = datagram->part ? datagram->part : datagram->iov.iov_len;
	return datagram->iov.iov_base;
}

/* --- sending ------------------------------------------------------------------------ */

/* A way with a smaller MTU than the datagrams came by: one by one they are cut into fragments, as on any way. */
static int send_parts(const struct datagram *datagram, int fd, const struct way *way)
{
	struct iovec iov = {.iov_base = datagram->iov.iov_base};
	size_t left = datagram->iov.iov_len;
	union control control;
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};

	address(&message, way, 0);
	while (left) {
		iov.iov_len = left < datagram->part ? left : datagram->part;
		if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			return -errno;
		iov.iov_base = (uint8_t *)iov.iov_base + iov.iov_len;
		left -= iov.iov_len;
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
static int send_alike(const struct datagrams *batch, unsigned index, unsigned count, int fd, const struct way *way)
{
	union control control;
	struct iovec iov[DATAGRAMS];
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = count, .msg_control = &control};

	for (unsigned i = 0; i < count; i++)
		iov[i] = batch->datagrams[index + i].iov;
	address(&message, way, (uint16_t)iov[0].iov_len);
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : (int)count;
}

/* The way out does not take super-datagrams, or not of this size. */
static bool is_refusal(int code)
{
	return code == EINVAL || code == EMSGSIZE || code == EIO;
}

int datagrams_send(struct datagrams *batch, unsigned index, unsigned end, int fd, const struct way *way)
{
	unsigned alike = count_alike(batch, index, end);
	int n;

	if (alike > 1) {
		n = send_alike(batch, index, alike, fd, way);
		if (n > 0 || !is_refusal(-n))
			return n;
		end = index + alike;
	} else {
		unsigned stop = index + 1;

		while (stop < end && count_alike(batch, stop, end) == 1)
			stop++;
		end = stop;
	}
	for (unsigned i = index; way && i < end; i++)
		address(&batch->messages[i].msg_hdr, way, batch->datagrams[i].part);
	n = sendmmsg(fd, &batch->messages[index], end - index, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		return n;
	if (batch->datagrams[index].part && is_refusal(errno))
		return send_parts(&batch->datagrams[index], fd, way);
	return -errno;
}
