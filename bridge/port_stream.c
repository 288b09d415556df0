/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Byte streams as ports: each frame behind its length, 32 bits, big endian, as QEMU's "-netdev stream", passt and
 * socket_vmnet have it (net/stream.c, SocketReadState in net/net.c of QEMU).
 *
 * Theory of operation.  Frames for the peer are gathered in one buffer and sent at the end of the turn with one
 * call; what the socket does not take stays there, and is sent when it is writable again.  A frame that does not fit
 * whole is lost as a whole: half of one would put the peer out of step.  What waits when the connection ends is lost,
 * and counted; what waits at the end of a replay is sent, if the peer takes it soon.  A length that cannot be is the
 * end of the connection, for nothing after it can be understood.
 *
 * One call reads many frames into another buffer.  No descriptor tells of those that are left there at the end of the
 * turn, so the port says that it has more.
 */
#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "relay_ports.h"

#define LENGTH_BYTES 4
#define PEER_MAX 69632 /* QEMU's NET_BUFSIZE: more is no length of a frame */
#define BUFFER_BYTES (2 * (LENGTH_BYTES + PEER_MAX))
#define LAST_WAIT_MS 1000

struct buffer {
	size_t begin, end;
	uint8_t bytes[BUFFER_BYTES];
};

struct stream {
	struct conn conn;
	bool blocked; /* waits for the socket to be writable */
	bool deaf;    /* the peer has stopped listening; it may still speak */
	size_t sent;  /* bytes of the first frame in `out` */
	struct buffer in, out;
};

static void reset(struct port *port)
{
	struct stream *stream = port->state;

	port->more = stream->blocked = stream->deaf = false;
	stream->sent = 0;
	stream->in.begin = stream->in.end = stream->out.begin = stream->out.end = 0;
}

static void make_room_behind(struct buffer *buffer)
{
	if (buffer->begin == 0)
		return;
	memmove(buffer->bytes, buffer->bytes + buffer->begin, buffer->end - buffer->begin);
	buffer->end -= buffer->begin;
	buffer->begin = 0;
}

static uint32_t length_at(const struct buffer *buffer, size_t at)
{
	uint32_t length;

	memcpy(&length, buffer->bytes + at, LENGTH_BYTES);
	return ntohl(length);
}

/* There is no room now, be it the kernel's. */
static bool is_for_now(int error)
{
	return error == EINTR || port_drop_reason(-error) == VNIC_DROP_FULL;
}

/* They have been counted as written. */
static void lose_gathered(struct port *port)
{
	struct stream *stream = port->state;
	struct buffer *out = &stream->out;

	while (out->begin < out->end) {
		uint32_t length = length_at(out, out->begin);

		port->stats.tx_frames--;
		port->stats.tx_bytes -= length;
		port->stats.tx_dropped[VNIC_DROP_DOWN]++;
		out->begin += LENGTH_BYTES + length;
	}
	stream->sent = out->begin = out->end = 0;
}

static int lose_peer(struct port *port)
{
	struct stream *stream = port->state;

	lose_gathered(port);
	reset(port);
	return conn_lost(&stream->conn);
}

/* --- reading ------------------------------------------------------------------------ */

/* Bytes of the first frame in the buffer, 0 while it is not whole, or more than PEER_MAX. */
static size_t next_length(const struct buffer *in)
{
	uint32_t length;

	if (in->end - in->begin < LENGTH_BYTES)
		return 0;
	length = length_at(in, in->begin);
	if (length > PEER_MAX)
		return length;
	return in->end - in->begin - LENGTH_BYTES < length ? 0 : length;
}

/* A length of 0 is a frame of its own: of nothing. */
static bool is_empty_frame(const struct buffer *in)
{
	return in->end - in->begin >= LENGTH_BYTES && length_at(in, in->begin) == 0;
}

static bool has_frame(const struct buffer *in)
{
	size_t length = next_length(in);

	return (length && length <= PEER_MAX) || is_empty_frame(in);
}

static bool has_lie(const struct buffer *in)
{
	return next_length(in) > PEER_MAX;
}

static unsigned take_frames(struct port *port, struct frame *frames, unsigned max)
{
	struct buffer *in = &((struct stream *)port->state)->in;
	unsigned count = 0;

	while (count < max && has_frame(in)) {
		const uint8_t *bytes = in->bytes + in->begin + LENGTH_BYTES;
		size_t length = length_at(in, in->begin);

		in->begin += LENGTH_BYTES + length;
		if (length < ETH_HLEN || length > VNIC_FRAME_MAX) {
			port_lose(port, length < ETH_HLEN ? VNIC_DROP_SHORT : VNIC_DROP_OVERSIZE);
			continue;
		}
		memcpy(frames[count].data, bytes, length);
		frames[count].hdr = (struct vnic_vnet_hdr){0};
		frames[count++].len = length;
		if (length > FRAME_LARGE)
			break;
	}
	port->more = has_frame(in) || has_lie(in);
	return count;
}

static int fill(struct port *port)
{
	struct buffer *in = &((struct stream *)port->state)->in;

	make_room_behind(in);
	ssize_t n = recv(port->fd, in->bytes + in->end, sizeof(in->bytes) - in->end, MSG_DONTWAIT);
	if (n < 0 && is_for_now(errno))
		return -EAGAIN;
	if (n <= 0)
		return lose_peer(port);
	in->end += (size_t)n;
	return 0;
}

static int stream_read(struct port *port, unsigned queue, struct frame *frames, unsigned max)
{
	struct buffer *in = &((struct stream *)port->state)->in;
	unsigned count = take_frames(port, frames, max);

	(void)queue;
	if (count)
		return (int)count;
	if (has_lie(in)) {
		port_lose(port, VNIC_DROP_OVERSIZE);
		return lose_peer(port);
	}
	int r = fill(port);
	return r < 0 ? r : (int)take_frames(port, frames, max);
}

/* --- writing ------------------------------------------------------------------------ */

/* Those that are sent whole leave the buffer. */
static void let_go(struct stream *stream)
{
	struct buffer *out = &stream->out;
	size_t size;

	if (out->begin + stream->sent == out->end)
		stream->sent = out->begin = out->end = 0;
	while (out->begin < out->end && stream->sent >= (size = LENGTH_BYTES + length_at(out, out->begin))) {
		out->begin += size;
		stream->sent -= size;
	}
}

static void send_gathered(struct port *port)
{
	struct stream *stream = port->state;
	struct buffer *out = &stream->out;
	size_t at;

	while ((at = out->begin + stream->sent) < out->end) {
		ssize_t n = send(port->fd, out->bytes + at, out->end - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0) { /* full; or the peer does not listen, and the reading side will tell of the end */
			stream->deaf = !is_for_now(errno);
			break;
		}
		stream->sent += (size_t)n;
	}
	if (stream->deaf)
		lose_gathered(port);
	else
		let_go(stream);
	bool blocked = out->begin < out->end;
	if (blocked != stream->blocked) {
		stream->blocked = blocked;
		port_watch_queue(port, 0, blocked, NULL);
	}
}

static void stream_flush(struct port *port)
{
	const struct stream *stream = port->state;

	if (conn_is_up(&stream->conn) && !stream->blocked)
		send_gathered(port);
}

/* Behind a replay.  Who reads on gets all of it; who does not holds up the relay's end for a moment only. */
static void stream_sync(struct port *port)
{
	const struct stream *stream = port->state;
	const int64_t until = monotonic_ns() + LAST_WAIT_MS * 1000000LL;
	int64_t left;

	while (port->relay->replayed && stream->blocked && (left = until - monotonic_ns()) > 0) {
		struct pollfd peer = {.fd = port->fd, .events = POLLOUT};

		if (poll(&peer, 1, (int)(left / 1000000) + 1) > 0)
			send_gathered(port);
	}
}

static bool has_room(const struct buffer *out, size_t size)
{
	return sizeof(out->bytes) - out->end >= size;
}

static int stream_write(struct port *port, const struct frame *frame)
{
	struct stream *stream = port->state;
	struct buffer *out = &stream->out;
	const uint32_t length = htonl((uint32_t)frame->len);

	if (!conn_is_up(&stream->conn) || stream->deaf)
		return -ENETDOWN;
	if (!has_room(out, LENGTH_BYTES + frame->len)) {
		stream_flush(port);
		make_room_behind(out);
	}
	if (!has_room(out, LENGTH_BYTES + frame->len))
		return -EAGAIN;
	memcpy(out->bytes + out->end, &length, LENGTH_BYTES);
	memcpy(out->bytes + out->end + LENGTH_BYTES, frame->data, frame->len);
	out->end += LENGTH_BYTES + frame->len;
	port->dirty = true;
	return 0;
}

/* --- the port ----------------------------------------------------------------------- */

static int stream_start(struct port *port, struct vnic_error *err)
{
	struct stream *stream = port->state;

	return conn_start(&stream->conn, err);
}

static int stream_event(struct port *port, unsigned sub, uint32_t events)
{
	struct stream *stream = port->state;

	(void)events;
	if (sub != PORT_WRITABLE)
		return conn_event(&stream->conn, sub);
	send_gathered(port);
	return 0;
}

static void stream_close(struct port *port)
{
	struct stream *stream = port->state;

	lose_gathered(port);
	conn_close(&stream->conn);
	free(stream);
}

static const struct port_ops stream_ops = {
	.kind = "stream",
	.start = stream_start,
	.read = stream_read,
	.write = stream_write,
	.flush = stream_flush,
	.sync = stream_sync,
	.event = stream_event,
	.close = stream_close,
};

int port_stream_init(struct port *port, const void *with, struct vnic_error *err)
{
	struct stream *stream = malloc(sizeof(*stream));

	if (!stream)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	port->ops = &stream_ops;
	port->state = stream;
	conn_init(&stream->conn, port, with, reset);
	reset(port);
	return 0;
}
