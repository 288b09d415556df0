/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames written by hand: IPv4 and IPv6, TCP, UDP and ICMP, with whole checksums. */
#ifndef TESTS_KERNEL_TPROXY_FRAMES_H
#define TESTS_KERNEL_TPROXY_FRAMES_H

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "tproxy_world.h"

#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct forged {
	const char *src, *dst;
	uint16_t sport, dport;
	uint8_t protocol;
	uint8_t tcp_flags;
	uint32_t tcp_seq, tcp_ack;
	uint8_t icmp_type, icmp_code;
	uint8_t hops; /* 0: 64 */
	const void *payload;
	size_t payload_size;
};

static inline bool is_v6(const char *ip)
{
	return strchr(ip, ':');
}

static inline void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static inline uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static inline uint32_t sum16(const uint8_t *bytes, size_t size, uint32_t sum)
{
	for (size_t i = 0; i < size; i++)
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

static inline uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Writes layer 4 and returns its size; *ret_checksum is where the checksum goes. */
static inline size_t put_l4(uint8_t *at, const struct forged *forged, uint8_t **ret_checksum)
{
	size_t head = 8;

	put16(at, forged->sport);
	put16(at + 2, forged->dport);
	switch (forged->protocol) {
	case IPPROTO_TCP:
		head = 20;
		put32(at + 4, forged->tcp_seq);
		put32(at + 8, forged->tcp_ack);
		at[12] = 5 << 4;
		at[13] = forged->tcp_flags;
		put16(at + 14, 65535);
		*ret_checksum = at + 16;
		break;
	case IPPROTO_UDP:
		put16(at + 4, head + forged->payload_size);
		*ret_checksum = at + 6;
		break;
	default:
		at[0] = forged->icmp_type;
		at[1] = forged->icmp_code;
		put16(at + 2, 0);
		*ret_checksum = at + 2;
	}
	if (forged->payload_size)
		memcpy(at + head, forged->payload, forged->payload_size);
	return head + forged->payload_size;
}

static inline size_t put_ip(uint8_t *at, const struct forged *forged, size_t l4_size)
{
	int family = is_v6(forged->dst) ? AF_INET6 : AF_INET;

	if (family == AF_INET6) {
		at[0] = 0x60;
		put16(at + 4, l4_size);
		at[6] = forged->protocol;
		at[7] = forged->hops ? forged->hops : 64;
		assert_int_equal(inet_pton(family, forged->src, at + 8), 1);
		assert_int_equal(inet_pton(family, forged->dst, at + 24), 1);
		return 40;
	}
	at[0] = 0x45;
	put16(at + 2, 20 + l4_size);
	at[8] = forged->hops ? forged->hops : 64;
	at[9] = forged->protocol;
	assert_int_equal(inet_pton(family, forged->src, at + 12), 1);
	assert_int_equal(inet_pton(family, forged->dst, at + 16), 1);
	put16(at + 10, folded(sum16(at, 20, 0)));
	return 20;
}

/* An Ethernet frame without MACs, but for the type. */
static inline struct slow_frame forge(const struct forged *forged)
{
	struct slow_frame frame = {.size = ETHER};
	bool v6 = is_v6(forged->dst);
	uint8_t *ip = frame.data + ETHER, *l4 = ip + (v6 ? 40 : 20), *checksum;
	size_t l4_size = put_l4(l4, forged, &checksum);
	size_t ip_size = put_ip(ip, forged, l4_size);
	uint32_t sum = 0;

	put16(frame.data + 12, v6 ? ETH_P_IPV6 : ETH_P_IP);
	if (forged->protocol != IPPROTO_ICMP) /* the pseudo-header */
		sum = sum16(ip + (v6 ? 8 : 12), v6 ? 32 : 8, forged->protocol + (uint32_t)l4_size);
	put16(checksum, folded(sum16(l4, l4_size, sum)));
	frame.size += ip_size + l4_size;
	return frame;
}

/* --- through the slow path ---------------------------------------------------------- */

static inline void slow_forge(const struct world *world, const struct forged *forged)
{
	struct slow_frame frame = forge(forged);

	memcpy(frame.data, world->slow.slow0_mac.bytes, VNIC_MAC_LEN);
	memcpy(frame.data + VNIC_MAC_LEN, world->slow.slow1_mac.bytes, VNIC_MAC_LEN);
	slow_write(world, &frame);
}

static inline const uint8_t *ip_of(const struct slow_frame *frame)
{
	return frame->data + ETHER;
}

/* Without options and extension headers. */
static inline const uint8_t *l4_of(const struct slow_frame *frame)
{
	return ip_of(frame) + (frame->data[ETHER] >> 4 == 6 ? 40 : 20);
}

static inline uint8_t protocol_of(const struct slow_frame *frame)
{
	return ip_of(frame)[frame->data[ETHER] >> 4 == 6 ? 6 : 9];
}

static inline void slow_answer_reset(const struct world *world, const struct slow_frame *syn, const char *remote)
{
	const uint8_t *tcp = l4_of(syn);

	slow_forge(world, &(struct forged){
				  .src = remote,
				  .dst = is_v6(remote) ? SANDBOX6 : SANDBOX4,
				  .sport = get16(tcp + 2),
				  .dport = get16(tcp),
				  .protocol = IPPROTO_TCP,
				  .tcp_flags = TCP_RST | TCP_ACK,
				  .tcp_ack = get32(tcp + 4) + 1,
			  });
}

/* An ICMP error of the router's about an IP packet of the sandbox. */
static inline void slow_answer_error(const struct world *world, const uint8_t *ip, size_t ip_size, uint8_t type,
				     uint8_t code)
{
	bool v6 = ip[0] >> 4 == 6;

	slow_forge(world, &(struct forged){
				  .src = v6 ? ROUTER6 : ROUTER4,
				  .dst = v6 ? SANDBOX6 : SANDBOX4,
				  .protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
				  .icmp_type = type,
				  .icmp_code = code,
				  .payload = ip,
				  .payload_size = ip_size,
			  });
}

/* --- from the sandbox --------------------------------------------------------------- */

/* A packet socket on eth0. */
static inline int sandbox_wire(const struct world *world)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_ifindex = world->plan.nics[0].inner_index};
	int fd = sandbox_socket(world, AF_PACKET, SOCK_RAW, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* `to`: NULL is the router. */
static inline void sandbox_forge(const struct world *world, int wire, const uint8_t *to, const struct forged *forged)
{
	struct slow_frame frame = forge(forged);

	memcpy(frame.data, to ? to : world->plan.nics[0].outer_mac.bytes, VNIC_MAC_LEN);
	memcpy(frame.data + VNIC_MAC_LEN, world->plan.nics[0].inner_mac.bytes, VNIC_MAC_LEN);
	assert_int_equal(write(wire, frame.data, frame.size), frame.size);
}

#endif
