/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans of many requests: sent in few messages, each failure found again, undone by group. */
#include <errno.h>
#include <stdio.h>

#include "netlink_side.h"

#define PAIRS 250 /* 500 links */
#define GROUP 4711

static void add_pair(struct vnic_batch *batch, unsigned number)
{
	char name[IFNAMSIZ], peer_name[IFNAMSIZ];
	struct vnic_link peer = {.name = peer_name, .group = GROUP};
	struct vnic_link link = {.kind = VNIC_LINK_VETH, .name = name, .group = GROUP, .peer = &peer};

	snprintf(name, sizeof(name), "a%u", number);
	snprintf(peer_name, sizeof(peer_name), "b%u", number);
	vnic_batch_link_add(batch, &link);
}

static int count(const struct vnic_link_info *info, void *ctx)
{
	int *links = ctx;

	*links += info->group == GROUP;
	return 0;
}

static int links_in_group(struct vnic_nl *nl)
{
	struct vnic_error err;
	int links = 0;

	vt_ok(vnic_link_list(nl, count, &links, &err), &err);
	return links;
}

static void five_hundred_links_are_made_in_a_batch_and_deleted_by_one_message(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	struct vnic_batch *batch = NULL;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_batch_new(&batch, &err), &err);
	for (unsigned i = 0; i < PAIRS; i++)
		add_pair(batch, i);
	vt_ok(vnic_batch_send(batch, here.nl, NULL, &err), &err);
	assert_int_equal(links_in_group(here.nl), 2 * PAIRS);
	vnic_batch_link_del_group(batch, GROUP);
	vt_ok(vnic_batch_send(batch, here.nl, NULL, &err), &err);
	assert_int_equal(links_in_group(here.nl), 0);
	vt_fails(vnic_link_del_group(here.nl, GROUP, &err), &err, VNIC_STEP_LINK_DEL, ENODEV);
	assert_string_equal(err.object, "group 4711");
	vnic_batch_free(batch);
}

static void the_group_of_all_links_is_not_deleted(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_link_del_group(here.nl, 0, &err), &err, VNIC_STEP_LINK_DEL, EINVAL);
}

static void a_failure_in_a_long_batch_names_its_request_and_the_rest_is_done(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	struct vnic_batch *batch = NULL;
	struct vnic_addr addr = addr_of("10.1.0.1/32");
	struct vnic_link_info info;
	struct vnic_error err;
	int failed = -1;

	(void)state;
	vt_ok(vnic_batch_new(&batch, &err), &err);
	for (unsigned i = 0; i < 600; i++) {
		addr.bytes[2] = (uint8_t)(i / 250);
		addr.bytes[3] = (uint8_t)(i % 250 + 1);
		vnic_batch_addr_add(batch, i == 400 ? 9999 : 1, &addr);
	}
	vnic_batch_link_add(batch, &(struct vnic_link){.kind = VNIC_LINK_BRIDGE, .name = "last"});
	vt_fails(vnic_batch_send(batch, here.nl, &failed, &err), &err, VNIC_STEP_ADDR, ENODEV);
	assert_int_equal(failed, 400);
	assert_string_equal(err.object, "10.1.1.151/32");
	info = info_of(here.nl, "last");
	assert_string_equal(info.kind, "bridge");
	vnic_batch_free(batch);
}

/* Their answers fill the socket's receive buffer; none may be lost. */
static void a_batch_in_which_all_fail_reports_the_first(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	struct vnic_batch *batch = NULL;
	struct vnic_error err;
	int failed = -1;

	(void)state;
	vt_ok(vnic_batch_new(&batch, &err), &err);
	for (int i = 0; i < 1000; i++)
		vnic_batch_link_set(batch, 1000 + i, &(struct vnic_link){.alias = "nobody", .mtu = 1});
	vt_fails(vnic_batch_send(batch, here.nl, &failed, &err), &err, VNIC_STEP_LINK_SET, ENODEV);
	assert_int_equal(failed, 0);
	assert_string_equal(err.object, "number 1000");
	/* The socket is not left with answers of the past. */
	vt_ok(vnic_link_add(here.nl, &(struct vnic_link){.kind = VNIC_LINK_BRIDGE, .name = "br"}, &err), &err);
	vnic_batch_free(batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(five_hundred_links_are_made_in_a_batch_and_deleted_by_one_message),
		vt_netns_test(the_group_of_all_links_is_not_deleted),
		vt_netns_test(a_failure_in_a_long_batch_names_its_request_and_the_rest_is_done),
		vt_netns_test(a_batch_in_which_all_fail_reports_the_first),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
