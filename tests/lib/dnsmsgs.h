/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DNS messages for tests, written byte by byte. */
#ifndef TESTS_LIB_DNSMSGS_H
#define TESTS_LIB_DNSMSGS_H

#include <stdint.h>
#include <string.h>

#define DNS_TEST_MAX 8192

struct dns_message {
	uint8_t bytes[DNS_TEST_MAX];
	size_t size;
};

static inline void dns_put16(struct dns_message *m, unsigned value)
{
	m->bytes[m->size++] = (uint8_t)(value >> 8);
	m->bytes[m->size++] = (uint8_t)value;
}

static inline void dns_put(struct dns_message *m, const void *data, size_t size)
{
	memcpy(m->bytes + m->size, data, size);
	m->size += size;
}

/* Labels between dots. */
static inline void dns_put_name(struct dns_message *m, const char *name)
{
	for (size_t len; *name; name += len + (name[len] == '.')) {
		len = strcspn(name, ".");
		m->bytes[m->size++] = (uint8_t)len;
		dns_put(m, name, len);
	}
	m->bytes[m->size++] = 0;
}

/* Type A, class IN; recursion desired. */
static inline struct dns_message dns_question(uint16_t id, const char *name)
{
	struct dns_message m = {.size = 0};

	dns_put16(&m, id);
	dns_put16(&m, 0x0100);
	dns_put16(&m, 1);
	dns_put16(&m, 0);
	dns_put16(&m, 0);
	dns_put16(&m, 0);
	dns_put_name(&m, name);
	dns_put16(&m, 1);
	dns_put16(&m, 1);
	return m;
}

/* Adds an answer with the name of the question to a message that has no records of other sections. */
static inline void dns_add_record(struct dns_message *m, uint16_t type, uint16_t ttl, const void *data, size_t size)
{
	m->bytes[2] |= 0x80;
	m->bytes[7]++;
	dns_put16(m, 0xc00c);
	dns_put16(m, type);
	dns_put16(m, 1);
	dns_put16(m, 0);
	dns_put16(m, ttl);
	dns_put16(m, (unsigned)size);
	dns_put(m, data, size);
}

/* Adds EDNS with that size to a message that has no additional records. */
static inline void dns_add_edns(struct dns_message *m, uint16_t room)
{
	m->bytes[11]++;
	m->bytes[m->size++] = 0;
	dns_put16(m, 41);
	dns_put16(m, room);
	dns_put16(m, 0);
	dns_put16(m, 0);
	dns_put16(m, 0);
}

/* An answer to it of that many bytes in all: one TXT-like record of zeros. */
static inline struct dns_message dns_answer(const struct dns_message *question, size_t question_size, size_t size)
{
	struct dns_message m = {.size = 0};

	dns_put(&m, question->bytes, question_size);
	m.bytes[2] |= 0x80;
	m.bytes[3] = 0x80;
	memset(m.bytes + 6, 0, 6);
	if (size > m.size + 12) {
		size_t data = size - m.size - 12;

		m.bytes[7] = 1;
		dns_put16(&m, 0xc00c);
		dns_put16(&m, 16);
		dns_put16(&m, 1);
		dns_put16(&m, 0);
		dns_put16(&m, 60);
		dns_put16(&m, (unsigned)data);
		m.size += data;
	}
	return m;
}

static inline uint16_t dns_id(const struct dns_message *m)
{
	return (uint16_t)(m->bytes[0] << 8 | m->bytes[1]);
}

#endif
