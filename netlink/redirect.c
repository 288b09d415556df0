/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames sent on in the kernel, from one link to another.
 *
 * Theory of operation.  A link's hooks for traffic control (the qdisc clsact) see every frame that it receives, before
 * anybody else does, and every frame that it is about to send, before it queues.  A filter that matches all of them has
 * one action: mirred, "redirect", which takes the frame to another link, whole, with its offloads.  The other link must
 * be in the same namespace and up; while it is not, frames are lost there.
 *
 * The filter is u32 with a selector that selects nothing away: matchall would say so more plainly, but not every kernel
 * has it.  (Rejected: cls_bpf, which wants the right to load programs; libnl's mirred, which cannot have a frame
 * received.)
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <netinet/in.h>
#include <netlink/msg.h>

#include "batch.h"
#include "name.h"

#define HOOKS TC_H_MAKE(TC_H_CLSACT, 0)
#define FIRST 1 /* filter, and its action */

static void begin(struct vnic_batch *batch, int index)
{
	char text[VNIC_ADDR_TEXT];

	batch_begin(batch, VNIC_STEP_REDIRECT, link_text(index, NULL, text));
}

/* Traffic control's messages begin alike; NULL when out of memory. */
static struct nl_msg *message(int type, int flags, struct tcmsg about, const char *kind)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	if (msg && nlmsg_append(msg, &about, sizeof(about), NLMSG_ALIGNTO) == 0 &&
	    nla_put_string(msg, TCA_KIND, kind) == 0)
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static void append(struct vnic_batch *batch, struct nl_msg *msg)
{
	if (msg)
		batch_append(batch, 0, &msg);
	else
		batch_refuse(batch, ENOMEM, NULL);
}

static struct nl_msg *hooks_message(int type, int flags, int index)
{
	const struct tcmsg about = {.tcm_ifindex = index, .tcm_parent = TC_H_CLSACT, .tcm_handle = HOOKS};

	return message(type, flags, about, "clsact");
}

static bool put_action(struct nl_msg *msg, const struct vnic_redirect *redirect)
{
	const struct tc_mirred redirection = {
		.action = TC_ACT_STOLEN,
		.eaction = redirect->as_received ? TCA_INGRESS_REDIR : TCA_EGRESS_REDIR,
		.ifindex = (uint32_t)redirect->to,
	};
	struct nlattr *actions = nla_nest_start(msg, TCA_U32_ACT);
	struct nlattr *action = actions ? nla_nest_start(msg, FIRST) : NULL;
	struct nlattr *options = action && nla_put_string(msg, TCA_ACT_KIND, "mirred") == 0
					 ? nla_nest_start(msg, TCA_ACT_OPTIONS)
					 : NULL;

	if (!options || nla_put(msg, TCA_MIRRED_PARMS, sizeof(redirection), &redirection) < 0)
		return false;
	nla_nest_end(msg, options);
	nla_nest_end(msg, action);
	nla_nest_end(msg, actions);
	return true;
}

static bool put_filter(struct nl_msg *msg, const struct vnic_redirect *redirect)
{
	const struct tc_u32_sel all = {.flags = TC_U32_TERMINAL};
	struct nlattr *options = nla_nest_start(msg, TCA_OPTIONS);

	if (!options || nla_put(msg, TCA_U32_SEL, sizeof(all), &all) < 0 || !put_action(msg, redirect))
		return false;
	nla_nest_end(msg, options);
	return true;
}

static struct nl_msg *filter_message(const struct vnic_redirect *redirect)
{
	const struct tcmsg about = {
		.tcm_ifindex = redirect->from,
		.tcm_parent = TC_H_MAKE(TC_H_CLSACT, redirect->sent ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS),
		.tcm_info = TC_H_MAKE(FIRST << 16, htons(ETH_P_ALL)),
	};
	struct nl_msg *msg = message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, about, "u32");

	if (msg && put_filter(msg, redirect))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

void vnic_batch_redirect_add(struct vnic_batch *batch, const struct vnic_redirect *redirect)
{
	begin(batch, redirect->from);
	append(batch, hooks_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, redirect->from));
	append(batch, filter_message(redirect));
	batch_need(batch); /* the hooks that are there already are another's */
}

void vnic_batch_redirect_del(struct vnic_batch *batch, int index)
{
	begin(batch, index);
	append(batch, hooks_message(RTM_DELQDISC, 0, index));
}
