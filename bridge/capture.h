/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames written as pcapng: to a file, a pipe, or files that take turns. */
#ifndef BRIDGE_CAPTURE_H
#define BRIDGE_CAPTURE_H

#include "port.h"

struct capture;

int capture_new(const struct vnic_capture *config, struct capture **ret_capture, struct vnic_error *err);
/* Writes what is left, and closes the descriptor.  Returns why the capture has ended before, if it has: -errno. */
int capture_finish(struct capture *capture);
/* Writes what is there, and waits for a slow reader a while.  0; or why the capture has ended: -errno. */
int capture_sync(struct capture *capture);
/* Finishes, too. */
void capture_free(struct capture *capture);

/*
 * The next interface; they are numbered from 0.  `tun`: packets without a link header.  Where there is no room to
 * declare it now (false) it is not there, and its frames are missed.
 */
bool capture_add_interface(struct capture *capture, const char *name, bool tun);
unsigned capture_interfaces(const struct capture *capture);
/*
 * One frame.  `dropped`: why it goes no further, NULL if it does.  False: there was no room for it.  It lands in a
 * buffer; capture_flush writes that when it has grown, or has waited long enough at `now` (CLOCK_MONOTONIC, ns).
 */
bool capture_frame(struct capture *capture, unsigned interface, enum vnic_direction direction,
		   const struct frame *frame, const char *dropped);
/* The same for a frame that was seen elsewhere: `captured` bytes of `len`, at `time` (CLOCK_REALTIME, ns). */
struct captured {
	const uint8_t *data;
	size_t captured, len;
	uint64_t time;
};
bool capture_packet(struct capture *capture, unsigned interface, enum vnic_direction direction,
		    const struct captured *packet, const char *dropped);
/* Wants this direction, or drops? */
bool capture_wants(const struct capture *capture, enum vnic_direction direction, bool dropped);
/* Would capture_flush write?  Then is the time for capture_note_counts. */
bool capture_is_ripe(struct capture *capture, int64_t now);
void capture_flush(struct capture *capture, int64_t now);
/* When to call it again if nothing comes; INT64_MAX: nothing waits. */
int64_t capture_due(const struct capture *capture);
/* What an interface met in all, written at the end of each file: frames, and those that were dropped. */
void capture_note_counts(struct capture *capture, unsigned interface, uint64_t frames, uint64_t dropped);
void capture_get_stats(const struct capture *capture, struct vnic_capture_stats *ret_stats);

#endif
