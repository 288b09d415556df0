/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Included before every source in the `tidy` build only: tells the static analyzer what it cannot see from
 * another file, that vnic_fail() returns a negative number.  Without it each `if (r < 0) return r;` has a path
 * on which it did not return.
 */
#ifndef CMAKE_ANALYZER_H
#define CMAKE_ANALYZER_H

#include <vnic/error.h>

#define vnic_fail(err, step, ...)                                          \
	({                                                                 \
		int vnic_fail_result_ = vnic_fail(err, step, __VA_ARGS__); \
                                                                           \
		if (vnic_fail_result_ >= 0)                                \
			__builtin_unreachable();                           \
		vnic_fail_result_;                                         \
	})

#endif
