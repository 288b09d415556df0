/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every frame is accounted for, with all that a relay can do to frames done at once: over all ports, and of a port of
 * each kind against what its peer has said and heard,
 *
 *   what it said = rx_frames    of which what the kernel had no room for was dropped as overrun
 *   what it heard = tx_frames   once all that waits has gone
 *
 * tests/root/relay_accounts.c has the kinds that want a device.
 */
#include "relay_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>

#include "bytes.h"
#include "pcap.h"

#define TURNS 3000
#define KIND 2 /* the port of the kind that is looked at; 0 and 1 are stations */
#define VNI 7
#define PACKETS 300 /* of a file */

static uint8_t room[VNIC_FRAME_MAX];

static bool one_in(unsigned n)
{
	return (unsigned)random() % n == 0;
}

static enum vnic_verdict look(void *ctx, struct vnic_inspected *frame)
{
	if (one_in(5))
		vnic_relay_inject(ctx, (unsigned)random() % STATIONS, frame->data, 60, NULL); /* it may be gone: fine */
	if (one_in(5)) {
		frame->data[frame->len - 1] ^= 1;
		frame->changed = true;
	}
	if (one_in(20))
		frame->len = frame->len / 2, frame->changed = true;
	return one_in(10) ? VNIC_VERDICT_DROP : VNIC_VERDICT_PASS;
}

static void change_weather(struct world *world, unsigned port)
{
	const struct vnic_impairment weather = {
		.delay_us = (uint32_t)random() % 300,
		.jitter_us = 100,
		.overtake = one_in(2),
		.rate_bps = one_in(2) ? 100000000 : 0,
		.loss = .1,
		.duplicate = .1,
		.reorder = .1,
		.corrupt = .1,
		.limit = 1 + (uint32_t)random() % 20,
		.limit_bytes = one_in(2) ? 1 + (uint32_t)random() % 20000 : 0,
		.seed = 1 + (uint64_t)random(),
	};
	enum vnic_direction direction = one_in(2) ? VNIC_INGRESS : VNIC_EGRESS;

	vnic_relay_set_impairment(world->relay, port, direction, one_in(3) ? NULL : &weather, NULL);
}

/* Whatever its state, a port may be asked for anything. */
static void change_something(struct world *world)
{
	unsigned port = (unsigned)random() % world->count;

	switch (random() % 5) {
	case 0:
		vnic_relay_set_link(world->relay, port, !one_in(3));
		break;
	case 1:
		vnic_relay_set_isolated(world->relay, port, one_in(2));
		break;
	case 2:
		change_weather(world, port);
		break;
	case 3:
		if (world->relay->ports[port]->takes)
			world->relay->ports[port]->takes = one_in(2) ? VNIC_OFFLOAD_ALL : VNIC_OFFLOAD_CSUM;
		break;
	case 4:
		vnic_relay_set_inspector(world->relay, one_in(4) ? NULL : look, world->relay, NULL);
		break;
	}
}

/* From that station, to any of so many. */
static size_t make_anything(uint8_t *frame, struct superframe spec, unsigned station, unsigned count,
			    struct vnic_vnet_hdr *ret_hdr)
{
	size_t len = superframe_make(&spec, frame, ret_hdr);

	frame[5] = (uint8_t)(one_in(4) ? 9 : (unsigned)random() % count);
	frame[0] = one_in(5) ? 0xff : 2;
	frame[11] = (uint8_t)(one_in(20) ? 9 : station);
	if (one_in(30))
		frame[6] = 0xff; /* no station's */
	return len;
}

static void say_anything(struct world *world, unsigned station)
{
	struct superframe spec = superframe_random();
	struct vnic_vnet_hdr hdr;
	size_t len;

	if (one_in(2)) /* fewer large ones, or socket buffers are always full */
		spec.gso_size = 0, spec.payload %= 1400;
	len = make_anything(room, spec, station, world->count, &hdr);
	if (one_in(30))
		hdr.csum_start = (uint16_t)random();
	say_frame(world, station, &hdr, room, len);
}

static void listen_at(struct world *world, unsigned stations)
{
	struct vnic_vnet_hdr hdr;

	for (unsigned i = 0; i < stations; i++)
		while (world->station[i] >= 0 && hear(world, i, &hdr, room) >= 0)
			;
}

/* With frames on their way. */
static void leave(struct world *world, unsigned station)
{
	const struct vnic_impairment weather = {.delay_us = 60000000};

	vt_ok(vnic_relay_set_link(world->relay, station, true), NULL);
	vt_ok(vnic_relay_set_impairment(world->relay, station, VNIC_INGRESS, &weather, NULL), NULL);
	for (int i = 0; i < 10; i++) {
		say_anything(world, station);
		settle(world);
	}
	close(world->station[station]);
	world->station[station] = -1;
}

/* More than those who do not listen can hold. */
static void say_much(struct world *world)
{
	const struct superframe spec = {.payload = 60000, .gso_size = 1448};
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(&spec, room, &hdr);

	memset(room, 0xff, 6);
	for (int i = 0; i < 10; i++) {
		say_frame(world, 0, &hdr, room, len);
		settle(world);
	}
}

static uint64_t count_of(const struct world *world, enum vnic_drop why)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < world->count; i++)
		count += stats_of(world->relay, i).rx_dropped[why] + stats_of(world->relay, i).tx_dropped[why];
	return count;
}

static void all_frames_are_accounted_for_whatever_happens_to_them(void **state)
{
	static const enum vnic_drop expected[] = {
		VNIC_DROP_FULL,   VNIC_DROP_DOWN,    VNIC_DROP_ISOLATED,  VNIC_DROP_SAME_PORT,
		VNIC_DROP_SOURCE, VNIC_DROP_SEGMENT, VNIC_DROP_LINK_DOWN, VNIC_DROP_FILTERED,
		VNIC_DROP_LOST,   VNIC_DROP_HELD,    VNIC_DROP_INSPECTED,
	};
	struct world world = world_of(STATIONS, VNIC_OFFLOAD_ALL);
	struct vnic_error err;

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < STATIONS; i++) /* two or three super-frames */
		setsockopt(world.relay->ports[i]->fd, SOL_SOCKET, SO_SNDBUF, &(int){80000}, sizeof(int));
	vt_ok(vnic_relay_set_filter(world.relay, 1, VNIC_INGRESS, "not udp", &err), &err);
	vt_ok(vnic_relay_set_filter(world.relay, 2, VNIC_EGRESS, "not ip6", &err), &err);
	say_much(&world);
	for (int turn = 0; turn < TURNS; turn++) {
		unsigned station = (unsigned)random() % STATIONS;

		if (one_in(10))
			change_something(&world);
		if (turn == TURNS * 9 / 10)
			leave(&world, 3);
		if (world.station[station] >= 0)
			say_anything(&world, station);
		vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
		assert_accounts_close(&world);
		if (one_in(40))
			listen_at(&world, STATIONS);
	}
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (!count_of(&world, expected[i]))
			fail_msg("no frame was dropped as %s", vnic_drop_text(expected[i]));
	for (unsigned made = 0; made < VNIC_MADE_COUNT; made++)
		if (!all_of(&world).made[made])
			fail_msg("no frame was made as %s", vnic_made_text(made));
	world_free(&world);
}

/* --- a port of each kind and its peer ------------------------------------------------ */

/* What stands before a frame. */
enum framing { NOTHING, LENGTH, TUNNEL };

struct peer {
	enum framing framing;
	uint64_t said, heard;
	size_t begun; /* bytes of a frame that has not come whole, in `stream` */
	uint8_t stream[1 << 18];
};

/* With little room for what goes. */
static int a_pair(struct world *world, int type)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){20000}, sizeof(int)), 0);
	world->station[KIND] = pair[1];
	return pair[0];
}

static int add_stream(struct world *world, struct vnic_error *err)
{
	const struct vnic_conn conn = {.listener = -1, .fd = a_pair(world, SOCK_STREAM)};

	return vnic_relay_add_stream(world->relay, "stream", &conn, err);
}

static int add_seqpacket(struct world *world, struct vnic_error *err)
{
	const struct vnic_conn conn = {.listener = -1, .fd = a_pair(world, SOCK_SEQPACKET)};

	return vnic_relay_add_seqpacket(world->relay, "seqpacket", &conn, err);
}

static int add_dgram(struct world *world, struct vnic_error *err)
{
	const struct vnic_dgram dgram = {.fd = a_pair(world, SOCK_DGRAM)};

	return vnic_relay_add_dgram(world->relay, "dgram", &dgram, err);
}

static int udp_socket(struct sockaddr_in *ret_addr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*ret_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)ret_addr, sizeof(*ret_addr)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret_addr, &(socklen_t){sizeof(*ret_addr)}), 0);
	return fd;
}

/* With little room for what comes. */
static int a_udp_pair(struct world *world, struct sockaddr_in *ret_peer)
{
	struct sockaddr_in own;
	int fd = udp_socket(&own);

	world->station[KIND] = udp_socket(ret_peer);
	assert_int_equal(connect(world->station[KIND], (struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){20000}, sizeof(int)), 0);
	return fd;
}

static int add_udp(struct world *world, struct vnic_error *err)
{
	struct sockaddr_in peer;
	struct vnic_dgram dgram = {.fd = a_udp_pair(world, &peer), .peer_len = sizeof(peer)};

	memcpy(&dgram.peer, &peer, sizeof(peer));
	return vnic_relay_add_dgram(world->relay, "udp", &dgram, err);
}

static int add_vxlan(struct world *world, struct vnic_error *err)
{
	struct sockaddr_storage remote = {0};
	struct sockaddr_in peer;
	const struct vnic_vxlan vxlan = {
		.fd = a_udp_pair(world, &peer), .vni = VNI, .remotes = &remote, .remote_count = 1};

	memcpy(&remote, &peer, sizeof(peer));
	return vnic_relay_add_vxlan(world->relay, "vxlan", &vxlan, err);
}

/* A message with a frame, or with less; and in another tunnel.  Where there is no room for it, it is not said. */
static void peer_says(struct world *world, struct peer *peer)
{
	static uint8_t message[8 + 2000];
	const size_t header = peer->framing == LENGTH ? 4 : peer->framing == TUNNEL ? 8 : 0;
	struct superframe spec = superframe_random();
	struct vnic_vnet_hdr hdr;
	size_t len;

	spec.gso_size = 0, spec.payload %= 1400;
	len = make_anything(message + header, spec, KIND, world->count, &hdr);
	if (one_in(10))
		len = 1 + (size_t)random() % 13;
	if (peer->framing == LENGTH)
		put32(message, (uint32_t)len);
	if (peer->framing == TUNNEL)
		put32(message, 0x08000000), put32(message + 4, (uint32_t)(one_in(10) ? VNI + 1 : VNI) << 8);
	if (send(world->station[KIND], message, header + len, MSG_DONTWAIT) >= 0)
		peer->said++;
}

static uint64_t whole_frames(struct peer *peer)
{
	uint64_t count = 0;
	size_t at = 0, size;

	for (; peer->begun - at >= 4 && peer->begun - at >= (size = 4 + get32(peer->stream + at)); at += size)
		count++;
	peer->begun -= at;
	memmove(peer->stream, peer->stream + at, peer->begun);
	return count;
}

static bool peer_hears(const struct world *world, struct peer *peer)
{
	uint64_t before = peer->heard;
	ssize_t n;

	while ((n = recv(world->station[KIND], peer->stream + peer->begun, sizeof(peer->stream) - peer->begun,
			 MSG_DONTWAIT)) > 0) {
		peer->begun += peer->framing == LENGTH ? (size_t)n : 0;
		peer->heard += peer->framing == LENGTH ? whole_frames(peer) : 1;
	}
	return peer->heard > before;
}

/* UDP: sent, and lost at the peer's door. */
static uint64_t had_no_room(const struct world *world)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};

	getsockopt(world->station[KIND], SOL_SOCKET, SO_MEMINFO, info, &(socklen_t){sizeof(info)});
	return info[SK_MEMINFO_DROPS];
}

static void let_all_go(struct world *world)
{
	struct vnic_error err;

	vt_ok(vnic_relay_set_inspector(world->relay, NULL, NULL, &err), &err);
	for (unsigned i = 0; i < world->count; i++) {
		vnic_relay_set_link(world->relay, i, true);
		for (unsigned d = 0; world->relay->ports[i]->open && d < VNIC_DIRECTIONS; d++)
			vt_ok(vnic_relay_set_impairment(world->relay, i, d, NULL, &err), &err);
	}
	settle(world);
}

static void live_through_everything(struct world *world, struct peer *peer)
{
	struct vnic_error err;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0); /* nobody reads there */
	vt_ok(vnic_relay_set_capture(world->relay, &(struct vnic_capture){.fd = ends[1], .drops = true}, &err), &err);
	vt_ok(vnic_relay_set_filter(world->relay, KIND, VNIC_INGRESS, "not udp", &err), &err);
	vt_ok(vnic_relay_set_filter(world->relay, KIND, VNIC_EGRESS, "not ip6", &err), &err);
	for (int turn = 0; turn < TURNS; turn++) {
		if (one_in(10))
			change_something(world);
		if (one_in(2))
			say_anything(world, (unsigned)random() % KIND);
		for (int i = one_in(30) ? 50 : 1; peer && i > 0; i--)
			peer_says(world, peer);
		vt_ok(vnic_relay_dispatch(world->relay, 0, &err), &err);
		assert_accounts_close(world);
		if (one_in(100)) { /* until then they are full */
			listen_at(world, KIND);
			if (peer)
				peer_hears(world, peer);
		}
	}
	let_all_go(world);
	assert_true(all_of(world).capture.frames > 0 && all_of(world).capture.missed > 0);
	close(ends[0]);
}

static bool has_all_come(const struct world *world, const struct peer *peer)
{
	struct vnic_port_stats stats = stats_of(world->relay, KIND);

	return stats.rx_frames == peer->said && stats.tx_frames == peer->heard + had_no_room(world);
}

/* On a busy machine the kernel leaves what goes over the loopback to a thread of its own, which may be late. */
static void hear_out(struct world *world, struct peer *peer)
{
	struct pollfd both[] = {{.fd = world->station[KIND], .events = POLLIN},
				{.fd = vnic_relay_get_fd(world->relay), .events = POLLIN}};

	do
		settle(world); /* the stream's rest goes */
	while (peer_hears(world, peer) || (!has_all_come(world, peer) && poll(both, 2, 5000) > 0));
}

static void what_a_peer_said_and_heard_is_what_is_counted(void **state)
{
	static const struct {
		const char *name;
		int (*add)(struct world *world, struct vnic_error *err);
		enum framing framing;
		enum vnic_drop expected; /* the kind's own */
	} kinds[] = {
		{"stream", add_stream, LENGTH, VNIC_DROP_FULL}, {"seqpacket", add_seqpacket, NOTHING, VNIC_DROP_FULL},
		{"dgram", add_dgram, NOTHING, VNIC_DROP_FULL},  {"udp", add_udp, NOTHING, VNIC_DROP_OVERRUN},
		{"vxlan", add_vxlan, TUNNEL, VNIC_DROP_TUNNEL},
	};
	static struct peer peer;
	struct vnic_error err;

	(void)state;
	srandom(2);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct world world = world_of(KIND, VNIC_OFFLOAD_ALL);
		struct vnic_port_stats stats;

		peer = (struct peer){.framing = kinds[i].framing};
		assert_int_equal(vt_ok(kinds[i].add(&world, &err), &err), KIND);
		world.count++;
		live_through_everything(&world, &peer);
		hear_out(&world, &peer);
		stats = stats_of(world.relay, KIND);
		assert_int_equal(stats.rx_frames, peer.said);
		assert_int_equal(stats.tx_frames, peer.heard + had_no_room(&world));
		assert_int_equal(peer.begun, 0);
		assert_true(peer.said > TURNS && peer.heard > 10);
		assert_true(stats.rx_dropped[VNIC_DROP_SHORT] > 0);
		if (!(stats.rx_dropped[kinds[i].expected] + stats.tx_dropped[kinds[i].expected]))
			fail_msg("no frame of %s was dropped as %s", kinds[i].name, vnic_drop_text(kinds[i].expected));
		assert_accounts_close(&world);
		world_free(&world);
	}
}

/* --- files --------------------------------------------------------------------------- */

static int a_file(void)
{
	static uint8_t record[16 + 2000];
	const uint32_t header[] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 262144, LINKTYPE_ETHERNET};
	int fd = memfd_create("packets", MFD_CLOEXEC);
	struct vnic_vnet_hdr hdr;

	assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
	for (int i = 0; i < PACKETS; i++) {
		const struct superframe spec = {.payload = (unsigned)random() % 1400, .finished = true};
		uint32_t len = (uint32_t)make_anything(record + 16, spec, KIND, KIND, &hdr);
		uint32_t times_and_lengths[4] = {0, 0, one_in(10) ? 13 : len, one_in(10) ? len + 1 : len};

		if (times_and_lengths[2] == 13 && one_in(2))
			times_and_lengths[3] = 13;
		memcpy(record, times_and_lengths, sizeof(times_and_lengths));
		assert_true(write(fd, record, 16 + times_and_lengths[2]) > 16);
	}
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static uint64_t packets_in(int fd)
{
	static struct pcap pcap;
	struct pcap_packet packet;
	struct vnic_error err;
	uint16_t linktype;
	uint64_t count = 0;
	int r;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	vt_ok(pcap_begin(&pcap, fd, &linktype, &err), &err);
	while ((r = pcap_next(&pcap, &packet, &err)) != 0)
		count += r > 0;
	return count;
}

static void what_was_in_a_file_and_is_in_another_is_what_is_counted(void **state)
{
	struct world world = world_of(KIND, VNIC_OFFLOAD_ALL);
	int copy = memfd_create("copy", MFD_CLOEXEC);
	struct vnic_port_stats from, to;
	struct vnic_error err;

	(void)state;
	srandom(3);
	for (int write = 0; write < 2; write++, world.count++) {
		const struct vnic_pcap pcap = {.fd = write ? dup(copy) : a_file(), .write = write};

		vt_ok(vnic_relay_add_pcap(world.relay, "pcap", &pcap, &err), &err);
		world.station[world.count] = -1;
	}
	live_through_everything(&world, NULL);
	from = stats_of(world.relay, KIND);
	to = stats_of(world.relay, KIND + 1);
	assert_false(is_open(world.relay, KIND));
	assert_int_equal(from.rx_frames, PACKETS);
	assert_true(from.rx_dropped[VNIC_DROP_CUT] > 0 && from.rx_dropped[VNIC_DROP_SHORT] > 0);
	assert_true(from.tx_frames == 0 && to.tx_frames > 100 && to.rx_frames == 0);
	assert_accounts_close(&world);
	world_free(&world);
	assert_int_equal(packets_in(copy), to.tx_frames);
	close(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(all_frames_are_accounted_for_whatever_happens_to_them),
		vt_test(what_a_peer_said_and_heard_is_what_is_counted),
		vt_test(what_was_in_a_file_and_is_in_another_is_what_is_counted),
	};

	signal(SIGPIPE, SIG_IGN); /* a capture that nobody reads */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
