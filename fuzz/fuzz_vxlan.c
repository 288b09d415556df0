/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams of a VXLAN, and the frames that go back: what is accepted is the datagram without its header, and
 * everything is accounted for.
 *
 * The input is a list of datagrams, each behind two bytes: who sends it (three bits) and its length.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "relay_ports.h"

#define VNI 7
#define SENDERS 4 /* of which two are remotes, and one is the far end of the relay */

static struct vnic_relay *relay;
static int senders[SENDERS];
static struct sockaddr_in own;

static void require(bool truth)
{
	if (!truth)
		abort();
}

static int udp_socket(uint32_t host, struct sockaddr_in *ret_addr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret_addr);

	*ret_addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
	require(bind(fd, (struct sockaddr *)ret_addr, len) == 0);
	require(getsockname(fd, (struct sockaddr *)ret_addr, &len) == 0);
	return fd;
}

static void set_up(void)
{
	const struct vnic_relay_config config = {.fdb_max = 16};
	struct sockaddr_storage remotes[2] = {0};
	struct sockaddr_in addr;
	int pair[2];

	for (unsigned i = 0; i < SENDERS - 1; i++) {
		senders[i] = udp_socket(INADDR_LOOPBACK + i, &addr);
		if (i < 2)
			memcpy(&remotes[i], &addr, sizeof(addr));
	}
	const struct vnic_vxlan vxlan = {
		.fd = udp_socket(INADDR_LOOPBACK, &own), .vni = VNI, .remotes = remotes, .remote_count = 2};
	require(vnic_relay_new(&config, &relay, NULL) == 0);
	require(vnic_relay_add_vxlan(relay, "vxlan", &vxlan, NULL) == 0);
	require(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	require(vnic_relay_add_dgram(relay, "far", &(struct vnic_dgram){.fd = pair[0]}, NULL) == 1);
	senders[SENDERS - 1] = pair[1];
}

static void send_one(unsigned sender, const uint8_t *data, size_t len)
{
	ssize_t n = sender == SENDERS - 1 ? send(senders[sender], data, len, 0)
					  : sendto(senders[sender], data, len, 0, (struct sockaddr *)&own, sizeof(own));

	require(n == (ssize_t)len);
	while (vnic_relay_dispatch(relay, 0, NULL) > 0)
		;
}

/* From a remote to the far end. */
static void check_far(const uint8_t *data, size_t len, unsigned sender)
{
	uint8_t got[256];
	ssize_t n = recv(senders[SENDERS - 1], got, sizeof(got), 0);

	if (n < 0)
		return;
	require(sender < 2 && data[0] & 8 && data[6] == VNI && n + 8 == (ssize_t)len &&
		!memcmp(got, data + 8, (size_t)n));
}

static void check_remotes(const uint8_t *data, size_t len, unsigned sender)
{
	uint8_t got[264];

	for (unsigned i = 0; i < SENDERS - 1; i++) {
		ssize_t n = recv(senders[i], got, sizeof(got), 0);

		require(n < 0 ||
			(i < 2 && sender == SENDERS - 1 && n == (ssize_t)len + 8 && !memcmp(got + 8, data, len)));
	}
}

static void check_accounts(void)
{
	struct vnic_port_stats port;
	struct vnic_relay_stats all;
	int64_t balance = 0;
	const char *name;
	bool open;

	vnic_relay_get_stats(relay, &all);
	require(all.ports == 2 && all.fdb_entries <= 16);
	for (unsigned i = 0; vnic_relay_get_port(relay, i, &name, &open, &port) == 0; i++) {
		balance += (int64_t)(port.rx_frames - port.tx_frames);
		for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
			balance -= (int64_t)(port.rx_dropped[why] + port.tx_dropped[why]);
	}
	for (unsigned kind = 0; kind < VNIC_MADE_COUNT; kind++)
		balance += (int64_t)all.made[kind];
	require(balance == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!relay)
		set_up();
	while (size >= 2) {
		unsigned sender = data[0] % SENDERS;
		size_t len = data[1] < size - 2 ? data[1] : size - 2;

		data += 2;
		send_one(sender, data, len);
		check_far(data, len, sender);
		check_remotes(data, len, sender);
		data += len;
		size -= 2 + len;
	}
	check_accounts();
	return 0;
}
