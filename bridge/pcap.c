/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  The file goes through one buffer: what is looked into is whole in there, what is skipped
 * only passes, or is not read at all.  So memory is bounded whatever lengths a file claims, and so is the time that a
 * call takes, whatever stands between two packets: a sparse file has terabytes for nothing.  Nothing is taken from the
 * buffer before it is understood; the position of the first byte that was not is what an error names.
 *
 * (Rejected: libpcap.  It hides which interface a packet of pcapng is from, refuses files whose interfaces have
 * several resolutions or snap lengths, and reads them with stdio.)
 */
#include "pcap.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

/* pcap: a header, then records. */
#define MAGIC_US 0xa1b2c3d4
#define MAGIC_NS 0xa1b23c4d
#define HEADER_BYTES 24
#define RECORD_BYTES 16
/* Of the link type's field; above it, whether packets end with a frame check sequence, and in how many 16 bits. */
#define LINKTYPE_MASK 0xffff
#define FCS_IS_KNOWN 0x04000000
#define FCS_SHIFT 28
/* Link types of packets without a link header, but the usual one. */
#define LINKTYPE_BSD_RAW 12
#define LINKTYPE_IPV4 228
#define LINKTYPE_IPV6 229

/* pcapng: blocks, each with its type and length before it and its length again behind it. */
#define BLOCK_MIN 12
#define SECTION_MIN 28
#define INTERFACE_MIN 20
#define SIMPLE_MIN 16
#define ENHANCED_MIN 32

#define CUT "the file ends in the middle of a packet or block"

/* --- the buffer ----------------------------------------------------------------------- */

static size_t available(const struct pcap *pcap)
{
	return pcap->end - pcap->begin;
}

static void consume(struct pcap *pcap, size_t len)
{
	pcap->begin += len;
	pcap->position += len;
}

static int malformed(const struct pcap *pcap, const char *what, struct vnic_error *err)
{
	return vnic_fail(err, VNIC_STEP_READ, EBADMSG, NULL, "%s, at byte %" PRIu64, what, pcap->position);
}

/* 1: so many bytes are in the buffer; 0: the file ends before. */
static int need(struct pcap *pcap, size_t len, struct vnic_error *err)
{
	if (available(pcap) >= len)
		return 1;
	memmove(pcap->bytes, pcap->bytes + pcap->begin, available(pcap));
	pcap->end -= pcap->begin;
	pcap->begin = 0;
	while (available(pcap) < len) {
		ssize_t n = read(pcap->fd, pcap->bytes + pcap->end, sizeof(pcap->bytes) - pcap->end);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vnic_fail(err, VNIC_STEP_READ, errno, NULL, "at byte %" PRIu64, pcap->position);
		if (n == 0)
			return 0;
		pcap->end += (size_t)n;
	}
	return 1;
}

/* The same where the file may not end. */
static int must_have(struct pcap *pcap, size_t len, struct vnic_error *err)
{
	int r = need(pcap, len, err);

	return r == 0 ? malformed(pcap, CUT, err) : r;
}

static int pass(struct pcap *pcap, size_t len, struct vnic_error *err)
{
	while (len > 0) {
		size_t piece = len < sizeof(pcap->bytes) ? len : sizeof(pcap->bytes);
		int r = must_have(pcap, piece, err);

		if (r < 0)
			return r;
		consume(pcap, piece);
		len -= piece;
	}
	return 0;
}

static uint32_t field32(const struct pcap *pcap, size_t at)
{
	uint32_t value;

	memcpy(&value, pcap->bytes + pcap->begin + at, sizeof(value));
	return pcap->swapped ? __builtin_bswap32(value) : value;
}

static uint16_t field16(const struct pcap *pcap, size_t at)
{
	uint16_t value;

	memcpy(&value, pcap->bytes + pcap->begin + at, sizeof(value));
	return pcap->swapped ? __builtin_bswap16(value) : value;
}

static uint64_t field64(const struct pcap *pcap, size_t at)
{
	uint64_t value;

	memcpy(&value, pcap->bytes + pcap->begin + at, sizeof(value));
	return pcap->swapped ? __builtin_bswap64(value) : value;
}

/* --- both ----------------------------------------------------------------------------- */

static uint16_t simple_linktype(uint32_t linktype)
{
	bool raw = linktype == LINKTYPE_BSD_RAW || linktype == LINKTYPE_IPV4 || linktype == LINKTYPE_IPV6;

	return raw ? LINKTYPE_RAW : (uint16_t)linktype;
}

/* What does not fit (a resolution of years, a time in the year 2300) stays at the end of time. */
static int64_t time_of(const struct pcap_interface *interface, uint64_t units)
{
	const uint64_t rest = units % interface->per_s;
	const int64_t ns = (int64_t)((unsigned __int128)rest * NS_PER_S / interface->per_s);
	int64_t seconds, time;

	if (units / interface->per_s > INT64_MAX ||
	    __builtin_add_overflow((int64_t)(units / interface->per_s), interface->offset_s, &seconds) ||
	    __builtin_mul_overflow(seconds, NS_PER_S, &time) || __builtin_add_overflow(time, ns, &time))
		return INT64_MAX;
	return time;
}

/* `fcs`: so many bytes at its end are none of the packet; who cut it may have cut off nothing else. */
static void set_packet(const struct pcap *pcap, const struct pcap_interface *interface, size_t at, size_t fcs,
		       struct pcap_packet *packet)
{
	packet->data = pcap->bytes + pcap->begin + at;
	packet->linktype = interface->linktype;
	if (packet->original < packet->len)
		packet->original = packet->len;
	packet->original -= fcs < packet->original ? fcs : packet->original;
	if (packet->len > packet->original)
		packet->len = packet->original;
}

/* --- pcap ----------------------------------------------------------------------------- */

static int begin_pcap(struct pcap *pcap, uint64_t per_s, struct vnic_error *err)
{
	int r = must_have(pcap, HEADER_BYTES, err);
	uint32_t linktype;

	if (r < 0)
		return r;
	linktype = field32(pcap, 20);
	pcap->interfaces[0] = (struct pcap_interface){
		.linktype = simple_linktype(linktype & LINKTYPE_MASK),
		.fcs = linktype & FCS_IS_KNOWN ? (uint8_t)(linktype >> FCS_SHIFT) * 2 : 0,
		.per_s = per_s,
	};
	pcap->count = 1;
	consume(pcap, HEADER_BYTES);
	return 0;
}

static int next_record(struct pcap *pcap, struct pcap_packet *ret_packet, struct vnic_error *err)
{
	const struct pcap_interface *interface = &pcap->interfaces[0];
	struct pcap_packet packet = {.timed = true};
	int r = need(pcap, 1, err);
	size_t len;

	if (r > 0)
		r = must_have(pcap, RECORD_BYTES, err);
	if (r <= 0)
		return r;
	len = packet.len = field32(pcap, 8);
	packet.original = field32(pcap, 12);
	if (len > PCAP_PACKET_MAX)
		return malformed(pcap, "a packet's length cannot be", err);
	r = must_have(pcap, RECORD_BYTES + len, err);
	if (r < 0)
		return r;
	packet.time = time_of(interface, field32(pcap, 0) * interface->per_s + field32(pcap, 4));
	set_packet(pcap, interface, RECORD_BYTES, interface->fcs, &packet);
	consume(pcap, RECORD_BYTES + len);
	*ret_packet = packet;
	return 1;
}

/* --- pcapng --------------------------------------------------------------------------- */

/* The byte order is told by the section, and what came before is forgotten. */
static int take_section(struct pcap *pcap, struct vnic_error *err)
{
	int r = must_have(pcap, SECTION_MIN, err);

	if (r < 0)
		return r;
	pcap->swapped = false;
	if (field32(pcap, 8) != PCAPNG_BYTE_ORDER)
		pcap->swapped = true;
	if (field32(pcap, 8) != PCAPNG_BYTE_ORDER)
		return malformed(pcap, "a section does not tell its byte order", err);
	if (field32(pcap, 4) < SECTION_MIN)
		return malformed(pcap, "a block's length cannot be", err);
	if (field16(pcap, 12) != 1)
		return malformed(pcap, "a section has a version that is not known", err);
	pcap->count = 0;
	return 0;
}

/* 10^n or 2^n units a second. */
static int take_resolution(const struct pcap *pcap, uint8_t value, uint64_t *ret_per_s, struct vnic_error *err)
{
	unsigned exponent = value & 0x7f;
	uint64_t per_s = 1;

	if (exponent > (value & 0x80 ? 63 : 19))
		return malformed(pcap, "an interface's resolution cannot be", err);
	for (unsigned i = 0; i < exponent; i++)
		per_s *= value & 0x80 ? 2 : 10;
	*ret_per_s = per_s;
	return 0;
}

struct option {
	uint16_t code, len;
	size_t at;
};

/* 1: the next of a block's options, of which more may follow at *at; 0: there is none; -EBADMSG. */
static int next_option(const struct pcap *pcap, size_t *at, size_t end, struct option *ret_option)
{
	struct option option;
	size_t padded;

	if (end - *at < 4)
		return 0;
	option = (struct option){.code = field16(pcap, *at), .len = field16(pcap, *at + 2), .at = *at + 4};
	padded = (option.len + 3u) & ~3u;
	if (option.code == PCAPNG_OPTION_END)
		return 0;
	if (padded > end - option.at)
		return -EBADMSG;
	*at = option.at + padded;
	*ret_option = option;
	return 1;
}

/* In bits.  What is less than a byte can only be meant in bytes, as the example in old drafts has it. */
static uint8_t fcs_of(uint8_t value)
{
	return value < 8 ? value : value / 8;
}

static int take_options(struct pcap *pcap, size_t at, size_t end, struct pcap_interface *interface,
			struct vnic_error *err)
{
	struct option option;
	int r;

	while ((r = next_option(pcap, &at, end, &option)) > 0) {
		const uint8_t first = pcap->bytes[pcap->begin + option.at];

		if (option.code == PCAPNG_IF_TSRESOL && option.len == 1)
			r = take_resolution(pcap, first, &interface->per_s, err);
		else if (option.code == PCAPNG_IF_FCSLEN && option.len == 1)
			interface->fcs = fcs_of(first);
		else if (option.code == PCAPNG_IF_TSOFFSET && option.len == 8)
			interface->offset_s = (int64_t)field64(pcap, option.at);
		if (r < 0)
			return r;
	}
	return r < 0 ? malformed(pcap, "an interface's options are longer than its block", err) : 0;
}

/* Of one packet: what its own flags say, or else its interface.  Nothing else in its options matters. */
static size_t packet_fcs(const struct pcap *pcap, size_t at, size_t end, const struct pcap_interface *interface)
{
	struct option option;

	while (next_option(pcap, &at, end, &option) > 0) {
		if (option.code == PCAPNG_EPB_FLAGS && option.len == 4 && field32(pcap, option.at) & PCAPNG_FLAGS_FCS)
			return (field32(pcap, option.at) & PCAPNG_FLAGS_FCS) / PCAPNG_FLAGS_FCS_BYTE;
	}
	return interface->fcs;
}

static int take_interface(struct pcap *pcap, size_t len, struct vnic_error *err)
{
	struct pcap_interface interface = {.per_s = 1000000};
	int r;

	if (len < INTERFACE_MIN)
		return malformed(pcap, "an interface's block is too short", err);
	if (pcap->count == PCAP_INTERFACES)
		return malformed(pcap, "there are too many interfaces", err);
	interface.linktype = simple_linktype(field16(pcap, 8));
	interface.snaplen = field32(pcap, 12);
	r = take_options(pcap, 16, len - 4, &interface, err);
	if (r == 0)
		pcap->interfaces[pcap->count++] = interface;
	return r;
}

static int take_enhanced(const struct pcap *pcap, size_t len, struct pcap_packet *packet, struct vnic_error *err)
{
	const uint32_t number = field32(pcap, 0) == PCAPNG_PACKET ? field16(pcap, 8) : field32(pcap, 8);
	const struct pcap_interface *interface;
	size_t options;

	if (len < ENHANCED_MIN)
		return malformed(pcap, "a packet's block is too short", err);
	if (number >= pcap->count)
		return malformed(pcap, "a packet's interface was not declared", err);
	interface = &pcap->interfaces[number];
	packet->timed = true;
	packet->time = time_of(interface, (uint64_t)field32(pcap, 12) << 32 | field32(pcap, 16));
	packet->len = field32(pcap, 20);
	packet->original = field32(pcap, 24);
	if (packet->len > len - ENHANCED_MIN || packet->len > PCAP_PACKET_MAX)
		return malformed(pcap, "a packet is longer than its block", err);
	options = 28 + ((packet->len + 3) & ~(size_t)3);
	set_packet(pcap, interface, 28, packet_fcs(pcap, options, len - 4, interface), packet);
	return 1;
}

static int take_simple(const struct pcap *pcap, size_t len, struct pcap_packet *packet, struct vnic_error *err)
{
	const struct pcap_interface *interface = &pcap->interfaces[0];

	if (len < SIMPLE_MIN)
		return malformed(pcap, "a packet's block is too short", err);
	if (!pcap->count)
		return malformed(pcap, "a packet's interface was not declared", err);
	packet->original = field32(pcap, 8);
	packet->len = packet->original;
	if (interface->snaplen && packet->len > interface->snaplen)
		packet->len = interface->snaplen;
	if (packet->len > len - SIMPLE_MIN || packet->len > PCAP_PACKET_MAX)
		return malformed(pcap, "a packet is longer than its block", err);
	set_packet(pcap, interface, 12, interface->fcs, packet);
	return 1;
}

/* A block that is whole in the buffer.  1: it is a packet. */
static int take_block(struct pcap *pcap, size_t len, struct pcap_packet *packet, struct vnic_error *err)
{
	if (field32(pcap, len - 4) != len)
		return malformed(pcap, "a block's two lengths differ", err);
	switch (field32(pcap, 0)) {
	case PCAPNG_INTERFACE:
		return take_interface(pcap, len, err);
	case PCAPNG_PACKET:
	case PCAPNG_ENHANCED:
		return take_enhanced(pcap, len, packet, err);
	case PCAPNG_SIMPLE:
		return take_simple(pcap, len, packet, err);
	default: /* a section, of which all is known already */
		return 0;
	}
}

static bool is_looked_into(uint32_t type)
{
	return type == PCAPNG_SECTION || type == PCAPNG_INTERFACE || type == PCAPNG_PACKET || type == PCAPNG_ENHANCED ||
	       type == PCAPNG_SIMPLE;
}

/* Behind a block that is not whole in the buffer.  Nothing changes where the file ends before. */
static int seek_behind(struct pcap *pcap, off_t end, size_t len, struct vnic_error *err)
{
	uint8_t last;

	if (pread(pcap->fd, &last, 1, end - 1) != 1)
		return malformed(pcap, CUT, err);
	if (lseek(pcap->fd, end, SEEK_SET) < 0)
		return vnic_fail(err, VNIC_STEP_READ, errno, NULL, "at byte %" PRIu64, pcap->position);
	pcap->begin = pcap->end = 0;
	pcap->position += len;
	return 0;
}

static int skip(struct pcap *pcap, size_t len, struct vnic_error *err)
{
	off_t at = len > available(pcap) ? lseek(pcap->fd, 0, SEEK_CUR) : -1; /* -1: a pipe, for one */

	return at < 0 ? pass(pcap, len, err) : seek_behind(pcap, at + (off_t)(len - available(pcap)), len, err);
}

/* 1: a packet; 0: another block, or the end of the file, of which *ret_end tells. */
static int next_block(struct pcap *pcap, struct pcap_packet *ret_packet, bool *ret_end, struct vnic_error *err)
{
	struct pcap_packet packet = {0};
	int r = need(pcap, 1, err);
	size_t len;

	*ret_end = r == 0;
	if (r > 0)
		r = must_have(pcap, BLOCK_MIN, err);
	if (r > 0 && field32(pcap, 0) == PCAPNG_SECTION)
		r = take_section(pcap, err);
	if (r < 0 || *ret_end)
		return r;
	len = field32(pcap, 4);
	if (len < BLOCK_MIN || len % 4)
		return malformed(pcap, "a block's length cannot be", err);
	if (!is_looked_into(field32(pcap, 0)))
		return skip(pcap, len, err);
	if (len > sizeof(pcap->bytes))
		return malformed(pcap, "a block's length cannot be", err);
	r = must_have(pcap, len, err);
	if (r > 0)
		r = take_block(pcap, len, &packet, err);
	if (r < 0)
		return r;
	consume(pcap, len);
	if (r > 0)
		*ret_packet = packet;
	return r;
}

/* --- what others call ----------------------------------------------------------------- */

static int begin_pcapng(struct pcap *pcap, struct vnic_error *err)
{
	struct pcap_packet packet;
	bool end = false;
	int r = 0;

	pcap->ng = true;
	while (r == 0 && !end && !pcap->count)
		r = next_block(pcap, &packet, &end, err);
	if (r == 0 && !pcap->count)
		return malformed(pcap, "there is no interface", err);
	return r;
}

int pcap_begin(struct pcap *pcap, int fd, uint16_t *ret_linktype, struct vnic_error *err)
{
	uint32_t magic;
	int r;

	memset(pcap, 0, sizeof(*pcap));
	pcap->fd = fd;
	r = need(pcap, sizeof(magic), err);
	if (r < 0)
		return r;
	magic = r ? field32(pcap, 0) : 0;
	pcap->swapped = magic == __builtin_bswap32(MAGIC_US) || magic == __builtin_bswap32(MAGIC_NS);
	if (pcap->swapped)
		magic = __builtin_bswap32(magic);
	if (magic == MAGIC_US)
		r = begin_pcap(pcap, 1000000, err);
	else if (magic == MAGIC_NS)
		r = begin_pcap(pcap, NS_PER_S, err);
	else if (magic == PCAPNG_SECTION)
		r = begin_pcapng(pcap, err);
	else
		r = malformed(pcap, "this is neither pcap nor pcapng", err);
	if (r < 0)
		return r;
	*ret_linktype = pcap->interfaces[0].linktype;
	return 0;
}

int pcap_next(struct pcap *pcap, struct pcap_packet *ret_packet, struct vnic_error *err)
{
	bool end = false;
	int r = 0;

	if (!pcap->ng)
		return next_record(pcap, ret_packet, err);
	for (unsigned blocks = 0; r == 0 && !end; blocks++)
		r = blocks < PCAP_BLOCKS ? next_block(pcap, ret_packet, &end, err) : -EAGAIN;
	return r;
}
