/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in a table something belongs whose name others choose: SipHash-1-3 (Aumasson and Bernstein, 2012).
 *
 * Who does not know the secret cannot make two names fall into one bucket but by chance, so a table's chains stay short
 * whatever is asked of it.  Rejected: FNV-1a with a secret to begin with, whose low bits know nothing of its high ones;
 * sums of products, where one pair that collides gives any number of others.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_secret {
	uint64_t words[2];
};

/* A new one, from the kernel; 0 or a negative errno. */
int hash_secret_make(struct hash_secret *ret_secret);
uint64_t hash_bytes(const struct hash_secret *secret, const void *data, size_t size);

#endif
