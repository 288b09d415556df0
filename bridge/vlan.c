/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vlan.h"

#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <string.h>

#define TAG_LEN 4 /* IEEE 802.1Q */

void frame_push_vlan(struct frame *frame, uint16_t tpid, uint16_t tci)
{
	uint8_t *data = frame->data - TAG_LEN;

	memmove(data, frame->data, 2 * ETH_ALEN);
	data[12] = (uint8_t)(tpid >> 8);
	data[13] = (uint8_t)tpid;
	data[14] = (uint8_t)(tci >> 8);
	data[15] = (uint8_t)tci;
	frame->data = data;
	frame->len += TAG_LEN;
	if (frame->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		frame->hdr.csum_start = (uint16_t)(frame->hdr.csum_start + TAG_LEN);
	if (frame->hdr.hdr_len)
		frame->hdr.hdr_len = (uint16_t)(frame->hdr.hdr_len + TAG_LEN);
}
