/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "packet.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdatomic.h>
#include <string.h>

#include "bytes.h"
#include "checksum.h"

#define EXTENSIONS_MAX 8
#define SEGMENTS_LEFT 3 /* RFC 8200 4.4: where a routing header says so */
#define HOPS 64
#define QUOTE4 576  /* RFC 1812 4.3.2.3: the error is at most this long */
#define QUOTE6 1280 /* RFC 4443 2.4 (c) */

/* --- reading ------------------------------------------------------------------------ */

/* With its header.  0 over IPv6 is as much as there is, which the kernel takes of a short one too (RFC 2675). */
static size_t udp_length(const struct packet *packet)
{
	size_t said = get16(packet->l4 + 4);

	return said == 0 && packet->key.family == AF_INET6 ? packet->l4_len : said;
}

static bool parse_ports(struct packet *packet)
{
	const uint8_t *l4 = packet->l4;
	bool v4 = packet->key.family == AF_INET;

	switch (packet->proto) {
	case IPPROTO_TCP:
		if (packet->l4_len < sizeof(struct tcphdr) || (l4[12] >> 4) * 4u < sizeof(struct tcphdr) ||
		    (l4[12] >> 4) * 4u > packet->l4_len)
			return false;
		break;
	case IPPROTO_UDP:
		if (packet->l4_len < sizeof(struct udphdr) || udp_length(packet) < sizeof(struct udphdr) ||
		    udp_length(packet) > packet->l4_len)
			return false;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if ((packet->proto == IPPROTO_ICMP) != v4 || packet->l4_len < 8)
			return false;
		if (l4[0] == (v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST))
			packet->key.src.port = get16(l4 + 4);
		return true;
	default:
		return true;
	}
	packet->key.src.port = get16(l4);
	packet->key.dst.port = get16(l4 + 2);
	return true;
}

static bool parse_v4(const uint8_t *ip, size_t size, struct packet *packet)
{
	size_t header, total;

	if (size < sizeof(struct iphdr) || ip[0] >> 4 != 4)
		return false;
	header = (ip[0] & 15) * 4u;
	total = get16(ip + 2);
	if (header < sizeof(struct iphdr) || total < header || total > size)
		return false;
	packet->key.family = AF_INET;
	memcpy(packet->key.src.addr, ip + 12, 4);
	memcpy(packet->key.dst.addr, ip + 16, 4);
	packet->ip_len = total;
	packet->proto = ip[9];
	packet->fragment = get16(ip + 6) & (IP_MF | IP_OFFMASK);
	packet->more = get16(ip + 6) & IP_MF;
	packet->offset = (uint16_t)((get16(ip + 6) & IP_OFFMASK) * 8);
	packet->id = get16(ip + 4);
	packet->dont_cut = get16(ip + 6) & IP_DF;
	packet->l4 = ip + header;
	packet->l4_len = total - header;
	return packet->fragment || parse_ports(packet);
}

/* Walks extension headers; false where the chain does not end in the packet. */
static bool skip_extensions(struct packet *packet)
{
	for (int i = 0; i <= EXTENSIONS_MAX; i++) {
		const uint8_t *h = packet->l4;
		size_t len;

		switch (packet->proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (packet->l4_len < 8 || (packet->proto == IPPROTO_ROUTING && h[SEGMENTS_LEFT]))
				return false;
			len = (h[1] + 1u) * 8;
			break;
		case IPPROTO_FRAGMENT:
			if (packet->l4_len < 8)
				return false;
			packet->more = get16(h + 2) & 1;
			packet->offset = get16(h + 2) & 0xfff8;
			packet->id = get32(h + 4);
			packet->fragment = packet->more || packet->offset;
			len = 8;
			break;
		default:
			return true;
		}
		if (len > packet->l4_len)
			return false;
		packet->proto = h[0];
		packet->l4 += len;
		packet->l4_len -= len;
		if (packet->fragment)
			return true;
	}
	return false;
}

static bool parse_v6(const uint8_t *ip, size_t size, struct packet *packet)
{
	size_t payload;

	if (size < sizeof(struct ip6_hdr) || ip[0] >> 4 != 6)
		return false;
	payload = get16(ip + 4);
	if (payload > size - sizeof(struct ip6_hdr))
		return false;
	packet->key.family = AF_INET6;
	memcpy(packet->key.src.addr, ip + 8, 16);
	memcpy(packet->key.dst.addr, ip + 24, 16);
	packet->ip_len = sizeof(struct ip6_hdr) + payload;
	packet->proto = ip[6];
	packet->dont_cut = true;
	packet->l4 = ip + sizeof(struct ip6_hdr);
	packet->l4_len = payload;
	return skip_extensions(packet) && (packet->fragment || parse_ports(packet));
}

bool packet_parse(const uint8_t *frame, size_t size, struct packet *ret_packet)
{
	struct packet packet = {0};
	bool good;

	if (size < ETH_HLEN)
		return false;
	packet.ip = frame + ETH_HLEN;
	switch (get16(frame + 12)) {
	case ETHERTYPE_IP:
		good = parse_v4(packet.ip, size - ETH_HLEN, &packet);
		break;
	case ETHERTYPE_IPV6:
		good = parse_v6(packet.ip, size - ETH_HLEN, &packet);
		break;
	default:
		return false;
	}
	if (good)
		*ret_packet = packet;
	return good;
}

uint8_t packet_tcp_flags(const struct packet *packet)
{
	return packet->l4[13];
}

uint32_t packet_tcp_seq(const struct packet *packet)
{
	return get32(packet->l4 + 4);
}

/* --- checksums ---------------------------------------------------------------------- */

static uint16_t l4_checksum(const struct flow_key *key, uint8_t proto, const uint8_t *l4, size_t size)
{
	size_t len = key->family == AF_INET ? 4 : 16;
	uint64_t sum = checksum_add_pseudo(0, key->src.addr, key->dst.addr, len, proto, (uint32_t)size);

	return checksum_finish(checksum_add(sum, l4, size));
}

const uint8_t *packet_datagram(const struct packet *packet)
{
	return packet->l4 + sizeof(struct udphdr);
}

size_t packet_datagram_size(const struct packet *packet)
{
	return udp_length(packet) - sizeof(struct udphdr);
}

/* The sum is 0 where the checksum is among the bytes and right; over IPv4 a datagram may have none. */
bool packet_is_intact(const struct packet *packet, bool udp_is_right)
{
	bool v4 = packet->key.family == AF_INET;

	if (v4 && checksum_finish(checksum_add(0, packet->ip, (size_t)(packet->l4 - packet->ip))) != 0)
		return false;
	if (get16(packet->l4 + 6) == 0)
		return v4;
	return udp_is_right || l4_checksum(&packet->key, IPPROTO_UDP, packet->l4, udp_length(packet)) == 0;
}

/* --- writing ------------------------------------------------------------------------ */

/* The router may cut what is longer than the NIC's MTU: the parts of two packets must not be mixed up (RFC 6864). */
static _Atomic uint16_t identification;

/* Link and IP headers of a packet from the key's dst to its src; returns where layer 4 begins. */
static uint8_t *begin(const struct flow_key *key, uint8_t proto, size_t l4_len, const struct link_ends *ends,
		      uint8_t *buf)
{
	uint8_t *ip = buf + ETH_HLEN;
	bool v4 = key->family == AF_INET;

	memcpy(buf, ends->to, VNIC_MAC_LEN);
	memcpy(buf + VNIC_MAC_LEN, ends->from, VNIC_MAC_LEN);
	put16(buf + 12, v4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	if (v4) {
		memset(ip, 0, sizeof(struct iphdr));
		ip[0] = 0x45;
		put16(ip + 2, (unsigned)(sizeof(struct iphdr) + l4_len));
		put16(ip + 4, atomic_fetch_add_explicit(&identification, 1, memory_order_relaxed));
		ip[8] = HOPS;
		ip[9] = proto;
		memcpy(ip + 12, key->dst.addr, 4);
		memcpy(ip + 16, key->src.addr, 4);
		put16(ip + 10, checksum_finish(checksum_add(0, ip, sizeof(struct iphdr))));
		return ip + sizeof(struct iphdr);
	}
	memset(ip, 0, sizeof(struct ip6_hdr));
	ip[0] = 0x60;
	put16(ip + 4, (unsigned)l4_len);
	ip[6] = proto;
	ip[7] = HOPS;
	memcpy(ip + 8, key->dst.addr, 16);
	memcpy(ip + 24, key->src.addr, 16);
	return ip + sizeof(struct ip6_hdr);
}

static size_t room(const struct flow_key *key)
{
	return 65535 - (key->family == AF_INET ? sizeof(struct iphdr) : 0);
}

size_t packet_make_reset(const struct packet *syn, const struct link_ends *ends, uint8_t *buf)
{
	uint8_t *tcp = begin(&syn->key, IPPROTO_TCP, sizeof(struct tcphdr), ends, buf);

	memset(tcp, 0, sizeof(struct tcphdr));
	put16(tcp, syn->key.dst.port);
	put16(tcp + 2, syn->key.src.port);
	put32(tcp + 8, packet_tcp_seq(syn) + 1); /* a SYN counts one; data with it was never accepted */
	tcp[12] = sizeof(struct tcphdr) / 4 << 4;
	tcp[13] = TCP_RST | TCP_ACK;
	put16(tcp + 16, l4_checksum(&syn->key, IPPROTO_TCP, tcp, sizeof(struct tcphdr)));
	return (size_t)(tcp - buf) + sizeof(struct tcphdr);
}

size_t packet_make_bare_syn(const struct packet *syn, const struct link_ends *ends, uint8_t *buf)
{
	const struct flow_key back = {.src = syn->key.dst, .dst = syn->key.src, .family = syn->key.family};
	size_t len = (syn->l4[12] >> 4) * 4u;
	uint8_t *tcp = begin(&back, IPPROTO_TCP, len, ends, buf);

	memcpy(tcp, syn->l4, len);
	put16(tcp + 16, 0);
	put16(tcp + 16, l4_checksum(&back, IPPROTO_TCP, tcp, len));
	return (size_t)(tcp - buf) + len;
}

size_t packet_make_error(const struct packet *cause, const struct icmp_error *error, const struct link_ends *ends,
			 uint8_t *buf)
{
	bool v4 = cause->key.family == AF_INET;
	size_t header = v4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr);
	size_t quote_max = (v4 ? QUOTE4 : QUOTE6) - header - 8;
	size_t quote = cause->ip_len < quote_max ? cause->ip_len : quote_max;
	uint8_t proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	uint8_t *icmp = begin(&cause->key, proto, 8 + quote, ends, buf);

	memset(icmp, 0, 4);
	icmp[0] = error->type;
	icmp[1] = error->code;
	put32(icmp + 4, error->info);
	memcpy(icmp + 8, cause->ip, quote);
	put16(icmp + 2, v4 ? checksum_finish(checksum_add(0, icmp, 8 + quote))
			   : l4_checksum(&cause->key, proto, icmp, 8 + quote));
	return (size_t)(icmp - buf) + 8 + quote;
}

size_t packet_make_unreachable(const struct packet *cause, enum unreachable why, const struct link_ends *ends,
			       uint8_t *buf)
{
	static const uint8_t codes4[] = {ICMP_NET_UNREACH, ICMP_HOST_UNREACH, ICMP_PORT_UNREACH, ICMP_PKT_FILTERED};
	static const uint8_t codes6[] = {ICMP6_DST_UNREACH_NOROUTE, ICMP6_DST_UNREACH_ADDR, ICMP6_DST_UNREACH_NOPORT,
					 ICMP6_DST_UNREACH_ADMIN};
	bool v4 = cause->key.family == AF_INET;
	const struct icmp_error error = {
		.type = v4 ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH,
		.code = v4 ? codes4[why] : codes6[why],
	};

	return packet_make_error(cause, &error, ends, buf);
}

size_t packet_make_udp(const struct flow_key *key, const void *data, size_t size, const struct link_ends *ends,
		       uint8_t *buf)
{
	size_t len = sizeof(struct udphdr) + size;

	if (len > room(key))
		return 0;
	uint8_t *udp = begin(key, IPPROTO_UDP, len, ends, buf);
	put16(udp, key->dst.port);
	put16(udp + 2, key->src.port);
	put16(udp + 4, (unsigned)len);
	put16(udp + 6, 0);
	memcpy(udp + 8, data, size);
	uint16_t sum = l4_checksum(key, IPPROTO_UDP, udp, len);
	put16(udp + 6, sum ? sum : 0xffff); /* RFC 768: 0 means none */
	return (size_t)(udp - buf) + len;
}

size_t packet_make_echo_reply(const struct flow_key *key, uint16_t sequence, const void *data, size_t size,
			      const struct link_ends *ends, uint8_t *buf)
{
	bool v4 = key->family == AF_INET;
	uint8_t proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	size_t len = 8 + size;

	if (len > room(key))
		return 0;
	uint8_t *icmp = begin(key, proto, len, ends, buf);
	memset(icmp, 0, 8);
	icmp[0] = v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
	put16(icmp + 4, key->src.port);
	put16(icmp + 6, sequence);
	memcpy(icmp + 8, data, size);
	put16(icmp + 2, v4 ? checksum_finish(checksum_add(0, icmp, len)) : l4_checksum(key, proto, icmp, len));
	return (size_t)(icmp - buf) + len;
}
