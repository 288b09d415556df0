/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checksums of a frame that somebody has changed. */
#ifndef BRIDGE_RENEW_H
#define BRIDGE_RENEW_H

#include "port.h"

/*
 * Makes the checksums good: whole ones, or for a super-frame the IPv4 header's and a partial one.  -EINVAL: not even a
 * link header; -EPROTO: a super-frame whose headers do not hold together any more.
 */
int frame_renew(struct frame *frame, bool tun);

#endif
