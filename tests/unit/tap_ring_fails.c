/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the kernel takes no more requests of a ring, frames are written all the same, all of them and in their order.
 */
#include "vt.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring.h"

#define LEN 60
#define SKIP 77
#define DEADLINE_S 20

/* What stands in for a device: messages keep their bounds. */
struct wire {
	int device, far;
	struct tap_ring *ring;
	uint8_t sent, got;
	unsigned lost;
};

static void count_lost(void *ctx, int error, size_t size)
{
	struct wire *wire = ctx;

	(void)error;
	(void)size;
	wire->lost++;
}

static bool add(struct wire *wire, unsigned count)
{
	const struct vnic_vnet_hdr hdr = {0};
	uint8_t frame[LEN] = {0};

	for (; count; count--) {
		frame[0] = wire->sent++;
		if (!tap_ring_add(wire->ring, &hdr, frame, sizeof(frame)))
			return false;
	}
	return true;
}

static bool all_come_in_order(struct wire *wire)
{
	uint8_t bytes[sizeof(struct vnic_vnet_hdr) + LEN + 1];

	for (; wire->got != wire->sent; wire->got++)
		if (recv(wire->far, bytes, sizeof(bytes), MSG_DONTWAIT) != (ssize_t)sizeof(bytes) - 1 ||
		    bytes[sizeof(struct vnic_vnet_hdr)] != wire->got)
			return false;
	return recv(wire->far, bytes, sizeof(bytes), MSG_DONTWAIT) < 0;
}

static bool forbid_requests(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* seccomp_data.nr */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/* In a process of its own, for the filter stays. */
static int write_through_a_ring_that_fails(void *ctx)
{
	static const unsigned counts[] = {3, 1, TAP_RING_FRAMES, 2, TAP_RING_FRAMES};
	const int *error = ctx;
	struct wire wire = {0};
	int pair[2], r;

	alarm(DEADLINE_S); /* or it would wait for ever, where it is wrong */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return 1;
	wire.device = pair[0];
	wire.far = pair[1];
	r = tap_ring_open(wire.device, &wire.ring);
	if (r == -EPERM || r == -ENOSYS)
		return SKIP;
	if (r < 0 || !add(&wire, 2))
		return 2;
	tap_ring_flush(wire.ring, count_lost, &wire);
	if (!all_come_in_order(&wire) || !forbid_requests(*error))
		return 3;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (!add(&wire, counts[i]))
			return 4;
		tap_ring_flush(wire.ring, count_lost, &wire);
		if (!all_come_in_order(&wire) || wire.lost || tap_ring_count(wire.ring))
			return 5;
	}
	tap_ring_close(wire.ring);
	return 0;
}

static void a_ring_that_fails_is_done_without(void **state)
{
	static int errors[] = {EAGAIN, ENOMEM, EPERM};

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		int status = vt_in_child(write_through_a_ring_that_fails, &errors[i]);

		if (status == SKIP)
			vt_skip("io_uring is forbidden here");
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_ring_that_fails_is_done_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
