/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Macvtap: queues on a device node, which is found by the link's index and proved by it.
 *
 * The nodes are in a /dev of the test's own: where devtmpfs makes them, those of all network namespaces meet.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vt.h"

static struct vnic_nl *nl;

static int add_link(const struct vnic_link *link)
{
	struct vnic_error err;
	struct vnic_link_info info;

	int r = vnic_link_add(nl, link, &err);

	if (r == -EOPNOTSUPP)
		vt_skip("the kernel lacks ifb or macvtap");
	vt_ok(r, &err);
	vt_ok(vnic_link_get(nl, 0, link->name, &info, &err), &err);
	return info.index;
}

/* As udev would, from what a /sys of this network namespace says. */
static void make_node(const char *name, int index, int node_index)
{
	char path[128];
	unsigned major = 0, minor = 0;
	FILE *file;

	assert_int_equal(mount("sysfs", "/sys", "sysfs", 0, NULL), 0);
	snprintf(path, sizeof(path), "/sys/class/net/%s/macvtap/tap%d/dev", name, index);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%u:%u", &major, &minor), 2);
	fclose(file);
	snprintf(path, sizeof(path), "/dev/tap%d", node_index);
	assert_int_equal(mknod(path, S_IFCHR | 0600, makedev(major, minor)), 0);
	assert_int_equal(umount("/sys"), 0);
}

static int add_macvtap(const char *name, const char *mac)
{
	const struct vnic_link parent = {.kind = VNIC_LINK_IFB, .name = "parent", .up = true};
	struct vnic_link link = {.kind = VNIC_LINK_MACVTAP, .name = name, .up = true};
	struct vnic_error err;
	int index;

	if (!if_nametoindex("parent"))
		add_link(&parent);
	link.parent = (int)if_nametoindex("parent");
	vt_ok(vnic_mac_parse(mac, &link.mac, &err), &err);
	index = add_link(&link);
	make_node(name, index, index);
	return index;
}

static int setup(void **state)
{
	if (vt_setup_netns(state) < 0)
		return -1;
	if (mount("tmpfs", "/dev", "tmpfs", 0, NULL) < 0)
		return -1;
	return vnic_nl_open(&nl, NULL);
}

static int teardown(void **state)
{
	vnic_nl_close(nl);
	return umount("/dev") < 0 ? -1 : vt_teardown(state);
}
#define macvtap_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void queues_are_opened_with_header_and_offloads(void **state)
{
	int index = add_macvtap("mvt0", "02:00:00:00:00:01");
	struct vnic_tap tap;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_macvtap_open(index, 2, true, VNIC_OFFLOAD_CSUM | VNIC_OFFLOAD_TSO4, &tap, &err), &err);
	assert_string_equal(tap.name, "mvt0");
	assert_int_equal(tap.index, index);
	assert_int_equal(tap.queues, 2);
	assert_true(tap.vnet_hdr);
	assert_false(tap.tun);
	assert_int_equal(tap.offloads, VNIC_OFFLOAD_CSUM | VNIC_OFFLOAD_TSO4);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(fcntl(tap.fds[i], F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(tap.fds[i], F_GETFL) & O_NONBLOCK);
	}
	vnic_tap_close(&tap);
	assert_true(if_nametoindex("mvt0") != 0); /* the link is not the descriptor's */
}

/* Macvtaps in bridge mode on one parent reach each other. */
static void frames_pass_from_one_to_the_other(void **state)
{
	static const uint8_t frame[60] = {0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01, 0x88, 0xb5, 'h', 'i'};
	int left = add_macvtap("left", "02:00:00:00:00:01"), right = add_macvtap("right", "02:00:00:00:00:02");
	struct vnic_vnet_hdr hdr = {0};
	struct vnic_tap from, to;
	struct vnic_error err;
	uint8_t got[2000];

	(void)state;
	vt_ok(vnic_macvtap_open(left, 1, true, VNIC_OFFLOAD_ALL, &from, &err), &err);
	vt_ok(vnic_macvtap_open(right, 1, true, VNIC_OFFLOAD_ALL, &to, &err), &err);
	assert_int_equal(vnic_frame_write(&from, 0, &hdr, frame, sizeof(frame)), sizeof(frame));
	do {
		assert_true(vt_readable(to.fds[0]));
		assert_true(vnic_frame_read(&to, 0, &hdr, got, sizeof(got)) >= (ssize_t)sizeof(frame));
	} while (memcmp(got + 12, frame + 12, 2) != 0); /* the kernel's own talk about IPv6 */
	assert_memory_equal(got, frame, sizeof(frame));
	vnic_tap_close(&from);
	vnic_tap_close(&to);
}

static void a_node_that_is_not_there_is_told(void **state)
{
	struct vnic_tap tap;
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_macvtap_open(4242, 1, false, 0, &tap, &err), &err, VNIC_STEP_OPEN, ENOENT);
	assert_string_equal(err.object, "/dev/tap4242");
}

static void a_node_of_another_link_is_refused(void **state)
{
	int index = add_macvtap("mvt0", "02:00:00:00:00:01");
	struct vnic_tap tap;
	struct vnic_error err;

	(void)state;
	make_node("mvt0", index, index + 1);
	vt_fails(vnic_macvtap_open(index + 1, 1, false, 0, &tap, &err), &err, VNIC_STEP_TAP_ADD, ENODEV);
	assert_non_null(strstr(err.detail, "the node belongs to link mvt0"));
}

static void a_file_that_is_no_macvtap_is_refused(void **state)
{
	struct vnic_tap tap;
	struct vnic_error err;

	(void)state;
	assert_int_equal(mknod("/dev/tap7", S_IFCHR | 0600, makedev(1, 3)), 0); /* null */
	assert_true(vnic_macvtap_open(7, 1, false, 0, &tap, &err) < 0);
	assert_int_equal(err.step, VNIC_STEP_TAP_ADD);
	assert_string_equal(err.detail, "this is not a macvtap device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		macvtap_test(queues_are_opened_with_header_and_offloads),
		macvtap_test(frames_pass_from_one_to_the_other),
		macvtap_test(a_node_that_is_not_there_is_told),
		macvtap_test(a_node_of_another_link_is_refused),
		macvtap_test(a_file_that_is_no_macvtap_is_refused),
	};

	vt_own_namespaces(CLONE_NEWNET | CLONE_NEWNS);
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
