/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Setting up a router's slow path: what it is afterwards, what a host may lack, and how it fails. */
#include "tproxy_world.h"

#include <linux/if_addr.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "build.h"
#include "nft.h"

static void a_router_has_sockets_for_both_families(void **state)
{
	CLEANUP_WORLD struct world world = world_new();

	(void)state;
	assert_true(world.slow.ipv6);
	assert_int_equal(world.slow.backlog, SLOWPATH_BACKLOG);
	assert_true(world.slow.packet_fd >= 0);
	for (unsigned i = 0; i < SLOWPATH_FAMILIES; i++)
		assert_true(world.slow.tcp[i] >= 0 && world.slow.udp[i] >= 0);
}

static int is_ready_link_local(const struct vnic_addr_info *info, void *ctx)
{
	(void)ctx;
	return info->addr.family == AF_INET6 && info->addr.bytes[0] == 0xfe && !(info->flags & IFA_F_TENTATIVE);
}

/* Asks the opener, who is here; the answer's result.  -1: no descriptor came. */
static int ask(const struct vnic_open_request *request, enum opener_scope scope, int *ret_fd)
{
	const struct opener_question question = {.request = *request};
	uint8_t answer[1024];
	struct vnic_error err;
	unsigned count = 0;
	size_t size = 0;
	int pair[2], result;

	*ret_fd = -1;
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), errno);
	vt_ok(vnic_fd_send(pair[0], NULL, 0, &question, sizeof(question), &err), &err);
	vt_ok(opener_answer(pair[1], scope, NULL, &err), &err);
	vt_ok(vnic_fd_recv(pair[0], ret_fd, 1, &count, answer, sizeof(answer), &size, &err), &err);
	close(pair[0]);
	close(pair[1]);
	memcpy(&result, answer + sizeof(question.number), sizeof(result)); /* it begins with both */
	return result;
}

static void whoever_opens_flows_gets_no_other_sockets(void **state)
{
	static const struct vnic_open_request others[] = {
		{.domain = AF_UNIX, .type = SOCK_STREAM},
		{.domain = AF_NETLINK, .type = SOCK_RAW},
		{.domain = AF_PACKET, .type = SOCK_RAW},
		{.domain = AF_INET, .type = SOCK_RAW, .protocol = IPPROTO_ICMP},
		{.domain = AF_INET, .type = SOCK_DGRAM, .protocol = IPPROTO_ICMP},
		{.domain = AF_INET, .type = SOCK_STREAM, .device = "lo"},
	};
	static const struct vnic_open_request flows[] = {
		{.domain = AF_INET, .type = SOCK_STREAM, .transparent = true},
		{.domain = AF_INET6, .type = SOCK_DGRAM, .transparent = true},
	};
	struct vnic_open_request endless = {.domain = AF_INET, .type = SOCK_STREAM};
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(ask(&others[i], OPENER_FLOWS, &fd), -EPERM);
		assert_int_equal(fd, -1);
	}
	for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
		assert_int_equal(ask(&flows[i], OPENER_FLOWS, &fd), 0);
		assert_true(fd >= 0);
		close(fd);
	}
	assert_int_equal(ask(&others[0], OPENER_ALL, &fd), 0);
	close(fd);
	memset(endless.device, 'x', sizeof(endless.device));
	assert_int_equal(ask(&endless, OPENER_ALL, &fd), -EPERM);
}

/* What leads into the sandbox, as what comes out of it: see slowpath_unpace. */
static void sockets_towards_the_sandbox_do_not_pace(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	const struct vnic_open_request request = {
		.side = VNIC_SIDE_ROUTER, .domain = AF_INET, .type = SOCK_STREAM, .transparent = true};
	int opened;

	(void)state;
	assert_int_equal(ask(&request, OPENER_FLOWS, &opened), 0);
	const int sockets[] = {opened, world.slow.tcp[SLOWPATH_V4], world.slow.tcp[SLOWPATH_V6]};
	for (unsigned i = 0; i < 3; i++) {
		char control[16] = "";

		assert_return_code(
			getsockopt(sockets[i], IPPROTO_TCP, TCP_CONGESTION, control, &(socklen_t){sizeof(control)}),
			errno);
		assert_true(!strcmp(control, "cubic") || !strcmp(control, "reno"));
	}
	close(opened);
}

/* Sets the three values of tcp_rmem, makes a router, and tells what they are there. */
static void buffers_of_a_router(const char *before, char *ret_after, size_t size)
{
	static const char path[] = "/proc/sys/net/ipv4/tcp_rmem";
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(before, file) >= 0);
	assert_int_equal(fclose(file), 0);
	CLEANUP_WORLD struct world world = world_new();
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(ret_after, (int)size, file));
	fclose(file);
}

static void large_receive_buffers_of_the_host_are_not_the_routers(void **state)
{
	char after[64];

	(void)state;
	buffers_of_a_router("8192 131072 33554432", after, sizeof(after));
	assert_string_equal(after, "8192\t131072\t4194304\n");
}

static void small_ones_stay_as_they_are(void **state)
{
	char after[64];

	(void)state;
	buffers_of_a_router("4096 65536 1048576", after, sizeof(after));
	assert_string_equal(after, "4096\t65536\t1048576\n");
}

static void neighbours_can_be_asked_for_at_once(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	struct vnic_error err;
	struct vnic_nl *nl;
	int found;

	(void)state;
	vt_ok(vnic_nl_open(&nl, &err), &err);
	found = vnic_addr_list(nl, world.plan.nics[0].outer_index, is_ready_link_local, NULL, &err);
	vnic_nl_close(nl);
	assert_int_equal(found, 1);
}

static void setting_up_twice_fails_and_leaves_no_descriptor(void **state)
{
	CLEANUP_WORLD struct world world = world_new();
	struct slowpath again = SLOWPATH_EMPTY;
	struct vnic_error err;
	int before = vt_open_fds();

	(void)state;
	vt_fails(slowpath_set_up(&world.plan, &again, &err), &err, VNIC_STEP_LINK_ADD, EEXIST);
	assert_string_equal(err.object, "slow1");
	assert_int_equal(again.packet_fd, -1);
	assert_int_equal(vt_open_fds(), before);
}

static void a_ruleset_that_is_there_already_is_refused(void **state)
{
	const struct nft_router router = {
		.slow_index = 1, .slow_mark = 1, .flow_mark = 2, .tcp_port = 1, .udp_port = 1, .ipv6 = true};
	struct vnic_error err;

	(void)state;
	vt_ok(nft_router_apply(&router, &err), &err);
	vt_fails(nft_router_apply(&router, &err), &err, VNIC_STEP_NFT, EEXIST);
	assert_string_equal(err.object, "vnic");
}

/* One more of each is refused when the sandbox is planned. */
static void as_many_nics_and_addresses_as_there_may_be_have_room(void **state)
{
	static const struct vnic_addr own[PLAN_OUTER] = {{AF_INET, 32, {10, 0, 2, 2}},
							 {AF_INET, 32, {10, 0, 2, 3}},
							 {AF_INET6, 128, {0xfd, [15] = 2}},
							 {AF_INET6, 128, {0xfd, [15] = 3}}};
	struct vnic_addr nets[VNIC_NIC_ADDRS] = {{AF_INET, 25, {10, 0, 2, 100}}};
	char names[VNIC_NICS][IFNAMSIZ];
	struct nft_nic nics[VNIC_NICS];
	const struct nft_router router = {.slow_index = 300,
					  .slow_mark = 1,
					  .flow_mark = 2,
					  .tcp_port = 1,
					  .udp_port = 1,
					  .ipv6 = true,
					  .early_demux = true,
					  .nics = nics,
					  .nic_count = VNIC_NICS};
	struct vnic_error err;

	(void)state;
	for (unsigned i = 1; i < VNIC_NIC_ADDRS; i++) /* with the longest rules */
		nets[i] = (struct vnic_addr){AF_INET6, 61, {0xfd, (uint8_t)i}};
	for (int i = 0; i < VNIC_NICS; i++) {
		snprintf(names[i], sizeof(names[i]), "abcdefghijklm%02u", (unsigned)i % 100);
		nics[i] = (struct nft_nic){names[i], 100 + i, nets, VNIC_NIC_ADDRS, own, PLAN_OUTER};
	}
	vt_ok(nft_router_apply(&router, &err), &err);
}

static int apply_without_capabilities(void *ctx)
{
	const struct nft_router router = {.slow_index = 1};
	struct vnic_error err = {0};

	(void)ctx;
	if (ns_drop_all_caps(NULL) < 0)
		return 1;
	return nft_router_apply(&router, &err) == -EPERM && err.step == VNIC_STEP_NFT ? 0 : 2;
}

static void a_ruleset_needs_the_right_to_the_namespace(void **state)
{
	(void)state;
	assert_int_equal(vt_in_child(apply_without_capabilities, NULL), 0);
}

static void a_read_only_proc_costs_ipv6_only(void **state)
{
	static const char *const nic = "veth";
	CLEANUP_WORLD struct world world = world_of_nics(&nic, 1);
	CLEANUP_FD int client = -1;
	struct slow_frame syn;
	struct vnic_error err;

	(void)state;
	assert_int_equal(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	vt_ok(slowpath_set_up(&world.plan, &world.slow, &err), &err);
	vt_ok(slowpath_let_in(&world.plan, &world.slow, &err), &err);
	assert_int_equal(umount("/proc/sys"), 0);
	assert_false(world.slow.ipv6);
	assert_int_equal(world.slow.tcp[SLOWPATH_V6], -1);
	assert_int_equal(world.slow.udp[SLOWPATH_V6], -1);
	assert_true(world.slow.backlog > 0 && world.slow.backlog < SLOWPATH_BACKLOG);
	client = sandbox_connect(&world, REMOTE4, 80);
	syn = slow_read(&world);
	slow_write(&world, &syn);
	assert_int_equal(connected(client), 0);
}

/* --- the ruleset as nft(8) shows it ------------------------------------------------- */

static const char expected[] = "table inet vnic {\n"
			       "\tcounter nic0 {\n"
			       "\t\tpackets 0 bytes 0\n"
			       "\t}\n\n"
			       "\tset nic0 {\n"
			       "\t\ttype ipv6_addr\n"
			       "\t\tsize 64\n"
			       "\t\tflags dynamic,timeout\n"
			       "\t\ttimeout 5m\n"
			       "\t}\n\n"
			       "\tchain slow {\n"
			       "\t\ttcp flags syn / syn,rst,ack tproxy to :1 accept\n"
			       "\t\taccept\n"
			       "\t}\n\n"
			       "\tchain group {\n"
			       "\t\tmeta nfproto ipv4 udp dport 67 accept\n"
			       "\t\tmeta nfproto ipv6 udp dport 547 accept\n"
			       "\t\ticmpv6 type 133-136 accept\n"
			       "\t\tdrop\n"
			       "\t}\n\n"
			       "\tchain own {\n"
			       "\t\tmeta nfproto ipv4 udp dport 67 accept\n"
			       "\t\tmeta l4proto udp tproxy to :1 accept\n"
			       "\t\taccept\n"
			       "\t}\n\n"
			       "\tchain link {\n"
			       "\t\tmeta l4proto ipv6-icmp accept\n"
			       "\t\tudp dport 547 accept\n"
			       "\t\tdrop\n"
			       "\t}\n\n"
			       "\tchain flows {\n"
			       "\t\tmeta l4proto udp socket mark 0x00000002 accept\n"
			       "\t\tmeta pkttype != host goto group\n"
			       "\t\tip daddr 224.0.0.0/3 goto group\n"
			       "\t\tip6 daddr ff00::/8 goto group\n"
			       "\t\ttcp flags syn / syn,rst,ack meta mark set 0x00000001 accept\n"
			       "\t\tmeta l4proto tcp accept\n"
			       "\t\tip daddr 10.0.2.2 goto own\n"
			       "\t\tip6 daddr fd00::2 goto own\n"
			       "\t\tip daddr 10.0.2.3 goto own\n"
			       "\t\tip6 daddr fd00::3 goto own\n"
			       "\t\tip6 daddr fe80::/10 goto link\n"
			       "\t\tmeta l4proto udp tproxy to :1 accept\n"
			       "\t\ticmp type echo-request meta mark set 0x00000001 accept\n"
			       "\t\ticmpv6 type echo-request meta mark set 0x00000001 accept\n"
			       "\t\ticmp type 13-18 drop\n"
			       "\t\taccept\n"
			       "\t}\n\n"
			       "\tchain nic0 {\n"
			       "\t\tip saddr 10.0.2.2 counter name \"nic0\" drop\n"
			       "\t\tip6 saddr fd00::2 counter name \"nic0\" drop\n"
			       "\t\tip saddr 10.0.2.3 counter name \"nic0\" drop\n"
			       "\t\tip6 saddr fd00::3 counter name \"nic0\" drop\n"
			       "\t\tip saddr 10.0.2.0/24 goto flows\n"
			       "\t\tip6 saddr fd00::100 goto flows\n"
			       "\t\tip6 saddr fd00::/64 update @nic0 { ip6 saddr } goto flows\n"
			       "\t\tip saddr 0.0.0.0 udp dport 67 accept\n"
			       "\t\tip saddr 0.0.0.0 drop\n"
			       "\t\tip6 saddr :: icmpv6 type 133-135 accept\n"
			       "\t\tip6 saddr :: drop\n"
			       "\t\tip6 saddr fe80::/10 update @nic0 { ip6 saddr } goto link\n"
			       "\t\tcounter name \"nic0\" drop\n"
			       "\t}\n\n"
			       "\tchain prerouting {\n"
			       "\t\ttype filter hook prerouting priority mangle; policy drop;\n"
			       "\t\tiif \"nic0\" goto nic0\n"
			       "\t\tiif \"slow0\" goto slow\n"
			       "\t\tiif \"lo\" accept\n"
			       "\t}\n"
			       "}\n";

static void the_ruleset_reads_as_planned(void **state)
{
	CLEANUP_WORLD struct world world = {.router = -1, .sandbox = -1, .slow = SLOWPATH_EMPTY};
	char shown[sizeof(expected) + 1000] = "";
	FILE *nft;

	(void)state;
	if (system("nft --version >/dev/null 2>&1") != 0)
		vt_skip("nft(8) is not installed");
	world = world_new();
	nft = popen("nft list ruleset", "re");
	assert_non_null(nft);
	assert_true(fread(shown, 1, sizeof(shown) - 1, nft) > 0);
	assert_int_equal(pclose(nft), 0);
	assert_string_equal(shown, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_router_has_sockets_for_both_families),
		vt_netns_test(whoever_opens_flows_gets_no_other_sockets),
		vt_netns_test(sockets_towards_the_sandbox_do_not_pace),
		vt_netns_test(large_receive_buffers_of_the_host_are_not_the_routers),
		vt_netns_test(small_ones_stay_as_they_are),
		vt_netns_test(neighbours_can_be_asked_for_at_once),
		vt_netns_test(setting_up_twice_fails_and_leaves_no_descriptor),
		vt_netns_test(a_ruleset_that_is_there_already_is_refused),
		vt_netns_test(as_many_nics_and_addresses_as_there_may_be_have_room),
		vt_netns_test(a_ruleset_needs_the_right_to_the_namespace),
		vt_netns_test(a_read_only_proc_costs_ipv6_only),
		vt_netns_test(the_ruleset_reads_as_planned),
	};

	world_own_namespaces(CLONE_NEWNET | CLONE_NEWNS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
