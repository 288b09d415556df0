/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes from one stream socket to another.
 *
 * Small amounts are received and sent through one buffer, two system calls; when it fills, the stream goes over
 * to splice(2) through a lent pipe, which moves pages, or to larger copies where there is none.  What the other side
 * does not take is kept: in the pipe, or copied.  When all streams together keep KEPT_MAX in copies, as when the
 * sandbox reads nothing of thousands of connections, more stays with its source: it is looked at, and what the other
 * side took is taken then, a system call more.  For edge-triggered events: a stream is pumped until one side would
 * block.
 */
#ifndef GATEWAY_STREAM_H
#define GATEWAY_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "pipe.h"

struct stream {
	struct pipe *pipe; /* lent while it holds bytes, and while the stream is bulk and not drained */
	uint8_t *rest;     /* copied bytes that the other side did not take; allocated */
	uint32_t rest_at, rest_end;
	bool held;    /* the other side takes no more of what waits at the source */
	bool bulk;    /* splice */
	bool hup;     /* the source may have ended, or has urgent data: a short read is not the last word */
	bool eof;     /* the source has ended */
	bool ended;   /* and the other side knows */
	bool refused; /* the other side is broken */
};

enum stream_pumped {
	STREAM_BLOCKED, /* an event will come */
	STREAM_MORE,    /* its turn is over, but there is more: no event will come */
	STREAM_ENDED,   /* everything has gone over, and the end as well */
};

/* Moves what can be moved in one turn; adds the bytes taken to *count.  A negative errno: a side is broken. */
int stream_pump(struct stream *stream, struct pipe_pool *pool, int from, int to, uint64_t *count);

/* When a reset is to follow: moves what is there, but for the end. */
void stream_pump_out(struct stream *stream, struct pipe_pool *pool, int from, int to, uint64_t *count);

/* Does something wait for the other side to take it? */
bool stream_is_held_up(const struct stream *stream);

/* Gives back what it holds. */
void stream_close(struct stream *stream, struct pipe_pool *pool);

#endif
