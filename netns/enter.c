/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entering a namespace without going there.
 *
 * Theory of operation.  A process that joins a user namespace below its own cannot come back, and a
 * process that joins a user namespace must have one thread.  So the caller stays where it is
 * and a child goes: born with clone(CLONE_VM | CLONE_VFORK | CLONE_FILES) it is a process of
 * its own for the kernel (own credentials, own namespaces) but uses the caller's memory and descriptor
 * table.  What it opens, the caller has; the error that it writes, the caller reads.  It costs as much as
 * posix_spawn(3), which works the same way, and is rejected neither for threaded callers nor under
 * sanitizers.
 *
 * Rejected: fork and pass the descriptors back over a socket (more code at each call, and slow for a
 * caller with much memory); a thread (cannot join a user namespace).
 *
 * Two things to keep in mind:
 *  - Signals are blocked meanwhile: a handler must not run in a process that shares our memory.
 *  - The child is a member of the namespaces that it joined while it has our memory mapped.  The memory
 *    is therefore marked as not dumpable, so that root of that user namespace may not trace it.  setns(2)
 *    into a user namespace that is not of the caller's making sets the mark anew, to fs.suid_dumpable (commit_creds,
 *    kernel/cred.c), and for the caller too; hence once more after it, and at the end it is given back as it was.
 */
#include "ns.h"

#include "fd.h"

#include <errno.h>
#include <linux/nsfs.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE (256 * 1024)
#define GUARD_SIZE (64 * 1024) /* a multiple of every page size */

/*
 * clone(3) under the name that ThreadSanitizer does not intercept: its interceptor resets the
 * runtime in the child, as is right after fork(2), but the memory is ours.
 */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...); // NOLINT(bugprone-reserved-identifier)

struct call {
	int userns_fd, netns_fd;
	int (*fn)(void *ctx, struct vnic_error *err);
	void *ctx;
	struct vnic_error *err;
	bool finished;
	int result;
};

static int join(int fd, int kind, const char *what, struct vnic_error *err)
{
	if (fd >= 0 && setns(fd, kind) < 0)
		return vnic_fail(err, VNIC_STEP_NS_JOIN, errno, "the target", "%s namespace", what);
	return 0;
}

/* PR_SET_DUMPABLE refuses 2, which only the kernel itself may set. */
static void set_dumpable(int value)
{
	if (value != 2 && prctl(PR_GET_DUMPABLE) != value)
		prctl(PR_SET_DUMPABLE, value);
}

static int child_main(void *arg)
{
	struct call *call = arg;

	/* The user namespace first: it gives the capabilities that the other wants. */
	call->result = join(call->userns_fd, CLONE_NEWUSER, "user", call->err);
	set_dumpable(0);
	if (call->result == 0)
		call->result = join(call->netns_fd, CLONE_NEWNET, "network", call->err);
	if (call->result == 0)
		call->result = call->fn(call->ctx, call->err);
	call->finished = true;
	return 0;
}

/* Exit signal 0: neither a SIGCHLD handler of the caller nor its wait(2) sees the child; only __WCLONE does. */
static int run_child(struct call *call)
{
	char *stack = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED || mprotect(stack + GUARD_SIZE, STACK_SIZE, PROT_READ | PROT_WRITE) < 0) {
		int code = errno;

		if (stack != MAP_FAILED)
			munmap(stack, GUARD_SIZE + STACK_SIZE);
		return vnic_fail(call->err, VNIC_STEP_MEMORY, code, NULL, NULL);
	}

	pid_t pid = __clone(child_main, stack + GUARD_SIZE + STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_FILES, call);
	int code = errno;
	if (pid > 0)
		waitpid(pid, NULL, (int)__WCLONE); /* it has ended: CLONE_VFORK */
	munmap(stack, GUARD_SIZE + STACK_SIZE);
	if (pid < 0)
		return vnic_fail(call->err, VNIC_STEP_FORK, code, NULL, NULL);
	if (!call->finished)
		return vnic_fail(call->err, VNIC_STEP_NS_JOIN, EINTR, "the target",
				 "the child that went there was killed");
	return call->result;
}

int ns_call(int userns_fd, int netns_fd, int (*fn)(void *ctx, struct vnic_error *err), void *ctx,
	    struct vnic_error *err)
{
	/* The mark is the process's: one thread at a time. */
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	struct call call = {userns_fd, netns_fd, fn, ctx, err, false, 0};
	sigset_t all, saved;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &saved);
	pthread_mutex_lock(&mutex);
	int dumpable = prctl(PR_GET_DUMPABLE);
	set_dumpable(0);
	int r = run_child(&call);
	set_dumpable(dumpable);
	pthread_mutex_unlock(&mutex);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return r;
}

int ns_owner(int ns_fd, int *ret_owner)
{
	CLEANUP_FD int owner = ioctl(ns_fd, NS_GET_USERNS); /* close-on-exec from birth */

	if (owner < 0 && errno != EPERM)
		return -errno;
	*ret_owner = owner >= 0 && !ns_is_own(owner, "user") ? take_fd(&owner) : -1;
	return 0;
}
