/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Published ports: their text, and their sockets on the host's side. */
#include "publish.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "parse.h"
#include "slowpath.h"

#define BACKLOG 4096

/* --- text --------------------------------------------------------------------------- */

static int refuse(const char *text, struct vnic_error *err)
{
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
			 "a published port is written [ADDRESS:]PORT[:PORT], or FIRST-LAST for PORT, with /udp for "
			 "UDP; an IPv6 address stands in brackets");
}

/* "80" or "80-89". */
static int parse_ports(char *text, uint16_t *ret_first, uint16_t *ret_count, struct vnic_error *err)
{
	char *dash = strchr(text, '-');
	uint32_t first = 0, last = 0;

	if (dash)
		*dash = '\0';
	int r = parse_u32(text, "a port", 1, 65535, &first, err);
	last = first;
	if (r == 0 && dash)
		r = parse_u32(dash + 1, "a port", 1, 65535, &last, err);
	if (r < 0)
		return r;
	if (last < first) {
		*dash = '-'; /* or only half of it is named */
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "the range of ports ends before it begins");
	}
	*ret_first = (uint16_t)first;
	*ret_count = (uint16_t)(last - first + 1);
	return 0;
}

static int parse_proto(char *text, bool *ret_udp, struct vnic_error *err)
{
	char *slash = strchr(text, '/');

	if (!slash)
		return 0;
	*slash = '\0';
	*ret_udp = !strcmp(slash + 1, "udp");
	return *ret_udp || !strcmp(slash + 1, "tcp") ? 0 : refuse(slash + 1, err);
}

/* Cuts an address off the front: "[::1]:", or what has a dot, as no port has, or two more parts behind it. */
static int parse_addr(char **text, struct vnic_addr *ret_addr, struct vnic_error *err)
{
	char *whole = *text, *start = whole, *end;

	if (*start == '[') {
		end = strstr(++start, "]:");
		if (!end)
			return refuse(*text, err);
		*text = end + 2;
	} else {
		end = strchr(start, ':');
		if (!end || (!strchr(end + 1, ':') && !memchr(start, '.', (size_t)(end - start))))
			return 0; /* none: all addresses */
		*text = end + 1;
	}
	if (end == start || (*whole != '[' && strstr(end, "::"))) /* fd00::1:80 */
		return refuse(whole, err);
	*end = '\0';
	if (strchr(start, '%'))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, start,
				 "a link-local address cannot be published: leave it out, and all addresses are");
	return vnic_addr_parse(start, ret_addr, err);
}

int vnic_publish_parse(const char *text, struct vnic_publish *ret_publish, struct vnic_error *err)
{
	struct vnic_publish publish = {0};
	char copy[128], *rest = copy, *colon;
	uint16_t to_count = 0;
	int r = parse_copy(text, "--publish", copy, sizeof(copy), err);

	if (r == 0)
		r = parse_proto(copy, &publish.udp, err);
	if (r == 0)
		r = parse_addr(&rest, &publish.addr, err);
	if (r < 0)
		return r;
	colon = strchr(rest, ':');
	if (colon)
		*colon = '\0';
	r = parse_ports(rest, &publish.port, &publish.count, err);
	publish.to_port = publish.port;
	to_count = publish.count;
	if (r == 0 && colon)
		r = parse_ports(colon + 1, &publish.to_port, &to_count, err);
	if (r < 0)
		return r;
	if (to_count != publish.count)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "the two ranges of ports differ in length");
	*ret_publish = publish;
	return 0;
}

/* --- sockets ------------------------------------------------------------------------ */

/* UDP without SO_REUSEADDR, which would let two have one port.  True: it can be published. */
static bool make_ready(int fd, bool v6, bool udp)
{
	if (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int)) < 0)
		return false;
	if (!udp)
		return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == 0;
	slowpath_widen(fd, SLOWPATH_UDP_BUFFER); /* clients come all at once */
	return (v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &(int){1}, sizeof(int))
		   : setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &(int){1}, sizeof(int))) == 0;
}

static int open_on(const struct vnic_addr *addr, uint16_t port, bool udp, int *ret_fd, struct vnic_error *err)
{
	bool v6 = addr->family == AF_INET6;
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	CLEANUP_FD int fd = socket(addr->family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char text[VNIC_ADDR_TEXT + 12], addr_text[VNIC_ADDR_TEXT];

	memcpy(&in4.sin_addr, addr->bytes, sizeof(in4.sin_addr));
	memcpy(&in6.sin6_addr, addr->bytes, sizeof(in6.sin6_addr));
	snprintf(text, sizeof(text), v6 ? "[%s]:%u%s" : "%s:%u%s", vnic_addr_text(addr, false, addr_text), port,
		 udp ? "/udp" : "");
	if (fd < 0 || !make_ready(fd, v6, udp) ||
	    bind(fd, v6 ? (const void *)&in6 : &in4, v6 ? sizeof(in6) : sizeof(in4)) < 0 ||
	    (!udp && listen(fd, BACKLOG) < 0))
		return vnic_fail(err, VNIC_STEP_PUBLISH, errno, text, NULL);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int add(struct publish_list *list, const struct vnic_addr *addr, const struct vnic_publish *publish,
	       unsigned index, struct vnic_error *err)
{
	int fd = -1;
	int r = open_on(addr, (uint16_t)(publish->port + index), publish->udp, &fd, err);
	if (r == 0)
		list->ports[list->count++] = (struct vnic_gateway_publish){
			.fd = fd,
			.udp = publish->udp,
			.to_port = (uint16_t)(publish->to_port + index),
		};
	return r;
}

static bool is_for(const struct vnic_publish *publish, const struct vnic_addr *sandbox)
{
	return sandbox->family && (!publish->addr.family || publish->addr.family == sandbox->family);
}

/* Before one is taken from the host. */
static int check_count(const struct vnic_publish *publishes, unsigned count, const struct vnic_addr sandbox[2],
		       struct vnic_error *err)
{
	unsigned sockets = 0;

	for (unsigned i = 0; i < count; i++)
		for (unsigned v = 0; v < 2; v++)
			sockets += is_for(&publishes[i], &sandbox[v]) ? publishes[i].count : 0u;
	if (sockets > VNIC_PUBLISHES)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--publish",
				 "more than %d sockets, of which a port has one in IPv4 and one in IPv6",
				 VNIC_PUBLISHES);
	return 0;
}

int publish_open(const struct vnic_publish *publishes, unsigned count, const struct vnic_addr sandbox[2],
		 struct publish_list *list, struct vnic_error *err)
{
	static const struct vnic_addr any[2] = {{.family = AF_INET}, {.family = AF_INET6}};
	int r = check_count(publishes, count, sandbox, err);

	for (unsigned i = 0; r == 0 && i < count; i++)
		for (unsigned p = 0; p < publishes[i].count; p++)
			for (unsigned v = 0; v < 2; v++) {
				const struct vnic_addr *asked = &publishes[i].addr;

				if (!is_for(&publishes[i], &sandbox[v]))
					continue;
				r = add(list, asked->family ? asked : &any[v], &publishes[i], p, err);
				if (r == -EAFNOSUPPORT && !asked->family)
					r = 0; /* a host without IPv6 */
				if (r < 0)
					return r;
			}
	return r;
}

void publish_close(struct publish_list *list)
{
	while (list->count)
		close_fd(&list->ports[--list->count].fd);
}
