/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A byte stream with frames in it, however it is cut: those come out that a simple reading of the bytes finds, those
 * that go in are on the stream behind their lengths, the relay comes to rest, and everything is accounted for.
 *
 * The input is a list of steps, each of two bytes (which, and how long) and that many bytes of its own.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay_ports.h"

#define LONGEST 69632 /* a length above it ends the connection */
#define BYTES 65536

enum step { SPEAKS, SPEAKS_TOO, IS_SPOKEN_TO, STOPS_LISTENING, STEPS };

static struct vnic_relay *relay;
static int far;
static struct sockaddr_un addr = {.sun_family = AF_UNIX};
static socklen_t addr_len = sizeof(addr);

/* One connection. */
struct world {
	int peer;
	bool ended, deaf;
	size_t said_len, said_at;   /* what the peer has said, and how far it has been understood */
	size_t meant_len, meant_at; /* what it is to hear */
	uint8_t said[BYTES], meant[BYTES];
};

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void set_up(void)
{
	const struct vnic_relay_config config = {.batch = 4};
	struct vnic_conn conn = {.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .fd = -1};
	int pair[2];

	require(bind(conn.listener, (struct sockaddr *)&addr, sizeof(addr.sun_family)) == 0);
	require(getsockname(conn.listener, (struct sockaddr *)&addr, &addr_len) == 0);
	require(listen(conn.listener, 1) == 0);
	require(vnic_relay_new(&config, &relay, NULL) == 0);
	require(vnic_relay_add_stream(relay, "stream", &conn, NULL) == 0);
	require(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	require(vnic_relay_add_dgram(relay, "far", &(struct vnic_dgram){.fd = pair[0]}, NULL) == 1);
	far = pair[1];
}

static void settle(void)
{
	while (poll(&(struct pollfd){.fd = vnic_relay_get_fd(relay), .events = POLLIN}, 1, 0) > 0)
		require(vnic_relay_dispatch(relay, 0, NULL) >= 0);
}

static void check_far_has(const uint8_t *frame, size_t len)
{
	uint8_t got[BYTES];

	require(recv(far, got, sizeof(got), MSG_DONTWAIT) == (ssize_t)len && !memcmp(got, frame, len));
}

static void check_what_was_said(struct world *world)
{
	while (!world->ended && world->said_len - world->said_at >= 4) {
		const uint8_t *at = world->said + world->said_at;
		size_t len = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];

		world->ended = len > LONGEST;
		if (world->ended || world->said_len - world->said_at - 4 < len)
			break;
		if (len >= 14 && len <= VNIC_FRAME_MAX)
			check_far_has(at + 4, len);
		world->said_at += 4 + len;
	}
	require(recv(far, &(char){0}, 1, MSG_DONTWAIT) < 0);
}

static void check_what_is_heard(struct world *world)
{
	uint8_t got[BYTES];
	ssize_t n;

	while (!world->deaf && (n = recv(world->peer, got, sizeof(got), MSG_DONTWAIT)) > 0) {
		require((size_t)n <= world->meant_len - world->meant_at &&
			!memcmp(got, world->meant + world->meant_at, (size_t)n));
		world->meant_at += (size_t)n;
	}
	require(world->deaf || world->ended || world->meant_at == world->meant_len);
}

static void speak(struct world *world, const uint8_t *data, size_t len)
{
	if (world->said_len + len > BYTES || send(world->peer, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		return;
	memcpy(world->said + world->said_len, data, len);
	world->said_len += len;
}

static void speak_to(struct world *world, const uint8_t *data, size_t len)
{
	uint32_t length = htonl((uint32_t)len);

	require(send(far, data, len, 0) == (ssize_t)len);
	if (len < 14 || world->ended || world->meant_len + 4 + len > BYTES)
		return;
	memcpy(world->meant + world->meant_len, &length, 4);
	memcpy(world->meant + world->meant_len + 4, data, len);
	world->meant_len += 4 + len;
}

static void take_step(struct world *world, enum step step, const uint8_t *data, size_t len)
{
	switch (step) {
	case SPEAKS:
	case SPEAKS_TOO:
		speak(world, data, len);
		break;
	case IS_SPOKEN_TO:
		speak_to(world, data, len);
		break;
	default:
		world->deaf = true;
		shutdown(world->peer, SHUT_RD);
	}
	settle();
	check_what_was_said(world);
	check_what_is_heard(world);
}

static void check_accounts(void)
{
	struct vnic_port_stats port;
	struct vnic_relay_stats all;
	int64_t balance = 0;
	const char *name;
	bool open;

	vnic_relay_get_stats(relay, &all);
	require(all.ports == 2);
	for (unsigned i = 0; vnic_relay_get_port(relay, i, &name, &open, &port) == 0; i++) {
		balance += (int64_t)(port.rx_frames - port.tx_frames);
		for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
			balance -= (int64_t)(port.rx_dropped[why] + port.tx_dropped[why]);
	}
	require(balance == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;

	if (!relay)
		set_up();
	world.ended = world.deaf = false;
	world.said_len = world.said_at = world.meant_len = world.meant_at = 0;
	world.peer = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	require(connect(world.peer, (struct sockaddr *)&addr, addr_len) == 0);
	settle();
	while (size >= 2) {
		enum step step = data[0] % STEPS;
		size_t len = data[1] < size - 2 ? data[1] : size - 2;

		take_step(&world, step, data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	close(world.peer);
	settle();
	check_accounts();
	return 0;
}
