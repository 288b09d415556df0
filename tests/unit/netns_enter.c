/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ns_call without any privilege: the child shares memory and descriptors, and leaves no trace in the caller. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fd.h"
#include "ns.h"

static unsigned open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

struct seen {
	pid_t pid;
	int fd;
	int dumpable;
};

static int look(void *ctx, struct vnic_error *err)
{
	struct seen *seen = ctx;

	(void)err;
	seen->pid = getpid();
	seen->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	seen->dumpable = prctl(PR_GET_DUMPABLE);
	return 7;
}

static void the_caller_has_what_the_child_opened(void **state)
{
	unsigned before = open_fds();
	struct vnic_error err = {.code = 99};
	struct seen seen = {0};

	(void)state;
	assert_int_equal(ns_call(-1, -1, look, &seen, &err), 7);
	assert_int_not_equal(seen.pid, getpid());
	assert_true(fcntl(seen.fd, F_GETFD) >= 0);
	assert_int_equal(err.code, 99);
	close(seen.fd);
	assert_int_equal(open_fds(), before);
}

static void nobody_may_trace_the_child_and_the_caller_stays_as_it_was(void **state)
{
	int before = prctl(PR_GET_DUMPABLE);
	struct seen seen = {0};

	(void)state;
	assert_int_equal(ns_call(-1, -1, look, &seen, NULL), 7);
	close(seen.fd);
	assert_int_equal(seen.dumpable, 0);
	assert_int_equal(prctl(PR_GET_DUMPABLE), before);
}

static int refuse(void *ctx, struct vnic_error *err)
{
	(void)ctx;
	return vnic_fail(err, VNIC_STEP_OPEN, ENOTTY, "thing", "said by the child");
}

static void the_error_of_the_child_reaches_the_caller(void **state)
{
	struct vnic_error err;

	(void)state;
	assert_int_equal(ns_call(-1, -1, refuse, NULL, &err), -ENOTTY);
	assert_string_equal(err.detail, "said by the child");
	assert_int_equal(ns_call(-1, -1, refuse, NULL, NULL), -ENOTTY);
}

static void a_descriptor_that_is_no_namespace_is_refused(void **state)
{
	struct vnic_error err;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(ns_call(-1, fd, refuse, NULL, &err), -EINVAL);
	assert_int_equal(err.step, VNIC_STEP_NS_JOIN);
	assert_string_equal(err.detail, "network namespace");
	close(fd);
}

static int die(void *ctx, struct vnic_error *err)
{
	(void)ctx;
	(void)err;
	kill(getpid(), SIGKILL);
	return 0;
}

static void a_killed_child_is_an_error(void **state)
{
	struct vnic_error err;

	(void)state;
	assert_int_equal(ns_call(-1, -1, die, NULL, &err), -EINTR);
	assert_int_equal(err.step, VNIC_STEP_NS_JOIN);
}

static volatile sig_atomic_t signals_seen;
static volatile pid_t signal_seen_by;

static void on_signal(int sig)
{
	(void)sig;
	signals_seen++;
	signal_seen_by = getpid();
}

static int send_signals(void *ctx, struct vnic_error *err)
{
	(void)ctx;
	(void)err;
	kill(getpid(), SIGUSR2); /* not blocked by the caller */
	kill(getppid(), SIGUSR1);
	return signals_seen;
}

static void signals_wait_until_the_child_has_gone(void **state)
{
	struct sigaction action = {.sa_handler = on_signal}, saved, saved_child;
	sigset_t before, after, none;

	(void)state;
	sigemptyset(&none);
	sigaction(SIGUSR1, &action, &saved);
	sigaction(SIGUSR2, &action, NULL);
	sigaction(SIGCHLD, &action, &saved_child);
	/* Blocked here, so that it is seen at one known place under every sanitizer. */
	sigemptyset(&before);
	sigaddset(&before, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &before, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(ns_call(-1, -1, send_signals, NULL, NULL), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < SIGRTMAX; sig++)
		assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));

	sigsuspend(&none);
	assert_int_equal(signals_seen, 1); /* the caller's own; neither the child's nor a SIGCHLD */
	assert_int_equal(signal_seen_by, getpid());
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	sigaction(SIGUSR1, &saved, NULL);
	signal(SIGUSR2, SIG_DFL);
	sigaction(SIGCHLD, &saved_child, NULL);
}

static void *call_often(void *arg)
{
	intptr_t failures = 0;

	(void)arg;
	for (int i = 0; i < 20; i++) {
		struct seen seen = {0};

		failures += ns_call(-1, -1, look, &seen, NULL) != 7;
		close(seen.fd);
	}
	return (void *)failures;
}

static void threads_may_call_at_the_same_time(void **state)
{
	unsigned before = open_fds();
	pthread_t threads[4];
	void *failures;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, NULL), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failures);
		assert_null(failures);
	}
	assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
	assert_int_equal(open_fds(), before);
}

static void no_child_is_left_to_wait_for(void **state)
{
	(void)state;
	assert_int_equal(ns_call(-1, -1, refuse, NULL, NULL), -ENOTTY);
	assert_int_equal(waitpid(-1, NULL, __WALL), -1);
	assert_int_equal(errno, ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_caller_has_what_the_child_opened),
		cmocka_unit_test(nobody_may_trace_the_child_and_the_caller_stays_as_it_was),
		cmocka_unit_test(the_error_of_the_child_reaches_the_caller),
		cmocka_unit_test(a_descriptor_that_is_no_namespace_is_refused),
		cmocka_unit_test(a_killed_child_is_an_error),
		cmocka_unit_test(signals_wait_until_the_child_has_gone),
		cmocka_unit_test(threads_may_call_at_the_same_time),
		cmocka_unit_test(no_child_is_left_to_wait_for),
	};

	prctl(PR_SET_DUMPABLE, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
