/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int parse_u32(const char *text, const char *what, uint32_t min, uint32_t max, uint32_t *ret_value,
	      struct vnic_error *err)
{
	uint64_t value = 0;
	const char *p = text;

	do {
		if (!isdigit((unsigned char)*p))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "%s takes a number from %u to %u", what,
					 min, max);
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > max)
			break;
	} while (*++p);
	if (value < min || value > max)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "%s takes a number from %u to %u", what, min, max);
	*ret_value = (uint32_t)value;
	return 0;
}

int parse_copy(const char *text, const char *what, char *ret_buf, size_t size, struct vnic_error *err)
{
	size_t len = text ? strlen(text) : 0;

	if (len == 0)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, what, "it needs a value");
	if (len >= size)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "%s is longer than %zu bytes", what, size - 1);
	memcpy(ret_buf, text, len + 1);
	return 0;
}

int parse_ifname(const char *text, const char *what, char ret_name[16], struct vnic_error *err)
{
	char name[16];
	int r = parse_copy(text, what, name, sizeof(name), err);

	if (r < 0)
		return r;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, name, "this cannot be the name of an interface");
	for (const char *p = name; *p; p++)
		if (*p == '/' || *p == ':' || *p == '%' || isspace((unsigned char)*p) || !isprint((unsigned char)*p))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, name,
					 "an interface name has no '/', ':', '%%', space or control character");
	memcpy(ret_name, name, sizeof(name));
	return 0;
}

int parse_item(char **cursor, char **ret_key, char **ret_value, struct vnic_error *err)
{
	char *item = *cursor;

	if (!item)
		return 0;
	char *comma = strchr(item, ',');
	if (comma) {
		*comma = '\0';
		*cursor = comma + 1;
	} else {
		*cursor = NULL;
	}
	if (!*item)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, ",",
				 "there is nothing between two commas, or after the last");
	char *equals = strchr(item, '=');
	if (equals)
		*equals = '\0';
	*ret_key = item;
	*ret_value = equals ? equals + 1 : NULL;
	return 1;
}

static bool is_word(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(text, word, len);
}

/* Behind an item and its comma; NULL: it was the last. */
static const char *next_item(const char *item)
{
	const char *comma = strchr(item, ',');

	return comma ? comma + 1 : NULL;
}

int parse_check_twice(const char *text, const char *const *many, struct vnic_error *err)
{
	char key[32];

	for (const char *item = text; item; item = next_item(item)) {
		size_t len = strcspn(item, "=,");
		bool may = !len || len >= sizeof(key);

		for (const char *const *word = many; *word && !may; word++)
			may = is_word(item, len, *word);
		if (may)
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)len, item);
		for (const char *other = next_item(item); other; other = next_item(other))
			if (is_word(other, strcspn(other, "=,"), key))
				return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, key, "this key was given twice");
	}
	return 0;
}

int parse_sockaddr(const char *text, struct sockaddr_storage *ret_addr, socklen_t *ret_len, struct vnic_error *err)
{
	struct sockaddr_storage addr = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&addr;
	char host[INET6_ADDRSTRLEN + 2], *start = host;
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	uint32_t port = 0;

	if (len == 0 || len >= sizeof(host))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
				 "an address with a port is written 10.0.0.1:80 or [fd00::1]:80");
	memcpy(host, text, len);
	host[len] = '\0';
	int r = parse_u32(colon + 1, "a port", 1, 65535, &port, err);
	if (r < 0)
		return r;
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		start++;
		addr.ss_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
	} else {
		addr.ss_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
	}
	if (inet_pton(addr.ss_family, start,
		      addr.ss_family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr) != 1)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
				 "an address with a port is written 10.0.0.1:80 or [fd00::1]:80");
	*ret_len = addr.ss_family == AF_INET ? sizeof(*v4) : sizeof(*v6);
	*ret_addr = addr;
	return 0;
}

const char *host_flaw(const struct vnic_addr *addr)
{
	struct vnic_addr own = vnic_addr_host(addr, 0);

	if (addr->family != AF_INET || addr->prefix > 30) /* 31: RFC 3021 */
		return NULL;
	struct vnic_addr broadcast = vnic_addr_host(addr, UINT32_MAX >> addr->prefix);
	if (!memcmp(addr->bytes, own.bytes, sizeof(own.bytes)))
		return "this is the address of its network itself, which no host can have";
	if (!memcmp(addr->bytes, broadcast.bytes, sizeof(broadcast.bytes)))
		return "this is the broadcast address of its network, which no host can have";
	return NULL;
}

int parse_host(const char *text, struct vnic_addr *ret_addr, struct vnic_error *err)
{
	static const struct vnic_addr others[] = {
		{AF_INET, 8, {0}},    {AF_INET, 8, {127}},   {AF_INET, 4, {224}},
		{AF_INET6, 127, {0}}, {AF_INET6, 8, {0xff}},
	};
	struct vnic_addr addr;
	int r = vnic_addr_parse(text, &addr, err);

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && r == 0; i++)
		if (vnic_addr_contains(&others[i], &addr))
			r = vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
				      "a link's address is neither of the loopback, nor of multicast, nor zero");
	if (r == 0 && host_flaw(&addr))
		r = vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "%s", host_flaw(&addr));
	if (r == 0)
		*ret_addr = addr;
	return r;
}

bool parse_same_file(const char *a, const char *b)
{
	struct stat a_info, b_info;

	if (stat(a, &a_info) < 0 || stat(b, &b_info) < 0)
		return !strcmp(a, b);
	return a_info.st_dev == b_info.st_dev && a_info.st_ino == b_info.st_ino && !S_ISCHR(a_info.st_mode);
}

int check_mtu(uint32_t mtu, const struct vnic_addr *addrs, unsigned count, struct vnic_error *err)
{
	char text[VNIC_ADDR_TEXT];

	for (unsigned i = 0; i < count && mtu && mtu < IPV6_LEAST_MTU; i++)
		if (addrs[i].family == AF_INET6)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, vnic_addr_text(&addrs[i], true, text),
					 "IPv6 needs an MTU of %d at least, and mtu= says %u", IPV6_LEAST_MTU, mtu);
	return 0;
}
