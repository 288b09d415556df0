/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What it costs to look at a frame, to cut a super-frame, and to merge frames, in nanoseconds a frame; beside it what a
 * write to a TAP costs, which merging saves.
 *
 *   unshare -rn build/release/bench/frames
 */
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vnic/vnic.h>

#include "checksum.h"
#include "coalesce.h"
#include "gso.h"
#include "superframe.h"

#define ROUNDS 7
#define REPEAT 2000
#define SEGMENTS 44 /* of 1448 bytes in a super-frame */

static const struct superframe tcp = {
	.payload = 1448 * SEGMENTS, .gso_size = 1448, .tcp_options = 12, .tcp_flags = 0x10, .v6 = false};

static uint8_t space[VNIC_FRAME_MAX], merged[FRAME_HEADROOM + VNIC_FRAME_MAX], cut[SEGMENTS][2048];
static struct frame whole = {.data = space}, pieces[SEGMENTS];
static struct vnic_tap tap;
static volatile uint64_t sink;

/* The thread's own time, so that a busy machine disturbs less. */
static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* --- what is measured: each handles one super-frame, or its 44 segments --------------- */

static void sum_segments(void)
{
	for (unsigned i = 0; i < SEGMENTS; i++)
		sink += checksum_add(0, pieces[i].data, pieces[i].len);
}

static void look_at_segments(void)
{
	struct vnic_view view;

	for (unsigned i = 0; i < SEGMENTS; i++) {
		vnic_view_parse(&pieces[i].hdr, pieces[i].data, pieces[i].len, false, &view);
		sink += view.payload;
	}
}

static void copy_segments(void)
{
	for (unsigned i = 0; i < SEGMENTS; i++)
		memcpy(merged + i * 1448, pieces[i].data, pieces[i].len);
	sink += merged[1];
}

static void cut_with(unsigned offloads)
{
	struct gso gso;
	unsigned i = 0;

	if (gso_begin(&gso, &whole, false, offloads) < 0)
		abort();
	while (gso_next(&gso, &pieces[i % SEGMENTS]))
		i++;
}

static void cut_whole(void)
{
	cut_with(0);
}

static void cut_partial(void)
{
	cut_with(VNIC_OFFLOAD_CSUM);
}

static void merge(uint8_t flags)
{
	struct coalesce coalesce;
	struct frame frame;
	uint32_t frames;

	coalesce_begin(&coalesce, merged + FRAME_HEADROOM, false, VNIC_OFFLOAD_ALL);
	for (unsigned i = 0; i < SEGMENTS; i++) {
		pieces[i].hdr.flags = flags;
		if (coalesce_add(&coalesce, &pieces[i]) != COALESCE_HELD)
			abort();
	}
	coalesce_take(&coalesce, &frame, &frames);
}

static void merge_verifying(void)
{
	merge(0);
}

static void merge_verified(void)
{
	merge(VIRTIO_NET_HDR_F_DATA_VALID);
}

/* Never two of a flow in a row: what is lost where merging does not help. */
static void try_in_vain(void)
{
	struct coalesce coalesce;
	struct frame frame;
	uint32_t frames;

	coalesce_begin(&coalesce, merged + FRAME_HEADROOM, false, VNIC_OFFLOAD_ALL);
	for (unsigned i = 0; i < SEGMENTS; i++) {
		const struct frame *next = &pieces[i / 2 + i % 2 * SEGMENTS / 2];

		pieces[i].hdr.flags = 0;
		if (coalesce_add(&coalesce, next) == COALESCE_FLUSH) {
			coalesce_take(&coalesce, &frame, &frames);
			coalesce_add(&coalesce, next);
		}
	}
}

static void write_segments(void)
{
	for (unsigned i = 0; i < SEGMENTS; i++)
		vnic_frame_write(&tap, 0, &pieces[i].hdr, pieces[i].data, pieces[i].len);
}

static void write_whole(void)
{
	vnic_frame_write(&tap, 0, &whole.hdr, whole.data, whole.len);
}

/* --- measuring ---------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const char *name, void (*what)(void))
{
	double rounds[ROUNDS];

	for (int r = 0; r < ROUNDS; r++) {
		double start = now_ns();

		for (int i = 0; i < REPEAT; i++)
			what();
		rounds[r] = (now_ns() - start) / REPEAT / SEGMENTS;
	}
	qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
	printf("%-44s %7.1f ns a frame (%.1f to %.1f)\n", name, rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]);
}

static int open_tap(void)
{
	const struct vnic_tap_config config = {.name = "bench0", .vnet_hdr = true, .offloads = VNIC_OFFLOAD_ALL};
	struct vnic_error err;
	struct vnic_nl *nl;
	int r = vnic_tap_open(&config, &tap, &err);

	if (r < 0 || vnic_nl_open(&nl, &err) < 0)
		return -1;
	r = vnic_link_set(nl, tap.index, &(struct vnic_link){.up = true}, &err);
	vnic_nl_close(nl);
	return r;
}

int main(void)
{
	whole.len = superframe_make(&tcp, space, &whole.hdr);
	for (unsigned i = 0; i < SEGMENTS; i++)
		pieces[i].data = cut[i];
	measure("cut, checksums finished", cut_whole);
	measure("checksum of 1514 bytes", sum_segments);
	measure("look at a frame of 1514 bytes", look_at_segments);
	measure("copy 1514 bytes", copy_segments);
	measure("merge 44, checksums verified", merge_verifying);
	measure("merge 44, checksums known to be right", merge_verified);
	measure("try to merge two flows that alternate", try_in_vain);
	if (open_tap() < 0) {
		printf("no TAP to write to: run as root, or with unshare -rn\n");
		return 0;
	}
	cut_whole();
	measure("write to a TAP, 1514 bytes", write_segments);
	measure("write to a TAP, super-frame of 44", write_whole);
	measure("cut, checksums left to the port", cut_partial);
	vnic_tap_close(&tap);
	return 0;
}
