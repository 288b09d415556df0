/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets that keep messages apart as ports: one frame a message, nothing before it.  Unix datagrams as QEMU's "-netdev
 * dgram" has them, UDP, and connected sequenced packets.
 *
 * A datagram socket that knows no peer answers the last one it heard of: so the side with a known address may be
 * started first, and one that restarts under another address is found again.
 *
 * With a peer by IP nobody else is listened to.  (Rejected: connect(2), after which the kernel would see to that: it
 * would not count them.)
 *
 * A datagram socket has no end.  What the network says of earlier datagrams (ICMP errors, which anybody may forge) is
 * told at the next call, whichever that is: it is passed over, or one packet from outside could close the port.
 */
#include "conn.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"

struct dgram {
	struct conn conn; /* sequenced packets only */
	bool learns;      /* the peer is whoever spoke last */
	struct sockaddr_storage peer;
	socklen_t peer_len; /* 0: unknown, or the socket is connected */
};

/* --- one message -------------------------------------------------------------------- */

/* Of an IP peer; a Unix one may have no address. */
static bool is_stranger(const struct dgram *dgram, const struct sockaddr_storage *from)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)from,
				 *peer = (const struct sockaddr_in *)&dgram->peer;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from,
				  *peer6 = (const struct sockaddr_in6 *)&dgram->peer;

	if (dgram->learns || !dgram->peer_len)
		return false;
	if (dgram->peer.ss_family == AF_INET)
		return in->sin_port != peer->sin_port || in->sin_addr.s_addr != peer->sin_addr.s_addr;
	if (dgram->peer.ss_family == AF_INET6)
		return in6->sin6_port != peer6->sin6_port ||
		       memcmp(&in6->sin6_addr, &peer6->sin6_addr, sizeof(in6->sin6_addr)) != 0;
	return false;
}

/* -EMSGSIZE: it was too large; -EADDRNOTAVAIL: it was somebody else's. */
static int read_message(struct port *port, struct frame *frame)
{
	struct dgram *dgram = port->state;
	struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
	struct iovec iov = {.iov_base = frame->data, .iov_len = VNIC_FRAME_MAX};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof(from)};
	ssize_t n = recvmsg(port->fd, &message, MSG_DONTWAIT);
	if (n < 0)
		return errno == EMSGSIZE ? -EHOSTUNREACH : -errno; /* it speaks of a datagram that was sent */
	/* Who has no address cannot be answered. */
	if (dgram->learns && message.msg_namelen) {
		dgram->peer = from;
		dgram->peer_len = message.msg_namelen;
	}
	frame->hdr = (struct vnic_vnet_hdr){0};
	frame->len = (size_t)n;
	if (is_stranger(dgram, &from))
		return -EADDRNOTAVAIL;
	return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : 0;
}

static int write_message(const struct port *port, const struct frame *frame)
{
	const struct dgram *dgram = port->state;
	struct iovec iov = {.iov_base = frame->data, .iov_len = frame->len};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (dgram->peer_len) {
		message.msg_name = (void *)(uintptr_t)&dgram->peer;
		message.msg_namelen = dgram->peer_len;
	}
	return sendmsg(port->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Is it a frame?  If not it is counted, and the next may be one. */
static bool is_frame(struct port *port, int r, const struct frame *frame)
{
	if (r == 0 && frame->len >= ETH_HLEN)
		return true;
	if (r == -EADDRNOTAVAIL)
		port_lose(port, VNIC_DROP_STRANGER);
	else
		port_lose(port, r == 0 ? VNIC_DROP_SHORT : VNIC_DROP_OVERSIZE);
	return false;
}

/* --- datagrams ---------------------------------------------------------------------- */

/* All that an ICMP error can become (icmp_err_convert, tab_unreach of the kernel), and what Unix sockets say. */
static bool is_echo_of_the_past(int r)
{
	switch (-r) {
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENONET:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
	case EPROTO:
	case EACCES:
		return true;
	default:
		return false;
	}
}

static int dgram_read(struct port *port, unsigned queue, struct frame *frames, unsigned max)
{
	unsigned count = 0;

	(void)queue;
	for (unsigned i = 0; i < max; i++) {
		int r = read_message(port, &frames[count]);

		if (is_echo_of_the_past(r))
			continue;
		if (r < 0 && r != -EMSGSIZE && r != -EADDRNOTAVAIL)
			return count ? (int)count : r;
		if (is_frame(port, r, &frames[count]) && frames[count++].len > FRAME_LARGE)
			break;
	}
	return (int)count;
}

static int dgram_write(struct port *port, const struct frame *frame)
{
	const struct dgram *dgram = port->state;
	int r;

	if (dgram->learns && !dgram->peer_len)
		return -ENETDOWN;
	r = write_message(port, frame);
	if (is_echo_of_the_past(r) && port->fd >= 0)
		r = write_message(port, frame);
	/* Nobody has bound the peer's path, or nobody listens any more: it may come back. */
	return r == -ENOENT || is_echo_of_the_past(r) || r == -ENOTCONN ? -ENETDOWN : r;
}

static void dgram_close(struct port *port)
{
	close_fd(&port->fd);
	free(port->state);
}

static const struct port_ops dgram_ops = {
	.kind = "dgram",
	.overruns = true,
	.read = dgram_read,
	.write = dgram_write,
	.close = dgram_close,
};

int port_dgram_init(struct port *port, const void *with, struct vnic_error *err)
{
	const struct vnic_dgram *config = with;
	struct dgram *dgram = calloc(1, sizeof(*dgram));

	if (!dgram)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	dgram->learns = config->learns;
	dgram->peer = config->peer;
	dgram->peer_len = config->peer_len;
	refuse_fds(config->fd);
	port->ops = &dgram_ops;
	port->state = dgram;
	port->fd = config->fd;
	port->fds = &port->fd;
	port->queues = 1;
	return 0;
}

/* --- sequenced packets -------------------------------------------------------------- */

static int seqpacket_read(struct port *port, unsigned queue, struct frame *frames, unsigned max)
{
	struct dgram *dgram = port->state;
	unsigned count = 0;

	(void)queue;
	for (unsigned i = 0; i < max; i++) {
		int r = read_message(port, &frames[count]);

		if (r == -EAGAIN || r == -EINTR)
			return count ? (int)count : r;
		/* Nothing at all is the end: an empty message cannot be told from it. */
		if ((r < 0 && r != -EMSGSIZE) || (r == 0 && frames[count].len == 0)) {
			r = conn_lost(&dgram->conn);
			return count ? (int)count : r;
		}
		if (is_frame(port, r, &frames[count]) && frames[count++].len > FRAME_LARGE)
			break;
	}
	return (int)count;
}

/* The end is told by reading; until then a peer that is gone is one that is down. */
static int seqpacket_write(struct port *port, const struct frame *frame)
{
	const struct dgram *dgram = port->state;
	int r = conn_is_up(&dgram->conn) ? write_message(port, frame) : -ENETDOWN;

	return r == -EPIPE || r == -ECONNRESET || r == -ENOTCONN ? -ENETDOWN : r;
}

static int seqpacket_start(struct port *port, struct vnic_error *err)
{
	struct dgram *dgram = port->state;

	return conn_start(&dgram->conn, err);
}

static int seqpacket_event(struct port *port, unsigned sub, uint32_t events)
{
	struct dgram *dgram = port->state;

	(void)events;
	return conn_event(&dgram->conn, sub);
}

static void seqpacket_close(struct port *port)
{
	struct dgram *dgram = port->state;

	conn_close(&dgram->conn);
	free(dgram);
}

static const struct port_ops seqpacket_ops = {
	.kind = "seqpacket",
	.start = seqpacket_start,
	.read = seqpacket_read,
	.write = seqpacket_write,
	.event = seqpacket_event,
	.close = seqpacket_close,
};

static void nothing_half_done(struct port *port)
{
	(void)port;
}

int port_seqpacket_init(struct port *port, const void *with, struct vnic_error *err)
{
	struct dgram *dgram = calloc(1, sizeof(*dgram));

	if (!dgram)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	port->ops = &seqpacket_ops;
	port->state = dgram;
	conn_init(&dgram->conn, port, with, nothing_half_done);
	return 0;
}
