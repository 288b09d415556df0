/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The router's helper: a process in user namespace U and the router's network namespace.
 *
 *   map ids -> [rootless: start init, make the namespace] -> devices
 *   -> [rootless: make the links, once init has made its namespace] -> addresses
 *   -> [what a capture reads] -> [a VMM's: hand the devices over]
 *   -> slow path -> the gateway gets its sockets -> ruleset
 *   -> relay for TAP and TUN NICs -> links carry frames -> READY -> open sockets on request
 *
 * It leads a session of its own, so the terminal's signals do not reach it; it may not be traced; it
 * ends when the front does.  It keeps U's capabilities, for opening transparent and packet sockets; they
 * are none over the host.
 *
 * A TAP or TUN NIC has a descriptor in the sandbox and one in the router, and a relay between them: a process without
 * any capability, the front's child, for the front is there to reap it.  Rejected: relaying here, where frames of the
 * sandbox would meet capabilities.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <vnic/fdpass.h>

#include "background.h"
#include "build.h"
#include "fd.h"
#include "floods.h"
#include "lease.h"
#include "loop.h"
#include "slowpath.h"

#define STATUS_OURS 125

struct router {
	struct build *build;
	struct vnic_tap outer[VNIC_NICS]; /* of relayed NICs */
	pid_t relay;                      /* the front's child, which reaps it */
	int relay_pidfd;                  /* -1: none */
	int relay_lifeline;               /* held by us, watched by the relay */
};

/* --- the relay's process ------------------------------------------------------------ */

enum { REF_RELAY, REF_LIFELINE };

/* An epoll instance with all of them in it. */
static int watch_relays(struct vnic_relay *const *relays, unsigned count, int lifeline, int *ret_epfd,
			struct vnic_error *err)
{
	CLEANUP_FD int epfd = -1;
	int r = loop_open(&epfd, err);

	if (r == 0)
		r = loop_add(epfd, lifeline, EPOLLRDHUP, (struct loop_ref){.type = REF_LIFELINE}, err);
	for (unsigned i = 0; i < count && r == 0; i++)
		r = loop_add(epfd, vnic_relay_get_fd(relays[i]), EPOLLIN,
			     (struct loop_ref){.type = REF_RELAY, .index = i}, err);
	if (r == 0)
		*ret_epfd = take_fd(&epfd);
	return r;
}

static int relay_frames(struct vnic_relay *const *relays, int epfd)
{
	struct epoll_event events[VNIC_NICS + 1];
	int n, r = 0;

	while ((n = loop_wait(epfd, events, VNIC_NICS + 1, -1, NULL)) >= 0)
		for (int i = 0; i < n; i++) {
			struct loop_ref ref = loop_ref_of(&events[i]);

			if (ref.type == REF_LIFELINE)
				return 0;
			r = vnic_relay_dispatch(relays[ref.index], 0, NULL);
			if (r < 0)
				return r;
		}
	return n;
}

static int receive_inner(struct build *build, unsigned *ret_nic, struct vnic_tap *ret_tap, struct vnic_error *err)
{
	int fds[VNIC_TAP_QUEUES];
	unsigned count = 0, nic = 0;
	size_t size;
	int r = vnic_fd_recv(build->devices[0], fds, VNIC_TAP_QUEUES, &count, &nic, sizeof(nic), &size, err);

	if (r < 0)
		return r;
	if (size != sizeof(nic) || count == 0 || nic >= build->plan.count)
		return vnic_fail(err, VNIC_STEP_SANDBOX, EPROTO, "devices", "init ended before it had made them");
	r = vnic_tap_adopt(fds, count, ret_tap, err);
	if (r < 0)
		for (unsigned i = 0; i < count; i++)
			close_fd(&fds[i]);
	else
		*ret_nic = nic;
	return r;
}

/* One patch of two ports for each relayed NIC. */
static int make_relays(struct router *router, struct vnic_relay **ret_relays, unsigned *ret_count,
		       struct vnic_error *err)
{
	struct build *build = router->build;
	unsigned count = 0;
	int r = 0;

	for (unsigned i = 0; i < build->plan.count && r >= 0; i++) {
		CLEANUP(vnic_tap_close) struct vnic_tap inner = VNIC_TAP_EMPTY;
		unsigned nic = 0;

		if (!nic_is_relayed(&build->plan.nics[i].nic))
			continue;
		r = receive_inner(build, &nic, &inner, err);
		if (r == 0)
			r = vnic_relay_new(&(struct vnic_relay_config){0}, &ret_relays[count], err);
		if (r < 0)
			break;
		count++;
		struct vnic_tap *outer = build->host_taps[nic].queues ? &build->host_taps[nic] : &router->outer[nic];
		r = background_close_at_end(inner.fds, inner.queues, err);
		if (r == 0 && outer == &router->outer[nic]) /* on a bridge of the host it is seen, and must be gone */
			r = background_close_at_end(outer->fds, outer->queues, err);
		if (r < 0)
			break;
		r = vnic_relay_add_tap(ret_relays[count - 1], build->plan.nics[nic].nic.name, &inner, err);
		if (r >= 0)
			r = vnic_relay_add_tap(ret_relays[count - 1], "router", outer, err);
	}
	*ret_count = count;
	return r < 0 ? r : 0;
}

static _Noreturn void relay_main(struct vnic_relay *const *relays, unsigned count, int lifeline)
{
	struct ns_message message = {.type = NS_READY};
	int epfd = -1;

	prctl(PR_SET_NAME, "vnic-relay");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ns_drop_all_caps(&message.err) < 0 || watch_relays(relays, count, lifeline, &epfd, &message.err) < 0)
		message.type = NS_FAILED;
	if (ns_message_send(lifeline, &message, -1, NULL) < 0 || message.type == NS_FAILED ||
	    relay_frames(relays, epfd) < 0)
		_exit(STATUS_OURS);
	_exit(0);
}

static int relay_ready(int lifeline, struct vnic_error *err)
{
	struct ns_message message;
	int r = ns_message_recv(lifeline, true, &message, NULL, err);

	return r == 0 && message.type == NS_FAILED ? ns_message_failure(&message, err) : r;
}

static int clone_relay(struct router *router, struct vnic_relay *const *relays, unsigned count, struct vnic_error *err)
{
	int lifeline[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lifeline) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "to the relay", NULL);
	pid_t pid = ns_clone(0, true, &router->relay_pidfd, err);
	if (pid == 0) {
		close_fd(&lifeline[0]);
		close_fd(&router->build->router_step.child);
		close_fd(&router->build->opener[1]);
		close_fd(&router->build->gate.opener[1]);
		relay_main(relays, count, lifeline[1]);
	}
	close_fd(&lifeline[1]);
	router->relay_lifeline = lifeline[0];
	if (pid < 0)
		return pid;
	router->relay = pid;
	return relay_ready(lifeline[0], err);
}

static int start_relay(struct router *router, struct vnic_error *err)
{
	struct vnic_relay *relays[VNIC_NICS] = {NULL};
	unsigned count;
	int r = make_relays(router, relays, &count, err);

	if (r == 0)
		r = clone_relay(router, relays, count, err);
	for (unsigned i = 0; i < count; i++)
		vnic_relay_free(relays[i]);
	return r;
}

/* --- building ----------------------------------------------------------------------- */

static int open_outer_devices(struct router *router, struct vnic_error *err)
{
	struct plan *plan = &router->build->plan;
	int r = 0;

	for (unsigned i = 0; i < plan->count && r == 0; i++) {
		struct nic_plan *nic = &plan->nics[i];

		if (nic->nic.kind == VNIC_NIC_VETH || !nic_is_routed(&nic->nic))
			continue;
		r = plan_open_device(nic, nic->outer_name, &nic->outer_mac, &router->outer[i], err);
		nic->outer_index = router->outer[i].index;
	}
	return r;
}

/* To the process that becomes the VMM; from here on the devices live as long as that does. */
static int hand_over(struct router *router, struct vnic_error *err)
{
	struct build *build = router->build;
	int r = 0;

	for (unsigned i = 0; i < build->plan.count && r == 0; i++) {
		struct vnic_tap *tap = &router->outer[i];

		if (tap->queues)
			r = vnic_fd_send(build->devices[0], tap->fds, tap->queues, &i, sizeof(i), err);
		vnic_tap_close(tap);
	}
	return r < 0 ? r : ns_step_signal(build->linked, err);
}

static int take_ids(struct build *build, struct vnic_error *err)
{
	int r;

	if (build->rootless && !build->router_map.by_helper)
		r = ns_idmap_write(0, &build->router_map, err);
	else
		r = ns_step_wait(build->router_step.mapped, build->router_step.child, err);
	if (r < 0 || getuid() == 0)
		return r;
	/* Privileged: until now the host's root, who may open /dev/net/tun; from now on U's, who is nobody outside. */
	return ns_become(0, 0, err);
}

/* Starts init as the front's child, and tells the front. */
static int start_init(struct build *build, struct vnic_child *ret_init, struct vnic_error *err)
{
	int r = ns_child_start(&build->spawn, &build->sandbox_map, true, &build->init_step, ret_init, err);

	if (r < 0)
		return r;
	raise_fd_limit(); /* init and the command keep the caller's */
	struct ns_message message = {.type = NS_STARTED, .value = ret_init->pid};
	return ns_message_send(build->router_step.child, &message, ret_init->pidfd, err);
}

/* Not ours to reap: only the descriptors go. */
static void leave_init(struct vnic_child *init)
{
	close_fd(&init->pidfd);
	close_fd(&init->control);
	close_fd(&init->go);
}

/* Init is sent on its way first: a network namespace takes 0.4 ms, and each makes its own at the same time. */
static int build_rootless(struct router *router, struct vnic_error *err)
{
	struct build *build = router->build;
	CLEANUP(leave_init) struct vnic_child init = VNIC_CHILD_EMPTY;
	int r = take_ids(build, err);

	if (r == 0 && build->nested)
		r = start_init(build, &init, err);
	if (r == 0)
		r = ns_leave_netns(NULL, err);
	if (r == 0)
		r = open_outer_devices(router, err);
	if (r == 0 && build->nested)
		r = build_links(build, 0, &init, err);
	return r;
}

static int build_privileged(struct router *router, struct vnic_error *err)
{
	struct build *build = router->build;
	int r = open_outer_devices(router, err);

	if (r == 0)
		r = take_ids(build, err);
	return r < 0 ? r : ns_step_wait(build->router_step.go, build->router_step.child, err);
}

static int open_slow_path(struct build *build, struct vnic_error *err)
{
	CLEANUP(slowpath_close) struct slowpath slow = SLOWPATH_EMPTY;
	int r = slowpath_set_up(&build->plan, &slow, err);

	if (r < 0)
		return r;
	struct gate_hello hello = {
		.slow_mac = slow.slow0_mac, .own_mac = slow.slow1_mac, .backlog = (unsigned)slow.backlog};
	int fds[GATE_FDS] = {
		[GATE_SLOW] = slow.packet_fd,        [GATE_TCP4] = slow.tcp[SLOWPATH_V4],
		[GATE_UDP4] = slow.udp[SLOWPATH_V4], [GATE_TCP6] = slow.tcp[SLOWPATH_V6],
		[GATE_UDP6] = slow.udp[SLOWPATH_V6],
	};
	hello.lease_count = lease_plan(build, slow.ipv6, hello.leases);
	r = lease_open(hello.leases, hello.lease_count, fds + GATE_LEASE, err);
	if (r == 0)
		r = gate_send(&build->gate, &hello, fds, err);
	for (unsigned i = GATE_LEASE; i < GATE_FDS; i++)
		close_fd(&fds[i]);
	return r < 0 ? r : slowpath_let_in(&build->plan, &slow, err);
}

static int build_router(struct router *router, struct vnic_error *err)
{
	struct build *build = router->build;
	int r = build->rootless ? build_rootless(router, err) : build_privileged(router, err);

	raise_fd_limit();
	ns_step_close(&build->init_step);
	close_fd(&build->devices[1]);
	setsid(); /* not before init is born: the command's session is the front's, with its terminal */
	if (r == 0)
		r = plan_router_side(&build->plan, err);
	if (r == 0 && nic_capture_is_wanted(&build->capture))
		r = nic_capture_send(&build->capture, err);
	if (r == 0 && plan_is_handed(&build->plan))
		r = hand_over(router, err);
	if (r == 0 && build->has_gateway)
		r = open_slow_path(build, err);
	if (r == 0 && plan_is_relayed(&build->plan))
		r = start_relay(router, err);
	if (r == 0)
		r = plan_wait(&build->plan, PLAN_ROUTER, (int[]){build->router_step.child, router->relay_pidfd}, err);
	return r;
}

/* --- serving ------------------------------------------------------------------------ */

/* Until the front is gone, or the relay: without it the sandbox's NIC is dead. */
static void serve(struct router *router)
{
	struct floods floods = FLOODS_EMPTY;
	struct opener_flood flood;
	struct pollfd fds[] = {
		{.fd = router->build->router_step.child, .events = POLLRDHUP},
		{.fd = router->relay_pidfd, .events = POLLIN},
		{.fd = router->build->opener[1], .events = POLLIN},
		{.fd = router->build->gate.opener[1], .events = POLLIN},
	};

	for (;;) {
		if (TEMP_FAILURE_RETRY(poll(fds, 4, -1)) < 0)
			return;
		if (fds[0].revents || fds[1].revents)
			return;
		for (int i = 2; i < 4; i++) {
			enum opener_scope scope = i == 2 ? OPENER_ALL : OPENER_FLOWS;
			int r = fds[i].revents ? opener_answer(fds[i].fd, scope, &flood, NULL) : 0;

			if (r == -EPIPE) { /* nobody will ask any more, or wait for an answer */
				shutdown(fds[i].fd, SHUT_RDWR);
				fds[i].fd = -1;
			} else if (r == OPENER_FLOOD) {
				floods_hear(&floods, &router->build->plan, &flood, router->build->gate.hello[1]);
			}
		}
	}
}

/* No descriptor of the front's caller stays open here, nor its terminal. */
static void withdraw(struct router *router)
{
	int keep[] = {router->build->router_step.child, router->build->opener[1],
		      router->build->gate.opener[1],    router->relay_pidfd,
		      router->relay_lifeline,           router->build->gate.hello[1]};

	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* it sees the front's end, unless somebody has stopped it */
	ns_close_all_but(keep, 6);
}

_Noreturn void build_router_main(struct build *build)
{
	struct router router = {.build = build, .relay_pidfd = -1, .relay_lifeline = -1};
	struct ns_message message = {.type = NS_READY};
	int r;

	prctl(PR_SET_NAME, "vnic-router");
	close_fd(&build->router_step.parent);
	close_fd(&build->opener[0]);
	close_fd(&build->gate.opener[0]);
	close_fd(&build->gate.hello[0]);
	ns_step_close(&build->gate.step);
	ns_step_close(&build->capture.step);
	close_fd(&build->capture.hello[0]);
	if (!build->nested) /* the front starts init */
		ns_step_close(&build->init_step);
	if (build_router(&router, &message.err) < 0)
		message.type = NS_FAILED;
	message.value = router.relay;
	r = ns_message_send(build->router_step.child, &message, router.relay_pidfd, NULL);
	if (r < 0 || message.type == NS_FAILED)
		_exit(STATUS_OURS);
	withdraw(&router);
	serve(&router);
	_exit(0);
}
