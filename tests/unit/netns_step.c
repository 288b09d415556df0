/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages between processes of a sandbox, one of which may have been taken over. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <vnic/fdpass.h>

#include "fd.h"
#include "ns.h"
#include "vt.h"

static void a_descriptor_comes_with_its_message(void **state)
{
	CLEANUP(ns_step_close) struct ns_step step = NS_STEP_EMPTY;
	struct ns_message message = {.type = NS_STARTED, .value = 7};
	struct vnic_error err;
	CLEANUP_FD int got = -1;

	(void)state;
	vt_ok(ns_step_open(&step, &err), &err);
	vt_ok(ns_message_send(step.child, &message, step.go, &err), &err);
	message = (struct ns_message){0};
	vt_ok(ns_message_recv(step.parent, true, &message, &got, &err), &err);
	assert_int_equal(message.value, 7);
	assert_true(got >= 0);
}

static void a_message_with_more_descriptors_than_one_is_refused(void **state)
{
	CLEANUP(ns_step_close) struct ns_step step = NS_STEP_EMPTY;
	struct ns_message message = {.type = NS_NOTE};
	struct vnic_error err;

	(void)state;
	vt_ok(ns_step_open(&step, &err), &err);
	for (int i = 0; i < 3; i++) {
		vt_ok(vnic_fd_send(step.child, (int[]){step.go, step.go, step.go}, 3, &message, sizeof(message), &err),
		      &err);
		vt_fails(ns_message_recv(step.parent, true, &message, NULL, &err), &err, VNIC_STEP_FD_PASS, EMSGSIZE);
	}
	/* vt_teardown counts those that are open */
}

static void what_is_no_message_is_refused_whatever_its_size(void **state)
{
	CLEANUP(ns_step_close) struct ns_step step = NS_STEP_EMPTY;
	struct ns_message message[2] = {{.type = NS_NOTE}};
	struct vnic_error err;

	(void)state;
	vt_ok(ns_step_open(&step, &err), &err);
	assert_int_equal(ns_message_recv(step.parent, false, message, NULL, &err), -EAGAIN);
	assert_int_equal(send(step.child, message, sizeof(*message) - 1, 0), sizeof(*message) - 1);
	vt_fails(ns_message_recv(step.parent, true, message, NULL, &err), &err, VNIC_STEP_SOCKET, EPROTO);
	assert_int_equal(send(step.child, message, sizeof(message), 0), sizeof(message));
	vt_fails(ns_message_recv(step.parent, true, message, NULL, &err), &err, VNIC_STEP_FD_PASS, EMSGSIZE);
}

static void a_text_without_an_end_gets_one(void **state)
{
	CLEANUP(ns_step_close) struct ns_step step = NS_STEP_EMPTY;
	struct ns_message message = {.type = NS_NOTE};
	struct vnic_error err;

	(void)state;
	memset(&message.err, 'x', sizeof(message.err));
	memset(message.note, 'x', sizeof(message.note));
	vt_ok(ns_step_open(&step, &err), &err);
	vt_ok(ns_message_send(step.child, &message, -1, &err), &err);
	vt_ok(ns_message_recv(step.parent, true, &message, NULL, &err), &err);
	assert_int_equal(strlen(message.err.object), sizeof(message.err.object) - 1);
	assert_int_equal(strlen(message.err.detail), sizeof(message.err.detail) - 1);
	assert_int_equal(strlen(message.note), sizeof(message.note) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_descriptor_comes_with_its_message),
		vt_test(a_message_with_more_descriptors_than_one_is_refused),
		vt_test(what_is_no_message_is_refused_whatever_its_size),
		vt_test(a_text_without_an_end_gets_one),
	};

	return cmocka_run_group_tests_name("netns_step", tests, NULL, NULL);
}
