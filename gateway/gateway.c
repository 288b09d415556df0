/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway's loop: wait, take the time, hand each event to its part, let the parts settle.
 *
 * One thread, one epoll, nothing that blocks.  A timer is armed only for what is due: an idle gateway
 * sleeps.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>

#include "dns.h"
#include "fd.h"
#include "internal.h"

#define EVENTS 256
#define SPIN_NS 150000              /* how long to look before going to sleep: an answer's way by two sleeping CPUs */
#define CROWDED_NS 100000           /* giving way took longer: there are more to run than CPUs */
#define VAIN_REST_NS (10 * 1000000) /* when it was in vain, not to look again for so long */
#define CROWDED_REST_NS NS_PER_S    /* and when somebody else needs the CPU */
#define SLOW_BATCH 4096             /* packets of the slow path in one turn: all that its socket can hold, and an end */

/* --- addresses ---------------------------------------------------------------------- */

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

/* FNV-1a over the key's bytes, 64 bits; the sandbox can only crowd its own flows into a bucket. */
uint64_t flow_key_hash(const struct flow_key *key)
{
	const uint8_t *p = (const uint8_t *)key;
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof(*key); i++)
		hash = (hash ^ p[i]) * 0x100000001b3;
	return hash ^ hash >> 32;
}

/* --- when there are no descriptors left ----------------------------------------------- */

static void keep_spare(struct vnic_gateway *gateway)
{
	if (gateway->spare_fd < 0)
		gateway->spare_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

/* After a call has failed.  True: there is room for one descriptor, until keep_spare. */
static bool lend_spare(struct vnic_gateway *gateway)
{
	if ((errno != EMFILE && errno != ENFILE) || gateway->spare_fd < 0)
		return false;
	close_fd(&gateway->spare_fd);
	return true;
}

void gateway_reset(int *fd)
{
	const struct linger reset = {.l_onoff = 1};

	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close_fd(fd);
}

int gateway_accept(struct vnic_gateway *gateway, int listener, struct sockaddr_storage *ret_from)
{
	socklen_t len = sizeof(*ret_from);
	int fd = accept4(listener, (struct sockaddr *)ret_from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 || !lend_spare(gateway))
		return fd;
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		gateway->stats.full++;
		gateway_reset(&fd);
	}
	keep_spare(gateway);
	errno = EAGAIN;
	return -1;
}

/* --- admission ---------------------------------------------------------------------- */

/* A flow to there would fail, too.  After all other errors: rather refuse than let through. */
static bool leads_nowhere(int code)
{
	return code == EINVAL || code == ENETUNREACH || code == EHOSTUNREACH;
}

/* No link has a longer MTU than this but the loopback, by which all goes that comes back to the host. */
#define LINK_MTU_MAX 65535

static bool is_by_loopback(int fd)
{
	int mtu = 0;

	return getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &(socklen_t){sizeof(mtu)}) < 0 || mtu > LINK_MTU_MAX;
}

/*
 * IPv6: its own addresses are the ones to which the host speaks from just there.  It takes others for its own, too:
 * anycast addresses, which are nobody's source, networks with a route of the type local, and "::".
 */
static bool is_own6(int fd, const struct destination *destination)
{
	const struct sockaddr_in6 *to = (const struct sockaddr_in6 *)&destination->addr;
	struct sockaddr_in6 from;

	if (IN6_IS_ADDR_UNSPECIFIED(&to->sin6_addr) ||
	    IN6_IS_ADDR_V4MAPPED(&to->sin6_addr)) /* which leads nowhere, see host_socket */
		return true;
	if (connect(fd, (const struct sockaddr *)to, destination->len) < 0)
		return !leads_nowhere(errno) && errno != EACCES; /* a route that prohibits it */
	if (getsockname(fd, (struct sockaddr *)&from, &(socklen_t){sizeof(from)}) < 0)
		return true;
	return !memcmp(&from.sin6_addr, &to->sin6_addr, sizeof(from.sin6_addr)) || is_by_loopback(fd);
}

/*
 * IPv4: a socket can be bound to the host's own addresses and to no others.  Where the host's administrator has set
 * ip_nonlocal_bind it can to any: then the kernel refuses the way from there.  (Rejected: connecting alone and looking
 * at the source, which is the primary address where a secondary one is meant.)
 */
static bool is_own4(int fd, const struct destination *destination)
{
	struct sockaddr_in addr;

	memcpy(&addr, &destination->addr, sizeof(addr));
	addr.sin_port = 0;
	if (bind(fd, (const struct sockaddr *)&addr, destination->len) < 0)
		return errno != EADDRNOTAVAIL && errno != EINVAL;
	return connect(fd, (const struct sockaddr *)&addr, destination->len) == 0 || !leads_nowhere(errno);
}

static bool is_own(struct vnic_gateway *gateway, const struct destination *destination)
{
	int family = destination->addr.ss_family, fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool own;

	if (fd < 0 && lend_spare(gateway))
		fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) /* rather refuse than let through */
		return errno != EAFNOSUPPORT;
	own = family == AF_INET6 ? is_own6(fd, destination) : is_own4(fd, destination);
	close_fd(&fd);
	keep_spare(gateway);
	return own;
}

static const char *option_for(const struct vnic_policy_flow *flow, char *buf, size_t size)
{
	enum vnic_class class = vnic_policy_class(&flow->dst, flow->host);
	char text[VNIC_ADDR_TEXT];

	if (class == VNIC_CLASS_SPECIAL)
		snprintf(buf, size, "--allow %s", vnic_addr_text(&flow->dst, false, text));
	else
		snprintf(buf, size, "--allow %s", vnic_class_text(class));
	return buf;
}

static void deny(struct vnic_gateway *gateway, const struct vnic_policy_flow *flow)
{
	unsigned kind = (unsigned)vnic_policy_class(&flow->dst, flow->host) * 4 + flow->proto;
	char option[96];

	gateway->stats.denied++;
	if (gateway->denied_told & 1u << kind || !gateway->config.denied)
		return;
	gateway->denied_told |= 1u << kind;
	gateway->config.denied(gateway->config.ctx, flow, option_for(flow, option, sizeof(option)));
}

bool gateway_admit(struct vnic_gateway *gateway, const struct flow_key *key, enum vnic_proto proto,
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

	if (dns_owns(gateway->dns, key))
		return dns_resolver(gateway->dns, ret_destination);
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
	if (!flow.host)
		flow.host = is_own(gateway, &destination);
	if (!vnic_policy_allows(&gateway->config.policy, &flow)) {
		deny(gateway, &flow);
		return false;
	}
	destination.host = flow.host;
	*ret_destination = destination;
	return true;
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

/* --- the slow path ------------------------------------------------------------------ */

void gateway_inject(struct vnic_gateway *gateway, const struct vnic_vnet_hdr *hdr, const void *frame, size_t size)
{
	struct iovec iov[2] = {{.iov_base = (void *)hdr, .iov_len = sizeof(*hdr)},
			       {.iov_base = (void *)frame, .iov_len = size}};
	uint8_t *link = (uint8_t *)frame;

	/* Ours or one that came in: either way it goes to the router's end. */
	memcpy(link, &gateway->ends, sizeof(gateway->ends));
	if (TEMP_FAILURE_RETRY(writev(gateway->config.slow_fd, iov, 2)) < 0)
		gateway->stats.ignored++;
}

static void inject_made(struct vnic_gateway *gateway, const uint8_t *frame, size_t size)
{
	static const struct vnic_vnet_hdr plain = {0};

	gateway_inject(gateway, &plain, frame, size);
}

void gateway_inject_reset(struct vnic_gateway *gateway, const struct packet *syn)
{
	uint8_t frame[128];

	inject_made(gateway, frame, packet_make_reset(syn, &gateway->ends, frame));
}

#define ERROR_FRAME 1400

void gateway_inject_error(struct vnic_gateway *gateway, const struct packet *cause, const struct icmp_error *error)
{
	uint8_t frame[ERROR_FRAME];

	inject_made(gateway, frame, packet_make_error(cause, error, &gateway->ends, frame));
}

void gateway_inject_unreachable(struct vnic_gateway *gateway, const struct packet *cause, enum unreachable why)
{
	uint8_t frame[ERROR_FRAME];

	inject_made(gateway, frame, packet_make_unreachable(cause, why, &gateway->ends, frame));
}

static void take_packet(struct vnic_gateway *gateway, const struct vnic_vnet_hdr *hdr, uint8_t *frame, size_t size)
{
	struct packet packet;

	if (!packet_parse(frame, size, &packet)) {
		gateway->stats.malformed++;
		return;
	}
	/* No listener answers a SYN that is a FIN too (RFC 9293 3.10.7.2, and Linux), so it must not connect anything.
	 */
	if (!packet.fragment && packet.proto == IPPROTO_TCP &&
	    (packet_tcp_flags(&packet) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN) {
		tcp_syn(gateway->tcp, hdr, frame, size, &packet);
	} else if (packet.proto == IPPROTO_ICMP || packet.proto == IPPROTO_ICMPV6) {
		icmp_echo(gateway->icmp, &packet);
	} else {
		gateway->stats.ignored++;
	}
}

static void read_slow(struct vnic_gateway *gateway)
{
	static uint8_t frame[PACKET_MAX]; /* one gateway a process, one thread a gateway */
	struct vnic_vnet_hdr hdr;
	struct iovec iov[2] = {{.iov_base = &hdr, .iov_len = sizeof(hdr)},
			       {.iov_base = frame, .iov_len = sizeof(frame)}};

	for (int i = 0; i < SLOW_BATCH; i++) {
		ssize_t n = readv(gateway->config.slow_fd, iov, 2);

		if (n < 0)
			return;
		if (n > (ssize_t)sizeof(hdr))
			take_packet(gateway, &hdr, frame, (size_t)n - sizeof(hdr));
	}
	/* Level-triggered: what is left is the next event. */
}

/* --- time --------------------------------------------------------------------------- */

void gateway_wake_at(struct vnic_gateway *gateway, int64_t when)
{
	struct itimerspec spec = {
		.it_value = {.tv_sec = when / NS_PER_S, .tv_nsec = when % NS_PER_S},
	};

	if (gateway->timer_at && gateway->timer_at <= when)
		return;
	gateway->timer_at = when;
	timerfd_settime(gateway->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void expire(struct vnic_gateway *gateway)
{
	uint64_t times;

	if (read(gateway->timer_fd, &times, sizeof(times)) < 0)
		return;
	gateway->timer_at = 0;
	tcp_expire(gateway->tcp);
	udp_expire(gateway->udp);
	icmp_expire(gateway->icmp);
	if (gateway->dns)
		dns_expire(gateway->dns);
	if (gateway->leases)
		leases_expire(gateway->leases);
}

static int64_t monotonic_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* --- the loop ----------------------------------------------------------------------- */

static void take_event(struct vnic_gateway *gateway, const struct epoll_event *event)
{
	struct loop_ref ref = loop_ref_of(event);
	bool v6 = ref.sub == VNIC_V6;

	switch ((enum gateway_ref)ref.type) {
	case REF_SLOW:
		read_slow(gateway);
		break;
	case REF_TCP_LISTEN:
		tcp_accept(gateway->tcp, gateway->config.tcp[v6]);
		break;
	case REF_TCP_FLOW:
		tcp_event(gateway->tcp, ref.index, ref.sub, event->events);
		break;
	case REF_PUBLISH:
		publish_event(gateway->publish, ref.index);
		break;
	case REF_UDP_NEW:
		udp_new_datagrams(gateway->udp, gateway->config.udp[v6], v6 ? AF_INET6 : AF_INET);
		break;
	case REF_UDP_FLOW:
		udp_event(gateway->udp, ref.index, ref.sub, event->events);
		break;
	case REF_ICMP_FLOW:
		icmp_event(gateway->icmp, ref.index);
		break;
	case REF_DNS:
		dns_event(gateway->dns, ref.index, ref.sub, event->events);
		break;
	case REF_LEASE:
		leases_event(gateway->leases, ref.sub);
		break;
	case REF_TIMER:
		expire(gateway);
		break;
	case REF_STOP:
		gateway->stopped = true;
		break;
	}
}

/*
 * To wake a thread on a sleeping CPU costs who wakes it tens of microseconds in a virtual machine, four times for a
 * question and its answer.  So after small things have moved we look again for a moment, giving way to whoever is ready
 * to run.  Where nothing came of it, or somebody else needs the CPU, we sleep at once for a while: that costs less.
 */
static int look_again(struct vnic_gateway *gateway, struct epoll_event *events, struct vnic_error *err)
{
	int64_t now = monotonic_now(), end = now + SPIN_NS, last;
	int n;

	if (now < gateway->sleepy_until || tcp_is_bulk(gateway->tcp))
		return 0;
	do {
		n = loop_wait(gateway->epfd, events, EVENTS, 0, err);
		if (n)
			return n;
		last = now;
		sched_yield();
		now = monotonic_now();
	} while (now < end && now - last < CROWDED_NS);
	gateway->sleepy_until = now + (now - last < CROWDED_NS ? VAIN_REST_NS : CROWDED_REST_NS);
	return 0;
}

static int wait_for_events(struct vnic_gateway *gateway, struct epoll_event *events, int timeout_ms,
			   struct vnic_error *err)
{
	int n = 0;

	if (timeout_ms != 0)
		n = look_again(gateway, events, err);
	return n ? n : loop_wait(gateway->epfd, events, EVENTS, timeout_ms, err);
}

static void tell_bulk(struct vnic_gateway *gateway)
{
	bool bulk = tcp_is_bulk(gateway->tcp);

	if (bulk != gateway->bulk && gateway->config.bulk)
		gateway->config.bulk(gateway->config.ctx, bulk);
	gateway->bulk = bulk;
}

int vnic_gateway_dispatch(struct vnic_gateway *gateway, int timeout_ms, struct vnic_error *err)
{
	struct epoll_event events[EVENTS];
	int n = wait_for_events(gateway, events, gateway->busy ? 0 : timeout_ms, err);

	if (n < 0)
		return n;
	gateway->now = monotonic_now();
	for (int i = 0; i < n; i++)
		take_event(gateway, &events[i]);
	if (gateway->busy) {
		gateway->busy = false;
		tcp_again(gateway->tcp);
	}
	tcp_settle(gateway->tcp);
	udp_settle(gateway->udp);
	icmp_settle(gateway->icmp);
	if (gateway->dns)
		dns_settle(gateway->dns);
	tell_bulk(gateway);
	if (gateway->busy) /* for a caller who waits on our descriptor */
		gateway_wake_at(gateway, gateway->now);
	if (!gateway->stopped)
		return 0;
	gateway->stopped = false; /* a caller who reads what is there may go on */
	return -ECANCELED;
}

/* --- life --------------------------------------------------------------------------- */

static int watch(struct vnic_gateway *gateway, struct vnic_error *err)
{
	const struct vnic_gateway_config *config = &gateway->config;
	int r = loop_add(gateway->epfd, config->slow_fd, EPOLLIN, (struct loop_ref){.type = REF_SLOW}, err);

	if (r == 0)
		r = loop_add(gateway->epfd, gateway->timer_fd, EPOLLIN, (struct loop_ref){.type = REF_TIMER}, err);
	for (uint16_t v = VNIC_V4; v <= VNIC_V6 && r == 0; v++) {
		if (config->tcp[v] >= 0)
			r = loop_add(gateway->epfd, config->tcp[v], EPOLLIN,
				     (struct loop_ref){.type = REF_TCP_LISTEN, .sub = v}, err);
		if (r == 0 && config->udp[v] >= 0)
			r = loop_add(gateway->epfd, config->udp[v], EPOLLIN,
				     (struct loop_ref){.type = REF_UDP_NEW, .sub = v}, err);
	}
	return r;
}

static bool has_forwarder(const struct vnic_dns_config *config)
{
	return config->listen[VNIC_V4].family || config->listen[VNIC_V6].family;
}

static int set_up(struct vnic_gateway *gateway, struct vnic_error *err)
{
	int r = loop_open(&gateway->epfd, err);

	if (r < 0)
		return r;
	gateway->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (gateway->timer_fd < 0)
		return vnic_fail(err, VNIC_STEP_OPEN, errno, "a timer", NULL);
	keep_spare(gateway);
	memcpy(gateway->ends.to, gateway->config.slow_mac.bytes, VNIC_MAC_LEN);
	memcpy(gateway->ends.from, gateway->config.own_mac.bytes, VNIC_MAC_LEN);
	r = tcp_new(gateway, &gateway->tcp, err);
	if (r == 0)
		r = udp_new(gateway, &gateway->udp, err);
	if (r == 0)
		r = icmp_new(gateway, &gateway->icmp, err);
	if (r == 0 && has_forwarder(&gateway->config.dns))
		r = dns_new(gateway, &gateway->config.dns, &gateway->dns, err);
	if (r == 0 && gateway->config.lease_count)
		r = leases_new(gateway, &gateway->leases, err);
	if (r == 0)
		r = publish_new(gateway, &gateway->publish, err);
	return r < 0 ? r : watch(gateway, err);
}

/* Until the configuration's descriptors are ours they stay the caller's. */
static void disown(struct vnic_gateway_config *config)
{
	config->slow_fd = config->tcp[0] = config->tcp[1] = config->udp[0] = config->udp[1] = -1;
	config->lease_count = 0;
}

int vnic_gateway_new(const struct vnic_gateway_config *config, struct vnic_gateway **ret_gateway,
		     struct vnic_error *err)
{
	struct vnic_gateway *gateway = malloc(sizeof(*gateway));

	if (!gateway)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	*gateway = (struct vnic_gateway){
		.config = *config,
		.epfd = -1,
		.spare_fd = -1,
		.timer_fd = -1,
		.sleepy_until = monotonic_now() + VAIN_REST_NS, /* the sandbox is being made, and needs the CPU */
	};
	int r = set_up(gateway, err);
	if (r < 0) {
		disown(&gateway->config);
		vnic_gateway_free(gateway);
		return r;
	}
	*ret_gateway = gateway;
	return 0;
}

void vnic_gateway_free(struct vnic_gateway *gateway)
{
	if (!gateway)
		return;
	publish_free(gateway->publish, gateway->config.slow_fd < 0);
	tcp_free(gateway->tcp);
	udp_free(gateway->udp);
	icmp_free(gateway->icmp);
	dns_free(gateway->dns);
	leases_free(gateway->leases);
	for (unsigned i = 0; i < VNIC_LEASE_SOCKETS && gateway->config.lease_count; i++)
		close_fd(&gateway->config.lease_sockets[i]);
	for (int i = 0; i < 2; i++) {
		close_fd(&gateway->config.tcp[i]);
		close_fd(&gateway->config.udp[i]);
	}
	close_fd(&gateway->config.slow_fd);
	close_fd(&gateway->spare_fd);
	close_fd(&gateway->timer_fd);
	close_fd(&gateway->epfd);
	free(gateway);
}

int vnic_gateway_stop_on(struct vnic_gateway *gateway, int fd, struct vnic_error *err)
{
	return loop_add(gateway->epfd, fd, EPOLLIN | EPOLLRDHUP, (struct loop_ref){.type = REF_STOP}, err);
}

int vnic_gateway_get_fd(const struct vnic_gateway *gateway)
{
	return gateway->epfd;
}

void vnic_gateway_get_stats(const struct vnic_gateway *gateway, struct vnic_gateway_stats *ret_stats)
{
	*ret_stats = gateway->stats;
	ret_stats->udp_overrun = udp_overrun(gateway->udp) + publish_overrun(gateway->publish);
}

void vnic_gateway_set_resolvers(struct vnic_gateway *gateway, const struct vnic_dns_servers *servers)
{
	if (gateway->dns)
		dns_set_servers(gateway->dns, servers);
}

void vnic_gateway_get_dns_stats(const struct vnic_gateway *gateway, struct vnic_dns_stats *ret_stats)
{
	*ret_stats = (struct vnic_dns_stats){0};
	if (gateway->dns)
		dns_get_stats(gateway->dns, ret_stats);
}
