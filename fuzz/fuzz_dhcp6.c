/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A message of a DHCPv6 client: the answer is a whole message, with whole associations in it, and fits into a packet.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bytes.h"
#include "dhcp6.h"

/* An association's own fields stand before its options. */
static size_t header_of(unsigned code)
{
	return code == 3 || code == 25 ? 12 : code == 4 ? 4 : 0;
}

static void check_options(const uint8_t *at, size_t size)
{
	while (size) {
		if (size < 4 || size - 4 < get16(at + 2))
			abort();
		size_t length = get16(at + 2), header = header_of(get16(at));

		if (header) {
			if (length < header)
				abort();
			check_options(at + 4 + header, length - header);
		}
		at += 4 + length;
		size -= 4 + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vnic_lease lease = {
		.mac = {{2, 0, 0, 0, 0, 1}, true},
		.addr = {[1] = {AF_INET6, 64, {0xfd, [14] = 1}}},
		.router = {[1] = {AF_INET6, 64, {0xfd, [15] = 2}}},
		.dns = {[1] = {AF_INET6, 64, {0xfd, [15] = 3}}},
		.search_size = 13,
		.search = "\7example\3org",
	};
	struct dhcp6_answer answer;

	dhcp6_answer(&lease, data, size, &answer);
	if (!answer.size)
		return 0;
	if (answer.size > DHCP6_MADE || answer.size < 4 || memcmp(answer.bytes + 1, data + 1, 3) != 0)
		abort();
	check_options(answer.bytes + 4, answer.size - 4);
	return 0;
}
