/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BRIDGE_VLAN_H
#define BRIDGE_VLAN_H

#include "port.h"

/* Puts an 802.1Q or 802.1ad tag behind the MACs, in the frame's headroom; moves the virtio header's offsets along. */
void frame_push_vlan(struct frame *frame, uint16_t tpid, uint16_t tci);

#endif
