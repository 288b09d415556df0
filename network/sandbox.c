/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front's side of a sandbox: plan, start the others, wait until both are ready, let the command go.
 *
 * Undo is the death of the processes: links, addresses and namespaces live only as long as
 * someone holds them, so a failure kills what was started and the kernel takes the rest back, in
 * the same way as after a SIGKILL.  One path, always exercised.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "build.h"
#include "fd.h"
#include "loop.h"

#define WARNINGS 64
#define STATS_MS 1000 /* the gateway answers between two batches of events */

enum { REF_INIT_END, REF_INIT_CONTROL, REF_HELPER_END, REF_GATEWAY_CONTROL, REF_CAPTURE_CONTROL, REF_MOUNTS };

/* A process of ours beside init: the sandbox ends with it, but for the capture, which ends after the sandbox. */
struct helper {
	const char *what;
	pid_t pid; /* 0: none, or reaped */
	int pidfd, control;
};

enum { ROUTER, GATEWAY, RELAY, CAPTURE, HELPERS };

struct vnic_sandbox {
	struct vnic_child init;
	struct helper helpers[HELPERS];
	int opener_socket;
	struct vnic_opener opener;
	struct vnic_name name;
	struct resolv_source resolvers; /* of the host */
	struct resolv_config resolv;
	struct resolv_guard guard;
	struct vnic_capture capture; /* for its next files */
	bool init_ended;             /* told when the capture has written what is left */
	int epfd;
	int stops; /* of the command, told so far */
	unsigned warning_count, warnings_told;
	char warnings[WARNINGS][256];
};

void vnic_sandbox_defaults(bool rootless, struct vnic_sandbox_config *ret_config)
{
	*ret_config = (struct vnic_sandbox_config){
		.spawn.namespaces = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | (rootless ? CLONE_NEWUSER : 0u),
		.rootless = rootless,
		.nic_count = 1,
	};
	vnic_policy_init(&ret_config->policy);
}

static void warn(struct vnic_sandbox *sandbox, const char *text)
{
	if (sandbox->warning_count < WARNINGS)
		snprintf(sandbox->warnings[sandbox->warning_count++], sizeof(sandbox->warnings[0]), "%s", text);
}

/* --- starting ----------------------------------------------------------------------- */

static int start_helper(struct helper *helper, unsigned namespaces, struct ns_step *step, struct vnic_error *err)
{
	pid_t pid = ns_clone(namespaces, false, &helper->pidfd, err);

	if (pid > 0) {
		helper->pid = pid;
		close_fd(&step->child);
	}
	return pid;
}

static int start_router(struct vnic_sandbox *sandbox, struct build *build, struct vnic_error *err)
{
	struct helper *router = &sandbox->helpers[ROUTER];
	bool map_here = !build->rootless || build->router_map.by_helper;
	unsigned namespaces = CLONE_NEWUSER | (build->rootless ? 0u : CLONE_NEWNET); /* see build_rootless */
	int r = start_helper(router, namespaces, &build->router_step, err);

	if (r == 0)
		build_router_main(build);
	if (r < 0 || !map_here)
		return r < 0 ? r : 0;
	r = ns_idmap_write(ns_proc_pid(router->pid, router->pidfd), &build->router_map, err);
	return r < 0 ? r : ns_step_signal(build->router_step.mapped, err);
}

/* After the router, whose own work is longer. */
static int start_gateway(struct vnic_sandbox *sandbox, struct build *build, struct vnic_error *err)
{
	int r = start_helper(&sandbox->helpers[GATEWAY], 0, &build->gate.step, err);

	if (r == 0)
		gate_main(&build->gate);
	return r < 0 ? r : 0;
}

static int start_capture(struct vnic_sandbox *sandbox, struct build *build, struct vnic_error *err)
{
	int r = start_helper(&sandbox->helpers[CAPTURE], 0, &build->capture.step, err);

	if (r == 0)
		nic_capture_main(&build->capture);
	return r < 0 ? r : 0;
}

/* Until init is born these stay in the struct in which it finds and closes them. */
static void take_helpers(struct vnic_sandbox *sandbox, struct build *build)
{
	sandbox->helpers[ROUTER].control = take_fd(&build->router_step.parent);
	sandbox->helpers[GATEWAY].control = take_fd(&build->gate.step.parent);
	sandbox->helpers[CAPTURE].control = take_fd(&build->capture.step.parent);
	sandbox->opener_socket = take_fd(&build->opener[0]);
}

static int start_init(struct vnic_sandbox *sandbox, struct build *build, struct vnic_error *err)
{
	const struct helper *router = &sandbox->helpers[ROUTER];
	int r = ns_child_start(&build->spawn, build->user ? &build->sandbox_map : NULL, false, &build->init_step,
			       &sandbox->init, err);

	take_helpers(sandbox, build);
	if (r == 0 && build->plan.count && !plan_is_handed(&build->plan)) {
		struct ns_message message;

		r = build_links(build, router->pid ? ns_proc_pid(router->pid, router->pidfd) : 0,
				ns_proc_pid(sandbox->init.pid, sandbox->init.pidfd), err);
		/* An init that has failed has no namespaces to link: what it said is the cause. */
		if (r < 0 && ns_message_recv(sandbox->init.control, false, &message, NULL, NULL) == 0 &&
		    message.type == NS_FAILED) {
			r = -message.err.code;
			if (err)
				*err = message.err;
		}
	}
	if (r == 0 && router->pid)
		r = ns_step_signal(build->router_step.go, err);
	return r;
}

/* -EPIPE where it has ended: init may have a copy of its socket, so that is no end of file. */
static int hear_helper(const struct helper *helper, struct ns_message *ret_message, int *ret_fd, struct vnic_error *err)
{
	int r = ns_message_recv(helper->control, false, ret_message, ret_fd, err);

	if (r == -EAGAIN)
		return vnic_fail(err, VNIC_STEP_WAIT, EPIPE, helper->what, "it has ended");
	if (r < 0 || ret_message->type != NS_FAILED)
		return r;
	if (err)
		*err = ret_message->err;
	return -ret_message->err.code;
}

/* A rootless router starts init for us, and says so. */
static int adopt_init(struct vnic_sandbox *sandbox, struct build *build, struct vnic_error *err)
{
	const struct helper *router = &sandbox->helpers[ROUTER];
	struct ns_message message;
	int pidfd = -1;

	take_helpers(sandbox, build);
	struct pollfd fds[] = {{.fd = router->control, .events = POLLIN}, {.fd = router->pidfd, .events = POLLIN}};
	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return vnic_fail(err, VNIC_STEP_WAIT, errno, NULL, NULL);
	int r = hear_helper(router, &message, &pidfd, err);
	if (r < 0)
		return r;
	close_fd(&build->init_step.child);
	sandbox->init.pid = message.value;
	sandbox->init.pidfd = pidfd;
	sandbox->init.control = take_fd(&build->init_step.parent);
	sandbox->init.go = take_fd(&build->init_step.go);
	return 0;
}

/*
 * All of them, in whichever order.  When one fails the others would wait for it, so the first failure is the
 * answer; init's before a helper's where both speak, for the helper's is then the consequence.
 */
static int wait_ready(struct vnic_sandbox *sandbox, struct vnic_error *err)
{
	struct pollfd init = {.fd = sandbox->init.control, .events = POLLIN};
	struct pollfd fds[1 + 2 * HELPERS] = {init};
	int left = 1;

	for (int i = 0; i < HELPERS; i++) {
		const struct helper *helper = &sandbox->helpers[i];

		fds[1 + 2 * i] = (struct pollfd){.fd = helper->control, .events = POLLIN};
		fds[2 + 2 * i] = (struct pollfd){.fd = helper->pidfd, .events = POLLIN};
		left += helper->pid != 0;
	}
	while (left) {
		struct ns_message message;
		int at = 0, fd = -1, r;

		if (poll(fds, 1 + 2 * HELPERS, -1) < 0) {
			if (errno == EINTR)
				continue;
			return vnic_fail(err, VNIC_STEP_WAIT, errno, NULL, NULL);
		}
		while (fds[at].fd < 0 || !fds[at].revents)
			at++;
		r = at ? hear_helper(&sandbox->helpers[(at - 1) / 2], &message, &fd, err)
		       : ns_child_ready(&sandbox->init, err);
		if (fd >= 0) { /* of a router that has started a relay for us, even where it failed then */
			sandbox->helpers[RELAY].pid = message.value;
			sandbox->helpers[RELAY].pidfd = fd;
		}
		if (r < 0)
			return r;
		left--;
		if (at == 0) { /* its end is still heard of: a router waits for links that may have ended with it */
			fds[0].events = 0;
			continue;
		}
		fds[at].fd = -1;
		fds[at % 2 ? at + 1 : at - 1].fd = -1; /* its two stand side by side: 1 and 2, 3 and 4 */
	}
	return 0;
}

static int start_all(struct vnic_sandbox *sandbox, struct build *build, struct vnic_error *err)
{
	int r = build->has_router ? start_router(sandbox, build, err) : 0;

	if (r == 0 && build->has_gateway)
		r = start_gateway(sandbox, build, err);
	if (r == 0 && nic_capture_is_wanted(&build->capture))
		r = start_capture(sandbox, build, err);
	if (r == 0)
		r = build->nested ? adopt_init(sandbox, build, err) : start_init(sandbox, build, err);
	/* What was for the others goes now: only then is the end of one an end of file. */
	build_close(build);
	if (r == 0)
		r = wait_ready(sandbox, err);
	if (r == 0)
		r = plan_wait(&build->plan, PLAN_HOST, (int[]){sandbox->init.control, -1}, err);
	if (r == 0)
		r = vnic_child_release(&sandbox->init, err);
	return r;
}

static int watch(struct vnic_sandbox *sandbox, struct vnic_error *err)
{
	int r = loop_open(&sandbox->epfd, err);

	if (r == 0)
		r = loop_add(sandbox->epfd, sandbox->init.pidfd, EPOLLIN, (struct loop_ref){.type = REF_INIT_END}, err);
	if (r == 0)
		r = loop_add(sandbox->epfd, sandbox->init.control, EPOLLIN, (struct loop_ref){.type = REF_INIT_CONTROL},
			     err);
	for (uint32_t i = 0; i < HELPERS && r == 0; i++)
		if (sandbox->helpers[i].pid)
			r = loop_add(sandbox->epfd, sandbox->helpers[i].pidfd, EPOLLIN,
				     (struct loop_ref){.type = REF_HELPER_END, .index = i}, err);
	if (r == 0 && sandbox->helpers[GATEWAY].pid)
		r = loop_add(sandbox->epfd, sandbox->helpers[GATEWAY].control, EPOLLIN,
			     (struct loop_ref){.type = REF_GATEWAY_CONTROL}, err);
	if (r == 0 && sandbox->helpers[CAPTURE].pid)
		r = loop_add(sandbox->epfd, sandbox->helpers[CAPTURE].control, EPOLLIN,
			     (struct loop_ref){.type = REF_CAPTURE_CONTROL}, err);
	return r;
}

static int ask_router(void *ctx, const struct vnic_open_request *request, int *ret_fd, struct vnic_error *err)
{
	struct vnic_sandbox *sandbox = ctx;

	return opener_ask(sandbox->opener_socket, request, ret_fd, err);
}

/* See resolv_guard.c.  Without it the sandbox works as long as the host does not replace its resolv.conf. */
static void guard_resolv(struct vnic_sandbox *sandbox, const struct build *build)
{
	sandbox->resolv = build->resolv;
	if (resolv_guard_open(&sandbox->resolv, ns_proc_pid(sandbox->init.pid, sandbox->init.pidfd), &sandbox->guard,
			      NULL) == 0)
		loop_add(sandbox->epfd, sandbox->guard.fd, RESOLV_GUARD_EVENTS, (struct loop_ref){.type = REF_MOUNTS},
			 NULL);
}

static void look_after_resolv(struct vnic_sandbox *sandbox, const struct build *build)
{
	const struct vnic_dns_config *dns = &build->gate.dns;
	char text[sizeof(sandbox->warnings[0])];

	if (!dns->listen[VNIC_V4].family && !dns->listen[VNIC_V6].family)
		return;
	sandbox->resolvers = build->resolvers;
	if (dns->in_their_name && resolv_shared_warning(dns, text, sizeof(text)))
		warn(sandbox, text);
	if (build->spawn.namespaces & CLONE_NEWNS && !(sandbox->init.kept & VNIC_KEPT_RESOLV))
		guard_resolv(sandbox, build);
}

static void note_kept(struct vnic_sandbox *sandbox)
{
	if (sandbox->init.kept & VNIC_KEPT_RESOLV)
		warn(sandbox, RESOLV_PATH " is absent or cannot be covered: names may not resolve");
	if (sandbox->init.kept & VNIC_KEPT_RESOLVERS)
		warn(sandbox, "the host's name services stay reachable: names may be resolved past the forwarder");
	if (sandbox->init.kept & VNIC_KEPT_PROC)
		warn(sandbox, "the kernel refused a fresh /proc: it shows the host's processes");
	if (sandbox->init.kept & VNIC_KEPT_SYS)
		warn(sandbox, "the kernel refused a fresh /sys: /sys/class/net shows the host's links");
}

static void note_networks(struct vnic_sandbox *sandbox, const struct plan *plan)
{
	char text[sizeof(sandbox->warnings[0])];

	if (plan->no_ipv6)
		warn(sandbox, plan->no_ipv6);
	for (unsigned i = 0; i < plan->count; i++)
		if (plan_host_note(&plan->nics[i], text, sizeof(text)))
			warn(sandbox, text);
}

static int set_up(struct vnic_sandbox *sandbox, const struct vnic_sandbox_config *config, struct vnic_error *err)
{
	struct build build = BUILD_EMPTY;
	char ping_groups[32];
	sigset_t all, old;
	int r = build_make(config, &build, err);

	if (r == 0 && config->name)
		r = vnic_name_take(config->name, config->state_dir, &sandbox->name, err);
	if (r < 0) {
		build_close(&build);
		return r;
	}
	/* gids of the sandbox's own user namespace; without one, all of them (GID_T_MAX, net/ipv4/ping.c). */
	const struct ns_range *first = &build.sandbox_map.gids[0];
	snprintf(ping_groups, sizeof(ping_groups), "%u %u", build.user ? first->inside : 0,
		 build.user ? first->inside : 2147483647u);
	build.ping_groups = ping_groups;
	if (config->name)
		build.spawn.name = &sandbox->name;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	if (!build.spawn.mask)
		build.spawn.mask = &old;
	r = start_all(sandbox, &build, err);
	build_close(&build);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (r == 0 && config->name)
		r = vnic_name_publish(&sandbox->name, sandbox->init.command, true, err);
	if (r == 0)
		r = watch(sandbox, err);
	if (r == 0) {
		note_networks(sandbox, &build.plan);
		note_kept(sandbox);
		look_after_resolv(sandbox, &build);
	}
	return r;
}

int vnic_sandbox_start(const struct vnic_sandbox_config *config, struct vnic_sandbox **ret_sandbox,
		       struct vnic_error *err)
{
	struct vnic_sandbox *sandbox = malloc(sizeof(*sandbox));

	if (!sandbox)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	*sandbox = (struct vnic_sandbox){
		.init = VNIC_CHILD_EMPTY,
		.helpers = {{"vnic-router", 0, -1, -1},
			    {"vnic-gateway", 0, -1, -1},
			    {"vnic-relay", 0, -1, -1},
			    {"vnic-capture", 0, -1, -1}},
		.opener_socket = -1,
		.opener = {.ctx = sandbox, .open = ask_router},
		.name = VNIC_NAME_EMPTY,
		.guard = RESOLV_GUARD_EMPTY,
		.epfd = -1,
	};
	if (config->capture)
		sandbox->capture = *config->capture;
	int r = set_up(sandbox, config, err);
	if (r < 0)
		vnic_sandbox_free(sandbox);
	else
		*ret_sandbox = sandbox;
	return r;
}

/* --- while it runs ------------------------------------------------------------------ */

int vnic_sandbox_get_fd(const struct vnic_sandbox *sandbox)
{
	return sandbox->epfd;
}

/* Without them the sandbox's NIC is dead: the sandbox ends, and says why. */
static void lose_helper(struct vnic_sandbox *sandbox, const struct helper *helper)
{
	char text[128];

	loop_remove(sandbox->epfd, helper->pidfd);
	pidfd_send_signal(sandbox->init.pidfd, SIGKILL, NULL, 0);
	snprintf(text, sizeof(text), "%s has ended; the sandbox ends with it", helper->what);
	warn(sandbox, text);
}

/* The gateway opens no files; it asks at most once a second, and only while it is asked itself. */
static void tell_resolvers(struct vnic_sandbox *sandbox)
{
	const struct ns_message message = {.type = NS_RESOLVERS};
	struct vnic_dns_servers servers;
	int pipe[2];

	if (!resolv_refresh(&sandbox->resolvers, &servers) || pipe2(pipe, O_CLOEXEC) < 0)
		return;
	if (write(pipe[1], &servers, sizeof(servers)) == (ssize_t)sizeof(servers))
		ns_message_send(sandbox->helpers[GATEWAY].control, &message, pipe[0], NULL);
	close_fd(&pipe[0]);
	close_fd(&pipe[1]);
}

/* 0: it said something. */
static int hear_gateway(struct vnic_sandbox *sandbox)
{
	const struct helper *gateway = &sandbox->helpers[GATEWAY];
	struct ns_message message;
	int r = ns_message_recv(gateway->control, false, &message, NULL, NULL);

	if (r == 0 && message.type == NS_NOTE)
		warn(sandbox, message.err.detail);
	else if (r == 0 && message.type == NS_RESOLVERS)
		tell_resolvers(sandbox);
	else if (r == -EPIPE)
		loop_remove(sandbox->epfd, gateway->control);
	return r;
}

/* It would wait for ever for what cannot be sent; an end of file lets it finish. */
static void tell_capture(const struct vnic_sandbox *sandbox, const struct ns_message *message, int fd)
{
	int control = sandbox->helpers[CAPTURE].control;

	if (ns_message_send(control, message, fd, NULL) < 0)
		shutdown(control, SHUT_WR);
}

/* The capture opens no files. */
static void open_next_file(struct vnic_sandbox *sandbox, unsigned number)
{
	struct ns_message answer = {.type = NS_NEXT_FILE};
	CLEANUP_FD int fd = -1;

	if (sandbox->capture.next(sandbox->capture.ctx, number, &fd, &answer.err) < 0)
		answer.type = NS_FAILED;
	tell_capture(sandbox, &answer, fd);
}

/* 0: it said something. */
static int hear_capture(struct vnic_sandbox *sandbox)
{
	const struct helper *capture = &sandbox->helpers[CAPTURE];
	struct ns_message message;
	int r = ns_message_recv(capture->control, false, &message, NULL, NULL);

	if (r == 0 && message.type == NS_NOTE)
		warn(sandbox, message.err.detail);
	else if (r == 0 && message.type == NS_NEXT_FILE && sandbox->capture.next)
		open_next_file(sandbox, (unsigned)message.value);
	else if (r == -EPIPE)
		loop_remove(sandbox->epfd, capture->control);
	return r;
}

static void listen_to_init(struct vnic_sandbox *sandbox, bool listen)
{
	loop_change(sandbox->epfd, sandbox->init.pidfd, listen ? EPOLLIN : 0, (struct loop_ref){.type = REF_INIT_END},
		    NULL);
}

/* Its end is not that of the sandbox; but a sandbox that has ended waited for it. */
static void lose_capture(struct vnic_sandbox *sandbox)
{
	struct helper *capture = &sandbox->helpers[CAPTURE];
	siginfo_t info = {.si_code = CLD_EXITED};

	for (int i = 0; i < WARNINGS && hear_capture(sandbox) == 0; i++)
		;
	TEMP_FAILURE_RETRY(waitid(P_PIDFD, (id_t)capture->pidfd, &info, WEXITED));
	close_fd(&capture->pidfd); /* and so out of the loop */
	close_fd(&capture->control);
	if (info.si_code != CLD_EXITED)
		warn(sandbox, "vnic-capture was killed: the capture is not whole");
	capture->pid = 0;
	if (sandbox->init_ended)
		listen_to_init(sandbox, true);
}

/* What was said before the end comes before it, and what the sandbox has sent is captured. */
static void end_init(struct vnic_sandbox *sandbox)
{
	const struct ns_message message = {.type = NS_FINISH};

	for (int i = 0; i < WARNINGS && hear_gateway(sandbox) == 0; i++)
		;
	if (sandbox->helpers[CAPTURE].pid && !sandbox->init_ended) {
		tell_capture(sandbox, &message, -1);
		listen_to_init(sandbox, false);
	}
	sandbox->init_ended = true;
}

static void cover_resolv(struct vnic_sandbox *sandbox)
{
	struct vnic_error err;

	if (resolv_guard_look(&sandbox->guard, sandbox->init.command, sandbox->init.command_pidfd, &err) < 0)
		warn(sandbox, "the host replaced " RESOLV_PATH ", and the sandbox has the host's now");
}

int vnic_sandbox_next(struct vnic_sandbox *sandbox, enum vnic_sandbox_event *ret_event, int *ret_value,
		      struct vnic_error *err)
{
	struct epoll_event event;
	int r;

	if (sandbox->warnings_told < sandbox->warning_count) {
		*ret_event = VNIC_SANDBOX_WARNING;
		*ret_value = (int)sandbox->warnings_told++;
		return 0;
	}
	if (sandbox->init_ended && !sandbox->helpers[CAPTURE].pid) {
		*ret_event = VNIC_SANDBOX_EXITED;
		return vnic_child_wait(&sandbox->init, ret_value, err);
	}
	r = loop_wait(sandbox->epfd, &event, 1, 0, err);
	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
	switch (loop_ref_of(&event).type) {
	case REF_INIT_END:
		end_init(sandbox);
		break;
	case REF_INIT_CONTROL:
		r = vnic_child_next_stop(&sandbox->init, ret_value, err);
		if (r == -EPIPE) { /* its end is the next event */
			loop_remove(sandbox->epfd, sandbox->init.control);
			return -EAGAIN;
		}
		if (r < 0)
			return r;
		sandbox->stops++;
		*ret_event = VNIC_SANDBOX_STOPPED;
		return 0;
	case REF_GATEWAY_CONTROL:
		hear_gateway(sandbox);
		break;
	case REF_CAPTURE_CONTROL:
		hear_capture(sandbox);
		break;
	case REF_MOUNTS:
		cover_resolv(sandbox);
		break;
	default:
		if (loop_ref_of(&event).index == CAPTURE)
			lose_capture(sandbox);
		else
			lose_helper(sandbox, &sandbox->helpers[loop_ref_of(&event).index]);
		break;
	}
	/* A warning may have come of it, or the end, for which no event will come. */
	*ret_event = VNIC_SANDBOX_NOTHING;
	return 0;
}

int vnic_sandbox_signal(struct vnic_sandbox *sandbox, int signal, struct vnic_error *err)
{
	/* SIGKILL and SIGSTOP are for the command: init cannot catch them to pass them on. */
	bool direct = signal == SIGKILL || signal == SIGSTOP;
	int pidfd = direct ? sandbox->init.command_pidfd : sandbox->init.pidfd;
	/* Init goes by it: see is_to_continue in netns/init.c. */
	siginfo_t info = {.si_signo = signal, .si_code = SI_QUEUE};

	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_int = sandbox->stops;
	if (pidfd_send_signal(pidfd, signal, signal == SIGCONT ? &info : NULL, 0) < 0)
		return vnic_fail(err, VNIC_STEP_SIGNAL, errno, NULL, NULL);
	return 0;
}

const char *vnic_sandbox_warning(const struct vnic_sandbox *sandbox, unsigned index)
{
	return index < sandbox->warning_count ? sandbox->warnings[index] : NULL;
}

pid_t vnic_sandbox_pid(const struct vnic_sandbox *sandbox)
{
	return sandbox->init.command;
}

const struct vnic_opener *vnic_sandbox_opener(struct vnic_sandbox *sandbox)
{
	return sandbox->opener_socket >= 0 ? &sandbox->opener : NULL;
}

/*
 * The answer comes by a pipe of its own: the socket's notes stay in their order, and the gateway's end is an end of
 * file. Whoever took the gateway over, or stopped it, cannot hold us up.
 */
int vnic_sandbox_stats(struct vnic_sandbox *sandbox, struct vnic_gateway_stats *ret_stats,
		       struct vnic_dns_stats *ret_dns, struct vnic_error *err)
{
	const struct helper *gateway = &sandbox->helpers[GATEWAY];
	const struct ns_message message = {.type = NS_STATS};
	struct gate_stats stats;
	int pipe[2];

	if (!gateway->pid)
		return vnic_fail(err, VNIC_STEP_SANDBOX, ENODATA, NULL, "it has no gateway");
	if (pipe2(pipe, O_CLOEXEC) < 0)
		return vnic_fail(err, VNIC_STEP_OPEN, errno, "a pipe", NULL);
	CLEANUP_FD int from = pipe[0], to = pipe[1];
	int r = ns_message_send(gateway->control, &message, to, err);
	close_fd(&to);
	if (r < 0)
		return r;
	if (TEMP_FAILURE_RETRY(poll(&(struct pollfd){.fd = from, .events = POLLIN}, 1, STATS_MS)) == 0)
		return vnic_fail(err, VNIC_STEP_WAIT, ETIMEDOUT, gateway->what, NULL);
	ssize_t n = TEMP_FAILURE_RETRY(read(from, &stats, sizeof(stats)));
	if (n != (ssize_t)sizeof(stats))
		return vnic_fail(err, VNIC_STEP_WAIT, n < 0 ? errno : EPIPE, gateway->what, NULL);
	*ret_stats = stats.flows;
	*ret_dns = stats.dns;
	return 0;
}

/*
 * All are killed before one is waited for: they end side by side.  What is slow to close they leave to the kernel.  The
 * capture sees the end of its control, and writes what is left; so do the others whom we may not kill (root without
 * CAP_KILL, whose gateway is nobody's).
 */
static void end_helpers(struct helper helpers[HELPERS])
{
	siginfo_t info;

	for (int i = 0; i < HELPERS; i++) {
		if (helpers[i].pid && i != CAPTURE)
			pidfd_send_signal(helpers[i].pidfd, SIGKILL, NULL, 0);
		close_fd(&helpers[i].control);
	}
	for (int i = 0; i < HELPERS; i++) {
		if (helpers[i].pid)
			TEMP_FAILURE_RETRY(waitid(P_PIDFD, (id_t)helpers[i].pidfd, &info, WEXITED));
		close_fd(&helpers[i].pidfd);
	}
}

void vnic_sandbox_free(struct vnic_sandbox *sandbox)
{
	if (!sandbox)
		return;
	vnic_child_close(&sandbox->init);
	end_helpers(sandbox->helpers);
	close_fd(&sandbox->opener_socket);
	resolv_guard_close(&sandbox->guard);
	close_fd(&sandbox->epfd);
	if (sandbox->name.fd >= 0)
		vnic_name_drop(&sandbox->name);
	free(sandbox);
}
