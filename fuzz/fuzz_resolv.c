/* SPDX-License-Identifier: GPL-2.0-or-later */
/* resolv.conf(5): there is always a server, and what is kept is whole lines that are read again the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resolv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct resolv resolv, again;

	if (!text)
		return 0;
	resolv_parse(text, &resolv);
	if (resolv.servers.count < 1 || resolv.servers.count > VNIC_DNS_SERVERS ||
	    resolv.kept_size > sizeof(resolv.kept))
		abort();
	if (resolv.kept_size && resolv.kept[resolv.kept_size - 1] != '\n')
		abort();
	free(text);
	text = strndup(resolv.kept, resolv.kept_size);
	if (!text)
		return 0;
	resolv_parse(text, &again);
	if (again.kept_size != resolv.kept_size || memcmp(again.kept, resolv.kept, again.kept_size))
		abort();
	free(text);
	return 0;
}
