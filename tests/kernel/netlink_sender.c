/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may answer: root of a network namespace can send to any netlink socket there, whose number is a pid. */
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "netlink_side.h"
#include "socket.h"

/* What the kernel would answer to the next question, but for the link's name. */
static void forge_answer(const struct vnic_nl *nl)
{
	struct sockaddr_nl to;
	socklen_t size = sizeof(to);
	_Alignas(struct nlmsghdr) char buf[128] = {0};
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	CLEANUP_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct ifinfomsg *head;

	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_seq = nl->seq;
	head = mnl_nlmsg_put_extra_header(nlh, sizeof(*head));
	head->ifi_index = 4711;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, "forged");
	assert_int_equal(getsockname(mnl_socket_get_fd(nl->wire), (void *)&to, &size), 0);
	assert_int_not_equal(to.nl_pid, 0);
	assert_int_equal(sendto(fd, nlh, nlh->nlmsg_len, 0, (void *)&to, size), nlh->nlmsg_len);
}

static int count(const struct vnic_link_info *link, void *ctx)
{
	assert_string_equal(link->name, "lo");
	++*(int *)ctx;
	return 0;
}

static void only_what_the_kernel_says_counts(void **state)
{
	CLEANUP_SIDE struct side here = side_here();
	struct vnic_link_info info;
	struct vnic_error err;
	int links = 0;

	(void)state;
	vt_ok(vnic_link_get(here.nl, 0, "lo", &info, &err), &err); /* its first request gives it a number */
	forge_answer(here.nl);
	vt_ok(vnic_link_get(here.nl, 0, "lo", &info, &err), &err);
	assert_string_equal(info.name, "lo");
	assert_int_equal(info.index, 1);
	forge_answer(here.nl);
	vt_ok(vnic_link_list(here.nl, count, &links, &err), &err);
	assert_int_equal(links, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(only_what_the_kernel_says_counts),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
