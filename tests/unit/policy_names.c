/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules with names: how they are written, which names they have, and what they decide. */
#include "vt.h"

#include <errno.h>
#include <string.h>

#include <vnic/policy.h>
#include <vnic/sandbox.h>

static struct vnic_policy policy_of(const char *const *rules)
{
	struct vnic_policy policy;
	struct vnic_error err;

	vnic_policy_init(&policy);
	for (; *rules; rules++)
		vt_ok(vnic_policy_add(&policy, **rules == '+', *rules + 1, &err), &err);
	return policy;
}

#define POLICY(...) policy_of((const char *const[]){__VA_ARGS__, NULL})

/* A flow to an address that has this name. */
static struct vnic_policy_flow flow_by(const struct vnic_policy *policy, const char *name, const char *addr)
{
	struct vnic_policy_flow flow = {.proto = VNIC_PROTO_TCP, .port = 443, .name = name};
	struct vnic_error err;

	vt_ok(vnic_addr_parse(addr, &flow.dst, &err), &err);
	vnic_policy_names(policy, name, &flow.named);
	return flow;
}

static bool allows(const struct vnic_policy *policy, const char *name, const char *addr)
{
	struct vnic_policy_flow flow = flow_by(policy, name, addr);

	return vnic_policy_allows(policy, &flow);
}

static void a_name_is_kept_in_lower_case_without_its_last_dot(void **state)
{
	struct vnic_policy policy = POLICY("+Example.ORG.:443/tcp", "+*.a-b_c.example");

	(void)state;
	assert_int_equal(policy.count, 3);
	assert_string_equal(policy.names + policy.rules[1].name, "example.org");
	assert_string_equal(policy.names + policy.rules[2].name, "*.a-b_c.example");
	assert_int_equal(policy.rules[1].port_first, 443);
	assert_int_equal(policy.rules[1].proto, VNIC_PROTO_TCP);
	assert_false(policy.rules[1].by_class);
}

static void a_name_has_253_characters_and_a_part_63_at_most(void **state)
{
	struct vnic_policy policy = {0};
	struct vnic_error err;
	char name[256];

	(void)state;
	for (int i = 0; i < 255; i++)
		name[i] = i % 2 ? '.' : 'a';
	name[253] = '\0';
	vt_ok(vnic_policy_add(&policy, true, name, &err), &err);
	name[253] = '.';
	name[255] = '\0';
	vt_fails(vnic_policy_add(&policy, true, name, &err), &err, VNIC_STEP_USAGE, EINVAL);

	memset(name, 'a', 64);
	strcpy(name + 63, ".org");
	vt_ok(vnic_policy_add(&policy, true, name, &err), &err);
	strcpy(name + 63, "a.org");
	vt_fails(vnic_policy_add(&policy, true, name, &err), &err, VNIC_STEP_USAGE, EINVAL);
}

static void a_rule_has_its_name_or_those_below(void **state)
{
	struct vnic_policy policy = POLICY("+example.org", "+*.example.org");
	static const struct {
		const char *name;
		uint64_t rules;
	} names[] = {
		{"example.org", 2},      {"www.example.org", 4},
		{"a.b.example.org", 4},  {"myexample.org", 0},
		{"example.org.evil", 0}, {"org", 0},
		{".example.org", 0},     {"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct vnic_rule_set set = {0};

		assert_int_equal(vnic_policy_names(&policy, names[i].name, &set), names[i].rules != 0);
		assert_int_equal(set.bits[0], names[i].rules);
	}
}

static void what_is_added_to_a_set_stays(void **state)
{
	struct vnic_policy policy = POLICY("+example.org", "+example.com");
	struct vnic_rule_set set = {0};

	(void)state;
	vnic_policy_names(&policy, "example.org", &set);
	vnic_policy_names(&policy, "example.net", &set);
	vnic_policy_names(&policy, "example.com", &set);
	assert_int_equal(set.bits[0], 6);
}

static void the_last_rule_of_a_full_policy_can_have_a_name(void **state)
{
	struct vnic_policy policy = {0};
	struct vnic_rule_set set = {0};
	struct vnic_error err;

	(void)state;
	while (policy.count < VNIC_POLICY_RULES - 1)
		vt_ok(vnic_policy_add(&policy, false, "lan", &err), &err);
	vt_ok(vnic_policy_add(&policy, true, "example.org", &err), &err);
	assert_true(vnic_policy_names(&policy, "example.org", &set));
	assert_true(set.bits[3] == UINT64_C(1) << 63);
	assert_true(allows(&policy, "example.org", "9.9.9.9"));
	assert_false(allows(&policy, "example.com", "9.9.9.9"));
}

static void the_names_of_all_rules_have_a_limit_and_the_policy_stays_as_it_was(void **state)
{
	struct vnic_policy policy = {0}, before;
	struct vnic_error err;
	char name[256];
	int r;

	(void)state;
	for (int i = 0; i < 253; i++)
		name[i] = i % 2 ? '.' : 'a';
	name[253] = '\0';
	do {
		before = policy;
		r = vnic_policy_add(&policy, true, name, &err);
	} while (r == 0);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(policy.count, (VNIC_POLICY_NAMES - 1) / 254);
	assert_memory_equal(&policy, &before, sizeof(policy));
}

static void a_name_cannot_be_denied(void **state)
{
	struct vnic_policy policy = {0};
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_policy_add(&policy, false, "example.org", &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_int_equal(policy.count, 0);
	assert_non_null(strstr(err.detail, "--deny any"));
}

static void a_name_in_other_letters_is_answered_with_what_it_wants(void **state)
{
	struct vnic_policy policy = {0};
	struct vnic_error err;

	(void)state;
	vt_fails(vnic_policy_add(&policy, true, "m\xc3\xbcnchen.example:443", &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_non_null(strstr(err.detail, "in ASCII"));
	vt_ok(vnic_policy_add(&policy, true, "xn--bcher-kva.example:443", &err), &err);
}

static void a_name_opens_public_addresses_only(void **state)
{
	struct vnic_policy policy = POLICY("-any", "+example.org");
	static const char *const closed[] = {"10.1.2.3",    "fd00::1",   "169.254.169.254", "127.0.0.1",
					     "224.0.0.251", "192.0.2.1", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"};
	struct vnic_policy_flow own = flow_by(&policy, "example.org", "9.9.9.9");

	(void)state;
	assert_true(allows(&policy, "example.org", "9.9.9.9"));
	assert_true(allows(&policy, "example.org", "2620:fe::fe"));
	assert_true(allows(&policy, "example.org", "64:ff9b::9.9.9.9"));
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
		if (allows(&policy, "example.org", closed[i]))
			fail_msg("%s is open", closed[i]);
	own.host = true;
	assert_false(vnic_policy_allows(&policy, &own));
}

static void a_name_is_between_networks_and_classes(void **state)
{
	struct vnic_policy policy = POLICY("-internet:443/tcp", "+example.org");

	(void)state;
	assert_true(allows(&policy, "example.org", "9.9.9.9"));
	assert_false(allows(&policy, "example.com", "9.9.9.9"));
	policy = POLICY("-0.0.0.0/0", "+example.org:443/tcp");
	assert_false(allows(&policy, "example.org", "9.9.9.9"));
}

static void ports_and_protocols_hold_for_names_too(void **state)
{
	struct vnic_policy policy = POLICY("-any", "+example.org:443/tcp");
	struct vnic_policy_flow flow = flow_by(&policy, "example.org", "9.9.9.9");

	(void)state;
	assert_true(vnic_policy_allows(&policy, &flow));
	flow.proto = VNIC_PROTO_UDP;
	assert_false(vnic_policy_allows(&policy, &flow));
	flow.proto = VNIC_PROTO_TCP;
	flow.port = 80;
	assert_false(vnic_policy_allows(&policy, &flow));
}

static void the_remedy_is_the_name_where_that_helps(void **state)
{
	struct vnic_policy policy = POLICY("-any", "+example.org");
	struct vnic_policy_flow flow = flow_by(&policy, "example.com", "9.9.9.9");
	char buf[VNIC_DOMAIN_TEXT];

	(void)state;
	assert_string_equal(vnic_policy_remedy(&policy, &flow, buf, sizeof(buf)), "example.com");
	flow = flow_by(&policy, "example.com", "10.1.2.3");
	assert_string_equal(vnic_policy_remedy(&policy, &flow, buf, sizeof(buf)), "lan");
	flow = flow_by(&policy, "localdomain", "9.9.9.9"); /* which no rule can have */
	assert_string_equal(vnic_policy_remedy(&policy, &flow, buf, sizeof(buf)), "9.9.9.9");
	policy = POLICY("-any", "-9.0.0.0/8");
	flow = flow_by(&policy, "example.com", "9.9.9.9");
	assert_string_equal(vnic_policy_remedy(&policy, &flow, buf, sizeof(buf)), "9.9.9.9");
}

static int check(struct vnic_sandbox_config *config, const struct vnic_policy *policy)
{
	vnic_sandbox_defaults(true, config);
	config->policy = *policy;
	return vnic_sandbox_check(config, NULL);
}

static void a_sandbox_takes_names_where_they_open_something(void **state)
{
	struct vnic_policy closed = POLICY("-any", "+example.org"), by_default = POLICY("+example.org"), nothing = {0},
			   opened = POLICY("-any", "+internet", "+example.org");
	struct vnic_sandbox_config config;

	(void)state;
	assert_int_equal(vnic_policy_add(&nothing, true, "example.org", NULL), 0);
	assert_int_equal(check(&config, &closed), 0);
	assert_int_equal(check(&config, &nothing), 0); /* the library's way to begin with no rule */
	assert_int_equal(check(&config, &by_default), -EINVAL);
	assert_int_equal(check(&config, &opened), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_name_is_kept_in_lower_case_without_its_last_dot),
		vt_test(a_name_has_253_characters_and_a_part_63_at_most),
		vt_test(a_rule_has_its_name_or_those_below),
		vt_test(what_is_added_to_a_set_stays),
		vt_test(the_last_rule_of_a_full_policy_can_have_a_name),
		vt_test(the_names_of_all_rules_have_a_limit_and_the_policy_stays_as_it_was),
		vt_test(a_name_cannot_be_denied),
		vt_test(a_name_in_other_letters_is_answered_with_what_it_wants),
		vt_test(a_name_opens_public_addresses_only),
		vt_test(a_name_is_between_networks_and_classes),
		vt_test(ports_and_protocols_hold_for_names_too),
		vt_test(the_remedy_is_the_name_where_that_helps),
		vt_test(a_sandbox_takes_names_where_they_open_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
