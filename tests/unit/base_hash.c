/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keyed hash of tables whose names others choose. */
#include "vt.h"

#include <string.h>

#include "hash.h"

#define BUCKETS 1024
#define NAMES 256

static void fill(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)i;
}

static uint64_t of(uint64_t k0, uint64_t k1, size_t size)
{
	uint8_t bytes[64];

	fill(bytes, sizeof(bytes));
	return hash_bytes(&(struct hash_secret){{k0, k1}}, bytes, size);
}

/* With a secret of zeroes: as CPython 3.11 says it, PYTHONHASHSEED=0. */
static void it_is_siphash_1_3(void **state)
{
	(void)state;
	assert_int_equal(of(0x0706050403020100, 0x0f0e0d0c0b0a0908, 0), 0xabac0158050fc4dc);
	assert_int_equal(of(0, 0, 1), 0x68a914128e01e473);
	assert_int_equal(of(0, 0, 7), 0x2f098ab0c751325a);
	assert_int_equal(of(0, 0, 8), 0xead411e67ebe2eea);
	assert_int_equal(of(0, 0, 38), 0xc680ae8a8c584ddf);
	assert_int_equal(of(0, 0, 40), 0x95bc321ab41d8206);
}

static void any_address_will_do(void **state)
{
	static const struct hash_secret secret;
	uint8_t bytes[8 + 38];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		fill(bytes + i, 38);
		assert_int_equal(hash_bytes(&secret, bytes + i, 38), 0xc680ae8a8c584ddf);
	}
}

/* Names that are all in one bucket for who knows the secret. */
static void choose_names(const struct hash_secret *secret, uint64_t names[NAMES])
{
	uint64_t name = 0;

	for (unsigned i = 0; i < NAMES; i++) {
		while (hash_bytes(secret, &name, sizeof(name)) % BUCKETS)
			name++;
		names[i] = name++;
	}
}

static void names_chosen_for_one_secret_are_scattered_by_another(void **state)
{
	const struct hash_secret known = {{1, 2}}, other = {{1, 3}};
	unsigned chains[BUCKETS] = {0}, longest = 0;
	uint64_t names[NAMES];

	(void)state;
	choose_names(&known, names);
	for (unsigned i = 0; i < NAMES; i++) {
		unsigned *chain = &chains[hash_bytes(&other, &names[i], sizeof(names[i])) % BUCKETS];

		if (++*chain > longest)
			longest = *chain;
	}
	assert_in_range(longest, 1, 5);
}

static void every_secret_is_another_one(void **state)
{
	struct hash_secret one, two;

	(void)state;
	assert_int_equal(hash_secret_make(&one), 0);
	assert_int_equal(hash_secret_make(&two), 0);
	assert_memory_not_equal(&one, &two, sizeof(one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(it_is_siphash_1_3),
		vt_test(any_address_will_do),
		vt_test(names_chosen_for_one_secret_are_scattered_by_another),
		vt_test(every_secret_is_another_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
