/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A message of a DHCP client: the answer is a whole message, of a size that everybody takes, and gives the one address.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dhcp.h"

#define OPTIONS 240

static void check_options(const struct dhcp_answer *answer)
{
	size_t at = OPTIONS;

	while (at < answer->size && answer->bytes[at] != 255)
		at += at + 1 < answer->size ? 2u + answer->bytes[at + 1] : 2u;
	if (at >= answer->size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vnic_lease lease = {
		.mac = {{2, 0, 0, 0, 0, 1}, true},
		.mtu = 9000,
		.addr = {{AF_INET, 24, {10, 0, 2, 100}}},
		.router = {{AF_INET, 24, {10, 0, 2, 2}}},
		.dns = {{AF_INET, 24, {10, 0, 2, 3}}},
		.hostname = "box",
		.search_size = 13,
		.search = "\7example\3org",
	};
	struct dhcp_answer answer;

	dhcp_answer(&lease, data, size, &answer);
	if (!answer.size)
		return 0;
	if (answer.size > DHCP_MADE || answer.size < 300 || answer.bytes[0] != 2 ||
	    memcmp(answer.bytes + 4, data + 4, 4) != 0)
		abort();
	if (memcmp(answer.bytes + 16, "\0\0\0\0", 4) != 0 && memcmp(answer.bytes + 16, lease.addr[0].bytes, 4) != 0)
		abort();
	if (answer.unicast && memcmp(data + 12, lease.addr[0].bytes, 4) != 0)
		abort();
	check_options(&answer);
	return 0;
}
