/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reserve.h"

#include <sys/mman.h>

/* Nothing of it is written, a size to unmap neither: that would be a page fault for each. */
void *reserve(size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	void *memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

void release(void *memory, size_t count, size_t size)
{
	if (memory)
		munmap(memory, count * size);
}
