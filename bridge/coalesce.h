/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of one flow that follow each other, merged into a super-frame, for ports to which every write is dear. */
#ifndef BRIDGE_COALESCE_H
#define BRIDGE_COALESCE_H

#include <vnic/view.h>

#include "port.h"

enum coalesce_verdict {
	COALESCE_HELD,  /* the frame is in; its bytes may go */
	COALESCE_FLUSH, /* what is held must go first: take it, then add this frame again */
	COALESCE_PASS,  /* nothing is held, and this frame cannot be merged: it goes as it is */
};

/* What is held; coalesce.c's own. */
struct coalesce {
	struct frame frame;     /* of which frame.data is the caller's */
	struct vnic_view first; /* the first frame, as it came into frame.data */
	unsigned offloads;
	bool tun;
	bool closed;     /* nothing may follow */
	uint32_t frames; /* 0: nothing is held */
	uint32_t next_seq;
	uint16_t next_id, id_step; /* IPv4 */
	uint8_t last_flags;        /* TCP's */
};

/*
 * Begins with nothing held.  `data` is room for the super-frame: FRAME_HEADROOM bytes before it and VNIC_FRAME_MAX
 * behind; `offloads` is what the port takes (VNIC_OFFLOAD_*), `tun` whether frames have no Ethernet header.
 */
void coalesce_begin(struct coalesce *coalesce, uint8_t *data, bool tun, unsigned offloads);

/* Never delays by itself: whoever has no more frames to add takes what is held. */
enum coalesce_verdict coalesce_add(struct coalesce *coalesce, const struct frame *frame);

/*
 * What is held: a super-frame with a partial checksum, or the one frame as it came; valid until the next
 * coalesce_add.  Returns false if there is nothing.  *ret_frames: how many frames it was, for the accounts.
 */
bool coalesce_take(struct coalesce *coalesce, struct frame *ret_frame, uint32_t *ret_frames);

#endif
