/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Internet checksum, against the two lines of RFC 1071 that define it. */
#include "vt.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "checksum.h"

/* RFC 1071, section 4.1, 16 bits at a time. */
static uint16_t plain_sum(const uint8_t *p, size_t size)
{
	uint32_t sum = 0;

	for (; size > 1; p += 2, size -= 2) {
		sum += get16(p);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (size)
		sum += (uint32_t)*p << 8;
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static void fill(uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)random();
}

static void the_example_of_rfc_1071_has_its_sum(void **state)
{
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	(void)state;
	assert_int_equal(checksum_fold(checksum_add(0, example, sizeof(example))), 0xddf2);
	assert_int_equal(checksum_finish(checksum_add(0, example, sizeof(example))), (uint16_t)~0xddf2u);
}

static void any_size_at_any_address_gives_the_plain_sum(void **state)
{
	uint8_t space[300];

	(void)state;
	srandom(1);
	for (size_t at = 0; at < 8; at++)
		for (size_t size = 0; size < 200; size++) {
			fill(space, sizeof(space));
			assert_int_equal(checksum_fold(checksum_add(0, space + at, size)), plain_sum(space + at, size));
		}
}

static void no_carry_is_lost(void **state)
{
	static uint8_t ff[65535];

	(void)state;
	memset(ff, 0xff, sizeof(ff));
	for (size_t size = 2; size <= sizeof(ff); size += 997) {
		assert_int_equal(checksum_fold(checksum_add(0, ff, size)), plain_sum(ff, size));
		assert_int_equal(checksum_fold(checksum_add(UINT64_MAX, ff, size)), plain_sum(ff, size));
	}
	assert_int_equal(checksum_fold(checksum_add16(UINT64_MAX, 1)), 1);
}

static void pieces_of_even_size_add_up(void **state)
{
	uint8_t space[256];

	(void)state;
	srandom(2);
	fill(space, sizeof(space));
	for (size_t cut = 0; cut <= 250; cut += 2) {
		uint64_t sum = checksum_add(checksum_add(0, space, cut), space + cut, 251 - cut);

		assert_int_equal(checksum_fold(sum), plain_sum(space, 251));
	}
}

static void the_pseudo_header_is_summed_as_if_it_were_there(void **state)
{
	uint8_t pseudo[40] = {0};
	uint64_t sum;

	(void)state;
	srandom(3);
	fill(pseudo, 32);
	put32(pseudo + 32, 0x12345);
	pseudo[39] = 58;
	sum = checksum_add_pseudo(0, pseudo, pseudo + 16, 16, 58, 0x12345);
	assert_int_equal(checksum_fold(sum), plain_sum(pseudo, 40));
	memset(pseudo + 8, 0, 32);
	pseudo[9] = 17;
	put16(pseudo + 10, 1480);
	sum = checksum_add_pseudo(0, pseudo, pseudo + 4, 4, 17, 1480);
	assert_int_equal(checksum_fold(sum), plain_sum(pseudo, 12));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(the_example_of_rfc_1071_has_its_sum),
		vt_test(any_size_at_any_address_gives_the_plain_sum),
		vt_test(no_carry_is_lost),
		vt_test(pieces_of_even_size_add_up),
		vt_test(the_pseudo_header_is_summed_as_if_it_were_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
