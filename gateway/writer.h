/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages that are written piece by piece. */
#ifndef GATEWAY_WRITER_H
#define GATEWAY_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bytes.h"

/* A message under way.  What does not fit is not written, nor is anything after it. */
struct writer {
	uint8_t *buf;
	size_t size, room;
	bool full;
};

static inline void write_bytes(struct writer *writer, const void *data, size_t size)
{
	writer->full |= size > writer->room - writer->size;
	if (writer->full)
		return;
	memcpy(writer->buf + writer->size, data, size);
	writer->size += size;
}

static inline void write_zeros(struct writer *writer, size_t size)
{
	writer->full |= size > writer->room - writer->size;
	if (writer->full)
		return;
	memset(writer->buf + writer->size, 0, size);
	writer->size += size;
}

static inline void write8(struct writer *writer, unsigned value)
{
	write_bytes(writer, (uint8_t[]){(uint8_t)value}, 1);
}

static inline void write16(struct writer *writer, unsigned value)
{
	uint8_t bytes[2];

	put16(bytes, value);
	write_bytes(writer, bytes, sizeof(bytes));
}

static inline void write32(struct writer *writer, uint32_t value)
{
	uint8_t bytes[4];

	put32(bytes, value);
	write_bytes(writer, bytes, sizeof(bytes));
}

#endif
