/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Published ports: their text, and the listeners on the host's side. */
#include "publish.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "parse.h"

#define BACKLOG 4096

/* --- text --------------------------------------------------------------------------- */

static int refuse(const char *text, struct vnic_error *err)
{
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
			 "a published port is written [ADDRESS:]PORT:PORT or [ADDRESS:]FIRST-LAST:FIRST-LAST");
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

static int parse_proto(char *text, struct vnic_error *err)
{
	char *slash = strchr(text, '/');

	if (!slash)
		return 0;
	*slash = '\0';
	if (!strcmp(slash + 1, "udp"))
		return vnic_fail(err, VNIC_STEP_USAGE, EOPNOTSUPP, text, "only TCP ports can be published so far");
	return strcmp(slash + 1, "tcp") ? refuse(slash + 1, err) : 0;
}

/* Cuts an address off the front: "[::1]:" or "127.0.0.1:" before two more parts. */
static int parse_addr(char **text, struct vnic_addr *ret_addr, struct vnic_error *err)
{
	char *start = *text, *end;

	if (*start == '[') {
		end = strstr(++start, "]:");
		if (!end)
			return refuse(*text, err);
		*text = end + 2;
	} else {
		end = strchr(start, ':');
		if (!end || !strchr(end + 1, ':'))
			return 0; /* none: all addresses */
		*text = end + 1;
	}
	*end = '\0';
	return vnic_addr_parse(start, ret_addr, err);
}

int vnic_publish_parse(const char *text, struct vnic_publish *ret_publish, struct vnic_error *err)
{
	struct vnic_publish publish = {0};
	char copy[128], *rest = copy, *colon;
	uint16_t to_count = 0;
	int r = parse_copy(text, "--publish", copy, sizeof(copy), err);

	if (r == 0)
		r = parse_proto(copy, err);
	if (r == 0)
		r = parse_addr(&rest, &publish.addr, err);
	if (r < 0)
		return r;
	colon = strchr(rest, ':');
	if (!colon)
		return refuse(text, err);
	*colon = '\0';
	r = parse_ports(rest, &publish.port, &publish.count, err);
	if (r == 0)
		r = parse_ports(colon + 1, &publish.to_port, &to_count, err);
	if (r < 0)
		return r;
	if (to_count != publish.count)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text, "the two ranges of ports differ in length");
	*ret_publish = publish;
	return 0;
}

/* --- listeners ---------------------------------------------------------------------- */

static int listen_on(const struct vnic_addr *addr, uint16_t port, int *ret_fd, struct vnic_error *err)
{
	bool v6 = addr->family == AF_INET6;
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	CLEANUP_FD int fd = socket(addr->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char text[VNIC_ADDR_TEXT + 8], addr_text[VNIC_ADDR_TEXT];

	memcpy(&in4.sin_addr, addr->bytes, sizeof(in4.sin_addr));
	memcpy(&in6.sin6_addr, addr->bytes, sizeof(in6.sin6_addr));
	snprintf(text, sizeof(text), v6 ? "[%s]:%u" : "%s:%u", vnic_addr_text(addr, false, addr_text), port);
	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_PUBLISH, errno, text, NULL);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
	if (bind(fd, v6 ? (const void *)&in6 : &in4, v6 ? sizeof(in6) : sizeof(in4)) < 0 || listen(fd, BACKLOG) < 0)
		return vnic_fail(err, VNIC_STEP_PUBLISH, errno, text, NULL);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int add(struct publish_list *list, const struct vnic_addr *addr, const struct vnic_publish *publish,
	       unsigned index, struct vnic_error *err)
{
	int fd = -1;

	if (list->count == VNIC_PUBLISHES)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--publish", "more than %d listeners", VNIC_PUBLISHES);
	int r = listen_on(addr, (uint16_t)(publish->port + index), &fd, err);
	if (r == 0)
		list->ports[list->count++] = (struct vnic_gateway_publish){
			.fd = fd,
			.to_port = (uint16_t)(publish->to_port + index),
		};
	return r;
}

int publish_open(const struct vnic_publish *publishes, unsigned count, const struct vnic_addr sandbox[2],
		 struct publish_list *list, struct vnic_error *err)
{
	static const struct vnic_addr any[2] = {{.family = AF_INET}, {.family = AF_INET6}};
	int r = 0;

	for (unsigned i = 0; i < count; i++)
		for (unsigned p = 0; p < publishes[i].count; p++)
			for (unsigned v = 0; v < 2; v++) {
				const struct vnic_addr *asked = &publishes[i].addr;

				if (!sandbox[v].family || (asked->family && asked->family != any[v].family))
					continue;
				r = add(list, asked->family ? asked : &any[v], &publishes[i], p, err);
				if (r == -EAFNOSUPPORT && !asked->family)
					r = 0; /* a host without IPv6 */
				if (r < 0)
					return r;
			}
	return 0;
}

void publish_close(struct publish_list *list)
{
	while (list->count)
		close_fd(&list->ports[--list->count].fd);
}
