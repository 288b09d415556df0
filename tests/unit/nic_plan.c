/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is not said of a NIC is decided before anything is made: names, addresses, gateways, MACs, indexes. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "plan.h"
#include "vt.h"

/* The plan of NICs written as the user writes them, on a host with such addresses; NULL ends a list. */
static int plan_on(const struct plan_host *host, const char *const *texts, struct plan *ret_plan,
		   struct vnic_error *err)
{
	struct vnic_nic nics[VNIC_NICS];
	unsigned count = 0;

	for (; texts[count]; count++)
		vt_ok(vnic_nic_parse(texts[count], &nics[count], err), err);
	return plan_make(nics, count, host, ret_plan, err);
}

static int plan_of(const char *const *texts, struct plan *ret_plan, struct vnic_error *err)
{
	return plan_on(&(struct plan_host){.no_ipv6 = NULL}, texts, ret_plan, err);
}

#define TEXTS(...)                \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static struct plan plan(const char *const *texts)
{
	struct vnic_error err;
	struct plan plan;

	vt_ok(plan_of(texts, &plan, &err), &err);
	return plan;
}

static void assert_complains(const char *const *texts, const char *object, const char *detail)
{
	struct vnic_error err;
	struct plan plan;

	vt_fails(plan_of(texts, &plan, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.object, object);
	assert_string_equal(err.detail, detail);
}

static void assert_addr(const struct vnic_addr *addr, const char *text)
{
	char buf[VNIC_ADDR_TEXT];

	assert_string_equal(vnic_addr_text(addr, true, buf), text);
}

static void one_nic_gets_the_addresses_that_users_know(void **state)
{
	struct plan p = plan(TEXTS("veth"));
	const struct nic_plan *nic = &p.nics[0];

	(void)state;
	assert_string_equal(nic->nic.name, "eth0");
	assert_int_equal(nic->nic.mtu, 1500);
	assert_int_equal(nic->nic.addr_count, 2);
	assert_addr(&nic->nic.addrs[0], "10.0.2.100/24");
	assert_addr(&nic->nic.addrs[1], "fd00::100/64");
	assert_int_equal(nic->outer_count, 4);
	assert_addr(&nic->outer[0], "10.0.2.2/24");
	assert_addr(&nic->outer[1], "fd00::2/64");
	assert_addr(&nic->dns[0], "10.0.2.3/24");
	assert_addr(&nic->dns[1], "fd00::3/64");
	assert_int_equal(nic->priority, 0);
}

static struct plan_host host_with(const char *const *texts)
{
	struct plan_host host = {.no_ipv6 = NULL};
	struct vnic_error err;
	struct vnic_addr addr;

	for (; *texts; texts++) {
		vt_ok(vnic_addr_parse(*texts, &addr, &err), &err);
		subnets_add(&host.nets, &addr);
	}
	return host;
}

static void where_the_host_has_the_usual_network_the_next_free_one_is_taken(void **state)
{
	const struct plan_host host =
		host_with(TEXTS("127.0.0.1/8", "10.0.2.15/24", "10.0.3.0/32", "fd00::2/64", "fe80::1/64"));
	struct vnic_error err;
	struct plan p;
	char text[256];

	(void)state;
	vt_ok(plan_on(&host, TEXTS("veth", "veth"), &p, &err), &err);
	assert_addr(&p.nics[0].nic.addrs[0], "10.0.4.100/24");
	assert_addr(&p.nics[0].nic.addrs[1], "fd00:0:0:1::100/64");
	assert_addr(&p.nics[0].outer[0], "10.0.4.2/24");
	assert_addr(&p.nics[0].dns[0], "10.0.4.3/24");
	assert_addr(&p.nics[0].dns[1], "fd00:0:0:1::3/64");
	assert_addr(&p.nics[1].nic.addrs[0], "10.0.5.100/24");
	assert_true(plan_note(&p.nics[0], text, sizeof(text)));
	assert_string_equal(text, "the host is 10.0.2.15/24 itself: eth0 is 10.0.4.100/24, and its router 10.0.4.2");
}

static void a_host_that_has_all_of_10_leaves_172_30_and_then_192_168(void **state)
{
	const struct plan_host host = host_with(TEXTS("10.1.2.3/8")),
			       more = host_with(TEXTS("10.1.2.3/8", "172.16.0.1/12"));
	struct vnic_error err;
	struct plan p;

	(void)state;
	vt_ok(plan_on(&host, TEXTS("veth"), &p, &err), &err);
	assert_addr(&p.nics[0].nic.addrs[0], "172.30.2.100/24");
	vt_ok(plan_on(&more, TEXTS("veth"), &p, &err), &err);
	assert_addr(&p.nics[0].nic.addrs[0], "192.168.2.100/24");
	assert_addr(&p.nics[0].nic.addrs[1], "fd00::100/64");
}

static void where_nothing_is_free_the_usual_network_is_taken(void **state)
{
	const struct plan_host host = host_with(TEXTS("0.0.0.1/0", "fd00::1/8"));
	struct vnic_error err;
	struct plan p;

	(void)state;
	vt_ok(plan_on(&host, TEXTS("veth"), &p, &err), &err);
	assert_addr(&p.nics[0].nic.addrs[0], "10.0.2.100/24");
	assert_addr(&p.nics[0].nic.addrs[1], "fd00::100/64");
}

static void an_address_that_was_asked_for_stays_and_the_host_is_named(void **state)
{
	const struct plan_host host = host_with(TEXTS("10.0.2.15/24", "fd00::2/64"));
	struct vnic_error err;
	struct plan p;
	char text[256];

	(void)state;
	vt_ok(plan_on(&host, TEXTS("veth,ip=10.0.2.7/24", "veth,ip=10.9.0.1/24", "veth,ip=fd00::7/64"), &p, &err),
	      &err);
	assert_addr(&p.nics[0].nic.addrs[0], "10.0.2.7/24");
	assert_true(plan_note(&p.nics[0], text, sizeof(text)));
	assert_string_equal(text,
			    "the host is 10.0.2.15/24 itself: what is there the sandbox looks for at its own eth0");
	assert_false(plan_note(&p.nics[1], text, sizeof(text)));
	assert_true(plan_note(&p.nics[2], text, sizeof(text)));
}

static void nothing_is_said_where_only_the_ipv6_network_moves(void **state)
{
	const struct plan_host host = host_with(TEXTS("192.0.2.2/24", "fd00::2/64"));
	struct vnic_error err;
	struct plan p;
	char text[256];

	(void)state;
	vt_ok(plan_on(&host, TEXTS("veth"), &p, &err), &err);
	assert_addr(&p.nics[0].nic.addrs[0], "10.0.2.100/24");
	assert_addr(&p.nics[0].nic.addrs[1], "fd00:0:0:1::100/64");
	assert_false(plan_note(&p.nics[0], text, sizeof(text)));
}

static void a_default_keeps_clear_of_what_another_nic_was_given(void **state)
{
	struct plan p = plan(TEXTS("veth", "veth,ip=10.0.2.7/24"));

	(void)state;
	assert_addr(&p.nics[0].nic.addrs[0], "10.0.3.100/24");
	assert_addr(&p.nics[1].nic.addrs[0], "10.0.2.7/24");
}

static void without_ipv6_there_are_no_addresses_of_it_but_those_that_were_asked_for(void **state)
{
	const struct plan_host host = {.no_ipv6 = "a reason"};
	struct vnic_error err;
	struct plan p;

	(void)state;
	vt_ok(plan_on(&host, TEXTS("veth", "veth,ip=fd09::7/64", "veth,to=bridge:br0"), &p, &err), &err);
	assert_int_equal(p.nics[0].nic.addr_count, 1);
	assert_int_equal(p.nics[0].nic.gw_count, 1);
	assert_int_equal(p.nics[0].dns[1].family, 0);
	assert_addr(&p.nics[1].nic.addrs[0], "fd09::7/64");
	assert_int_equal(p.nics[1].nic.gw_count + p.nics[1].outer_count, 0);
	assert_string_equal(p.no_ipv6, "a reason");
	vt_ok(plan_on(&host, TEXTS("veth,to=bridge:br0"), &p, &err), &err);
	assert_null(p.no_ipv6);
}

static void more_networks_than_are_remembered_do_no_harm(void **state)
{
	struct subnets host = {.count = 0};

	(void)state;
	for (unsigned i = 0; i < 2 * SUBNETS; i++) {
		const struct vnic_addr addr = {AF_INET, 32, {11, 0, (uint8_t)(i >> 8), (uint8_t)i}};

		subnets_add(&host, &addr);
	}
	assert_int_equal(host.count, SUBNETS);
}

static void a_wide_network_counts_beside_a_narrow_one_within_it(void **state)
{
	const struct vnic_addr narrow = {AF_INET, 25, {10, 0, 2, 5}}, wide = {AF_INET, 16, {10, 0, 2, 5}};
	struct subnets host = {.count = 0};

	(void)state;
	subnets_add(&host, &narrow);
	subnets_add(&host, &wide);
	assert_int_equal(host.count, 2);
	subnets_add(&host, &narrow);
	assert_int_equal(host.count, 2);
	const struct vnic_addr chosen = subnets_choose(&host, AF_INET, 0);
	assert_addr(&chosen, "172.30.2.0/24");
}

static void an_mtu_too_small_for_ipv6_leaves_ipv4(void **state)
{
	struct plan p = plan(TEXTS("veth,mtu=1279", "veth,mtu=1280"));

	(void)state;
	assert_int_equal(p.nics[0].nic.addr_count, 1);
	assert_addr(&p.nics[0].nic.addrs[0], "10.0.2.100/24");
	assert_int_equal(p.nics[0].nic.gw_count, 1);
	assert_int_equal(p.nics[0].dns[1].family, 0);
	assert_int_equal(p.nics[1].nic.addr_count, 2);
}

static void a_network_without_room_for_a_router_has_none(void **state)
{
	struct plan p = plan(TEXTS("veth,ip=10.9.0.5/30", "veth,ip=10.8.0.4/31", "veth,ip=10.7.0.1/32,ip=fd09::2/127"));
	char text[256];

	(void)state;
	assert_int_equal(p.nics[0].nic.gw_count, 1);
	assert_addr(&p.nics[0].nic.gw[0], "10.9.0.6/30");
	assert_int_equal(p.nics[1].nic.gw_count + p.nics[2].nic.gw_count, 0);
	assert_false(plan_note(&p.nics[0], text, sizeof(text)));
	assert_true(plan_note(&p.nics[1], text, sizeof(text)));
	assert_string_equal(text,
			    "eth1 leads nowhere: its network has no room for a router (say gw=none if that is meant)");
	p = plan(TEXTS("veth,ip=10.8.0.4/31,gw=none", "veth,ip=10.9.0.4/31,gw=10.9.0.5"));
	assert_false(plan_note(&p.nics[0], text, sizeof(text)) || plan_note(&p.nics[1], text, sizeof(text)));
}

static void a_guest_that_asks_has_a_plan_too(void **state)
{
	struct plan p = plan(TEXTS("veth,ip=dhcp"));

	(void)state;
	assert_addr(&p.nics[0].nic.addrs[0], "10.0.2.100/24");
	assert_addr(&p.nics[0].nic.addrs[1], "fd00::100/64");
	assert_addr(&p.nics[0].outer[0], "10.0.2.2/24");
	assert_complains(TEXTS("veth,ip=dhcp,ip=10.9.0.5/32"), "10.9.0.5/32",
			 "this network has no room for the router, which ip=dhcp asks");
}

static void the_forwarder_takes_the_first_free_address_from_the_third_on(void **state)
{
	struct plan p =
		plan(TEXTS("veth,ip=10.9.0.3/24,gw=10.9.0.4", "veth,ip=10.8.0.1/30", "veth,ip=10.7.0.1/24,gw=none"));

	(void)state;
	assert_addr(&p.nics[0].dns[0], "10.9.0.5/24");
	assert_int_equal(p.nics[0].dns[1].family, 0);
	assert_int_equal(p.nics[1].dns[0].family, 0); /* no room */
	assert_int_equal(p.nics[2].dns[0].family, 0); /* no way to the gateway */
	p = plan(TEXTS("veth,ip=10.9.0.1/29,ip=10.9.0.3/29,ip=10.9.0.4/29,ip=10.9.0.5/29,ip=10.9.0.6/29"));
	assert_int_equal(p.nics[0].dns[0].family, 0); /* only its broadcast address is left */
}

static void where_the_sandbox_has_several_addresses_the_router_takes_one_that_is_left(void **state)
{
	struct plan p = plan(TEXTS("veth,ip=10.9.0.1/24,ip=10.9.0.2/24", "veth,ip=10.8.0.1/30,ip=10.8.0.2/30"));
	char text[256];

	(void)state;
	assert_addr(&p.nics[0].outer[0], "10.9.0.3/24");
	assert_addr(&p.nics[0].dns[0], "10.9.0.4/24");
	assert_int_equal(p.nics[1].outer_count, 0);
	assert_true(plan_note(&p.nics[1], text, sizeof(text)));
}

static void several_nics_differ_in_all_that_must_differ(void **state)
{
	struct plan p = plan(TEXTS("veth", "veth", "tap,name=lan0"));

	(void)state;
	assert_string_equal(p.nics[1].nic.name, "eth1");
	assert_string_equal(p.nics[2].nic.name, "lan0");
	for (unsigned i = 0; i < p.count; i++)
		for (unsigned j = 0; j < i; j++) {
			const struct nic_plan *a = &p.nics[i], *b = &p.nics[j];

			assert_int_not_equal(a->inner_index, b->inner_index);
			assert_int_not_equal(a->outer_index, b->outer_index);
			assert_string_not_equal(a->outer_name, b->outer_name);
			assert_memory_not_equal(a->inner_mac.bytes, b->inner_mac.bytes, VNIC_MAC_LEN);
			assert_false(vnic_addr_contains(&a->nic.addrs[0], &b->nic.addrs[0]));
			assert_false(vnic_addr_contains(&a->nic.addrs[1], &b->nic.addrs[1]));
			assert_true(a->priority > b->priority); /* the first one's default route wins */
		}
}

static void a_gateway_is_found_in_the_nics_own_network(void **state)
{
	struct plan p = plan(TEXTS("veth,ip=10.9.0.1/24", "veth,ip=10.8.0.2/16,gw=10.8.9.9"));

	(void)state;
	assert_addr(&p.nics[0].outer[0], "10.9.0.2/24");
	assert_addr(&p.nics[1].outer[0], "10.8.9.9/16");
	p = plan(TEXTS("veth,ip=10.9.0.2/24")); /* its usual place is taken */
	assert_addr(&p.nics[0].outer[0], "10.9.0.1/24");
	p = plan(TEXTS("veth,ip=10.9.0.1/24,gw=none"));
	assert_int_equal(p.nics[0].outer_count + p.nics[0].nic.gw_count, 0);
}

static void what_goes_elsewhere_gets_no_addresses_of_ours(void **state)
{
	struct plan p = plan(TEXTS("veth,to=none", "veth,to=bridge:br0", "macvlan,parent=eth0"));

	(void)state;
	for (unsigned i = 0; i < p.count; i++)
		assert_int_equal(p.nics[i].nic.addr_count + p.nics[i].nic.gw_count + p.nics[i].outer_count, 0);
	assert_memory_equal(p.nics[1].outer_name, "vnic", 4); /* on the host: a name that nobody else has */
	assert_int_equal(p.nics[1].nic.mtu, 0);               /* the bridge's */
}

static void a_mac_that_was_given_is_the_sandboxes(void **state)
{
	struct plan p = plan(TEXTS("veth,mac=02:00:00:00:00:07"));
	char text[VNIC_ADDR_TEXT];

	(void)state;
	assert_string_equal(vnic_mac_text(&p.nics[0].inner_mac, text), "02:00:00:00:00:07");
	assert_memory_not_equal(p.nics[0].outer_mac.bytes, p.nics[0].inner_mac.bytes, VNIC_MAC_LEN);
}

/* As the cli makes it: parsed, and then given places. */
static struct plan plan_of_vmm(const char *text, const char *second)
{
	static const int places[2] = {7, 8};
	struct vnic_nic nics[2];
	struct vnic_error err;
	struct plan p;

	vt_ok(vnic_nic_parse(text, &nics[0], &err), &err);
	vt_ok(vnic_nic_parse(second, &nics[1], &err), &err);
	nics[0].places = nics[1].places = places;
	vt_ok(plan_make(nics, 2, &(struct plan_host){.no_ipv6 = NULL}, &p, &err), &err);
	return p;
}

static void a_vmms_nic_is_the_routers_own_end_and_nothing_is_relayed(void **state)
{
	struct plan p = plan_of_vmm("tap", "tap,queues=2");

	(void)state;
	assert_true(plan_is_handed(&p));
	assert_true(plan_has_router(&p));
	assert_false(plan_is_relayed(&p));
	assert_string_equal(p.nics[1].outer_name, "nic1");
	assert_int_equal(p.nics[1].outer_count, 4);
	assert_addr(&p.nics[1].outer[0], "10.0.3.2/24");
	assert_false(plan_is_handed(&(struct plan){.count = 0}));
}

static void the_routers_mac_is_the_same_each_time_for_a_guest_and_random_on_a_bridge(void **state)
{
	struct plan p = plan_of_vmm("tap", "tap,to=bridge:br0"), again = plan_of_vmm("tap", "tap,to=bridge:br0");
	char text[VNIC_ADDR_TEXT];

	(void)state;
	assert_string_equal(vnic_mac_text(&p.nics[0].outer_mac, text), "02:76:6e:69:63:20");
	assert_memory_not_equal(p.nics[1].outer_mac.bytes, again.nics[1].outer_mac.bytes, VNIC_MAC_LEN);
	assert_false(nic_is_routed(&p.nics[1].nic));
}

static void what_cannot_be_together_is_refused(void **state)
{
	(void)state;
	assert_complains(TEXTS("veth,name=x0", "tap,name=x0"), "x0", "two NICs have this name");
	assert_complains(TEXTS("veth,name=eth1", "tap"), "eth1", "two NICs have this name");
	assert_complains(TEXTS("veth,ip=10.9.0.1/24,gw=10.8.0.1"), "10.8.0.1",
			 "gw= lies in none of the NIC's networks (ip=)");
	assert_complains(TEXTS("veth,ip=10.9.0.1/24,gw=10.9.0.1"), "10.9.0.1",
			 "it is both ip= and gw= of the same NIC");
	assert_complains(TEXTS("veth,ip=10.9.0.1/24,gw=10.9.0.255"), "10.9.0.255/24",
			 "this is the broadcast address of its network, which no host can have");
	assert_complains(TEXTS("veth,ip=10.9.0.1/24,gw=10.9.0.0"), "10.9.0.0/24",
			 "this is the address of its network itself, which no host can have");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(one_nic_gets_the_addresses_that_users_know),
		vt_test(where_the_host_has_the_usual_network_the_next_free_one_is_taken),
		vt_test(a_host_that_has_all_of_10_leaves_172_30_and_then_192_168),
		vt_test(where_nothing_is_free_the_usual_network_is_taken),
		vt_test(an_address_that_was_asked_for_stays_and_the_host_is_named),
		vt_test(nothing_is_said_where_only_the_ipv6_network_moves),
		vt_test(a_default_keeps_clear_of_what_another_nic_was_given),
		vt_test(without_ipv6_there_are_no_addresses_of_it_but_those_that_were_asked_for),
		vt_test(more_networks_than_are_remembered_do_no_harm),
		vt_test(a_wide_network_counts_beside_a_narrow_one_within_it),
		vt_test(an_mtu_too_small_for_ipv6_leaves_ipv4),
		vt_test(a_network_without_room_for_a_router_has_none),
		vt_test(a_guest_that_asks_has_a_plan_too),
		vt_test(the_forwarder_takes_the_first_free_address_from_the_third_on),
		vt_test(several_nics_differ_in_all_that_must_differ),
		vt_test(where_the_sandbox_has_several_addresses_the_router_takes_one_that_is_left),
		vt_test(a_gateway_is_found_in_the_nics_own_network),
		vt_test(what_goes_elsewhere_gets_no_addresses_of_ours),
		vt_test(a_mac_that_was_given_is_the_sandboxes),
		vt_test(a_vmms_nic_is_the_routers_own_end_and_nothing_is_relayed),
		vt_test(the_routers_mac_is_the_same_each_time_for_a_guest_and_random_on_a_bridge),
		vt_test(what_cannot_be_together_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
