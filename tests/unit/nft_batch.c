/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ruleset is one send; a failure finds the rule that it belongs to, and no answer is waited for in vain. */
#include <libnftnl/common.h>
#include <linux/netfilter/nfnetlink.h>

#include "netlink_fake.h"
#include "nft_batch.h"

/* As the kernel: failures are answered, and successes where asked for. */
static void accept_all(struct fake *fake, const struct nlmsghdr *request)
{
	if (request->nlmsg_flags & NLM_F_ACK)
		fake_verdict(fake, request, 0, NULL);
}

static bool is_rule(const struct nlmsghdr *request)
{
	return request->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE);
}

static void refuse_the_second_rule(struct fake *fake, const struct nlmsghdr *request)
{
	if (is_rule(request) && ++fake->step == 2)
		fake_verdict(fake, request, -ENOENT, NULL);
	else
		accept_all(fake, request);
}

static void refuse_the_last_rule_in_words(struct fake *fake, const struct nlmsghdr *request)
{
	if (is_rule(request) && ++fake->step == 3)
		fake_verdict(fake, request, -EINVAL, "not like this");
	else
		accept_all(fake, request);
}

/* A kernel without nf_tables answers the first message and looks no further. */
static void refuse_the_transaction(struct fake *fake, const struct nlmsghdr *request)
{
	if (request->nlmsg_type == NFNL_MSG_BATCH_BEGIN)
		fake_verdict(fake, request, -EOPNOTSUPP, NULL);
}

static void say_nothing(struct fake *fake, const struct nlmsghdr *request)
{
	(void)fake;
	(void)request;
}

static struct nft_batch *batch_of_rules(unsigned count)
{
	struct nft_batch *batch = NULL;
	struct vnic_error err;

	vt_ok(nft_batch_new(&batch, &err), &err);
	nft_table(batch, "t");
	nft_chain(batch, "c");
	for (unsigned i = 0; i < count; i++) {
		nft_rule(batch);
		nft_load_meta(batch, NFT_META_IIF);
		nft_compare(batch, NFT_CMP_EQ, &i, sizeof(i));
		nft_accept(batch);
	}
	return batch;
}

static void a_ruleset_costs_one_send_and_one_answer(void **state)
{
	struct fake fake = {.answer = accept_all};
	struct vnic_nl nl = fake_nl(&fake);
	struct nft_batch *batch = batch_of_rules(100);
	struct vnic_error err;

	(void)state;
	vt_ok(nft_batch_send(batch, &nl, &err), &err);
	assert_int_equal(fake.sends, 1);
	assert_int_equal(fake.requests, 104); /* begin, table, chain, rules, end */
	assert_int_equal(fake.tail, 1);
	nft_batch_free(batch);
}

static void a_refused_rule_is_named(void **state)
{
	struct fake fake = {.answer = refuse_the_second_rule};
	struct vnic_nl nl = fake_nl(&fake);
	struct nft_batch *batch = batch_of_rules(3);
	struct vnic_error err;

	(void)state;
	vt_fails(nft_batch_send(batch, &nl, &err), &err, VNIC_STEP_NFT, ENOENT);
	assert_string_equal(err.object, "rule 2 of chain c");
	assert_non_null(vnic_error_remedy(&err));
	assert_int_equal(fake.head, fake.tail); /* the last one's answer was read too */
	nft_batch_free(batch);
}

static void the_kernels_words_are_kept(void **state)
{
	struct fake fake = {.answer = refuse_the_last_rule_in_words};
	struct vnic_nl nl = fake_nl(&fake);
	struct nft_batch *batch = batch_of_rules(3);
	struct vnic_error err;

	(void)state;
	vt_fails(nft_batch_send(batch, &nl, &err), &err, VNIC_STEP_NFT, EINVAL);
	assert_string_equal(err.object, "rule 3 of chain c");
	assert_string_equal(err.detail, "kernel: not like this");
	nft_batch_free(batch);
}

static void a_refused_transaction_has_one_answer_only(void **state)
{
	struct fake fake = {.answer = refuse_the_transaction};
	struct vnic_nl nl = fake_nl(&fake);
	struct nft_batch *batch = batch_of_rules(3);
	struct vnic_error err;

	(void)state;
	vt_fails(nft_batch_send(batch, &nl, &err), &err, VNIC_STEP_NFT, EOPNOTSUPP);
	assert_string_equal(err.object, "");
	assert_non_null(vnic_error_remedy(&err));
	nft_batch_free(batch);
}

static void a_lost_answer_is_an_error_of_the_transport(void **state)
{
	struct fake fake = {.answer = say_nothing};
	struct vnic_nl nl = fake_nl(&fake);
	struct nft_batch *batch = batch_of_rules(3);
	struct vnic_error err;

	(void)state;
	vt_fails(nft_batch_send(batch, &nl, &err), &err, VNIC_STEP_NETLINK, ENOBUFS);
	nft_batch_free(batch);
}

static void a_ruleset_that_is_too_long_is_not_sent(void **state)
{
	struct fake fake = {.answer = accept_all};
	struct vnic_nl nl = fake_nl(&fake);
	struct nft_batch *batch = batch_of_rules(2000);
	struct vnic_error err;

	(void)state;
	vt_fails(nft_batch_send(batch, &nl, &err), &err, VNIC_STEP_NFT, EMSGSIZE);
	assert_int_equal(fake.sends, 0);
	nft_batch_free(batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_ruleset_costs_one_send_and_one_answer),
		vt_test(a_refused_rule_is_named),
		vt_test(the_kernels_words_are_kept),
		vt_test(a_refused_transaction_has_one_answer_only),
		vt_test(a_lost_answer_is_an_error_of_the_transport),
		vt_test(a_ruleset_that_is_too_long_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
