/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is taken for a router solicitation, and the advertisement that answers it, byte by byte. */
#include "leases.h"
#include "ra.h"

#define MAC_OPTION 1, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56

static struct message solicitation(void)
{
	struct message message = {.size = 0};

	MESSAGE_ADD(&message, 133, 0, 0, 0, 0, 0, 0, 0);
	return message;
}

static bool is_taken(const struct message *message, int hops, bool nameless)
{
	return ra_is_solicitation(message->bytes, message->size, hops, nameless);
}

static void a_solicitation_may_come_with_the_askers_mac_and_options_to_come(void **state)
{
	struct message message = solicitation();

	(void)state;
	assert_true(is_taken(&message, 255, false));
	assert_true(is_taken(&message, 255, true));
	MESSAGE_ADD(&message, MAC_OPTION, 14, 1, 1, 2, 3, 4, 5, 6);
	assert_true(is_taken(&message, 255, false));
}

static void one_that_was_forwarded_is_none(void **state)
{
	struct message message = solicitation();

	(void)state;
	assert_false(is_taken(&message, 254, false));
	assert_false(is_taken(&message, -1, false));
}

static void who_has_no_address_cannot_name_a_mac(void **state)
{
	struct message message = solicitation();

	(void)state;
	MESSAGE_ADD(&message, MAC_OPTION);
	assert_false(is_taken(&message, 255, true));
}

static void what_is_malformed_is_none(void **state)
{
	struct message message = solicitation(), other = message;

	(void)state;
	for (message.size = 0; message.size < 8; message.size++)
		assert_false(is_taken(&message, 255, false));
	other.bytes[0] = 134;
	assert_false(is_taken(&other, 255, false));
	other = solicitation();
	other.bytes[1] = 1;
	assert_false(is_taken(&other, 255, false));
	MESSAGE_ADD(&message, 14, 0, 0, 0, 0, 0, 0, 0); /* no length */
	assert_false(is_taken(&message, 255, false));
	message.bytes[9] = 2; /* longer than the message */
	assert_false(is_taken(&message, 255, false));
	message.bytes[9] = 1;
	assert_true(is_taken(&message, 255, false));
	message.size = 9; /* half an option */
	assert_false(is_taken(&message, 255, false));
}

static void the_advertisement_is_this(void **state)
{
	static const uint8_t wanted[] = {
		/* type, code, checksum; hop limit, M and O, lifetime; reachable time, retransmission */
		134, 0, 0, 0, 64, 0xc0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0,
		/* MAC */
		1, 1, 2, 0, 0, 0, 0, 1,
		/* MTU */
		5, 1, 0, 0, 0, 0, 0x05, 0xdc,
		/* prefix: L and A, for ever */
		3, 4, 64, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, /**/
		0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		/* resolver, for ever */
		25, 3, 0, 0, 0xff, 0xff, 0xff, 0xff, /**/
		0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3};
	const struct vnic_lease lease = lease_of_nic();
	uint8_t got[RA_MADE];

	(void)state;
	assert_int_equal(ra_make(&lease, got), sizeof(wanted));
	assert_memory_equal(got, wanted, sizeof(wanted));
}

static void without_a_resolver_there_is_none(void **state)
{
	struct vnic_lease lease = lease_of_nic();
	uint8_t got[RA_MADE];

	(void)state;
	lease.dns[1].family = AF_UNSPEC;
	assert_int_equal(ra_make(&lease, got), 16 + 8 + 8 + 32);
}

static void an_mtu_too_small_for_ipv6_is_not_told(void **state)
{
	struct vnic_lease lease = lease_of_nic();
	uint8_t got[RA_MADE];

	(void)state;
	lease.mtu = 1279;
	assert_int_equal(ra_make(&lease, got), 16 + 8 + 32 + 24);
}

static void of_a_prefix_that_is_not_64_bits_no_address_can_be_made(void **state)
{
	struct vnic_lease lease = lease_of_nic();
	uint8_t got[RA_MADE];

	(void)state;
	lease.addr[1].prefix = 112;
	ra_make(&lease, got);
	assert_memory_equal(got + 32, ((uint8_t[]){3, 4, 112, 0x80}), 4);
	assert_memory_equal(got + 48, ((uint8_t[16]){0xfd, [14] = 1, [15] = 0}), 14);
}

static void domains_are_told_in_whole_units_of_eight_bytes(void **state)
{
	static const uint8_t names[] = "\7example\3org"; /* and its zero: 13 bytes */
	struct vnic_lease lease = lease_of_nic();
	uint8_t got[RA_MADE];
	size_t size;

	(void)state;
	lease.search_size = sizeof(names);
	memcpy(lease.search, names, sizeof(names));
	size = ra_make(&lease, got);
	assert_int_equal(size, 16 + 8 + 8 + 32 + 24 + 24);
	assert_memory_equal(got + size - 24, ((uint8_t[]){31, 3, 0, 0, 0xff, 0xff, 0xff, 0xff}), 8);
	assert_memory_equal(got + size - 16, names, sizeof(names));
	assert_memory_equal(got + size - 3, ((uint8_t[3]){0}), 3);
	lease.search_size = VNIC_LEASE_SEARCH;
	assert_int_equal(ra_make(&lease, got), 16 + 8 + 8 + 32 + 24 + 8 + 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_solicitation_may_come_with_the_askers_mac_and_options_to_come),
		vt_test(one_that_was_forwarded_is_none),
		vt_test(who_has_no_address_cannot_name_a_mac),
		vt_test(what_is_malformed_is_none),
		vt_test(the_advertisement_is_this),
		vt_test(without_a_resolver_there_is_none),
		vt_test(an_mtu_too_small_for_ipv6_is_not_told),
		vt_test(of_a_prefix_that_is_not_64_bits_no_address_can_be_made),
		vt_test(domains_are_told_in_whole_units_of_eight_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
