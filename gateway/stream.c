/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define COPY_MAX 16384  /* up to here a copy is cheaper than two splices */
#define COPY_BULK 65536 /* where no pipe can be had */
#define ROUNDS 16       /* steps of one turn, before others have theirs: 2 MiB through a pipe, about a millisecond */

/* One step: >0 moved something, 0 would block (an event will come), <0 the flow is broken. */

/* A call that writes to the other side has failed. */
static int hold_up(struct stream *stream)
{
	if (errno == EAGAIN)
		return 0;
	stream->refused = true;
	return -errno;
}

static void drop_rest(struct stream *stream, struct pipe_pool *pool)
{
	if (!stream->rest)
		return;
	pool->kept -= stream->rest_end;
	free(stream->rest);
	stream->rest = NULL;
}

static int flush_rest(struct stream *stream, struct pipe_pool *pool, int to)
{
	ssize_t n = send(to, stream->rest + stream->rest_at, stream->rest_end - stream->rest_at,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return hold_up(stream);
	stream->rest_at += (uint32_t)n;
	if (stream->rest_at < stream->rest_end)
		return 0;
	drop_rest(stream, pool);
	return 1;
}

static int flush_pipe(struct stream *stream, int to)
{
	struct pipe *pipe = stream->pipe;
	ssize_t n = splice(pipe->out, NULL, to, NULL, pipe->bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n < 0)
		return hold_up(stream);
	pipe->bytes -= (size_t)n;
	return 1;
}

static int keep_rest(struct stream *stream, struct pipe_pool *pool, const uint8_t *data, size_t size)
{
	stream->rest = malloc(size);
	if (!stream->rest)
		return -ENOMEM;
	memcpy(stream->rest, data, size);
	stream->rest_at = 0;
	stream->rest_end = (uint32_t)size;
	pool->kept += size;
	return 0;
}

/* What was only looked at: what has gone over is taken from the source, the rest waits there. */
static int take_sent(struct stream *stream, int from, uint8_t *seen, size_t size, size_t sent)
{
	stream->held = sent < size;
	if (sent && recv(from, seen, sent, MSG_DONTWAIT | MSG_TRUNC) < 0) /* TCP copies nothing then */
		return -errno;
	return sent && (stream->held || stream->bulk || stream->hup);
}

static int copy(struct stream *stream, struct pipe_pool *pool, int from, int to, uint64_t *count)
{
	uint8_t buf[COPY_BULK];
	bool keeps = pool->kept + sizeof(buf) <= KEPT_MAX;
	int flags = MSG_DONTWAIT | (keeps ? 0 : MSG_PEEK);
	ssize_t n = recv(from, buf, stream->bulk ? COPY_BULK : COPY_MAX, flags), sent;

	if (n < 0 && errno == EAGAIN) {
		stream->hup = false; /* its end, when it comes, is an event */
		return 0;
	}
	if (n < 0)
		return -errno;
	if (n == 0) {
		stream->eof = true;
		return 1;
	}
	sent = send(to, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0) {
		int r = hold_up(stream);

		if (r < 0)
			return r;
		sent = 0;
	}
	*count += (uint64_t)(keeps ? n : sent);
	stream->bulk = n >= COPY_MAX;
	if (!keeps)
		return take_sent(stream, from, buf, (size_t)n, (size_t)sent);
	if (sent < n) {
		int r = keep_rest(stream, pool, buf + sent, (size_t)(n - sent));

		return r < 0 ? r : 1;
	}
	/* A short read has emptied the source; more is another event. */
	return stream->bulk || stream->hup;
}

static int fill_pipe(struct pipe_pool *pool, struct stream *stream, int from, uint64_t *count)
{
	struct pipe *pipe = stream->pipe;
	ssize_t n = splice(from, NULL, pipe->in, NULL, pipe->size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n < 0 && errno != EAGAIN)
		return -errno;
	if (n > 0) {
		*count += (uint64_t)n;
		pipe->bytes = (size_t)n;
		return 1;
	}
	pipe_return(pool, pipe);
	stream->pipe = NULL;
	stream->bulk = false;
	/* In front of urgent data splice(2) gives nothing, at the end of file or not: recv(2) is asked. */
	return n == 0 || stream->hup;
}

static int step(struct pipe_pool *pool, struct stream *stream, int from, int to, uint64_t *count)
{
	if (stream->rest)
		return flush_rest(stream, pool, to);
	if (stream->pipe && stream->pipe->bytes)
		return flush_pipe(stream, to);
	if (stream->eof) {
		shutdown(to, SHUT_WR);
		stream->ended = true;
		return 0;
	}
	stream->held = false;
	pool->used |= stream->bulk;
	if (stream->bulk && !stream->pipe)
		stream->pipe = pipe_lend(pool);
	return stream->pipe ? fill_pipe(pool, stream, from, count) : copy(stream, pool, from, to, count);
}

int stream_pump(struct stream *stream, struct pipe_pool *pool, int from, int to, uint64_t *count)
{
	int r = 1;

	for (int round = 0; round < ROUNDS && r > 0 && !stream->ended; round++)
		r = step(pool, stream, from, to, count);
	if (r < 0)
		return r;
	return stream->ended ? STREAM_ENDED : r > 0 ? STREAM_MORE : STREAM_BLOCKED;
}

void stream_pump_out(struct stream *stream, struct pipe_pool *pool, int from, int to, uint64_t *count)
{
	for (int round = 0; round < ROUNDS && !stream->eof; round++)
		if (step(pool, stream, from, to, count) <= 0)
			return;
}

bool stream_is_held_up(const struct stream *stream)
{
	return stream->rest || stream->held || (stream->pipe && stream->pipe->bytes);
}

void stream_close(struct stream *stream, struct pipe_pool *pool)
{
	pipe_return(pool, stream->pipe);
	drop_rest(stream, pool);
	*stream = (struct stream){0};
}
