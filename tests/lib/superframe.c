/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "superframe.h"

#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(uint8_t *at, size_t bytes, uint64_t value)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

/* RFC 1071, section 4.1. */
static uint32_t sum(uint32_t total, const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		total += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

size_t superframe_l3(const struct superframe *spec)
{
	return 14 + 4 * spec->tags;
}

size_t superframe_l4(const struct superframe *spec)
{
	return superframe_l3(spec) + (spec->v6 ? 40 : 20) + spec->ip_options;
}

size_t superframe_payload(const struct superframe *spec)
{
	return superframe_l4(spec) + (spec->udp ? 8 : 20 + spec->tcp_options);
}

static void make_link(const struct superframe *spec, uint8_t *frame)
{
	static const uint8_t macs[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	uint8_t *at = frame + sizeof(macs);

	memcpy(frame, macs, sizeof(macs));
	for (unsigned tag = spec->tags; tag; tag--, at += 4)
		put(at, 4, (tag == 2 ? 0x88a80000u : 0x81000000u) | 0x2000u | tag);
	put(at, 2, spec->v6 ? 0x86dd : 0x0800);
}

static void make_v4(const struct superframe *spec, uint8_t *ip, size_t len)
{
	size_t header = 20 + spec->ip_options;

	ip[0] = (uint8_t)(0x40 | header / 4);
	put(ip + 2, 2, len);
	put(ip + 4, 2, spec->id);
	put(ip + 6, 2, 0x4000);
	ip[8] = 64;
	ip[9] = spec->udp ? IPPROTO_UDP : IPPROTO_TCP;
	put(ip + 12, 8, 0x0a0900010a090002);
	memset(ip + 20, 1, spec->ip_options); /* no operation */
	put(ip + 10, 2, ~sum(0, ip, header) & 0xffff);
}

static void make_v6(const struct superframe *spec, uint8_t *ip, size_t len)
{
	uint8_t proto = spec->udp ? IPPROTO_UDP : IPPROTO_TCP;

	put(ip, 4, 0x6012345);
	ip[0] = 0x60;
	put(ip + 4, 2, len - 40);
	ip[6] = spec->ip_options ? IPPROTO_DSTOPTS : proto;
	ip[7] = 64;
	put(ip + 8, 2, 0xfd00);
	put(ip + 22, 4, 0x0001fd00);
	put(ip + 38, 2, 2);
	if (!spec->ip_options)
		return;
	ip[40] = proto;
	ip[41] = (uint8_t)(spec->ip_options / 8 - 1); /* the rest is zeros: Pad1 */
}

static void make_l4(const struct superframe *spec, uint8_t *l4, size_t len)
{
	put(l4, 2, spec->sport);
	put(l4 + 2, 2, 5201);
	if (spec->udp) {
		put(l4 + 4, 2, len);
		return;
	}
	put(l4 + 4, 4, spec->seq);
	put(l4 + 8, 4, spec->ack);
	l4[12] = (uint8_t)((20 + spec->tcp_options) / 4 << 4);
	l4[13] = spec->tcp_flags;
	put(l4 + 14, 2, 0x1234);
	memset(l4 + 20, 1, spec->tcp_options); /* no operation */
}

size_t superframe_make(const struct superframe *spec, uint8_t *ret_frame, struct vnic_vnet_hdr *ret_hdr)
{
	size_t l3 = superframe_l3(spec), l4 = superframe_l4(spec), payload = superframe_payload(spec);
	size_t len = payload + spec->payload, check = spec->udp ? 6 : 16;
	uint32_t pseudo = (uint32_t)(len - l4) + (spec->udp ? IPPROTO_UDP : IPPROTO_TCP);

	memset(ret_frame, 0, payload);
	make_link(spec, ret_frame);
	(spec->v6 ? make_v6 : make_v4)(spec, ret_frame + l3, len - l3);
	make_l4(spec, ret_frame + l4, len - l4);
	for (size_t i = payload; i < len; i++)
		ret_frame[i] = (uint8_t)random();
	pseudo = spec->v6 ? sum(pseudo, ret_frame + l3 + 8, 32) : sum(pseudo, ret_frame + l3 + 12, 8);
	put(ret_frame + l4 + check, 2, pseudo);
	*ret_hdr = (struct vnic_vnet_hdr){0};
	if (spec->gso_size) {
		ret_hdr->gso_type = spec->udp  ? 5 /* VIRTIO_NET_HDR_GSO_UDP_L4 */
				    : spec->v6 ? VIRTIO_NET_HDR_GSO_TCPV6
					       : VIRTIO_NET_HDR_GSO_TCPV4;
		ret_hdr->gso_size = spec->gso_size;
		ret_hdr->hdr_len = (uint16_t)payload;
	}
	if (spec->finished) {
		pseudo = ~sum(0, ret_frame + l4, len - l4) & 0xffff;
		put(ret_frame + l4 + check, 2, spec->udp && !pseudo ? 0xffff : pseudo);
		return len;
	}
	ret_hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	ret_hdr->csum_start = (uint16_t)l4;
	ret_hdr->csum_offset = (uint16_t)check;
	return len;
}

static unsigned up_to(unsigned most)
{
	return (unsigned)random() % (most + 1);
}

/*
 * What virtio_net_hdr_to_skb cannot do.  It takes TCP's options for payload when it asks whether there is more than one
 * segment; later the kernel finds that there is not, and drops the frame.  And without a partial checksum it does not
 * find the protocol behind a VLAN tag.
 */
static bool kernel_drops(const struct superframe *spec)
{
	bool one = !spec->udp && spec->payload <= spec->gso_size && spec->gso_size < spec->payload + spec->tcp_options;

	return one || (spec->gso_size && spec->finished && spec->tags);
}

struct superframe superframe_random(void)
{
	struct superframe spec = {
		.v6 = random() & 1,
		.udp = random() & 1,
		.tags = up_to(3) ? 0 : up_to(2),
		.tcp_options = up_to(2) ? 12 : 4 * up_to(10),
		.tcp_flags = (uint8_t)(0x10 | (random() & (0x01 | 0x08 | 0x20 | 0x40 | 0x80))),
		.id = (uint16_t)random(),
		.sport = (uint16_t)random(),
		.seq = (uint32_t)random() * 2 + (uint32_t)(random() & 1),
		.ack = (uint32_t)random(),
	};

	spec.ip_options = up_to(3) ? 0 : spec.v6 ? 8 * up_to(6) : 4 * up_to(10);
	switch (up_to(4)) {
	case 0: /* what a wire has */
		spec.gso_size = 1448;
		spec.payload = up_to(65000);
		break;
	case 1: /* a multiple, one more, one less */
		spec.gso_size = (uint16_t)(100 + up_to(1400));
		spec.payload = spec.gso_size * (1 + up_to(40)) + up_to(2) - 1;
		break;
	case 2: /* tiny segments */
		spec.gso_size = (uint16_t)(8 + up_to(60));
		spec.payload = up_to(64 * spec.gso_size);
		break;
	case 3: /* huge ones */
		spec.gso_size = (uint16_t)(1500 + up_to(60000));
		spec.payload = up_to(65000);
		break;
	default: /* none */
		spec.payload = up_to(1400);
	}
	spec.finished = !up_to(7) && !(spec.udp && spec.gso_size);
	return kernel_drops(&spec) ? superframe_random() : spec;
}

const char *superframe_text(const struct superframe *spec)
{
	static char text[200];

	snprintf(text, sizeof(text),
		 "%s %s, %u tags, %u bytes of IP options and %u of TCP's, flags %#x, id %u, seq %u, "
		 "payload %u in segments of %u, %s checksum",
		 spec->v6 ? "v6" : "v4", spec->udp ? "udp" : "tcp", spec->tags, spec->ip_options, spec->tcp_options,
		 spec->tcp_flags, spec->id, spec->seq, spec->payload, spec->gso_size,
		 spec->finished ? "whole" : "partial");
	return text;
}
