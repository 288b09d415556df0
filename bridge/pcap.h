/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets read from a capture: pcap or pcapng, of either byte order, from any descriptor, a piece at a time. */
#ifndef BRIDGE_PCAP_H
#define BRIDGE_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/error.h>

#define PCAP_BUFFER (1 << 19)  /* no block that is looked into may be larger */
#define PCAP_PACKET_MAX 262144 /* bytes of a packet, as tcpdump's largest snap length */
#define PCAP_INTERFACES 1024   /* of a section */
#define PCAP_BLOCKS 64         /* without a packet, in one call */
#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW 101

/* Numbers of pcapng (draft-ietf-opsawg-pcapng), whose fields are in the writer's byte order; the magic tells which. */
enum {
	PCAPNG_SECTION = 0x0a0d0d0a,
	PCAPNG_INTERFACE = 1,
	PCAPNG_PACKET = 2, /* obsolete: an enhanced one whose interface has 16 bits */
	PCAPNG_SIMPLE = 3,
	PCAPNG_STATISTICS = 5,
	PCAPNG_ENHANCED = 6,
};
enum {
	PCAPNG_OPTION_END,
	PCAPNG_OPTION_COMMENT,
	PCAPNG_EPB_FLAGS,
	PCAPNG_IF_TSRESOL = 9,
	PCAPNG_IF_FCSLEN = 13,
	PCAPNG_IF_TSOFFSET = 14
};
enum { PCAPNG_FLAGS_FCS_BYTE = 0x20, PCAPNG_FLAGS_FCS = 0x1e0 }; /* bytes of the frame check sequence */
#define PCAPNG_BYTE_ORDER 0x1a2b3c4d

struct pcap_interface {
	uint16_t linktype;
	uint8_t fcs;      /* bytes of frame check sequence behind a packet */
	uint32_t snaplen; /* 0: none */
	uint64_t per_s;   /* units of a time stamp */
	int64_t offset_s; /* to be added to it */
};

struct pcap {
	int fd; /* the caller's */
	bool ng, swapped;
	uint64_t position; /* in the file, of what stands at `begin` */
	size_t begin, end;
	unsigned count;
	struct pcap_interface interfaces[PCAP_INTERFACES]; /* of pcap: one */
	uint8_t bytes[PCAP_BUFFER];
};

struct pcap_packet {
	const uint8_t *data;  /* until the next call */
	size_t len, original; /* bytes that are here; that there were; both without a frame check sequence */
	uint16_t linktype;
	bool timed;   /* a simple packet block has no time */
	int64_t time; /* ns since 1970 */
};

/*
 * Reads as far as the first interface, of which it returns the link type.  Errors: EBADMSG, and where it was; or why it
 * could not be read.
 */
int pcap_begin(struct pcap *pcap, int fd, uint16_t *ret_linktype, struct vnic_error *err);
/* 1: a packet; 0: the end; -EAGAIN: neither so far, call again.  After any other error the next call meets with it,
 * too. */
int pcap_next(struct pcap *pcap, struct pcap_packet *ret_packet, struct vnic_error *err);

#endif
