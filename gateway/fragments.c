/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  What is longer than the sandbox's MTU comes to the router in fragments.  Its kernel puts them
 * together (nf_defrag, which tproxy brings along) and cuts them again on the way into slow0, whose MTU would carry
 * them whole: a packet that was reassembled leaves in pieces no longer than those that came.  So the sorting, the
 * overlaps (RFC 5722) and the time-outs are behind us.  The pieces of a packet come in order and without gaps,
 * and in between at most those that another CPU forwards meanwhile.  Each packet has a slot; a piece that is not the
 * next one means that something was lost, and the packet with it.  The last piece makes a whole frame, which is parsed
 * again like any other.
 *
 * Towards the sandbox the router's kernel cuts what is IPv4.  An IPv6 router must not, so we cut as a sender does.  It
 * puts these together, too, and cuts them again.
 *
 * Rejected: to ask the kernel for whole packets.  It has no switch for it; a raw socket in the router would get them
 * whole, but then the kernel must be kept from answering in the remote's name, which takes a sysctl that a container
 * may not write.
 */
#include "fragments.h"

#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <string.h>

#include "bytes.h"
#include "checksum.h"
#include "clock.h"
#include "reserve.h"

#define SLOTS 8           /* packets at the same time: so many CPUs forward */
#define PATIENCE NS_PER_S /* identifiers are used again */
#define IP_MAX 65535      /* IPv4: with the header; IPv6: without it */
#define CUT (IPV6_MTU_MIN - sizeof(struct ip6_hdr) - sizeof(struct ip6_frag)) /* a multiple of 8 */

struct slot {
	struct flow_key key;
	uint32_t id;
	int64_t since; /* 0: free */
	size_t header; /* of the first bytes of frame: link and IP */
	size_t next;   /* offset of the fragment that is to come */
	uint8_t frame[PACKET_MAX];
};

struct fragments {
	struct slot slots[SLOTS];
	uint64_t *dropped;
};

int fragments_open(uint64_t *dropped, struct fragments **ret_fragments)
{
	struct fragments *fragments = reserve(1, sizeof(*fragments));

	if (!fragments)
		return -ENOMEM;
	fragments->dropped = dropped;
	*ret_fragments = fragments;
	return 0;
}

void fragments_close(struct fragments *fragments)
{
	release(fragments, 1, sizeof(*fragments));
}

/* --- joining ------------------------------------------------------------------------ */

static struct slot *find(struct fragments *fragments, const struct packet *fragment, int64_t now)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &fragments->slots[i];

		if (slot->since && slot->since + PATIENCE > now && slot->id == fragment->id &&
		    !memcmp(&slot->key, &fragment->key, sizeof(slot->key)))
			return slot;
	}
	return NULL;
}

/* A free one, or that of the packet that has waited longest: something of it was lost. */
static struct slot *oldest(struct fragments *fragments)
{
	struct slot *slot = fragments->slots;

	for (unsigned i = 1; i < SLOTS; i++)
		if (fragments->slots[i].since < slot->since)
			slot = &fragments->slots[i];
	return slot;
}

/* The headers: of IPv4 all, with options; of IPv6 the first, for what stands before a fragment is for routers. */
static struct slot *begin(struct fragments *fragments, const struct packet *first, int64_t now)
{
	struct slot *slot = find(fragments, first, now);
	bool v4 = first->key.family == AF_INET;
	size_t header = v4 ? (size_t)(first->l4 - first->ip) : sizeof(struct ip6_hdr);

	if (!slot)
		slot = oldest(fragments);
	if (slot->since)
		++*fragments->dropped; /* its packet never became whole */
	slot->key = first->key;
	slot->id = first->id;
	slot->since = now;
	slot->header = ETH_HLEN + header;
	slot->next = 0;
	memcpy(slot->frame, first->ip - ETH_HLEN, ETH_HLEN);
	memcpy(slot->frame + ETH_HLEN, first->ip, header);
	return slot;
}

/* The headers of a packet that was never cut. */
static bool finish(struct slot *slot, uint8_t proto, struct packet *ret_packet)
{
	uint8_t *ip = slot->frame + ETH_HLEN;
	size_t header = slot->header - ETH_HLEN;

	slot->since = 0;
	if (slot->key.family == AF_INET) {
		put16(ip + 2, (unsigned)(header + slot->next));
		put16(ip + 6, 0);
		put16(ip + 10, 0);
		put16(ip + 10, checksum_finish(checksum_add(0, ip, header)));
	} else {
		put16(ip + 4, (unsigned)slot->next);
		ip[6] = proto;
	}
	if (!packet_parse(slot->frame, slot->header + slot->next, ret_packet) || ret_packet->fragment)
		return false;
	ret_packet->dont_cut = false; /* it was cut already */
	return true;
}

static bool is_next(const struct slot *slot, const struct packet *fragment)
{
	size_t max = fragment->key.family == AF_INET ? IP_MAX - (slot->header - ETH_HLEN) : IP_MAX;

	return fragment->offset == slot->next && !(fragment->more && fragment->l4_len % 8) &&
	       slot->next + fragment->l4_len <= max;
}

bool fragments_join(struct fragments *fragments, const struct packet *fragment, int64_t now, struct packet *ret_packet)
{
	struct slot *slot = fragment->offset ? find(fragments, fragment, now) : begin(fragments, fragment, now);

	if (slot && is_next(slot, fragment)) {
		memcpy(slot->frame + slot->header + slot->next, fragment->l4, fragment->l4_len);
		slot->next += fragment->l4_len;
		if (fragment->more)
			return false;
		if (finish(slot, fragment->proto, ret_packet))
			return true;
	}
	if (slot)
		slot->since = 0;
	++*fragments->dropped;
	return false;
}

/* --- cutting ------------------------------------------------------------------------ */

size_t fragments_cut(const uint8_t *frame, size_t size, uint32_t id, size_t *offset, uint8_t *buf)
{
	const size_t header = ETH_HLEN + sizeof(struct ip6_hdr), payload = size - header;
	size_t left = payload - *offset, part = left < CUT ? left : CUT;
	uint8_t *ip = buf + ETH_HLEN, *cut = buf + header;

	if (!left)
		return 0;
	memcpy(buf, frame, header);
	put16(ip + 4, (unsigned)(sizeof(struct ip6_frag) + part));
	ip[6] = IPPROTO_FRAGMENT;
	cut[0] = frame[ETH_HLEN + 6];
	cut[1] = 0;
	put16(cut + 2, (unsigned)*offset | (part < left));
	put32(cut + 4, id);
	memcpy(cut + sizeof(struct ip6_frag), frame + header + *offset, part);
	*offset += part;
	return header + sizeof(struct ip6_frag) + part;
}
