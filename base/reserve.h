/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Large arrays that cost nothing until they are touched: zeroed, page by page, by the kernel.
 *
 * calloc(3) clears what it gives again from its heap, and after fork(2) that is all of a parent's former heap: a
 * process that is born for the sake of speed would begin with a hundred page faults.
 */
#ifndef BASE_RESERVE_H
#define BASE_RESERVE_H

#include <stddef.h>

/* NULL: out of memory, or the size overflows. */
void *reserve(size_t count, size_t size);
/* The same count and size.  NULL is allowed. */
void release(void *memory, size_t count, size_t size);

#endif
