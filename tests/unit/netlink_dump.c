/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dumps show one consistent answer, whatever the kernel does meanwhile. */
#include <linux/rtnetlink.h>

#include "dump.h"
#include "netlink_fake.h"

static void put_link(struct fake *fake, uint32_t seq, const char *name, uint16_t flags)
{
	struct nlmsghdr *nlh = fake_message(fake, RTM_NEWLINK, seq);
	struct ifinfomsg *head = mnl_nlmsg_put_extra_header(nlh, sizeof(*head));

	head->ifi_index = fake->tail + 1;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_MULTI | flags);
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	fake_put(fake, nlh);
}

/* The names that the reader saw, each followed by a space. */
static int note(const struct vnic_link_info *info, void *ctx)
{
	char *names = ctx;

	strcat(strcat(names, info->name), " ");
	return 0;
}

static void twice_interrupted(struct fake *fake, const struct nlmsghdr *request)
{
	int attempt = fake->step++;

	assert_int_equal(request->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
	put_link(fake, request->nlmsg_seq, attempt < 2 ? "stale" : "a", 0);
	put_link(fake, request->nlmsg_seq, "b", attempt == 0 ? NLM_F_DUMP_INTR : 0);
	fake_done(fake, request->nlmsg_seq, 0, attempt == 1 ? NLM_F_DUMP_INTR : 0);
}

static void an_interrupted_dump_is_asked_for_anew_before_anyone_sees_it(void **state)
{
	struct fake fake = {.answer = twice_interrupted};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_error err;
	char names[64] = "";

	(void)state;
	vt_ok(vnic_link_list(&nl, note, names, &err), &err);
	assert_string_equal(names, "a b ");
	assert_int_equal(fake.sends, 3);
}

static void always_interrupted(struct fake *fake, const struct nlmsghdr *request)
{
	put_link(fake, request->nlmsg_seq, "a", NLM_F_DUMP_INTR);
	fake_done(fake, request->nlmsg_seq, 0, 0);
}

static void after_ten_interruptions_it_gives_up_and_says_why(void **state)
{
	struct fake fake = {.answer = always_interrupted};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_error err;
	char names[64] = "";

	(void)state;
	vt_fails(vnic_link_list(&nl, note, names, &err), &err, VNIC_STEP_LINK_GET, EINTR);
	assert_string_equal(names, "");
	assert_string_equal(err.detail, "the table changed during each of 10 attempts to read it");
	assert_int_equal(fake.sends, DUMP_TRIES);
}

static void answers_of_the_past_first(struct fake *fake, const struct nlmsghdr *request)
{
	put_link(fake, request->nlmsg_seq - 1, "past", NLM_F_DUMP_INTR);
	fake_done(fake, request->nlmsg_seq - 1, 0, 0);
	put_link(fake, request->nlmsg_seq, "now", 0);
	fake_done(fake, request->nlmsg_seq, 0, 0);
}

static void answers_to_an_earlier_request_are_skipped(void **state)
{
	struct fake fake = {.answer = answers_of_the_past_first};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_error err;
	char names[64] = "";

	(void)state;
	vt_ok(vnic_link_list(&nl, note, names, &err), &err);
	assert_string_equal(names, "now ");
	assert_int_equal(fake.sends, 1);
}

static void fails_in_the_middle(struct fake *fake, const struct nlmsghdr *request)
{
	put_link(fake, request->nlmsg_seq, "a", 0);
	fake_done(fake, request->nlmsg_seq, -ENODEV, 0);
}

static void refused(struct fake *fake, const struct nlmsghdr *request)
{
	fake_verdict(fake, request, -EPERM, "not you");
}

static void silent(struct fake *fake, const struct nlmsghdr *request)
{
	(void)fake;
	(void)request;
}

static void a_dump_that_fails_shows_nothing(void **state)
{
	static const struct {
		void (*answer)(struct fake *fake, const struct nlmsghdr *request);
		enum vnic_step step;
		int code;
		const char *detail;
	} cases[] = {
		{fails_in_the_middle, VNIC_STEP_LINK_GET, ENODEV, ""},
		{refused, VNIC_STEP_LINK_GET, EPERM, "kernel: not you"},
		{silent, VNIC_STEP_NETLINK, ENOBUFS, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake fake = {.answer = cases[i].answer};
		struct vnic_nl nl = fake_nl(&fake);
		struct vnic_error err;
		char names[64] = "";

		vt_fails(vnic_link_list(&nl, note, names, &err), &err, cases[i].step, cases[i].code);
		assert_string_equal(err.detail, cases[i].detail);
		assert_string_equal(names, "");
	}
}

static void cut_short(struct fake *fake, const struct nlmsghdr *request)
{
	struct nlmsghdr *nlh = fake_message(fake, RTM_NEWLINK, request->nlmsg_seq);

	/* No room for a header of its kind, then one whose attribute claims more than there is. */
	mnl_nlmsg_put_extra_header(nlh, 4);
	fake_put(fake, nlh);
	nlh = fake_message(fake, RTM_NEWLINK, request->nlmsg_seq);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_u8(nlh, IFLA_MTU, 1);
	((struct nlattr *)mnl_nlmsg_get_payload_offset(nlh, sizeof(struct ifinfomsg)))->nla_len = 60000;
	fake_put(fake, nlh);
	fake_done(fake, request->nlmsg_seq, 0, 0);
}

static void messages_cut_short_do_no_harm(void **state)
{
	struct fake fake = {.answer = cut_short};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_error err;
	char names[64] = "";

	(void)state;
	vt_ok(vnic_link_list(&nl, note, names, &err), &err);
	assert_string_equal(names, " ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(an_interrupted_dump_is_asked_for_anew_before_anyone_sees_it),
		vt_test(after_ten_interruptions_it_gives_up_and_says_why),
		vt_test(answers_to_an_earlier_request_are_skipped),
		vt_test(a_dump_that_fails_shows_nothing),
		vt_test(messages_cut_short_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
