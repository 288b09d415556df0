/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the processes of a sandbox tell each other while it is made. */
#include "vt.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ns.h"

static void what_was_said_is_heard_though_the_other_left_something_unread(void **state)
{
	struct ns_message said = {.type = NS_FAILED, .value = 7}, heard;
	struct vnic_error err;
	int pair[2];

	(void)state;
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), errno);
	assert_int_equal(send(pair[0], "", 1, 0), 1);
	vt_ok(ns_message_send(pair[1], &said, -1, &err), &err);
	close(pair[1]);
	vt_ok(ns_message_recv(pair[0], true, &heard, NULL, &err), &err);
	assert_int_equal(heard.type, NS_FAILED);
	assert_int_equal(heard.value, 7);
	assert_int_equal(ns_message_recv(pair[0], true, &heard, NULL, &err), -EPIPE);
	close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(what_was_said_is_heard_though_the_other_left_something_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
