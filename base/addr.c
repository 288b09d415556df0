/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <vnic/addr.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "parse.h"

static unsigned max_prefix(uint8_t family)
{
	return family == AF_INET ? 32 : 128;
}

int vnic_addr_parse(const char *text, struct vnic_addr *ret_addr, struct vnic_error *err)
{
	struct vnic_addr addr = {0};
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	uint32_t prefix;

	if (len == 0 || len >= sizeof(host))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "this is not an IP address");
	memcpy(host, text, len);
	host[len] = '\0';
	addr.family = strchr(host, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(addr.family, host, addr.bytes) != 1)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "this is not an IP address");
	prefix = max_prefix(addr.family);
	if (slash) {
		int r = parse_u32(slash + 1, "a prefix length", 0, prefix, &prefix, err);
		if (r < 0)
			return r;
	}
	addr.prefix = (uint8_t)prefix;
	*ret_addr = addr;
	return 0;
}

const char *vnic_addr_text(const struct vnic_addr *addr, bool with_prefix, char buf[VNIC_ADDR_TEXT])
{
	if (addr->family == AF_UNSPEC || !inet_ntop(addr->family, addr->bytes, buf, VNIC_ADDR_TEXT)) {
		strcpy(buf, "none");
		return buf;
	}
	if (with_prefix) {
		size_t len = strlen(buf);
		snprintf(buf + len, VNIC_ADDR_TEXT - len, "/%u", addr->prefix);
	}
	return buf;
}

bool vnic_addr_contains(const struct vnic_addr *net, const struct vnic_addr *host)
{
	if (net->family != host->family)
		return false;
	for (unsigned bit = 0; bit < net->prefix; bit += 8) {
		unsigned left = net->prefix - bit;
		uint8_t mask = (uint8_t)(left >= 8 ? 0xff : 0xff << (8 - left));

		if ((net->bytes[bit / 8] ^ host->bytes[bit / 8]) & mask)
			return false;
	}
	return true;
}

struct vnic_addr vnic_addr_host(const struct vnic_addr *addr, uint32_t offset)
{
	struct vnic_addr host = *addr;
	unsigned bits = max_prefix(addr->family);

	for (unsigned bit = addr->prefix; bit < bits; bit++)
		host.bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
	for (unsigned i = bits / 8; i-- > 0 && offset; offset >>= 8)
		host.bytes[i] |= (uint8_t)offset;
	return host;
}

int vnic_mac_parse(const char *text, struct vnic_mac *ret_mac, struct vnic_error *err)
{
	struct vnic_mac mac = {.set = true};
	const char *p = text;

	for (int i = 0; i < VNIC_MAC_LEN; i++) {
		unsigned value = 0;

		for (int digit = 0; digit < 2; digit++, p++) {
			if (*p >= '0' && *p <= '9')
				value = value * 16 + (unsigned)(*p - '0');
			else if ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'f')
				value = value * 16 + (unsigned)((*p | 0x20) - 'a' + 10);
			else
				return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
						 "a MAC is written 02:00:00:aa:bb:cc");
		}
		mac.bytes[i] = (uint8_t)value;
		if (*p != (i < VNIC_MAC_LEN - 1 ? ':' : '\0'))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "a MAC is written 02:00:00:aa:bb:cc");
		p++;
	}
	if (mac.bytes[0] & 1)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
				 "this is a multicast MAC; a link needs a unicast one");
	if (!memcmp(mac.bytes, "\0\0\0\0\0\0", VNIC_MAC_LEN))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "an all-zero MAC cannot be a link's address");
	*ret_mac = mac;
	return 0;
}

const char *vnic_mac_text(const struct vnic_mac *mac, char buf[VNIC_ADDR_TEXT])
{
	const uint8_t *b = mac->bytes;

	snprintf(buf, VNIC_ADDR_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return buf;
}

int vnic_mac_random(struct vnic_mac *ret_mac, struct vnic_error *err)
{
	struct vnic_mac mac = {.set = true};

	if (getrandom(mac.bytes, sizeof(mac.bytes), 0) != (ssize_t)sizeof(mac.bytes))
		return vnic_fail(err, VNIC_STEP_READ, errno, "the kernel's random numbers", NULL);
	mac.bytes[0] = (uint8_t)((mac.bytes[0] & 0xfe) | 0x02);
	*ret_mac = mac;
	return 0;
}
