/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * May a flow start, where does its host side go, and what does the sandbox hear where it fails?
 *
 * The policy knows addresses; which of them lead to the host itself changes with the host's links, so the kernel is
 * asked for each flow.  (Rejected: a list of the host's addresses, kept by netlink.  It is late by a moment, and does
 * not know of anycast addresses and routes of the type local.)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "dns.h"
#include "fd.h"
#include "internal.h"
#include "names.h"

/* A flow to there would fail, too.  After all other errors it is not known whose the address is. */
static bool leads_nowhere(int code)
{
	return code == EINVAL || code == ENETUNREACH || code == EHOSTUNREACH;
}

/* No link has a longer MTU than this but the loopback, by which all goes that comes back to the host. */
#define LINK_MTU_MAX 65535

/*
 * IPv6: its own addresses are the ones to which the host speaks from just there.  It takes others for its own, too:
 * anycast addresses, which are nobody's source, networks with a route of the type local, and "::".
 */
static int find_own6(int fd, const struct destination *destination, struct vnic_policy_flow *flow)
{
	const struct sockaddr_in6 *to = (const struct sockaddr_in6 *)&destination->addr;
	struct sockaddr_in6 from;
	int mtu;

	if (IN6_IS_ADDR_UNSPECIFIED(&to->sin6_addr) ||
	    IN6_IS_ADDR_V4MAPPED(&to->sin6_addr)) { /* which leads nowhere, see host_socket */
		flow->host = true;
		return 0;
	}
	if (connect(fd, (const struct sockaddr *)to, destination->len) < 0)
		/* A route that prohibits it; and there is no address to speak from, as where IPv6 is switched off. */
		return leads_nowhere(errno) || errno == EACCES || errno == EADDRNOTAVAIL ? 0 : -errno;
	if (getsockname(fd, (struct sockaddr *)&from, &(socklen_t){sizeof(from)}) < 0 ||
	    getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &(socklen_t){sizeof(mtu)}) < 0)
		return -errno;
	flow->host = !memcmp(&from.sin6_addr, &to->sin6_addr, sizeof(from.sin6_addr)) || mtu > LINK_MTU_MAX;
	return 0;
}

/*
 * IPv4: a socket can be bound to the host's own addresses, to those of groups, and to no others.  Where the host's
 * administrator has set ip_nonlocal_bind it can to any: then the kernel refuses the way from there.  (Rejected:
 * connecting alone and looking at the source, which is the primary address where a secondary one is meant.)
 */
static int find_own4(int fd, const struct destination *destination, struct vnic_policy_flow *flow)
{
	struct sockaddr_in addr;

	memcpy(&addr, &destination->addr, sizeof(addr));
	addr.sin_port = 0;
	if (IN_MULTICAST(ntohl(addr.sin_addr.s_addr)))
		return 0;
	if (bind(fd, (const struct sockaddr *)&addr, destination->len) < 0)
		return errno == EADDRNOTAVAIL || errno == EINVAL ? 0 : -errno;
	flow->host = connect(fd, (const struct sockaddr *)&addr, destination->len) == 0;
	flow->broadcast = !flow->host && errno == EACCES; /* for want of SO_BROADCAST */
	return flow->host || flow->broadcast || leads_nowhere(errno) ? 0 : -errno;
}

/*
 * Is it the host's own address, or a broadcast?  Where the kernel does not say, as for lack of descriptors, the flow
 * fails: taken for either, one could start that the policy denies.
 */
static int find_own(struct vnic_gateway *gateway, const struct destination *destination, struct vnic_policy_flow *flow)
{
	int family = destination->addr.ss_family, fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0 && gateway_lend_spare(gateway))
		fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : -errno;
	r = family == AF_INET6 ? find_own6(fd, destination, flow) : find_own4(fd, destination, flow);
	close_fd(&fd);
	gateway_keep_spare(gateway);
	return r;
}

/* It asks for the name in a rule, if one can have it. */
static const char *question_remedy(const struct vnic_policy *policy, const char *name)
{
	struct vnic_policy more = *policy;

	return name && vnic_policy_add(&more, true, name, NULL) == 0 ? name : NULL;
}

/* The sandbox can make up any number of names, so there is an end to it. */
static bool is_new_name(struct vnic_gateway *gateway, const char *name)
{
	uint64_t hash = hash_bytes(&gateway->secret, name, strlen(name));

	for (unsigned i = 0; i < gateway->denied_name_count; i++)
		if (gateway->denied_names[i] == hash)
			return false;
	if (gateway->denied_name_count == DENIED_NAMES)
		return false;
	gateway->denied_names[gateway->denied_name_count++] = hash;
	return true;
}

static bool is_new_kind(struct vnic_gateway *gateway, enum vnic_class class, enum vnic_proto proto)
{
	uint32_t bit = 1u << (class * 4u + proto);
	bool is_new = !(gateway->denied_told & bit);

	gateway->denied_told |= bit;
	return is_new;
}

void gateway_deny(struct vnic_gateway *gateway, const struct vnic_policy_flow *flow)
{
	const struct vnic_policy *policy = &gateway->config.policy;
	bool question = !flow->dst.family;
	enum vnic_class class = question ? VNIC_CLASS_ANY : vnic_policy_flow_class(flow);
	/* Where a rule with the name would help. */
	bool named = flow->name && (question || class == VNIC_CLASS_INTERNET);
	char rule[VNIC_DOMAIN_TEXT];

	gateway->stats.denied++;
	if (!gateway->config.denied)
		return;
	if (named ? !is_new_name(gateway, flow->name) : !is_new_kind(gateway, class, flow->proto))
		return;
	gateway->config.denied(gateway->config.ctx, flow,
			       question ? question_remedy(policy, flow->name)
					: vnic_policy_remedy(policy, flow, rule, sizeof(rule)));
}

int gateway_admit(struct vnic_gateway *gateway, const struct flow_key *key, enum vnic_proto proto,
		  struct destination *ret_destination)
{
	return dns_owns(gateway->dns, key) ? dns_resolver(gateway->dns, 0, ret_destination)
					   : gateway_decide(gateway, key, proto, ret_destination);
}

int gateway_decide(struct vnic_gateway *gateway, const struct flow_key *key, enum vnic_proto proto,
		   struct destination *ret_destination)
{
	bool v6 = key->family == AF_INET6;
	size_t len = v6 ? 16 : 4;
	const struct vnic_addr *router = &gateway->config.router[v6];
	struct vnic_policy_flow flow = {
		.proto = proto,
		.dst = {.family = (uint8_t)key->family, .prefix = v6 ? 128 : 32},
		.port = key->dst.port,
	};
	struct destination destination = {0};
	struct endpoint to = key->dst;
	int r = 0;

	memcpy(flow.dst.bytes, key->dst.addr, len);
	if (router->family == key->family && !memcmp(router->bytes, key->dst.addr, len)) {
		flow.host = flow.loopback = true;
		memset(to.addr, 0, sizeof(to.addr));
		if (v6)
			to.addr[15] = 1;
		else
			memcpy(to.addr, (uint8_t[]){127, 0, 0, 1}, 4);
	}
	destination.len = endpoint_to_sockaddr(key->family, &to, &destination.addr);
	if (gateway->names)
		names_find(gateway->names, &flow, gateway->now);
	if (!flow.host)
		r = find_own(gateway, &destination, &flow);
	if (r < 0)
		return r;
	if (!vnic_policy_allows(&gateway->config.policy, &flow)) {
		gateway_deny(gateway, &flow);
		return GATEWAY_DENIED;
	}
	destination.host = flow.host;
	*ret_destination = destination;
	return 0;
}

bool gateway_why(int code, enum unreachable *ret_why)
{
	switch (code) {
	case ECONNREFUSED:
		*ret_why = UNREACHABLE_PORT;
		return true;
	case ENETUNREACH:
	case ENETDOWN:
	case EINVAL: /* a link-local address without its link */
	case EAFNOSUPPORT:
	case EADDRNOTAVAIL:
		*ret_why = UNREACHABLE_NET;
		return true;
	case EHOSTUNREACH:
	case EHOSTDOWN:
		*ret_why = UNREACHABLE_HOST;
		return true;
	case EACCES:
	case EPERM:
		*ret_why = UNREACHABLE_PROHIBITED;
		return true;
	default:
		return false;
	}
}
