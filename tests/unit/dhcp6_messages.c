/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A client of DHCPv6 is told the one address of its NIC, and why it gets no other (RFC 8415). */
#include <stdlib.h>

#include "dhcp6.h"
#include "leases.h"

enum {
	SOLICIT = 1,
	ADVERTISE,
	REQUEST,
	CONFIRM,
	RENEW,
	REBIND,
	REPLY,
	RELEASE,
	DECLINE,
	RECONFIGURE,
	INFORMATION_REQUEST,
	RELAY_FORWARD,
};
enum {
	CLIENT = 1,
	SERVER = 2,
	IA_NA = 3,
	IA_TA = 4,
	IAADDR = 5,
	STATUS = 13,
	RAPID = 14,
	DNS = 23,
	SEARCH = 24,
	IA_PD = 25
};
enum { SUCCESS = 0, NO_ADDRS = 2, NO_BINDING = 3, NOT_ON_LINK = 4, NO_PREFIX = 6 };

static const uint8_t ours[16] = {0xfd, [14] = 1}, others[16] = {0xfd, [15] = 0x77}, foreign[16] = {0xfc, [15] = 1};
static const uint8_t duid[] = {0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56};
static const uint8_t server_duid[] = {0, 3, 0, 1, 2, 0, 0, 0, 0, 1};

/* --- what a client says ------------------------------------------------------------- */

static void add(struct message *message, unsigned code, const void *data, size_t size)
{
	MESSAGE_ADD(message, (uint8_t)(code >> 8), (uint8_t)code, (uint8_t)(size >> 8), (uint8_t)size);
	message_add(message, data, size);
}

static struct message ask(uint8_t type)
{
	struct message message = {.size = 0};

	MESSAGE_ADD(&message, type, 0xab, 0xcd, 0xef);
	add(&message, CLIENT, duid, sizeof(duid));
	return message;
}

static struct message ask_us(uint8_t type)
{
	struct message message = ask(type);

	add(&message, SERVER, server_duid, sizeof(server_duid));
	return message;
}

/* Of identity `id`; with these addresses, NULL ends them. */
static void add_ia(struct message *message, unsigned code, uint8_t id, const uint8_t *const *addrs)
{
	struct message ia = {.size = 0};

	MESSAGE_ADD(&ia, 0, 0, 0, id);
	if (code != IA_TA)
		MESSAGE_ADD(&ia, 0, 0, 0, 0, 0, 0, 0, 0);
	for (; *addrs; addrs++) {
		uint8_t addr[24] = {0};

		memcpy(addr, *addrs, 16);
		add(&ia, IAADDR, addr, sizeof(addr));
	}
	add(message, code, ia.bytes, ia.size);
}
#define NONE ((const uint8_t *const[]){NULL})
#define ADDRS(...) ((const uint8_t *const[]){__VA_ARGS__, NULL})

static struct message ask_with_ia(struct message message, const uint8_t *const *addrs)
{
	add_ia(&message, IA_NA, 1, addrs);
	return message;
}

/* --- what it is told ---------------------------------------------------------------- */

static struct dhcp6_answer answer_of(const struct vnic_lease *lease, const struct message *message)
{
	struct dhcp6_answer answer;
	uint8_t *copy = malloc(message->size ? message->size : 1);

	assert_non_null(copy);
	memcpy(copy, message->bytes, message->size);
	dhcp6_answer(lease, copy, message->size, &answer);
	free(copy);
	return answer;
}

static struct dhcp6_answer answer_to(const struct message *message)
{
	const struct vnic_lease lease = lease_of_nic();

	return answer_of(&lease, message);
}

/* The nth option of that code between begin and end; its header is where it begins. */
static const uint8_t *find(const uint8_t *begin, const uint8_t *end, unsigned code, unsigned nth)
{
	for (const uint8_t *at = begin; at < end; at += 4 + get16(at + 2))
		if (get16(at) == code && nth-- == 0)
			return at;
	return NULL;
}

static const uint8_t *option(const struct dhcp6_answer *answer, unsigned code)
{
	return find(answer->bytes + 4, answer->bytes + answer->size, code, 0);
}

static void assert_option(const struct dhcp6_answer *answer, unsigned code, const void *data, size_t size)
{
	const uint8_t *got = option(answer, code);

	assert_non_null(got);
	assert_int_equal(get16(got + 2), size);
	assert_memory_equal(got + 4, data, size);
}

static void assert_type(const struct dhcp6_answer *answer, uint8_t type, enum lease_outcome outcome)
{
	assert_int_equal(answer->outcome, outcome);
	assert_memory_equal(answer->bytes, ((uint8_t[]){type, 0xab, 0xcd, 0xef}), 4);
	assert_option(answer, SERVER, server_duid, sizeof(server_duid));
}

static void assert_status(const struct dhcp6_answer *answer, uint8_t status)
{
	assert_option(answer, STATUS, ((uint8_t[]){0, status}), 2);
}

/* The nth association of the code has this identity, and in it nothing but a status. */
static void assert_refused(const struct dhcp6_answer *answer, unsigned code, unsigned nth, uint8_t id, uint8_t status)
{
	const uint8_t *ia = find(answer->bytes + 4, answer->bytes + answer->size, code, nth);
	size_t header = code == IA_TA ? 4 : 12;

	assert_non_null(ia);
	assert_int_equal(ia[7], id);
	assert_int_equal(get16(ia + 2), header + 6);
	assert_memory_equal(ia + 4 + header, ((uint8_t[]){0, STATUS, 0, 2, 0, status}), 6);
}

static void assert_given(const struct dhcp6_answer *answer)
{
	static const uint8_t times[] = {0, 0, 0, 1, 0, 0, 0xa8, 0xc0, 0, 1, 0x0e, 0};
	static const uint8_t lifetimes[] = {0, 1, 0x51, 0x80, 0, 1, 0x51, 0x80};
	const uint8_t *ia = option(answer, IA_NA);

	assert_non_null(ia);
	assert_memory_equal(ia + 4, times, sizeof(times));
	assert_memory_equal(ia + 16, ((uint8_t[]){0, IAADDR, 0, 24}), 4);
	assert_memory_equal(ia + 20, ours, 16);
	assert_memory_equal(ia + 36, lifetimes, sizeof(lifetimes));
}

static void assert_ignored(const struct message *message)
{
	struct dhcp6_answer answer = answer_to(message);

	assert_int_equal(answer.size, 0);
	assert_int_equal(answer.outcome, LEASE_IGNORED);
}

/* --- the tests ---------------------------------------------------------------------- */

static void solicit_is_offered_the_address_as_the_best_there_is(void **state)
{
	struct message message = ask_with_ia(ask(SOLICIT), NONE);
	struct dhcp6_answer answer = answer_to(&message);

	(void)state;
	assert_type(&answer, ADVERTISE, LEASE_OFFERED);
	assert_option(&answer, CLIENT, duid, sizeof(duid));
	assert_option(&answer, 7, ((uint8_t[]){255}), 1);
	assert_option(&answer, DNS, ((uint8_t[16]){0xfd, [15] = 3}), 16);
	assert_given(&answer);
}

static void solicit_with_rapid_commit_is_given_the_address(void **state)
{
	struct message message = ask_with_ia(ask(SOLICIT), ADDRS(foreign));
	struct dhcp6_answer answer;

	(void)state;
	add(&message, RAPID, "", 0);
	answer = answer_to(&message);
	assert_type(&answer, REPLY, LEASE_GIVEN);
	assert_option(&answer, RAPID, "", 0);
	assert_given(&answer);
}

static void request_renew_and_rebind_are_given_the_address(void **state)
{
	struct message messages[] = {
		ask_with_ia(ask_us(REQUEST), NONE),      ask_with_ia(ask_us(REQUEST), ADDRS(ours)),
		ask_with_ia(ask_us(RENEW), ADDRS(ours)), ask_with_ia(ask_us(RENEW), NONE),
		ask_with_ia(ask(REBIND), ADDRS(ours)),
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct dhcp6_answer answer = answer_to(&messages[i]);

		assert_type(&answer, REPLY, LEASE_GIVEN);
		assert_option(&answer, CLIENT, duid, sizeof(duid));
		assert_given(&answer);
	}
}

static void an_address_of_another_link_is_not_on_this_one(void **state)
{
	struct message message = ask_with_ia(ask_us(REQUEST), ADDRS(foreign));
	struct dhcp6_answer answer = answer_to(&message);

	(void)state;
	assert_type(&answer, REPLY, LEASE_REFUSED);
	assert_refused(&answer, IA_NA, 0, 1, NOT_ON_LINK);
}

static void who_renews_another_address_is_to_end_it(void **state)
{
	struct message messages[] = {ask_with_ia(ask_us(RENEW), ADDRS(others, ours)),
				     ask_with_ia(ask(REBIND), ADDRS(others))};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct dhcp6_answer answer = answer_to(&messages[i]);
		const uint8_t *ia = option(&answer, IA_NA);

		assert_given(&answer);
		assert_int_equal(get16(ia + 2), 12 + 28 + 28);
		assert_memory_equal(ia + 48, others, 16);
		assert_memory_equal(ia + 64, ((uint8_t[8]){0}), 8);
	}
}

static void there_is_one_address_and_no_prefix(void **state)
{
	struct message message = ask(SOLICIT);
	struct dhcp6_answer answer;

	(void)state;
	add_ia(&message, IA_TA, 9, NONE);
	add_ia(&message, IA_PD, 8, NONE);
	answer = answer_to(&message);
	assert_type(&answer, ADVERTISE, LEASE_REFUSED);
	add_ia(&message, IA_NA, 1, NONE);
	add_ia(&message, IA_NA, 2, NONE);
	answer = answer_to(&message);
	assert_type(&answer, ADVERTISE, LEASE_OFFERED);
	assert_given(&answer);
	assert_refused(&answer, IA_NA, 1, 2, NO_ADDRS);
	assert_refused(&answer, IA_TA, 0, 9, NO_ADDRS);
	assert_refused(&answer, IA_PD, 0, 8, NO_PREFIX);
}

static void confirm_is_told_whether_its_addresses_are_of_this_link(void **state)
{
	struct message right = ask_with_ia(ask(CONFIRM), ADDRS(ours, others));
	struct message wrong = ask_with_ia(ask(CONFIRM), ADDRS(ours, foreign));
	struct message nothing = ask_with_ia(ask(CONFIRM), NONE);
	struct dhcp6_answer answer = answer_to(&right);

	(void)state;
	assert_type(&answer, REPLY, LEASE_TOLD);
	assert_status(&answer, SUCCESS);
	answer = answer_to(&wrong);
	assert_type(&answer, REPLY, LEASE_REFUSED);
	assert_status(&answer, NOT_ON_LINK);
	assert_ignored(&nothing);
}

static void release_and_decline_succeed(void **state)
{
	static const uint8_t types[] = {RELEASE, DECLINE};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct message message = ask_with_ia(ask_us(types[i]), ADDRS(ours));
		struct message more = message;
		struct dhcp6_answer answer = answer_to(&message);

		assert_type(&answer, REPLY, LEASE_RETURNED);
		assert_status(&answer, SUCCESS);
		assert_null(option(&answer, IA_NA));
		add_ia(&more, IA_NA, 2, ADDRS(others));
		answer = answer_to(&more);
		assert_status(&answer, SUCCESS);
		assert_refused(&answer, IA_NA, 0, 2, NO_BINDING);
	}
}

static void information_is_given_to_anybody(void **state)
{
	static const uint8_t search[] = "\7example\3org";
	struct vnic_lease lease = lease_of_nic();
	struct message message = {.size = 0}, with_ia = ask_with_ia(ask(INFORMATION_REQUEST), NONE);
	struct dhcp6_answer answer;

	(void)state;
	lease.search_size = sizeof(search);
	memcpy(lease.search, search, sizeof(search));
	MESSAGE_ADD(&message, INFORMATION_REQUEST, 0xab, 0xcd, 0xef, 0, 6, 0, 2, 0, DNS);
	answer = answer_of(&lease, &message);
	assert_type(&answer, REPLY, LEASE_TOLD);
	assert_option(&answer, DNS, ((uint8_t[16]){0xfd, [15] = 3}), 16);
	assert_option(&answer, SEARCH, search, sizeof(search));
	assert_null(option(&answer, CLIENT));
	assert_ignored(&with_ia);
}

static void without_a_resolver_none_is_told(void **state)
{
	struct message message = ask(INFORMATION_REQUEST);
	struct vnic_lease lease = lease_of_nic();
	struct dhcp6_answer answer;

	(void)state;
	lease.dns[1].family = AF_UNSPEC;
	answer = answer_of(&lease, &message);
	assert_type(&answer, REPLY, LEASE_TOLD);
	assert_null(option(&answer, DNS));
}

static void who_must_name_the_server_names_us(void **state)
{
	static const uint8_t must[] = {REQUEST, RENEW, RELEASE, DECLINE}, never[] = {SOLICIT, CONFIRM, REBIND};

	(void)state;
	for (unsigned i = 0; i < sizeof(must); i++) {
		struct message message = ask_with_ia(ask(must[i]), ADDRS(ours));

		assert_ignored(&message);
		add(&message, SERVER, duid, sizeof(duid)); /* another's */
		assert_ignored(&message);
	}
	for (unsigned i = 0; i < sizeof(never); i++) {
		struct message message = ask_with_ia(ask_us(never[i]), ADDRS(ours));

		assert_ignored(&message);
	}
}

static void who_does_not_say_who_he_is_is_ignored(void **state)
{
	static const uint8_t types[] = {SOLICIT, REQUEST, CONFIRM, RENEW, REBIND, RELEASE, DECLINE};

	(void)state;
	for (unsigned i = 0; i < sizeof(types); i++) {
		struct message message = ask_with_ia(ask_us(types[i]), ADDRS(ours));

		message.bytes[5] = 99; /* another option than the client's identifier */
		assert_ignored(&message);
	}
}

static void messages_that_no_client_sends_are_ignored(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		struct message message = ask((uint8_t)type);

		if (type == 0 || type == ADVERTISE || type == REPLY || type == RECONFIGURE || type >= RELAY_FORWARD)
			assert_ignored(&message);
	}
}

static void what_is_cut_anywhere_is_ignored_or_answered_for_what_is_whole(void **state)
{
	struct message whole = ask_with_ia(ask_us(RENEW), ADDRS(ours, others)), message = whole;

	(void)state;
	/* The last option is the association: without all of it there is nothing. */
	for (message.size = 0; message.size < whole.size; message.size++) {
		struct dhcp6_answer answer = answer_to(&message);

		if (answer.size)
			assert_null(option(&answer, IA_NA));
	}
	/* Its inside is cut, though it is whole itself. */
	for (unsigned size = 0; size < 68; size++) {
		struct message cut = ask_us(RENEW);
		struct message ia = ask_with_ia((struct message){.size = 0}, ADDRS(ours, others));

		add(&cut, IA_NA, ia.bytes + 4, size);
		if (size != 12 && size != 40)
			assert_ignored(&cut);
	}
}

static void an_identifier_longer_than_any_is_malformed(void **state)
{
	struct message message = {.size = 0}, empty = message;
	uint8_t id[131] = {0};

	(void)state;
	MESSAGE_ADD(&message, SOLICIT, 0, 0, 0);
	add(&message, CLIENT, id, sizeof(id));
	assert_ignored(&message);
	MESSAGE_ADD(&empty, SOLICIT, 0, 0, 0);
	add(&empty, CLIENT, id, 0);
	assert_ignored(&empty);
}

static void more_associations_than_an_answer_holds_get_none(void **state)
{
	struct message message = ask(SOLICIT);

	(void)state;
	for (unsigned i = 0; i < 80; i++)
		add_ia(&message, IA_NA, (uint8_t)i, NONE);
	assert_ignored(&message);
}

static void noise_does_no_harm(void **state)
{
	static const uint8_t likely[] = {0, 1, 2, 3, 4, 5, 6, 8, 12, 13, 14, 16, 24, 25, 40, 0xfd};
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 100000; round++) {
		struct message message = ask_us((uint8_t)(1 + round % 11));

		for (unsigned i = 0; i < 100; i++) {
			seed = seed * 1664525 + 1013904223;
			MESSAGE_ADD(&message, likely[seed >> 28]);
		}
		assert_true(answer_to(&message).size <= DHCP6_MADE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(solicit_is_offered_the_address_as_the_best_there_is),
		vt_test(solicit_with_rapid_commit_is_given_the_address),
		vt_test(request_renew_and_rebind_are_given_the_address),
		vt_test(an_address_of_another_link_is_not_on_this_one),
		vt_test(who_renews_another_address_is_to_end_it),
		vt_test(there_is_one_address_and_no_prefix),
		vt_test(confirm_is_told_whether_its_addresses_are_of_this_link),
		vt_test(release_and_decline_succeed),
		vt_test(information_is_given_to_anybody),
		vt_test(without_a_resolver_none_is_told),
		vt_test(who_must_name_the_server_names_us),
		vt_test(who_does_not_say_who_he_is_is_ignored),
		vt_test(messages_that_no_client_sends_are_ignored),
		vt_test(what_is_cut_anywhere_is_ignored_or_answered_for_what_is_whole),
		vt_test(an_identifier_longer_than_any_is_malformed),
		vt_test(more_associations_than_an_answer_holds_get_none),
		vt_test(noise_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
