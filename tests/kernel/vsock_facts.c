/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What SECURITY.md says of AF_VSOCK: a network namespace does not keep a sandbox from it.  A kernel on which this fails
 * keeps them apart, and SECURITY.md can say so.
 */
#include "vt.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Nothing is sent: whether the port is taken tells enough. */
static int bind_vsock(unsigned port, struct sockaddr_vm *ret_addr)
{
	struct sockaddr_vm addr = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		vt_skip("no AF_VSOCK here: %s", strerror(errno));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret_addr, &(socklen_t){sizeof(*ret_addr)}), 0);
	return fd;
}

static void a_port_is_taken_in_every_network_namespace(void **state)
{
	struct sockaddr_vm outer, inner;
	int fd = bind_vsock(VMADDR_PORT_ANY, &outer);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(bind_vsock(outer.svm_port, &inner), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_port_is_taken_in_every_network_namespace),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
