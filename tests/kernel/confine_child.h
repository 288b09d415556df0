/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An attempt in a child of its own, free or confined. */
#ifndef CONFINE_CHILD_H
#define CONFINE_CHILD_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "confine.h"

/* ASan's and TSan's runtime needs calls of its own, which a filter made for them allows. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* Makes a call: negative, with errno, when it fails. */
typedef long (*attempt_fn)(void);

/* 0: the attempt succeeded; an errno; or the signal that killed it, negative. */
static int outcome(attempt_fn attempt, void (*confine_fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_DUMPABLE, 0); /* no core file */
		if (confine_fn)
			confine_fn();
		_exit(attempt() < 0 ? errno : 0);
	}
	assert_int_equal(TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

struct attempt {
	const char *name;
	attempt_fn fn;
	bool of_runtime; /* allowed for sanitizers */
};

/* Each has this outcome when confined, and another one when it is not. */
static void check_attempts(const struct attempt *attempts, size_t count, void (*confine_fn)(void), int wanted)
{
	for (size_t i = 0; i < count; i++) {
		if (SANITIZED && attempts[i].of_runtime)
			continue;
		print_message("%s\n", attempts[i].name);
		assert_int_not_equal(outcome(attempts[i].fn, NULL), wanted);
		assert_int_equal(outcome(attempts[i].fn, confine_fn), wanted);
	}
}

#endif
