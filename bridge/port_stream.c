/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Byte streams as ports: each frame behind its length, 32 bits, big endian, as QEMU's "-netdev stream", passt and
 * socket_vmnet have it (net/stream.c, SocketReadState in net/net.c of QEMU).
 *
 * Theory of operation.  Frames for the peer are gathered in one buffer and sent at the end of the turn with one
 * call; what the socket does not take stays there, and is sent when it is writable again.  A frame that does not fit
 * whole is lost as a whole: half of one would put the peer out of step.  A length that cannot be is the end of the
 * connection, for nothing after it can be understood.
 */
#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define LENGTH_BYTES 4
#define PEER_MAX 69632 /* QEMU's NET_BUFSIZE: more is no length of a frame */
#define BUFFER_BYTES (2 * (LENGTH_BYTES + PEER_MAX))

struct buffer {
	size_t begin, end;
	uint8_t bytes[BUFFER_BYTES];
};

struct stream {
	struct conn conn;
	bool blocked; /* waits for the socket to be writable */
	struct buffer in, out;
};

static void reset(struct port *port)
{
	struct stream *stream = port->state;

	stream->blocked = false;
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

static int lose_peer(struct port *port)
{
	struct stream *stream = port->state;

	return conn_lost(&stream->conn);
}

/* --- reading ------------------------------------------------------------------------ */

/* Bytes of the first frame in the buffer, 0 while it is not whole, or more than PEER_MAX. */
static size_t next_length(const struct buffer *in)
{
	uint32_t length;

	if (in->end - in->begin < LENGTH_BYTES)
		return 0;
	memcpy(&length, in->bytes + in->begin, LENGTH_BYTES);
	length = ntohl(length);
	if (length > PEER_MAX)
		return length;
	return in->end - in->begin - LENGTH_BYTES < length ? 0 : length;
}

/* A length of 0 is a frame of its own: of nothing. */
static bool is_empty_frame(const struct buffer *in)
{
	static const uint8_t zero[LENGTH_BYTES];

	return in->end - in->begin >= LENGTH_BYTES && !memcmp(in->bytes + in->begin, zero, LENGTH_BYTES);
}

static unsigned take_frames(struct port *port, struct frame *frames, unsigned max)
{
	struct buffer *in = &((struct stream *)port->state)->in;
	unsigned count = 0;
	size_t length;

	while (count < max && ((length = next_length(in)) || is_empty_frame(in)) && length <= PEER_MAX) {
		const uint8_t *bytes = in->bytes + in->begin + LENGTH_BYTES;

		in->begin += LENGTH_BYTES + length;
		if (length < ETH_HLEN || length > VNIC_FRAME_MAX) {
			port_lose(port, length < ETH_HLEN ? VNIC_DROP_SHORT : VNIC_DROP_OVERSIZE);
			continue;
		}
		memcpy(frames[count].data, bytes, length);
		frames[count].hdr = (struct vnic_vnet_hdr){0};
		frames[count++].len = length;
	}
	return count;
}

static int fill(struct port *port)
{
	struct buffer *in = &((struct stream *)port->state)->in;

	make_room_behind(in);
	ssize_t n = recv(port->fd, in->bytes + in->end, sizeof(in->bytes) - in->end, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
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
	if (next_length(in) > PEER_MAX) {
		port_lose(port, VNIC_DROP_OVERSIZE);
		return lose_peer(port);
	}
	int r = fill(port);
	return r < 0 ? r : (int)take_frames(port, frames, max);
}

/* --- writing ------------------------------------------------------------------------ */

static void send_gathered(struct port *port)
{
	struct stream *stream = port->state;
	struct buffer *out = &stream->out;

	while (out->begin < out->end) {
		ssize_t n = send(port->fd, out->bytes + out->begin, out->end - out->begin, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			break; /* full, or the reading side will tell of the end */
		out->begin += (size_t)n;
	}
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

static bool has_room(const struct buffer *out, size_t size)
{
	return sizeof(out->bytes) - out->end >= size;
}

static int stream_write(struct port *port, const struct frame *frame)
{
	struct stream *stream = port->state;
	struct buffer *out = &stream->out;
	const uint32_t length = htonl((uint32_t)frame->len);

	if (!conn_is_up(&stream->conn))
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

	conn_close(&stream->conn);
	free(stream);
}

static const struct port_ops stream_ops = {
	.kind = "stream",
	.start = stream_start,
	.read = stream_read,
	.write = stream_write,
	.flush = stream_flush,
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
