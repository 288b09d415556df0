/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Socket addresses of keys and back. */
#include <arpa/inet.h>
#include <string.h>

#include "internal.h"

socklen_t endpoint_to_sockaddr(uint16_t family, const struct endpoint *endpoint, struct sockaddr_storage *ret_addr)
{
	memset(ret_addr, 0, sizeof(*ret_addr));
	if (family == AF_INET) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)ret_addr;

		v4->sin_family = AF_INET;
		v4->sin_port = htons(endpoint->port);
		memcpy(&v4->sin_addr, endpoint->addr, 4);
		return sizeof(*v4);
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_addr;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(endpoint->port);
	memcpy(&v6->sin6_addr, endpoint->addr, 16);
	return sizeof(*v6);
}

bool sockaddr_to_endpoint(const struct sockaddr_storage *addr, struct endpoint *ret_endpoint, uint16_t *ret_family)
{
	struct endpoint endpoint = {0};

	if (addr->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;

		memcpy(endpoint.addr, &v4->sin_addr, 4);
		endpoint.port = ntohs(v4->sin_port);
	} else if (addr->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;

		memcpy(endpoint.addr, &v6->sin6_addr, 16);
		endpoint.port = ntohs(v6->sin6_port);
	} else {
		return false;
	}
	*ret_endpoint = endpoint;
	*ret_family = addr->ss_family;
	return true;
}
