/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors over a Unix socket. */
#include "vt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX 253

static void make_pair(int type, int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

static void a_descriptor_arrives_open_and_close_on_exec(void **state)
{
	struct vnic_error err;
	int pair[2], sent = eventfd(7, EFD_CLOEXEC), got = -1;
	char data[8];
	unsigned count;
	size_t size;
	uint64_t value;

	(void)state;
	make_pair(SOCK_STREAM, pair);
	vt_ok(vnic_fd_send(pair[0], &sent, 1, "eth0", 4, &err), &err);
	close(sent);
	vt_ok(vnic_fd_recv(pair[1], &got, 1, &count, data, sizeof(data), &size, &err), &err);
	assert_int_equal(count, 1);
	assert_int_equal(size, 4);
	assert_memory_equal(data, "eth0", 4);
	assert_int_equal(read(got, &value, sizeof(value)), sizeof(value));
	assert_int_equal(value, 7);
	assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
	close(got);
	close_pair(pair);
}

static void as_many_as_a_message_carries_arrive_in_order(void **state)
{
	struct vnic_error err;
	int pair[2], fds[MAX], got[MAX];
	unsigned count;
	size_t size;
	char byte;

	(void)state;
	make_pair(SOCK_SEQPACKET, pair);
	for (unsigned i = 0; i < MAX; i++)
		fds[i] = eventfd(i + 1, EFD_CLOEXEC);
	vt_ok(vnic_fd_send(pair[0], fds, MAX, "x", 1, &err), &err);
	vt_ok(vnic_fd_recv(pair[1], got, MAX, &count, &byte, 1, &size, &err), &err);
	assert_int_equal(count, MAX);
	for (unsigned i = 0; i < MAX; i++) {
		uint64_t value;

		assert_int_equal(read(got[i], &value, sizeof(value)), sizeof(value));
		assert_int_equal(value, i + 1);
		close(fds[i]);
		close(got[i]);
	}
	close_pair(pair);
}

static void more_than_a_message_carries_is_refused_before_sending(void **state)
{
	struct vnic_error err;
	int pair[2], fds[MAX + 1] = {0};

	(void)state;
	make_pair(SOCK_STREAM, pair);
	vt_fails(vnic_fd_send(pair[0], fds, MAX + 1, "x", 1, &err), &err, VNIC_STEP_FD_PASS, EMSGSIZE);
	close_pair(pair);
}

static void more_than_the_receiver_wants_is_refused_and_closed(void **state)
{
	struct vnic_error err;
	int pair[2], fds[3], got[2], before;
	unsigned count = 77;
	size_t size;
	char byte;

	(void)state;
	make_pair(SOCK_STREAM, pair);
	for (int i = 0; i < 3; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	before = vt_open_fds();
	vt_ok(vnic_fd_send(pair[0], fds, 3, "x", 1, &err), &err);
	vt_fails(vnic_fd_recv(pair[1], got, 2, &count, &byte, 1, &size, &err), &err, VNIC_STEP_FD_PASS, EMSGSIZE);
	assert_int_equal(vt_open_fds(), before);
	assert_int_equal(count, 77);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close_pair(pair);
}

static void a_receiver_out_of_descriptors_is_told_and_loses_none(void **state)
{
	struct vnic_error err;
	struct rlimit old, tight;
	int pair[2], fds[2], got[2], before, r;
	unsigned count;
	size_t size;
	char byte;

	(void)state;
	make_pair(SOCK_STREAM, pair);
	fds[0] = eventfd(0, EFD_CLOEXEC);
	fds[1] = eventfd(0, EFD_CLOEXEC);
	before = vt_open_fds();
	vt_ok(vnic_fd_send(pair[0], fds, 2, "x", 1, &err), &err);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = (struct rlimit){.rlim_cur = (rlim_t)fds[1] + 2, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	r = vnic_fd_recv(pair[1], got, 2, &count, &byte, 1, &size, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	vt_fails(r, &err, VNIC_STEP_FD_PASS, EMFILE);
	assert_int_equal(vt_open_fds(), before);
	close(fds[0]);
	close(fds[1]);
	close_pair(pair);
}

static void data_alone_and_the_end_of_the_stream_are_told_apart(void **state)
{
	struct vnic_error err;
	int pair[2], got;
	unsigned count;
	size_t size;
	char data[4];

	(void)state;
	make_pair(SOCK_STREAM, pair);
	vt_ok(vnic_fd_send(pair[0], NULL, 0, "hi", 2, &err), &err);
	vt_ok(vnic_fd_recv(pair[1], &got, 1, &count, data, sizeof(data), &size, &err), &err);
	assert_int_equal(count, 0);
	assert_int_equal(size, 2);
	close(pair[0]);
	vt_ok(vnic_fd_recv(pair[1], &got, 1, &count, data, sizeof(data), &size, &err), &err);
	assert_int_equal(count, 0);
	assert_int_equal(size, 0);
	close(pair[1]);
}

static void a_message_without_data_is_refused(void **state)
{
	struct vnic_error err;
	int pair[2], fd = 0;

	(void)state;
	make_pair(SOCK_STREAM, pair);
	vt_fails(vnic_fd_send(pair[0], &fd, 1, NULL, 0, &err), &err, VNIC_STEP_FD_PASS, EINVAL);
	close_pair(pair);
}

static void a_closed_receiver_is_an_error_and_no_signal(void **state)
{
	struct vnic_error err;
	int pair[2], fd = 0;

	(void)state;
	make_pair(SOCK_STREAM, pair);
	close(pair[1]);
	vt_fails(vnic_fd_send(pair[0], &fd, 1, "x", 1, &err), &err, VNIC_STEP_FD_PASS, EPIPE);
	close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_descriptor_arrives_open_and_close_on_exec),
		vt_test(as_many_as_a_message_carries_arrive_in_order),
		vt_test(more_than_a_message_carries_is_refused_before_sending),
		vt_test(more_than_the_receiver_wants_is_refused_and_closed),
		vt_test(a_receiver_out_of_descriptors_is_told_and_loses_none),
		vt_test(data_alone_and_the_end_of_the_stream_are_told_apart),
		vt_test(a_message_without_data_is_refused),
		vt_test(a_closed_receiver_is_an_error_and_no_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
