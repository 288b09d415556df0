/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routing rules: which table is asked, in which order. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <netlink/route/rule.h>
#include <stdio.h>

#include <vnic/link.h>

#include "batch.h"
#include "convert.h"

static void put_rule(struct rtnl_rule **rule)
{
	rtnl_rule_put(*rule);
}

static int set_prefix(struct rtnl_rule *to, const struct vnic_addr *addr,
		      int (*set)(struct rtnl_rule *rule, struct nl_addr *addr))
{
	struct vnic_addr net;
	CLEANUP_NL_ADDR struct nl_addr *converted = NULL;

	if (addr->family == AF_UNSPEC)
		return 0;
	net = vnic_addr_host(addr, 0);
	converted = addr_to_nl(&net);
	return converted ? set(to, converted) : -ENOMEM;
}

static int describe(struct rtnl_rule *to, const struct vnic_rule *rule)
{
	rtnl_rule_set_family(to, rule->family);
	rtnl_rule_set_action(to, FR_ACT_TO_TBL);
	rtnl_rule_set_table(to, rule->table);
	if (rule->fwmask) {
		rtnl_rule_set_mark(to, rule->fwmark);
		rtnl_rule_set_mask(to, rule->fwmask);
	}
	if (set_prefix(to, &rule->src, rtnl_rule_set_src) < 0 || set_prefix(to, &rule->dst, rtnl_rule_set_dst) < 0)
		return -ENOMEM;
	return 0;
}

static bool is_family_or_none(const struct vnic_addr *addr, uint8_t family)
{
	return addr->family == AF_UNSPEC || addr->family == family;
}

static const char *objection(const struct vnic_rule *rule)
{
	if (rule->family != AF_INET && rule->family != AF_INET6)
		return "a rule is for IPv4 or IPv6";
	if (!is_family_or_none(&rule->src, rule->family) || !is_family_or_none(&rule->dst, rule->family))
		return "a rule's addresses must be of its family";
	if (!rule->table)
		return "a rule needs a table";
	return NULL;
}

static void append(struct vnic_batch *batch, const struct vnic_rule *rule, bool with_priority,
		   int (*build)(struct rtnl_rule *rule, int flags, struct nl_msg **ret_msg), int flags)
{
	CLEANUP(put_rule) struct rtnl_rule *made = NULL;
	const char *why = objection(rule);
	char text[VNIC_ADDR_TEXT];
	struct nl_msg *msg = NULL;

	snprintf(text, sizeof(text), "%u to table %u", rule->priority, rule->table);
	batch_begin(batch, VNIC_STEP_RULE, text);
	if (why) {
		batch_refuse(batch, EINVAL, why);
		return;
	}
	made = rtnl_rule_alloc();
	if (!made || describe(made, rule) < 0) {
		batch_refuse(batch, ENOMEM, NULL);
		return;
	}
	if (with_priority)
		rtnl_rule_set_prio(made, rule->priority);
	batch_append(batch, build(made, flags, &msg), &msg);
}

void vnic_batch_rule_add(struct vnic_batch *batch, const struct vnic_rule *rule)
{
	append(batch, rule, rule->priority != 0, rtnl_rule_build_add_request, NLM_F_CREATE | NLM_F_EXCL);
}

void vnic_batch_rule_del(struct vnic_batch *batch, const struct vnic_rule *rule)
{
	append(batch, rule, true, rtnl_rule_build_delete_request, 0);
}

int vnic_rule_add(struct vnic_nl *nl, const struct vnic_rule *rule, struct vnic_error *err)
{
	struct vnic_batch batch = {0};

	vnic_batch_rule_add(&batch, rule);
	return vnic_batch_send(&batch, nl, NULL, err);
}

int vnic_rule_del(struct vnic_nl *nl, const struct vnic_rule *rule, struct vnic_error *err)
{
	struct vnic_batch batch = {0};

	vnic_batch_rule_del(&batch, rule);
	return vnic_batch_send(&batch, nl, NULL, err);
}
