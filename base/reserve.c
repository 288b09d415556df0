/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reserve.h"

#include <stdalign.h>
#include <sys/mman.h>

/* Before what is given: how much to unmap. */
struct header {
	alignas(max_align_t) size_t size;
};

void *reserve(size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total) || __builtin_add_overflow(total, sizeof(struct header), &total))
		return NULL;
	struct header *header =
		mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (header == MAP_FAILED)
		return NULL;
	header->size = total;
	return header + 1;
}

void release(void *memory)
{
	struct header *header = memory;

	if (header)
		munmap(header - 1, header[-1].size);
}
