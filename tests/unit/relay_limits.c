/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a relay has only so many of, and what one with threads has not. */
#include "vt.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vnic/inspect.h>
#include <vnic/relay.h>

static struct vnic_relay *relay_of(unsigned threads)
{
	const struct vnic_relay_config config = {.threads = threads};
	struct vnic_relay *relay;
	struct vnic_error err;

	vt_ok(vnic_relay_new(&config, &relay, &err), &err);
	return relay;
}

static void a_turn_and_threads_have_limits(void **state)
{
	struct vnic_relay *relay;
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_relay_new(&(struct vnic_relay_config){.batch = 1 << 20}, &relay, &err), &err, VNIC_STEP_USAGE,
		 EINVAL);
	assert_string_equal(err.object, "batch");
	vt_fails(vnic_relay_new(&(struct vnic_relay_config){.threads = VNIC_RELAY_THREADS + 1}, &relay, &err), &err,
		 VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.object, "threads");
}

/* Files that are written are ports that need little. */
static int add(struct vnic_relay *relay, int file, struct vnic_error *err)
{
	const struct vnic_pcap pcap = {.fd = fcntl(file, F_DUPFD_CLOEXEC, 3), .write = true};
	int r;

	assert_true(pcap.fd >= 0);
	r = vnic_relay_add_pcap(relay, "file", &pcap, err);
	if (r < 0)
		close(pcap.fd);
	return r;
}

static void there_are_so_many_ports_and_no_more(void **state)
{
	struct vnic_relay *relay = relay_of(1);
	struct rlimit limit;
	struct vnic_error err;
	int file = memfd_create("capture", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < VNIC_RELAY_PORTS + 100)
		vt_skip("the hard limit of descriptors is %lu", (unsigned long)limit.rlim_max);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < VNIC_RELAY_PORTS; i++)
		assert_int_equal(vt_ok(add(relay, file, &err), &err), i);
	vt_fails(add(relay, file, &err), &err, VNIC_STEP_PORT, ENOSPC);
	vnic_relay_free(relay);
	close(file);
}

static void wake(void *ctx, int fd)
{
	eventfd_t count;

	(void)ctx;
	eventfd_read(fd, &count);
}

static void so_many_descriptors_are_watched_until_one_is_not(void **state)
{
	struct vnic_relay *relay = relay_of(1);
	int fds[VNIC_RELAY_WATCHES + 1];
	struct vnic_error err;

	(void)state;
	for (int i = 0; i <= VNIC_RELAY_WATCHES; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
	for (int i = 0; i < VNIC_RELAY_WATCHES; i++)
		vt_ok(vnic_relay_watch(relay, fds[i], wake, NULL, &err), &err);
	vt_fails(vnic_relay_watch(relay, fds[VNIC_RELAY_WATCHES], wake, NULL, &err), &err, VNIC_STEP_RELAY, ENOSPC);
	vt_ok(vnic_relay_watch(relay, fds[3], NULL, NULL, &err), &err);
	vt_ok(vnic_relay_watch(relay, fds[VNIC_RELAY_WATCHES], wake, NULL, &err), &err);
	vnic_relay_free(relay);
	for (int i = 0; i <= VNIC_RELAY_WATCHES; i++)
		close(fds[i]);
}

static enum vnic_verdict pass(void *ctx, struct vnic_inspected *frame)
{
	(void)ctx;
	(void)frame;
	return VNIC_VERDICT_PASS;
}

static void threads_look_into_nothing(void **state)
{
	struct vnic_relay *relay = relay_of(2);
	const struct vnic_capture capture = {.fd = STDERR_FILENO};
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_relay_set_inspector(relay, pass, NULL, &err), &err, VNIC_STEP_USAGE, EOPNOTSUPP);
	vt_fails(vnic_relay_set_capture(relay, &capture, &err), &err, VNIC_STEP_USAGE, EOPNOTSUPP);
	vt_ok(vnic_relay_set_capture(relay, NULL, &err), &err);
	vnic_relay_free(relay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_turn_and_threads_have_limits),
		vt_test(there_are_so_many_ports_and_no_more),
		vt_test(so_many_descriptors_are_watched_until_one_is_not),
		vt_test(threads_look_into_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
