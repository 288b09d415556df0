/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TAP and TUN devices: made, attached to, set up, passed on, deleted. */
#include "lan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define OFFLOADS_OF_4_0 (VNIC_OFFLOAD_CSUM | VNIC_OFFLOAD_TSO4 | VNIC_OFFLOAD_TSO6 | VNIC_OFFLOAD_ECN)

static struct vnic_tap open_tap(const struct vnic_tap_config *config)
{
	struct vnic_error err;
	struct vnic_tap tap;

	vt_ok(vnic_tap_open(config, &tap, &err), &err);
	return tap;
}

static struct ifreq get(const char *name, unsigned long request)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {0};

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	assert_int_equal(ioctl(fd, request, &ifr), 0);
	close(fd);
	return ifr;
}

static void a_device_is_there_while_it_is_open(void **state)
{
	struct vnic_tap tap = open_tap(&(struct vnic_tap_config){.name = "lan0"});

	(void)state;
	assert_string_equal(tap.name, "lan0");
	assert_int_equal(tap.index, if_nametoindex("lan0"));
	assert_int_equal(tap.queues, 1);
	assert_false(tap.tun || tap.vnet_hdr || tap.persistent);
	assert_true(fcntl(tap.fds[0], F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(tap.fds[0], F_GETFL) & O_NONBLOCK);
	vnic_tap_close(&tap);
	assert_int_equal(if_nametoindex("lan0"), 0);
	vnic_tap_close(&tap);
}

static void the_kernel_chooses_a_name_where_none_is_given(void **state)
{
	struct vnic_tap tap = open_tap(&(struct vnic_tap_config){0});
	struct vnic_tap tun = open_tap(&(struct vnic_tap_config){.tun = true});
	struct vnic_tap vm = open_tap(&(struct vnic_tap_config){.name = "vm%d", .queues = 2});

	(void)state;
	assert_string_equal(tap.name, "tap0");
	assert_string_equal(tun.name, "tun0");
	assert_string_equal(vm.name, "vm0");
	assert_true(tun.tun);
	vnic_tap_close(&tap);
	vnic_tap_close(&tun);
	vnic_tap_close(&vm);
}

static void names_that_cannot_be_are_refused(void **state)
{
	const char *const names[] = {"a-name-too-long0", "a/b", "..", "", "a b", "much-too-long-%d"};
	struct vnic_tap tap;
	struct vnic_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		vt_fails(vnic_tap_open(&(struct vnic_tap_config){.name = names[i]}, &tap, &err), &err, VNIC_STEP_USAGE,
			 EINVAL);
}

static void a_device_in_use_is_busy(void **state)
{
	struct vnic_tap tap = open_tap(&(struct vnic_tap_config){.name = "lan0"}), second;
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_tap_open(&(struct vnic_tap_config){.name = "lan0"}, &second, &err), &err, VNIC_STEP_TAP_ADD,
		 EBUSY);
	assert_non_null(vnic_error_remedy(&err));
	vnic_tap_close(&tap);
}

static void a_link_of_another_kind_is_busy(void **state)
{
	struct vnic_tap tun = open_tap(&(struct vnic_tap_config){.name = "lan0", .tun = true}), tap;
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_tap_open(&(struct vnic_tap_config){.name = "lan0"}, &tap, &err), &err, VNIC_STEP_TAP_ADD, EBUSY);
	vt_fails(vnic_tap_open(&(struct vnic_tap_config){.name = "lo"}, &tap, &err), &err, VNIC_STEP_TAP_ADD, EBUSY);
	assert_non_null(strstr(err.detail, "not a TAP"));
	vnic_tap_close(&tun);
}

static void several_queues_are_one_device(void **state)
{
	struct vnic_tap tap = open_tap(&(struct vnic_tap_config){.name = "lan0", .queues = 4, .vnet_hdr = true});
	struct ifreq ifr = {0};

	(void)state;
	assert_int_equal(tap.queues, 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(ioctl(tap.fds[i], TUNGETIFF, &ifr), 0);
		assert_string_equal(ifr.ifr_name, "lan0");
	}
	vnic_tap_close(&tap);
	assert_int_equal(if_nametoindex("lan0"), 0);
}

static void too_many_queues_are_refused(void **state)
{
	struct vnic_error err;
	struct vnic_tap tap;

	(void)state;
	vt_fails(vnic_tap_open(&(struct vnic_tap_config){.queues = VNIC_TAP_QUEUES + 1}, &tap, &err), &err,
		 VNIC_STEP_USAGE, EINVAL);
}

static void offloads_are_granted_as_far_as_the_kernel_has_them(void **state)
{
	const struct vnic_tap_config config = {.vnet_hdr = true, .offloads = VNIC_OFFLOAD_ALL};
	struct vnic_tap tap = open_tap(&config);

	(void)state;
	assert_true(tap.vnet_hdr);
	assert_int_equal(tap.offloads & OFFLOADS_OF_4_0, OFFLOADS_OF_4_0);
	assert_int_equal(tap.offloads & ~VNIC_OFFLOAD_ALL, 0);
	vnic_tap_close(&tap);
}

static void offloads_that_cannot_be_are_refused(void **state)
{
	struct vnic_error err;
	struct vnic_tap tap;

	(void)state;
	vt_fails(vnic_tap_open(&(struct vnic_tap_config){.offloads = VNIC_OFFLOAD_CSUM}, &tap, &err), &err,
		 VNIC_STEP_USAGE, EINVAL);
	vt_fails(vnic_tap_open(&(struct vnic_tap_config){.vnet_hdr = true, .offloads = VNIC_OFFLOAD_TSO4}, &tap, &err),
		 &err, VNIC_STEP_TAP_SET, EINVAL);
	assert_int_equal(if_nametoindex("tap0"), 0);
}

static void mtu_mac_queue_length_and_state_are_as_asked(void **state)
{
	const struct vnic_tap_config config = {.name = "lan0",
					       .mtu = 9000,
					       .txqueuelen = 77,
					       .mac = {.set = true, .bytes = {2, 1, 2, 3, 4, 5}},
					       .up = true};
	struct vnic_tap tap = open_tap(&config);

	(void)state;
	assert_true(get("lan0", SIOCGIFFLAGS).ifr_flags & IFF_UP);
	assert_int_equal(get("lan0", SIOCGIFMTU).ifr_mtu, 9000);
	assert_int_equal(get("lan0", SIOCGIFTXQLEN).ifr_qlen, 77);
	assert_memory_equal(get("lan0", SIOCGIFHWADDR).ifr_hwaddr.sa_data, config.mac.bytes, 6);
	vnic_tap_close(&tap);
}

static void a_setting_that_the_kernel_refuses_leaves_no_device(void **state)
{
	struct vnic_error err;
	struct vnic_tap tap;

	(void)state;
	vt_fails(vnic_tap_open(&(struct vnic_tap_config){.name = "lan0", .mtu = 70000, .persistent = true}, &tap, &err),
		 &err, VNIC_STEP_TAP_SET, EINVAL);
	assert_non_null(strstr(err.detail, "70000"));
	assert_int_equal(if_nametoindex("lan0"), 0);
	vt_fails(vnic_tap_open(&(struct vnic_tap_config){.tun = true, .mac = {.set = true}}, &tap, &err), &err,
		 VNIC_STEP_USAGE, EINVAL);
}

static void a_persistent_device_stays_until_it_is_deleted(void **state)
{
	const struct vnic_tap_config config = {
		.name = "lan0", .persistent = true, .set_owner = true, .owner = 1000, .set_group = true, .group = 1001};
	struct vnic_tap tap = open_tap(&config);
	struct vnic_error err;

	(void)state;
	assert_true(tap.persistent);
	vnic_tap_close(&tap);
	assert_int_not_equal(if_nametoindex("lan0"), 0);
	tap = open_tap(&(struct vnic_tap_config){.name = "lan0"});
	assert_true(tap.persistent);
	vnic_tap_close(&tap);
	vt_ok(vnic_tap_delete("lan0", false, &err), &err);
	assert_int_equal(if_nametoindex("lan0"), 0);
	vt_fails(vnic_tap_delete("lan0", false, &err), &err, VNIC_STEP_LINK_DEL, ENODEV);
}

static void a_persistent_device_with_queues_is_deleted_too(void **state)
{
	struct vnic_tap tap =
		open_tap(&(struct vnic_tap_config){.name = "lan0", .tun = true, .queues = 2, .persistent = true});
	struct vnic_error err;

	(void)state;
	vnic_tap_close(&tap);
	vt_fails(vnic_tap_delete("lan0", false, &err), &err, VNIC_STEP_TAP_ADD, EBUSY);
	vt_ok(vnic_tap_delete("lan0", true, &err), &err);
	assert_int_equal(if_nametoindex("lan0"), 0);
}

static int attach_as_owner(void *unused)
{
	struct vnic_tap tap;
	int r;

	(void)unused;
	if (setresuid(1000, 1000, 1000) < 0)
		return 1;
	r = vnic_tap_open(&(struct vnic_tap_config){.name = "lan0"}, &tap, NULL);
	if (r == 0)
		vnic_tap_close(&tap);
	return -r;
}

static void only_its_owner_attaches_without_privilege(void **state)
{
	struct vnic_tap_config config = {.name = "lan0", .persistent = true, .set_owner = true, .owner = 1000};
	struct vnic_tap tap = open_tap(&config);
	struct vnic_error err;
	int r;

	(void)state;
	vnic_tap_close(&tap);
	r = vt_in_child(attach_as_owner, NULL);
	if (r == EACCES) {
		vt_ok(vnic_tap_delete("lan0", false, &err), &err);
		vt_skip("/dev/net/tun cannot be opened by an ordinary user");
	}
	assert_int_equal(r, 0);
	config.owner = 1001;
	tap = open_tap(&config);
	vnic_tap_close(&tap);
	assert_int_equal(vt_in_child(attach_as_owner, NULL), EPERM);
	vt_ok(vnic_tap_delete("lan0", false, &err), &err);
}

static void a_descriptor_from_elsewhere_tells_what_it_is(void **state)
{
	struct vnic_tap made = open_tap(&(struct vnic_tap_config){.name = "lan0", .queues = 2, .vnet_hdr = true});
	struct vnic_tap tap;
	struct vnic_error err;
	int fds[2] = {fcntl(made.fds[0], F_DUPFD_CLOEXEC, 0), fcntl(made.fds[1], F_DUPFD_CLOEXEC, 0)};

	(void)state;
	vt_ok(vnic_tap_adopt(fds, 2, &tap, &err), &err);
	assert_string_equal(tap.name, "lan0");
	assert_int_equal(tap.index, made.index);
	assert_true(tap.vnet_hdr);
	assert_false(tap.tun);
	vnic_tap_close(&made);
	assert_int_not_equal(if_nametoindex("lan0"), 0);
	vnic_tap_close(&tap);
	assert_int_equal(if_nametoindex("lan0"), 0);
}

static void a_descriptor_of_something_else_is_refused_and_left_open(void **state)
{
	struct vnic_tap a = open_tap(&(struct vnic_tap_config){.name = "lan0"});
	struct vnic_tap b = open_tap(&(struct vnic_tap_config){.name = "lan1"}), tap;
	struct vnic_error err;
	int pair[2], mixed[2] = {a.fds[0], b.fds[0]};

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	vt_fails(vnic_tap_adopt(pair, 1, &tap, &err), &err, VNIC_STEP_TAP_ADD, EINVAL);
	vt_fails(vnic_tap_adopt(mixed, 2, &tap, &err), &err, VNIC_STEP_TAP_ADD, EINVAL);
	vnic_tap_close(&a);
	vnic_tap_close(&b);
	close(pair[0]);
	close(pair[1]);
}

static int make_and_send(void *ctx)
{
	struct vnic_tap tap;
	int socket = *(int *)ctx;

	if (unshare(CLONE_NEWNET) < 0 || vnic_tap_open(&(struct vnic_tap_config){.name = "far0"}, &tap, NULL) < 0)
		return 1;
	return vnic_fd_send(socket, tap.fds, 1, tap.name, IFNAMSIZ, NULL) < 0;
}

static void a_device_of_another_namespace_has_no_index_here(void **state)
{
	struct vnic_error err;
	struct vnic_tap tap;
	int pair[2], fd;
	unsigned count;
	size_t size;
	char name[IFNAMSIZ];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(vt_in_child(make_and_send, &pair[1]), 0);
	vt_ok(vnic_fd_recv(pair[0], &fd, 1, &count, name, sizeof(name), &size, &err), &err);
	assert_int_equal(count, 1);
	if (vnic_tap_adopt(&fd, 1, &tap, &err) == 0) {
		assert_string_equal(tap.name, "far0");
		assert_int_equal(tap.index, 0);
		vnic_tap_close(&tap);
	} else { /* its namespace went with its last process, and the device with it */
		assert_int_equal(err.code, EBADFD);
		close(fd);
	}
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_device_is_there_while_it_is_open),
		vt_netns_test(the_kernel_chooses_a_name_where_none_is_given),
		vt_netns_test(names_that_cannot_be_are_refused),
		vt_netns_test(a_device_in_use_is_busy),
		vt_netns_test(a_link_of_another_kind_is_busy),
		vt_netns_test(several_queues_are_one_device),
		vt_netns_test(too_many_queues_are_refused),
		vt_netns_test(offloads_are_granted_as_far_as_the_kernel_has_them),
		vt_netns_test(offloads_that_cannot_be_are_refused),
		vt_netns_test(mtu_mac_queue_length_and_state_are_as_asked),
		vt_netns_test(a_setting_that_the_kernel_refuses_leaves_no_device),
		vt_netns_test(a_persistent_device_stays_until_it_is_deleted),
		vt_netns_test(a_persistent_device_with_queues_is_deleted_too),
		vt_netns_test(only_its_owner_attaches_without_privilege),
		vt_netns_test(a_descriptor_from_elsewhere_tells_what_it_is),
		vt_netns_test(a_descriptor_of_something_else_is_refused_and_left_open),
		vt_netns_test(a_device_of_another_namespace_has_no_index_here),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
