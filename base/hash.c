/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hash.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

int hash_secret_make(struct hash_secret *ret_secret)
{
	struct hash_secret secret;

	if (getrandom(&secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
		return -errno;
	*ret_secret = secret;
	return 0;
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static void take(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	mix(v);
	v[0] ^= word;
}

uint64_t hash_bytes(const struct hash_secret *secret, const void *data, size_t size)
{
	const uint64_t *k = secret->words;
	uint64_t v[4] = {k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d, k[0] ^ 0x6c7967656e657261,
			 k[1] ^ 0x7465646279746573};
	const uint8_t *at = data;
	uint64_t word;
	size_t left = size;

	for (; left >= sizeof(word); at += sizeof(word), left -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		take(v, le64toh(word));
	}
	word = 0;
	memcpy(&word, at, left);
	take(v, le64toh(word) | (uint64_t)size << 56);
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		mix(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
