/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The router's ruleset: which packets of a sandbox begin a flow, and which are let through at all.
 *
 * Theory of operation.  One chain of the kernel, at prerouting, sends a packet by its interface to a chain of
 * its own, and drops what came in anywhere else:
 *
 *   slow0  from the gateway: a SYN goes to the transparent listener; the rest (errors, resets, answers) is routed
 *   NIC    from the sandbox: is the source one of the NIC's?  rp_filter is off, so nobody else asks
 *   flows  a SYN or an echo request is marked, and the routing rules lead it into slow0; UDP goes to its transparent
 *          socket; the rest belongs to connections of the kernel's or gets the kernel's "unreachable"
 *   again  only with early demux: a SYN for a connection that is known (see there)
 *   group  broadcast, multicast: for the router's DHCP and neighbour discovery; tproxy would swallow the rest
 *   own    to the router itself: it answers echo requests, whatever the policy
 *   link   link-local addresses never leave the link: only ICMPv6 and DHCPv6
 *
 * Every source that the router answers becomes an entry in the kernel's table of neighbours, which all namespaces of
 * the machine share, the host's too.  So that no guest fills it, sources are counted: for IPv6 in a set, of which a NIC
 * has one; for IPv4 the prefix is the bound, and arp_ignore holds ARP to it, which passes none of these rules.  What
 * is dropped for its source a NIC counts.
 *
 * Each packet of an established connection passes a dozen comparisons, and so does a super-frame of 64 KiB.
 *
 * Rejected: sets and verdict maps for that.  nft(8) shows them more compactly, but with one NIC and two prefixes they
 * are not faster, and need a round of messages of their own.  Rejected: iifname; an index is one comparison of four
 * bytes.
 */
#include "nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "fd.h"
#include "nft_batch.h"
#include "nft_counter.h"

#define TABLE "vnic"
#define PORT_DHCP 67
#define PORT_DHCP6 547
#define LO_INDEX 1
#define IP6_SOURCE_AT 8
#define IP6_BYTES 16
#define SOURCE_SECONDS 300

/* --- words -------------------------------------------------------------------------- */

static void is_meta_u8(struct nft_batch *batch, enum nft_meta_keys key, uint8_t value)
{
	nft_load_meta(batch, key);
	nft_compare(batch, NFT_CMP_EQ, &value, sizeof(value));
}

static void is_ip(struct nft_batch *batch, uint8_t family)
{
	is_meta_u8(batch, NFT_META_NFPROTO, family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

static void is_protocol(struct nft_batch *batch, uint8_t protocol)
{
	is_meta_u8(batch, NFT_META_L4PROTO, protocol);
}

static void is_from_link(struct nft_batch *batch, int index)
{
	nft_load_meta(batch, NFT_META_IIF);
	nft_compare(batch, NFT_CMP_EQ, &index, sizeof(index));
}

enum ip_field { IP_SOURCE, IP_DESTINATION };

/* The address of that field lies in the network. */
static void is_in(struct nft_batch *batch, enum ip_field field, const struct vnic_addr *net)
{
	static const uint32_t offsets[2][2] = {{12, 8}, {16, 24}}; /* [field][IPv6] */
	struct vnic_addr first = vnic_addr_host(net, 0);
	unsigned whole = net->prefix / 8u, rest = net->prefix % 8u;
	uint32_t size = whole;
	uint8_t mask[16] = {0};

	is_ip(batch, net->family);
	if (!net->prefix)
		return;
	if (rest)
		size = net->family == AF_INET ? 4 : 16; /* as nft(8) does, which then can show it */
	nft_load(batch, NFT_PAYLOAD_NETWORK_HEADER, offsets[field][net->family == AF_INET6], size);
	if (rest) {
		memset(mask, 0xff, whole);
		mask[whole] = (uint8_t)(0xff << (8 - rest));
		nft_mask(batch, mask, size);
	}
	nft_compare(batch, NFT_CMP_EQ, first.bytes, size);
}

static void is_host(struct nft_batch *batch, enum ip_field field, const struct vnic_addr *addr)
{
	struct vnic_addr host = *addr;

	host.prefix = host.family == AF_INET ? 32 : 128;
	is_in(batch, field, &host);
}

static void is_udp_to(struct nft_batch *batch, uint16_t port)
{
	uint16_t wire_port = htons(port);

	is_protocol(batch, IPPROTO_UDP);
	nft_load(batch, NFT_PAYLOAD_TRANSPORT_HEADER, 2, sizeof(wire_port));
	nft_compare(batch, NFT_CMP_EQ, &wire_port, sizeof(wire_port));
}

/* TCP that asks for a connection: SYN, and neither ACK nor RST. */
static void is_syn(struct nft_batch *batch)
{
	const uint8_t looked_at = 0x02 | 0x10 | 0x04, syn = 0x02;

	is_protocol(batch, IPPROTO_TCP);
	nft_load(batch, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1);
	nft_mask(batch, &looked_at, 1);
	nft_compare(batch, NFT_CMP_EQ, &syn, 1);
}

/* ICMP or ICMPv6 of the types first to last. */
static void is_icmp(struct nft_batch *batch, uint8_t protocol, uint8_t first, uint8_t last)
{
	is_protocol(batch, protocol);
	nft_load(batch, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
	if (first == last) {
		nft_compare(batch, NFT_CMP_EQ, &first, 1);
	} else {
		nft_compare(batch, NFT_CMP_GTE, &first, 1);
		nft_compare(batch, NFT_CMP_LTE, &last, 1);
	}
}

/* --- chains ------------------------------------------------------------------------- */

static const struct vnic_addr nobody4 = {AF_INET, 32, {0}};
static const struct vnic_addr nobody6 = {AF_INET6, 128, {0}};
static const struct vnic_addr group4 = {AF_INET, 3, {224}}; /* multicast, reserved, and limited broadcast */
static const struct vnic_addr group6 = {AF_INET6, 8, {0xff}};
static const struct vnic_addr link6 = {AF_INET6, 10, {0xfe, 0x80}};

static void write_slow(struct nft_batch *batch, const struct nft_router *router)
{
	nft_chain(batch, "slow");

	nft_rule(batch);
	is_syn(batch);
	nft_tproxy(batch, router->tcp_port);
	nft_accept(batch);

	nft_rule(batch);
	nft_accept(batch);
}

static void write_group(struct nft_batch *batch)
{
	nft_chain(batch, "group");

	nft_rule(batch);
	is_ip(batch, AF_INET);
	is_udp_to(batch, PORT_DHCP);
	nft_accept(batch);

	nft_rule(batch);
	is_ip(batch, AF_INET6);
	is_udp_to(batch, PORT_DHCP6);
	nft_accept(batch);

	nft_rule(batch);
	is_icmp(batch, IPPROTO_ICMPV6, ND_ROUTER_SOLICIT, ND_NEIGHBOR_ADVERT);
	nft_accept(batch);

	nft_rule(batch);
	nft_drop(batch);
}

static void write_own(struct nft_batch *batch, const struct nft_router *router)
{
	nft_chain(batch, "own");

	nft_rule(batch);
	is_ip(batch, AF_INET);
	is_udp_to(batch, PORT_DHCP);
	nft_accept(batch);

	nft_rule(batch);
	is_protocol(batch, IPPROTO_UDP);
	nft_tproxy(batch, router->udp_port);
	nft_accept(batch);

	nft_rule(batch);
	nft_accept(batch);
}

static void write_link(struct nft_batch *batch)
{
	nft_chain(batch, "link");

	nft_rule(batch);
	is_protocol(batch, IPPROTO_ICMPV6);
	nft_accept(batch);

	nft_rule(batch);
	is_udp_to(batch, PORT_DHCP6);
	nft_accept(batch);

	nft_rule(batch);
	nft_drop(batch);
}

static void mark_slow(struct nft_batch *batch, const struct nft_router *router)
{
	nft_set_mark(batch, router->slow_mark);
	nft_accept(batch);
}

/*
 * A datagram of a flow that is open: the kernel finds its connected socket by itself, and the route that this remembers
 * (udp_v4_early_demux, net/ipv4/udp.c), which costs a fifth less than the rest of this chain and tproxy.  The mark is
 * given when it is connected: until then it would take the datagrams of others.
 */
static void let_open_flows_through(struct nft_batch *batch, const struct nft_router *router)
{
	nft_rule(batch);
	is_protocol(batch, IPPROTO_UDP);
	nft_has_socket(batch, router->flow_mark);
	nft_accept(batch);
}

/* Broadcast and multicast, by the link's header or by IP's. */
static void leave_groups_out(struct nft_batch *batch)
{
	const uint8_t to_host = PACKET_HOST;

	nft_rule(batch);
	nft_load_meta(batch, NFT_META_PKTTYPE);
	nft_compare(batch, NFT_CMP_NEQ, &to_host, sizeof(to_host));
	nft_goto(batch, "group");

	nft_rule(batch);
	is_in(batch, IP_DESTINATION, &group4);
	nft_goto(batch, "group");

	nft_rule(batch);
	is_in(batch, IP_DESTINATION, &group6);
	nft_goto(batch, "group");
}

/*
 * With early demux the kernel drops a SYN on its way to slow0 that meets the TIME-WAIT of its port's former connection.
 * tproxy ends that socket, as for any SYN that takes it up again, but gives the packet the listener's instead, so this
 * one is lost all the same; the client's next, a second later, is not.  A connection that still stands answers by
 * itself.
 */
static void write_again(struct nft_batch *batch, const struct nft_router *router)
{
	nft_chain(batch, "again");

	nft_rule(batch);
	nft_has_socket(batch, 0); /* TIME-WAIT has no mark, not even 0 */
	nft_accept(batch);

	nft_rule(batch);
	is_protocol(batch, IPPROTO_TCP);
	nft_tproxy(batch, router->tcp_port);
	nft_drop(batch);

	nft_rule(batch);
	nft_drop(batch);
}

static void write_flows(struct nft_batch *batch, const struct nft_router *router, bool can_tell)
{
	nft_chain(batch, "flows");
	if (can_tell)
		let_open_flows_through(batch, router);
	leave_groups_out(batch);

	if (can_tell && router->early_demux) {
		nft_rule(batch);
		is_syn(batch);
		nft_has_transparent(batch);
		nft_goto(batch, "again");
	}
	nft_rule(batch);
	is_syn(batch);
	mark_slow(batch, router);

	nft_rule(batch);
	is_protocol(batch, IPPROTO_TCP);
	nft_accept(batch);

	for (unsigned i = 0; i < router->nic_count; i++) {
		const struct nft_nic *nic = &router->nics[i];

		for (unsigned a = 0; a < nic->own_count; a++) {
			nft_rule(batch);
			is_host(batch, IP_DESTINATION, &nic->own[a]);
			nft_goto(batch, "own");
		}
	}

	nft_rule(batch);
	is_in(batch, IP_DESTINATION, &link6);
	nft_goto(batch, "link");

	nft_rule(batch);
	is_protocol(batch, IPPROTO_UDP);
	nft_tproxy(batch, router->udp_port);
	nft_accept(batch);

	nft_rule(batch);
	is_icmp(batch, IPPROTO_ICMP, ICMP_ECHO, ICMP_ECHO);
	mark_slow(batch, router);

	nft_rule(batch);
	is_icmp(batch, IPPROTO_ICMPV6, ICMP6_ECHO_REQUEST, ICMP6_ECHO_REQUEST);
	mark_slow(batch, router);

	nft_rule(batch);
	is_icmp(batch, IPPROTO_ICMP, ICMP_TIMESTAMP, ICMP_ADDRESSREPLY); /* the kernel would answer for the remote */
	nft_drop(batch);

	nft_rule(batch);
	nft_accept(batch);
}

static bool speaks(const struct nft_router *router, const struct vnic_addr *addr)
{
	return addr->family == AF_INET || router->ipv6;
}

/* In a network of 2^64 addresses a NIC has so many and no more: see on top. */
static void is_known_source(struct nft_batch *batch, const struct nft_nic *nic, const struct vnic_addr *net)
{
	is_in(batch, IP_SOURCE, net);
	nft_load(batch, NFT_PAYLOAD_NETWORK_HEADER, IP6_SOURCE_AT, IP6_BYTES);
	nft_in_set(batch, nic->name);
}

/* A host that has no address yet. */
static void let_nobody_ask(struct nft_batch *batch, bool ipv6)
{
	nft_rule(batch);
	is_in(batch, IP_SOURCE, &nobody4);
	is_udp_to(batch, PORT_DHCP);
	nft_accept(batch);

	nft_rule(batch);
	is_in(batch, IP_SOURCE, &nobody4);
	nft_drop(batch);

	if (ipv6) {
		nft_rule(batch);
		is_in(batch, IP_SOURCE, &nobody6);
		is_icmp(batch, IPPROTO_ICMPV6, ND_ROUTER_SOLICIT, ND_NEIGHBOR_SOLICIT);
		nft_accept(batch);
	}
	nft_rule(batch);
	if (ipv6)
		is_in(batch, IP_SOURCE, &nobody6);
	else
		is_ip(batch, AF_INET6);
	nft_drop(batch);
}

static void let_link_through(struct nft_batch *batch, const struct nft_nic *nic)
{
	nft_rule(batch);
	is_known_source(batch, nic, &link6);
	nft_goto(batch, "link");
}

static void let_net_through(struct nft_batch *batch, const struct nft_nic *nic, const struct vnic_addr *net)
{
	nft_rule(batch);
	if (net->family == AF_INET6)
		is_host(batch, IP_SOURCE, net); /* the NIC's own, of which there is one */
	else
		is_in(batch, IP_SOURCE, net);
	nft_goto(batch, "flows");

	if (net->family != AF_INET6)
		return;
	nft_rule(batch);
	is_known_source(batch, nic, net);
	nft_goto(batch, "flows");
}

static void refuse(struct nft_batch *batch, const struct nft_nic *nic, bool can_count)
{
	if (can_count)
		nft_count(batch, nic->name);
	nft_drop(batch);
}

static void write_nic(struct nft_batch *batch, const struct nft_router *router, const struct nft_nic *nic,
		      bool can_count)
{
	if (router->ipv6)
		nft_set(batch, nic->name, NFT_SOURCES, SOURCE_SECONDS);
	if (can_count)
		nft_counter(batch, nic->name);
	nft_chain(batch, nic->name);

	for (unsigned i = 0; i < nic->own_count; i++) {
		nft_rule(batch);
		is_host(batch, IP_SOURCE, &nic->own[i]);
		refuse(batch, nic, can_count);
	}
	for (unsigned i = 0; i < nic->net_count; i++) {
		if (!speaks(router, &nic->nets[i]))
			continue;
		let_net_through(batch, nic, &nic->nets[i]);
	}
	let_nobody_ask(batch, router->ipv6);
	if (router->ipv6)
		let_link_through(batch, nic);

	nft_rule(batch);
	refuse(batch, nic, can_count);
}

static void write_prerouting(struct nft_batch *batch, const struct nft_router *router)
{
	nft_hook(batch, "prerouting", NF_INET_PRE_ROUTING, NF_IP_PRI_MANGLE);

	for (unsigned i = 0; i < router->nic_count; i++) {
		nft_rule(batch);
		is_from_link(batch, router->nics[i].index);
		nft_goto(batch, router->nics[i].name);
	}
	nft_rule(batch);
	is_from_link(batch, router->slow_index);
	nft_goto(batch, "slow");

	nft_rule(batch);
	is_from_link(batch, LO_INDEX);
	nft_accept(batch);
}

static void free_batch(struct nft_batch **batch)
{
	nft_batch_free(*batch);
}

/* can_tell: the kernel can, whose socket a packet would find, and how many were dropped. */
static int apply(const struct nft_router *router, bool can_tell, struct vnic_error *err)
{
	CLEANUP(free_batch) struct nft_batch *batch = NULL;
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	int r = nft_batch_new(&batch, err);

	if (r == 0)
		r = socket_open(NETLINK_NETFILTER, &nl, err);
	if (r == -EPROTONOSUPPORT)
		return vnic_fail(err, VNIC_STEP_NFT, -r, TABLE, NULL);
	if (r < 0)
		return r;
	nft_table(batch, TABLE);
	write_slow(batch, router);
	write_group(batch);
	write_own(batch, router);
	write_link(batch);
	if (can_tell && router->early_demux)
		write_again(batch, router);
	write_flows(batch, router, can_tell);
	for (unsigned i = 0; i < router->nic_count; i++)
		write_nic(batch, router, &router->nics[i], can_tell);
	write_prerouting(batch, router);
	return nft_batch_send(batch, nl, err);
}

int nft_router_apply(const struct nft_router *router, struct vnic_error *err)
{
	int r = apply(router, true, err);

	/* A kernel without nft_socket or nft_counter: it works as well, and slower. */
	return r == -ENOENT ? apply(router, false, err) : r;
}

int nft_router_dropped(const char *nic, uint64_t *ret_packets, struct vnic_error *err)
{
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	int r = socket_open(NETLINK_NETFILTER, &nl, err);

	return r < 0 ? r : nft_counter_read(nl, TABLE, nic, ret_packets, err);
}
