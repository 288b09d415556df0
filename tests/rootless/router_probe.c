/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The router's probe builds a real one, leaves nothing, and says what stands in its way. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vnic/sandbox.h>

#include "vt.h"

static void a_router_can_be_built_by_an_ordinary_user(void **state)
{
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_probe_router(&err), &err);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* In a child, whose user namespace may have no network namespaces below it. */
static int probe_without_namespaces(void)
{
	struct vnic_error err = {0};
	int fd = open("/proc/sys/user/max_net_namespaces", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		return 1;
	close(fd);
	return vnic_probe_router(&err) == -ENOSPC && err.step == VNIC_STEP_UNSHARE ? 0 : 2;
}

static int forbid_and_probe(void *ctx, struct vnic_error *err)
{
	int at = probe_without_namespaces();

	(void)ctx;
	return at ? vnic_fail(err, VNIC_STEP_SANDBOX, EPROTO, "the probe", "not as expected at %d", at) : 0;
}

static void what_the_kernel_refuses_is_said(void **state)
{
	const struct vnic_spawn spawn = {
		.namespaces = CLONE_NEWUSER,
		.argv = (char *[]){(char *)"true", NULL},
		.setup = forbid_and_probe,
	};
	struct vnic_child child = VNIC_CHILD_EMPTY;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_spawn_start(&spawn, &child, &err), &err);
	vnic_child_close(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_router_can_be_built_by_an_ordinary_user),
		vt_test(what_the_kernel_refuses_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
