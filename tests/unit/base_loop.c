/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event loop says what became ready, in the owner's terms. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "fd.h"
#include "loop.h"
#include "vt.h"

static void an_event_carries_type_sub_and_index(void **state)
{
	const struct loop_ref ref = {.type = 0xfedc, .sub = 0xba98, .index = 0x76543210};
	CLEANUP_FD int epfd = -1, ready = eventfd(1, EFD_CLOEXEC);
	struct epoll_event event;
	struct loop_ref got;

	(void)state;
	vt_ok(loop_open(&epfd, NULL), NULL);
	vt_ok(loop_add(epfd, ready, EPOLLIN, ref, NULL), NULL);
	assert_int_equal(loop_wait(epfd, &event, 1, 0, NULL), 1);
	got = loop_ref_of(&event);
	assert_int_equal(got.type, ref.type);
	assert_int_equal(got.sub, ref.sub);
	assert_int_equal(got.index, ref.index);
}

static void what_was_changed_or_removed_is_silent(void **state)
{
	CLEANUP_FD int epfd = -1, ready = eventfd(1, EFD_CLOEXEC);
	struct epoll_event event;

	(void)state;
	vt_ok(loop_open(&epfd, NULL), NULL);
	vt_ok(loop_add(epfd, ready, EPOLLIN, (struct loop_ref){0}, NULL), NULL);
	vt_ok(loop_change(epfd, ready, 0, (struct loop_ref){0}, NULL), NULL);
	assert_int_equal(loop_wait(epfd, &event, 1, 0, NULL), 0);
	loop_remove(epfd, ready);
	loop_remove(epfd, ready);
	assert_int_equal(loop_wait(epfd, &event, 1, 0, NULL), 0);
}

static void adding_what_is_no_descriptor_fails(void **state)
{
	CLEANUP_FD int epfd = -1;
	struct vnic_error err;

	(void)state;
	vt_ok(loop_open(&epfd, NULL), NULL);
	assert_true(loop_add(epfd, -1, EPOLLIN, (struct loop_ref){0}, &err) < 0);
	assert_int_equal(err.step, VNIC_STEP_EPOLL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(an_event_carries_type_sub_and_index),
		vt_test(what_was_changed_or_removed_is_silent),
		vt_test(adding_what_is_no_descriptor_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
