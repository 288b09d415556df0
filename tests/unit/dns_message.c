/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the forwarder takes for a question, and what for its answer. */
#include "vt.h"

#include <string.h>

#include "dnsmsg.h"
#include "dnsmsgs.h"

#define QUESTION_SIZE (12 + 6 + 4) /* with a label of four */

static int read_query(const struct dns_message *m, struct dnsmsg_query *ret)
{
	return dnsmsg_read_query(m->bytes, m->size, ret);
}

static void one_question_is_to_be_passed_on(void **state)
{
	struct dns_message m = dns_question(0x1234, "name");
	struct dnsmsg_query query;

	(void)state;
	assert_int_equal(read_query(&m, &query), 0);
	assert_int_equal(query.id, 0x1234);
	assert_int_equal(query.question, QUESTION_SIZE);
	assert_int_equal(query.room, 512);
	assert_false(query.edns);
}

static void edns_says_how_much_the_asker_takes(void **state)
{
	struct dns_message m = dns_question(1, "name"), small = m;
	struct dnsmsg_query query;

	(void)state;
	dns_add_edns(&m, 4096);
	assert_int_equal(read_query(&m, &query), 0);
	assert_true(query.edns);
	assert_int_equal(query.room, 4096);
	dns_add_edns(&small, 100);
	assert_int_equal(read_query(&small, &query), 0);
	assert_int_equal(query.room, 512);
}

static void an_answer_and_a_fragment_are_dropped(void **state)
{
	struct dns_message m = dns_question(1, "name");
	struct dnsmsg_query query;

	(void)state;
	assert_int_equal(dnsmsg_read_query(m.bytes, 11, &query), -1);
	m.bytes[2] |= 0x80;
	assert_int_equal(read_query(&m, &query), -1);
}

static void another_opcode_is_not_implemented(void **state)
{
	struct dns_message m = dns_question(1, "name");
	struct dnsmsg_query query;

	(void)state;
	m.bytes[2] = 5 << 3; /* UPDATE */
	assert_int_equal(read_query(&m, &query), DNSMSG_NOTIMP);
}

static void every_truncation_is_a_format_error(void **state)
{
	struct dns_message m = dns_question(1, "name");
	struct dnsmsg_query query;

	(void)state;
	dns_add_edns(&m, 1232);
	for (size_t size = 12; size < m.size; size++)
		assert_int_equal(dnsmsg_read_query(m.bytes, size, &query), DNSMSG_FORMERR);
	assert_int_equal(read_query(&m, &query), 0);
}

static void malformed_questions_are_format_errors(void **state)
{
	struct dns_message none = dns_question(1, "name"), two = none, pointer = none, label = none, twice = none,
			   answer = none;
	struct dnsmsg_query query;

	(void)state;
	none.bytes[5] = 0;
	assert_int_equal(read_query(&none, &query), DNSMSG_FORMERR);
	two.bytes[5] = 2;
	assert_int_equal(read_query(&two, &query), DNSMSG_FORMERR);
	pointer.bytes[12] = 0xc0;
	assert_int_equal(read_query(&pointer, &query), DNSMSG_FORMERR);
	label.bytes[12] = 0x40;
	assert_int_equal(read_query(&label, &query), DNSMSG_FORMERR);
	dns_add_edns(&twice, 1232);
	dns_add_edns(&twice, 1232);
	assert_int_equal(read_query(&twice, &query), DNSMSG_FORMERR);
	dns_add_edns(&answer, 1232);
	answer.bytes[11] = 0;
	answer.bytes[9] = 1; /* the record stands elsewhere */
	assert_int_equal(read_query(&answer, &query), DNSMSG_FORMERR);
}

/* Some servers return what they refuse as it is, and then it would be learnt. */
static void a_question_with_an_answer_is_a_format_error(void **state)
{
	struct dns_message m = dns_question(1, "name"), made;
	struct dnsmsg_query query;

	(void)state;
	dns_add_record(&m, 1, 60, "\11\11\11\11", 4);
	m.bytes[2] &= 0x7f;
	assert_int_equal(read_query(&m, &query), DNSMSG_FORMERR);
	made.size = dnsmsg_make_answer(m.bytes, &query, DNSMSG_FORMERR, false, made.bytes);
	assert_int_equal(made.size, QUESTION_SIZE);
	assert_int_equal(made.bytes[7], 0);
}

static void a_name_of_256_bytes_is_a_format_error(void **state)
{
	struct dns_message m = dns_question(1, "x");
	struct dnsmsg_query query;

	(void)state;
	m.size = 12;
	for (int i = 0; i < 127; i++)
		dns_put(&m, "\1a", 2);
	dns_put(&m, "\0\0\1\0\1", 5); /* 255 in all */
	assert_int_equal(read_query(&m, &query), 0);
	m.size = 12;
	for (int i = 0; i < 126; i++)
		dns_put(&m, "\1a", 2);
	dns_put(&m, "\2aa\0\0\1\0\1", 8);
	assert_int_equal(read_query(&m, &query), DNSMSG_FORMERR);
}

static bool answers(const struct dns_message *query, const struct dns_message *answer, uint16_t id)
{
	struct dnsmsg_query info;

	assert_int_equal(read_query(query, &info), 0);
	return dnsmsg_answers(query->bytes, &info, id, answer->bytes, answer->size);
}

static void an_answer_has_the_id_and_the_question_whatever_its_case(void **state)
{
	struct dns_message m = dns_question(7, "name"), answer = dns_answer(&m, QUESTION_SIZE, 100), other = answer;

	(void)state;
	assert_true(answers(&m, &answer, 7));
	assert_false(answers(&m, &answer, 8));
	other.bytes[13] = 'N';
	assert_true(answers(&m, &other, 7));
	other.bytes[13] = 'm';
	assert_false(answers(&m, &other, 7));
	other = answer;
	other.bytes[QUESTION_SIZE - 3] = 28; /* AAAA */
	assert_false(answers(&m, &other, 7));
	assert_false(answers(&m, &m, 7));
	other = answer;
	other.size = QUESTION_SIZE - 1;
	assert_false(answers(&m, &other, 7));
}

static void an_error_need_not_repeat_the_question(void **state)
{
	struct dns_message m = dns_question(7, "name"), answer = dns_answer(&m, 12, 12);

	(void)state;
	answer.bytes[5] = 0;
	assert_false(answers(&m, &answer, 7));
	answer.bytes[3] |= DNSMSG_FORMERR;
	assert_true(answers(&m, &answer, 7));
}

static void an_answer_says_what_it_answers(void **state)
{
	struct dns_message m = dns_question(7, "Name"), answer = dns_answer(&m, QUESTION_SIZE, 100), two = answer;
	struct dnsmsg_query query;
	char name[VNIC_DOMAIN_TEXT];

	(void)state;
	assert_true(dnsmsg_read_answer(answer.bytes, answer.size, &query));
	assert_int_equal(query.id, 7);
	assert_int_equal(query.question, QUESTION_SIZE);
	assert_true(dnsmsg_name(answer.bytes, &query, name));
	assert_string_equal(name, "name");
	for (size_t size = 0; size < QUESTION_SIZE; size++)
		assert_false(dnsmsg_read_answer(answer.bytes, size, &query));
	assert_false(dnsmsg_read_answer(m.bytes, m.size, &query));
	two.bytes[5] = 2;
	assert_false(dnsmsg_read_answer(two.bytes, two.size, &query));
	two.bytes[5] = 0;
	assert_false(dnsmsg_read_answer(two.bytes, two.size, &query));
	answer.bytes[2] |= 5 << 3; /* UPDATE */
	assert_false(dnsmsg_read_answer(answer.bytes, answer.size, &query));
}

static void our_own_answer_has_what_was_asked_and_the_rcode(void **state)
{
	struct dns_message m = dns_question(7, "name");
	uint8_t made[DNSMSG_MADE];
	struct dnsmsg_query info;

	(void)state;
	dns_add_edns(&m, 1400);
	assert_int_equal(read_query(&m, &info), 0);
	dnsmsg_set_id(m.bytes, 99); /* as it is while it is under way */
	assert_int_equal(dnsmsg_make_answer(m.bytes, &info, DNSMSG_SERVFAIL, false, made), QUESTION_SIZE + 11);
	assert_true(dnsmsg_answers(m.bytes, &info, 7, made, QUESTION_SIZE + 11));
	assert_int_equal(dnsmsg_rcode(made), DNSMSG_SERVFAIL);
	assert_int_equal(made[2], 0x81);
	assert_int_equal(made[3], 0x82);
	assert_int_equal(made[11], 1);
	assert_int_equal(made[QUESTION_SIZE + 2], 41);
	dnsmsg_make_answer(m.bytes, &info, 0, true, made);
	assert_true(dnsmsg_is_truncated(made));
}

static void an_answer_is_cut_to_the_records_that_fit(void **state)
{
	struct dns_message question = dns_question(7, "name"), answer, small;
	struct dnsmsg_query info;

	(void)state;
	dns_add_edns(&question, 512);
	assert_int_equal(read_query(&question, &info), 0);
	answer = (struct dns_message){.size = QUESTION_SIZE};
	memcpy(answer.bytes, question.bytes, QUESTION_SIZE);
	answer.bytes[11] = 0;
	for (int i = 0; i < 40; i++)
		dns_add_record(&answer, 1, 60, "\11\11\11\11", 4);
	small = answer;
	assert_int_equal(dnsmsg_cut(&info, small.bytes, small.size, 512), QUESTION_SIZE + 29 * 16 + 11);
	assert_true(dnsmsg_answers(question.bytes, &info, 7, small.bytes, 512));
	assert_true(dnsmsg_is_truncated(small.bytes));
	assert_int_equal(small.bytes[7], 29);
	assert_int_equal(small.bytes[11], 1);

	answer = dns_answer(&question, QUESTION_SIZE, 600); /* nothing fits */
	assert_int_equal(dnsmsg_cut(&info, answer.bytes, answer.size, 512), QUESTION_SIZE + 11);
	assert_true(dnsmsg_is_truncated(answer.bytes));
	assert_int_equal(answer.bytes[7], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(one_question_is_to_be_passed_on),
		vt_test(edns_says_how_much_the_asker_takes),
		vt_test(an_answer_and_a_fragment_are_dropped),
		vt_test(another_opcode_is_not_implemented),
		vt_test(every_truncation_is_a_format_error),
		vt_test(an_answer_is_cut_to_the_records_that_fit),
		vt_test(malformed_questions_are_format_errors),
		vt_test(a_question_with_an_answer_is_a_format_error),
		vt_test(a_name_of_256_bytes_is_a_format_error),
		vt_test(an_answer_has_the_id_and_the_question_whatever_its_case),
		vt_test(an_error_need_not_repeat_the_question),
		vt_test(an_answer_says_what_it_answers),
		vt_test(our_own_answer_has_what_was_asked_and_the_rcode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
