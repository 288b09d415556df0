/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clone3(2) as fork(2) with namespaces and a pidfd.
 *
 * Container engines before 2021 answer clone3 with ENOSYS (their seccomp filters cannot look
 * into its argument); clone(2) does the same for all but time namespaces.
 */
#include "ns.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static long clone_old(unsigned namespaces, bool sibling, int *pidfd)
{
	unsigned long flags = namespaces | CLONE_PIDFD | (sibling ? CLONE_PARENT : (unsigned long)SIGCHLD);

	if (namespaces & CLONE_NEWTIME) {
		errno = ENOSYS;
		return -1;
	}
	return syscall(SYS_clone, flags, NULL, pidfd, NULL, 0);
}

pid_t ns_clone(unsigned namespaces, bool sibling, int *ret_pidfd, struct vnic_error *err)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = namespaces | CLONE_PIDFD | (sibling ? CLONE_PARENT : 0),
		.pidfd = (uintptr_t)&pidfd,
		.exit_signal = sibling ? 0 : SIGCHLD, /* a sibling inherits the caller's */
	};
	char text[96];
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0 && errno == ENOSYS)
		pid = clone_old(namespaces, sibling, &pidfd);
	if (pid < 0 && namespaces)
		return (pid_t)vnic_fail(err, VNIC_STEP_CLONE, errno, NULL, "wanted: %s",
					vnic_ns_text(namespaces, text, sizeof(text)));
	if (pid < 0)
		return (pid_t)vnic_fail(err, VNIC_STEP_FORK, errno, NULL, NULL);
	if (pid > 0)
		*ret_pidfd = pidfd;
	return (pid_t)pid;
}
