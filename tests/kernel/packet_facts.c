/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What bridge/port_packet.c relies on of packet(7):
 *  - the kernel takes a VLAN tag off and tells of it in a control message;
 *  - without PACKET_VNET_HDR nobody tells that a checksum is partial;
 *  - after its interface is gone, a socket's address has no index, while after "down" it has.
 */
#include "lan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void a_vlan_tag_is_in_the_control_message(void **state)
{
	uint8_t sent[64], got[200] = {0};
	char control[256] __attribute__((aligned(8)));
	struct tpacket_auxdata aux = {0};
	int a, b, on = 1;

	(void)state;
	lan_veth("a", "b");
	a = lan_socket("a");
	b = lan_socket("b");
	assert_int_equal(setsockopt(b, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
	lan_frame(sent, sizeof(sent), 2, 1);
	memcpy(sent + 12, "\x81\x00\x20\x07\x88\xb5", 6);
	assert_int_equal(write(a, sent, sizeof(sent)), sizeof(sent));
	do {
		struct iovec iov = {got, sizeof(got)};
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};

		assert_true(vt_readable(b));
		assert_true(recvmsg(b, &msg, 0) > 0);
		assert_int_equal(CMSG_FIRSTHDR(&msg)->cmsg_type, PACKET_AUXDATA);
		memcpy(&aux, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(aux));
	} while (memcmp(got, sent, 12) != 0);
	assert_memory_equal(got + 12, sent + 16, sizeof(sent) - 16);
	assert_true(aux.tp_status & TP_STATUS_VLAN_VALID);
	assert_int_equal(aux.tp_vlan_tci, 0x2007);
	assert_int_equal(aux.tp_vlan_tpid, ETHERTYPE_VLAN);
	close(a);
	close(b);
}

/* A UDP broadcast from link a; returns where its UDP header stands in what link b's socket got. */
static const uint8_t *udp_seen_by(int socket_of_b, uint8_t *got, size_t size, size_t before)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x0a0900ffu)};
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;

	lan_address("a", "10.9.0.1", 24);
	setsockopt(udp, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	assert_int_equal(sendto(udp, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
	do {
		assert_true(vt_readable(socket_of_b));
		assert_true(read(socket_of_b, got, size) > 0);
	} while (got[before + 12] != 8 || got[before + 13] != 0);
	close(udp);
	return got + before + 34;
}

static bool checksum_is_whole(const uint8_t *udp, size_t len)
{
	const uint8_t *ip = udp - 20;
	uint32_t sum = 17 + (uint32_t)len;

	for (size_t i = 12; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)(udp[i] << 8 | (i + 1 < len ? udp[i + 1] : 0));
	sum = (sum & 0xffff) + (sum >> 16);
	return ((sum & 0xffff) + (sum >> 16)) == 0xffff;
}

static void without_vnet_header_a_partial_checksum_looks_like_any_other(void **state)
{
	uint8_t got[200] = {0};
	const uint8_t *udp;
	int b;

	(void)state;
	lan_veth("a", "b");
	b = lan_socket("b");
	udp = udp_seen_by(b, got, sizeof(got), 0);
	assert_false(checksum_is_whole(udp, 13));
	close(b);
}

static void with_vnet_header_a_partial_checksum_is_said_to_be(void **state)
{
	uint8_t got[200] = {0};
	struct vnic_vnet_hdr hdr;
	struct vnic_error err;
	const uint8_t *udp;
	int b;

	(void)state;
	lan_veth("a", "b");
	vt_ok(vnic_packet_open((int)if_nametoindex("b"), &b, &err), &err);
	udp = udp_seen_by(b, got, sizeof(got), sizeof(hdr));
	assert_false(checksum_is_whole(udp, 13));
	memcpy(&hdr, got, sizeof(hdr));
	assert_true(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(hdr.csum_start, 34);
	close(b);
}

static int index_of(int socket)
{
	struct sockaddr_ll addr;
	socklen_t len = sizeof(addr);

	assert_int_equal(getsockname(socket, (struct sockaddr *)&addr, &len), 0);
	return addr.sll_ifindex;
}

static void a_link_that_is_gone_differs_from_one_that_is_down(void **state)
{
	struct vnic_error err;
	struct vnic_nl *nl;
	char byte;
	int b;

	(void)state;
	lan_veth("a", "b");
	vt_ok(vnic_packet_open((int)if_nametoindex("b"), &b, &err), &err);
	lan_down("b");
	while (read(b, &byte, 1) >= 0)
		; /* what came before */
	assert_int_equal(errno, ENETDOWN);
	assert_int_equal(read(b, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN); /* it is said once */
	assert_int_equal(index_of(b), if_nametoindex("b"));
	vt_ok(vnic_nl_open(&nl, &err), &err);
	vt_ok(vnic_link_del(nl, 0, "a", &err), &err);
	vnic_nl_close(nl);
	assert_int_equal(index_of(b), -1);
	close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_vlan_tag_is_in_the_control_message),
		vt_netns_test(without_vnet_header_a_partial_checksum_looks_like_any_other),
		vt_netns_test(with_vnet_header_a_partial_checksum_is_said_to_be),
		vt_netns_test(a_link_that_is_gone_differs_from_one_that_is_down),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
