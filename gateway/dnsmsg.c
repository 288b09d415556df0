/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dnsmsg.h"

#include <string.h>
#include <sys/socket.h>

#include "bytes.h"

#define HEADER 12
#define LABEL_MAX 63
#define NAME_MAX_BYTES 255 /* RFC 1035 2.3.4 */
#define POINTER 0xc0
#define QUESTION_REST 4 /* type, class */
#define RECORD_REST 10  /* type, class, TTL, length */
#define TYPE_A 1
#define TYPE_AAAA 28
#define TYPE_OPT 41
#define TYPE_SVCB 64
#define TYPE_HTTPS 65
#define TYPE_IXFR 251
#define TYPE_AXFR 252
#define CLASS_IN 1
#define PARAM_HEAD 4 /* key, length: RFC 9460 2.2 */
#define PARAM_IPV4HINT 4
#define PARAM_IPV6HINT 6
#define OPT_SIZE 11
#define OPT_ROOM 1232 /* what we take from the asker ourselves */

/* Byte 2 and 3 of the header. */
#define QR 0x80
#define OPCODE 0x78
#define TC 0x02
#define RD 0x01
#define RA 0x80
#define CD 0x10
#define RCODE 0x0f

/* Where the name ends; 0: it is not whole.  In a question it is never compressed: there is nothing before it. */
static size_t skip_name(const uint8_t *message, size_t size, size_t at, bool compressed)
{
	size_t begin = at;

	while (at < size && at - begin < NAME_MAX_BYTES) {
		uint8_t len = message[at];

		if (len == 0)
			return at + 1;
		if ((len & POINTER) == POINTER)
			return compressed && at + 2 <= size ? at + 2 : 0;
		if (len > LABEL_MAX)
			return 0;
		at += len + 1u;
	}
	return 0;
}

/* One record; *ret_fixed is where its fixed part begins.  0: it is not whole. */
static size_t skip_record(const uint8_t *message, size_t size, size_t at, size_t *ret_fixed)
{
	size_t fixed = skip_name(message, size, at, true);

	if (!fixed || size - fixed < RECORD_REST || size - fixed - RECORD_REST < get16(message + fixed + 8))
		return 0;
	*ret_fixed = fixed;
	return fixed + RECORD_REST + get16(message + fixed + 8);
}

/*
 * The records after the question; false: they are not well-formed.  None is an answer: a server that returns what it
 * refuses, with another header, would have given it.
 */
static bool read_records(const uint8_t *message, size_t size, struct dnsmsg_query *query)
{
	unsigned additional = get16(message + 10);
	unsigned count = get16(message + 8) + additional;
	size_t at = query->question;

	if (get16(message + 6) > 0)
		return false;
	for (unsigned i = 0; i < count; i++) {
		size_t opt = 0;

		at = skip_record(message, size, at, &opt);
		if (!at)
			return false;
		if (get16(message + opt) != TYPE_OPT)
			continue;
		if (query->edns || count - i > additional) /* RFC 6891 6.1.1 */
			return false;
		query->edns = true;
		if (get16(message + opt + 2) > DNSMSG_ROOM)
			query->room = get16(message + opt + 2);
	}
	return true;
}

/* Header and the one question. */
static bool read_question(const uint8_t *message, size_t size, struct dnsmsg_query *query)
{
	size_t end = skip_name(message, size, HEADER, false);

	if (get16(message + 4) != 1 || !end || size - end < QUESTION_REST)
		return false;
	query->question = (uint16_t)(end + QUESTION_REST);
	return true;
}

int dnsmsg_read_query(const void *message, size_t size, struct dnsmsg_query *ret_query)
{
	const uint8_t *header = message;
	struct dnsmsg_query query = {.question = HEADER, .room = DNSMSG_ROOM};
	int verdict = 0;

	if (size < HEADER || header[2] & QR)
		return -1;
	query.id = get16(header);
	if (header[2] & OPCODE)
		verdict = DNSMSG_NOTIMP;
	else if (!read_question(message, size, &query) || !read_records(message, size, &query))
		verdict = DNSMSG_FORMERR;
	*ret_query = query;
	return verdict;
}

bool dnsmsg_read_answer(const void *message, size_t size, struct dnsmsg_query *ret_query)
{
	const uint8_t *header = message;
	struct dnsmsg_query query = {.room = DNSMSG_ROOM};

	if (size < HEADER || !(header[2] & QR) || header[2] & OPCODE || !read_question(message, size, &query))
		return false;
	query.id = get16(header);
	*ret_query = query;
	return true;
}

/* Lengths are below 'A', so that a name can be folded with them. */
static uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool same_question(const uint8_t *a, const uint8_t *b, size_t size)
{
	for (size_t i = HEADER; i < size - QUESTION_REST; i++)
		if (fold(a[i]) != fold(b[i]))
			return false;
	return !memcmp(a + size - QUESTION_REST, b + size - QUESTION_REST, QUESTION_REST);
}

bool dnsmsg_answers(const void *query, const struct dnsmsg_query *info, uint16_t id, const void *answer, size_t size)
{
	const uint8_t *header = answer;

	if (size < HEADER || !(header[2] & QR) || header[2] & OPCODE || get16(header) != id)
		return false;
	/* A server that does not understand a question need not repeat it. */
	if (size == HEADER && get16(header + 4) == 0)
		return dnsmsg_rcode(answer) != 0;
	return get16(header + 4) == 1 && size >= info->question && same_question(query, answer, info->question);
}

unsigned dnsmsg_rcode(const void *answer)
{
	return ((const uint8_t *)answer)[3] & RCODE;
}

bool dnsmsg_is_truncated(const void *answer)
{
	return ((const uint8_t *)answer)[2] & TC;
}

bool dnsmsg_name(const void *query, const struct dnsmsg_query *info, char ret_name[VNIC_DOMAIN_TEXT])
{
	const uint8_t *label = (const uint8_t *)query + HEADER;
	char name[VNIC_DOMAIN_TEXT + 1] = "";
	size_t len = 0;

	if (info->question == HEADER || *label == 0)
		return false;
	for (; *label; label += 1 + *label) {
		for (unsigned i = 1; i <= *label; i++) {
			uint8_t c = fold(label[i]);

			if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
				return false;
			name[len++] = (char)c;
		}
		name[len++] = '.';
	}
	name[len - 1] = '\0';
	memcpy(ret_name, name, len);
	return true;
}

static bool asks_for_zone(const struct dnsmsg_query *info, const uint8_t *message)
{
	unsigned type = get16(message + info->question - QUESTION_REST);

	return type == TYPE_AXFR || type == TYPE_IXFR;
}

struct dnsmsg_walk dnsmsg_walk_answer(const struct dnsmsg_query *info, const void *answer, size_t size)
{
	const uint8_t *header = answer;
	bool empty = size <= info->question || asks_for_zone(info, answer);

	return (struct dnsmsg_walk){
		.message = answer, .size = size, .at = info->question, .left = empty ? 0 : get16(header + 6)};
}

static size_t address_size(bool v6)
{
	return v6 ? 16 : 4;
}

static void enter_addresses(struct dnsmsg_walk *walk, size_t at, size_t size, bool v6)
{
	if (size % address_size(v6))
		return;
	walk->address = at;
	walk->addresses_end = at + size;
	walk->v6 = v6;
}

/* Behind a service's priority, which is 0 for an alias, and its name. */
static void enter_params(struct dnsmsg_walk *walk, size_t at, size_t end)
{
	if (end - at < 2 || get16(walk->message + at) == 0)
		return;
	at = skip_name(walk->message, end, at + 2, false);
	if (!at)
		return;
	walk->param = at;
	walk->params_end = end;
}

static void take_param(struct dnsmsg_walk *walk)
{
	const uint8_t *param = walk->message + walk->param;
	size_t left = walk->params_end - walk->param, size;

	if (left < PARAM_HEAD || get16(param + 2) > left - PARAM_HEAD) {
		walk->param = walk->params_end;
		return;
	}
	size = get16(param + 2);
	if (get16(param) == PARAM_IPV4HINT || get16(param) == PARAM_IPV6HINT)
		enter_addresses(walk, walk->param + PARAM_HEAD, size, get16(param) == PARAM_IPV6HINT);
	walk->param += PARAM_HEAD + size;
}

static bool take_record(struct dnsmsg_walk *walk)
{
	size_t fixed = 0, end = skip_record(walk->message, walk->size, walk->at, &fixed), data = fixed + RECORD_REST;
	const uint8_t *record = walk->message + fixed;
	unsigned type;

	walk->left = end ? walk->left - 1 : 0;
	if (!end)
		return false;
	walk->at = end;
	walk->ttl = get32(record + 4);
	type = get16(record + 2) == CLASS_IN ? get16(record) : 0;
	if ((type == TYPE_A || type == TYPE_AAAA) && end - data == address_size(type == TYPE_AAAA))
		enter_addresses(walk, data, end - data, type == TYPE_AAAA);
	if (type == TYPE_SVCB || type == TYPE_HTTPS)
		enter_params(walk, data, end);
	return true;
}

bool dnsmsg_next_address(struct dnsmsg_walk *walk, struct vnic_addr *ret_addr, uint32_t *ret_ttl)
{
	size_t size;

	while (walk->address == walk->addresses_end)
		if (walk->param < walk->params_end)
			take_param(walk);
		else if (!walk->left || !take_record(walk))
			return false;
	size = address_size(walk->v6);
	*ret_addr = (struct vnic_addr){.family = walk->v6 ? AF_INET6 : AF_INET, .prefix = walk->v6 ? 128 : 32};
	memcpy(ret_addr->bytes, walk->message + walk->address, size);
	*ret_ttl = walk->ttl;
	walk->address += size;
	return true;
}

void dnsmsg_set_id(void *message, uint16_t id)
{
	put16(message, id);
}

/* Whoever speaks EDNS is answered so (RFC 6891 6.1.1): root, OPT, our room, and nothing else. */
static size_t add_edns(const struct dnsmsg_query *info, uint8_t *buf, size_t size)
{
	if (!info->edns)
		return size;
	put16(buf + 10, 1);
	memset(buf + size, 0, OPT_SIZE);
	put16(buf + size + 1, TYPE_OPT);
	put16(buf + size + 3, OPT_ROOM);
	return size + OPT_SIZE;
}

size_t dnsmsg_make_answer(const void *query, const struct dnsmsg_query *info, unsigned rcode, bool truncated,
			  uint8_t *buf)
{
	const uint8_t *asked = query;
	size_t size = info->question;

	memcpy(buf, query, size);
	put16(buf, info->id);
	buf[2] = (uint8_t)(QR | (asked[2] & (OPCODE | RD)) | (truncated ? TC : 0));
	buf[3] = (uint8_t)(RA | (asked[3] & CD) | rcode); /* CD: RFC 4035 3.2.2 */
	memset(buf + 4, 0, HEADER - 4);
	put16(buf + 4, size > HEADER);
	return add_edns(info, buf, size);
}

size_t dnsmsg_cut(const struct dnsmsg_query *info, void *answer, size_t size, size_t room)
{
	uint8_t *header = answer;
	unsigned count = get16(header + 6), kept = 0;
	size_t at = info->question, most = room - OPT_SIZE, end, fixed;

	for (; kept < count && (end = skip_record(answer, size, at, &fixed)) && end <= most; kept++)
		at = end;
	header[2] |= TC;
	put16(header + 6, kept);
	memset(header + 8, 0, 4);
	return add_edns(info, answer, at);
}
