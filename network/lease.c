/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests that configure themselves, seen from the router: who they are, and the sockets at which they ask. */
#include "lease.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "slowpath.h"

#define PORT_DHCP 67
#define PORT_DHCP6 547
#define HOPS_MAX 255 /* RFC 4861 section 6.1.2: what hosts want to see of an advertisement */

_Static_assert(VNIC_LEASES >= VNIC_NICS, "a NIC may be without a lease");

/* --- what they are told ------------------------------------------------------------- */

/* The first address of a family, and the router's beside it. */
static void choose(const struct nic_plan *plan, struct vnic_lease *lease)
{
	for (unsigned i = plan->nic.addr_count; i-- > 0;)
		lease->addr[plan->nic.addrs[i].family == AF_INET6] = plan->nic.addrs[i];
	for (unsigned i = 0; i < plan->nic.gw_count; i++)
		lease->router[plan->nic.gw[i].family == AF_INET6] = plan->nic.gw[i];
}

#define BLANK " \t"
#define LABEL_MAX 63

/* One name; 0: it is none, or there is no room. */
static size_t write_name(const char *name, size_t size, uint8_t *buf, size_t room)
{
	size_t label = 0; /* where its length stands */

	if (size && name[size - 1] == '.')
		size--;
	if (size == 0 || size + 2 > room)
		return 0;
	for (size_t i = 0; i <= size; i++) {
		if (i < size && name[i] != '.') {
			buf[i + 1] = (uint8_t)name[i];
			continue;
		}
		if (i == label || i - label > LABEL_MAX)
			return 0;
		buf[label] = (uint8_t)(i - label);
		label = i + 1;
	}
	buf[label] = 0;
	return label + 1;
}

/* The last line counts: resolv.conf(5). */
static const char *last_search(const char *kept, size_t size, size_t *ret_size)
{
	const char *found = NULL;

	for (size_t at = 0; at < size;) {
		const char *line = kept + at;
		size_t len = strcspn(line, "\n"), word = strcspn(line, BLANK "\n");

		if (word == 6 && (!memcmp(line, "search", 6) || !memcmp(line, "domain", 6))) {
			found = line + word;
			*ret_size = len - word;
		}
		at += len + 1;
	}
	return found;
}

uint8_t lease_search(const char *kept, size_t size, uint8_t ret_names[VNIC_LEASE_SEARCH])
{
	size_t left = 0, used = 0;
	const char *at = last_search(kept, size, &left);

	while (at && left) {
		size_t skip = strspn(at, BLANK), word = strcspn(at + skip, BLANK "\n");

		used += write_name(at + skip, word, ret_names + used, VNIC_LEASE_SEARCH - used);
		at += skip + word;
		left -= skip + word;
	}
	return (uint8_t)used;
}

static void add_search(struct vnic_lease *leases, unsigned count)
{
	struct resolv resolv;

	resolv_read(RESOLV_PATH, &resolv);
	for (unsigned i = 0; i < count; i++)
		leases[i].search_size = lease_search(resolv.kept, resolv.kept_size, leases[i].search);
}

unsigned lease_plan(const struct build *build, bool ipv6, struct vnic_lease *ret_leases)
{
	unsigned count = 0;

	for (unsigned i = 0; i < build->plan.count; i++) {
		const struct nic_plan *plan = &build->plan.nics[i];
		struct vnic_lease *lease = &ret_leases[count];

		if (!plan->nic.dhcp)
			continue;
		*lease = (struct vnic_lease){
			.index = plan->outer_index,
			.mac = plan->outer_mac,
			.link_local = slowpath_link_local,
			.mtu = plan->nic.mtu,
			.dns = {build->gate.dns.listen[0], build->gate.dns.listen[1]},
		};
		choose(plan, lease);
		if (!ipv6)
			lease->addr[1].family = AF_UNSPEC;
		if (build->spawn.hostname)
			strncpy(lease->hostname, build->spawn.hostname, sizeof(lease->hostname) - 1);
		count++;
	}
	if (count && (build->gate.dns.listen[0].family || build->gate.dns.listen[1].family))
		add_search(ret_leases, count);
	return count;
}

/* --- where they ask ----------------------------------------------------------------- */

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/*
 * Without checksums, as IPv4 allows: what leaves by a virtual link has half of one, and clients that read packets
 * by themselves take that for a wrong one.  SO_REUSEADDR, for a flow's socket may be bound to a remote's port 67.
 */
static int open_dhcp(int *ret_fd, struct vnic_error *err)
{
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT_DHCP)};
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 || set(fd, SOL_SOCKET, SO_BROADCAST, 1) < 0 ||
	    set(fd, SOL_SOCKET, SO_NO_CHECK, 1) < 0 || set(fd, IPPROTO_IP, IP_PKTINFO, 1) < 0 ||
	    bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "for DHCP", NULL);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int join(int fd, int index)
{
	struct ipv6_mreq group = {.ipv6mr_interface = (unsigned)index};

	inet_pton(AF_INET6, "ff02::1:2", &group.ipv6mr_multiaddr); /* All_DHCP_Relay_Agents_and_Servers */
	return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group));
}

static int open_dhcp6(const struct vnic_lease *leases, unsigned count, int *ret_fd, struct vnic_error *err)
{
	const struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(PORT_DHCP6)};
	CLEANUP_FD int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 || set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0 ||
	    set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) < 0 || bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "for DHCPv6", NULL);
	for (unsigned i = 0; i < count; i++)
		if (leases[i].addr[1].family && join(fd, leases[i].index) < 0)
			return vnic_fail(err, VNIC_STEP_SOCKET, errno, "for DHCPv6", "its multicast group");
	*ret_fd = take_fd(&fd);
	return 0;
}

/* In ff02::2, where solicitations go, is every link of a router. */
static int open_solicit(int *ret_fd, struct vnic_error *err)
{
	struct icmp6_filter filter;
	CLEANUP_FD int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);

	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_ROUTER_SOLICIT, &filter);
	if (fd < 0 || setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) < 0 ||
	    set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) < 0 || set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) < 0 ||
	    set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, HOPS_MAX) < 0 ||
	    set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, HOPS_MAX) < 0 ||
	    set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "for router solicitations", NULL);
	*ret_fd = take_fd(&fd);
	return 0;
}

int lease_open(const struct vnic_lease *leases, unsigned count, int ret_fds[VNIC_LEASE_SOCKETS], struct vnic_error *err)
{
	CLEANUP_FD int dhcp = -1, dhcp6 = -1, solicit = -1;
	bool told[2] = {false, false};
	int r = 0;

	for (unsigned i = 0; i < count; i++)
		for (unsigned v = 0; v < 2; v++)
			told[v] |= leases[i].addr[v].family != AF_UNSPEC;
	if (told[0])
		r = open_dhcp(&dhcp, err);
	if (r == 0 && told[1])
		r = open_dhcp6(leases, count, &dhcp6, err);
	if (r == 0 && told[1])
		r = open_solicit(&solicit, err);
	if (r < 0)
		return r;
	ret_fds[VNIC_LEASE_DHCP] = take_fd(&dhcp);
	ret_fds[VNIC_LEASE_DHCP6] = take_fd(&dhcp6);
	ret_fds[VNIC_LEASE_SOLICIT] = take_fd(&solicit);
	return 0;
}
