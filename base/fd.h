/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ownership of file descriptors and memory. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Gives the descriptor away: returns it and leaves -1. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Closes and leaves -1.  errno is kept; close(2) is never retried. */
static inline void close_fd(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
		*fd = -1;
	}
}

/*
 * To the hard limit.  For processes that hold many descriptors or send any, for those in flight count too, over all
 * processes of a user; never for one that becomes a command.
 */
static inline void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

#define take_ptr(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

static inline void free_ptr(void *p)
{
	free(*(void **)p);
}

#define CLEANUP(f) __attribute__((cleanup(f), unused))
#define CLEANUP_FD CLEANUP(close_fd)
#define CLEANUP_FREE CLEANUP(free_ptr)

#endif
