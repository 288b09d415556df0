/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * As fast as 1 MiB, and warmer in the caches; PIPE_LENT of them are what a user may have (pipe-user-pages-soft).
 */
#define WANTED (1 << 18)
#define PAUSE 256 /* requests, after one that was refused */

static void close_pipe(struct pipe *pipe)
{
	close(pipe->in);
	close(pipe->out);
	free(pipe);
}

static struct pipe *open_pipe(void)
{
	struct pipe *pipe = malloc(sizeof(*pipe));
	int fds[2], size;

	if (!pipe)
		return NULL;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) {
		free(pipe);
		return NULL;
	}
	size = fcntl(fds[1], F_SETPIPE_SZ, WANTED);
	*pipe = (struct pipe){.in = fds[1], .out = fds[0], .size = (size_t)size};
	if (size > 0)
		return pipe;
	/* Over the user's limit a new pipe has room for two pieces: copies carry more. */
	close_pipe(pipe);
	return NULL;
}

static struct pipe *take_warm(struct pipe_pool *pool)
{
	struct pipe *pipe = pool->warm;

	if (pipe) {
		pool->warm = pipe->next;
		pool->warm_count--;
	}
	return pipe;
}

static struct pipe *take_new(struct pipe_pool *pool)
{
	struct pipe *pipe;

	if (pool->pause) {
		pool->pause--;
		return NULL;
	}
	pipe = pool->lent < pool->max ? open_pipe() : NULL;
	if (!pipe)
		pool->pause = PAUSE;
	return pipe;
}

struct pipe *pipe_lend(struct pipe_pool *pool)
{
	struct pipe *pipe = take_warm(pool);

	if (!pipe)
		pipe = take_new(pool);
	if (pipe)
		pool->lent++;
	return pipe;
}

void pipe_return(struct pipe_pool *pool, struct pipe *pipe)
{
	if (!pipe)
		return;
	pool->lent--;
	if (pipe->bytes || pool->warm_count == PIPE_WARM) {
		close_pipe(pipe);
		return;
	}
	pipe->next = pool->warm;
	pool->warm = pipe;
	pool->warm_count++;
}

bool pipe_pool_trim(struct pipe_pool *pool)
{
	if (!pool->used)
		pipe_pool_close(pool);
	pool->used = false;
	return pool->warm_count || pool->lent;
}

void pipe_pool_close(struct pipe_pool *pool)
{
	while (pool->warm) {
		struct pipe *pipe = pool->warm;

		pool->warm = pipe->next;
		close_pipe(pipe);
	}
	pool->warm_count = 0;
}
