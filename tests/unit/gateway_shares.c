/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each kind of flow may have of the process's descriptors. */
#include "vt.h"

#include "pipe.h"
#include "shares.h"

static uint64_t descriptors(const struct shares *shares)
{
	return 2ull * (shares->tcp + shares->pipes + shares->udp) + shares->dns + shares->icmp;
}

static void all_shares_together_are_no_more_than_there_is(void **state)
{
	(void)state;
	for (uint64_t n = 64; n < 300000; n += 7) {
		struct shares shares = shares_of(n);

		assert_in_range(descriptors(&shares), 1, n);
	}
}

static void where_there_is_plenty_the_tables_are_full_size(void **state)
{
	const struct shares shares = shares_of(UINT64_MAX);

	(void)state;
	assert_int_equal(shares.tcp, 32768);
	assert_int_equal(shares.pipes, PIPE_LENT);
	assert_int_equal(shares.udp, 8192);
	assert_int_equal(shares.dns, 1024);
	assert_int_equal(shares.icmp, 1024);
}

static void twenty_thousand_are_enough_for_five_thousand_connections(void **state)
{
	(void)state;
	assert_in_range(shares_of(20000 - 64).tcp, 5000, 10000);
}

static void nobody_has_none(void **state)
{
	const struct shares shares = shares_of(0);

	(void)state;
	assert_true(shares.tcp && shares.pipes && shares.udp && shares.dns && shares.icmp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(all_shares_together_are_no_more_than_there_is),
		vt_test(where_there_is_plenty_the_tables_are_full_size),
		vt_test(twenty_thousand_are_enough_for_five_thousand_connections),
		vt_test(nobody_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
