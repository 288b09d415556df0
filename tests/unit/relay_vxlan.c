/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VXLAN: its header, its remotes, and what is for which of them. */
#include "vt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "relay_ports.h"
#include "relay_told.h"

#define VNI 0x010203
#define FRAME_LEN 60
#define HEADER_LEN 8

/* A relay of a VXLAN (port 0) and a pair of Unix datagram sockets (port 1), whose far end is `far`. */
struct world {
	struct vnic_relay *relay;
	int far;
	int remotes[3]; /* their sockets */
	struct sockaddr_in addrs[3];
	struct sockaddr_in own;
};

static int udp_socket(struct sockaddr_in *ret_addr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret_addr);

	*ret_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)ret_addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret_addr, &len), 0);
	return fd;
}

/* All three remotes have an address; the first `known` of them are told to the port. */
static struct world world_new(unsigned known)
{
	const struct vnic_relay_config config = {0};
	struct sockaddr_storage remotes[3] = {0};
	struct world world;
	struct vnic_error err;
	int pair[2];

	vt_ok(vnic_relay_new(&config, &world.relay, &err), &err);
	for (unsigned i = 0; i < 3; i++) {
		world.remotes[i] = udp_socket(&world.addrs[i]);
		memcpy(&remotes[i], &world.addrs[i], sizeof(world.addrs[i]));
	}
	const struct vnic_vxlan vxlan = {
		.fd = udp_socket(&world.own), .vni = VNI, .remotes = remotes, .remote_count = known};
	assert_int_equal(vnic_relay_add_vxlan(world.relay, "vxlan", &vxlan, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	world.far = pair[1];
	assert_int_equal(vnic_relay_add_dgram(world.relay, "far", &(struct vnic_dgram){.fd = pair[0]}, &err), 1);
	return world;
}

static void world_free(struct world *world)
{
	vnic_relay_free(world->relay);
	close(world->far);
	for (unsigned i = 0; i < 3; i++)
		close(world->remotes[i]);
}

static uint64_t made_copies(const struct world *world)
{
	struct vnic_relay_stats stats;

	vnic_relay_get_stats(world->relay, &stats);
	return stats.made[VNIC_MADE_COPY];
}

static void wait_for_rx(struct world *world, unsigned port, uint64_t frames)
{
	struct vnic_error err;

	while (stats_of(world->relay, port).rx_frames < frames)
		vt_ok(vnic_relay_dispatch(world->relay, 1000, &err), &err);
}

static void make_frame(uint8_t *frame, uint8_t dst, uint8_t src)
{
	memset(frame, 0, FRAME_LEN);
	frame[0] = dst == 0xff ? 0xff : 0x02;
	frame[5] = dst;
	frame[6] = 0x02;
	frame[11] = src;
}

/* From remote `i` comes a datagram with these first four bytes and this number; returns when it was read. */
static void comes(struct world *world, unsigned i, uint32_t first, uint32_t vni, uint8_t dst, uint8_t src)
{
	uint8_t datagram[HEADER_LEN + FRAME_LEN];
	uint64_t before = stats_of(world->relay, 0).rx_frames;

	put32(datagram, first);
	put32(datagram + 4, vni << 8);
	make_frame(datagram + HEADER_LEN, dst, src);
	assert_int_equal(sendto(world->remotes[i], datagram, sizeof(datagram), 0, (struct sockaddr *)&world->own,
				sizeof(world->own)),
			 sizeof(datagram));
	wait_for_rx(world, 0, before + 1);
}

static void comes_right(struct world *world, unsigned i, uint8_t dst, uint8_t src)
{
	uint8_t want[FRAME_LEN], got[FRAME_LEN + 1];

	comes(world, i, 0x08000000, VNI, dst, src);
	make_frame(want, dst, src);
	assert_int_equal(recv(world->far, got, sizeof(got), 0), FRAME_LEN);
	assert_memory_equal(got, want, FRAME_LEN);
}

static void goes(struct world *world, uint8_t dst, uint8_t src)
{
	uint8_t frame[FRAME_LEN];
	uint64_t before = stats_of(world->relay, 1).rx_frames;

	make_frame(frame, dst, src);
	assert_int_equal(send(world->far, frame, FRAME_LEN, 0), FRAME_LEN);
	wait_for_rx(world, 1, before + 1);
}

static bool arrives(struct world *world, unsigned i, uint8_t dst, uint8_t src)
{
	uint8_t want[HEADER_LEN + FRAME_LEN] = {0x08, 0, 0, 0, 1, 2, 3, 0}, got[HEADER_LEN + FRAME_LEN + 1];
	ssize_t n = recv(world->remotes[i], got, sizeof(got), MSG_DONTWAIT);

	if (n < 0)
		return false;
	make_frame(want + HEADER_LEN, dst, src);
	assert_int_equal(n, sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
	return true;
}

static void frames_travel_behind_the_header(void **state)
{
	struct world world = world_new(1);

	(void)state;
	goes(&world, 2, 1);
	assert_true(arrives(&world, 0, 2, 1));
	comes_right(&world, 0, 1, 2);
	world_free(&world);
}

static void what_is_for_nobody_known_goes_to_all_remotes(void **state)
{
	struct world world = world_new(3);

	(void)state;
	for (unsigned dst = 2; dst <= 0xff; dst += 0xfd) { /* one, and all */
		goes(&world, (uint8_t)dst, 1);
		for (unsigned i = 0; i < 3; i++)
			assert_true(arrives(&world, i, (uint8_t)dst, 1));
	}
	assert_int_equal(made_copies(&world), 4);
	assert_int_equal(stats_of(world.relay, 0).tx_frames, 6);
	world_free(&world);
}

static void a_mac_is_sent_to_the_remote_it_was_last_seen_behind(void **state)
{
	struct world world = world_new(3);

	(void)state;
	for (unsigned behind = 0; behind < 3; behind++) {
		comes_right(&world, behind, 1, 2);
		goes(&world, 2, 1);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(arrives(&world, i, 2, 1), i == behind);
	}
	assert_int_equal(made_copies(&world), 0);
	world_free(&world);
}

static void strangers_and_other_networks_are_dropped_and_counted(void **state)
{
	struct world world = world_new(2);
	uint8_t datagram[HEADER_LEN + FRAME_LEN] = {0x08, 0, 0, 0, 1, 2, 3, 0};
	struct sockaddr_in other = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("127.0.0.9")};
	int stranger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(bind(stranger, (struct sockaddr *)&other, sizeof(other)), 0);
	assert_int_equal(connect(stranger, (struct sockaddr *)&world.own, sizeof(world.own)), 0);
	assert_int_equal(send(stranger, datagram, sizeof(datagram), 0), sizeof(datagram));
	wait_for_rx(&world, 0, 1);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_STRANGER], 1);
	comes(&world, 0, 0x08000000, VNI + 1, 1, 2);
	comes(&world, 0, 0x00000000, VNI, 1, 2);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_TUNNEL], 2);
	for (size_t len = 0; len < HEADER_LEN + 14; len++) {
		assert_int_equal(
			sendto(world.remotes[0], datagram, len, 0, (struct sockaddr *)&world.own, sizeof(world.own)),
			len);
		wait_for_rx(&world, 0, 4 + len);
	}
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_TUNNEL], 2 + HEADER_LEN);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_SHORT], 14);
	assert_true(is_open(world.relay, 0));
	assert_int_equal(recv(world.far, datagram, 1, MSG_DONTWAIT), -1);
	close(stranger);
	world_free(&world);
}

static void reserved_bits_and_source_ports_do_not_matter(void **state)
{
	struct world world = world_new(1);
	uint8_t got[FRAME_LEN];

	(void)state;
	comes(&world, 0, 0xffffffff, VNI, 1, 2);
	assert_int_equal(recv(world.far, got, sizeof(got), 0), FRAME_LEN);
	comes_right(&world, 1, 1, 2); /* the known remote's address with another port */
	goes(&world, 2, 1);
	assert_true(arrives(&world, 0, 2, 1));
	world_free(&world);
}

/* It answers to the port that it has itself, at the address it was spoken to from. */
static void with_no_remote_given_whoever_speaks_is_one(void **state)
{
	struct world world = world_new(0);
	struct sockaddr_in addr = world.own;
	int peers[3];

	(void)state;
	goes(&world, 2, 1);
	assert_int_equal(stats_of(world.relay, 0).tx_dropped[VNIC_DROP_DOWN], 1);
	for (unsigned i = 0; i < 3; i++) {
		addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + i);
		peers[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(peers[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
		close(world.remotes[i]);
		world.remotes[i] = peers[i];
		comes_right(&world, i, 1, (uint8_t)(2 + i));
	}
	goes(&world, 3, 1);
	goes(&world, 0xff, 1);
	for (unsigned i = 0; i < 3; i++) {
		if (i == 1)
			assert_true(arrives(&world, i, 3, 1));
		assert_true(arrives(&world, i, 0xff, 1));
		assert_false(arrives(&world, i, 0xff, 1));
	}
	world_free(&world);
}

static void there_are_so_many_remotes_and_no_more(void **state)
{
	struct world world = world_new(0);
	uint8_t datagram[HEADER_LEN + FRAME_LEN] = {0x08, 0, 0, 0, 1, 2, 3, 0};
	struct sockaddr_in addr = {.sin_family = AF_INET};

	(void)state;
	for (unsigned i = 0; i <= VNIC_VXLAN_REMOTES; i++) {
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		addr.sin_addr.s_addr = htonl(0x7f000100 + i);
		assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
		assert_int_equal(
			sendto(fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&world.own, sizeof(world.own)),
			sizeof(datagram));
		wait_for_rx(&world, 0, i + 1);
		close(fd);
	}
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_STRANGER], 1);
	world_free(&world);
}

static void what_cannot_be_a_vxlan_is_refused(void **state)
{
	struct world world = world_new(1);
	struct sockaddr_storage v6 = {.ss_family = AF_INET6};
	struct sockaddr_in addr;
	struct vnic_error err;
	int fd = udp_socket(&addr), pair[2];

	(void)state;
	vt_fails(vnic_relay_add_vxlan(world.relay, "x", &(struct vnic_vxlan){.fd = fd, .vni = 1 << 24}, &err), &err,
		 VNIC_STEP_PORT, EINVAL);
	vt_fails(vnic_relay_add_vxlan(world.relay, "x",
				      &(struct vnic_vxlan){.fd = fd, .remotes = &v6, .remote_count = 1}, &err),
		 &err, VNIC_STEP_PORT, EINVAL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	vt_fails(vnic_relay_add_vxlan(world.relay, "x", &(struct vnic_vxlan){.fd = pair[0]}, &err), &err,
		 VNIC_STEP_PORT, EINVAL);
	close(pair[0]);
	close(pair[1]);
	close(fd);
	world_free(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(frames_travel_behind_the_header),
		vt_test(what_is_for_nobody_known_goes_to_all_remotes),
		vt_test(a_mac_is_sent_to_the_remote_it_was_last_seen_behind),
		vt_test(strangers_and_other_networks_are_dropped_and_counted),
		vt_test(reserved_bits_and_source_ports_do_not_matter),
		vt_test(with_no_remote_given_whoever_speaks_is_one),
		vt_test(there_are_so_many_remotes_and_no_more),
		vt_test(what_cannot_be_a_vxlan_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
