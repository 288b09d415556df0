/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The opener's two ends: each request has its own answer, whatever became of those before. */
#include "vt.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "build.h"
#include "fd.h"

static void make_pair(int pair[2])
{
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), errno);
}

static void *answer_one(void *ctx)
{
	opener_answer(*(int *)ctx, OPENER_ALL, NULL, NULL);
	return NULL;
}

static int ask(int pair[2], int type, int *ret_fd)
{
	const struct vnic_open_request request = {.side = VNIC_SIDE_ROUTER, .domain = AF_INET, .type = type};
	struct vnic_error err;
	pthread_t helper;

	assert_int_equal(pthread_create(&helper, NULL, answer_one, &pair[1]), 0);
	int r = opener_ask(pair[0], &request, ret_fd, &err);
	pthread_join(helper, NULL);
	return r;
}

static int type_of(int fd)
{
	int type = 0;

	assert_return_code(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof(type)}), errno);
	return type;
}

static void who_asks_gets_what_was_asked_for(void **state)
{
	int pair[2], fd = -1;

	(void)state;
	make_pair(pair);
	assert_int_equal(ask(pair, SOCK_DGRAM, &fd), 0);
	assert_int_equal(type_of(fd), SOCK_DGRAM);
	close(fd);
	assert_int_equal(ask(pair, 99, &fd), -EINVAL);
	close(pair[0]);
	close(pair[1]);
}

/* The kernel had no memory for it, and there it is still. */
static void an_answer_that_was_not_taken_is_not_the_next_ones(void **state)
{
	const struct opener_question lost = {
		.number = ~0u, .request = {.side = VNIC_SIDE_ROUTER, .domain = AF_INET, .type = SOCK_DGRAM}};
	int pair[2], fd = -1;
	struct vnic_error err;

	(void)state;
	make_pair(pair);
	vt_ok(vnic_fd_send(pair[0], NULL, 0, &lost, sizeof(lost), &err), &err);
	vt_ok(opener_answer(pair[1], OPENER_FLOWS, NULL, &err), &err);
	assert_int_equal(ask(pair, SOCK_STREAM, &fd), 0);
	assert_int_equal(type_of(fd), SOCK_STREAM);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void a_flood_is_heard_as_it_was_told(void **state)
{
	const struct opener_flood told = {.what = VNIC_FLOOD_ENDS, .src.ss_family = AF_INET6};
	struct opener_flood heard = {0};
	struct vnic_error err;
	int pair[2];

	(void)state;
	make_pair(pair);
	assert_int_equal(opener_tell_flood(pair[0], &told), 0);
	assert_int_equal(opener_answer(pair[1], OPENER_FLOWS, &heard, &err), OPENER_FLOOD);
	assert_memory_equal(&heard, &told, sizeof(told));
	close(pair[0]);
	close(pair[1]);
}

static void a_helper_that_has_ended_is_an_error(void **state)
{
	const struct vnic_open_request request = {.side = VNIC_SIDE_ROUTER, .domain = AF_INET, .type = SOCK_DGRAM};
	struct vnic_error err;
	int pair[2], fd = -1;

	(void)state;
	make_pair(pair);
	close(pair[1]);
	assert_int_equal(opener_ask(pair[0], &request, &fd, &err), -EPIPE);
	close(pair[0]);
}

static void a_helper_that_does_not_answer_is_an_error_where_waiting_has_a_limit(void **state)
{
	const struct vnic_open_request request = {.side = VNIC_SIDE_ROUTER, .domain = AF_INET, .type = SOCK_DGRAM};
	const struct timeval soon = {.tv_usec = 1000};
	struct vnic_error err;
	int pair[2], fd = -1;

	(void)state;
	make_pair(pair);
	opener_limit(pair[0]);
	assert_return_code(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)), errno);
	vt_fails(opener_ask(pair[0], &request, &fd, &err), &err, VNIC_STEP_WAIT, ETIMEDOUT);
	assert_int_equal(fd, -1);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(who_asks_gets_what_was_asked_for),
		vt_test(an_answer_that_was_not_taken_is_not_the_next_ones),
		vt_test(a_flood_is_heard_as_it_was_told),
		vt_test(a_helper_that_has_ended_is_an_error),
		vt_test(a_helper_that_does_not_answer_is_an_error_where_waiting_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
