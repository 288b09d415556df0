/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tap/ and bridge/ rely on of /dev/net/tun:
 *  - closing the last descriptor of a device that is not persistent deletes it;
 *  - TUNGETIFF cannot tell whether IFF_NO_PI is on: it answers IFF_NOFILTER with the same bit;
 *  - with offloads, a reader gets frames with a partial checksum, and is told so by the virtio header.
 */
#include "lan.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_device(short flags)
{
	struct ifreq ifr = {.ifr_name = "tap0", .ifr_flags = flags};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void the_last_descriptor_takes_the_device_along(void **state)
{
	int fd = open_device(IFF_TAP | IFF_NO_PI), copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	(void)state;
	close(fd);
	assert_int_not_equal(if_nametoindex("tap0"), 0);
	close(copy);
	assert_int_equal(if_nametoindex("tap0"), 0);
}

static void a_device_with_packet_information_says_that_it_has_none(void **state)
{
	int fd = open_device(IFF_TAP);
	struct ifreq ifr = {0};

	(void)state;
	assert_int_equal(ioctl(fd, TUNGETIFF, &ifr), 0);
	assert_true(ifr.ifr_flags & IFF_NO_PI);
	close(fd);
}

static void with_offloads_a_checksum_is_partial_and_said_to_be(void **state)
{
	const struct vnic_tap_config config = {.name = "tap0", .vnet_hdr = true, .offloads = VNIC_OFFLOAD_CSUM};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x0a0900ffu)};
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
	struct vnic_vnet_hdr hdr = {0};
	struct vnic_error err;
	struct vnic_tap tap;
	uint8_t frame[2000] = {0};

	(void)state;
	vt_ok(vnic_tap_open(&config, &tap, &err), &err);
	lan_address("tap0", "10.9.0.1", 24);
	lan_up("tap0");
	setsockopt(udp, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)); /* needs no neighbour */
	assert_int_equal(sendto(udp, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
	while (frame[12] != 8 || frame[13] != 0) {
		assert_true(vt_readable(tap.fds[0]));
		assert_true(vnic_frame_read(&tap, 0, &hdr, frame, sizeof(frame)) > 0);
	}
	assert_true(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(hdr.csum_start, 34);
	assert_int_equal(hdr.csum_offset, 6);
	close(udp);
	vnic_tap_close(&tap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(the_last_descriptor_takes_the_device_along),
		vt_netns_test(a_device_with_packet_information_says_that_it_has_none),
		vt_netns_test(with_offloads_a_checksum_is_partial_and_said_to_be),
	};

	vt_own_namespaces(CLONE_NEWNET);
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return puts("1..0 # skip: /dev/net/tun cannot be opened here") < 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
