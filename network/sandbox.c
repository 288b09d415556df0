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
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "enter.h"
#include "fd.h"
#include "loop.h"
#include "sandbox_private.h"

#define SEND_SECONDS 10 /* for what a sandbox that has ended has sent: it may be much, or the gateway be taken over */

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

bool sandbox_may_tell(const struct helper *helper)
{
	return poll(&(struct pollfd){.fd = helper->control, .events = POLLOUT}, 1, 0) == 1;
}

/* --- while it runs ------------------------------------------------------------------ */

int vnic_sandbox_get_fd(const struct vnic_sandbox *sandbox)
{
	return sandbox->epfd;
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

	if (!sandbox_may_tell(&sandbox->helpers[GATEWAY]))
		return;
	fd = other_resolvers(sandbox);
	ns_message_send(control, &message, fd, NULL);
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

/* --- the end, stage by stage -------------------------------------------------------- */

static void listen_to_init(struct vnic_sandbox *sandbox, bool listen)
{
	loop_change(sandbox->epfd, sandbox->init.pidfd, listen ? EPOLLIN : 0, (struct loop_ref){.type = REF_INIT_END},
		    NULL);
}

static void be_over(struct vnic_sandbox *sandbox)
{
	sandbox->stage = STAGE_OVER;
	listen_to_init(sandbox, true);
}

/* All has gone out that will. */
static void let_capture_finish(struct vnic_sandbox *sandbox)
{
	const struct ns_message message = {.type = NS_FINISH};

	close_fd(&sandbox->deadline); /* and so out of the loop */
	sandbox->stage = STAGE_CAPTURES;
	if (!sandbox->helpers[CAPTURE].pid) {
		be_over(sandbox);
		return;
	}
	tell_capture(sandbox, &message, -1);
	pidfd_send_signal(sandbox->helpers[CAPTURE].pidfd, SIGCONT, NULL, 0); /* somebody may have stopped it */
}

static bool set_deadline(struct vnic_sandbox *sandbox)
{
	const struct itimerspec spec = {.it_value.tv_sec = SEND_SECONDS};

	sandbox->deadline = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	return sandbox->deadline >= 0 && timerfd_settime(sandbox->deadline, 0, &spec, NULL) == 0 &&
	       loop_add(sandbox->epfd, sandbox->deadline, EPOLLIN, (struct loop_ref){.type = REF_DEADLINE}, NULL) == 0;
}

/* False: there is nobody who could. */
static bool let_gateway_finish(struct vnic_sandbox *sandbox)
{
	const struct ns_message message = {.type = NS_FINISH};
	const struct helper *gateway = &sandbox->helpers[GATEWAY];

	if (!gateway->pid || sandbox->lost || !sandbox_may_tell(gateway) || !set_deadline(sandbox) ||
	    ns_message_send(gateway->control, &message, -1, NULL) < 0)
		return false;
	pidfd_send_signal(gateway->pidfd, SIGCONT, NULL, 0); /* somebody may have stopped it */
	return true;
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
	else if (r == 0 && message.type == NS_FINISH && sandbox->stage == STAGE_SENDS)
		let_capture_finish(sandbox);
	else if (r == -EPIPE)
		loop_remove(sandbox->epfd, gateway->control);
	return r;
}

/* What was said before the end comes before it. */
static void end_init(struct vnic_sandbox *sandbox)
{
	for (int i = 0; i < SANDBOX_WARNINGS && hear_gateway(sandbox) == 0; i++)
		;
	listen_to_init(sandbox, false);
	sandbox->stage = STAGE_SENDS;
	if (!let_gateway_finish(sandbox))
		let_capture_finish(sandbox);
}

static void miss_deadline(struct vnic_sandbox *sandbox)
{
	sandbox_warn(sandbox, "not all that the sandbox sent has gone out: it took too long");
	let_capture_finish(sandbox);
}

/* Without them the sandbox's NIC is dead: the sandbox ends, and says why. */
static void lose_helper(struct vnic_sandbox *sandbox, const struct helper *helper)
{
	bool sends = sandbox->stage == STAGE_SENDS;
	char text[128];

	loop_remove(sandbox->epfd, helper->pidfd);
	if (sandbox->stage == STAGE_CAPTURES)
		return; /* it has done its part */
	pidfd_send_signal(sandbox->init.pidfd, SIGKILL, NULL, 0);
	snprintf(text, sizeof(text), "%s has ended; %s", helper->what,
		 sends ? "what the sandbox had sent last may be lost" : "the sandbox ends with it");
	sandbox_warn(sandbox, text);
	sandbox->lost = true;
	if (sends)
		let_capture_finish(sandbox);
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
	if (sandbox->stage == STAGE_CAPTURES)
		be_over(sandbox);
}

/* --- what happens ------------------------------------------------------------------- */

static void cover_resolv(struct vnic_sandbox *sandbox)
{
	struct vnic_error err;

	if (sandbox->stage != STAGE_RUNS)
		return; /* nobody reads it any more */
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
	if (sandbox->stage == STAGE_OVER) {
		*ret_event = VNIC_SANDBOX_EXITED;
		return vnic_child_wait(&sandbox->init, ret_value, err);
	}
	r = loop_wait(sandbox->epfd, &event, 1, 0, err);
	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
	switch (loop_ref_of(&event).type) {
	case REF_INIT_END:
		end_init(sandbox);
		*ret_event = sandbox->stage == STAGE_SENDS ? VNIC_SANDBOX_SENDS : VNIC_SANDBOX_NOTHING;
		return 0;
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
	case REF_DEADLINE:
		miss_deadline(sandbox);
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

/* To whom nothing is left to tell it to: he does not want to wait. */
static void signal_the_end(struct vnic_sandbox *sandbox, int signal)
{
	bool ends = signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT || signal == SIGKILL;

	if (ends && sandbox->stage == STAGE_SENDS)
		let_capture_finish(sandbox);
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
	if (sandbox->stage != STAGE_RUNS) {
		signal_the_end(sandbox, signal);
		return 0;
	}
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
	close_fd(&sandbox->deadline);
	resolv_guard_close(&sandbox->guard);
	close_fd(&sandbox->epfd);
	if (sandbox->name.fd >= 0)
		vnic_name_drop(&sandbox->name);
	free(sandbox);
}
