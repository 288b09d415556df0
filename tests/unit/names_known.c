/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which addresses have a name that is in a rule, and for how long.  Time is what the test says it is. */
#include "vt.h"

#include <sys/socket.h>

#include "clock.h"
#include "dnsmsgs.h"
#include "names.h"

#define MINUTE (60 * NS_PER_S)
#define HOUR (60 * MINUTE)
#define MOST 4096

static const struct hash_secret secret = {{1, 2}};
static struct vnic_policy policy;
static struct names *names;
static int64_t now;

static void begin(void)
{
	struct vnic_error err;

	vnic_policy_init(&policy);
	vt_ok(vnic_policy_add(&policy, true, "allowed.example", &err), &err);
	vt_ok(vnic_policy_add(&policy, true, "*.allowed.example", &err), &err);
	now = NS_PER_S;
	assert_int_equal(names_new(&policy, &secret, &names), 0);
}

static struct vnic_addr address(uint32_t number)
{
	return (struct vnic_addr){AF_INET, 32, {9, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

static void learn_message(const struct dns_message *question, const struct dns_message *answer)
{
	struct dnsmsg_query info;

	assert_int_equal(dnsmsg_read_query(question->bytes, question->size, &info), 0);
	names_learn(names, question->bytes, &info, answer->bytes, answer->size, now);
}

static void learn(const char *name, uint32_t number, uint16_t ttl)
{
	struct dns_message question = dns_question(1, name), answer = question;
	struct vnic_addr addr = address(number);

	dns_add_record(&answer, 1, ttl, addr.bytes, 4);
	learn_message(&question, &answer);
}

/* Which rules it has, as bits; 0, too, where it is known and in none. */
static uint64_t rules_of(uint32_t number)
{
	struct vnic_policy_flow flow = {.dst = address(number)};

	names_find(names, &flow, now);
	return flow.named.bits[0];
}

static const char *name_of(uint32_t number)
{
	struct vnic_policy_flow flow = {.dst = address(number)};

	names_find(names, &flow, now);
	return flow.name;
}

static uint32_t count(void)
{
	uint64_t full;
	uint32_t known;

	names_count(names, &known, &full);
	return known;
}

static uint64_t forgotten(void)
{
	uint64_t full;
	uint32_t known;

	names_count(names, &known, &full);
	return full;
}

static void an_address_has_the_rules_of_its_names(void **state)
{
	(void)state;
	begin();
	assert_int_equal(rules_of(1), 0);
	assert_null(name_of(1));
	learn("Allowed.Example", 1, 60);
	assert_int_equal(rules_of(1), 2);
	assert_string_equal(name_of(1), "allowed.example");
	learn("www.allowed.example", 1, 60);
	assert_int_equal(rules_of(1), 6);
	learn("other.example", 1, 60);
	assert_int_equal(rules_of(1), 6);
	assert_string_equal(name_of(1), "other.example");
	assert_int_equal(rules_of(2), 0);
	names_free(names);
}

static void each_address_of_an_answer_is_learnt_and_nothing_else_in_it(void **state)
{
	struct dns_message question = dns_question(1, "allowed.example"), answer = question;
	struct vnic_policy_flow v6 = {.dst = {AF_INET6, 128, {0x26, 0x20, [15] = 1}}};
	uint8_t text[16] = "0123456789abcde";
	struct vnic_addr one = address(1), two = address(2), three = address(3);

	(void)state;
	begin();
	dns_add_record(&answer, 5, 60, text, 9);      /* CNAME */
	dns_add_record(&answer, 1, 60, one.bytes, 4); /* A */
	dns_add_record(&answer, 16, 60, text, 4);     /* TXT */
	dns_add_record(&answer, 28, 60, v6.dst.bytes, 16);
	dns_add_record(&answer, 28, 60, text, 4); /* AAAA of a wrong length */
	dns_add_record(&answer, 1, 60, two.bytes, 4);
	answer.bytes[7]--; /* what follows the answers is about others */
	dns_add_record(&answer, 1, 60, three.bytes, 4);
	answer.bytes[7]--;
	learn_message(&question, &answer);
	names_find(names, &v6, now);
	assert_int_equal(v6.named.bits[0], 2);
	assert_int_equal(rules_of(1), 2);
	assert_int_equal(rules_of(2), 0);
	assert_int_equal(count(), 2);
	names_free(names);
}

static void a_zone_transfer_teaches_nothing(void **state)
{
	struct vnic_addr one = address(1);

	(void)state;
	begin();
	for (uint16_t type = 251; type <= 252; type++) { /* IXFR, AXFR */
		struct dns_message question = dns_question(1, "allowed.example"), answer;

		question.bytes[question.size - 3] = (uint8_t)type;
		answer = question;
		dns_add_record(&answer, 1, 60, one.bytes, 4);
		learn_message(&question, &answer);
	}
	assert_int_equal(count(), 0);
	names_free(names);
}

/* An HTTPS record: priority, the owner's name, and parameters. */
static void add_service(struct dns_message *answer, uint8_t priority, const void *params, size_t size)
{
	uint8_t data[64] = {0, priority, 0};

	memcpy(data + 3, params, size);
	dns_add_record(answer, 65, 60, data, 3 + size);
}

static void hints_of_a_service_are_learnt(void **state)
{
	static const uint8_t params[] = {
		0, 1, 0, 3,  2,    'h',  '2', 0, 4, 0, 8, 9, 0, 0, 1, 9, 0, 0, 2, /* alpn, ipv4hint */
		0, 6, 0, 16, 0x26, 0x20, 0,   0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
	struct dns_message question = dns_question(1, "allowed.example"), answer = question;
	struct vnic_policy_flow v6 = {.dst = {AF_INET6, 128, {0x26, 0x20, [15] = 1}}};
	struct vnic_addr three = address(3);

	(void)state;
	begin();
	add_service(&answer, 1, params, sizeof(params));
	dns_add_record(&answer, 1, 60, three.bytes, 4);
	learn_message(&question, &answer);
	names_find(names, &v6, now);
	assert_int_equal(v6.named.bits[0], 2);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(rules_of(i), 2);
	assert_int_equal(count(), 4);
	names_free(names);
}

static void what_is_not_well_formed_in_a_service_is_not(void **state)
{
	static const uint8_t odd[] = {0, 4, 0, 5, 9, 0, 0, 1, 9}, long_one[] = {0, 4, 0, 8, 9, 0, 0, 2, 9, 0, 0},
			     good[] = {0, 4, 0, 4, 9, 0, 0, 3}, other[] = {0, 5, 0, 4, 9, 0, 0, 4},
			     empty[] = {0, 4, 0, 0, 0, 4, 0, 4, 9, 0, 0, 5};
	struct dns_message question = dns_question(1, "allowed.example"), answer = question;

	(void)state;
	begin();
	add_service(&answer, 1, odd, sizeof(odd));
	add_service(&answer, 1, long_one, sizeof(long_one));
	add_service(&answer, 0, good, sizeof(good)); /* an alias */
	add_service(&answer, 1, other, sizeof(other));
	add_service(&answer, 1, "", 0);
	dns_add_record(&answer, 65, 60, "\0\1\77", 3); /* the name has no end */
	dns_add_record(&answer, 65, 60, "\0", 1);
	learn_message(&question, &answer);
	assert_int_equal(count(), 0);
	add_service(&answer, 1, empty, sizeof(empty));
	learn_message(&question, &answer);
	assert_int_equal(count(), 1);
	assert_int_equal(rules_of(5), 2);
	names_free(names);
}

static void an_answer_that_is_cut_off_gives_what_is_whole(void **state)
{
	struct dns_message question = dns_question(1, "allowed.example"), answer = question;

	(void)state;
	begin();
	for (uint32_t i = 1; i <= 3; i++) {
		struct vnic_addr addr = address(i);

		dns_add_record(&answer, 1, 60, addr.bytes, 4);
	}
	answer.size--;
	learn_message(&question, &answer);
	assert_int_equal(rules_of(1), 2);
	assert_int_equal(rules_of(2), 2);
	assert_int_equal(rules_of(3), 0);
	answer.size = 12;
	learn_message(&question, &answer);
	assert_int_equal(count(), 2);
	names_free(names);
}

static void an_address_is_known_for_an_hour_at_least_and_a_day_if_it_lives_longer(void **state)
{
	(void)state;
	begin();
	learn("allowed.example", 1, 0);
	learn("allowed.example", 2, 3600);
	learn("allowed.example", 3, 3601);
	now += HOUR - 1;
	assert_int_equal(rules_of(1), 2);
	assert_int_equal(rules_of(2), 2);
	now += 1;
	assert_int_equal(rules_of(1), 0);
	assert_int_equal(rules_of(2), 0);
	now += 23 * HOUR - 1;
	assert_int_equal(rules_of(3), 2);
	now += 1;
	assert_int_equal(rules_of(3), 0);
	names_free(names);
}

static void each_answer_prolongs_its_own(void **state)
{
	(void)state;
	begin();
	learn("allowed.example", 1, 60);
	learn("allowed.example", 2, 60);
	now += HOUR - MINUTE;
	learn("allowed.example", 1, 60);
	learn("other.example", 2, 60);
	now += MINUTE;
	assert_int_equal(rules_of(1), 2);
	assert_int_equal(rules_of(2), 0); /* a name in no rule prolongs nothing */
	now += HOUR - MINUTE;
	assert_int_equal(rules_of(1), 0);
	names_free(names);
}

static void an_hour_does_not_cut_a_day_short(void **state)
{
	(void)state;
	begin();
	learn("allowed.example", 1, 7200);
	learn("allowed.example", 1, 60);
	now += 2 * HOUR;
	assert_int_equal(rules_of(1), 2);
	names_free(names);
}

static void a_day_that_ends_does_not_cut_an_hour_short(void **state)
{
	(void)state;
	begin();
	learn("allowed.example", 1, 7200);
	now += 24 * HOUR - MINUTE;
	learn("allowed.example", 1, 60);
	learn("other.example", 1, 60);
	now += HOUR - 1;
	assert_int_equal(rules_of(1), 2);
	now += 1;
	assert_int_equal(rules_of(1), 0);
	names_free(names);
}

static void what_has_expired_begins_anew(void **state)
{
	(void)state;
	begin();
	learn("allowed.example", 1, 7200);
	now += 24 * HOUR;
	learn("other.example", 1, 7200);
	assert_int_equal(rules_of(1), 0);
	assert_string_equal(name_of(1), "other.example");
	now += MINUTE;
	assert_null(name_of(1));
	assert_int_equal(count(), 1);
	names_free(names);
}

static void a_name_that_no_rule_can_have_is_not_kept(void **state)
{
	(void)state;
	begin();
	learn("with space.example", 1, 60);
	learn("", 2, 60);
	learn("*.allowed.example", 3, 60);
	learn("x\033[2J.allowed.example", 4, 60);
	assert_int_equal(count(), 0);
	names_free(names);
}

static void where_there_are_too_many_the_one_that_would_expire_first_goes(void **state)
{
	(void)state;
	begin();
	learn("allowed.example", 0, 60);
	for (uint32_t i = 1; i < MOST; i++)
		learn("other.example", i, 60);
	assert_int_equal(count(), MOST);
	assert_int_equal(forgotten(), 0);
	learn("allowed.example", MOST, 60);
	assert_int_equal(count(), MOST);
	assert_int_equal(forgotten(), 1);
	assert_int_equal(rules_of(0), 2);
	assert_null(name_of(1));
	assert_string_equal(name_of(2), "other.example");
	assert_int_equal(rules_of(MOST), 2);

	now += MINUTE; /* now there is room */
	learn("other.example", MOST + 1, 60);
	assert_int_equal(forgotten(), 1);
	for (uint32_t i = 2; i < 2 * MOST; i++)
		learn("allowed.example", MOST + i, 60);
	assert_int_equal(rules_of(0), 0);
	assert_int_equal(count(), MOST);
	names_free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(an_address_has_the_rules_of_its_names),
		vt_test(each_address_of_an_answer_is_learnt_and_nothing_else_in_it),
		vt_test(a_zone_transfer_teaches_nothing),
		vt_test(hints_of_a_service_are_learnt),
		vt_test(what_is_not_well_formed_in_a_service_is_not),
		vt_test(an_answer_that_is_cut_off_gives_what_is_whole),
		vt_test(an_address_is_known_for_an_hour_at_least_and_a_day_if_it_lives_longer),
		vt_test(each_answer_prolongs_its_own),
		vt_test(an_hour_does_not_cut_a_day_short),
		vt_test(a_day_that_ends_does_not_cut_an_hour_short),
		vt_test(what_has_expired_begins_anew),
		vt_test(a_name_that_no_rule_can_have_is_not_kept),
		vt_test(where_there_are_too_many_the_one_that_would_expire_first_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
