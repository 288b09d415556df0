/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that configure themselves: what they ask, and where the answers go.
 *
 * Theory of operation.  Three sockets in the router for all NICs; the link by which a message came says whose it is,
 * and the answer leaves by the same.  What is asked on the link of a NIC without a lease gets no answer.  The messages
 * are read and made elsewhere, without sockets: dhcp.c, dhcp6.c, ra.c.
 *
 * An answer to a guest without an address goes to everybody on its link, where it is alone (RFC 2131 section 4.1
 * allows it to servers that cannot do otherwise).  Rejected: a packet socket with the guest's MAC, for a client that
 * has asked not to be sent broadcasts and does not take any; none is known.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dhcp.h"
#include "dhcp6.h"
#include "internal.h"
#include "ra.h"

#define MESSAGE_MAX 1500
#define BATCH 16 /* messages of a socket in one turn */
#define DHCP_CLIENT_PORT 68
#define MULTICAST_PAUSE (3 * NS_PER_S) /* RFC 4861 section 10: MIN_DELAY_BETWEEN_RAS */

static const struct in6_addr all_nodes = {.s6_addr = {0xff, 0x02, [15] = 1}};

struct guest {
	struct vnic_lease lease;
	int64_t told_all_at; /* when everybody on the link heard an advertisement; 0: never */
	bool solicited;      /* and so wants to hear again */
	bool has[2];         /* took the lease, by family */
};

struct leases {
	struct vnic_gateway *gateway;
	struct vnic_lease_stats *stats;
	int64_t advertise_at; /* 0: nobody has asked */
	unsigned count;
	struct guest guests[VNIC_LEASES];
};

/* --- messages ----------------------------------------------------------------------- */

/* Either family's; control messages of one are all that a socket has. */
union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
};

struct arrival {
	struct sockaddr_storage from;
	int index;           /* of the link by which it came */
	bool group;          /* IPv6: to a multicast address */
	int hops;            /* IPv6: -1 if unknown */
	struct guest *guest; /* NULL: the link has no lease */
	size_t size;
	uint8_t bytes[MESSAGE_MAX];
};

static void read_control(struct msghdr *msg, struct arrival *arrival)
{
	arrival->index = 0;
	arrival->hops = -1;
	arrival->group = false;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
			arrival->index = info.ipi_ifindex;
		} else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
			arrival->index = (int)info.ipi6_ifindex;
			arrival->group = IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
		} else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_HOPLIMIT) {
			memcpy(&arrival->hops, CMSG_DATA(cmsg), sizeof(arrival->hops));
		}
	}
}

static struct guest *find_guest(struct leases *leases, int index)
{
	for (unsigned i = 0; i < leases->count; i++)
		if (leases->guests[i].lease.index == index)
			return &leases->guests[i];
	return NULL;
}

/* False: there is none left. */
static bool receive(struct leases *leases, int fd, struct arrival *arrival)
{
	union control control;
	struct iovec iov = {arrival->bytes, sizeof(arrival->bytes)};
	struct msghdr msg = {
		.msg_name = &arrival->from,
		.msg_namelen = sizeof(arrival->from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &msg, MSG_TRUNC);

	if (n < 0)
		return false;
	read_control(&msg, arrival);
	arrival->size = (size_t)n;
	/* Nothing that anybody would answer is longer than a link's packet. */
	arrival->guest = arrival->size <= sizeof(arrival->bytes) ? find_guest(leases, arrival->index) : NULL;
	return true;
}

static bool send_to(int fd, const struct sockaddr *to, socklen_t to_len, union control *control, size_t control_len,
		    const void *data, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)data, size};
	struct msghdr msg = {
		.msg_name = (void *)(uintptr_t)to,
		.msg_namelen = to_len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = control_len,
	};

	return sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0;
}

/* From the router's address on the guest's link. */
static bool send_v4(int fd, const struct vnic_lease *lease, const struct sockaddr_in *to, const void *data, size_t size)
{
	struct in_pktinfo info = {.ipi_ifindex = lease->index};
	union control control = {.align = {
					 .cmsg_level = IPPROTO_IP,
					 .cmsg_type = IP_PKTINFO,
					 .cmsg_len = CMSG_LEN(sizeof(info)),
				 }};

	memcpy(&info.ipi_spec_dst, lease->router[VNIC_V4].bytes, sizeof(info.ipi_spec_dst));
	memcpy(CMSG_DATA(&control.align), &info, sizeof(info));
	return send_to(fd, (const struct sockaddr *)to, sizeof(*to), &control, CMSG_SPACE(sizeof(info)), data, size);
}

static bool send_v6(int fd, const struct vnic_lease *lease, const struct sockaddr_in6 *to, const void *data,
		    size_t size)
{
	struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)lease->index};
	union control control = {.align = {
					 .cmsg_level = IPPROTO_IPV6,
					 .cmsg_type = IPV6_PKTINFO,
					 .cmsg_len = CMSG_LEN(sizeof(info)),
				 }};

	memcpy(&info.ipi6_addr, lease->link_local.bytes, sizeof(info.ipi6_addr));
	memcpy(CMSG_DATA(&control.align), &info, sizeof(info));
	return send_to(fd, (const struct sockaddr *)to, sizeof(*to), &control, CMSG_SPACE(sizeof(info)), data, size);
}

/* --- DHCP --------------------------------------------------------------------------- */

/* An answer counts when it is on its way. */
static void count(struct leases *leases, enum lease_outcome outcome, bool done)
{
	struct vnic_lease_stats *stats = leases->stats;
	uint64_t *const counters[] = {
		[LEASE_IGNORED] = &stats->ignored, [LEASE_OFFERED] = NULL,      [LEASE_GIVEN] = &stats->given,
		[LEASE_REFUSED] = &stats->refused, [LEASE_TOLD] = &stats->told, [LEASE_RETURNED] = &stats->returned,
	};

	if (!done)
		stats->ignored++;
	else if (counters[outcome])
		++*counters[outcome];
}

static void remember(struct guest *guest, bool v6, enum lease_outcome outcome)
{
	if (outcome == LEASE_GIVEN)
		guest->has[v6] = true;
	else if (outcome == LEASE_RETURNED)
		guest->has[v6] = false;
}

static void take_dhcp(struct leases *leases, int fd, const struct arrival *arrival)
{
	const struct vnic_lease *lease = &arrival->guest->lease;
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(DHCP_CLIENT_PORT),
		.sin_addr.s_addr = htonl(INADDR_BROADCAST),
	};
	struct dhcp_answer answer = {.outcome = LEASE_IGNORED};

	if (lease->addr[VNIC_V4].family)
		dhcp_answer(lease, arrival->bytes, arrival->size, &answer);
	if (answer.unicast)
		memcpy(&to.sin_addr, lease->addr[VNIC_V4].bytes, sizeof(to.sin_addr));
	remember(arrival->guest, false, answer.outcome);
	count(leases, answer.outcome, !answer.size || send_v4(fd, lease, &to, answer.bytes, answer.size));
}

/* To the port from which it came, which need not be the usual one. */
static void take_dhcp6(struct leases *leases, int fd, const struct arrival *arrival)
{
	const struct sockaddr_in6 *from = (const struct sockaddr_in6 *)&arrival->from;
	const struct vnic_lease *lease = &arrival->guest->lease;
	struct dhcp6_answer answer = {.outcome = LEASE_IGNORED};

	/* RFC 8415 section 18.4: nobody was told that he may ask a single address. */
	if (lease->addr[VNIC_V6].family && arrival->group)
		dhcp6_answer(lease, arrival->bytes, arrival->size, &answer);
	remember(arrival->guest, true, answer.outcome);
	count(leases, answer.outcome, !answer.size || send_v6(fd, lease, from, answer.bytes, answer.size));
}

/* --- router advertisements ---------------------------------------------------------- */

static void advertise(struct leases *leases, int fd, struct guest *guest, const struct in6_addr *to)
{
	const struct sockaddr_in6 addr = {
		.sin6_family = AF_INET6,
		.sin6_addr = *to,
		.sin6_scope_id = (uint32_t)guest->lease.index,
	};
	uint8_t message[RA_MADE];

	if (send_v6(fd, &guest->lease, &addr, message, ra_make(&guest->lease, message)))
		leases->stats->advertised++;
	else
		leases->stats->ignored++;
}

static bool advertise_to_all(struct leases *leases, int fd, struct guest *guest)
{
	int64_t now = leases->gateway->now;

	if (guest->told_all_at && now - guest->told_all_at < MULTICAST_PAUSE)
		return false;
	guest->told_all_at = now;
	advertise(leases, fd, guest, &all_nodes);
	return true;
}

static void advertise_later(struct leases *leases)
{
	if (!leases->advertise_at)
		leases->advertise_at = leases->gateway->now + RA_INTERVAL * NS_PER_S;
	gateway_wake_at(leases->gateway, leases->advertise_at);
}

static void take_solicitation(struct leases *leases, int fd, const struct arrival *arrival)
{
	const struct in6_addr *from = &((const struct sockaddr_in6 *)&arrival->from)->sin6_addr;
	bool nameless = IN6_IS_ADDR_UNSPECIFIED(from);
	struct guest *guest = arrival->guest;

	if (!guest->lease.addr[VNIC_V6].family ||
	    !ra_is_solicitation(arrival->bytes, arrival->size, arrival->hops, nameless)) {
		leases->stats->ignored++;
		return;
	}
	guest->solicited = true;
	advertise_later(leases);
	if (!nameless)
		advertise(leases, fd, guest, from);
	else if (!advertise_to_all(leases, fd, guest))
		leases->stats->ignored++;
}

void leases_expire(struct leases *leases)
{
	int fd = leases->gateway->config.lease_sockets[VNIC_LEASE_SOLICIT];

	if (!leases->advertise_at)
		return;
	if (leases->gateway->now >= leases->advertise_at) {
		leases->advertise_at = 0;
		for (unsigned i = 0; i < leases->count; i++)
			if (leases->guests[i].solicited)
				advertise_to_all(leases, fd, &leases->guests[i]);
	}
	advertise_later(leases);
}

/* --- life --------------------------------------------------------------------------- */

void leases_event(struct leases *leases, enum vnic_lease_socket socket)
{
	int fd = leases->gateway->config.lease_sockets[socket];
	struct arrival arrival;

	for (unsigned i = 0; i < BATCH && receive(leases, fd, &arrival); i++) {
		if (!arrival.guest)
			leases->stats->ignored++;
		else if (socket == VNIC_LEASE_DHCP)
			take_dhcp(leases, fd, &arrival);
		else if (socket == VNIC_LEASE_DHCP6)
			take_dhcp6(leases, fd, &arrival);
		else
			take_solicitation(leases, fd, &arrival);
	}
	/* Level-triggered: what is left is the next event. */
}

int leases_new(struct vnic_gateway *gateway, struct leases **ret_leases, struct vnic_error *err)
{
	const struct vnic_gateway_config *config = &gateway->config;
	struct leases *leases;
	int r = 0;

	if (config->lease_count > VNIC_LEASES)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "leases", "more than %d", VNIC_LEASES);
	leases = calloc(1, sizeof(*leases));
	if (!leases)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	leases->gateway = gateway;
	leases->stats = &gateway->stats.leases;
	leases->count = config->lease_count;
	for (unsigned i = 0; i < leases->count; i++)
		leases->guests[i].lease = config->leases[i];
	for (uint16_t i = 0; i < VNIC_LEASE_SOCKETS && r == 0; i++)
		if (config->lease_sockets[i] >= 0)
			r = loop_add(gateway->epfd, config->lease_sockets[i], EPOLLIN,
				     (struct loop_ref){.type = REF_LEASE, .sub = i}, err);
	if (r < 0)
		leases_free(leases);
	else
		*ret_leases = leases;
	return r;
}

void leases_free(struct leases *leases)
{
	free(leases);
}

bool leases_lack(const struct leases *leases, const struct vnic_addr *addr, bool v6)
{
	for (unsigned i = 0; leases && i < leases->count; i++) {
		const struct guest *guest = &leases->guests[i];
		const struct vnic_addr *own = &guest->lease.addr[v6];

		if (own->family && own->family == addr->family && !memcmp(own->bytes, addr->bytes, sizeof(own->bytes)))
			return !guest->has[v6] && guest->has[!v6];
	}
	return false;
}
