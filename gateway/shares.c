/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shares.h"

#include <sys/resource.h>

#include "pipe.h"

#define TCP_MAX 32768u
#define UDP_MAX 8192u
#define DNS_MAX 1024u
#define ICMP_MAX 1024u
#define PLENTY (1u << 20) /* enough for all of these */

/* At least one, of what has two descriptors as most flows have, or one. */
static uint32_t count(uint64_t descriptors, unsigned each, uint32_t max)
{
	uint64_t n = descriptors / each;

	return n > max ? max : n ? (uint32_t)n : 1;
}

struct shares shares_of(uint64_t descriptors)
{
	uint64_t part = (descriptors < PLENTY ? descriptors : PLENTY) / 16, tcp = 10 * part;
	struct shares shares = {
		.pipes = count(tcp / 4, 2, PIPE_LENT),
		.udp = count(4 * part, 2, UDP_MAX),
		.dns = count(part, 1, DNS_MAX), /* it asks one server, as long as that one answers */
		.icmp = count(part, 1, ICMP_MAX),
	};

	tcp -= tcp > 2 * shares.pipes ? 2 * shares.pipes : tcp;
	shares.tcp = count(tcp, 2, TCP_MAX);
	return shares;
}

struct shares shares_here(unsigned taken)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return shares_of(PLENTY);
	return shares_of(limit.rlim_cur > taken ? limit.rlim_cur - taken : 0);
}
