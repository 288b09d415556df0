/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fragments of the slow path: what is joined is a packet from whom the pieces came, and cutting it gives pieces that
 * make it again.
 *
 * The input is frames, each behind two bytes with its size.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fragments.h"

#define LINK 14

static uint64_t dropped;

static void check_cuts(const struct packet *packet)
{
	static uint8_t frame[PACKET_MAX], fragment[FRAGMENT_FRAME];
	size_t size = LINK + packet->ip_len, offset = 0, len, total = 0;
	struct packet piece;

	/* As we make them: without extension headers. */
	if (packet->key.family != AF_INET6 || packet->l4 != packet->ip + 40)
		return;
	memcpy(frame, packet->ip - LINK, size);
	while ((len = fragments_cut(frame, size, 1, &offset, fragment))) {
		if (len > sizeof(fragment) || !packet_parse(fragment, len, &piece))
			abort();
		if (piece.fragment && memcmp(piece.l4, packet->l4 + total, piece.l4_len))
			abort();
		total += piece.l4_len;
	}
	if (total != packet->l4_len)
		abort();
}

static void check_whole(const struct packet *piece, const struct packet *whole)
{
	if (whole->fragment || whole->l4 + whole->l4_len != whole->ip + whole->ip_len ||
	    memcmp(whole->key.src.addr, piece->key.src.addr, 16) ||
	    memcmp(whole->key.dst.addr, piece->key.dst.addr, 16))
		abort();
	check_cuts(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fragments *fragments;
	struct packet piece, whole;
	int64_t now = 1;

	if (fragments_open(&dropped, &fragments) < 0)
		abort();
	while (size >= 2) {
		size_t len = (size_t)(data[0] << 8 | data[1]);

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		if (packet_parse(data, len, &piece) && piece.fragment &&
		    fragments_join(fragments, &piece, now++, &whole))
			check_whole(&piece, &whole);
		data += len;
		size -= len;
	}
	fragments_close(fragments);
	return 0;
}
