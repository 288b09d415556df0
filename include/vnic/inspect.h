/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking into frames as a relay passes them: pass, drop, change, answer.
 *
 * A relay with an inspector calls it for each frame that comes in at a port, behind the port's filter and weather and
 * before the frame is captured and forwarded.  A super-frame comes whole: one call for up to 64 KiB.
 * Without an inspector nothing of this costs anything.
 */
#ifndef VNIC_INSPECT_H
#define VNIC_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/api.h>
#include <vnic/error.h>
#include <vnic/relay.h>
#include <vnic/view.h>

enum vnic_verdict {
	VNIC_VERDICT_PASS,
	VNIC_VERDICT_DROP, /* counted under VNIC_DROP_INSPECTED at the port it came from */
};

/*
 * A frame under inspection; it and its bytes are the relay's, and gone when the inspector returns.
 *
 * The inspector may write to the bytes, and may set `len`, up to `room`.  It then sets `changed`, and the
 * relay makes the checksums good (see vnic_frame_fill_checksums; a super-frame stays one, and each segment gets its
 * own).  Lengths within the headers are the inspector's to set.  A super-frame or a partial checksum whose headers do
 * not hold together afterwards is dropped under VNIC_DROP_SEGMENT; any other frame is the receiver's problem.
 * What is changed without saying so may be undone, or leave with wrong checksums.
 */
struct vnic_inspected {
	unsigned port;                /* where it came in */
	const struct vnic_view *view; /* as it came; not parsed again after changes */
	uint8_t *data;                /* the bytes that `view` looks at; stays */
	size_t len;                   /* of the frame; 0: nothing is left, it is dropped as VNIC_VERDICT_DROP would */
	size_t room;                  /* bytes that may be written from `data` on; len beyond it: dropped, OVERSIZE */
	bool changed;
};

/*
 * Called on the thread that dispatches.  From within, of the relay's calls only vnic_relay_inject, vnic_relay_stop,
 * vnic_relay_get_stats and vnic_relay_get_port may be made; those that set a filter, weather or an inspector
 * return -EBUSY.
 */
typedef enum vnic_verdict vnic_inspector(void *ctx, struct vnic_inspected *frame);

/* NULL: none.  There is one; `ctx` is the caller's and must live as long as it is set. */
VNIC_API int vnic_relay_set_inspector(struct vnic_relay *relay, vnic_inspector *inspector, void *ctx,
				      struct vnic_error *err);

/*
 * Sends a frame out of a port, from an inspector or at any other time on the thread that dispatches; the bytes
 * are copied.  It passes the port's filter and weather on the way out, is not inspected, teaches the switch nothing,
 * and is counted under VNIC_MADE_INJECTED, and under tx_frames or tx_dropped of its port.  Its checksums must be whole.
 * -ENOENT: no such port, or no longer; -EINVAL: shorter than a link header; -EMSGSIZE: more than VNIC_FRAME_MAX.
 */
VNIC_API int vnic_relay_inject(struct vnic_relay *relay, unsigned port, const void *frame, size_t len,
			       struct vnic_error *err);

/*
 * Writes the checksums of IPv4, and of TCP, UDP, SCTP, ICMP or ICMPv6 over the whole of it.  Left as they are: UDP's
 * where IPv4 has none (0), the transport's of a fragment or behind an IPv6 routing header, and whatever a tunnel
 * carries. `tun` says that there is no Ethernet header.  -EINVAL: not even a link header.
 */
VNIC_API int vnic_frame_fill_checksums(void *frame, size_t len, bool tun);

#endif
