/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that outlive their maker: holders of namespaces.
 *
 * Theory of operation.  The caller forks a process that makes a session, forks the orphan, tells the
 * caller how that went, and ends; the caller reaps it, so nothing is left for the caller to wait for.
 * The orphan drops what it inherited (descriptors, directory, signals) before it does its work: it must keep
 * neither the caller's pipes open nor its file systems busy.
 *
 * Rejected: daemon(3), which leaves descriptors and signals as they are; asking a service manager,
 * which is not there in containers and on minimal systems.
 */
#include "ns.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void default_signals(void)
{
	sigset_t none;

	/* Ignoring takes away what is pending: a Ctrl-C of the session that we have left is not for us. */
	for (int sig = 1; sig < NSIG; sig++) {
		signal(sig, SIG_IGN);
		signal(sig, SIG_DFL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void ns_forget(const char *name, int *keep, unsigned keep_count)
{
	prctl(PR_SET_NAME, name);
	(void)!chdir("/"); /* so that no other file system is kept busy; where that is forbidden it is */
	ns_close_all_but(keep, keep_count);
	/* A library that prints to 2 must not hit a socket that happens to be there. */
	for (int fd = open("/dev/null", O_RDWR); fd >= 0 && fd < STDERR_FILENO; fd = dup(fd))
		;
	default_signals();
}

int ns_orphan(const char *name, unsigned namespaces, int *keep, unsigned keep_count, int (*fn)(void *ctx), void *ctx,
	      struct vnic_error *err)
{
	CLEANUP_FD int pidfd = -1;
	struct vnic_error said = {0};
	int pair[2], status;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "to the process in between", NULL);
	pid_t pid = ns_clone(0, false, &pidfd, err);
	if (pid == 0) {
		int ignored = -1;

		setsid();
		pid = ns_clone(namespaces, false, &ignored, &said);
		if (pid == 0) {
			ns_forget(name, keep, keep_count);
			_exit(fn(ctx));
		}
		_exit(send(pair[1], &said, sizeof(said), MSG_NOSIGNAL) < 0);
	}
	close_fd(&pair[1]);
	ssize_t n = pid < 0 ? 0 : TEMP_FAILURE_RETRY(recv(pair[0], &said, sizeof(said), 0));
	int r = n < 0 ? -errno : 0;
	close_fd(&pair[0]);
	if (pid < 0)
		return pid;
	TEMP_FAILURE_RETRY(waitpid(pid, &status, 0));
	if (r < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, -r, "to the process in between", NULL);
	if (n != (ssize_t)sizeof(said))
		return vnic_fail(err, VNIC_STEP_FORK, ECHILD, name, "the process in between was killed");
	if (said.code && err)
		*err = said;
	return -said.code;
}
