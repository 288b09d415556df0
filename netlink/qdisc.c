/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A link's queue of frames to send. */
#include <errno.h>
#include <linux/pkt_sched.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/qdisc/fifo.h>

#include <vnic/link.h>

#include "batch.h"
#include "convert.h"
#include "name.h"

static void put_qdisc(struct rtnl_qdisc **qdisc)
{
	rtnl_qdisc_put(*qdisc);
}

void vnic_batch_queue_set(struct vnic_batch *batch, int index, unsigned packets)
{
	CLEANUP(put_qdisc) struct rtnl_qdisc *queue = rtnl_qdisc_alloc();
	char text[VNIC_ADDR_TEXT];
	struct nl_msg *msg = NULL;

	batch_begin(batch, VNIC_STEP_LINK_SET, link_text(index, NULL, text));
	if (!queue || rtnl_tc_set_kind(TC_CAST(queue), "pfifo") < 0) {
		batch_refuse(batch, ENOMEM, NULL);
		return;
	}
	rtnl_tc_set_ifindex(TC_CAST(queue), index);
	rtnl_tc_set_parent(TC_CAST(queue), TC_H_ROOT);
	rtnl_qdisc_fifo_set_limit(queue, (int)packets);
	batch_append(batch, rtnl_qdisc_build_add_request(queue, NLM_F_CREATE | NLM_F_REPLACE, &msg), &msg);
	batch_wish(batch);
}
