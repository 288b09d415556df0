/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Merging datagrams on a veth: what the kernel wants for it, and that nobody notices but by the speed. */
#include "tproxy_world.h"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "build.h"

enum { COUNT = 200 };

/* "0\n" or "1\n" */
static void threaded(char ret_text[8])
{
	struct vnic_error err;
	int sysfs = -1, fd;

	if (ns_sysfs_open(&sysfs, &err) < 0)
		vt_skip("no sysfs of our own here");
	fd = openat(sysfs, "class/net/nic0/threaded", O_RDONLY | O_CLOEXEC);
	close(sysfs);
	if (fd < 0)
		vt_skip("the kernel has no threaded NAPI (Linux 5.12)");
	memset(ret_text, 0, 8);
	assert_true(read(fd, ret_text, 7) > 0);
	close(fd);
}

static uint32_t gro_is_on(void)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GGRO};
	struct ifreq request = {.ifr_name = "nic0", .ifr_data = (void *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_return_code(ioctl(fd, SIOCETHTOOL, &request), errno);
	close(fd);
	return value.data;
}

static void a_flooded_router_polls_in_a_thread_and_merges(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	int before = vt_open_fds();
	char text[8];

	(void)state;
	threaded(text);
	assert_string_equal(text, "0\n");
	assert_int_equal(gro_is_on(), 0);
	merge_datagrams(&world.plan);
	threaded(text);
	assert_string_equal(text, "1\n");
	assert_int_equal(gro_is_on(), 1);
	assert_int_equal(vt_open_fds(), before);
}

static void what_is_captured_stays_as_it_was_sent(void **state)
{
	CLEANUP_WORLD struct world world = world_new();

	(void)state;
	world.plan.captured = true;
	merge_datagrams(&world.plan);
	assert_int_equal(gro_is_on(), 0);
}

static void a_link_that_is_not_there_is_an_error(void **state)
{
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_link_merge_datagrams(4711, &err), &err, VNIC_STEP_LINK_SET, ENODEV);
}

static void merged_datagrams_arrive_one_by_one_and_in_order(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	union world_addr to = world_addr(REMOTE4, 7007);
	struct pollfd arrival = {.fd = world.slow.udp[SLOWPATH_V4], .events = POLLIN};
	int fd;

	(void)state;
	merge_datagrams(&world.plan);
	world_enter(world.sandbox);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	world_enter(world.router);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_equal(sendto(fd, &i, sizeof(i), 0, &to.any, sizeof(to.v4)), sizeof(i));
	for (uint32_t i = 0; i < COUNT; i++) {
		uint32_t got[2];

		assert_int_equal(poll(&arrival, 1, VT_DEADLINE_MS), 1);
		assert_int_equal(recv(arrival.fd, got, sizeof(got), 0), sizeof(i));
		assert_int_equal(got[0], i);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_flooded_router_polls_in_a_thread_and_merges),
		vt_netns_test(what_is_captured_stays_as_it_was_sent),
		vt_netns_test(a_link_that_is_not_there_is_an_error),
		vt_netns_test(merged_datagrams_arrive_one_by_one_and_in_order),
	};

	world_own_namespaces(CLONE_NEWNET | CLONE_NEWNS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
