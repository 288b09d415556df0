/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules: lines of "+RULE" and "-RULE", then what they decide about addresses.  A rule that is taken can be decided
 * by, the order of rules does not matter, and a last "any" that is denied never opens anything.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <vnic/policy.h>

static void check_flow(struct vnic_policy *policy, const struct vnic_policy_flow *flow)
{
	bool allowed = vnic_policy_allows(policy, flow);
	enum vnic_class class = vnic_policy_class(&flow->dst, flow->host);

	if (class >= VNIC_CLASS_ANY || (flow->host && class != VNIC_CLASS_HOST))
		abort();
	for (unsigned i = 0, k = policy->count; i + 1 < k; i++) {
		struct vnic_rule_policy kept = policy->rules[i];

		policy->rules[i] = policy->rules[--k];
		policy->rules[k] = kept;
	}
	if (vnic_policy_allows(policy, flow) != allowed)
		abort();
	if (!allowed && policy->count < VNIC_POLICY_RULES) {
		policy->rules[policy->count++] =
			(struct vnic_rule_policy){.by_class = true, .dst_class = VNIC_CLASS_ANY, .port_last = 65535};
		if (vnic_policy_allows(policy, flow))
			abort();
		policy->count--;
	}
}

/* The text is also where the addresses come from. */
static void check_flows(struct vnic_policy *policy, const uint8_t *data, size_t size)
{
	for (size_t at = 0; at + 20 <= size && at < 200; at += 20) {
		struct vnic_policy_flow flow = {
			.proto = (enum vnic_proto)(1 + data[at] % 3),
			.host = data[at] & 0x40,
			.port = (uint16_t)(data[at + 1] << 8 | data[at + 2]),
			.dst = {.family = data[at] & 0x80 ? AF_INET : AF_INET6, .prefix = data[at] & 0x80 ? 32 : 128},
		};

		memcpy(flow.dst.bytes, data + at + 4, data[at] & 0x80 ? 4 : 16);
		if (data[at + 3] & 1) /* of all names, for check_flow lets rules change places */
			memset(&flow.named, 0xff, sizeof(flow.named));
		check_flow(policy, &flow);
	}
}

/* It is one itself, and if it stands for those below, something below is. */
static void check_name(const struct vnic_policy *policy, const struct vnic_rule_policy *rule)
{
	const char *name = policy->names + rule->name;
	unsigned index = (unsigned)(rule - policy->rules);
	struct vnic_rule_set set = {0};
	char below[VNIC_DOMAIN_TEXT];

	if (!rule->allow || rule->by_class || rule->name >= policy->names_size ||
	    rule->name + strlen(name) >= policy->names_size || strlen(name) >= VNIC_DOMAIN_TEXT)
		abort();
	if (*name == '*') {
		below[0] = 'x';
		strcpy(below + 1, name + 1);
		name = below;
	}
	if (!vnic_policy_names(policy, name, &set) || !(set.bits[index / 64] >> index % 64 & 1))
		abort();
}

static void check_rule(const struct vnic_policy *policy, const struct vnic_rule_policy *rule)
{
	if (rule->port_first > rule->port_last || rule->proto > VNIC_PROTO_ICMP)
		abort();
	if (rule->name)
		check_name(policy, rule);
	else if (rule->by_class ? rule->dst_class > VNIC_CLASS_ANY || rule->dst_class == VNIC_CLASS_SPECIAL
				: rule->net.family != AF_INET && rule->net.family != AF_INET6)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *rest = text, *line;
	struct vnic_policy policy;

	if (!text)
		return 0;
	vnic_policy_init(&policy);
	while ((line = strsep(&rest, "\n"))) {
		unsigned before = policy.count;
		struct vnic_error err;

		if (*line && vnic_policy_add(&policy, *line == '+', line + 1, &err) == 0)
			check_rule(&policy, &policy.rules[before]);
		else if (policy.count != before)
			abort();
	}
	check_flows(&policy, data, size);
	free(text);
	return 0;
}
