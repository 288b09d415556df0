/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests share beside cmocka: a count of descriptors around each test, fresh namespaces, waiting for
 * conditions, and skips that say why.  vt.c is linked to every test program.
 */
#ifndef TESTS_LIB_VT_H
#define TESTS_LIB_VT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include <vnic/vnic.h>

/* --- tests -------------------------------------------------------------------------- */

/* The test ends with the number of open descriptors that it began with. */
int vt_setup(void **state);
int vt_teardown(void **state);
#define vt_test(name) cmocka_unit_test_setup_teardown(name, vt_setup, vt_teardown)

/* The same in a network namespace of the test's own, with lo up; main() has called vt_own_namespaces. */
int vt_setup_netns(void **state);
#define vt_netns_test(name) cmocka_unit_test_setup_teardown(name, vt_setup_netns, vt_teardown)

/* Ends the test: skipped, and the reason is in the log, where tests/lib/summary finds it. */
void vt_skip(const char *format, ...) VNIC_PRINTF(1, 2) __attribute__((noreturn));

/* Asserts that a library call succeeded; a failure shows the whole error. */
#define vt_ok(result, err) vt_ok_at((result), (err), #result, __FILE__, __LINE__)
long vt_ok_at(long result, const struct vnic_error *err, const char *text, const char *file, int line);

/* Asserts that it failed with this errno at this step. */
#define vt_fails(result, err, step_, code_)                       \
	do {                                                      \
		assert_int_equal((result), -(code_));             \
		assert_int_equal((err)->code, (code_));           \
		assert_int_equal((int)(err)->step, (int)(step_)); \
	} while (0)

/* --- namespaces --------------------------------------------------------------------- */

/*
 * Moves the test program into new namespaces (CLONE_NEW*), as root of a user namespace of its own where it lacks
 * CAP_SYS_ADMIN, before any test runs.  Where the kernel refuses, the program ends with all tests skipped.
 */
void vt_own_namespaces(unsigned namespaces);
/* In a child process; returns what fn returned (0..127).  fn asserts nothing: it returns. */
int vt_in_child(int (*fn)(void *ctx), void *ctx);

bool vt_is_root(void); /* has CAP_SYS_ADMIN and CAP_NET_ADMIN over the host, as far as can be seen */

/* --- conditions --------------------------------------------------------------------- */

#define VT_DEADLINE_MS 10000

/* The descriptor (also a pidfd) is readable before the deadline. */
bool vt_readable(int fd);
/* For what no descriptor tells: asks until it is true or the deadline has passed. */
bool vt_until(bool (*condition)(void *ctx), void *ctx);
/* Descriptors open in this process. */
int vt_open_fds(void);

#endif
