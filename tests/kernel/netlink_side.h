/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A second network namespace beside the test's own, and shorthands. */
#ifndef TESTS_KERNEL_NETLINK_SIDE_H
#define TESTS_KERNEL_NETLINK_SIDE_H

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "vt.h"

struct side {
	int netns;
	struct vnic_nl *nl;
	struct vnic_monitor *monitor;
};

static inline void side_close(struct side *side)
{
	close_fd(&side->netns);
	vnic_nl_close(side->nl);
	vnic_monitor_close(side->monitor);
}
#define CLEANUP_SIDE CLEANUP(side_close)

/* Of the namespace that the caller stands in. */
static inline struct side side_here(void)
{
	struct side side = {.netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)};
	struct vnic_error err;

	assert_true(side.netns >= 0);
	vt_ok(vnic_nl_open(&side.nl, &err), &err);
	vt_ok(vnic_monitor_open(&side.monitor, &err), &err);
	return side;
}

/* Of a new one; the caller stays where it is. */
static inline struct side side_new(void)
{
	CLEANUP_FD int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct side side;

	assert_true(home >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	side = side_here();
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	return side;
}

/*
 * Runs fn in a child with new namespaces, and returns what fn returned (0..127); fn asserts nothing.  Not unshare(2),
 * which wants a single thread for a user namespace: sanitizers start one of their own after a fork(2).
 */
static inline int in_new_namespaces(int namespaces, int (*fn)(void *ctx), void *ctx)
{
	long pid = syscall(SYS_clone, namespaces | SIGCHLD, NULL, NULL, NULL, NULL);
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(ctx));
	assert_int_equal(waitpid((pid_t)pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* On /mnt, showing the links of the namespace that the caller stands in; main() has a mount namespace of its own. */
static inline void mount_sysfs(struct side *side)
{
	if (mount("sysfs", "/mnt", "sysfs", 0, NULL) == 0)
		return;
	side_close(side); /* a skip runs no cleanup */
	vt_skip("no fresh sysfs here: %s", strerror(errno));
}

static inline struct vnic_mac mac_of(uint8_t last)
{
	return (struct vnic_mac){.bytes = {0x02, 0, 0, 0, 0, last}, .set = true};
}

static inline struct vnic_addr addr_of(const char *text)
{
	struct vnic_addr addr = {0};
	struct vnic_error err;

	vt_ok(vnic_addr_parse(text, &addr, &err), &err);
	return addr;
}

static inline struct vnic_link_info info_of(struct vnic_nl *nl, const char *name)
{
	struct vnic_link_info info = {0};
	struct vnic_error err;

	vt_ok(vnic_link_get(nl, 0, name, &info, &err), &err);
	return info;
}

#endif
