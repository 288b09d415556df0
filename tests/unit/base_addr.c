/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses and MACs: what is read, what is refused, what is printed. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "vt.h"

static void assert_reads_as(const char *text, const char *expected)
{
	struct vnic_error err;
	struct vnic_addr addr;
	char buf[VNIC_ADDR_TEXT];

	vt_ok(vnic_addr_parse(text, &addr, &err), &err);
	assert_string_equal(vnic_addr_text(&addr, true, buf), expected);
}

static void assert_refused(const char *text)
{
	struct vnic_error err = {0};
	struct vnic_addr addr = {.family = 99};

	vt_fails(vnic_addr_parse(text, &addr, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_int_equal(addr.family, 99);
	assert_true(err.detail[0]);
}

static void an_address_keeps_its_prefix(void **state)
{
	(void)state;
	assert_reads_as("10.0.2.100/24", "10.0.2.100/24");
	assert_reads_as("fd00::100/64", "fd00::100/64");
	assert_reads_as("0.0.0.0/0", "0.0.0.0/0");
	assert_reads_as("::/0", "::/0");
}

static void an_address_without_prefix_is_a_host(void **state)
{
	(void)state;
	assert_reads_as("10.0.2.100", "10.0.2.100/32");
	assert_reads_as("::1", "::1/128");
}

static void an_address_can_be_printed_without_its_prefix(void **state)
{
	struct vnic_addr addr;
	char buf[VNIC_ADDR_TEXT];

	(void)state;
	vt_ok(vnic_addr_parse("10.0.2.100/24", &addr, NULL), NULL);
	assert_string_equal(vnic_addr_text(&addr, false, buf), "10.0.2.100");
	assert_string_equal(vnic_addr_text(&(struct vnic_addr){0}, true, buf), "none");
}

static void what_is_no_address_is_refused_and_leaves_the_output_alone(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"/24",
		"10.0.2",
		"10.0.2.1.1",
		"256.0.0.1",
		"010.0.0.1",
		"10.0.0.1/",
		"10.0.0.1/33",
		"10.0.0.1/-1",
		"10.0.0.1/ 8",
		"10.0.0.1/8x",
		" 10.0.0.1",
		"fd00::1/129",
		"fd00::1%eth0",
		"fd00:::1",
		"fd00::g",
		"eth0",
		"10.0.0.1/0x18",
		"10.0.0.1/24/8",
		"10.0.0.1/4294967304",
		"1:2:3:4:5:6:7:8:9",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(bad[i]);
}

static void an_endless_address_is_refused(void **state)
{
	char text[4096];

	(void)state;
	memset(text, '1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_refused(text);
}

static bool contains(const char *net_text, const char *host_text)
{
	struct vnic_addr net, host;

	vt_ok(vnic_addr_parse(net_text, &net, NULL), NULL);
	vt_ok(vnic_addr_parse(host_text, &host, NULL), NULL);
	return vnic_addr_contains(&net, &host);
}

static void a_network_contains_the_hosts_that_share_its_prefix(void **state)
{
	(void)state;
	assert_true(contains("10.0.2.0/24", "10.0.2.255"));
	assert_false(contains("10.0.2.0/24", "10.0.3.0"));
	assert_true(contains("10.0.2.0/23", "10.0.3.7"));
	assert_true(contains("0.0.0.0/0", "192.0.2.1"));
	assert_true(contains("10.0.0.1/32", "10.0.0.1"));
	assert_false(contains("10.0.0.1/32", "10.0.0.0"));
	assert_true(contains("fd00::/63", "fd00:0:0:1::9"));
	assert_false(contains("fd00::/64", "fd00:0:0:1::9"));
}

static void a_network_contains_no_host_of_another_family(void **state)
{
	(void)state;
	assert_false(contains("0.0.0.0/0", "::1"));
	assert_false(contains("::/0", "10.0.0.1"));
}

static void assert_host(const char *net_text, uint32_t offset, const char *expected)
{
	struct vnic_addr net, host;
	char buf[VNIC_ADDR_TEXT];

	vt_ok(vnic_addr_parse(net_text, &net, NULL), NULL);
	host = vnic_addr_host(&net, offset);
	assert_string_equal(vnic_addr_text(&host, true, buf), expected);
}

static void hosts_are_counted_from_the_networks_first_address(void **state)
{
	(void)state;
	assert_host("10.0.2.100/24", 2, "10.0.2.2/24");
	assert_host("10.0.2.100/24", 0, "10.0.2.0/24");
	assert_host("10.0.2.100/16", 0x0102, "10.0.1.2/16");
	assert_host("fd00::100/64", 3, "fd00::3/64");
	assert_host("10.0.2.5/32", 0, "10.0.2.5/32");
}

static void a_mac_reads_and_prints_alike(void **state)
{
	struct vnic_mac mac;
	char buf[VNIC_ADDR_TEXT];

	(void)state;
	vt_ok(vnic_mac_parse("02:00:5E:aa:Bb:0c", &mac, NULL), NULL);
	assert_true(mac.set);
	assert_string_equal(vnic_mac_text(&mac, buf), "02:00:5e:aa:bb:0c");
}

static void a_mac_that_no_link_can_have_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"02",
		"02:00:00:00:00",
		"02:00:00:00:00:01:",
		"02:00:00:00:00:001",
		"02-00-00-00-00-01",
		"2:0:0:0:0:1",
		"02:00:00:00:00:0g",
		"01:00:5e:00:00:01",
		"ff:ff:ff:ff:ff:ff",
		"00:00:00:00:00:00",
		" 2:00:00:00:00:01",
	};
	struct vnic_error err;
	struct vnic_mac mac = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		vt_fails(vnic_mac_parse(bad[i], &mac, &err), &err, VNIC_STEP_USAGE, EINVAL);
		assert_false(mac.set);
	}
}

static void a_random_mac_is_local_and_unicast_and_new_each_time(void **state)
{
	struct vnic_mac a, b;

	(void)state;
	vt_ok(vnic_mac_random(&a, NULL), NULL);
	vt_ok(vnic_mac_random(&b, NULL), NULL);
	assert_int_equal(a.bytes[0] & 3, 2);
	assert_memory_not_equal(a.bytes, b.bytes, VNIC_MAC_LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(an_address_keeps_its_prefix),
		vt_test(an_address_without_prefix_is_a_host),
		vt_test(an_address_can_be_printed_without_its_prefix),
		vt_test(what_is_no_address_is_refused_and_leaves_the_output_alone),
		vt_test(an_endless_address_is_refused),
		vt_test(a_network_contains_the_hosts_that_share_its_prefix),
		vt_test(a_network_contains_no_host_of_another_family),
		vt_test(hosts_are_counted_from_the_networks_first_address),
		vt_test(a_mac_reads_and_prints_alike),
		vt_test(a_mac_that_no_link_can_have_is_refused),
		vt_test(a_random_mac_is_local_and_unicast_and_new_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
