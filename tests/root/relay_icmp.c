/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the network says of a UDP port's datagrams, true or forged, does not end the port. */
#include "vt.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checksum.h"
#include "relay_told.h"

/* An ICMP message that quotes the head of a datagram. */
struct message {
	struct icmphdr icmp;
	struct iphdr ip;
	struct udphdr udp;
};

static struct sockaddr_in bound(int fd)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	return addr;
}

static void say(int raw, const struct sockaddr_in *from, const struct sockaddr_in *to, uint8_t type, uint8_t code)
{
	struct message message = {
		.icmp = {.type = type, .code = code, .un.frag.mtu = htons(600)},
		.ip = {.version = 4,
		       .ihl = 5,
		       .tot_len = htons(sizeof(struct iphdr) + sizeof(struct udphdr)),
		       .ttl = 64,
		       .protocol = IPPROTO_UDP,
		       .saddr = from->sin_addr.s_addr,
		       .daddr = to->sin_addr.s_addr},
		.udp = {.source = from->sin_port, .dest = to->sin_port, .len = htons(sizeof(struct udphdr))},
	};

	message.icmp.checksum = htons(checksum_finish(checksum_add(0, &message, sizeof(message))));
	assert_int_equal(sendto(raw, &message, sizeof(message), 0, (const struct sockaddr *)from, sizeof(*from)),
			 sizeof(message));
}

static void an_icmp_error_of_any_kind_does_not_end_a_udp_port(void **state)
{
	const struct vnic_relay_config config = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), pair[2];
	int peer = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	const struct sockaddr_in own = bound(fd), far = bound(peer);
	const char frame[60] = "";
	struct vnic_relay *relay;
	struct vnic_error err;

	(void)state;
	assert_int_equal(connect(fd, (const struct sockaddr *)&far, sizeof(far)), 0);
	assert_int_equal(connect(peer, (const struct sockaddr *)&own, sizeof(own)), 0);
	vt_ok(vnic_relay_new(&config, &relay, &err), &err);
	assert_int_equal(vnic_relay_add_dgram(relay, "udp", &(struct vnic_dgram){.fd = fd}, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(vnic_relay_add_dgram(relay, "far", &(struct vnic_dgram){.fd = pair[0]}, &err), 1);
	for (uint8_t code = 0; code < 17; code++) {
		bool problem = code == 16;

		say(raw, &own, &far, problem ? ICMP_PARAMETERPROB : ICMP_DEST_UNREACH, problem ? 0 : code);
		vt_ok(vnic_relay_dispatch(relay, 0, &err), &err);
		assert_int_equal(send(peer, frame, sizeof(frame), 0), sizeof(frame));
		while (vt_ok(vnic_relay_dispatch(relay, VT_DEADLINE_MS, &err), &err) == 0)
			;
		assert_true(is_open(relay, 0));
		assert_int_equal(stats_of(relay, 0).rx_frames, code + 1);
		assert_int_equal(stats_of(relay, 0).rx_dropped[VNIC_DROP_OVERSIZE], 0);
	}
	vnic_relay_free(relay);
	close(pair[1]);
	close(peer);
	close(raw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(an_icmp_error_of_any_kind_does_not_end_a_udp_port),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
