/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Router solicitations: what is taken for one is whole, and came from the link. */
#include <stdint.h>
#include <stdlib.h>

#include "ra.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool named = ra_is_solicitation(data, size, 255, false), nameless = ra_is_solicitation(data, size, 255, true);

	if ((named || nameless) && (size < 8 || size % 8 || data[0] != 133 || data[1] != 0))
		abort();
	if (nameless && !named)
		abort();
	if (ra_is_solicitation(data, size, 64, false))
		abort();
	return 0;
}
