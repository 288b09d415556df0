/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The router's slow path.
 *
 * Theory of operation.  A veth pair whose two ends are both in the router:
 *
 *   NIC -- nft marks a SYN --> table "slow" --> slow0 ==> slow1 --> packet socket --> gateway
 *   transparent listener <-- nft tproxy <----- slow0 <== slow1 <-- packet socket <-- the same frame
 *
 * slow0 has no ARP, so the kernel takes slow0's own MAC for every neighbour's.  Thus a frame reaches slow1 as one for
 * somebody else: its IP stack drops it and only the packet socket sees it; and when the gateway writes the frame back
 * as it is, it is one for slow0.  Multicast, the kernel's own talk about groups, would wake the gateway for nothing: a
 * filter of three instructions leaves it out.
 *
 * Which table is asked, in order (a custom rule splits "local" from "main"):
 *
 *           IPv4                            IPv6
 *      10   slow: default dev slow0         the same; for what is marked
 *     100   own: the router's addresses     local
 *   32766   main: the sandbox's subnets     main
 *   40000   local: local default dev lo     any: local default dev lo
 *
 * The last one makes connections to anywhere end here.  It must stand behind the sandbox's subnets, or what is for the
 * sandbox ends here too.  In IPv4 it must also be the table "local" itself: the kernel looks there, and only there,
 * whether it may answer in a remote's name with a reset or an ICMP error (__ip_dev_find, net/ipv4/devinet.c).  The
 * kernel's own rule at 0 goes, or what is marked for the router's own addresses would never be slow.
 *
 * Early demux, by which the kernel looks for a packet's socket before its route, is off for TCP.  A client may use its
 * port again while the router's end of the former connection is in TIME-WAIT (whoever ends first waits, and servers
 * often do): the kernel would find that socket, and drop the SYN on its way to slow0 because it has one (ip_forward,
 * net/ipv4/ip_forward.c), for up to a minute.
 *
 * What can be set by netlink is: then a read-only /proc/sys costs no more than IPv6, a long backlog, a second where a
 * port is used again, and where the host allows large receive buffers some speed.
 *
 * Rejected: a TUN device for the slow path.  It needs /dev/net/tun, and blocks its closer for 16 ms.
 */
#include "slowpath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

#include "enter.h"
#include "fd.h"
#include "link_ip.h"
#include "nft.h"
#include "ns.h"
#include "parse.h"

#define SLOW0 SLOWPATH_INDEX
#define SLOW1 (SLOWPATH_INDEX + 1)
#define SLOW_MTU 65535

#define MARK_SLOW 1u /* another one than VNIC_MARK_FLOW, which is routed like none */
#define TABLE_SLOW 10u
#define TABLE_OWN 20u /* IPv4 */
#define TABLE_ANY 40u /* IPv6 */
#define RULE_SLOW 10u
#define RULE_OWN 100u
#define RULE_ANY 40000u

#define PACKET_BUFFER (8 << 20)
#define RECEIVE_MAX (4 << 20)
#define LINK_DEADLINE_MS 10000

/*
 * The router asks for a MAC with a link-local address when the packet's source is a remote's.  The kernel's own, made
 * of the MAC, is tentative for two seconds.
 */
const struct vnic_addr slowpath_link_local = {AF_INET6, 64, {0xfe, 0x80, [15] = 1}};
static const struct vnic_mac slow0_mac = {{0x02, 'v', 'n', 'i', 'c', 0}, true};
static const struct vnic_mac slow1_mac = {{0x02, 'v', 'n', 'i', 'c', 1}, true};

/* --- sysctls ------------------------------------------------------------------------ */

struct sysctl {
	const char *path;
	int wanted;
	bool or_more;
};

static bool suits(const struct sysctl *sysctl, int value)
{
	return sysctl->or_more ? value >= sysctl->wanted : value == sysctl->wanted;
}

/* Writes only what is not so already.  *ret_value is what holds in the end; 0 if it cannot be read. */
static int set_sysctl(const struct sysctl *sysctl, int *ret_value)
{
	CLEANUP_FD int fd = open(sysctl->path, O_RDWR | O_CLOEXEC);
	bool writable = fd >= 0;
	int refused = writable ? 0 : errno;
	char text[16] = "";

	*ret_value = 0;
	if (!writable)
		fd = open(sysctl->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return -errno;
	*ret_value = atoi(text);
	if (suits(sysctl, *ret_value))
		return 0;
	if (!writable)
		return -refused;
	snprintf(text, sizeof(text), "%d", sysctl->wanted);
	if (pwrite(fd, text, strlen(text), 0) < 0)
		return -errno;
	*ret_value = sysctl->wanted;
	return 0;
}

/* The higher of conf/all and conf/LINK counts; strict (1) breaks what comes back through slow0, loose (2) does not. */
static int loosen_rp_filter(struct vnic_error *err)
{
	static const struct sysctl all = {"/proc/sys/net/ipv4/conf/all/rp_filter", 0, false};
	int value, r = set_sysctl(&all, &value);

	return r < 0 && value == 1 ? vnic_fail(err, VNIC_STEP_SYSCTL, -r, all.path, NULL) : 0;
}

/* False where it stays as it is: /proc/sys is read-only. */
static bool stop_early_demux(void)
{
	static const struct sysctl early_demux = {"/proc/sys/net/ipv4/tcp_early_demux", 0, false};
	int value;

	return set_sysctl(&early_demux, &value) == 0;
}

static int widen_backlog(void)
{
	static const struct sysctl somaxconn = {"/proc/sys/net/core/somaxconn", SLOWPATH_BACKLOG, true};
	static const struct sysctl handshakes = {"/proc/sys/net/ipv4/tcp_max_syn_backlog", SLOWPATH_BACKLOG, true};
	int accepts, syns;

	set_sysctl(&somaxconn, &accepts);
	set_sysctl(&handshakes, &syns);
	if (syns < accepts)
		accepts = syns;
	return accepts < SLOWPATH_BACKLOG ? accepts : SLOWPATH_BACKLOG;
}

/*
 * A host may allow receive buffers of tens of MiB, for peers far away.  From the sandbox nothing has far to go: what
 * waits in such a buffer has only left the caches when its turn comes, which on one CPU takes a third of the
 * throughput.
 */
static void limit_receiving(void)
{
	static const char path[] = "/proc/sys/net/ipv4/tcp_rmem";
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	int least, first, most;
	char text[64] = "";

	if (fd < 0 || pread(fd, text, sizeof(text) - 1, 0) <= 0 ||
	    sscanf(text, "%d %d %d", &least, &first, &most) != 3 || first > RECEIVE_MAX || most <= RECEIVE_MAX)
		return;
	snprintf(text, sizeof(text), "%d %d %d", least, first, RECEIVE_MAX);
	ns_set_sysctl(path, text);
}

#define IPV6_ALL "/proc/sys/net/ipv6/conf/all"

/* The caller's /proc is the router's, too.  By its mount, for as an ordinary user the caller may not write there. */
const char *slowpath_no_ipv6(void)
{
	CLEANUP_FD int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct statvfs place;

	if (fd < 0 && errno == EAFNOSUPPORT)
		return "no IPv6: the kernel has none";
	if (statvfs(IPV6_ALL, &place) < 0)
		return "no IPv6: the kernel has none, or /proc/sys is hidden";
	return place.f_flag & ST_RDONLY ? "no IPv6: it needs a /proc/sys that can be written" : NULL;
}

static bool forward_ipv6(const struct plan *plan)
{
	static const struct sysctl forwarding = {IPV6_ALL "/forwarding", 1, false};
	int value;

	return !plan->no_ipv6 && set_sysctl(&forwarding, &value) == 0;
}

/* --- links, rules, routes ----------------------------------------------------------- */

static void add_pair(struct vnic_batch *batch)
{
	const struct vnic_link slow0 = {
		.name = "slow0", .index = SLOW0, .mac = slow0_mac, .mtu = SLOW_MTU, .no_arp = true};
	struct vnic_link slow1 = {
		.kind = VNIC_LINK_VETH,
		.name = "slow1",
		.index = SLOW1,
		.mac = slow1_mac,
		.mtu = SLOW_MTU,
		.no_arp = true,
		.peer = &slow0,
	};

	vnic_batch_link_add(batch, &slow1);
}

static void bring_up(struct vnic_batch *batch, int index, bool ipv6)
{
	if (ipv6)
		batch_link_no_link_local(batch, index);
	vnic_batch_link_set(batch, index, &(struct vnic_link){.up = true});
}

static void add_routing(struct vnic_batch *batch, uint8_t family)
{
	const uint32_t own = family == AF_INET ? TABLE_OWN : RT_TABLE_LOCAL;
	const uint32_t any = family == AF_INET ? RT_TABLE_LOCAL : TABLE_ANY;
	const struct vnic_rule rules[] = {
		{.family = family, .priority = RULE_OWN, .table = own},
		{.family = family, .priority = RULE_SLOW, .fwmark = MARK_SLOW, .fwmask = ~0u, .table = TABLE_SLOW},
		{.family = family, .priority = RULE_ANY, .table = any},
	};
	const struct vnic_rule kernels = {.family = family, .priority = 0, .table = RT_TABLE_LOCAL};
	const struct vnic_addr everything = {.family = family};

	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		vnic_batch_rule_add(batch, &rules[i]);
	vnic_batch_rule_del(batch, &kernels);
	vnic_batch_route_add(batch, &(struct vnic_route){.dst = everything, .oif = SLOW0, .table = TABLE_SLOW});
	vnic_batch_route_add(batch,
			     &(struct vnic_route){.dst = everything, .oif = LO_INDEX, .table = any, .type = RTN_LOCAL});
}

/* All that may ask by ARP lie in the router's own networks there. */
static bool has_one_net(const struct nic_plan *nic)
{
	for (unsigned i = 0; i < nic->nic.addr_count; i++) {
		bool found = nic->nic.addrs[i].family != AF_INET;

		for (unsigned o = 0; o < nic->outer_count && !found; o++)
			found = vnic_addr_contains(&nic->outer[o], &nic->nic.addrs[i]);
		if (!found)
			return false;
	}
	return true;
}

/* What the NIC's end in the router needs. */
static void add_nic(struct vnic_batch *batch, const struct nic_plan *nic, bool ipv6)
{
	batch_link_routes(batch, nic->outer_index, has_one_net(nic));
	if (ipv6 && nic->nic.mtu >= IPV6_LEAST_MTU)
		vnic_batch_addr_add(batch, nic->outer_index, &slowpath_link_local);
	for (unsigned i = 0; i < nic->outer_count; i++) {
		struct vnic_route own = {
			.dst = nic->outer[i], .oif = nic->outer_index, .table = TABLE_OWN, .type = RTN_LOCAL};

		own.dst.prefix = 32;
		if (own.dst.family == AF_INET)
			vnic_batch_route_add(batch, &own);
	}
}

static int add_links(const struct plan *plan, bool ipv6, struct vnic_error *err)
{
	CLEANUP(free_batch) struct vnic_batch *batch = NULL;
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	int r = vnic_nl_open(&nl, err);

	if (r == 0)
		r = vnic_batch_new(&batch, err);
	if (r < 0)
		return r;
	add_pair(batch);
	bring_up(batch, SLOW0, ipv6);
	bring_up(batch, SLOW1, ipv6);
	batch_link_routes(batch, SLOW0, false);
	for (unsigned i = 0; i < plan->count; i++)
		if (nic_is_routed(&plan->nics[i].nic))
			add_nic(batch, &plan->nics[i], ipv6);
	add_routing(batch, AF_INET);
	if (ipv6)
		add_routing(batch, AF_INET6);
	return vnic_batch_send(batch, nl, NULL, err);
}

/* --- the ruleset -------------------------------------------------------------------- */

static int add_ruleset(const struct plan *plan, const struct slowpath *slowpath, struct vnic_error *err)
{
	struct nft_nic nics[VNIC_NICS];
	struct nft_router router = {
		.slow_index = SLOW0,
		.slow_mark = MARK_SLOW,
		.flow_mark = VNIC_MARK_FLOW,
		.tcp_port = SLOWPATH_PORT,
		.udp_port = SLOWPATH_PORT,
		.ipv6 = slowpath->ipv6,
		.early_demux = slowpath->early_demux,
		.nics = nics,
	};

	for (unsigned i = 0; i < plan->count; i++) {
		const struct nic_plan *nic = &plan->nics[i];

		if (!nic_is_gated(&nic->nic))
			continue;
		nics[router.nic_count++] = (struct nft_nic){
			.name = nic->outer_name,
			.index = nic->outer_index,
			.nets = nic->nic.addrs,
			.net_count = nic->nic.addr_count,
			.own = nic->outer,
			.own_count = nic->outer_count,
		};
	}
	return nft_router_apply(&router, err);
}

/* --- sockets ------------------------------------------------------------------------ */

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

void slowpath_widen(int fd, int bytes)
{
	if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes) < 0)
		set(fd, SOL_SOCKET, SO_RCVBUF, bytes);
}

/* Not vnic_packet_open: promiscuous mode would be a line in the kernel's log for each router. */
static int open_packet_socket(int *ret_fd, struct vnic_error *err)
{
	static struct sock_filter no_groups[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog filter = {sizeof(no_groups) / sizeof(no_groups[0]), no_groups};
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = SLOW1};
	/* Protocol 0: nothing is received until bind(2), when all options stand. */
	CLEANUP_FD int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || set(fd, SOL_PACKET, PACKET_VNET_HDR, 1) < 0 ||
	    set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, "slow1", NULL);
	slowpath_widen(fd, PACKET_BUFFER);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Bound to SLOWPATH_PORT of every address; each family has its own socket. */
static int open_transparent(int family, int type, int *ret_fd, struct vnic_error *err)
{
	const struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(SLOWPATH_PORT)};
	const struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(SLOWPATH_PORT)};
	const char *object = family == AF_INET ? "for flows over IPv4" : "for flows over IPv6";
	CLEANUP_FD int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd;

	if (r >= 0 && family == AF_INET)
		r = set(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	else if (r >= 0 && (r = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) == 0)
		r = set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
	if (r == 0)
		r = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0)
		r = family == AF_INET ? bind(fd, (const struct sockaddr *)&any4, sizeof(any4))
				      : bind(fd, (const struct sockaddr *)&any6, sizeof(any6));
	if (r < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, object, NULL);
	*ret_fd = take_fd(&fd);
	return 0;
}

void slowpath_unpace(int fd)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0)
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

static int open_tcp(int family, int backlog, int *ret_fd, struct vnic_error *err)
{
	CLEANUP_FD int fd = -1;
	int r = open_transparent(family, SOCK_STREAM, &fd, err);

	if (r < 0)
		return r;
	slowpath_unpace(fd);
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* what is accepted inherits all of them */
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1); /* see set_up, gateway/tcp.c */
	set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	if (listen(fd, backlog) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "for flows", "listen");
	*ret_fd = take_fd(&fd);
	return 0;
}

static int open_udp(int family, int *ret_fd, struct vnic_error *err)
{
	CLEANUP_FD int fd = -1;
	int r = open_transparent(family, SOCK_DGRAM, &fd, err);

	if (r < 0)
		return r;
	r = family == AF_INET ? set(fd, IPPROTO_IP, IP_RECVORIGDSTADDR, 1)
			      : set(fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1);
	/* No UDP_GRO: only the first datagrams of flows come here, and its static key is paid for on every CPU. */
	if (r < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "for flows", "UDP options");
	slowpath_widen(fd, SLOWPATH_UDP_BUFFER);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int open_sockets(struct slowpath *slowpath, struct vnic_error *err)
{
	static const int families[SLOWPATH_FAMILIES] = {[SLOWPATH_V4] = AF_INET, [SLOWPATH_V6] = AF_INET6};
	int r = open_packet_socket(&slowpath->packet_fd, err);

	for (unsigned i = 0; i < SLOWPATH_FAMILIES && r == 0; i++) {
		if (i == SLOWPATH_V6 && !slowpath->ipv6)
			continue;
		r = open_tcp(families[i], slowpath->backlog, &slowpath->tcp[i], err);
		if (r == 0)
			r = open_udp(families[i], &slowpath->udp[i], err);
	}
	return r;
}

/* --- all of it ---------------------------------------------------------------------- */

/* A new link drops frames until the kernel's deferred work has seen its carrier. */
static int wait_for_pair(struct vnic_error *err)
{
	struct vnic_monitor *monitor;
	int r = vnic_monitor_open(&monitor, err);

	if (r < 0)
		return r;
	r = vnic_monitor_wait_link(monitor, SLOW0, "slow0", VNIC_LINK_OPER_UP, LINK_DEADLINE_MS, err);
	if (r == 0)
		r = vnic_monitor_wait_link(monitor, SLOW1, "slow1", VNIC_LINK_OPER_UP, LINK_DEADLINE_MS, err);
	vnic_monitor_close(monitor);
	return r;
}

void slowpath_close(struct slowpath *slowpath)
{
	close_fd(&slowpath->packet_fd);
	for (unsigned i = 0; i < SLOWPATH_FAMILIES; i++) {
		close_fd(&slowpath->tcp[i]);
		close_fd(&slowpath->udp[i]);
	}
}

int slowpath_set_up(const struct plan *plan, struct slowpath *ret_slowpath, struct vnic_error *err)
{
	struct slowpath slowpath = SLOWPATH_EMPTY;
	int r = loosen_rp_filter(err);

	slowpath.early_demux = !stop_early_demux();
	slowpath.slow0_mac = slow0_mac;
	slowpath.slow1_mac = slow1_mac;
	slowpath.backlog = widen_backlog();
	limit_receiving();
	slowpath.ipv6 = forward_ipv6(plan);
	if (r == 0)
		r = add_links(plan, slowpath.ipv6, err);
	if (r == 0)
		r = open_sockets(&slowpath, err);
	if (r < 0)
		slowpath_close(&slowpath);
	else
		*ret_slowpath = slowpath;
	return r;
}

int slowpath_let_in(const struct plan *plan, const struct slowpath *slowpath, struct vnic_error *err)
{
	int r = add_ruleset(plan, slowpath, err);

	return r < 0 ? r : wait_for_pair(err);
}
