/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A batch is one send; a failure finds the request that it belongs to. */
#include <linux/rtnetlink.h>

#include "netlink_fake.h"

/* As the kernel: failures are answered, and successes where asked for. */
static void accept_all(struct fake *fake, const struct nlmsghdr *request)
{
	if (request->nlmsg_flags & NLM_F_ACK)
		fake_verdict(fake, request, 0, NULL);
}

static void refuse_the_third_and_fifth(struct fake *fake, const struct nlmsghdr *request)
{
	int number = ++fake->step;

	if (number == 3)
		fake_verdict(fake, request, -EEXIST, "it is there");
	else if (number == 5)
		fake_verdict(fake, request, -EPERM, "no");
	else
		accept_all(fake, request);
}

static struct vnic_batch *batch_of_bridges(int count)
{
	struct vnic_batch *batch = NULL;
	struct vnic_error err;

	vt_ok(vnic_batch_new(&batch, &err), &err);
	for (int i = 0; i < count; i++) {
		char name[IFNAMSIZ];

		snprintf(name, sizeof(name), "br%d", i);
		vnic_batch_link_add(batch, &(struct vnic_link){.kind = VNIC_LINK_BRIDGE, .name = name});
	}
	return batch;
}

static void a_batch_costs_one_send_and_one_answer(void **state)
{
	struct fake fake = {.answer = accept_all};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_batch *batch = batch_of_bridges(100);
	struct vnic_error err;
	int failed = -7;

	(void)state;
	vt_ok(vnic_batch_send(batch, &nl, &failed, &err), &err);
	assert_int_equal(fake.requests, 100);
	assert_int_equal(fake.sends, 1);
	assert_int_equal(fake.tail, 1);
	assert_int_equal(failed, -7);
	vnic_batch_free(batch);
}

static void the_first_failure_is_reported_with_its_position_object_and_words(void **state)
{
	struct fake fake = {.answer = refuse_the_third_and_fifth};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_batch *batch = batch_of_bridges(5);
	struct vnic_error err;
	int failed = -7;

	(void)state;
	vt_fails(vnic_batch_send(batch, &nl, &failed, &err), &err, VNIC_STEP_LINK_ADD, EEXIST);
	assert_int_equal(failed, 2);
	assert_string_equal(err.object, "br2");
	assert_string_equal(err.detail, "kernel: it is there");
	assert_int_equal(fake.requests, 5);
	vnic_batch_free(batch);
}

static void the_position_counts_calls_not_messages(void **state)
{
	struct fake fake = {.answer = refuse_the_third_and_fifth};
	struct vnic_nl nl = fake_nl(&fake);
	const struct vnic_link with_alias = {.kind = VNIC_LINK_IFB, .name = "a", .alias = "two messages"};
	struct vnic_batch *batch = NULL;
	struct vnic_error err;
	int failed = -7;

	(void)state;
	vt_ok(vnic_batch_new(&batch, &err), &err);
	vnic_batch_link_add(batch, &with_alias);
	vnic_batch_link_del(batch, 0, "b");
	assert_int_equal(vnic_batch_send(batch, &nl, &failed, &err), -EEXIST);
	assert_int_equal(failed, 1);
	assert_int_equal(err.step, VNIC_STEP_LINK_DEL);
	vnic_batch_free(batch);
}

static void a_sent_batch_is_empty_and_an_empty_one_sends_nothing(void **state)
{
	struct fake fake = {.answer = accept_all};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_batch *batch = batch_of_bridges(3);
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_batch_send(batch, &nl, NULL, &err), &err);
	vt_ok(vnic_batch_send(batch, &nl, NULL, &err), &err);
	assert_int_equal(fake.sends, 1);
	vnic_batch_free(batch);
}

static void a_long_batch_goes_in_pieces_whose_answers_fit_the_socket(void **state)
{
	struct fake fake = {.answer = accept_all};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_batch *batch = batch_of_bridges(1000);
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_batch_send(batch, &nl, NULL, &err), &err);
	assert_int_equal(fake.requests, 1000);
	assert_int_equal(fake.sends, 8);
	assert_int_equal(fake.tail, 8);
	vnic_batch_free(batch);
}

/* Hooks that are there already are another's: nothing is hung up there. */
static void what_needs_a_request_that_is_refused_is_not_sent(void **state)
{
	struct fake fake = {.answer = refuse_the_third_and_fifth};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_batch *batch = NULL;
	struct vnic_error err;
	int failed = -7;

	(void)state;
	vt_ok(vnic_batch_new(&batch, &err), &err);
	for (int i = 1; i <= 3; i++) /* hooks and a filter each */
		vnic_batch_redirect_add(batch, &(struct vnic_redirect){.from = i, .to = 9});
	vt_fails(vnic_batch_send(batch, &nl, &failed, &err), &err, VNIC_STEP_REDIRECT, EEXIST);
	assert_int_equal(failed, 1);
	assert_int_equal(fake.requests, 5);
	vnic_batch_free(batch);
}

static void answer_late(struct fake *fake, const struct nlmsghdr *request)
{
	struct nlmsghdr past = *request;

	past.nlmsg_seq -= 100;
	fake_verdict(fake, &past, -EPERM, "of the past");
	accept_all(fake, request);
}

static void answers_to_earlier_requests_are_skipped(void **state)
{
	struct fake fake = {.answer = answer_late};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_batch *batch = batch_of_bridges(3);
	struct vnic_error err;

	(void)state;
	nl.seq = 2; /* the past lies before 0 */
	vt_ok(vnic_batch_send(batch, &nl, NULL, &err), &err);
	vnic_batch_free(batch);
}

static void lose_all(struct fake *fake, const struct nlmsghdr *request)
{
	(void)fake;
	(void)request;
}

static void lost_answers_are_an_error_of_their_own(void **state)
{
	struct fake fake = {.answer = lose_all};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_batch *batch = batch_of_bridges(3);
	struct vnic_error err;
	int failed = -7;

	(void)state;
	vt_fails(vnic_batch_send(batch, &nl, &failed, &err), &err, VNIC_STEP_NETLINK, ENOBUFS);
	assert_int_equal(failed, 0);
	vnic_batch_free(batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_batch_costs_one_send_and_one_answer),
		vt_test(the_first_failure_is_reported_with_its_position_object_and_words),
		vt_test(the_position_counts_calls_not_messages),
		vt_test(a_sent_batch_is_empty_and_an_empty_one_sends_nothing),
		vt_test(a_long_batch_goes_in_pieces_whose_answers_fit_the_socket),
		vt_test(what_needs_a_request_that_is_refused_is_not_sent),
		vt_test(answers_to_earlier_requests_are_skipped),
		vt_test(lost_answers_are_an_error_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
