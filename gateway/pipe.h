/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pipes to splice through, lent for as long as bytes are in flight.
 *
 * The pages of a user's pipes are limited over all of his processes (pipe-user-pages-soft, 16384), so a
 * connection never owns a pipe.  A few are kept warm while there is traffic; an idle pool is empty.
 */
#ifndef GATEWAY_PIPE_H
#define GATEWAY_PIPE_H

#include <stdbool.h>
#include <stddef.h>

#define PIPE_WARM 4   /* kept when nobody uses them, until pipe_pool_trim */
#define PIPE_LENT 256 /* at most; then flows copy */
#define KEPT_MAX (16u << 20)

struct pipe {
	struct pipe *next;
	int in, out;  /* written to, read from */
	size_t size;  /* capacity, bytes */
	size_t bytes; /* in flight */
};

struct pipe_pool {
	struct pipe *warm;
	unsigned max; /* lent at the same time: up to PIPE_LENT */
	unsigned warm_count, lent;
	unsigned pause; /* requests to refuse: there was no pipe just now */
	size_t kept;    /* bytes that streams hold in copies, of KEPT_MAX at most */
	bool used;      /* by bulk, with or without a pipe, since the last trim */
};

/* NULL: none can be had. */
struct pipe *pipe_lend(struct pipe_pool *pool);
/* One with bytes in it is closed, not kept.  NULL is allowed. */
void pipe_return(struct pipe_pool *pool, struct pipe *pipe);
/* Closes the warm pipes unless one was used since the last call; true: call again later. */
bool pipe_pool_trim(struct pipe_pool *pool);
void pipe_pool_close(struct pipe_pool *pool);

#endif
