/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets of the slow path: a checked view of what came in, and the few kinds that go back.
 *
 * Everything is bounds-checked here, once; whoever has a view may read what it names.
 */
#ifndef GATEWAY_PACKET_H
#define GATEWAY_PACKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/addr.h>

#define PACKET_MAX 65600 /* the slow path's MTU and a link header */

/* One side of a flow.  IPv4 addresses use the first four bytes; the rest is zero. */
struct endpoint {
	uint8_t addr[16];
	uint16_t port; /* host byte order; ICMP: the identifier */
};

/* What names a flow; without padding, so that it can be compared and hashed as bytes. */
struct flow_key {
	struct endpoint src, dst; /* as the sandbox sees them: it is src */
	uint16_t family;          /* AF_INET, AF_INET6 */
};
_Static_assert(sizeof(struct flow_key) == 38, "padding in a flow's key");

struct packet {
	struct flow_key key;
	uint8_t proto;     /* IPPROTO_* after extension headers */
	bool fragment;     /* a later fragment, or a first one with more to come: there is no whole layer 4 */
	bool more;         /* of a fragment: others follow, */
	uint16_t offset;   /* where in the payload it belongs, */
	uint32_t id;       /* and of which packet */
	bool dont_cut;     /* no router may: IPv4 with "don't fragment", all IPv6 */
	const uint8_t *ip; /* the IP header */
	size_t ip_len;     /* from ip to the end of the packet, without link padding */
	const uint8_t *l4;
	size_t l4_len;
};

/*
 * A frame with its Ethernet header.  Returns false for what is not whole and well-formed IPv4 or IPv6:
 * truncated, lengths that disagree, bad header lengths, more than eight extension headers, a routing header that leads
 * to somebody else.  For TCP, UDP and ICMP echo the key has ports; for others they are 0.
 */
bool packet_parse(const uint8_t *frame, size_t size, struct packet *ret_packet);

/* TCP; only for packets with proto IPPROTO_TCP and at least 20 bytes of layer 4, which packet_parse checked. */
uint8_t packet_tcp_flags(const struct packet *packet);
uint32_t packet_tcp_seq(const struct packet *packet);

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* UDP, and not a fragment: what it carries, and whether its checksums are right, IP's and UDP's. */
const uint8_t *packet_datagram(const struct packet *packet);
size_t packet_datagram_size(const struct packet *packet);
bool packet_is_intact(const struct packet *packet, bool udp_is_right);

struct link_ends {
	uint8_t to[VNIC_MAC_LEN], from[VNIC_MAC_LEN];
};

/* Each writes a whole frame with finished checksums and returns its size.  `buf` has PACKET_MAX bytes. */

/* The refusal of a SYN: RST|ACK from its destination. */
size_t packet_make_reset(const struct packet *syn, const struct link_ends *ends, uint8_t *buf);

/* The SYN again, on its way, with TCP's header and nothing before and behind it: at most PACKET_SYN_MAX bytes. */
size_t packet_make_bare_syn(const struct packet *syn, const struct link_ends *ends, uint8_t *buf);
#define PACKET_SYN_MAX (14 + 40 + 60) /* Ethernet, IPv6, TCP with all options */

struct icmp_error {
	uint8_t type, code;
	uint32_t info; /* the header's second word: the MTU of "too big" */
};
/* An ICMP error about `cause`, from its destination; quotes as much as may be (RFC 1812, RFC 4443). */
size_t packet_make_error(const struct packet *cause, const struct icmp_error *error, const struct link_ends *ends,
			 uint8_t *buf);

enum unreachable {
	UNREACHABLE_NET,
	UNREACHABLE_HOST,
	UNREACHABLE_PORT,
	UNREACHABLE_PROHIBITED, /* administratively: RFC 1812 5.2.7.1 code 13; RFC 4443 3.1 code 1 */
};
size_t packet_make_unreachable(const struct packet *cause, enum unreachable why, const struct link_ends *ends,
			       uint8_t *buf);

/* A datagram from key->dst to key->src.  Returns 0 if it does not fit into one packet. */
size_t packet_make_udp(const struct flow_key *key, const void *data, size_t size, const struct link_ends *ends,
		       uint8_t *buf);

/* An echo reply to key->src, with the identifier of key->src.port; `data` begins after the sequence number. */
size_t packet_make_echo_reply(const struct flow_key *key, uint16_t sequence, const void *data, size_t size,
			      const struct link_ends *ends, uint8_t *buf);

#endif
