/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How rules are written, and which of them decides. */
#include "vt.h"

#include <vnic/policy.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* "+RULE" allows, "-RULE" denies; NULL ends.  Without the default. */
static struct vnic_policy *policy_of(const char *const *rules)
{
	static struct vnic_policy policy;
	struct vnic_error err;

	policy.count = 0;
	for (; *rules; rules++)
		vt_ok(vnic_policy_add(&policy, **rules == '+', *rules + 1, &err), &err);
	return &policy;
}

static struct vnic_policy_flow flow_to(const char *addr, uint16_t port, enum vnic_proto proto)
{
	struct vnic_policy_flow flow = {.proto = proto, .port = port};
	struct vnic_error err;

	vt_ok(vnic_addr_parse(addr, &flow.dst, &err), &err);
	return flow;
}

static bool allows(const struct vnic_policy *policy, const char *addr, uint16_t port, enum vnic_proto proto)
{
	struct vnic_policy_flow flow = flow_to(addr, port, proto);

	return vnic_policy_allows(policy, &flow);
}

static void by_default_the_internet_is_allowed_and_nothing_else(void **state)
{
	struct vnic_policy policy;
	struct vnic_policy_flow own = flow_to("8.8.8.8", 80, VNIC_PROTO_TCP);

	(void)state;
	vnic_policy_init(&policy);
	own.host = true;
	assert_true(allows(&policy, "8.8.8.8", 443, VNIC_PROTO_TCP));
	assert_true(allows(&policy, "2606:4700::1111", 0, VNIC_PROTO_ICMP));
	assert_false(allows(&policy, "192.168.1.1", 443, VNIC_PROTO_TCP));
	assert_false(allows(&policy, "169.254.169.254", 80, VNIC_PROTO_TCP));
	assert_false(allows(&policy, "::ffff:127.0.0.1", 80, VNIC_PROTO_TCP));
	assert_false(vnic_policy_allows(&policy, &own));
}

static void the_default_decides_only_where_no_rule_matches(void **state)
{
	struct vnic_policy policy;
	struct vnic_error err;

	(void)state;
	vnic_policy_init(&policy);
	vt_ok(vnic_policy_add(&policy, false, "any:25", &err), &err);
	assert_false(allows(&policy, "8.8.8.8", 25, VNIC_PROTO_TCP));
	assert_true(allows(&policy, "8.8.8.8", 443, VNIC_PROTO_TCP));
	vt_ok(vnic_policy_add(&policy, false, "any", &err), &err);
	assert_false(allows(&policy, "8.8.8.8", 443, VNIC_PROTO_TCP));
	assert_false(allows(&policy, "2606:4700::1111", 0, VNIC_PROTO_ICMP));
	vt_ok(vnic_policy_add(&policy, true, "internet:443/tcp", &err), &err);
	assert_true(allows(&policy, "8.8.8.8", 443, VNIC_PROTO_TCP));
	assert_false(allows(&policy, "8.8.8.8", 80, VNIC_PROTO_TCP));
}

static void what_would_open_a_denied_flow_is_the_broadest_rule_that_does(void **state)
{
	static const struct {
		const char *deny, *addr;
		enum vnic_proto proto;
		const char *remedy;
	} cases[] = {
		{"lan", "10.1.2.3", VNIC_PROTO_TCP, "10.1.2.3"},
		{"any", "10.1.2.3", VNIC_PROTO_TCP, "lan"},
		{"any", "8.8.8.8", VNIC_PROTO_ICMP, "8.8.8.8"},
		{"internet", "8.8.8.8", VNIC_PROTO_UDP, "8.8.8.8"},
		{"8.8.0.0/16", "8.8.8.8", VNIC_PROTO_UDP, "8.8.8.8"},
		{"8.8.8.8", "8.8.8.8", VNIC_PROTO_UDP, "8.8.8.8:443/udp"},
		{"2606::1", "2606::1", VNIC_PROTO_TCP, "[2606::1]:443/tcp"},
		{"8.8.8.8", "8.8.8.8", VNIC_PROTO_ICMP, "8.8.8.8/icmp"},
		{"8.8.8.8:443/udp", "8.8.8.8", VNIC_PROTO_UDP, NULL},
		{"lan", "169.254.169.254", VNIC_PROTO_TCP, "169.254.169.254"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vnic_policy_flow flow = flow_to(cases[i].addr, 443, cases[i].proto);
		struct vnic_policy policy;
		struct vnic_error err;
		char buf[96];

		vnic_policy_init(&policy);
		vt_ok(vnic_policy_add(&policy, false, cases[i].deny, &err), &err);
		assert_false(vnic_policy_allows(&policy, &flow));
		const char *remedy = vnic_policy_remedy(&policy, &flow, buf, sizeof(buf));
		assert_int_equal(!remedy, !cases[i].remedy);
		if (remedy)
			assert_string_equal(remedy, cases[i].remedy);
		assert_int_equal(policy.count, 2); /* untouched */
	}
}

static void a_rule_is_read_into_its_parts(void **state)
{
	static const struct {
		const char *text, *net; /* NULL: by class */
		enum vnic_class class;
		uint16_t first, last;
		enum vnic_proto proto;
	} good[] = {
		{"host", NULL, VNIC_CLASS_HOST, 0, 65535, VNIC_PROTO_ANY},
		{"lan:80-90", NULL, VNIC_CLASS_LAN, 80, 90, VNIC_PROTO_ANY},
		{"any/icmp", NULL, VNIC_CLASS_ANY, 0, 65535, VNIC_PROTO_ICMP},
		{"internet:53/udp", NULL, VNIC_CLASS_INTERNET, 53, 53, VNIC_PROTO_UDP},
		{"192.168.0.0/16", "192.168.0.0/16", 0, 0, 65535, VNIC_PROTO_ANY},
		{"10.1.2.3:443/tcp", "10.1.2.3/32", 0, 443, 443, VNIC_PROTO_TCP},
		{"10.1.0.0/16:1-65535/udp", "10.1.0.0/16", 0, 1, 65535, VNIC_PROTO_UDP},
		{"10.1.2.3/icmp", "10.1.2.3/32", 0, 0, 65535, VNIC_PROTO_ICMP},
		{"[fd00::/8]:53/udp", "fd00::/8", 0, 53, 53, VNIC_PROTO_UDP},
		{"[fd00::1]", "fd00::1/128", 0, 0, 65535, VNIC_PROTO_ANY},
		{"[fd00::1]/tcp", "fd00::1/128", 0, 0, 65535, VNIC_PROTO_TCP},
		{"fd00::/8", "fd00::/8", 0, 0, 65535, VNIC_PROTO_ANY},
		{"fd00::/8/tcp", "fd00::/8", 0, 0, 65535, VNIC_PROTO_TCP},
		{"::/0", "::/0", 0, 0, 65535, VNIC_PROTO_ANY},
		{"fd00::80", "fd00::80/128", 0, 0, 65535, VNIC_PROTO_ANY}, /* 80 is no port */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct vnic_policy policy = {0};
		const struct vnic_rule_policy *rule = policy.rules;
		struct vnic_error err;
		char text[VNIC_ADDR_TEXT];

		vt_ok(vnic_policy_add(&policy, true, good[i].text, &err), &err);
		assert_int_equal(policy.count, 1);
		assert_true(rule->allow);
		assert_int_equal(rule->by_class, !good[i].net);
		if (good[i].net)
			assert_string_equal(vnic_addr_text(&rule->net, true, text), good[i].net);
		else
			assert_int_equal(rule->dst_class, good[i].class);
		assert_int_equal(rule->port_first, good[i].first);
		assert_int_equal(rule->port_last, good[i].last);
		assert_int_equal(rule->proto, good[i].proto);
	}
}

static void a_bad_rule_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {"",
					  "special",
					  "Host",
					  "lan ",
					  " lan",
					  "lan:",
					  "lan:0",
					  "lan:65536",
					  "lan:90-80",
					  "lan:80-",
					  "lan:-80",
					  "lan:80-90-100",
					  "lan:http",
					  "lan/",
					  "lan/sctp",
					  "lan/TCP",
					  "any:80/icmp",
					  "10.0.0.0/33",
					  "10.0.0.0/",
					  "10.0.0",
					  "10.0.0.0.0",
					  "010.0.0.1",
					  "fd00::/129",
					  "[fd00::",
					  "[fd00::]80",
					  "[fd00::]x80",
					  "[10.0.0.1]:80",
					  "[lan]:80",
					  "[]",
					  "[]:80",
					  "fd00::1]:80",
					  "10.0.0.1:80:90",
					  ":80",
					  "/tcp",
					  "/24",
					  "10.0.0.1:80/tcp/udp",
					  "10.0.0.1/tcp:80",
					  "host/24",
					  "example",
					  ".",
					  "*.",
					  "*",
					  ".example.com",
					  "example..com",
					  "example.com..",
					  "www.*.com",
					  "*example.com",
					  "example.com/24",
					  "example.com:443:1",
					  "example.com:0",
					  "ex ample.com",
					  "ex\303\244mple.com",
					  "192.168.1.0-24",
					  "10.0.0.1x"};
	struct vnic_policy policy;

	(void)state;
	vnic_policy_init(&policy);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vnic_error err = {0};
		int r = vnic_policy_add(&policy, true, bad[i], &err);

		if (r != -EINVAL)
			fail_msg("'%s' gives %d", bad[i], r);
		assert_int_equal(err.step, VNIC_STEP_USAGE);
		assert_true(err.detail[0]);
		assert_int_equal(policy.count, 1);
		assert_int_equal(policy.names_size, 0);
	}
}

static void there_is_a_most_of_rules(void **state)
{
	struct vnic_policy policy = {0};
	struct vnic_error err;

	(void)state;
	for (int i = 0; i < VNIC_POLICY_RULES; i++)
		vt_ok(vnic_policy_add(&policy, true, "lan", &err), &err);
	vt_fails(vnic_policy_add(&policy, true, "lan", &err), &err, VNIC_STEP_USAGE, ENOSPC);
}

/* Each line: the first of the two is more specific, so it decides in either order and whatever it says. */
static void the_more_specific_of_two_rules_decides(void **state)
{
	static const char *const pairs[][2] = {
		{"10.1.0.0/16", "lan"},        /* a network before a class */
		{"10.0.0.0/8", "lan:443/tcp"}, /* even if the class says more */
		{"0.0.0.0/0", "lan"},          /* the widest one too */
		{"10.1.0.0/16", "10.0.0.0/8"}, /* a longer prefix before a shorter */
		{"10.1.0.0/16", "10.0.0.0/8:443/tcp"},
		{"lan", "any"}, /* a class before any */
		{"lan", "any:443/tcp"},
		{"10.0.0.0/8:443", "10.0.0.0/8"}, /* fewer ports before more */
		{"10.0.0.0/8:440-450", "10.0.0.0/8:1-1000/tcp"},
		{"lan:443", "lan:442-443/tcp"},
		{"10.0.0.0/8/tcp", "10.0.0.0/8"}, /* a protocol before none */
		{"any/tcp", "any"},
		{"lan:443/tcp", "lan:443"},
	};
	const struct vnic_policy_flow flow = flow_to("10.1.2.3", 443, VNIC_PROTO_TCP);

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		for (int way = 0; way < 4; way++) {
			bool allow = way & 1, swap = way & 2;
			struct vnic_policy policy = {0};
			struct vnic_error err;

			for (int k = 0; k < 2; k++) {
				int which = swap ? !k : k;

				vt_ok(vnic_policy_add(&policy, which ? !allow : allow, pairs[i][which], &err), &err);
			}
			if (vnic_policy_allows(&policy, &flow) != allow)
				fail_msg("'%s' does not win over '%s'", pairs[i][0], pairs[i][1]);
		}
}

static void among_equals_deny_wins(void **state)
{
	(void)state;
	assert_false(allows(policy_of((const char *const[]){"+lan", "-lan", NULL}), "10.0.0.1", 1, VNIC_PROTO_TCP));
	assert_false(allows(policy_of((const char *const[]){"-lan", "+lan", NULL}), "10.0.0.1", 1, VNIC_PROTO_TCP));
	/* Ranges that overlap with as many ports. */
	assert_false(allows(policy_of((const char *const[]){"-lan:1-10", "+lan:5-14", NULL}), "10.0.0.1", 7,
			    VNIC_PROTO_TCP));
}

static void without_a_match_nothing_starts(void **state)
{
	const struct vnic_policy *policy = policy_of((const char *const[]){"+10.0.0.0/8:80/tcp", NULL});

	(void)state;
	assert_true(allows(policy, "10.9.9.9", 80, VNIC_PROTO_TCP));
	assert_false(allows(policy, "10.9.9.9", 81, VNIC_PROTO_TCP));
	assert_false(allows(policy, "10.9.9.9", 80, VNIC_PROTO_UDP));
	assert_false(allows(policy, "11.9.9.9", 80, VNIC_PROTO_TCP));
	assert_false(allows(policy, "fd00::1", 80, VNIC_PROTO_TCP));
	assert_false(allows(policy_of((const char *const[]){NULL}), "8.8.8.8", 80, VNIC_PROTO_TCP));
}

static void a_rule_with_ports_says_nothing_about_icmp(void **state)
{
	(void)state;
	assert_false(allows(policy_of((const char *const[]){"+any:1-65535", NULL}), "8.8.8.8", 0, VNIC_PROTO_ICMP));
	assert_true(allows(policy_of((const char *const[]){"+any", NULL}), "8.8.8.8", 0, VNIC_PROTO_ICMP));
}

static void a_rule_about_a_network_holds_for_ipv6_addresses_that_lead_there(void **state)
{
	const struct vnic_policy *policy = policy_of((const char *const[]){"+any", "-8.8.8.0/24", NULL});

	(void)state;
	assert_false(allows(policy, "8.8.8.8", 53, VNIC_PROTO_UDP));
	assert_false(allows(policy, "::ffff:8.8.8.8", 53, VNIC_PROTO_UDP));
	assert_false(allows(policy, "64:ff9b::808:808", 53, VNIC_PROTO_UDP));
	assert_false(allows(policy, "2002:808:808::1", 53, VNIC_PROTO_UDP));
	assert_true(allows(policy, "64:ff9b::808:908", 53, VNIC_PROTO_UDP));
}

static void any_is_the_only_class_with_the_special_addresses(void **state)
{
	const struct vnic_policy *policy = policy_of((const char *const[]){"+internet", "+lan", "+host", NULL});

	(void)state;
	assert_false(allows(policy, "169.254.169.254", 80, VNIC_PROTO_TCP));
	assert_false(allows(policy, "255.255.255.255", 67, VNIC_PROTO_UDP));
	policy = policy_of((const char *const[]){"+any", NULL});
	assert_true(allows(policy, "169.254.169.254", 80, VNIC_PROTO_TCP));
}

/* --- properties --------------------------------------------------------------------- */

#define POOL 16
static const char *const pool[POOL] = {"any",
				       "any/tcp",
				       "lan",
				       "lan:80",
				       "lan:1-100/tcp",
				       "internet",
				       "internet:443",
				       "host",
				       "10.0.0.0/8",
				       "10.1.0.0/16:80",
				       "10.1.2.0/24/udp",
				       "10.1.2.3",
				       "0.0.0.0/0",
				       "8.8.0.0/16:443/tcp",
				       "::/0",
				       "fd00::/8"};
static const char *const targets[] = {"10.1.2.3",    "10.1.9.9", "10.9.9.9", "8.8.8.8",         "9.9.9.9",
				      "192.168.0.1", "fd00::1",  "2606::1",  "169.254.169.254", "64:ff9b::a01:203"};
static const uint16_t ports[] = {80, 443, 7};

static void shuffle(struct vnic_policy *policy, unsigned *seed)
{
	for (unsigned i = policy->count; i > 1; i--) {
		unsigned k = (unsigned)rand_r(seed) % i;
		struct vnic_rule_policy kept = policy->rules[i - 1];

		policy->rules[i - 1] = policy->rules[k];
		policy->rules[k] = kept;
	}
}

/* Calls check for each of the targets with random policies. */
static void with_random_policies(void (*check)(struct vnic_policy *policy, const struct vnic_policy_flow *flow,
					       unsigned *seed))
{
	unsigned seed = 1;

	for (int round = 0; round < 300; round++) {
		struct vnic_policy policy = {0};

		for (int count = rand_r(&seed) % 8; count > 0; count--)
			assert_int_equal(vnic_policy_add(&policy, rand_r(&seed) & 1, pool[rand_r(&seed) % POOL], NULL),
					 0);
		for (size_t t = 0; t < sizeof(targets) / sizeof(targets[0]); t++)
			for (size_t p = 0; p < sizeof(ports) / sizeof(ports[0]); p++) {
				struct vnic_policy_flow flow = flow_to(
					targets[t], ports[p], rand_r(&seed) & 1 ? VNIC_PROTO_TCP : VNIC_PROTO_UDP);

				flow.host = rand_r(&seed) % 4 == 0;
				check(&policy, &flow, &seed);
			}
	}
}

static void check_order(struct vnic_policy *policy, const struct vnic_policy_flow *flow, unsigned *seed)
{
	bool before = vnic_policy_allows(policy, flow);

	shuffle(policy, seed);
	assert_int_equal(vnic_policy_allows(policy, flow), before);
}

static void the_order_of_rules_does_not_matter(void **state)
{
	(void)state;
	with_random_policies(check_order);
}

static void check_one_more(struct vnic_policy *policy, const struct vnic_policy_flow *flow, unsigned *seed)
{
	bool before = vnic_policy_allows(policy, flow), allow = rand_r(seed) & 1;

	assert_int_equal(vnic_policy_add(policy, allow, pool[rand_r(seed) % POOL], NULL), 0);
	if (before == allow)
		assert_int_equal(vnic_policy_allows(policy, flow), before);
	policy->count--;
}

static void a_rule_can_change_an_answer_to_its_own_only(void **state)
{
	(void)state;
	with_random_policies(check_one_more);
}

static void a_network_does_not_open_the_loopback_because_the_router_lies_in_it(void **state)
{
	static const struct {
		const char *rule;
		bool allows;
	} rules[] = {
		{"10.0.0.0/8", false}, {"10.0.2.2/31", false}, {"0.0.0.0/0", false}, {"10.0.2.2", true},
		{"10.0.2.2:80", true}, {"host", true},         {"any", true},
	};
	struct vnic_policy_flow flow = flow_to("10.0.2.2", 80, VNIC_PROTO_TCP);

	(void)state;
	flow.host = flow.loopback = true;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		char text[32];
		const char *const policy[] = {text, NULL}, *const both[] = {"+any", "-10.0.0.0/8", NULL};

		snprintf(text, sizeof(text), "+%s", rules[i].rule);
		assert_int_equal(vnic_policy_allows(policy_of(policy), &flow), rules[i].allows);
		assert_false(vnic_policy_allows(policy_of(both), &flow));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(by_default_the_internet_is_allowed_and_nothing_else),
		vt_test(the_default_decides_only_where_no_rule_matches),
		vt_test(what_would_open_a_denied_flow_is_the_broadest_rule_that_does),
		vt_test(a_rule_is_read_into_its_parts),
		vt_test(a_bad_rule_is_refused_and_changes_nothing),
		vt_test(there_is_a_most_of_rules),
		vt_test(the_more_specific_of_two_rules_decides),
		vt_test(a_network_does_not_open_the_loopback_because_the_router_lies_in_it),
		vt_test(among_equals_deny_wins),
		vt_test(without_a_match_nothing_starts),
		vt_test(a_rule_with_ports_says_nothing_about_icmp),
		vt_test(a_rule_about_a_network_holds_for_ipv6_addresses_that_lead_there),
		vt_test(any_is_the_only_class_with_the_special_addresses),
		vt_test(the_order_of_rules_does_not_matter),
		vt_test(a_rule_can_change_an_answer_to_its_own_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
