/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a relay's fast path relies on:
 *  - what one TAP is about to send goes through a veth pair to another, whole, if it is a super-frame;
 *  - whose frame it is has been decided at the first link that received it, by that link's MAC.
 */
#include "lan.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "superframe.h"

static uint8_t room[VNIC_FRAME_MAX], sent[VNIC_FRAME_MAX];

/* The frames of `from` that are `sent` or received go on to `to`. */
static int redirect(const char *from, bool sent_there, const char *to, bool as_received, struct vnic_error *err)
{
	const struct vnic_redirect plan = {.from = (int)if_nametoindex(from),
					   .sent = sent_there,
					   .to = (int)if_nametoindex(to),
					   .as_received = as_received};
	struct vnic_batch *batch;
	struct vnic_nl *nl;
	int r;

	vt_ok(vnic_nl_open(&nl, err), err);
	vt_ok(vnic_batch_new(&batch, err), err);
	vnic_batch_redirect_add(batch, &plan);
	r = vnic_batch_send(batch, nl, NULL, err);
	vnic_batch_free(batch);
	vnic_nl_close(nl);
	return r;
}

static int redirect_end(const char *from, struct vnic_error *err)
{
	struct vnic_batch *batch;
	struct vnic_nl *nl;
	int r;

	vt_ok(vnic_nl_open(&nl, err), err);
	vt_ok(vnic_batch_new(&batch, err), err);
	vnic_batch_redirect_del(batch, (int)if_nametoindex(from));
	r = vnic_batch_send(batch, nl, NULL, err);
	vnic_batch_free(batch);
	vnic_nl_close(nl);
	return r;
}

static struct vnic_tap tap_of(const char *name)
{
	const struct vnic_tap_config config = {.name = name, .vnet_hdr = true, .offloads = VNIC_OFFLOAD_ALL};
	struct vnic_error err;
	struct vnic_tap tap;

	vt_ok(vnic_tap_open(&config, &tap, &err), &err);
	lan_up(name);
	return tap;
}

/* The next frame in which TCP is, which no kernel says of its own accord here. */
static size_t read_tcp(const struct vnic_tap *tap, struct vnic_vnet_hdr *ret_hdr)
{
	ssize_t n;

	do {
		assert_true(vt_readable(tap->fds[0]));
		n = vnic_frame_read(tap, 0, ret_hdr, room, sizeof(room));
	} while (n <= 34 || room[12] != 8 || room[13] != 0 || room[23] != 6);
	return (size_t)n;
}

/* By a packet socket, as if the kernel's own TCP had sent it. */
static void say(const char *name, struct vnic_vnet_hdr *hdr, size_t len)
{
	struct iovec iov[] = {{hdr, sizeof(*hdr)}, {sent, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	int fd = lan_socket(name), on = 1;

	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(sendmsg(fd, &msg, 0), sizeof(*hdr) + len);
	close(fd);
}

static void a_super_frame_goes_whole_from_tap_to_tap(void **state)
{
	const struct superframe spec = {.payload = 60000, .gso_size = 1448};
	struct vnic_tap from = tap_of("tap0"), to = tap_of("tap1");
	struct vnic_vnet_hdr hdr, got;
	struct vnic_error err;
	size_t len = superframe_make(&spec, sent, &hdr);

	(void)state;
	lan_veth("a", "b");
	vt_ok(redirect("tap0", true, "a", false, &err), &err);
	vt_ok(redirect("b", false, "tap1", false, &err), &err);
	say("tap0", &hdr, len);
	assert_int_equal(read_tcp(&to, &got), len);
	assert_memory_equal(room, sent, len);
	assert_int_equal(got.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(got.gso_size, 1448);
	assert_true(got.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
	vnic_tap_close(&from);
	vnic_tap_close(&to);
}

static void when_it_has_ended_frames_are_the_taps_again(void **state)
{
	const struct superframe spec = {.payload = 100};
	struct vnic_tap from = tap_of("tap0");
	struct vnic_vnet_hdr hdr, got;
	struct vnic_error err;
	size_t len = superframe_make(&spec, sent, &hdr);

	(void)state;
	lan_veth("a", "b");
	vt_ok(redirect("tap0", true, "a", false, &err), &err);
	vt_fails(redirect("tap0", true, "a", false, &err), &err, VNIC_STEP_REDIRECT, EEXIST);
	vt_ok(redirect_end("tap0", &err), &err);
	say("tap0", &hdr, len);
	assert_int_equal(read_tcp(&from, &got), len);
	assert_true(redirect_end("tap0", &err) < 0);
	vnic_tap_close(&from);
	vt_fails(redirect_end("tap0", &err), &err, VNIC_STEP_REDIRECT, ENODEV);
}

static void set_mac(const char *name, uint8_t last)
{
	const struct vnic_link change = {.name = name, .mac = {.bytes = {2, 0, 0, 0, 0, last}, .set = true}};
	struct vnic_error err;
	struct vnic_nl *nl;

	vt_ok(vnic_nl_open(&nl, &err), &err);
	vt_ok(vnic_link_set(nl, 0, &change, &err), &err);
	vnic_nl_close(nl);
}

/* Whose the kernel takes the next frame to be that comes in at this socket: PACKET_HOST, ... */
static int type_of_next(int socket)
{
	struct sockaddr_ll from = {0};
	socklen_t len;
	uint8_t frame[200];
	ssize_t n;

	do {
		assert_true(vt_readable(socket));
		len = sizeof(from);
		n = recvfrom(socket, frame, sizeof(frame), 0, (struct sockaddr *)&from, &len);
		assert_true(n >= LAN_HEADER);
	} while (from.sll_protocol != htons(LAN_TYPE));
	return from.sll_pkttype;
}

static void a_frame_is_whose_mac_the_first_link_has_and_not_the_second(void **state)
{
	struct vnic_tap to = tap_of("tap1");
	struct vnic_error err;
	uint8_t frame[100];
	int out, in;

	(void)state;
	lan_veth("a", "b");
	set_mac("tap1", 7);
	vt_ok(redirect("b", false, "tap1", true, &err), &err);
	out = lan_socket("a");
	in = lan_socket("tap1");
	lan_frame(frame, sizeof(frame), 7, 9);
	assert_int_equal(write(out, frame, sizeof(frame)), sizeof(frame));
	assert_int_equal(type_of_next(in), PACKET_OTHERHOST);
	set_mac("b", 7);
	assert_int_equal(write(out, frame, sizeof(frame)), sizeof(frame));
	assert_int_equal(type_of_next(in), PACKET_HOST);
	close(out);
	close(in);
	vnic_tap_close(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_super_frame_goes_whole_from_tap_to_tap),
		vt_netns_test(when_it_has_ended_frames_are_the_taps_again),
		vt_netns_test(a_frame_is_whose_mac_the_first_link_has_and_not_the_second),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
