/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway's loop: wait, take the time, hand each event to its part, let the parts settle.
 *
 * One thread, one epoll, nothing that blocks.  A timer is armed only for what is due: an idle gateway
 * sleeps.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "dns.h"
#include "fd.h"
#include "internal.h"
#include "names.h"

#define EVENTS 256
#define SPIN_NS 150000              /* how long to look before going to sleep: an answer's way by two sleeping CPUs */
#define CROWDED_NS 100000           /* giving way took longer: there are more to run than CPUs */
#define VAIN_REST_NS (10 * 1000000) /* when it was in vain, not to look again for so long */
#define CROWDED_REST_NS NS_PER_S    /* and when somebody else needs the CPU */
#define OWN_DESCRIPTORS 64          /* of the loop, the slow path, listeners and leases, and some to spare */
#define SLOW_BATCH 4096             /* packets of the slow path in one turn: all that its socket can hold, and an end */

/* --- the slow path ------------------------------------------------------------------ */

void gateway_inject(struct vnic_gateway *gateway, const struct vnic_vnet_hdr *hdr, uint8_t *frame, size_t size)
{
	struct iovec iov[2] = {{.iov_base = (void *)hdr, .iov_len = sizeof(*hdr)},
			       {.iov_base = frame, .iov_len = size}};

	memcpy(frame, &gateway->ends, sizeof(gateway->ends));
	if (TEMP_FAILURE_RETRY(writev(gateway->config.slow_fd, iov, 2)) < 0)
		gateway->stats.ignored++;
}

void gateway_inject_made(struct vnic_gateway *gateway, uint8_t *frame, size_t size)
{
	static const struct vnic_vnet_hdr plain = {0};

	gateway_inject(gateway, &plain, frame, size);
}

void gateway_inject_reset(struct vnic_gateway *gateway, const struct packet *syn)
{
	uint8_t frame[128];

	gateway_inject_made(gateway, frame, packet_make_reset(syn, &gateway->ends, frame));
}

#define ERROR_FRAME 1400

void gateway_inject_error(struct vnic_gateway *gateway, const struct packet *cause, const struct icmp_error *error)
{
	uint8_t frame[ERROR_FRAME];

	gateway_inject_made(gateway, frame, packet_make_error(cause, error, &gateway->ends, frame));
}

void gateway_inject_unreachable(struct vnic_gateway *gateway, const struct packet *cause, enum unreachable why)
{
	uint8_t frame[ERROR_FRAME];

	gateway_inject_made(gateway, frame, packet_make_unreachable(cause, why, &gateway->ends, frame));
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
		else
			gateway->stats.malformed++;
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
	case REF_RING:
		flood_event(gateway->udp);
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
	int64_t now = monotonic_ns(), end = now + SPIN_NS, last;
	int n;

	if (now < gateway->sleepy_until || tcp_is_bulk(gateway->tcp))
		return 0;
	do {
		n = loop_wait(gateway->epfd, events, EVENTS, 0, err);
		if (n)
			return n;
		last = now;
		sched_yield();
		now = monotonic_ns();
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
	gateway->now = monotonic_ns();
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

/* To rules that have one, and for advice where the Internet is closed. */
static bool names_matter(const struct vnic_policy *policy)
{
	for (unsigned i = 0; i < policy->count; i++) {
		const struct vnic_rule_policy *rule = &policy->rules[i];

		if (!rule->allow && rule->by_class &&
		    (rule->dst_class == VNIC_CLASS_INTERNET || rule->dst_class == VNIC_CLASS_ANY))
			return true;
	}
	return policy->names_size > 0;
}

static int set_up(struct vnic_gateway *gateway, struct vnic_error *err)
{
	int r = hash_secret_make(&gateway->secret);

	if (r < 0)
		return vnic_fail(err, VNIC_STEP_READ, -r, "the kernel's random numbers", NULL);
	r = loop_open(&gateway->epfd, err);
	if (r < 0)
		return r;
	gateway->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (gateway->timer_fd < 0)
		return vnic_fail(err, VNIC_STEP_OPEN, errno, "a timer", NULL);
	gateway_keep_spare(gateway);
	gateway->max = shares_here(OWN_DESCRIPTORS + gateway->config.publish_count);
	if (gateway->config.tcp_max)
		gateway->max.tcp = gateway->config.tcp_max;
	if (gateway->config.udp_max)
		gateway->max.udp = gateway->config.udp_max;
	memcpy(gateway->ends.to, gateway->config.slow_mac.bytes, VNIC_MAC_LEN);
	memcpy(gateway->ends.from, gateway->config.own_mac.bytes, VNIC_MAC_LEN);
	r = tcp_new(gateway, &gateway->tcp, err);
	if (r == 0)
		r = udp_new(gateway, &gateway->udp, err);
	if (r == 0)
		r = icmp_new(gateway, &gateway->icmp, err);
	if (r == 0 && (names_matter(&gateway->config.policy) || gateway->config.log) &&
	    names_new(&gateway->config.policy, &gateway->secret, &gateway->names) < 0)
		r = vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
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
		.sleepy_until = monotonic_ns() + VAIN_REST_NS, /* the sandbox is being made, and needs the CPU */
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
	names_free(gateway->names);
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

void vnic_gateway_take_ring(struct vnic_gateway *gateway, int fd)
{
	flood_take_ring(gateway->udp, fd);
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

void vnic_gateway_get_rest(const struct vnic_gateway *gateway, struct vnic_gateway_rest *ret_rest)
{
	tcp_get_rest(gateway->tcp, ret_rest);
}

void vnic_gateway_set_resolvers(struct vnic_gateway *gateway, const struct vnic_dns_servers *servers)
{
	if (!gateway->dns)
		return;
	gateway->now = monotonic_ns(); /* the caller may have waited since the last turn */
	dns_set_servers(gateway->dns, servers);
}

void vnic_gateway_get_dns_stats(const struct vnic_gateway *gateway, struct vnic_dns_stats *ret_stats)
{
	*ret_stats = (struct vnic_dns_stats){0};
	if (gateway->dns)
		dns_get_stats(gateway->dns, ret_stats);
	if (gateway->names)
		names_count(gateway->names, &ret_stats->known, &ret_stats->known_full);
}
