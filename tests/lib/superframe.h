/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames as a sender with offloads makes them: headers, payload, a partial checksum and the virtio header that says so.
 * Knows nothing of the code under test.
 */
#ifndef TESTS_LIB_SUPERFRAME_H
#define TESTS_LIB_SUPERFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/tap.h>

struct superframe {
	bool v6, udp;
	unsigned tags;        /* VLAN tags: 0, 1 (802.1Q), 2 (802.1ad outside) */
	unsigned ip_options;  /* bytes, a multiple of 4 up to 40; for IPv6 of 8: a destination options header */
	unsigned tcp_options; /* bytes, a multiple of 4 up to 40 */
	uint8_t tcp_flags;
	uint16_t id, sport;
	uint32_t seq, ack;
	unsigned payload;  /* bytes; each is random() */
	uint16_t gso_size; /* 0: no super-frame */
	bool finished;     /* a whole checksum instead of a partial one */
};

/* Where the parts stand; without an Ethernet header when `tun`. */
size_t superframe_l3(const struct superframe *spec);
size_t superframe_l4(const struct superframe *spec);
size_t superframe_payload(const struct superframe *spec);

/* Writes at most VNIC_FRAME_MAX bytes and returns how many.  The MACs are 02:..:02 and 02:..:01. */
size_t superframe_make(const struct superframe *spec, uint8_t *ret_frame, struct vnic_vnet_hdr *ret_hdr);

/* Anything that the kernel would make or take, by random(3): up to 64 KiB and, for TCP, segments from 8 bytes. */
struct superframe superframe_random(void);
/* "v4 tcp, 2 tags, ..." for the log. */
const char *superframe_text(const struct superframe *spec);

#endif
