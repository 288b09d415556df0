/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway's confinement.
 *
 * The gateway parses what the sandbox sends.  Whoever takes it over finds a process without privilege, in which
 *
 *   seccomp   leaves the calls that carry flows: cmake/confine_filter.c has the list, and says what becomes of others;
 *   Landlock  leaves no file to open by name, no TCP port to bind, no process to signal.
 *
 * The filter is made while vnic is built: libseccomp needs 0.13 ms to make and load it, and a shared library more to
 * be found, of which each `vnic run` would pay.  Rejected: BPF by hand, a jump too short and it is another filter.
 *
 * Landlock adds what a filter cannot see, for it sees numbers and no names.  It holds also where a call is listed that
 * should not be: a file stays closed whichever call asks for it, abstract Unix sockets are out of reach of the sockets
 * that are there, and other processes of the user cannot be traced.  What is open stays open and what the router's
 * helper sends is usable.
 */
#include "confine.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine_filter.h"
#include "fd.h"

/* --- seccomp ------------------------------------------------------------------------ */

int confine_calls(struct vnic_error *err)
{
	struct sock_fprog program = {
		.len = sizeof(confine_filter) / sizeof(confine_filter[0]),
		.filter = (struct sock_filter *)confine_filter,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &program) < 0)
		return vnic_fail(err, VNIC_STEP_CAPS, errno, "the gateway's system calls", "seccomp");
	return 0;
}

/* --- Landlock ----------------------------------------------------------------------- */

/* As of version 6, which Debian 12's header does not know; an older kernel wants what it does not know to be zero. */
struct ruleset {
	uint64_t fs, net, scoped;
};
#define RULESET_VERSION 1u /* LANDLOCK_CREATE_RULESET_VERSION */
#define NET_BIND_TCP 1u    /* LANDLOCK_ACCESS_NET_BIND_TCP */
#define SCOPES 3u          /* LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, LANDLOCK_SCOPE_SIGNAL */

/* Everything that this version can forbid about files: LANDLOCK_ACCESS_FS_* are bits from 0 on. */
static uint64_t all_of_files(int version)
{
	static const unsigned bits[] = {0, 13, 14, 15, 15, 16};
	static const int last = sizeof(bits) / sizeof(bits[0]) - 1;

	return (1u << bits[version < last ? version : last]) - 1;
}

int confine_files(void)
{
	int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);

	if (version <= 0)
		return 0;
	const struct ruleset nothing = {
		.fs = all_of_files(version),
		.net = version >= 4 ? NET_BIND_TCP : 0,
		.scoped = version >= 6 ? SCOPES : 0,
	};
	CLEANUP_FD int fd = (int)syscall(SYS_landlock_create_ruleset, &nothing, sizeof(nothing), 0);
	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return 0;
	return version;
}

int confine(struct vnic_error *err)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they open a file for their reports */
	confine_files();
#endif
	return confine_calls(err);
}
