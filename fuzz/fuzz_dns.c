/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DNS messages: two bytes with the size of a question, the question, and what claims to be its answer.
 *
 * What is taken for a question has all that we later read of it, and the answers that we make are answers to it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dnsmsg.h"

static void check_made(const uint8_t *query, size_t query_size, const struct dnsmsg_query *info, bool truncated)
{
	uint8_t made[DNSMSG_MADE];
	size_t size = dnsmsg_make_answer(query, info, DNSMSG_SERVFAIL, truncated, made);

	if (size > sizeof(made) || size > query_size || size < info->question ||
	    dnsmsg_is_truncated(made) != truncated || dnsmsg_rcode(made) != DNSMSG_SERVFAIL)
		abort();
	/* A question that is none is not repeated. */
	if (info->question > 12 && !(query[2] & 0x78) && !dnsmsg_answers(query, info, info->id, made, size))
		abort();
}

static void check_learnt(const uint8_t *query, const struct dnsmsg_query *info, const uint8_t *answer, size_t size)
{
	struct dnsmsg_walk walk = dnsmsg_walk_answer(info, answer, size);
	char name[VNIC_DOMAIN_TEXT];
	struct vnic_addr addr;
	size_t count = 0;
	uint32_t ttl;

	if (dnsmsg_name(query, info, name) && (!name[0] || strlen(name) + 2 > info->question - 12u))
		abort();
	while (dnsmsg_next_address(&walk, &addr, &ttl))
		if (++count > size / 4 || walk.at > size || walk.address > walk.at ||
		    addr.prefix != (addr.family == AF_INET ? 32 : 128))
			abort();
}

/* What an answer says that it answers, it does; and it is no question. */
static void check_read(const uint8_t *answer, size_t size)
{
	struct dnsmsg_query info, other;

	if (!dnsmsg_read_answer(answer, size, &info))
		return;
	if (info.question <= 12 || info.question > size || !dnsmsg_answers(answer, &info, info.id, answer, size) ||
	    dnsmsg_read_query(answer, size, &other) >= 0)
		abort();
	check_learnt(answer, &info, answer, size);
}

static void check_cut(const uint8_t *query, const struct dnsmsg_query *info, uint8_t *answer, size_t size)
{
	size_t cut = dnsmsg_cut(info, answer, size, info->room);

	if (cut > info->room || !dnsmsg_answers(query, info, info->id, answer, cut) || !dnsmsg_is_truncated(answer))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dnsmsg_query info;
	size_t query_size, answer_size;
	uint8_t *query, *answer;
	int verdict;

	if (size < 2)
		return 0;
	query_size = (size_t)(data[0] << 8 | data[1]);
	if (query_size > size - 2)
		query_size = size - 2;
	answer_size = size - 2 - query_size;
	/* Copies of their exact sizes, so that a byte too far is seen. */
	query = malloc(query_size ? query_size : 1);
	answer = malloc(answer_size ? answer_size : 1);
	if (!query || !answer)
		abort();
	memcpy(query, data + 2, query_size);
	memcpy(answer, data + 2 + query_size, answer_size);
	verdict = dnsmsg_read_query(query, query_size, &info);
	if (verdict >= 0) {
		if (info.question < 12 || info.question > query_size || info.room < DNSMSG_ROOM)
			abort();
		check_made(query, query_size, &info, false);
		check_made(query, query_size, &info, true);
	}
	check_read(query, query_size);
	check_read(answer, answer_size);
	if (verdict == 0 && dnsmsg_answers(query, &info, info.id, answer, answer_size)) {
		check_learnt(query, &info, answer, answer_size);
		dnsmsg_set_id(answer, (uint16_t)(info.id + 1));
		if (dnsmsg_answers(query, &info, info.id, answer, answer_size))
			abort();
		dnsmsg_set_id(answer, info.id);
		if (answer_size > info.room)
			check_cut(query, &info, answer, answer_size);
	}
	free(query);
	free(answer);
	return 0;
}
