/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ports that are sockets: streams with lengths, datagrams, sequenced packets; and peers that come, go and lie. */
#include "vt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay_ports.h"
#include "relay_told.h"

#define FRAME_LEN 60

/* A relay of two ports: number 0 is tested, number 1 is a pair of Unix datagram sockets, whose far end is `far`. */
struct world {
	struct vnic_relay *relay;
	int far;
};

static struct world world_new(void)
{
	const struct vnic_relay_config config = {0};
	struct world world = {.far = -1};
	struct vnic_error err;

	vt_ok(vnic_relay_new(&config, &world.relay, &err), &err);
	return world;
}

static void add_far(struct world *world)
{
	struct vnic_error err;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	world->far = pair[1];
	assert_int_equal(vnic_relay_add_dgram(world->relay, "far", &(struct vnic_dgram){.fd = pair[0]}, &err), 1);
}

static void world_free(struct world *world)
{
	vnic_relay_free(world->relay);
	close(world->far);
}

static void settle(struct world *world)
{
	struct vnic_error err;

	while (vt_ok(vnic_relay_dispatch(world->relay, 0, &err), &err) > 0)
		;
	vt_ok(vnic_relay_dispatch(world->relay, 0, &err), &err);
}

static void fill_frame(uint8_t *frame, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(first + i);
}

/* Frames of a stream, as bytes. */
static size_t put_on_stream(uint8_t *bytes, size_t len, uint8_t first)
{
	const uint32_t length = htonl((uint32_t)len);

	memcpy(bytes, &length, 4);
	fill_frame(bytes + 4, len, first);
	return 4 + len;
}

static void assert_far_gets(struct world *world, size_t len, uint8_t first)
{
	static uint8_t want[VNIC_FRAME_MAX], got[VNIC_FRAME_MAX + 1];

	fill_frame(want, len, first);
	assert_int_equal(recv(world->far, got, sizeof(got), MSG_DONTWAIT), len);
	assert_memory_equal(got, want, len);
}

static int stream_world(struct world *world)
{
	struct vnic_error err;
	int pair[2];

	*world = world_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	const struct vnic_conn conn = {.listener = -1, .fd = pair[0]};
	assert_int_equal(vnic_relay_add_stream(world->relay, "stream", &conn, &err), 0);
	add_far(world);
	return pair[1];
}

/* --- streams ------------------------------------------------------------------------ */

static void frames_come_whole_however_the_stream_is_cut(void **state)
{
	uint8_t bytes[400];
	struct world world;
	int peer = stream_world(&world);
	size_t len = put_on_stream(bytes, 60, 1);

	(void)state;
	len += put_on_stream(bytes + len, 100, 2);
	len += put_on_stream(bytes + len, 14, 3);
	for (size_t cut = 1; cut < 9; cut += 2) {
		for (size_t at = 0; at < len; at += cut) {
			size_t size = len - at < cut ? len - at : cut;

			assert_int_equal(write(peer, bytes + at, size), size);
			settle(&world);
		}
		assert_far_gets(&world, 60, 1);
		assert_far_gets(&world, 100, 2);
		assert_far_gets(&world, 14, 3);
	}
	assert_int_equal(recv(world.far, bytes, 1, MSG_DONTWAIT), -1);
	close(peer);
	world_free(&world);
}

static void frames_leave_behind_their_length(void **state)
{
	uint8_t frame[300], got[4 * 304], want[304];
	struct world world;
	int peer = stream_world(&world);

	(void)state;
	for (uint8_t i = 0; i < 3; i++) {
		fill_frame(frame, 200 + i, i);
		assert_int_equal(send(world.far, frame, 200 + i, 0), 200 + i);
	}
	settle(&world);
	assert_int_equal(recv(peer, got, sizeof(got), MSG_DONTWAIT), 3 * 204 + 3);
	assert_int_equal(put_on_stream(want, 202, 2), 206);
	assert_memory_equal(got + 2 * 204 + 1, want, 206);
	close(peer);
	world_free(&world);
}

static void a_short_frame_is_dropped_and_the_stream_stays_in_step(void **state)
{
	uint8_t bytes[200];
	struct world world;
	int peer = stream_world(&world);
	size_t len = put_on_stream(bytes, 13, 1);

	(void)state;
	len += put_on_stream(bytes + len, 0, 1);
	len += put_on_stream(bytes + len, 60, 2);
	assert_int_equal(write(peer, bytes, len), len);
	settle(&world);
	assert_far_gets(&world, 60, 2);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_SHORT], 2);
	close(peer);
	world_free(&world);
}

static void a_length_that_cannot_be_ends_the_port(void **state)
{
	const uint32_t lie = htonl(69633);
	struct world world;
	struct vnic_error err;
	int peer = stream_world(&world);

	(void)state;
	assert_int_equal(write(peer, &lie, 4), 4);
	vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
	assert_false(is_open(world.relay, 0));
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_OVERSIZE], 1);
	close(peer);
	world_free(&world);
}

/* A peer that does not read: what fits is sent later, what does not is lost as whole frames. */
static void a_slow_peer_loses_whole_frames_only(void **state)
{
	static uint8_t frame[1500], got[1 << 20];
	struct world world;
	int peer = stream_world(&world);
	size_t len = 0, frames = 0;
	ssize_t n;

	(void)state;
	fill_frame(frame, sizeof(frame), 9);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(send(world.far, frame, sizeof(frame), 0), sizeof(frame));
		settle(&world);
	}
	assert_true(stats_of(world.relay, 0).tx_dropped[VNIC_DROP_FULL] > 0);
	while ((n = recv(peer, got + len, sizeof(got) - len, MSG_DONTWAIT)) > 0) {
		len += (size_t)n;
		settle(&world);
	}
	for (size_t at = 0; at < len; at += 4 + sizeof(frame), frames++) {
		uint32_t length;

		memcpy(&length, got + at, 4);
		assert_int_equal(ntohl(length), sizeof(frame));
		assert_memory_equal(got + at + 4, frame, sizeof(frame));
	}
	assert_int_equal(frames, stats_of(world.relay, 0).tx_frames);
	assert_int_equal(frames + stats_of(world.relay, 0).tx_dropped[VNIC_DROP_FULL], 2000);
	close(peer);
	world_free(&world);
}

/* More than a turn takes: what was read from the socket and is not yet on its way must not wait for more to come. */
static void frames_of_one_burst_all_come_without_a_word_more(void **state)
{
	static uint8_t bytes[500 * (4 + FRAME_LEN)], got[FRAME_LEN];
	struct world world;
	size_t len = 0;
	int peer = stream_world(&world), frames = 0;

	(void)state;
	for (int i = 0; i < 500; i++)
		len += put_on_stream(bytes + len, FRAME_LEN, (uint8_t)i);
	assert_int_equal(write(peer, bytes, len), len);
	for (int turns = 0; turns < 100; turns++) {
		struct vnic_error err;

		vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
		while (recv(world.far, got, sizeof(got), MSG_DONTWAIT) > 0)
			frames++;
	}
	assert_int_equal(frames, 500);
	close(peer);
	world_free(&world);
}

/* It still speaks.  To ask again and again whether it listens would keep a CPU busy. */
static void a_peer_that_has_stopped_listening_costs_nothing(void **state)
{
	uint8_t frame[FRAME_LEN] = {0}, bytes[100];
	struct world world;
	int peer = stream_world(&world);
	struct vnic_error err;
	size_t len;

	(void)state;
	assert_int_equal(shutdown(peer, SHUT_RD), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send(world.far, frame, sizeof(frame), 0), sizeof(frame));
		settle(&world);
	}
	assert_int_equal(stats_of(world.relay, 0).tx_dropped[VNIC_DROP_DOWN], 2);
	assert_int_equal(stats_of(world.relay, 0).tx_frames, 0);
	assert_int_equal(poll(&(struct pollfd){.fd = vnic_relay_get_fd(world.relay), .events = POLLIN}, 1, 0), 0);
	len = put_on_stream(bytes, FRAME_LEN, 7);
	assert_int_equal(write(peer, bytes, len), len);
	settle(&world);
	assert_far_gets(&world, FRAME_LEN, 7);
	close(peer);
	vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
	assert_false(is_open(world.relay, 0));
	world_free(&world);
}

/* Those that the socket has taken are the peer's; the rest is lost with the connection, also the one in between. */
static void frames_that_wait_when_the_peer_goes_are_counted_as_lost(void **state)
{
	static uint8_t frame[1500], got[1 << 20];
	struct world world;
	int peer = stream_world(&world), sent = 0;
	struct vnic_port_stats stats;
	struct vnic_error err;
	ssize_t n;

	(void)state;
	for (; !stats_of(world.relay, 0).tx_dropped[VNIC_DROP_FULL]; sent++) {
		assert_int_equal(send(world.far, frame, sizeof(frame), 0), sizeof(frame));
		settle(&world);
	}
	n = recv(peer, got, sizeof(got), MSG_DONTWAIT);
	assert_true(n > 0);
	close(peer);
	vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
	assert_false(is_open(world.relay, 0));
	stats = stats_of(world.relay, 0);
	assert_true(stats.tx_dropped[VNIC_DROP_DOWN] > 0);
	assert_int_equal(stats.tx_frames, n / (ssize_t)(4 + sizeof(frame)));
	assert_int_equal(stats.tx_bytes, stats.tx_frames * sizeof(frame));
	assert_int_equal(stats.tx_frames + stats.tx_dropped[VNIC_DROP_DOWN] + stats.tx_dropped[VNIC_DROP_FULL], sent);
	world_free(&world);
}

/* --- connections -------------------------------------------------------------------- */

static int listener(struct sockaddr_un *addr, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	assert_int_equal(bind(fd, (struct sockaddr *)addr, sizeof(addr->sun_family)), 0); /* the kernel's choice */
	*len = sizeof(*addr);
	assert_int_equal(getsockname(fd, (struct sockaddr *)addr, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int connected_to(const struct sockaddr_un *addr, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)addr, len), 0);
	return fd;
}

static void a_listener_takes_one_peer_after_the_other(void **state)
{
	uint8_t bytes[100];
	struct world world = world_new();
	struct sockaddr_un addr;
	struct vnic_error err;
	socklen_t addr_len;
	const struct vnic_conn conn = {.listener = listener(&addr, &addr_len), .fd = -1};

	(void)state;
	assert_int_equal(vnic_relay_add_stream(world.relay, "stream", &conn, &err), 0);
	add_far(&world);
	assert_int_equal(send(world.far, bytes, FRAME_LEN, 0), FRAME_LEN);
	settle(&world);
	assert_int_equal(stats_of(world.relay, 0).tx_dropped[VNIC_DROP_DOWN], 1);
	for (uint8_t i = 1; i < 4; i++) {
		int peer = connected_to(&addr, addr_len);
		size_t len = put_on_stream(bytes, FRAME_LEN, i);

		assert_int_equal(write(peer, bytes, len), len);
		settle(&world);
		assert_far_gets(&world, FRAME_LEN, i);
		assert_int_equal(write(peer, bytes, 7), 7); /* half a frame, that the next peer must not inherit */
		close(peer);
		settle(&world);
		assert_true(is_open(world.relay, 0));
	}
	world_free(&world);
}

/* Nagle's algorithm would hold a small frame back until the one before it is acknowledged. */
static void tcp_peers_get_frames_at_once_and_are_missed_when_they_vanish(void **state)
{
	static const int options[][2] = {
		{IPPROTO_TCP, TCP_NODELAY}, {SOL_SOCKET, SO_KEEPALIVE}, {IPPROTO_TCP, TCP_KEEPIDLE}};
	struct world world = world_new();
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	struct vnic_error err;
	const struct vnic_conn conn = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
				       .fd = -1};
	int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(bind(conn.listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(conn.listener, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(listen(conn.listener, 1), 0);
	assert_int_equal(vnic_relay_add_stream(world.relay, "stream", &conn, &err), 0);
	add_far(&world);
	assert_int_equal(connect(peer, (struct sockaddr *)&addr, len), 0);
	while (world.relay->ports[0]->fd < 0)
		vt_ok(vnic_relay_dispatch(world.relay, VT_DEADLINE_MS, &err), &err);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int value = 0;

		assert_int_equal(getsockopt(world.relay->ports[0]->fd, options[i][0], options[i][1], &value,
					    &(socklen_t){sizeof(value)}),
				 0);
		assert_true(value > 0);
	}
	close(peer);
	world_free(&world);
}

static void a_listener_without_descriptors_rests_and_takes_the_peer_later(void **state)
{
	struct world world = world_new();
	struct sockaddr_un addr;
	struct vnic_error err;
	socklen_t addr_len;
	const struct vnic_conn conn = {.listener = listener(&addr, &addr_len), .fd = -1};
	struct rlimit before, none;
	int peer, next;

	(void)state;
	assert_int_equal(vnic_relay_add_stream(world.relay, "stream", &conn, &err), 0);
	add_far(&world);
	peer = connected_to(&addr, addr_len);
	next = dup(peer);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
	assert_int_equal(poll(&(struct pollfd){.fd = vnic_relay_get_fd(world.relay), .events = POLLIN}, 1, 0), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	while (world.relay->ports[0]->fd < 0)
		vt_ok(vnic_relay_dispatch(world.relay, VT_DEADLINE_MS, &err), &err);
	close(peer);
	world_free(&world);
}

struct dialler {
	struct sockaddr_un addr;
	socklen_t len;
	int calls;
};

static int dial(void *ctx, const struct vnic_open_request *request, int *ret_fd, struct vnic_error *err)
{
	struct dialler *dialler = ctx;
	int fd = socket(AF_UNIX, request->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	dialler->calls++;
	if (connect(fd, (struct sockaddr *)&dialler->addr, dialler->len) < 0) {
		close(fd);
		return vnic_fail(err, VNIC_STEP_SOCKET, ECONNREFUSED, NULL, NULL);
	}
	*ret_fd = fd;
	return 0;
}

static void a_lost_connection_is_dialled_again(void **state)
{
	struct world world = world_new();
	struct dialler dialler = {0};
	const struct vnic_opener opener = {.ctx = &dialler, .open = dial};
	int server = listener(&dialler.addr, &dialler.len);
	const struct vnic_conn conn = {
		.listener = -1, .fd = -1, .opener = &opener, .redial = {.type = SOCK_STREAM}, .redial_ms = 1};
	struct vnic_error err;

	(void)state;
	assert_int_equal(vnic_relay_add_stream(world.relay, "stream", &conn, &err), 0);
	add_far(&world);
	for (int i = 0; i < 3; i++) {
		uint8_t bytes[100];
		size_t len = put_on_stream(bytes, FRAME_LEN, (uint8_t)i);
		int peer;

		while ((peer = accept(server, NULL, NULL)) < 0)
			vt_ok(vnic_relay_dispatch(world.relay, 1000, &err), &err);
		assert_int_equal(write(peer, bytes, len), len);
		while (stats_of(world.relay, 0).rx_frames == (uint64_t)i)
			vt_ok(vnic_relay_dispatch(world.relay, 1000, &err), &err);
		assert_far_gets(&world, FRAME_LEN, (uint8_t)i);
		close(peer);
	}
	close(server);
	while (dialler.calls < 6) /* nobody is there now: it goes on, one rest after the other */
		vt_ok(vnic_relay_dispatch(world.relay, 1000, &err), &err);
	assert_true(is_open(world.relay, 0));
	world_free(&world);
}

/* A turn may come late, when the connection is lost and the next one is under way: two would be dialled, and one leak.
 */
static void a_late_turn_does_not_dial_beside_a_dial_under_way(void **state)
{
	struct world world = world_new();
	struct dialler dialler = {0};
	const struct vnic_opener opener = {.ctx = &dialler, .open = dial};
	int server = listener(&dialler.addr, &dialler.len);
	const struct vnic_conn conn = {
		.listener = -1, .fd = -1, .opener = &opener, .redial = {.type = SOCK_STREAM}, .redial_ms = 1};
	struct vnic_error err;
	struct port *port;

	(void)state;
	assert_int_equal(vnic_relay_add_stream(world.relay, "stream", &conn, &err), 0);
	add_far(&world);
	port = world.relay->ports[0];
	assert_int_equal(dialler.calls, 1);
	assert_int_equal(port->ops->read(port, 0, world.relay->frames, 1), -EAGAIN);
	assert_null(world.relay->timers.first); /* for another dial */
	settle(&world);
	assert_true(port->fd >= 0);
	close(server);
	world_free(&world);
}

static void a_connection_that_cannot_be_had_again_is_the_end_of_its_port(void **state)
{
	struct world world;
	struct vnic_error err;
	int peer = stream_world(&world);

	(void)state;
	close(peer);
	vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
	assert_false(is_open(world.relay, 0));
	world_free(&world);
}

/* --- messages ----------------------------------------------------------------------- */

static void a_datagram_is_a_frame_and_the_last_speaker_is_answered(void **state)
{
	struct world world = world_new();
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	uint8_t frame[FRAME_LEN], got[FRAME_LEN + 1];
	struct vnic_error err;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), peers[2];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(vnic_relay_add_dgram(world.relay, "udp", &(struct vnic_dgram){.fd = fd, .learns = true}, &err),
			 0);
	add_far(&world);
	fill_frame(frame, sizeof(frame), 5);
	assert_int_equal(send(world.far, frame, sizeof(frame), 0), sizeof(frame));
	settle(&world);
	assert_int_equal(stats_of(world.relay, 0).tx_dropped[VNIC_DROP_DOWN], 1); /* to whom? */
	for (int i = 0; i < 2; i++) {
		peers[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(peers[i], (struct sockaddr *)&addr, len), 0);
		assert_int_equal(send(peers[i], frame, sizeof(frame), 0), sizeof(frame));
		while (stats_of(world.relay, 0).rx_frames < (uint64_t)i + 1)
			vt_ok(vnic_relay_dispatch(world.relay, 1000, &err), &err);
		assert_far_gets(&world, FRAME_LEN, 5);
		assert_int_equal(send(world.far, frame, sizeof(frame), 0), sizeof(frame));
		settle(&world);
		assert_int_equal(recv(peers[i], got, sizeof(got), 0), sizeof(frame));
		assert_memory_equal(got, frame, sizeof(frame));
	}
	close(peers[0]);
	close(peers[1]);
	world_free(&world);
}

/* ECONNREFUSED says that an earlier datagram met nobody; the port lives on. */
static void a_peer_that_is_not_there_yet_does_not_end_the_port(void **state)
{
	struct world world = world_new();
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	uint8_t frame[FRAME_LEN] = {0};
	struct vnic_error err;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int away = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(bind(away, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(away, (struct sockaddr *)&addr, &len), 0);
	close(away);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(vnic_relay_add_dgram(world.relay, "udp", &(struct vnic_dgram){.fd = fd}, &err), 0);
	add_far(&world);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(send(world.far, frame, sizeof(frame), 0), sizeof(frame));
		settle(&world);
	}
	assert_true(is_open(world.relay, 0));
	assert_int_equal(stats_of(world.relay, 0).tx_frames + stats_of(world.relay, 0).tx_dropped[VNIC_DROP_DOWN], 10);
	world_free(&world);
}

static int udp_on_loopback(struct sockaddr_in *ret_addr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret_addr);

	*ret_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)ret_addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret_addr, &len), 0);
	return fd;
}

static void only_the_peer_of_a_udp_port_is_listened_to(void **state)
{
	struct world world = world_new();
	struct sockaddr_in addrs[3]; /* the port, its peer, a stranger */
	uint8_t frame[FRAME_LEN] = {0};
	struct vnic_error err;
	int fds[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		fds[i] = udp_on_loopback(&addrs[i]);
	struct vnic_dgram dgram = {.fd = fds[0], .peer_len = sizeof(addrs[1])};
	memcpy(&dgram.peer, &addrs[1], sizeof(addrs[1]));
	assert_int_equal(vnic_relay_add_dgram(world.relay, "udp", &dgram, &err), 0);
	add_far(&world);
	for (int i = 1; i < 3; i++) {
		fill_frame(frame, sizeof(frame), (uint8_t)i);
		assert_int_equal(
			sendto(fds[i], frame, sizeof(frame), 0, (struct sockaddr *)&addrs[0], sizeof(addrs[0])),
			sizeof(frame));
		while (stats_of(world.relay, 0).rx_frames < (uint64_t)i)
			vt_ok(vnic_relay_dispatch(world.relay, VT_DEADLINE_MS, &err), &err);
	}
	assert_far_gets(&world, FRAME_LEN, 1);
	assert_int_equal(recv(world.far, frame, 1, MSG_DONTWAIT), -1);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_STRANGER], 1);
	close(fds[1]);
	close(fds[2]);
	world_free(&world);
}

/* One that cannot be answered does not take the place of one that can. */
static void a_speaker_without_an_address_is_heard_and_not_answered(void **state)
{
	struct world world = world_new();
	uint8_t frame[FRAME_LEN] = {0}, got[FRAME_LEN + 1];
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(addr);
	struct vnic_error err;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int named = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int unnamed = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr.sun_family)), 0);
	assert_int_equal(bind(named, (struct sockaddr *)&addr, sizeof(addr.sun_family)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(
		vnic_relay_add_dgram(world.relay, "dgram", &(struct vnic_dgram){.fd = fd, .learns = true}, &err), 0);
	add_far(&world);
	assert_int_equal(sendto(named, frame, sizeof(frame), 0, (struct sockaddr *)&addr, len), sizeof(frame));
	assert_int_equal(sendto(unnamed, frame, sizeof(frame), 0, (struct sockaddr *)&addr, len), sizeof(frame));
	settle(&world);
	assert_int_equal(stats_of(world.relay, 0).rx_frames, 2);
	assert_int_equal(send(world.far, frame, sizeof(frame), 0), sizeof(frame));
	settle(&world);
	assert_int_equal(recv(named, got, sizeof(got), 0), sizeof(frame));
	close(named);
	close(unnamed);
	world_free(&world);
}

/* A relay that does not get a turn while many datagrams come. */
static void what_the_kernel_had_no_room_for_is_counted(void **state)
{
	struct world world = world_new();
	uint8_t frame[FRAME_LEN] = {0};
	struct sockaddr_in addr, own;
	struct vnic_dgram dgram = {.fd = udp_on_loopback(&addr), .learns = true};
	int speaker = udp_on_loopback(&own);
	const unsigned before = 100, count = 1000;
	struct vnic_port_stats to;
	struct vnic_error err;

	(void)state;
	assert_int_equal(setsockopt(dgram.fd, SOL_SOCKET, SO_RCVBUF, &(int){4608}, sizeof(int)), 0);
	assert_int_equal(connect(speaker, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	for (unsigned i = 0; i < before; i++) /* not the relay's loss */
		assert_int_equal(send(speaker, frame, sizeof(frame), 0), sizeof(frame));
	while (recv(dgram.fd, frame, sizeof(frame), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(vnic_relay_add_dgram(world.relay, "udp", &dgram, &err), 0);
	add_far(&world);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(send(speaker, frame, sizeof(frame), 0), sizeof(frame));
	settle(&world);
	assert_int_equal(stats_of(world.relay, 0).rx_frames, count);
	assert_true(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_OVERRUN] > 0);
	to = stats_of(world.relay, 1);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_OVERRUN],
			 count - to.tx_frames - to.tx_dropped[VNIC_DROP_FULL]);
	world_free(&world);
	close(speaker);
}

static void two_ports_cannot_have_one_descriptor(void **state)
{
	struct world world;
	uint8_t bytes[100];
	int peer = stream_world(&world);
	struct vnic_conn conn = {.listener = -1, .fd = world.relay->ports[0]->fd};
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_relay_add_stream(world.relay, "again", &conn, &err), &err, VNIC_STEP_PORT, EEXIST);
	vt_fails(vnic_relay_add_seqpacket(world.relay, "again", &conn, &err), &err, VNIC_STEP_PORT, EEXIST);
	assert_int_equal(write(peer, bytes, put_on_stream(bytes, 60, 1)), 64);
	settle(&world);
	assert_far_gets(&world, 60, 1);
	world_free(&world);
	close(peer);
}

static void a_sequenced_packet_is_a_frame_and_its_end_is_the_ports(void **state)
{
	struct world world = world_new();
	uint8_t frame[FRAME_LEN], got[FRAME_LEN + 1];
	struct vnic_error err;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	const struct vnic_conn conn = {.listener = -1, .fd = pair[0]};
	assert_int_equal(vnic_relay_add_seqpacket(world.relay, "seqpacket", &conn, &err), 0);
	add_far(&world);
	fill_frame(frame, sizeof(frame), 3);
	assert_int_equal(send(pair[1], frame, 13, 0), 13);
	assert_int_equal(send(pair[1], frame, sizeof(frame), 0), sizeof(frame));
	settle(&world);
	assert_far_gets(&world, FRAME_LEN, 3);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_SHORT], 1);
	assert_int_equal(send(world.far, frame, sizeof(frame), 0), sizeof(frame));
	settle(&world);
	assert_int_equal(recv(pair[1], got, sizeof(got), MSG_DONTWAIT), sizeof(frame));
	close(pair[1]);
	vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
	assert_false(is_open(world.relay, 0));
	world_free(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(frames_come_whole_however_the_stream_is_cut),
		vt_test(frames_leave_behind_their_length),
		vt_test(a_short_frame_is_dropped_and_the_stream_stays_in_step),
		vt_test(a_length_that_cannot_be_ends_the_port),
		vt_test(a_slow_peer_loses_whole_frames_only),
		vt_test(frames_of_one_burst_all_come_without_a_word_more),
		vt_test(a_peer_that_has_stopped_listening_costs_nothing),
		vt_test(frames_that_wait_when_the_peer_goes_are_counted_as_lost),
		vt_test(a_listener_takes_one_peer_after_the_other),
		vt_test(a_listener_without_descriptors_rests_and_takes_the_peer_later),
		vt_test(tcp_peers_get_frames_at_once_and_are_missed_when_they_vanish),
		vt_test(a_lost_connection_is_dialled_again),
		vt_test(a_late_turn_does_not_dial_beside_a_dial_under_way),
		vt_test(a_connection_that_cannot_be_had_again_is_the_end_of_its_port),
		vt_test(a_datagram_is_a_frame_and_the_last_speaker_is_answered),
		vt_test(a_peer_that_is_not_there_yet_does_not_end_the_port),
		vt_test(only_the_peer_of_a_udp_port_is_listened_to),
		vt_test(a_speaker_without_an_address_is_heard_and_not_answered),
		vt_test(two_ports_cannot_have_one_descriptor),
		vt_test(what_the_kernel_had_no_room_for_is_counted),
		vt_test(a_sequenced_packet_is_a_frame_and_its_end_is_the_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
