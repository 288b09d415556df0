/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A client of DHCP is told the one address of its NIC, whatever it asks, and what is malformed gets no answer. */
#include <stdlib.h>

#include "dhcp.h"
#include "leases.h"

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };

static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
static const uint8_t ours[4] = {10, 0, 2, 100}, router[4] = {10, 0, 2, 2}, others[4] = {10, 0, 2, 50};

/* --- what a client says ------------------------------------------------------------- */

/* Without the end of options, so that a test may add some; there need be none. */
static struct message ask(uint8_t type)
{
	struct message message = {.size = 236};
	uint8_t *fixed = message.bytes;

	fixed[0] = fixed[1] = 1;
	fixed[2] = sizeof(mac);
	memcpy(fixed + 4, (uint8_t[]){0xde, 0xad, 0xbe, 0xef}, 4);
	memcpy(fixed + 28, mac, sizeof(mac));
	MESSAGE_ADD(&message, 99, 130, 83, 99, 53, 1, type);
	return message;
}

static void add(struct message *message, uint8_t code, const void *data, uint8_t size)
{
	MESSAGE_ADD(message, code, size);
	message_add(message, data, size);
}

static struct message ask_for(const uint8_t addr[4])
{
	struct message message = ask(REQUEST);

	add(&message, 50, addr, 4);
	return message;
}

static struct message ask_with_own(uint8_t type, const uint8_t addr[4])
{
	struct message message = ask(type);

	memcpy(message.bytes + 12, addr, 4);
	return message;
}

/* --- what it is told ---------------------------------------------------------------- */

static struct dhcp_answer answer_of(const struct vnic_lease *lease, const struct message *message)
{
	struct dhcp_answer answer;
	/* Of its exact size, so that a sanitizer sees a byte too far. */
	uint8_t *copy = malloc(message->size ? message->size : 1);

	assert_non_null(copy);
	memcpy(copy, message->bytes, message->size);
	dhcp_answer(lease, copy, message->size, &answer);
	free(copy);
	return answer;
}

static struct dhcp_answer answer_to(const struct message *message)
{
	const struct vnic_lease lease = lease_of_nic();

	return answer_of(&lease, message);
}

static const uint8_t *option(const struct dhcp_answer *answer, uint8_t code)
{
	for (size_t at = 240; at < answer->size && answer->bytes[at] != 255; at += 2u + answer->bytes[at + 1])
		if (answer->bytes[at] == code)
			return answer->bytes + at + 1;
	return NULL;
}

static bool has_option(const struct dhcp_answer *answer, uint8_t code)
{
	return option(answer, code) != NULL;
}

static void assert_option(const struct dhcp_answer *answer, uint8_t code, const void *data, size_t size)
{
	const uint8_t *got = option(answer, code);

	assert_non_null(got);
	assert_int_equal(got[0], size);
	assert_memory_equal(got + 1, data, size);
}

static void assert_type(const struct dhcp_answer *answer, uint8_t type)
{
	assert_true(answer->size >= 300 && answer->size <= 548);
	assert_option(answer, 53, &type, 1);
	assert_option(answer, 54, router, 4);
}

static void assert_ignored(const struct message *message)
{
	struct dhcp_answer answer = answer_to(message);

	assert_int_equal(answer.size, 0);
	assert_int_equal(answer.outcome, LEASE_IGNORED);
}

/* --- the tests ---------------------------------------------------------------------- */

static void discover_is_offered_the_address(void **state)
{
	struct message message = ask(DISCOVER);
	struct dhcp_answer answer = answer_to(&message);

	(void)state;
	assert_int_equal(answer.outcome, LEASE_OFFERED);
	assert_type(&answer, OFFER);
	assert_false(answer.unicast);
	assert_memory_equal(answer.bytes, ((uint8_t[]){2, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef}), 8);
	assert_memory_equal(answer.bytes + 12, ((uint8_t[4]){0}), 4);
	assert_memory_equal(answer.bytes + 16, ours, 4);
	assert_memory_equal(answer.bytes + 28, mac, 6);
	assert_option(&answer, 1, (uint8_t[]){255, 255, 255, 0}, 4);
	assert_option(&answer, 3, router, 4);
	assert_option(&answer, 6, (uint8_t[]){10, 0, 2, 3}, 4);
	assert_option(&answer, 51, (uint8_t[]){0, 1, 0x51, 0x80}, 4);
}

static void what_there_is_not_is_not_told(void **state)
{
	struct vnic_lease lease = lease_of_nic();
	struct message message = ask(DISCOVER);
	struct dhcp_answer answer;

	(void)state;
	lease.dns[0].family = AF_UNSPEC;
	answer = answer_of(&lease, &message);
	assert_false(has_option(&answer, 6) || has_option(&answer, 12) || has_option(&answer, 15) ||
		     has_option(&answer, 26) || has_option(&answer, 61) || has_option(&answer, 119));
}

static void mtu_host_name_and_domains_are_told(void **state)
{
	static const uint8_t search[] = "\7example\3org\0\1b";
	struct vnic_lease lease = lease_of_nic();
	struct message message = ask(DISCOVER);
	struct dhcp_answer answer;

	(void)state;
	lease.mtu = 9000;
	lease.search_size = sizeof(search);
	memcpy(lease.search, search, sizeof(search));
	strcpy(lease.hostname, "box");
	answer = answer_of(&lease, &message);
	assert_option(&answer, 26, (uint8_t[]){0x23, 0x28}, 2);
	assert_option(&answer, 12, "box", 3);
	assert_option(&answer, 15, "example.org", 11);
	assert_option(&answer, 119, search, sizeof(search));
}

static void a_request_for_the_address_is_granted(void **state)
{
	struct message message = ask_for(ours), chosen = ask_for(ours);
	struct dhcp_answer answer = answer_to(&message);

	(void)state;
	assert_int_equal(answer.outcome, LEASE_GIVEN);
	assert_type(&answer, ACK);
	assert_false(answer.unicast);
	assert_memory_equal(answer.bytes + 16, ours, 4);
	add(&chosen, 54, router, 4);
	answer = answer_to(&chosen);
	assert_type(&answer, ACK);
}

static void a_request_for_another_address_is_refused_aloud(void **state)
{
	struct message message = ask_for(others), renewal = ask_with_own(REQUEST, others);
	struct dhcp_answer answer = answer_to(&message);

	(void)state;
	assert_int_equal(answer.outcome, LEASE_REFUSED);
	assert_type(&answer, NAK);
	assert_false(answer.unicast);
	assert_memory_equal(answer.bytes + 12, ((uint8_t[8]){0}), 8);
	assert_false(has_option(&answer, 51) || has_option(&answer, 3));
	answer = answer_to(&renewal);
	assert_type(&answer, NAK);
	assert_false(answer.unicast);
}

static void a_renewal_is_granted_to_the_address_itself(void **state)
{
	struct message message = ask_with_own(REQUEST, ours);
	struct dhcp_answer answer = answer_to(&message);

	(void)state;
	assert_int_equal(answer.outcome, LEASE_GIVEN);
	assert_type(&answer, ACK);
	assert_true(answer.unicast);
	assert_memory_equal(answer.bytes + 12, ours, 4);
}

static void who_chose_another_server_is_left_alone(void **state)
{
	struct message message = ask_for(others), released = ask_with_own(RELEASE, ours);

	(void)state;
	add(&message, 54, others, 4);
	add(&released, 54, others, 4);
	assert_ignored(&message);
	assert_ignored(&released);
}

static void a_request_for_nothing_is_ignored(void **state)
{
	struct message message = ask(REQUEST);

	(void)state;
	assert_ignored(&message);
}

static void inform_is_told_all_but_an_address(void **state)
{
	struct message message = ask_with_own(INFORM, others);
	struct dhcp_answer answer = answer_to(&message);

	(void)state;
	assert_int_equal(answer.outcome, LEASE_TOLD);
	assert_type(&answer, ACK);
	assert_memory_equal(answer.bytes + 16, ((uint8_t[4]){0}), 4);
	assert_false(has_option(&answer, 51));
	assert_true(has_option(&answer, 3) && has_option(&answer, 6));
}

static void decline_and_release_are_only_counted(void **state)
{
	static const uint8_t types[] = {DECLINE, RELEASE};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct message message = ask_with_own(types[i], ours);
		struct dhcp_answer answer = answer_to(&message);

		assert_int_equal(answer.outcome, LEASE_RETURNED);
		assert_int_equal(answer.size, 0);
	}
}

static void the_client_identifier_and_the_flags_come_back(void **state)
{
	static const uint8_t id[] = {255, 0, 0, 0, 1, 0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56}; /* RFC 4361 */
	struct message message = ask(DISCOVER), refused = ask_for(others);
	struct dhcp_answer answer;

	(void)state;
	message.bytes[10] = 0x80;
	add(&message, 61, id, sizeof(id));
	answer = answer_to(&message);
	assert_option(&answer, 61, id, sizeof(id));
	assert_int_equal(answer.bytes[10], 0x80);
	add(&refused, 61, id, sizeof(id));
	answer = answer_to(&refused);
	assert_option(&answer, 61, id, sizeof(id));
}

static void a_boot_loader_gets_an_address_like_anybody(void **state)
{
	struct message message = ask(DISCOVER);
	struct dhcp_answer answer;

	(void)state;
	add(&message, 60, "PXEClient:Arch:00000:UNDI:002001", 32);
	MESSAGE_ADD(&message, 93, 2, 0, 0, 55, 4, 1, 3, 6, 67, 0, 0, 255);
	answer = answer_to(&message);
	assert_type(&answer, OFFER);
	assert_memory_equal(answer.bytes + 20, ((uint8_t[4]){0}), 4); /* no next server */
	assert_int_equal(answer.bytes[108], 0);                       /* no boot file */
}

static void an_option_in_parts_is_one(void **state) /* RFC 3396 */
{
	struct message message = ask(REQUEST);
	struct dhcp_answer answer;

	(void)state;
	add(&message, 50, ours, 1);
	add(&message, 50, ours + 1, 3);
	answer = answer_to(&message);
	assert_type(&answer, ACK);
}

static void options_are_found_in_the_overloaded_fields(void **state)
{
	struct message message = ask(REQUEST), split = ask(REQUEST);
	struct dhcp_answer answer;

	(void)state;
	add(&message, 52, (uint8_t[]){1}, 1);
	memcpy(message.bytes + 108, (uint8_t[]){50, 4, 10, 0, 2, 100, 255}, 7);
	answer = answer_to(&message);
	assert_type(&answer, ACK);
	/* First the file, then the server's name. */
	add(&split, 52, (uint8_t[]){3}, 1);
	memcpy(split.bytes + 108, (uint8_t[]){50, 2, 10, 0, 255}, 5);
	memcpy(split.bytes + 44, (uint8_t[]){50, 2, 2, 100, 255}, 5);
	answer = answer_to(&split);
	assert_type(&answer, ACK);
	/* Where they are not, there is none. */
	split = ask(REQUEST);
	memcpy(split.bytes + 108, (uint8_t[]){50, 4, 10, 0, 2, 100, 255}, 7);
	assert_ignored(&split);
}

static void the_longest_answer_fits_into_what_every_client_takes(void **state)
{
	struct vnic_lease lease = lease_of_nic();
	struct message message = ask(DISCOVER);
	uint8_t id[255];
	struct dhcp_answer answer;

	(void)state;
	lease.mtu = 9000;
	memset(lease.hostname, 'h', 64);
	memset(id, 7, sizeof(id));
	lease.search_size = VNIC_LEASE_SEARCH;
	for (unsigned i = 0; i < VNIC_LEASE_SEARCH; i += 3)
		memcpy(lease.search + i, "\1a", 3);
	add(&message, 61, id, sizeof(id));
	answer = answer_of(&lease, &message);
	assert_type(&answer, OFFER);
	assert_option(&answer, 61, id, sizeof(id));
	assert_true(has_option(&answer, 51) && has_option(&answer, 3) && has_option(&answer, 6) &&
		    has_option(&answer, 26));
	assert_false(has_option(&answer, 119)); /* the least of them */
}

static void what_is_malformed_or_not_from_here_is_ignored(void **state)
{
	struct message whole = ask(DISCOVER), message;

	(void)state;
	for (size_t size = 0; size <= 240; size++) {
		message = whole;
		message.size = size;
		assert_ignored(&message);
	}
	for (size_t at = 0; at < 4; at++) { /* magic */
		message = whole;
		message.bytes[236 + at] ^= 1;
		assert_ignored(&message);
	}
	message = whole;
	message.bytes[0] = 2; /* a reply */
	assert_ignored(&message);
	message = whole;
	message.bytes[2] = 17; /* longer than there is room */
	assert_ignored(&message);
	message = whole;
	message.bytes[27] = 1; /* by a relay agent */
	assert_ignored(&message);
	message = whole;
	message.bytes[241] = 2; /* its type runs out of the message */
	assert_ignored(&message);
	message = whole;
	MESSAGE_ADD(&message, 50, 4, 10, 0, 2);
	assert_ignored(&message);
	message = whole;
	MESSAGE_ADD(&message, 50, 3, 10, 0, 2, 255);
	assert_ignored(&message);
	message = whole;
	MESSAGE_ADD(&message, 54);
	assert_ignored(&message);
	message = whole;
	MESSAGE_ADD(&message, 53, 1, REQUEST); /* two types */
	assert_ignored(&message);
	for (unsigned type = 0; type < 256; type++) {
		message = ask((uint8_t)type);
		if (type != DISCOVER && type != DECLINE && type != RELEASE && type != INFORM)
			assert_ignored(&message);
	}
}

static void noise_gets_no_answer_and_does_no_harm(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 200000; round++) {
		struct message message = ask((uint8_t)(1 + round % 8));

		for (unsigned i = 0; i < 60; i++) {
			seed = seed * 1664525 + 1013904223;
			MESSAGE_ADD(&message, (uint8_t)(seed >> 24) % 64);
		}
		struct dhcp_answer answer = answer_to(&message);
		assert_true(answer.size == 0 || (answer.size >= 300 && answer.size <= 548));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(discover_is_offered_the_address),
		vt_test(what_there_is_not_is_not_told),
		vt_test(mtu_host_name_and_domains_are_told),
		vt_test(a_request_for_the_address_is_granted),
		vt_test(a_request_for_another_address_is_refused_aloud),
		vt_test(a_renewal_is_granted_to_the_address_itself),
		vt_test(who_chose_another_server_is_left_alone),
		vt_test(a_request_for_nothing_is_ignored),
		vt_test(inform_is_told_all_but_an_address),
		vt_test(decline_and_release_are_only_counted),
		vt_test(the_client_identifier_and_the_flags_come_back),
		vt_test(a_boot_loader_gets_an_address_like_anybody),
		vt_test(an_option_in_parts_is_one),
		vt_test(options_are_found_in_the_overloaded_fields),
		vt_test(the_longest_answer_fits_into_what_every_client_takes),
		vt_test(what_is_malformed_or_not_from_here_is_ignored),
		vt_test(noise_gets_no_answer_and_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
