/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front's side of a sandbox, while it runs and at its end: what happens to its processes, and what they ask for.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "enter.h"
#include "fd.h"
#include "loop.h"
#include "nft.h"
#include "sandbox_private.h"

#define STATS_MS 1000 /* the gateway answers between two batches of events */

void vnic_sandbox_defaults(bool rootless, struct vnic_sandbox_config *ret_config)
{
	*ret_config = (struct vnic_sandbox_config){
		.spawn.namespaces = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | (rootless ? CLONE_NEWUSER : 0u),
		.rootless = rootless,
		.nic_count = 1,
	};
	vnic_policy_init(&ret_config->policy);
}

/* What a helper says is for a terminal, and may come from whoever took it over. */
void sandbox_warn(struct vnic_sandbox *sandbox, const char *text)
{
	if (sandbox->warning_count == SANDBOX_WARNINGS)
		return;
	char *line = sandbox->warnings[sandbox->warning_count++];
	bool last = sandbox->warning_count == SANDBOX_WARNINGS;
	snprintf(line, sizeof(sandbox->warnings[0]), "%s", last ? "there are more warnings than are told" : text);
	for (; *line; line++)
		if (iscntrl((unsigned char)*line))
			*line = '?';
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
	sandbox_warn(sandbox, text);
}

/* To be read by the gateway, which opens no files; -1: they are the same, or cannot be told now. */
static int other_resolvers(struct vnic_sandbox *sandbox)
{
	struct vnic_dns_servers servers;
	int pipe[2] = {-1, -1};

	if (!resolv_refresh(&sandbox->resolvers, &servers))
		return -1;
	if (pipe2(pipe, O_CLOEXEC) < 0 || write(pipe[1], &servers, sizeof(servers)) < 0) {
		close_fd(&pipe[0]);
		sandbox->resolvers.read = false; /* the next time, then */
	}
	close_fd(&pipe[1]);
	return pipe[0];
}

/* It asks at most once a second, and only while it is asked itself.  Whoever took it over may ask and never hear. */
static void tell_resolvers(struct vnic_sandbox *sandbox)
{
	const struct ns_message message = {.type = NS_RESOLVERS};
	int control = sandbox->helpers[GATEWAY].control;
	CLEANUP_FD int fd = -1;

	if (poll(&(struct pollfd){.fd = control, .events = POLLOUT}, 1, 0) != 1)
		return;
	fd = other_resolvers(sandbox);
	ns_message_send(control, &message, fd, NULL);
}

/* 0: it said something. */
static int hear_gateway(struct vnic_sandbox *sandbox)
{
	const struct helper *gateway = &sandbox->helpers[GATEWAY];
	struct ns_message message;
	int r = ns_message_recv(gateway->control, false, &message, NULL, NULL);

	if (r == 0 && message.type == NS_NOTE)
		sandbox_warn(sandbox, message.note);
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
		sandbox_warn(sandbox, message.note);
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

	for (int i = 0; i < SANDBOX_WARNINGS && hear_capture(sandbox) == 0; i++)
		;
	TEMP_FAILURE_RETRY(waitid(P_PIDFD, (id_t)capture->pidfd, &info, WEXITED));
	close_fd(&capture->pidfd); /* and so out of the loop */
	close_fd(&capture->control);
	if (info.si_code != CLD_EXITED)
		sandbox_warn(sandbox, "vnic-capture was killed: the capture is not whole");
	capture->pid = 0;
	if (sandbox->init_ended)
		listen_to_init(sandbox, true);
}

/* What was said before the end comes before it, and what the sandbox has sent is captured. */
static void end_init(struct vnic_sandbox *sandbox)
{
	const struct ns_message message = {.type = NS_FINISH};

	for (int i = 0; i < SANDBOX_WARNINGS && hear_gateway(sandbox) == 0; i++)
		;
	if (sandbox->helpers[CAPTURE].pid && !sandbox->init_ended) {
		tell_capture(sandbox, &message, -1);
		pidfd_send_signal(sandbox->helpers[CAPTURE].pidfd, SIGCONT, NULL, 0); /* somebody may have stopped it */
		listen_to_init(sandbox, false);
	}
	sandbox->init_ended = true;
}

static void cover_resolv(struct vnic_sandbox *sandbox)
{
	struct vnic_error err;

	if (resolv_guard_look(&sandbox->guard, sandbox->init.command, sandbox->init.command_pidfd, &err) < 0)
		sandbox_warn(sandbox, "the host replaced " RESOLV_PATH ", and the sandbox has the host's now");
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
	/* Who is stopped, init too, shall end as well: service managers and shells do the same. */
	return signal == SIGTERM || signal == SIGHUP ? vnic_sandbox_signal(sandbox, SIGCONT, err) : 0;
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
	if (poll(&(struct pollfd){.fd = gateway->control, .events = POLLOUT}, 1, 0) != 1)
		return vnic_fail(err, VNIC_STEP_WAIT, ETIMEDOUT, gateway->what, "it has not read earlier questions");
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

struct drops_call {
	const struct vnic_sandbox *sandbox;
	struct vnic_nic_drops *drops;
	unsigned count;
};

static int read_drops(struct vnic_nl *nl, const struct routed_nic *nic, struct vnic_nic_drops *ret_drops,
		      struct vnic_error *err)
{
	struct vnic_nic_drops drops = {0};
	struct vnic_link_info outer;
	int r = vnic_link_get(nl, 0, nic->outer, &outer, err);

	if (r < 0)
		return r;
	memcpy(drops.name, nic->name, IFNAMSIZ);
	drops.in = outer.tx_dropped;
	drops.out = outer.rx_dropped;
	r = nft_router_dropped(nic->outer, &drops.source, err);
	if (r < 0 && r != -ENOENT) /* the kernel cannot count them, or it is no NIC of the gateway's */
		return r;
	*ret_drops = drops;
	return 0;
}

static int read_in_router(void *ctx, struct vnic_error *err)
{
	struct drops_call *call = ctx;
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	int r = vnic_nl_open(&nl, err);

	for (unsigned i = 0; i < call->sandbox->nic_count && r == 0; i++) {
		r = read_drops(nl, &call->sandbox->nics[i], &call->drops[call->count], err);
		if (r == 0)
			call->count++;
		else if (r == -ENODEV) /* a guest's TAP ended with its VMM */
			r = 0;
	}
	return r;
}

/* The relay's other device drops what the relay has not read in time; the sandbox may have renamed it. */
static int add_drops_inside(const struct vnic_sandbox *sandbox, struct vnic_nic_drops *drops, struct vnic_error *err)
{
	CLEANUP(vnic_target_close) struct vnic_target inside = VNIC_TARGET_EMPTY;
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	struct vnic_link_info inner;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", sandbox->netns);
	int r = vnic_target_open(path, NULL, &inside, err);
	if (r == 0)
		r = vnic_nl_open_in(&inside, &nl, err);
	for (unsigned i = 0; i < sandbox->nic_count && r == 0; i++)
		if (sandbox->nics[i].relayed && vnic_link_get(nl, 0, sandbox->nics[i].name, &inner, NULL) == 0) {
			drops[i].in += inner.rx_dropped;
			drops[i].out += inner.tx_dropped;
		}
	return r;
}

static bool has_relayed(const struct vnic_sandbox *sandbox)
{
	for (unsigned i = 0; i < sandbox->nic_count; i++)
		if (sandbox->nics[i].relayed)
			return true;
	return false;
}

int vnic_sandbox_drops(struct vnic_sandbox *sandbox, struct vnic_nic_drops ret_drops[VNIC_NICS], struct vnic_error *err)
{
	const struct vnic_open_request any = {.domain = AF_INET, .type = SOCK_DGRAM};
	CLEANUP(vnic_target_close) struct vnic_target router = VNIC_TARGET_EMPTY;
	struct drops_call call = {.sandbox = sandbox, .drops = ret_drops};
	CLEANUP_FD int fd = -1;
	int r;

	if (!sandbox->nic_count)
		return 0;
	r = sandbox->opener.open(sandbox->opener.ctx, &any, &fd, err);
	if (r == 0)
		r = target_beside(fd, "the router", &router, err);
	if (r == 0)
		r = vnic_target_call(&router, read_in_router, &call, err);
	if (r == 0 && has_relayed(sandbox) && call.count == sandbox->nic_count)
		r = add_drops_inside(sandbox, ret_drops, err);
	return r < 0 ? r : (int)call.count;
}

/*
 * All are killed before one is waited for: they end side by side.  What is slow to close they leave to the kernel.
 * Those that finish see the end of their control, and write what is left, though somebody may have stopped them; so do
 * the others whom we may not kill (root without CAP_KILL, whose gateway is nobody's).
 */
static void end_helpers(struct helper helpers[HELPERS])
{
	siginfo_t info;

	for (int i = 0; i < HELPERS; i++) {
		if (helpers[i].pid)
			pidfd_send_signal(helpers[i].pidfd, helpers[i].finishes ? SIGCONT : SIGKILL, NULL, 0);
		close_fd(&helpers[i].control);
	}
	for (int i = 0; i < HELPERS; i++) {
		if (helpers[i].pid)
			TEMP_FAILURE_RETRY(waitid(P_PIDFD, (id_t)helpers[i].pidfd, &info, WEXITED));
		close_fd(&helpers[i].pidfd);
	}
}

/*
 * A device ends with its last descriptor; but whoever has one, as a VMM that its guest has taken over, may make it
 * persistent, give it an owner, or pass it on.  In the router that leads nowhere; on the host's bridge it must go.
 */
static void delete_host_taps(const struct vnic_sandbox *sandbox)
{
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;

	if (!sandbox->host_tap_count || vnic_nl_open(&nl, NULL) < 0)
		return;
	for (unsigned i = 0; i < sandbox->host_tap_count; i++)
		vnic_link_del(nl, sandbox->host_taps[i], NULL, NULL);
}

void vnic_sandbox_free(struct vnic_sandbox *sandbox)
{
	if (!sandbox)
		return;
	vnic_child_close(&sandbox->init);
	end_helpers(sandbox->helpers);
	delete_host_taps(sandbox);
	close_fd(&sandbox->opener_socket);
	close_fd(&sandbox->netns);
	resolv_guard_close(&sandbox->guard);
	close_fd(&sandbox->epfd);
	if (sandbox->name.fd >= 0)
		vnic_name_drop(&sandbox->name);
	free(sandbox);
}
