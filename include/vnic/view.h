/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A checked view of one frame: which layers it has and where they stand.
 *
 * Everything is bounds-checked once, in vnic_view_parse; afterwards every header that the view names lies whole within
 * the frame, and so does everything from `payload` on for payload_len bytes.  A layer that is not whole or not
 * well-formed is not in the view: the view ends with the layer before it, and says VNIC_VIEW_MALFORMED.
 *
 * Source: IEEE 802.3, 802.1Q; RFC 826 (ARP), 791 (IPv4), 8200 (IPv6), 792 and 4443 (ICMP), 9293 (TCP), 768 (UDP),
 * 9260 (SCTP), 7348 (VXLAN), 8926 (Geneve), 2784 (GRE); virtio 1.2 section 5.1.6.
 */
#ifndef VNIC_VIEW_H
#define VNIC_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <vnic/addr.h>
#include <vnic/api.h>
#include <vnic/tap.h>

/* vnic_view.layers: all that were found. */
#define VNIC_LAYER_ETH 0x0001u
#define VNIC_LAYER_VLAN 0x0002u /* one or two tags */
#define VNIC_LAYER_ARP 0x0004u  /* with addresses of any length; see VNIC_VIEW_ARP_IPV4 */
#define VNIC_LAYER_IPV4 0x0008u
#define VNIC_LAYER_IPV6 0x0010u
#define VNIC_LAYER_TCP 0x0020u
#define VNIC_LAYER_UDP 0x0040u
#define VNIC_LAYER_SCTP 0x0080u
#define VNIC_LAYER_ICMP 0x0100u /* for IPv4 */
#define VNIC_LAYER_ICMPV6 0x0200u
/* There is another packet inside; it is not looked into. */
#define VNIC_LAYER_GRE 0x0400u
#define VNIC_LAYER_IPIP 0x0800u   /* IPv4 or IPv6 in IPv4 or IPv6 */
#define VNIC_LAYER_VXLAN 0x1000u  /* UDP to port 4789 or 8472 with a VXLAN header; UDP is in `layers` too */
#define VNIC_LAYER_GENEVE 0x2000u /* UDP to port 6081 */

#define VNIC_LAYER_IP (VNIC_LAYER_IPV4 | VNIC_LAYER_IPV6)
#define VNIC_LAYER_ENCAPSULATED (VNIC_LAYER_GRE | VNIC_LAYER_IPIP | VNIC_LAYER_VXLAN | VNIC_LAYER_GENEVE)

/* vnic_view.flags */
#define VNIC_VIEW_MALFORMED 0x01u       /* there is more than the view has, and it is not what it claims to be */
#define VNIC_VIEW_FRAGMENT 0x02u        /* part of an IP packet: layer 4 is not whole */
#define VNIC_VIEW_FRAGMENT_LATER 0x04u  /* and not its first part: there is no layer 4 at all */
#define VNIC_VIEW_FRAGMENT_HEADER 0x08u /* IPv6 has this header, be it for a whole packet (RFC 6946) */
#define VNIC_VIEW_PARTIAL_CSUM 0x10u    /* the transport checksum is not finished; the virtio header says where */
#define VNIC_VIEW_ARP_IPV4 0x20u        /* for IPv4 over Ethernet: RFC 826's 28 bytes are there */

/* vnic_view.gso_type and vnic_vnet_hdr.gso_type: VIRTIO_NET_HDR_GSO_*. */
#define VNIC_GSO_NONE 0
#define VNIC_GSO_TCPV4 1
#define VNIC_GSO_UFO 3 /* UDP that becomes IP fragments; no vnic port has it */
#define VNIC_GSO_TCPV6 4
#define VNIC_GSO_UDP 5    /* UDP_L4: a datagram for each segment */
#define VNIC_GSO_ECN 0x80 /* or'ed to a TCP type; vnic_view.gso_type is without it */

/*
 * All offsets are in bytes from `data`.  A layer that is absent has offset 0; the network layer of a TUN packet has it
 * too, so ask `layers`.
 */
struct vnic_view {
	const uint8_t *data; /* the caller's */
	uint32_t len;
	uint32_t layers;    /* VNIC_LAYER_* */
	uint16_t ethertype; /* behind the VLAN tags; for TUN what the IP version makes it; below 1536: a length */
	uint16_t vlan[2];   /* TCI: priority, DEI and VLAN id; the outer tag first */
	uint8_t vlan_count; /* 0..2; a third tag is left as the ethertype */
	uint8_t flags;      /* VNIC_VIEW_* */
	uint8_t ip_proto;   /* IPPROTO_*, behind hop-by-hop, routing, fragment and destination headers */

	uint8_t gso_type;  /* VNIC_GSO_* */
	uint16_t gso_size; /* bytes of payload in each segment; 0 without GSO */
	uint32_t segments; /* packets on the wire: 1 without GSO */

	uint32_t l3;                   /* ARP, IPv4 or IPv6 header */
	uint32_t l3_len;               /* with options and extension headers */
	uint32_t l4;                   /* transport header, of a layer that `layers` names */
	uint32_t l4_len;               /* the header alone: TCP with options, UDP and ICMP 8, SCTP 12 */
	uint32_t fragment_offset;      /* bytes of the IP packet that came before; 0 in its first part */
	uint32_t payload, payload_len; /* behind the last layer of the view; link padding is not part of it */
};

/*
 * Looks at one frame.  `hdr` is its virtio header, NULL for none; `tun` says that it has no Ethernet header.
 * The view points into `data` and lives as long.  Returns 0, also for malformed layers above the link's;
 * -EINVAL: not even a link header (14 bytes, or a byte for TUN); -EMSGSIZE: 4 GiB or more.
 */
VNIC_API int vnic_view_parse(const struct vnic_vnet_hdr *hdr, const void *data, size_t len, bool tun,
			     struct vnic_view *ret_view);

/* Numbers of the frame, in host byte order; 0 where they would reach beyond it. */
static inline uint8_t vnic_view_u8(const struct vnic_view *view, uint32_t offset)
{
	return offset < view->len ? view->data[offset] : 0;
}

static inline uint16_t vnic_view_u16(const struct vnic_view *view, uint32_t offset)
{
	return (uint16_t)(vnic_view_u8(view, offset) << 8 | vnic_view_u8(view, offset + 1));
}

static inline uint32_t vnic_view_u32(const struct vnic_view *view, uint32_t offset)
{
	return (uint32_t)vnic_view_u16(view, offset) << 16 | vnic_view_u16(view, offset + 2);
}

/* NULL without VNIC_LAYER_ETH. */
static inline const uint8_t *vnic_view_mac_dst(const struct vnic_view *view)
{
	return view->layers & VNIC_LAYER_ETH ? view->data : NULL;
}

static inline const uint8_t *vnic_view_mac_src(const struct vnic_view *view)
{
	return view->layers & VNIC_LAYER_ETH ? view->data + VNIC_MAC_LEN : NULL;
}

/* Addresses of IPv4 and IPv6, as hosts (/32, /128); of ARP the sender's and the target's.  Family 0: there is none. */
VNIC_API struct vnic_addr vnic_view_src(const struct vnic_view *view);
VNIC_API struct vnic_addr vnic_view_dst(const struct vnic_view *view);

/* Ports of TCP, UDP and SCTP; 0 without. */
static inline uint16_t vnic_view_sport(const struct vnic_view *view)
{
	return view->layers & (VNIC_LAYER_TCP | VNIC_LAYER_UDP | VNIC_LAYER_SCTP) ? vnic_view_u16(view, view->l4) : 0;
}

static inline uint16_t vnic_view_dport(const struct vnic_view *view)
{
	return view->layers & (VNIC_LAYER_TCP | VNIC_LAYER_UDP | VNIC_LAYER_SCTP) ? vnic_view_u16(view, view->l4 + 2)
										  : 0;
}

/* TCP; 0 without.  The flags are FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128. */
static inline uint8_t vnic_view_tcp_flags(const struct vnic_view *view)
{
	return view->layers & VNIC_LAYER_TCP ? vnic_view_u8(view, view->l4 + 13) : 0;
}

static inline uint32_t vnic_view_tcp_seq(const struct vnic_view *view)
{
	return view->layers & VNIC_LAYER_TCP ? vnic_view_u32(view, view->l4 + 4) : 0;
}

static inline uint32_t vnic_view_tcp_ack(const struct vnic_view *view)
{
	return view->layers & VNIC_LAYER_TCP ? vnic_view_u32(view, view->l4 + 8) : 0;
}

/* What ends a TUN packet's or a frame's IP packet; link padding stands behind it. */
static inline uint32_t vnic_view_end(const struct vnic_view *view)
{
	return view->payload + view->payload_len;
}

#endif
