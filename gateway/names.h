/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which addresses have a name that is in a rule; see names.c. */
#ifndef GATEWAY_NAMES_H
#define GATEWAY_NAMES_H

#include "dnsmsg.h"
#include "hash.h"

struct names;

/* `policy` and `secret` must live as long.  -ENOMEM. */
int names_new(const struct vnic_policy *policy, const struct hash_secret *secret, struct names **ret_names);
void names_free(struct names *names);

/* The sandbox is about to be told this answer, whole or not, to its question. */
void names_learn(struct names *names, const void *query, const struct dnsmsg_query *info, const void *answer,
		 size_t size, int64_t now);
/* Fills in .named and .name of a flow with a .dst, which are good until the next call of these two. */
void names_find(const struct names *names, struct vnic_policy_flow *flow, int64_t now);

/* Addresses that are kept; those that were forgotten early because there were too many. */
void names_count(const struct names *names, uint32_t *ret_known, uint64_t *ret_full);

#endif
