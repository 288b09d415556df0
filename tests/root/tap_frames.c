/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames in and out of a device, and the ways in which they do not get there. */
#include "lan.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct vnic_tap open_tap(bool tun, bool vnet_hdr)
{
	const struct vnic_tap_config config = {.name = "lan0", .tun = tun, .vnet_hdr = vnet_hdr, .mtu = 9000};
	struct vnic_error err;
	struct vnic_tap tap;

	vt_ok(vnic_tap_open(&config, &tap, &err), &err);
	return tap;
}

/* The next frame of ours, or an error other than "nothing there". */
static ssize_t take(const struct vnic_tap *tap, struct vnic_vnet_hdr *hdr, uint8_t *frame, size_t size)
{
	ssize_t n;

	do {
		if (!vt_readable(tap->fds[0]))
			return -ETIMEDOUT;
		n = vnic_frame_read(tap, 0, hdr, frame, size);
	} while (n == -EAGAIN || (n >= LAN_HEADER && (frame[12] << 8 | frame[13]) != LAN_TYPE));
	return n;
}

static void frames_pass_both_ways(bool vnet_hdr)
{
	struct vnic_tap tap = open_tap(false, vnet_hdr);
	struct vnic_vnet_hdr hdr = {0};
	uint8_t sent[2000], got[2001];
	int kernel;

	lan_up("lan0");
	kernel = lan_socket("lan0");
	for (size_t size = LAN_HEADER; size <= sizeof(sent); size += 331) {
		lan_frame(sent, size, 1, 2);
		assert_int_equal(vnic_frame_write(&tap, 0, &hdr, sent, size), size);
		assert_int_equal(lan_take(kernel, got, sizeof(got)), size);
		assert_memory_equal(got, sent, size);
		lan_frame(sent, size, 2, 1);
		assert_int_equal(write(kernel, sent, size), size);
		memset(&hdr, 0xff, sizeof(hdr));
		assert_int_equal(take(&tap, &hdr, got, sizeof(got)), size);
		assert_memory_equal(got, sent, size);
		if (vnet_hdr)
			assert_int_equal(hdr.gso_type, 0);
		hdr = (struct vnic_vnet_hdr){0};
	}
	close(kernel);
	vnic_tap_close(&tap);
}

static void plain_frames_pass_both_ways(void **state)
{
	(void)state;
	frames_pass_both_ways(false);
}

static void frames_with_a_virtio_header_pass_both_ways(void **state)
{
	(void)state;
	frames_pass_both_ways(true);
}

static void an_empty_device_has_nothing_to_read(void **state)
{
	struct vnic_tap tap = open_tap(false, true);
	struct vnic_vnet_hdr hdr;
	uint8_t frame[64];

	(void)state;
	assert_int_equal(vnic_frame_read(&tap, 0, &hdr, frame, sizeof(frame)), -EAGAIN);
	vnic_tap_close(&tap);
}

static void a_frame_larger_than_the_buffer_is_told_and_lost(bool vnet_hdr)
{
	struct vnic_tap tap = open_tap(false, vnet_hdr);
	struct vnic_vnet_hdr hdr;
	uint8_t sent[1000], got[1000];
	int kernel;

	lan_up("lan0");
	kernel = lan_socket("lan0");
	lan_frame(sent, sizeof(sent), 2, 1);
	assert_int_equal(write(kernel, sent, sizeof(sent)), sizeof(sent));
	assert_int_equal(take(&tap, &hdr, got, sizeof(got) - 1), -EMSGSIZE);
	lan_frame(sent, sizeof(sent), 2, 3);
	assert_int_equal(write(kernel, sent, sizeof(sent)), sizeof(sent));
	assert_int_equal(take(&tap, &hdr, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, sent, sizeof(got));
	close(kernel);
	vnic_tap_close(&tap);
}

static void an_oversized_frame_is_told_and_lost(void **state)
{
	(void)state;
	a_frame_larger_than_the_buffer_is_told_and_lost(false);
	a_frame_larger_than_the_buffer_is_told_and_lost(true);
}

static void a_frame_larger_than_any_is_not_written(void **state)
{
	struct vnic_tap tap = open_tap(false, false);
	static uint8_t frame[VNIC_FRAME_MAX + 1];

	(void)state;
	lan_up("lan0");
	assert_int_equal(vnic_frame_write(&tap, 0, NULL, frame, sizeof(frame)), -EMSGSIZE);
	vnic_tap_close(&tap);
}

static void a_frame_shorter_than_its_header_is_not_written(void **state)
{
	struct vnic_tap tap = open_tap(false, true);
	struct vnic_vnet_hdr hdr = {0};
	uint8_t frame[LAN_HEADER] = {2};

	(void)state;
	lan_up("lan0");
	assert_int_equal(vnic_frame_write(&tap, 0, &hdr, frame, LAN_HEADER - 1), -EINVAL);
	assert_int_equal(vnic_frame_write(&tap, 0, &hdr, frame, 0), -EINVAL);
	assert_int_equal(vnic_frame_write(&tap, 0, &hdr, frame, LAN_HEADER), LAN_HEADER);
	vnic_tap_close(&tap);
	tap = open_tap(true, false);
	lan_up("lan0");
	assert_int_equal(vnic_frame_write(&tap, 0, NULL, "\x45 not a whole header", 19), -EINVAL);
	vnic_tap_close(&tap);
}

static void a_virtio_header_that_lies_is_refused(void **state)
{
	struct vnic_tap tap = open_tap(false, true);
	struct vnic_vnet_hdr hdr = {.flags = 1, .csum_start = 5000, .csum_offset = 16};
	uint8_t frame[64];

	(void)state;
	lan_up("lan0");
	lan_frame(frame, sizeof(frame), 1, 2);
	assert_int_equal(vnic_frame_write(&tap, 0, &hdr, frame, sizeof(frame)), -EINVAL);
	vnic_tap_close(&tap);
}

static void a_device_that_is_down_takes_no_frames(void **state)
{
	struct vnic_tap tap = open_tap(false, false);
	uint8_t frame[64];

	(void)state;
	lan_frame(frame, sizeof(frame), 1, 2);
	assert_int_equal(vnic_frame_write(&tap, 0, NULL, frame, sizeof(frame)), -ENETDOWN);
	lan_up("lan0");
	assert_int_equal(vnic_frame_write(&tap, 0, NULL, frame, sizeof(frame)), sizeof(frame));
	lan_down("lan0");
	assert_int_equal(vnic_frame_write(&tap, 0, NULL, frame, sizeof(frame)), -ENETDOWN);
	vnic_tap_close(&tap);
}

static void a_device_deleted_under_us_is_told(void **state)
{
	struct vnic_tap tap = open_tap(false, true);
	struct vnic_vnet_hdr hdr = {0};
	struct vnic_error err;
	struct vnic_nl *nl;
	uint8_t frame[64];

	(void)state;
	lan_frame(frame, sizeof(frame), 1, 2);
	vt_ok(vnic_nl_open(&nl, &err), &err);
	vt_ok(vnic_link_del(nl, tap.index, NULL, &err), &err);
	vnic_nl_close(nl);
	assert_int_equal(vnic_frame_read(&tap, 0, &hdr, frame, sizeof(frame)), -EBADFD);
	assert_int_equal(vnic_frame_write(&tap, 0, &hdr, frame, sizeof(frame)), -EBADFD);
	vnic_tap_close(&tap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(plain_frames_pass_both_ways),
		vt_netns_test(frames_with_a_virtio_header_pass_both_ways),
		vt_netns_test(an_empty_device_has_nothing_to_read),
		vt_netns_test(an_oversized_frame_is_told_and_lost),
		vt_netns_test(a_frame_larger_than_any_is_not_written),
		vt_netns_test(a_frame_shorter_than_its_header_is_not_written),
		vt_netns_test(a_virtio_header_that_lies_is_refused),
		vt_netns_test(a_device_that_is_down_takes_no_frames),
		vt_netns_test(a_device_deleted_under_us_is_told),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
