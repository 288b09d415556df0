/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever frames and peers come, the relay stays whole: frames of all sizes, right and wrong, with any virtio header;
 * peers that close, stop listening, break off in the middle of a frame, and come again; tunnels with any header; files
 * that end anywhere, and disks that are full; floods of MACs; while weather, filters, an inspector, capture, links and
 * isolation change.
 *
 * Two threads.  One has the relay: it runs, is stopped, has its accounts checked and something changed, and runs
 * again.  The other is all stations at once: it sends, reads, closes, and stops the relay.  A round ends with the
 * relay freed; then the memory of the process must be what it was: what is allocated, and what is resident.  The
 * latter not with a sanitizer, whose allocator spreads for as long as it runs.
 *
 *   relay_frames [SECONDS [SEED]]    60 seconds, another seed each time; the seed is printed
 */
#include "vt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <vnic/inspect.h>
#include <vnic/link.h>

#include "relay_ports.h"
#include "superframe.h"

#define STATIONS 16
#define ROUND_NS (5 * NS_PER_S)
#define PORTS_MAX 1000 /* of a round: then nobody comes any more */
#define FDB_MAX 256
#define FRAME_ROOM (VNIC_FRAME_MAX + 64)
#define RSS_SLACK_KB 4096
#define HEAP_SLACK 65536 /* bytes, of what an allocator keeps at hand and calls used */
#define VNI 7
#define VXLAN_BYTES 8

static long seconds = 60;
static uint64_t seed;

/* --- random numbers: of each thread its own --------------------------------------------- */

static _Thread_local uint64_t state_of_random;

static uint32_t any(uint32_t below)
{
	state_of_random ^= state_of_random << 13;
	state_of_random ^= state_of_random >> 7;
	state_of_random ^= state_of_random << 17;
	return (uint32_t)(state_of_random >> 32) % below;
}

static bool once_in(uint32_t times)
{
	return any(times) == 0;
}

static void fill(uint8_t *at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)any(256);
}

/* --- the world -------------------------------------------------------------------------- */

/* REPLAY and RECORD are files: a port, and nobody at its far end. */
enum kind { ABSENT, VNET, STREAM, SEQPACKET, DGRAM, LEARNS, LISTENS, DIALS, UDP, VXLAN, REPLAY, RECORD, TAP };

/* The far end of a port.  ABSENT: there is room for a new one. */
struct station {
	enum kind kind;
	int fd;     /* -1: not connected now */
	int server; /* where a port dials; -1: none */
	struct sockaddr_un addr;
	socklen_t addr_len;
};

struct world {
	struct vnic_relay *relay;
	pthread_mutex_t lock; /* of stations */
	struct station stations[STATIONS];
	struct station dialled; /* where all ports that dial do so; set before there are two threads */
	struct vnic_opener opener;
	atomic_bool end;
	int capture_reader;
	uint64_t sent; /* by the other thread, until it is joined */
};

/* Over all rounds. */
static struct {
	uint64_t rounds, sent, rx, tx, runs, ports, made[VNIC_MADE_COUNT], merged, dropped[VNIC_DROP_COUNT], fdb_full,
		captured;
	unsigned fdb_most;
} total;

/* --- a port that takes any virtio header --------------------------------------------------- */

static int vnet_read(struct port *port, unsigned queue, struct frame *frames, unsigned max)
{
	struct iovec iov[2] = {{&frames->hdr, sizeof(frames->hdr)}, {frames->data, VNIC_FRAME_MAX}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n = recvmsg(port->fd, &message, MSG_DONTWAIT);

	(void)queue;
	(void)max;
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? -EAGAIN : -EBADFD;
	frames->len = (size_t)n > sizeof(frames->hdr) ? (size_t)n - sizeof(frames->hdr) : 0;
	if (frames->len >= 14 && !(message.msg_flags & MSG_TRUNC))
		return 1;
	port_lose(port, frames->len < 14 ? VNIC_DROP_SHORT : VNIC_DROP_OVERSIZE);
	return 0;
}

static int vnet_write(struct port *port, const struct frame *frame)
{
	struct vnic_vnet_hdr hdr = frame->hdr;
	struct iovec iov[2] = {{&hdr, sizeof(hdr)}, {frame->data, frame->len}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};

	if (sendmsg(port->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno == EPIPE || errno == ECONNRESET ? -EBADFD : -errno;
	return 0;
}

static void vnet_close(struct port *port)
{
	close(port->fd);
}

static const struct port_ops vnet_ops = {.kind = "vnet", .read = vnet_read, .write = vnet_write, .close = vnet_close};

static int add_vnet(struct vnic_relay *relay, int fd, struct vnic_error *err)
{
	static const unsigned takes[] = {VNIC_OFFLOAD_ALL, VNIC_OFFLOAD_CSUM, VNIC_OFFLOAD_CSUM | VNIC_OFFLOAD_TSO4,
					 VNIC_OFFLOAD_ALL & ~VNIC_OFFLOAD_ECN};
	struct port *port = calloc(1, sizeof(*port));

	assert_non_null(port);
	*port = (struct port){.ops = &vnet_ops, .fd = fd, .fds = &port->fd, .queues = 1, .takes = takes[any(4)]};
	return relay_add_port(relay, "vnet", port, err);
}

/* --- stations come -------------------------------------------------------------------------- */

static int a_pair(int type, int *ret_far)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	*ret_far = pair[1];
	return pair[0];
}

/* The kernel chooses the name. */
static int a_bound(int type, struct station *station)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	station->addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	assert_int_equal(bind(fd, (struct sockaddr *)&station->addr, sizeof(station->addr.sun_family)), 0);
	station->addr_len = sizeof(station->addr);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&station->addr, &station->addr_len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int a_connected(int type, const struct station *to)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)&to->addr, to->addr_len) == 0)
		return fd;
	close(fd);
	return -1;
}

static int dial(void *ctx, const struct vnic_open_request *request, int *ret_fd, struct vnic_error *err)
{
	*ret_fd = a_connected(request->type, ctx);
	return *ret_fd < 0 ? vnic_fail(err, VNIC_STEP_SOCKET, ECONNREFUSED, NULL, NULL) : 0;
}

static struct sockaddr_in on_loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = port};
}

static int udp_socket(uint16_t *ret_port)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in addr = on_loopback(0);
	socklen_t len = sizeof(addr);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*ret_port = addr.sin_port;
	return fd;
}

/* The port's socket, and the station's, which is connected to it. */
static int udp_pair(int *ret_far, uint16_t *ret_far_port)
{
	uint16_t port;
	int fd = udp_socket(&port);
	struct sockaddr_in addr = on_loopback(port);

	*ret_far = udp_socket(ret_far_port);
	assert_int_equal(connect(*ret_far, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static int add_udp(struct world *world, struct station *station, struct vnic_error *err)
{
	struct sockaddr_in addr;
	struct vnic_dgram dgram = {0};
	uint16_t far_port;

	dgram.fd = udp_pair(&station->fd, &far_port);
	addr = on_loopback(far_port);
	assert_int_equal(connect(dgram.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return vnic_relay_add_dgram(world->relay, "udp", &dgram, err);
}

/* One that learns, or one with two remotes: the station, and an address where nobody is. */
static int add_vxlan(struct world *world, struct station *station, struct vnic_error *err)
{
	struct sockaddr_storage remotes[2] = {0};
	struct vnic_vxlan vxlan = {.vni = VNI};
	struct sockaddr_in addr;
	uint16_t far_port;

	vxlan.fd = udp_pair(&station->fd, &far_port);
	addr = on_loopback(far_port);
	memcpy(&remotes[0], &addr, sizeof(addr));
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	memcpy(&remotes[1], &addr, sizeof(addr));
	if (once_in(2)) {
		vxlan.remotes = remotes;
		vxlan.remote_count = 2;
	}
	return vnic_relay_add_vxlan(world->relay, "vxlan", &vxlan, err);
}

static size_t make_frame(uint8_t *frame, struct vnic_vnet_hdr *hdr);

/* Packets as they come, some with a lie for a length; and the file may end anywhere. */
static int a_capture(void)
{
	static uint8_t frame[FRAME_ROOM];
	const uint32_t header[6] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, VNIC_FRAME_MAX, 1};
	int fd = memfd_create("replay", MFD_CLOEXEC);
	struct vnic_vnet_hdr hdr;

	assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
	for (uint32_t i = 0, count = any(100); i < count; i++) {
		uint32_t len = (uint32_t)make_frame(frame, &hdr);
		uint32_t record[4] = {0, i * 1000, len, len};

		if (once_in(50))
			record[any(4)] = any(UINT32_MAX);
		assert_int_equal(write(fd, record, sizeof(record)), sizeof(record));
		assert_int_equal(write(fd, frame, len), len);
	}
	if (once_in(2))
		assert_int_equal(ftruncate(fd, (off_t)sizeof(header) + any((uint32_t)lseek(fd, 0, SEEK_CUR) - 23)), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static int add_file(struct world *world, bool write, struct vnic_error *err)
{
	static const char *const targets[] = {"/dev/null", "/dev/null", "/dev/full"};
	const struct vnic_pcap pcap = {
		.fd = write ? open(targets[any(3)], O_WRONLY | O_CLOEXEC) : a_capture(),
		.write = write,
		.speed = any(3) / 2.0,
	};

	return vnic_relay_add_pcap(world->relay, write ? "record" : "replay", &pcap, err);
}

/* The station of a TAP is a packet socket on its device: the kernel checks its headers. */
static int add_tap(struct world *world, struct station *station, struct vnic_error *err)
{
	const struct vnic_tap_config config = {.vnet_hdr = true, .offloads = VNIC_OFFLOAD_ALL};
	const struct vnic_link up = {.up = true};
	struct vnic_nl *nl = NULL;
	struct vnic_tap tap;

	vt_ok(vnic_tap_open(&config, &tap, err), err);
	vt_ok(vnic_nl_open(&nl, err), err);
	vt_ok(vnic_link_set(nl, tap.index, &up, err), err);
	vnic_nl_close(nl);
	vt_ok(vnic_packet_open(tap.index, &station->fd, err), err);
	return vnic_relay_add_tap(world->relay, "tap", &tap, err);
}

static int add_port(struct world *world, struct station *station, struct vnic_error *err)
{
	struct vnic_conn conn = {.listener = -1, .fd = -1};
	const enum kind kind = station->kind;

	switch (kind) {
	case VNET:
		return add_vnet(world->relay, a_pair(SOCK_SEQPACKET, &station->fd), err);
	case STREAM:
		conn.fd = a_pair(SOCK_STREAM, &station->fd);
		return vnic_relay_add_stream(world->relay, "stream", &conn, err);
	case SEQPACKET:
		conn.fd = a_pair(SOCK_SEQPACKET, &station->fd);
		return vnic_relay_add_seqpacket(world->relay, "seqpacket", &conn, err);
	case DGRAM: {
		struct vnic_dgram dgram = {.fd = a_pair(SOCK_DGRAM, &station->fd)};

		return vnic_relay_add_dgram(world->relay, "dgram", &dgram, err);
	}
	case LEARNS: {
		struct vnic_dgram dgram = {.fd = a_bound(SOCK_DGRAM, station), .learns = true};

		station->fd = a_bound(SOCK_DGRAM, &(struct station){0});
		assert_int_equal(connect(station->fd, (struct sockaddr *)&station->addr, station->addr_len), 0);
		return vnic_relay_add_dgram(world->relay, "learns", &dgram, err);
	}
	case LISTENS:
		conn.listener = a_bound(SOCK_STREAM, station);
		return vnic_relay_add_stream(world->relay, "listens", &conn, err);
	case DIALS:
		conn.opener = &world->opener;
		conn.redial = (struct vnic_open_request){.type = SOCK_STREAM};
		conn.redial_ms = 1 + any(20);
		station->server = dup(world->dialled.fd);
		return vnic_relay_add_stream(world->relay, "dials", &conn, err);
	case UDP:
		return add_udp(world, station, err);
	case VXLAN:
		return add_vxlan(world, station, err);
	case REPLAY:
	case RECORD:
		station->kind = ABSENT;
		return add_file(world, kind == RECORD, err);
	default:
		return add_tap(world, station, err);
	}
}

static void add_station(struct world *world, struct station *station, enum kind kind)
{
	struct vnic_error err;

	*station = (struct station){.kind = kind, .fd = -1, .server = -1};
	vt_ok(add_port(world, station, &err), &err);
	total.ports++;
}

/* --- and go ------------------------------------------------------------------------------ */

static void close_if_open(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void leave(struct station *station)
{
	close_if_open(&station->fd);
	if (station->kind == LISTENS || station->kind == DIALS)
		return; /* the port waits for the next */
	close_if_open(&station->server);
	station->kind = ABSENT;
}

static void come_again(struct station *station)
{
	if (station->kind == LISTENS)
		station->fd = a_connected(SOCK_STREAM, station);
	else if (station->kind == DIALS)
		station->fd = accept4(station->server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* --- frames -------------------------------------------------------------------------------- */

static void put_mac(uint8_t *mac, bool source)
{
	const uint8_t known[6] = {2, 0, 0, 0, 0, (uint8_t)any(2 * STATIONS)};

	if (once_in(source ? 50 : 6))
		memset(mac, once_in(4) ? 0 : 0xff, 6);
	else if (once_in(source ? 4 : 10))
		fill(mac, 6);
	else
		memcpy(mac, known, 6);
}

static void put_random_header(struct vnic_vnet_hdr *hdr)
{
	static const uint8_t types[] = {0, 1, 3, 4, 5, 0x81, 0x84, 0x85};

	fill((uint8_t *)hdr, sizeof(*hdr));
	if (!once_in(4)) {
		hdr->flags = (uint8_t)any(4);
		hdr->gso_type = types[any(sizeof(types))];
		hdr->csum_start = (uint16_t)any(100);
		hdr->csum_offset = (uint16_t)any(20);
	}
}

/* Right frames; right ones with a few bytes, the length or the header wrong; and noise. */
static size_t make_frame(uint8_t *frame, struct vnic_vnet_hdr *hdr)
{
	struct superframe spec = superframe_random();
	size_t len = superframe_make(&spec, frame, hdr);

	switch (any(8)) {
	case 0:
		for (uint32_t i = any(8) + 1; i; i--)
			frame[12 + any((uint32_t)len - 12)] = (uint8_t)any(256);
		break;
	case 1:
		len = any((uint32_t)len + 1);
		break;
	case 2:
		put_random_header(hdr);
		break;
	case 3:
		len = any(once_in(50) ? FRAME_ROOM : 1600);
		fill(frame, len < 256 ? len : 256);
		*hdr = (struct vnic_vnet_hdr){0};
		break;
	default:
		break;
	}
	put_mac(frame, false);
	put_mac(frame + 6, true);
	return len;
}

static void send_bytes(struct world *world, struct station *station, struct iovec *iov, int count)
{
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};

	if (sendmsg(station->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		world->sent++;
	else if (errno == EPIPE || errno == ECONNRESET)
		leave(station);
}

static bool wants_header(const struct station *station)
{
	return station->kind == VNET || station->kind == TAP;
}

static bool is_stream(const struct station *station)
{
	return station->kind == STREAM || station->kind == LISTENS || station->kind == DIALS;
}

static void send_in_tunnel(struct world *world, struct station *station, uint8_t *frame, size_t len)
{
	uint8_t header[VXLAN_BYTES] = {8, 0, 0, 0, 0, 0, VNI, 0};
	struct iovec iov[2] = {{header, once_in(100) ? any(VXLAN_BYTES) : VXLAN_BYTES}, {frame, len}};

	if (once_in(20))
		header[any(VXLAN_BYTES)] = (uint8_t)any(256);
	send_bytes(world, station, iov, 2);
}

/* A partial write breaks the framing for us, as a broken peer would; a lie does so at once. */
static void send_frame(struct world *world, struct station *station, uint8_t *frame, size_t len,
		       struct vnic_vnet_hdr *hdr)
{
	uint32_t length = htonl(once_in(5000) ? any(UINT32_MAX) : (uint32_t)len);
	struct iovec iov[2] = {{&length, sizeof(length)}, {frame, len}};

	if (wants_header(station))
		iov[0] = (struct iovec){hdr, sizeof(*hdr)};
	if (station->kind == VXLAN)
		send_in_tunnel(world, station, frame, len);
	else if (wants_header(station) || is_stream(station))
		send_bytes(world, station, iov, 2);
	else
		send_bytes(world, station, iov + 1, 1);
}

static void send_any(struct world *world, struct station *station)
{
	static uint8_t frame[FRAME_ROOM];
	struct vnic_vnet_hdr hdr;
	size_t len = make_frame(frame, &hdr);

	send_frame(world, station, frame, len, &hdr);
}

/* Segments of one TCP flow: a port without offloads gives them, others take them as one. */
static void send_flow(struct world *world, struct station *station)
{
	static uint8_t frame[FRAME_ROOM];
	struct superframe spec = {.v6 = once_in(2), .tcp_flags = 0x10, .payload = 1 + any(1400), .finished = true};
	struct vnic_vnet_hdr hdr;
	uint8_t macs[12];

	put_mac(macs, false);
	put_mac(macs + 6, true);
	for (uint32_t i = any(20); i && station->fd >= 0; i--) {
		size_t len = superframe_make(&spec, frame, &hdr);

		memcpy(frame, macs, sizeof(macs));
		send_frame(world, station, frame, len, &hdr);
		spec.seq += spec.payload;
		spec.id++;
	}
}

static void send_macs(struct world *world, struct station *station)
{
	uint8_t frame[60] = {2};
	struct vnic_vnet_hdr hdr = {0};

	for (uint32_t i = any(500); i && station->fd >= 0; i--) {
		fill(frame + 6, 6);
		frame[6] &= 0xfe;
		send_frame(world, station, frame, sizeof(frame), &hdr);
	}
}

static void read_some(struct station *station)
{
	static uint8_t bytes[FRAME_ROOM + 64];

	for (uint32_t i = any(64); i; i--)
		if (recv(station->fd, bytes, sizeof(bytes), MSG_DONTWAIT) < 0)
			return;
}

static void act(struct world *world, struct station *station)
{
	if (station->fd < 0) {
		come_again(station);
		return;
	}
	switch (any(100)) {
	case 0:
		if (station->kind != TAP && once_in(2))
			leave(station);
		else if (is_stream(station) && once_in(4))
			shutdown(station->fd, SHUT_RD);
		break;
	case 1:
		send_macs(world, station);
		break;
	case 2 ... 10:
		send_flow(world, station);
		break;
	case 11 ... 50:
		read_some(station);
		break;
	default:
		send_any(world, station);
	}
}

static void *be_all_stations(void *ctx)
{
	struct world *world = ctx;

	state_of_random = seed * 2 + 1;
	for (unsigned i = 0; !world->end; i++) {
		pthread_mutex_lock(&world->lock);
		act(world, &world->stations[any(STATIONS)]);
		pthread_mutex_unlock(&world->lock);
		if (i % 16 == 0)
			vnic_relay_stop(world->relay);
	}
	seed = state_of_random;
	vnic_relay_stop(world->relay);
	return NULL;
}

/* --- changes --------------------------------------------------------------------------------- */

static unsigned any_port(const struct world *world)
{
	return any(world->relay->count + 1); /* one that is not there, too */
}

static void change_filter(struct world *world)
{
	static const char *const filters[] = {
		NULL,          "tcp",     "udp",          "ip6", "less 200", "ether multicast",
		"vlan and ip", "not tcp", "greater 1000", NULL,  "tcp(",     NULL};
	const char *filter = filters[any(sizeof(filters) / sizeof(filters[0]))];
	struct vnic_error err;
	int r = vnic_relay_set_filter(world->relay, any_port(world), any(2), filter, &err);

	assert_true(r == 0 || r == -ENOENT || r == -EINVAL || r == -ENOSYS);
}

static double a_probability(void)
{
	return once_in(3) ? any(1001) / 1000.0 : 0;
}

static void change_weather(struct world *world)
{
	const struct vnic_impairment weather = {
		.delay_us = any(2) * any(30000),
		.jitter_us = any(2) * any(30000),
		.jitter = any(2),
		.overtake = any(2),
		.rate_bps = any(2) * any(1000000000),
		.burst = any(2) * any(100000),
		.loss = a_probability() / 4,
		.to_bad = a_probability(),
		.to_good = a_probability(),
		.bad_loss = a_probability(),
		.duplicate = a_probability(),
		.reorder = a_probability(),
		.corrupt = a_probability(),
		.limit = any(300),
		.limit_bytes = any(2) * any(300000),
		.seed = any(2) * any(1000),
	};
	struct vnic_error err;
	int r = vnic_relay_set_impairment(world->relay, any_port(world), any(2), once_in(2) ? &weather : NULL, &err);

	assert_true(r == 0 || r == -ENOENT);
}

static int next_file(void *ctx, unsigned number, int *ret_fd, struct vnic_error *err)
{
	(void)ctx;
	*ret_fd = number < 20 ? memfd_create("capture", MFD_CLOEXEC) : -1;
	return *ret_fd < 0 ? vnic_fail(err, VNIC_STEP_OPEN, EMFILE, NULL, NULL) : 0;
}

/* Any verdict, any change, any length, an answer to anybody. */
static enum vnic_verdict look(void *ctx, struct vnic_inspected *frame)
{
	const struct world *world = ctx;

	if (once_in(4) && frame->len > 14)
		frame->data[14 + any((uint32_t)frame->len - 14)] ^= (uint8_t)any(256);
	if (once_in(4))
		frame->len = any((uint32_t)frame->room + 10);
	frame->changed = once_in(2);
	if (once_in(4))
		vnic_relay_inject(world->relay, any_port(world), frame->data, any(200), NULL);
	return once_in(4) ? VNIC_VERDICT_DROP : VNIC_VERDICT_PASS;
}

static void change_inspector(struct world *world)
{
	struct vnic_error err;

	vt_ok(vnic_relay_set_inspector(world->relay, once_in(3) ? look : NULL, world, &err), &err);
}

/* To a file, to files, to a pipe that nobody reads or whose reader is gone; or to nowhere. */
static void change_capture(struct world *world)
{
	struct vnic_capture capture = {.snaplen = any(2) * any(300), .directions = any(4), .drops = any(2)};
	struct vnic_relay_stats stats;
	struct vnic_error err;
	int pipe_fds[2];

	vnic_relay_get_stats(world->relay, &stats);
	total.captured += stats.capture.frames;
	close_if_open(&world->capture_reader);
	switch (any(4)) {
	case 0:
		vnic_relay_set_capture(world->relay, NULL, NULL); /* its error: there are no more files, nobody reads */
		return;
	case 1:
		capture.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
		break;
	case 2:
		capture.fd = memfd_create("capture", MFD_CLOEXEC);
		capture.rotate_bytes = 100000;
		capture.next = next_file;
		break;
	default:
		assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
		capture.fd = pipe_fds[1];
		world->capture_reader = pipe_fds[0];
		if (once_in(2))
			close_if_open(&world->capture_reader);
	}
	vt_ok(vnic_relay_set_capture(world->relay, &capture, &err), &err);
}

static void let_somebody_come(struct world *world)
{
	struct station *station = &world->stations[1 + any(STATIONS - 1)];

	if (station->kind == ABSENT && world->relay->count < PORTS_MAX)
		add_station(world, station, VNET + any(TAP - VNET));
}

static void change(struct world *world)
{
	switch (any(13)) {
	case 12:
		change_inspector(world);
		break;
	case 0:
		change_filter(world);
		break;
	case 1 ... 2:
		change_weather(world);
		break;
	case 3:
		change_capture(world);
		break;
	case 4:
		vnic_relay_set_link(world->relay, any_port(world), !once_in(4));
		break;
	case 5:
		vnic_relay_set_isolated(world->relay, any_port(world), once_in(4));
		break;
	default:
		let_somebody_come(world);
	}
}

/* --- accounts --------------------------------------------------------------------------------- */

static uint64_t sum(const uint64_t *counts, size_t count)
{
	uint64_t all = 0;

	for (size_t i = 0; i < count; i++)
		all += counts[i];
	return all;
}

/* rx_frames + made = tx_frames + rx_dropped + tx_dropped + held + merged; returns what came in. */
static uint64_t check_accounts(const struct vnic_relay *relay)
{
	struct vnic_relay_stats stats;
	struct vnic_port_stats port;
	const char *name;
	bool open;
	uint64_t in, out, rx = 0;

	vnic_relay_get_stats(relay, &stats);
	in = sum(stats.made, VNIC_MADE_COUNT);
	out = stats.held + stats.merged;
	for (unsigned i = 0; vnic_relay_get_port(relay, i, &name, &open, &port) == 0; i++) {
		rx += port.rx_frames;
		out += port.tx_frames + sum(port.rx_dropped, VNIC_DROP_COUNT) + sum(port.tx_dropped, VNIC_DROP_COUNT);
	}
	assert_int_equal(in + rx, out);
	assert_true(stats.fdb_entries <= FDB_MAX);
	if (stats.fdb_entries > total.fdb_most)
		total.fdb_most = stats.fdb_entries;
	return rx;
}

static void add_up(const struct vnic_relay *relay)
{
	struct vnic_relay_stats stats;
	struct vnic_port_stats port;
	const char *name;
	bool open;

	vnic_relay_get_stats(relay, &stats);
	for (unsigned i = 0; i < VNIC_MADE_COUNT; i++)
		total.made[i] += stats.made[i];
	total.merged += stats.merged;
	total.fdb_full += stats.fdb_full;
	total.captured += stats.capture.frames;
	for (unsigned i = 0; vnic_relay_get_port(relay, i, &name, &open, &port) == 0; i++) {
		total.rx += port.rx_frames;
		total.tx += port.tx_frames;
		for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
			total.dropped[why] += port.rx_dropped[why] + port.tx_dropped[why];
	}
}

/* --- rounds ------------------------------------------------------------------------------------ */

static void run_until_stopped(struct world *world)
{
	struct vnic_error err;
	int r = vnic_relay_run(world->relay, &err);

	/* Fewer than two ports: somebody will come.  A file that is none, a disk that is full. */
	assert_true(r == 0 || r == -ENODEV || r == -EBADMSG || r == -ENOSPC);
	check_accounts(world->relay);
	total.runs++;
	pthread_mutex_lock(&world->lock);
	change(world);
	pthread_mutex_unlock(&world->lock);
}

static struct world world_new(bool taps)
{
	struct world world = {.lock = PTHREAD_MUTEX_INITIALIZER, .capture_reader = -1};
	const struct vnic_relay_config config = {
		.fdb_max = FDB_MAX, .fdb_age_s = 1 + any(3), .batch = any(64), .hub = once_in(8)};
	struct vnic_error err;

	vt_ok(vnic_relay_new(&config, &world.relay, &err), &err);
	for (unsigned i = 0; i < STATIONS; i++)
		world.stations[i] = (struct station){.fd = -1, .server = -1};
	world.dialled.fd = a_bound(SOCK_STREAM, &world.dialled);
	add_station(&world, &world.stations[0], taps ? TAP : VNET);
	return world;
}

static void world_free(struct world *world)
{
	vnic_relay_free(world->relay);
	close_if_open(&world->capture_reader);
	close(world->dialled.fd);
	for (unsigned i = 0; i < STATIONS; i++) {
		close_if_open(&world->stations[i].fd);
		close_if_open(&world->stations[i].server);
	}
}

static void play_round(bool taps)
{
	static struct world world;
	int64_t end = monotonic_ns() + ROUND_NS;
	const int descriptors = vt_open_fds();
	pthread_t thread;

	world = world_new(taps);
	world.opener = (struct vnic_opener){.ctx = &world.dialled, .open = dial};
	add_station(&world, &world.stations[1], STREAM); /* a patch, until more come */
	assert_int_equal(pthread_create(&thread, NULL, be_all_stations, &world), 0);
	while (monotonic_ns() < end)
		run_until_stopped(&world);
	world.end = true;
	pthread_join(thread, NULL);
	check_accounts(world.relay);
	add_up(world.relay);
	total.sent += world.sent;
	total.rounds++;
	world_free(&world);
	assert_int_equal(vt_open_fds(), descriptors);
}

static long rss_kb(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long all, resident;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &all, &resident), 2);
	fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A sanitizer has an allocator of its own. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static bool has_sanitizer(void)
{
	return __sanitizer_get_current_allocated_bytes;
}

static long heap_bytes(void)
{
	return (long)(has_sanitizer() ? __sanitizer_get_current_allocated_bytes() : mallinfo2().uordblks);
}

/* After a round: the most in the first half of the run, and in the second. */
struct memory {
	long rss_kb, heap;
};

static void look_at_memory(struct memory *most)
{
	most->rss_kb = rss_kb() > most->rss_kb ? rss_kb() : most->rss_kb;
	most->heap = heap_bytes() > most->heap ? heap_bytes() : most->heap;
}

static void tell(const struct memory halves[2])
{
	print_message("# %lu rounds: %lu frames sent, %lu came in, %lu went out, %lu ports, %lu times stopped\n",
		      total.rounds, total.sent, total.rx, total.tx, total.ports, total.runs);
	print_message("# table: %u of %u at most, %lu MACs not learnt; captured %lu; merged %lu\n", total.fdb_most,
		      FDB_MAX, total.fdb_full, total.captured, total.merged);
	for (unsigned i = 0; i < VNIC_MADE_COUNT; i++)
		print_message("# made: %s %lu\n", vnic_made_text(i), total.made[i]);
	for (unsigned i = 0; i < VNIC_DROP_COUNT; i++)
		print_message("# dropped: %s %lu\n", vnic_drop_text(i), total.dropped[i]);
	print_message(
		"# resident: at most %ld KiB in the first half, %ld in the second; allocated: %ld and %ld bytes\n",
		halves[0].rss_kb, halves[1].rss_kb, halves[0].heap, halves[1].heap);
}

/* A line a minute: memory that grows is seen to grow. */
static void tell_memory(int64_t begin)
{
	static int64_t told = -1;
	int64_t minute = (monotonic_ns() - begin) / (60 * NS_PER_S);

	if (minute == told)
		return;
	told = minute;
	print_message("# minute %ld: round %lu, allocated %ld bytes, resident %ld KiB, table at most %u\n", minute,
		      total.rounds, heap_bytes(), rss_kb(), total.fdb_most);
	fflush(stdout);
}

static void nothing_breaks_the_relay_and_its_memory_stays_what_it_was(void **state)
{
	int64_t begin = monotonic_ns(), end = begin + seconds * NS_PER_S;
	bool taps = access("/dev/net/tun", R_OK | W_OK) == 0;
	struct memory halves[2] = {0};

	(void)state;
	while (monotonic_ns() < end) {
		play_round(taps);
		look_at_memory(&halves[monotonic_ns() > begin + (end - begin) / 2]);
		tell_memory(begin);
	}
	tell(halves);
	assert_true(total.rx > 0 && total.tx > 0);
	assert_int_equal(total.fdb_most, FDB_MAX);
	if (total.rounds < 4) /* not enough to compare */
		return;
	assert_true(halves[1].heap <= halves[0].heap + HEAP_SLACK);
	assert_true(has_sanitizer() || halves[1].rss_kb <= halves[0].rss_kb + RSS_SLACK_KB);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(nothing_breaks_the_relay_and_its_memory_stays_what_it_was),
	};

	seconds = argc > 1 ? strtol(argv[1], NULL, 10) : seconds;
	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)monotonic_ns();
	print_message("# seed %lu\n", seed);
	state_of_random = seed * 2 + 3;
	signal(SIGPIPE, SIG_IGN);
	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
