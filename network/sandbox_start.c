/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front's side of a sandbox, until it runs: plan, start the others, wait until both are ready, let the command go.
 *
 * Undo is the death of the processes: links, addresses and namespaces live only as long as
 * someone holds them, so a failure kills what was started and the kernel takes the rest back, in
 * the same way as after a SIGKILL.  One path, always exercised.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "fd.h"
#include "loop.h"
#include "sandbox_private.h"

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
	if (sandbox->opener_socket >= 0)
		opener_limit(sandbox->opener_socket);
}

/* Who has failed has no namespace to link: what it said is the cause.  Else `r`. */
static int cause_of(int r, int control, struct vnic_error *err)
{
	struct ns_message message;

	if (ns_message_recv(control, false, &message, NULL, NULL) == 0 && message.type == NS_FAILED)
		return ns_message_failure(&message, err);
	return r;
}

static int start_init(struct vnic_sandbox *sandbox, struct build *build, struct vnic_error *err)
{
	const struct helper *router = &sandbox->helpers[ROUTER];
	int r = ns_child_start(&build->spawn, build->user ? &build->sandbox_map : NULL, false, &build->init_step,
			       &sandbox->init, err);

	take_helpers(sandbox, build);
	if (r == 0 && build->plan.count && !plan_is_handed(&build->plan)) {
		r = build_links(build, router->pid ? ns_proc_pid(router->pid, router->pidfd) : 0, &sandbox->init, err);
		if (r < 0)
			r = cause_of(r, router->control, err);
		if (r < 0)
			r = cause_of(r, sandbox->init.control, err);
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
	return r == 0 && ret_message->type == NS_FAILED ? ns_message_failure(ret_message, err) : r;
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

/* A router may have started a relay for us, also where it failed then. */
static int helper_ready(struct vnic_sandbox *sandbox, unsigned number, struct vnic_error *err)
{
	struct helper *relay = &sandbox->helpers[RELAY];
	struct ns_message message;
	int fd = -1;
	int r = hear_helper(&sandbox->helpers[number], &message, number == ROUTER ? &fd : NULL, err);

	if (fd >= 0) {
		relay->pid = message.value;
		relay->pidfd = fd;
	}
	return r;
}

/*
 * All of them, in whichever order.  When one fails the others would wait for it, so the first failure is the
 * answer; init's before a helper's where both speak, for the helper's is then the consequence.
 */
static int wait_ready(struct vnic_sandbox *sandbox, struct vnic_error *err)
{
	struct pollfd fds[1 + 2 * HELPERS] = {{.fd = sandbox->init.control, .events = POLLIN}};
	struct pollfd *controls = fds + 1, *pidfds = controls + HELPERS;
	int left = 1;

	for (int i = 0; i < HELPERS; i++) {
		controls[i] = (struct pollfd){.fd = sandbox->helpers[i].control, .events = POLLIN};
		pidfds[i] = (struct pollfd){.fd = sandbox->helpers[i].pidfd, .events = POLLIN};
		left += sandbox->helpers[i].pid != 0;
	}
	while (left) {
		unsigned at = 0;

		if (poll(fds, 1 + 2 * HELPERS, -1) < 0) {
			if (errno == EINTR)
				continue;
			return vnic_fail(err, VNIC_STEP_WAIT, errno, NULL, NULL);
		}
		while (fds[at].fd < 0 || !fds[at].revents)
			at++;
		unsigned number = (at + HELPERS - 1) % HELPERS;
		int r = at ? helper_ready(sandbox, number, err) : ns_child_ready(&sandbox->init, err);
		if (r < 0)
			return r;
		left--;
		if (at) /* of either of its two */
			controls[number].fd = pidfds[number].fd = -1;
		else /* its end is still heard of: a router waits for links that may have ended with it */
			fds[0].events = 0;
	}
	return 0;
}

/* Before the command is let go: it may be over at once. */
static void hold_netns(struct vnic_sandbox *sandbox, const struct build *build)
{
	char path[32];

	if (!build->has_router || plan_is_handed(&build->plan))
		return;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", ns_proc_pid(sandbox->init.pid, sandbox->init.pidfd));
	sandbox->netns = open(path, O_RDONLY | O_CLOEXEC);
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
	if (r < 0)
		return r;
	hold_netns(sandbox, build);
	return vnic_child_release(&sandbox->init, err);
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
		sandbox_warn(sandbox, text);
	if (build->spawn.namespaces & CLONE_NEWNS && !(sandbox->init.kept & VNIC_KEPT_RESOLV))
		guard_resolv(sandbox, build);
}

static void note_kept(struct vnic_sandbox *sandbox)
{
	bool uncovered = sandbox->init.kept & VNIC_KEPT_RESOLV;

	if (uncovered && access(RESOLV_PATH, F_OK) < 0)
		sandbox_warn(sandbox, RESOLV_PATH " is absent: names may not resolve; 'sudo touch " RESOLV_PATH
						  "' makes room for the sandbox's");
	else if (uncovered)
		sandbox_warn(sandbox, RESOLV_PATH " cannot be covered: names may not resolve");
	if (sandbox->init.kept & VNIC_KEPT_RESOLVERS)
		sandbox_warn(sandbox,
			     "the host's name services stay reachable: names may be resolved past the forwarder");
	if (sandbox->init.kept & VNIC_KEPT_PROC)
		sandbox_warn(sandbox, "the kernel refused a fresh /proc: it shows the host's processes");
	if (sandbox->init.kept & VNIC_KEPT_SYS)
		sandbox_warn(sandbox, "the kernel refused a fresh /sys: /sys/class/net shows the host's links");
}

static void note_networks(struct vnic_sandbox *sandbox, const struct plan *plan)
{
	char text[sizeof(sandbox->warnings[0])];

	if (plan->no_ipv6)
		sandbox_warn(sandbox, plan->no_ipv6);
	for (unsigned i = 0; i < plan->count; i++)
		if (plan_note(&plan->nics[i], text, sizeof(text)))
			sandbox_warn(sandbox, text);
}

static void note_nics(struct vnic_sandbox *sandbox, const struct plan *plan)
{
	for (unsigned i = 0; i < plan->count; i++) {
		struct routed_nic *nic = &sandbox->nics[sandbox->nic_count];

		if (!nic_is_routed(&plan->nics[i].nic))
			continue;
		memcpy(nic->name, plan->nics[i].nic.name, IFNAMSIZ);
		memcpy(nic->outer, plan->nics[i].outer_name, IFNAMSIZ);
		nic->relayed = nic_is_relayed(&plan->nics[i].nic);
		sandbox->nic_count++;
	}
	for (unsigned i = 0; i < plan->count; i++)
		if (nic_is_handed(&plan->nics[i].nic) && plan->nics[i].nic.to == VNIC_TO_BRIDGE)
			sandbox->host_taps[sandbox->host_tap_count++] = plan->nics[i].outer_index;
}

static int set_up(struct vnic_sandbox *sandbox, const struct vnic_sandbox_config *config, struct vnic_error *err)
{
	struct build build = BUILD_EMPTY;
	sigset_t all, old;
	int r = build_make(config, &build, err);

	if (r == 0 && config->name)
		r = vnic_name_take(config->name, config->state_dir, &sandbox->name, err);
	if (r < 0) {
		build_close(&build);
		return r;
	}
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
		note_nics(sandbox, &build.plan);
		note_networks(sandbox, &build.plan);
		note_kept(sandbox);
		look_after_resolv(sandbox, &build);
		sandbox->helpers[GATEWAY].finishes = config->has_log;
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
		.helpers = {{"vnic-router", 0, -1, -1, false},
			    {"vnic-gateway", 0, -1, -1, false},
			    {"vnic-relay", 0, -1, -1, false},
			    {"vnic-capture", 0, -1, -1, true}},
		.opener_socket = -1,
		.netns = -1,
		.deadline = -1,
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
