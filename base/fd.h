/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ownership of file descriptors and memory. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
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

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

/*
 * For sockets of peers that we do not trust: who sends descriptors along is refused.  Of those that came unasked the
 * kernel would close the last copy on our behalf, which may wait as long as the peer likes (SO_LINGER, FUSE).  Older
 * kernels cannot refuse them; on a socket that is not a Unix one there are none.
 */
static inline void refuse_fds(int socket)
{
	setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &(int){0}, sizeof(int));
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
