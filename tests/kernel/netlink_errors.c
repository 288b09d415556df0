/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is refused, by whom, and in which words. */
#include <errno.h>

#include "netlink_side.h"

static void a_taken_name_is_said_with_the_name(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	const struct vnic_link bridge = {.kind = VNIC_LINK_BRIDGE, .name = "br0"};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &bridge, &err), &err);
	vt_fails(vnic_link_add(here.nl, &bridge, &err), &err, VNIC_STEP_LINK_ADD, EEXIST);
	assert_string_equal(err.object, "br0");
	assert_non_null(vnic_error_remedy(&err));
}

static void a_name_that_cannot_be_one_is_refused_with_the_reason(void **state)
{
	static const char *const names[] = {"", "sixteen-letters-", "a/b", "a b", "..", "eth%d", "a:1"};
	CLEANUP_SIDE struct side here = side_here();
	struct vnic_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct vnic_link first = {.kind = VNIC_LINK_BRIDGE, .name = names[i]};
		const struct vnic_link peer = {.name = names[i]};
		const struct vnic_link second = {.kind = VNIC_LINK_VETH, .name = "good", .peer = &peer};

		vt_fails(vnic_link_add(here.nl, &first, &err), &err, VNIC_STEP_LINK_ADD, EINVAL);
		assert_true(err.detail[0]);
		vt_fails(vnic_link_add(here.nl, &second, &err), &err, VNIC_STEP_LINK_ADD, EINVAL);
		assert_int_equal(vnic_link_set(here.nl, 0, &first, &err), -EINVAL);
		assert_int_equal(vnic_link_del(here.nl, 0, names[i], &err), -EINVAL);
	}
}

static void what_is_not_there_is_said_to_be_absent(void **state)
{
	const struct vnic_addr addr = addr_of("10.0.0.1/24");
	CLEANUP_SIDE struct side here = side_here();
	struct vnic_link_info info = {.index = 42};
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_link_get(here.nl, 0, "absent", &info, &err), &err, VNIC_STEP_LINK_GET, ENODEV);
	assert_string_equal(err.object, "absent");
	assert_int_equal(info.index, 42);
	vt_fails(vnic_link_get(here.nl, 99, NULL, &info, &err), &err, VNIC_STEP_LINK_GET, ENODEV);
	assert_string_equal(err.object, "number 99");
	vt_fails(vnic_link_del(here.nl, 0, "absent", &err), &err, VNIC_STEP_LINK_DEL, ENODEV);
	vt_fails(vnic_link_set(here.nl, 0, &(struct vnic_link){.name = "absent", .up = true}, &err), &err,
		 VNIC_STEP_LINK_SET, ENODEV);
	vt_fails(vnic_addr_add(here.nl, 99, &addr, &err), &err, VNIC_STEP_ADDR, ENODEV);
	vt_fails(vnic_addr_del(here.nl, 1, &addr, &err), &err, VNIC_STEP_ADDR, EADDRNOTAVAIL);
}

/* Before Linux 5.18 the kernel took such a change for one of the whole group. */
static void changing_an_absent_link_leaves_its_group_alone(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	const struct vnic_link change = {.name = "absent", .group = 7, .mtu = 1300};
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_link_add(here.nl, &(struct vnic_link){.kind = VNIC_LINK_BRIDGE, .name = "br", .group = 7}, &err),
	      &err);
	vt_fails(vnic_link_set(here.nl, 0, &change, &err), &err, VNIC_STEP_LINK_SET, ENODEV);
	assert_int_equal(info_of(here.nl, "br").mtu, 1500);
}

static void an_address_twice_is_said_with_the_address(void **state)
{
	static const char *const texts[] = {"10.0.0.1/24", "fd00::1/64"};
	CLEANUP_SIDE struct side here = side_here();
	struct vnic_error err;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct vnic_addr addr = addr_of(texts[i]);

		vt_ok(vnic_addr_add(here.nl, 1, &addr, &err), &err);
		vt_fails(vnic_addr_add(here.nl, 1, &addr, &err), &err, VNIC_STEP_ADDR, EEXIST);
		assert_string_equal(err.object, texts[i]);
		vt_ok(vnic_addr_del(here.nl, 1, &addr, &err), &err);
	}
}

static void the_kernels_own_words_arrive(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	const struct vnic_route route = {.dst = addr_of("10.9.0.0/16"), .gateway = addr_of("192.0.2.1"), .oif = 1};
	const struct vnic_link bridge = {.kind = VNIC_LINK_BRIDGE, .name = "br0", .mtu = 100000};
	struct vnic_error err;
	char text[512];

	(void)state;
	vt_fails(vnic_route_add(here.nl, &route, &err), &err, VNIC_STEP_ROUTE, ENETUNREACH);
	assert_string_equal(err.object, "10.9.0.0/16");
	assert_string_equal(err.detail, "kernel: Nexthop has invalid gateway");
	vnic_error_text(&err, text, sizeof(text));
	assert_string_equal(text, "cannot set route 10.9.0.0/16: Network is unreachable "
				  "(kernel: Nexthop has invalid gateway)");
	vt_fails(vnic_link_add(here.nl, &bridge, &err), &err, VNIC_STEP_LINK_ADD, EINVAL);
	assert_string_equal(err.detail, "kernel: mtu greater than device maximum");
}

/* In a user namespace of its own, but in the network namespace and with the socket of the parent. */
static int add_without_the_right(void *ctx)
{
	struct vnic_nl *nl = ctx;
	struct vnic_error err;

	if (vnic_link_add(nl, &(struct vnic_link){.kind = VNIC_LINK_BRIDGE, .name = "br0"}, &err) != -EPERM)
		return 1;
	return err.step != VNIC_STEP_LINK_ADD || !vnic_error_remedy(&err);
}

static void without_the_capability_a_link_is_not_permitted_and_there_is_a_remedy(void **state)
{
	CLEANUP_SIDE struct side here = side_here();

	(void)state;
	assert_int_equal(in_new_namespaces(CLONE_NEWUSER, add_without_the_right, here.nl), 0);
}

static void plans_that_contradict_themselves_are_not_sent(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	const struct vnic_link peer = {.name = "b"};
	const struct vnic_link contradictions[] = {
		{.name = "a"},
		{.kind = VNIC_LINK_BRIDGE, .name = "a", .peer = &peer},
		{.kind = VNIC_LINK_MACVLAN, .name = "a"},
		{.kind = VNIC_LINK_BRIDGE, .alias = "nameless"},
		{.kind = VNIC_LINK_IFB, .name = "a", .alias = "abroad", .has_netns = true, .netns_fd = here.netns},
	};
	struct vnic_batch *batch = NULL;
	struct vnic_link_info info;
	struct vnic_error err;
	int failed = -1;

	(void)state;
	vt_ok(vnic_batch_new(&batch, &err), &err);
	for (size_t i = 0; i < sizeof(contradictions) / sizeof(contradictions[0]); i++) {
		vnic_batch_link_add(batch, &(struct vnic_link){.kind = VNIC_LINK_BRIDGE, .name = "first"});
		vnic_batch_link_add(batch, &contradictions[i]);
		vnic_batch_link_add(batch, &(struct vnic_link){.kind = VNIC_LINK_BRIDGE, .name = "third/"});
		vt_fails(vnic_batch_send(batch, here.nl, &failed, &err), &err, VNIC_STEP_LINK_ADD, EINVAL);
		assert_true(err.detail[0]);
		assert_int_equal(failed, 1);
		assert_int_equal(vnic_link_get(here.nl, 0, "first", &info, &err), -ENODEV);
	}
	vt_fails(vnic_link_set(here.nl, 0, &(struct vnic_link){.up = true}, &err), &err, VNIC_STEP_LINK_SET, EINVAL);
	vt_fails(vnic_link_del(here.nl, 0, NULL, &err), &err, VNIC_STEP_LINK_DEL, EINVAL);
	vnic_batch_free(batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_taken_name_is_said_with_the_name),
		vt_netns_test(a_name_that_cannot_be_one_is_refused_with_the_reason),
		vt_netns_test(what_is_not_there_is_said_to_be_absent),
		vt_netns_test(changing_an_absent_link_leaves_its_group_alone),
		vt_netns_test(an_address_twice_is_said_with_the_address),
		vt_netns_test(the_kernels_own_words_arrive),
		vt_netns_test(without_the_capability_a_link_is_not_permitted_and_there_is_a_remedy),
		vt_netns_test(plans_that_contradict_themselves_are_not_sent),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
