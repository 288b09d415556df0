/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway's process.
 *
 *   close what is others' -> session of its own -> nobody, no capability, no new privileges -> the router's
 *   descriptors -> confined (gateway/confine.c) -> READY -> flows -> the sandbox has ended: what it has sent goes out
 *   -> until the front ends
 *
 * It parses what the sandbox sends, so it is the one that is attacked: it has nothing to give.  Its side of the
 * host is what any process of the user's has, and the policy stands before it.
 */
#include "gate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vnic/fdpass.h>

#include "background.h"
#include "build.h"
#include "clock.h"
#include "confine.h"
#include "fd.h"

#define NOBODY 65534
#define STATUS_OURS 125

/*
 * When the sandbox has ended.  Its kernel ends its connections at once, but not a guest's that was switched off.  What
 * a remote takes goes out for as long as that takes; the front does not wait for ever.
 */
#define QUIET_MS 300  /* without an end of a connection that may still come: what was lost is sent again after 200 */
#define STUCK_MS 2000 /* without a byte that a remote has taken */

int gate_open(struct gate *gate, struct vnic_error *err)
{
	int r = ns_step_open(&gate->step, err);

	if (r == 0 && (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gate->hello) < 0 ||
		       socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gate->opener) < 0))
		r = vnic_fail(err, VNIC_STEP_SOCKET, errno, "to another process of vnic", NULL);
	return r;
}

void gate_close(struct gate *gate)
{
	ns_step_close(&gate->step);
	publish_close(&gate->published);
	for (int i = 0; i < 2; i++) {
		close_fd(&gate->hello[i]);
		close_fd(&gate->opener[i]);
	}
}

int gate_send(const struct gate *gate, struct gate_hello *hello, const int fds[GATE_FDS], struct vnic_error *err)
{
	int sent[GATE_FDS];
	unsigned count = 0;

	for (unsigned i = 0; i < GATE_FDS; i++) {
		hello->has[i] = fds[i] >= 0;
		if (hello->has[i])
			sent[count++] = fds[i];
	}
	return vnic_fd_send(gate->hello[1], sent, count, hello, sizeof(*hello), err);
}

/* --- before flows may come ---------------------------------------------------------- */

int gate_drop_privilege(bool privileged, struct vnic_error *err)
{
	/* A user namespace may lack nobody; its root is somebody else outside already. */
	bool leaves =
		privileged && ns_is_mapped("/proc/self/uid_map", NOBODY) && ns_is_mapped("/proc/self/gid_map", NOBODY);
	int r = leaves ? ns_become(NOBODY, NOBODY, err) : 0;

	prctl(PR_SET_DUMPABLE, 0);
	return r < 0 ? r : ns_drop_all_caps(err);
}

static int receive_hello(struct gate *gate, struct gate_hello *hello, int fds[GATE_FDS], struct vnic_error *err)
{
	int sent[GATE_FDS];
	unsigned count = 0, used = 0;
	size_t size = 0;
	int r = vnic_fd_recv(gate->hello[0], sent, GATE_FDS, &count, hello, sizeof(*hello), &size, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < GATE_FDS; i++)
		fds[i] = size == sizeof(*hello) && hello->has[i] && used < count ? sent[used++] : -1;
	if (used > 0 && used == count)
		return 0;
	for (unsigned i = 0; i < count; i++)
		close_fd(&sent[i]);
	return vnic_fail(err, VNIC_STEP_WAIT, EPIPE, NULL, "the router's helper has ended");
}

/* *hello must live as long as *config. */
static int receive(struct gate *gate, struct gate_hello *hello, struct vnic_gateway_config *config,
		   struct vnic_error *err)
{
	int fds[GATE_FDS];
	int r = receive_hello(gate, hello, fds, err);

	if (r < 0)
		return r;
	gate->ipv6 = fds[GATE_TCP6] >= 0;
	config->slow_fd = fds[GATE_SLOW];
	config->tcp[VNIC_V4] = fds[GATE_TCP4];
	config->udp[VNIC_V4] = fds[GATE_UDP4];
	config->tcp[VNIC_V6] = fds[GATE_TCP6];
	config->udp[VNIC_V6] = fds[GATE_UDP6];
	config->slow_mac = hello->slow_mac;
	config->own_mac = hello->own_mac;
	config->backlog = hello->backlog;
	config->leases = hello->leases;
	config->lease_count = hello->lease_count;
	memcpy(config->lease_sockets, fds + GATE_LEASE, sizeof(config->lease_sockets));
	return background_close_at_end(&config->slow_fd, 1, err);
}

/* --- what it says ------------------------------------------------------------------- */

_Static_assert(2 * VNIC_DOMAIN_TEXT + 100 < NS_NOTE_TEXT, "a line is whole, whatever the name");

static void tell_denied_question(const struct gate *gate, const struct vnic_policy_flow *flow, const char *rule)
{
	if (rule)
		ns_note(gate->step.child, "denied: the question for %s; '--allow %s' would allow it", rule, rule);
	else if (flow->name)
		ns_note(gate->step.child, "denied: the question for %s, as '--dns allowed' says", flow->name);
	else
		ns_note(gate->step.child, "denied: a question for no proper name, as '--dns allowed' says");
}

static void tell_denied(void *ctx, const struct vnic_policy_flow *flow, const char *rule)
{
	static const char *const protos[] = {"any", "TCP", "UDP", "ICMP echo"};
	const struct gate *gate = ctx;
	char text[VNIC_ADDR_TEXT], port[16] = "";

	if (!flow->dst.family) {
		tell_denied_question(gate, flow, rule);
		return;
	}
	vnic_addr_text(&flow->dst, false, text);
	if (flow->proto != VNIC_PROTO_ICMP)
		snprintf(port, sizeof(port), " port %u", flow->port);
	if (flow->broadcast)
		ns_note(gate->step.child, "denied: %s to %s%s, a broadcast address: no broadcast leaves",
			protos[flow->proto], text, port);
	else if (rule)
		ns_note(gate->step.child, "denied: %s to %s%s; '--allow %s' would allow it", protos[flow->proto], text,
			port, rule);
	else
		ns_note(gate->step.child, "denied: %s to %s%s, as a --deny says", protos[flow->proto], text, port);
}

static void tell_echo_forbidden(void *ctx)
{
	const struct gate *gate = ctx;

	ns_note(gate->step.child, "no ping leaves: the host forbids ping sockets to this group; 'sudo sysctl "
				  "net.ipv4.ping_group_range=\"0 2147483647\"' would allow them");
}

/* Without a filter it is still a process without privilege. */
static void tell_unconfined(const struct gate *gate, const struct vnic_error *err)
{
	char text[200];

	vnic_error_text(err, text, sizeof(text));
	ns_note(gate->step.child, "the gateway runs without a filter of system calls: %s", text);
}

/* Once.  Of a reader who is slow the log itself tells, and one who has gone wants no more. */
static void tell_unlogged(struct gate *gate, int code)
{
	if (code != EAGAIN && code != EPIPE && !gate->log_failed)
		ns_note(gate->step.child, "lines are missing in the log: %s", strerror(code));
	gate->log_failed |= code != EAGAIN;
}

static ssize_t write_some(struct gate *gate, const char *text, size_t size)
{
	ssize_t n = write(gate->log, text, size);

	if (n >= 0) {
		gate->log_rest = size - (size_t)n;
		memmove(gate->log_cut, text + n, gate->log_rest);
	} else {
		tell_unlogged(gate, errno);
	}
	return n;
}

/*
 * A reader who is too slow misses a line, and one who has gone all of them: SIGPIPE is blocked.  Of a line that a full
 * disk has cut the rest comes first.
 */
static bool write_log(void *ctx, const char *line, size_t size)
{
	struct gate *gate = ctx;

	if (gate->log_rest && (write_some(gate, gate->log_cut, gate->log_rest) < 0 || gate->log_rest))
		return false;
	return write_some(gate, line, size) >= 0;
}

/* --- the process -------------------------------------------------------------------- */

static int ask_router(void *ctx, const struct vnic_open_request *request, int *ret_fd, struct vnic_error *err)
{
	const struct gate *gate = ctx;

	return opener_ask(gate->opener[0], request, ret_fd, err);
}

static void ask_resolvers(void *ctx)
{
	const struct gate *gate = ctx;
	const struct ns_message message = {.type = NS_RESOLVERS};

	ns_message_send(gate->step.child, &message, -1, NULL);
}

static void tell_flood(void *ctx, enum vnic_flood what, const struct vnic_open_request *flow)
{
	const struct gate *gate = ctx;
	struct opener_flood flood = {.what = what};

	if (flow)
		flood.src = flow->connect, flood.dst = flow->bind;
	opener_tell_flood(gate->opener[0], &flood);
}

static void take_turns(void *ctx, bool bulk)
{
	const struct gate *gate = ctx;

	turns_are_bulk(&gate->turns, bulk);
}

static int set_up(struct gate *gate, const struct vnic_opener *opener, struct vnic_gateway **ret_gateway,
		  struct vnic_error *err)
{
	struct vnic_gateway_config config = {
		.opener = opener,
		.flood = tell_flood,
		.bulk = take_turns,
		.router = {gate->router[0], gate->router[1]},
		.sandbox = {gate->sandbox[0], gate->sandbox[1]},
		.publishes = gate->published.ports,
		.publish_count = gate->published.count,
		.policy = *gate->policy,
		.dns = gate->dns,
		.denied = tell_denied,
		.echo_forbidden = tell_echo_forbidden,
		.ctx = gate,
	};
	struct gate_hello hello;
	int r = gate_drop_privilege(gate->privileged, err);

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* who becomes somebody else loses it: prctl(2) */
	if (!config.dns.named)
		config.dns.ask_resolvers = ask_resolvers;
	config.dns.ctx = gate;
	if (gate->log >= 0)
		config.log = write_log;
	raise_fd_limit();
	turns_init(&gate->turns);
	if (r == 0)
		r = receive(gate, &hello, &config, err);
	if (r == 0)
		r = vnic_gateway_new(&config, ret_gateway, err);
	if (r == 0)
		r = vnic_gateway_stop_on(*ret_gateway, gate->step.child, err);
	return r < 0 ? r : vnic_gateway_stop_on(*ret_gateway, gate->hello[0], err);
}

static void write_stats(const struct vnic_gateway *gateway, int fd)
{
	struct gate_stats stats;

	vnic_gateway_get_stats(gateway, &stats.flows);
	vnic_gateway_get_dns_stats(gateway, &stats.dns);
	/* A pipe that nobody reads any more is the reader's affair: SIGPIPE is blocked. */
	(void)!write(fd, &stats, sizeof(stats));
}

static void take_resolvers(struct vnic_gateway *gateway, int fd)
{
	struct vnic_dns_servers servers;
	bool others = fd >= 0 && read(fd, &servers, sizeof(servers)) == (ssize_t)sizeof(servers);

	vnic_gateway_set_resolvers(gateway, others ? &servers : NULL);
}

/* What the front wants; false: it has ended. */
static bool hear_front(struct gate *gate, struct vnic_gateway *gateway)
{
	struct ns_message message;
	CLEANUP_FD int fd = -1;
	int r = ns_message_recv(gate->step.child, false, &message, &fd, NULL);

	if (r == 0 && message.type == NS_STATS)
		write_stats(gateway, fd);
	else if (r == 0 && message.type == NS_FINISH)
		gate->finish.asked = true;
	else if (r == 0 && message.type == NS_RESOLVERS)
		take_resolvers(gateway, fd);
	else if (r == -EMFILE) /* no room for what came with it: it is asked for again */
		vnic_gateway_set_resolvers(gateway, NULL);
	return r == 0 || r == -EAGAIN || r == -EMFILE;
}

/* What the router's helper answers to floods; false: it has ended. */
static bool hear_router(const struct gate *gate, struct vnic_gateway *gateway)
{
	CLEANUP_FD int fd = -1;
	unsigned count = 0;
	size_t size = 0;
	uint8_t byte;
	int r;

	if (recv(gate->hello[0], &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
		return errno == EAGAIN;
	r = vnic_fd_recv(gate->hello[0], &fd, 1, &count, &byte, 1, &size, NULL);
	if (r == -EMFILE)
		vnic_gateway_take_ring(gateway, r);
	else if (r < 0 || size == 0)
		return false;
	else
		vnic_gateway_take_ring(gateway, take_fd(&fd));
	return true;
}

/* True: something has moved since the last look. */
static bool look_at_rest(struct gate *gate, const struct vnic_gateway *gateway, int64_t now)
{
	struct vnic_gateway_rest rest, before = gate->finish.rest;
	struct vnic_gateway_stats stats;

	vnic_gateway_get_rest(gateway, &rest);
	vnic_gateway_get_stats(gateway, &stats);
	if (gate->finish.moved_at && stats.bytes_out == gate->finish.bytes && rest.open == before.open &&
	    rest.held == before.held)
		return false;
	gate->finish.rest = rest;
	gate->finish.bytes = stats.bytes_out;
	gate->finish.moved_at = now;
	return true;
}

/* For how many ms what is left may still move; -1: no longer. */
static int wait_for_rest(struct gate *gate, const struct vnic_gateway *gateway)
{
	int64_t now = monotonic_ns();
	bool moved = look_at_rest(gate, gateway, now);
	int most = gate->finish.rest.held ? STUCK_MS : gate->finish.rest.open ? QUIET_MS : 0;
	int64_t left = most - (now - gate->finish.moved_at) / (NS_PER_S / 1000);

	if (left > 0)
		return (int)left;
	return moved ? 0 : -1; /* datagrams may wait behind those that went */
}

/* A front that could not hear of it must not wait: then we end. */
static int tell_finished(struct gate *gate)
{
	const struct ns_message message = {.type = NS_FINISH};
	unsigned held = gate->finish.rest.held;

	gate->finish.asked = false;
	if (held)
		ns_note(gate->step.child, "not all that the sandbox sent has gone out: %u remote%s no more of it", held,
			held == 1 ? " takes" : "s take");
	return ns_message_send(gate->step.child, &message, -1, NULL);
}

static void carry(struct gate *gate, struct vnic_gateway *gateway)
{
	int r, timeout_ms = -1;

	do {
		r = vnic_gateway_dispatch(gateway, timeout_ms, NULL);
		if (r == -ECANCELED && hear_front(gate, gateway) && hear_router(gate, gateway))
			r = 0;
		timeout_ms = -1;
		if (r == 0 && gate->finish.asked && (timeout_ms = wait_for_rest(gate, gateway)) < 0)
			r = tell_finished(gate);
	} while (r == 0);
}

static void close_others(const struct gate *gate)
{
	int keep[4 + VNIC_PUBLISHES] = {gate->step.child, gate->hello[0], gate->opener[0], gate->log};

	for (unsigned i = 0; i < gate->published.count; i++)
		keep[4 + i] = gate->published.ports[i].fd;
	ns_close_all_but(keep, 4 + gate->published.count);
}

_Noreturn void gate_main(struct gate *gate)
{
	const struct vnic_opener opener = {.ctx = gate, .open = ask_router};
	struct ns_message message = {.type = NS_READY};
	struct vnic_gateway *gateway = NULL;
	struct vnic_error unconfined;
	int r;

	prctl(PR_SET_NAME, "vnic-gateway");
	close_others(gate);
	setsid();
	if (set_up(gate, &opener, &gateway, &message.err) < 0)
		message.type = NS_FAILED;
	r = confine(&unconfined);
	if (ns_message_send(gate->step.child, &message, -1, NULL) < 0 || message.type == NS_FAILED)
		_exit(STATUS_OURS);
	if (r < 0)
		tell_unconfined(gate, &unconfined);
	if (!gate->ipv6 && gate->router[VNIC_V6].family)
		ns_note(gate->step.child,
			"no IPv6: the kernel refused to forward it, and connections over IPv6 will time out");
	carry(gate, gateway);
	if (gate->log >= 0)
		vnic_gateway_free(gateway); /* flows end, and are logged */
	_exit(0);
}
