/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stream whose frames the kernel has no memory for, for a moment, gives them later, and its peer is no stranger. */
#include "relay_world.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define LEN 60
#define LENGTH_BYTES 4

/* One frame alone finds no memory, two at once do. */
static bool refuse_memory(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LENGTH_BYTES + LEN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

struct streamed {
	struct world world;
	int peer;
	int error;
};

static bool say(struct world *world)
{
	struct {
		struct vnic_vnet_hdr hdr;
		uint8_t frame[LEN];
	} message = {.frame = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}};

	for (int i = 0; i < 3; i++) /* reads it, writes it, and what waits */
		if ((i == 0 && write(world->station[0], &message, sizeof(message)) != sizeof(message)) ||
		    vnic_relay_dispatch(world->relay, 0, NULL) < 0)
			return false;
	return true;
}

/* In a process of its own, for the filter stays. */
static int speak_where_memory_is_short(void *ctx)
{
	struct streamed *streamed = ctx;
	struct vnic_port_stats stats;
	uint8_t bytes[4 * (LENGTH_BYTES + LEN)];

	if (!refuse_memory(streamed->error) || !say(&streamed->world))
		return 1;
	if (recv(streamed->peer, bytes, sizeof(bytes), MSG_DONTWAIT) >= 0 || !say(&streamed->world))
		return 2;
	if (recv(streamed->peer, bytes, sizeof(bytes), MSG_DONTWAIT) != 2 * (LENGTH_BYTES + LEN))
		return 3;
	stats = streamed->world.relay->ports[1]->stats;
	return stats.tx_frames == 2 && !stats.tx_dropped[VNIC_DROP_DOWN] ? 0 : 4;
}

static void a_moment_without_memory_loses_no_peer(void **state)
{
	static const int errors[] = {ENOBUFS, ENOMEM};

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct streamed streamed = {.world = world_of(1, 0), .error = errors[i]};
		struct vnic_error err;
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
		const struct vnic_conn conn = {.listener = -1, .fd = pair[0]};
		assert_int_equal(vnic_relay_add_stream(streamed.world.relay, "stream", &conn, &err), 1);
		streamed.peer = pair[1];
		assert_int_equal(vt_in_child(speak_where_memory_is_short, &streamed), 0);
		world_free(&streamed.world);
		close(streamed.peer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_moment_without_memory_loses_no_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
