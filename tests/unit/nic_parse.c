/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of a NIC says what it is, and each mistake in it has its own sentence. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <vnic/sandbox.h>

#include "vt.h"

static struct vnic_nic nic_of(const char *text)
{
	struct vnic_error err;
	struct vnic_nic nic;

	vt_ok(vnic_nic_parse(text, &nic, &err), &err);
	return nic;
}

static void assert_complains(const char *text, const char *object, const char *detail)
{
	struct vnic_nic nic;
	struct vnic_error err;

	memset(&nic, 0x5a, sizeof(nic));
	vt_fails(vnic_nic_parse(text, &nic, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.object, object);
	assert_string_equal(err.detail, detail);
	assert_int_equal(((unsigned char *)&nic)[0], 0x5a); /* untouched */
}

static void assert_address(const struct vnic_addr *addr, const char *text)
{
	char buf[VNIC_ADDR_TEXT];

	assert_string_equal(vnic_addr_text(addr, true, buf), text);
}

static void a_kind_alone_leaves_the_rest_to_vnic(void **state)
{
	static const char *const kinds[] = {"veth", "tap", "tun"};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct vnic_nic nic = nic_of(kinds[i]);

		assert_string_equal(vnic_nic_kind_text(nic.kind), kinds[i]);
		assert_int_equal(nic.to, VNIC_TO_GATEWAY);
		assert_string_equal(nic.name, "");
		assert_int_equal(nic.addr_count + nic.gw_count + nic.mtu + nic.queues, 0);
		assert_false(nic.mac.set || nic.no_gw);
	}
}

static void dhcp_leaves_the_address_to_whoever_asks(void **state)
{
	struct vnic_nic nic = nic_of("tap,ip=dhcp");

	(void)state;
	assert_true(nic.dhcp);
	assert_int_equal(nic.addr_count, 0);
	nic = nic_of("veth,ip=10.9.0.5/24,ip=dhcp,ip=fd09::5/64");
	assert_true(nic.dhcp);
	assert_int_equal(nic.addr_count, 2);
}

static void dhcp_is_for_guests_of_the_router(void **state)
{
	static const char only[] = "only a veth or tap on the gateway has it";

	(void)state;
	assert_complains("tun,ip=dhcp", "ip=dhcp", only);
	assert_complains("veth,ip=dhcp,to=none", "ip=dhcp", only);
	assert_complains("tap,ip=dhcp,to=bridge:br0", "ip=dhcp", only);
	assert_complains("macvlan,ip=dhcp,parent=eth0", "ip=dhcp", only);
	assert_complains("veth,ip=dhcp,gw=none", "ip=dhcp", "it and gw=none exclude each other");
	assert_complains("veth,ip=dhcp,ip=10.9.0.5/24,ip=10.8.0.5/24", "ip=dhcp",
			 "beside it a NIC takes one ip= of each address family");
}

static void every_key_is_kept(void **state)
{
	struct vnic_nic nic = nic_of("tap,name=lan0,ip=10.9.0.1/24,ip=fd09::1/64,gw=10.9.0.254,gw=fd09::fe,"
				     "mac=02:00:00:00:00:01,mtu=9000,queues=4,to=bridge:br0");
	char mac[VNIC_ADDR_TEXT];

	(void)state;
	assert_int_equal(nic.kind, VNIC_NIC_TAP);
	assert_string_equal(nic.name, "lan0");
	assert_int_equal(nic.addr_count, 2);
	assert_address(&nic.addrs[0], "10.9.0.1/24");
	assert_address(&nic.addrs[1], "fd09::1/64");
	assert_int_equal(nic.gw_count, 2);
	assert_address(&nic.gw[0], "10.9.0.254/32");
	assert_address(&nic.gw[1], "fd09::fe/128");
	assert_string_equal(vnic_mac_text(&nic.mac, mac), "02:00:00:00:00:01");
	assert_int_equal(nic.mtu, 9000);
	assert_int_equal(nic.queues, 4);
	assert_int_equal(nic.to, VNIC_TO_BRIDGE);
	assert_string_equal(nic.to_name, "br0");
}

static void a_gateway_can_be_declined(void **state)
{
	(void)state;
	assert_true(nic_of("veth,ip=10.9.0.1/24,gw=none").no_gw);
	assert_int_equal(nic_of("veth,to=none").to, VNIC_TO_NONE);
}

static void what_stands_on_a_link_names_it(void **state)
{
	struct vnic_nic nic = nic_of("macvtap,parent=eth0");

	(void)state;
	assert_int_equal(nic.kind, VNIC_NIC_MACVTAP);
	assert_string_equal(nic.parent, "eth0");
	assert_int_equal(nic_of("macvlan,parent=eth0").kind, VNIC_NIC_MACVLAN);
}

static void each_mistake_has_its_own_sentence(void **state)
{
	(void)state;
	assert_complains("", "--nic", "it needs a value");
	assert_complains("veth,to=none,ip=10.9.0.1/24,ip=fd09::1/64,to=gateway", "to", "this key was given twice");
	assert_complains("veht", "veht", "a NIC is a veth, tap, tun, macvlan or macvtap");
	assert_complains("mtu=1500", "mtu", "a NIC begins with its kind, as in veth,mtu=...");
	assert_complains("veth,ipp=1", "ipp", "a veth has the keys name, ip, gw, mac, mtu, to");
	assert_complains("veth,mtu", "mtu", "this key of a NIC needs a value: mtu=...");
	assert_complains("veth,mtu=", "mtu", "this key of a NIC needs a value: mtu=...");
	assert_complains("veth,mtu=67", "67", "mtu= takes a number from 68 to 65535");
	assert_complains("tap,queues=0", "0", "queues= takes a number from 1 to 256");
	assert_complains("veth,ip=10.9.0.1", "10.9.0.1", "ip= needs a prefix length, as in 10.0.2.100/24, or is dhcp");
	assert_complains("veth,ip=10.9.0.300/24", "10.9.0.300/24", "this is not an IP address");
	assert_complains("veth,ip=10.9.0.0/24", "10.9.0.0/24",
			 "this is the address of its network itself, which no host can have");
	assert_complains("veth,ip=10.9.0.255/24", "10.9.0.255/24",
			 "this is the broadcast address of its network, which no host can have");
	assert_complains("veth,mtu=1279,ip=10.9.0.1/24,ip=fd09::1/64", "fd09::1/64",
			 "IPv6 needs an MTU of 1280 at least, and mtu= says 1279");
	assert_complains("veth,gw=10.9.0.1/24", "10.9.0.1/24", "gw= is an address without a prefix length, or none");
	assert_complains("veth,gw=10.9.0.1,gw=10.9.0.2", "10.9.0.2", "a NIC takes one gw= of each address family");
	assert_complains("veth,to=nowhere", "nowhere", "to= takes gateway, bridge:NAME or none");
}

static void each_kind_has_its_own_keys(void **state)
{
	(void)state;
	assert_complains("veth,queues=2", "queues", "a veth has the keys name, ip, gw, mac, mtu, to");
	assert_complains("tap,parent=eth0", "parent", "a tap has the keys name, ip, gw, mac, mtu, queues, to");
	assert_complains("tun,mac=02:00:00:00:00:01", "mac", "a tun has the keys name, ip, gw, mtu, queues, to");
	assert_complains("macvlan,parent=eth0,to=none", "to", "a macvlan has the keys name, ip, gw, mac, mtu, parent");
}

static void keys_that_exclude_each_other_are_told(void **state)
{
	(void)state;
	assert_complains("veth,gw=10.9.0.1,gw=none", "veth", "gw=none and a gw= address exclude each other");
	assert_complains("macvlan", "macvlan", "it needs parent=NAME, the link of the host that it stands on");
	assert_complains("tun,to=bridge:br0", "tun", "a TUN device cannot be a port of a bridge");
}

static void a_name_or_address_that_a_link_cannot_have_is_refused(void **state)
{
	static const char *const addresses[] = {"0.0.0.0/0",    "0.1.2.3/8", "127.0.0.1/8", "224.0.0.1/4",
						"239.1.2.3/24", "::/64",     "::1/128",     "ff02::1/16"};
	char text[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		snprintf(text, sizeof(text), "veth,ip=%s", addresses[i]);
		assert_complains(text, addresses[i],
				 "a link's address is neither of the loopback, nor of multicast, nor zero");
	}
	assert_complains("tap,name=lo", "lo", "the loopback has this name");
	assert_int_equal(
		nic_of("veth,ip=1.0.0.1/8,ip=223.255.255.254/24,ip=240.0.0.1/4,ip=::2/64,ip=fe80::1/64").addr_count, 5);
}

static void too_many_addresses_are_refused(void **state)
{
	char text[512] = "veth";

	(void)state;
	for (unsigned i = 1; i <= VNIC_NIC_ADDRS; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ",ip=10.9.%u.1/24", i);
	assert_int_equal(nic_of(text).addr_count, VNIC_NIC_ADDRS);
	strcat(text, ",ip=10.9.99.1/24");
	assert_complains(text, "10.9.99.1/24", "a NIC takes 8 addresses at most");
}

/* As completions offer them. */
static void every_key_that_is_listed_is_known(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < VNIC_NIC_KINDS; kind++) {
		const struct vnic_key *key;
		unsigned i;

		for (i = 0; (key = vnic_nic_key_at((enum vnic_nic_kind)kind, i)); i++) {
			struct vnic_error err = {0};
			struct vnic_nic nic;
			char text[64];

			snprintf(text, sizeof(text), "%s,%s=", vnic_nic_kind_text((enum vnic_nic_kind)kind), key->name);
			vt_fails(vnic_nic_parse(text, &nic, &err), &err, VNIC_STEP_USAGE, EINVAL);
			assert_non_null(strstr(err.detail, "needs a value"));
		}
		assert_true(i > 4);
	}
}

static void assert_words_are_taken(enum vnic_nic_kind kind, const struct vnic_key *key)
{
	char copy[64], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", key->value);
	while ((word = strsep(&rest, "|"))) {
		bool upper = kind == VNIC_NIC_MACVLAN || kind == VNIC_NIC_MACVTAP;
		char text[128];

		if (!islower((unsigned char)*word))
			continue;
		snprintf(text, sizeof(text), "%s,%s=%s%s", vnic_nic_kind_text(kind), key->name, word,
			 upper ? ",parent=eth0" : "");
		nic_of(text);
	}
}

static void every_word_that_is_listed_is_taken(void **state)
{
	const struct vnic_key *key;

	(void)state;
	for (unsigned kind = 0; kind < VNIC_NIC_KINDS; kind++)
		for (unsigned i = 0; (key = vnic_nic_key_at((enum vnic_nic_kind)kind, i)); i++)
			assert_words_are_taken((enum vnic_nic_kind)kind, key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_kind_alone_leaves_the_rest_to_vnic),
		vt_test(dhcp_leaves_the_address_to_whoever_asks),
		vt_test(dhcp_is_for_guests_of_the_router),
		vt_test(every_key_is_kept),
		vt_test(a_gateway_can_be_declined),
		vt_test(what_stands_on_a_link_names_it),
		vt_test(each_mistake_has_its_own_sentence),
		vt_test(each_kind_has_its_own_keys),
		vt_test(keys_that_exclude_each_other_are_told),
		vt_test(a_name_or_address_that_a_link_cannot_have_is_refused),
		vt_test(too_many_addresses_are_refused),
		vt_test(every_key_that_is_listed_is_known),
		vt_test(every_word_that_is_listed_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
