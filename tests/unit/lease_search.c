/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The domains of the host's resolv.conf become names as DNS writes them. */
#include "lease.h"
#include "vt.h"

#include <stdio.h>
#include <string.h>

static size_t search(const char *kept, uint8_t ret_names[VNIC_LEASE_SEARCH])
{
	memset(ret_names, 0x5a, VNIC_LEASE_SEARCH);
	return lease_search(kept, strlen(kept), ret_names);
}

static void assert_search(const char *kept, const char *wanted, size_t size)
{
	uint8_t names[VNIC_LEASE_SEARCH];

	assert_int_equal(search(kept, names), size);
	assert_memory_equal(names, wanted, size);
}
#define ASSERT_SEARCH(kept, wanted) assert_search((kept), (wanted), sizeof(wanted))

static void domains_are_written_one_behind_the_other(void **state)
{
	(void)state;
	ASSERT_SEARCH("search example.org\n", "\7example\3org");
	ASSERT_SEARCH("search  a.b. \t c\n", "\1a\1b\0\1c");
	ASSERT_SEARCH("domain lan\n", "\3lan");
}

static void the_last_line_counts(void **state)
{
	(void)state;
	ASSERT_SEARCH("search a b\noptions ndots:2\ndomain c\nsortlist 10.0.0.0\n", "\1c");
}

static void without_one_there_is_none(void **state)
{
	(void)state;
	assert_search("", "", 0);
	assert_search("options search\n", "", 0);
	assert_search("search\n", "", 0);
	assert_search("searching a\n", "", 0);
}

static void what_is_no_name_is_left_out(void **state)
{
	static const char label[] = "0123456789012345678901234567890123456789012345678901234567890123";
	char line[256];

	(void)state;
	ASSERT_SEARCH("search . .a a..b ok\n", "\2ok");
	snprintf(line, sizeof(line), "search %s ok\n", label);
	ASSERT_SEARCH(line, "\2ok");
	snprintf(line, sizeof(line), "search %s\n", label + 1);
	assert_int_equal(search(line, (uint8_t[VNIC_LEASE_SEARCH]){0}), 65);
}

static void as_many_are_told_as_there_is_room_for(void **state)
{
	uint8_t names[VNIC_LEASE_SEARCH];
	char line[1024] = "search";
	size_t size;

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		strcat(line, " name.example");
	strcat(line, " x\n");
	size = search(line, names);
	assert_int_equal(size, 255 / 14 * 14 + 3);
	assert_memory_equal(names + size - 3, "\1x", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(domains_are_written_one_behind_the_other),
		vt_test(the_last_line_counts),
		vt_test(without_one_there_is_none),
		vt_test(what_is_no_name_is_left_out),
		vt_test(as_many_are_told_as_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
