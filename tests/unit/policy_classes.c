/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which class an address has. */
#include "vt.h"

#include <vnic/policy.h>

#include <stdio.h>
#include <sys/socket.h>

static struct vnic_addr addr_of(const char *text)
{
	struct vnic_error err;
	struct vnic_addr addr;

	vt_ok(vnic_addr_parse(text, &addr, &err), &err);
	return addr;
}

static void assert_class(const char *const *texts, enum vnic_class class)
{
	for (; *texts; texts++) {
		struct vnic_addr addr = addr_of(*texts);

		if (vnic_policy_class(&addr, false) != class)
			fail_msg("%s is %s and not %s", *texts, vnic_class_text(vnic_policy_class(&addr, false)),
				 vnic_class_text(class));
	}
}

/* Also the addresses just outside of the blocks of other classes. */
static void public_addresses_are_internet(void **state)
{
	static const char *const texts[] = {"1.0.0.0",
					    "8.8.8.8",
					    "9.255.255.255",
					    "11.0.0.0",
					    "100.63.255.255",
					    "100.128.0.0",
					    "126.255.255.255",
					    "128.0.0.0",
					    "168.63.129.15",
					    "168.63.129.17",
					    "169.253.255.255",
					    "169.255.0.0",
					    "172.15.255.255",
					    "172.32.0.0",
					    "192.0.1.0",
					    "192.0.3.0",
					    "192.167.255.255",
					    "192.169.0.0",
					    "198.17.255.255",
					    "198.20.0.0",
					    "198.51.99.255",
					    "203.0.112.255",
					    "203.0.114.0",
					    "223.255.255.255",
					    "2606:4700:4700::1111",
					    "2001:4860:4860::8888",
					    "2001:200::",
					    "2000::",
					    "3ffe:ffff::",
					    "2001:db7::1",
					    "2001:db9::1",
					    NULL};

	(void)state;
	assert_class(texts, VNIC_CLASS_INTERNET);
}

static void private_shared_and_link_local_addresses_are_lan(void **state)
{
	static const char *const texts[] = {"10.0.0.0",
					    "10.255.255.255",
					    "172.16.0.0",
					    "172.31.255.255",
					    "192.168.0.0",
					    "192.168.255.255",
					    "100.64.0.0",
					    "100.127.255.255",
					    "100.100.100.199",
					    "169.254.0.0",
					    "169.254.168.255",
					    "169.254.171.0",
					    "169.254.255.255",
					    "fc00::",
					    "fd12:3456::1",
					    "fdff:ffff::",
					    "fe80::1",
					    "febf::1",
					    "fec0::1",
					    "fd00:ec1::254",
					    "fd00:ec3::254",
					    "fd20:ce::253",
					    NULL};

	(void)state;
	assert_class(texts, VNIC_CLASS_LAN);
}

static void metadata_services_are_special(void **state)
{
	static const char *const texts[] = {"169.254.169.254",   "169.254.169.253",   "169.254.170.2",
					    "169.254.170.23",    "169.254.0.23",      "169.254.42.42",
					    "100.100.100.200",   "168.63.129.16",     "192.0.0.192",
					    "fd00:ec2::254",     "fd00:ec2::23",      "fd20:ce::254",
					    "fd00:42::42",       "fe80::a9fe:a9fe",   "fd00:c1::a9fe:a9fe",
					    "fd00:a9fe:a9fe::1", "fd00:100::100:200", NULL};

	(void)state;
	assert_class(texts, VNIC_CLASS_SPECIAL);
}

static void what_is_no_single_public_host_is_special(void **state)
{
	static const char *const texts[] = {"0.0.0.0",
					    "0.255.255.255",
					    "127.0.0.1",
					    "127.255.255.255",
					    "192.0.0.1",
					    "192.0.2.1",
					    "192.88.99.1",
					    "198.18.0.1",
					    "198.19.255.255",
					    "198.51.100.1",
					    "203.0.113.255",
					    "224.0.0.1",
					    "239.255.255.255",
					    "240.0.0.0",
					    "255.255.255.255",
					    "::",
					    "::1",
					    "::8.8.8.8",
					    "64:ff9b:1::8.8.8.8",
					    "100::1",
					    "2001:2::1",
					    "2001:10::1",
					    "2001:db8::1",
					    "3fff::1",
					    "3fff:fff::1",
					    "4000::1",
					    "5f00::1",
					    "fb00::",
					    "fe00::1",
					    "ff02::1",
					    "ff0e::1",
					    NULL};

	(void)state;
	assert_class(texts, VNIC_CLASS_SPECIAL);
}

static const char *const v4_samples[] = {"8.8.8.8",   "10.1.2.3",        "192.168.1.1",     "100.64.0.1",
					 "127.0.0.1", "169.254.169.254", "168.63.129.16",   "100.100.100.200",
					 "0.0.0.0",   "224.0.0.1",       "255.255.255.255", "203.0.113.7",
					 "1.1.1.1"};

static void an_ipv6_address_that_carries_an_ipv4_address_has_its_class(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(v4_samples) / sizeof(v4_samples[0]); i++) {
		struct vnic_addr v4 = addr_of(v4_samples[i]);
		const uint8_t *b = v4.bytes;
		char texts[4][64];

		snprintf(texts[0], sizeof(texts[0]), "::ffff:%s", v4_samples[i]);
		snprintf(texts[1], sizeof(texts[1]), "64:ff9b::%s", v4_samples[i]);
		snprintf(texts[2], sizeof(texts[2]), "2002:%02x%02x:%02x%02x::1", b[0], b[1], b[2], b[3]);
		snprintf(texts[3], sizeof(texts[3]), "2001:0:808:808:0:1234:%02x%02x:%02x%02x", b[0] ^ 255, b[1] ^ 255,
			 b[2] ^ 255, b[3] ^ 255);
		for (int k = 0; k < 4; k++) {
			struct vnic_addr v6 = addr_of(texts[k]);

			assert_int_equal(vnic_policy_class(&v6, false), vnic_policy_class(&v4, false));
		}
	}
}

static void the_host_itself_is_host_whatever_its_address(void **state)
{
	static const char *const texts[] = {"127.0.0.1", "10.0.2.2", "8.8.8.8", "::1", "fd00::2"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct vnic_addr addr = addr_of(texts[i]);

		assert_int_equal(vnic_policy_class(&addr, true), VNIC_CLASS_HOST);
	}
}

static void what_is_no_address_is_special(void **state)
{
	const struct vnic_addr none = {0};
	struct vnic_policy policy;
	struct vnic_policy_flow flow = {.proto = VNIC_PROTO_TCP, .port = 80};

	(void)state;
	assert_int_equal(vnic_policy_class(&none, false), VNIC_CLASS_SPECIAL);
	vnic_policy_init(&policy);
	assert_false(vnic_policy_allows(&policy, &flow));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(public_addresses_are_internet),
		vt_test(private_shared_and_link_local_addresses_are_lan),
		vt_test(metadata_services_are_special),
		vt_test(what_is_no_single_public_host_is_special),
		vt_test(an_ipv6_address_that_carries_an_ipv4_address_has_its_class),
		vt_test(the_host_itself_is_host_whatever_its_address),
		vt_test(what_is_no_address_is_special),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
