/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT 5001
#define OPERSTATE_UP 6 /* IF_OPER_UP; <linux/if.h> and <net/if.h> exclude each other */

/* --- links and raw frames ----------------------------------------------------------- */

static int link_ioctl(const char *name, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	snprintf(ifr->ifr_name, IFNAMSIZ, "%s", name);
	r = ioctl(fd, request, ifr);
	close(fd);
	return r;
}

static int set_flag(const char *name, short flags)
{
	struct ifreq ifr = {.ifr_flags = flags};

	return link_ioctl(name, SIOCSIFFLAGS, &ifr);
}

static int set_in_addr(const char *name, unsigned long request, in_addr_t addr)
{
	struct ifreq ifr = {0};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = addr};

	memcpy(&ifr.ifr_addr, &in, sizeof(in));
	return link_ioctl(name, request, &ifr);
}

void lan_up(const char *name)
{
	assert_int_equal(set_flag(name, IFF_UP), 0);
}

void lan_down(const char *name)
{
	assert_int_equal(set_flag(name, 0), 0);
}

/*
 * Carrier and queue of a veth come on in a worker of the kernel.  Until that has looked at it a new link runs, says
 * IFF_RUNNING, but has no state yet; a TAP never has one.
 */
static bool carries_frames(void *name)
{
	struct vnic_link_info info = {0};
	struct vnic_nl *nl;
	bool asked = vnic_nl_open(&nl, NULL) == 0;

	if (asked) {
		vnic_link_get(nl, 0, name, &info, NULL);
		vnic_nl_close(nl);
	}
	return strcmp(info.kind, "veth") == 0 ? info.operstate == OPERSTATE_UP : info.flags & IFF_RUNNING;
}

void lan_ready(const char *name)
{
	assert_true(vt_until(carries_frames, (void *)(uintptr_t)name));
}

void lan_address(const char *name, const char *ip, unsigned prefix)
{
	assert_int_equal(set_in_addr(name, SIOCSIFADDR, inet_addr(ip)), 0);
	assert_int_equal(set_in_addr(name, SIOCSIFNETMASK, htonl(~0u << (32 - prefix))), 0);
}

static void add_veth(const char *name, const struct vnic_link *peer)
{
	struct vnic_link link = {.kind = VNIC_LINK_VETH, .name = name, .peer = peer};
	struct vnic_nl *nl;
	struct vnic_error err;

	vt_ok(vnic_nl_open(&nl, &err), &err);
	vt_ok(vnic_link_add(nl, &link, &err), &err);
	vnic_nl_close(nl);
}

void lan_veth(const char *name, const char *peer)
{
	add_veth(name, &(struct vnic_link){.kind = VNIC_LINK_VETH, .name = peer});
	lan_up(name);
	lan_up(peer);
	lan_ready(name);
	lan_ready(peer);
}

int lan_socket(const char *name)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0 && addr.sll_ifindex > 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

void lan_frame(uint8_t *ret_frame, size_t size, uint8_t to, uint8_t from)
{
	const uint8_t header[LAN_HEADER] = {2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, LAN_TYPE >> 8, LAN_TYPE & 0xff};

	memcpy(ret_frame, header, sizeof(header));
	for (size_t i = sizeof(header); i < size; i++)
		ret_frame[i] = (uint8_t)(i * 31 + from);
}

/* The kernel has things of its own to say on a link, IPv6 above all. */
static bool is_ours(const uint8_t *frame, size_t size)
{
	unsigned type = size < LAN_HEADER ? 0 : (unsigned)(frame[12] << 8 | frame[13]);

	return type == LAN_TYPE || type == ETHERTYPE_VLAN;
}

size_t lan_take(int socket, uint8_t *ret_frame, size_t size)
{
	ssize_t n;

	do {
		assert_true(vt_readable(socket));
		n = read(socket, ret_frame, size);
		assert_true(n > 0);
	} while (!is_ours(ret_frame, (size_t)n));
	return (size_t)n;
}

/* --- stations: the child's side, which asserts nothing ------------------------------ */

static int child_open(enum lan_kind kind, int control)
{
	struct vnic_tap_config config = {
		.name = "eth0", .tun = kind == LAN_TUN, .vnet_hdr = true, .offloads = VNIC_OFFLOAD_ALL};
	struct vnic_tap tap = VNIC_TAP_EMPTY;
	int r = 0;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	if (kind != LAN_VETH)
		r = vnic_tap_open(&config, &tap, NULL);
	if (r == 0)
		r = vnic_fd_send(control, tap.fds, tap.queues, "x", 1, NULL);
	vnic_tap_close(&tap);
	return r;
}

static int child_main(enum lan_kind kind, uint8_t number, int control, int (*job)(void))
{
	char go;

	if (child_open(kind, control) < 0 || read(control, &go, 1) != 1)
		return 100;
	if (set_in_addr("eth0", SIOCSIFADDR, htonl(0x0a090000u | number)) < 0 ||
	    set_in_addr("eth0", SIOCSIFNETMASK, htonl(0xffffff00u)) < 0 || set_flag("eth0", IFF_UP) < 0)
		return 101;
	return job();
}

static struct sockaddr_in station_addr(uint32_t number)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(0x0a090000u | number)};
}

int lan_job_ping(void)
{
	char command[96];
	int r;

	snprintf(command, sizeof(command), "exec ping -q -c %d -s %d -i 0.01 -w 10 10.9.0.2 >/dev/null", LAN_PINGS,
		 LAN_PING_SIZE);
	r = system(command);

	return r < 0 || !WIFEXITED(r) ? 102 : WEXITSTATUS(r);
}

int lan_job_rest(void)
{
	return pause() < 0 ? 0 : 103;
}

static void fill(uint8_t *chunk, size_t size, uint64_t *seed)
{
	for (size_t i = 0; i < size; i += sizeof(*seed)) {
		*seed = *seed * 6364136223846793005u + 1442695040888963407u;
		memcpy(chunk + i, seed, sizeof(*seed));
	}
}

enum { CHUNK = 1 << 20 };
static uint8_t chunk[CHUNK], expected[CHUNK];

int lan_job_send(void)
{
	struct sockaddr_in to = station_addr(2);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t seed = 1;

	/* The other station, its link and its listener may come later than we do. */
	while (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		if (errno != ECONNREFUSED && errno != EHOSTUNREACH)
			return 104;
	for (size_t sent = 0; sent < LAN_TCP_BYTES; sent += CHUNK) {
		fill(chunk, CHUNK, &seed);
		if (send(fd, chunk, CHUNK, MSG_WAITALL) != CHUNK)
			return 105;
	}
	shutdown(fd, SHUT_WR);
	return read(fd, chunk, 1) == 1 ? 0 : 106; /* the receiver has everything */
}

int lan_job_receive(void)
{
	struct sockaddr_in self = station_addr(2);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	uint64_t seed = 1;

	if (bind(listener, (struct sockaddr *)&self, sizeof(self)) < 0 || listen(listener, 1) < 0)
		return 107;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	for (size_t got = 0; got < LAN_TCP_BYTES; got += CHUNK) {
		fill(expected, CHUNK, &seed);
		if (recv(fd, chunk, CHUNK, MSG_WAITALL) != CHUNK)
			return 108;
		if (memcmp(chunk, expected, CHUNK) != 0)
			return 109;
	}
	if (read(fd, chunk, 1) != 0 || write(fd, "x", 1) != 1)
		return 110;
	return lan_job_rest(); /* its network goes with it, and what the relay has not fetched yet */
}

/* --- stations: the test's side ------------------------------------------------------ */

static int add_tap_port(struct vnic_relay *relay, int fd, struct vnic_error *err)
{
	struct vnic_tap tap;
	int r = vnic_tap_adopt(&fd, 1, &tap, err);

	return r < 0 ? r : vnic_relay_add_tap(relay, tap.name, &tap, err);
}

static int add_veth_port(struct vnic_relay *relay, pid_t pid, uint8_t number, struct vnic_error *err)
{
	char path[64], name[IFNAMSIZ];
	int netns, fd, r;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	snprintf(name, sizeof(name), "port%u", number);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	add_veth(name,
		 &(struct vnic_link){.kind = VNIC_LINK_VETH, .name = "eth0", .has_netns = true, .netns_fd = netns});
	close(netns);
	lan_up(name);
	r = vnic_packet_open((int)if_nametoindex(name), &fd, err);
	return r < 0 ? r : vnic_relay_add_packet(relay, name, fd, err);
}

struct lan_station lan_station(struct vnic_relay *relay, enum lan_kind kind, uint8_t number, int (*job)(void))
{
	struct lan_station station;
	struct vnic_error err;
	int pair[2], fd;
	unsigned count;
	size_t size;
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	station.pid = fork();
	assert_true(station.pid >= 0);
	if (station.pid == 0) {
		close(pair[0]);
		_exit(child_main(kind, number, pair[1], job));
	}
	close(pair[1]);
	station.control = pair[0];
	station.pidfd = (int)syscall(SYS_pidfd_open, station.pid, 0);
	vt_ok(vnic_fd_recv(station.control, &fd, 1, &count, &byte, 1, &size, &err), &err);
	assert_int_equal(size, 1);
	if (kind == LAN_VETH)
		vt_ok(add_veth_port(relay, station.pid, number, &err), &err);
	else
		vt_ok(add_tap_port(relay, fd, &err), &err);
	return station;
}

static bool ended(const struct lan_station *station)
{
	struct pollfd poll_fd = {.fd = station->pidfd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void reap(struct lan_station *station, bool kill_it)
{
	int status;

	if (kill_it)
		kill(station->pid, SIGKILL);
	assert_int_equal(waitpid(station->pid, &status, 0), station->pid);
	if (!kill_it)
		assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), 0);
	close(station->pidfd);
	close(station->control);
}

void lan_relay(struct vnic_relay *relay, struct lan_station *stations, unsigned count)
{
	struct pollfd fds[] = {{.fd = vnic_relay_get_fd(relay), .events = POLLIN},
			       {.fd = stations[0].pidfd, .events = POLLIN}};
	struct vnic_error err;

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(write(stations[i].control, "g", 1), 1);
	while (!ended(&stations[0])) {
		assert_true(poll(fds, 2, VT_DEADLINE_MS) > 0);
		vt_ok(vnic_relay_dispatch(relay, 0, &err), &err);
	}
	reap(&stations[0], false);
	/* The first station's job is the test; the others serve it and may have no end of their own. */
	for (unsigned i = 1; i < count; i++)
		reap(&stations[i], !ended(&stations[i]));
}
