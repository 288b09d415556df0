/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic relay: join ports until a signal comes. */
#include "capture_options.h"
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "front.h"
#include "relay_control.h"
#include "relay_stats.h"

static const struct cli_option options[] = {
	{"hub", 0, NULL, false, NULL, "send every frame to all ports, learn nothing"},
	{"macs", 0, "N", false, "4096", "learn at most N MAC addresses"},
	{"threads", 0, "N", false, "1", "run N threads, and give each TAP and TUN as many queues"},
	{"busy-poll", 0, NULL, false, NULL,
	 "poll instead of sleeping where that cuts delay; takes up to one CPU per thread"},
	{"fast-path", 0, NULL, false, NULL,
	 "let the kernel carry the frames of two TAPs while nothing has to look at them"},
	{"stats", 's', NULL, false, NULL, "print the counters of the ports at the end"},
	{"json", 0, NULL, false, NULL, "print the counters as JSON at the end"},
	{"interval", 0, "SECONDS", false, NULL, "with --json: print a line of JSON this often, and one at the end"},
	{"top", 0, NULL, false, NULL, "show rates on the terminal every second; q ends the relay"},
	{"control", 0, "PATH", false, NULL, "take commands on a Unix socket while running"},
	{"at", 0, "PATH", false, NULL, "give a command, instead of ports, to the relay that runs with --control PATH"},
	{"capture", 'w', "FILE", false, NULL, "write frames to FILE, or to standard output if it is '-', as pcapng"},
	{"capture-both", 0, NULL, false, NULL, "capture frames where they leave, too, not only where they come in"},
	{"capture-drops", 0, NULL, false, NULL, "capture dropped frames, too, with the reason as a comment"},
	CAPTURE_FILE_OPTIONS,
	{"ready-fd", 0, "N", false, NULL, "write a line to this descriptor when all ports are open, and close it"},
	{0},
};

/* --- the run ------------------------------------------------------------------------ */

static struct vnic_relay *running;

static void on_signal(int signal)
{
	(void)signal;
	vnic_relay_stop(running);
}

static void catch_signals(void)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct sigaction inherited;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (sigaction(SIGHUP, NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN) /* else by nohup(1) */
		sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN); /* who reads a capture may stop reading, */
	signal(SIGXFSZ, SIG_IGN); /* and 'ulimit -f' may end it: both are errors like others */
}

/* What a run has beside its relay. */
struct session {
	const struct cli_args *args;
	struct vnic_relay *relay;
	struct vnic_port *ports; /* as given, then as changed */
	struct capture_options capture;
	struct relay_control control;
	struct relay_ticks ticks;
	uint32_t interval; /* seconds; 0: none */
	unsigned threads;
	int ready_fd;
};

static int check_fast_path(const struct session *session, struct vnic_error *err)
{
	const char *why = NULL;

	if (!cli_flag(session->args, "fast-path"))
		return 0;
	for (int i = 0; i < session->args->operand_count; i++)
		if (session->ports[i].kind != VNIC_PORT_TAP || i == VNIC_FAST_PORTS)
			why = "it is between two ports of the kind tap";
	if (session->capture.path)
		why = "what goes by it cannot be captured";
	if (session->threads > 1)
		why = "a relay with threads has none";
	return why ? vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--fast-path", "%s", why) : 0;
}

/* A port that is handed over may be a TAP: the relay looks. */
static int check_threads(const struct session *session, struct vnic_error *err)
{
	const char *why = NULL;

	if (session->threads == 1)
		return 0;
	for (int i = 0; i < session->args->operand_count; i++) {
		const struct vnic_port *port = &session->ports[i];

		if (port->kind != VNIC_PORT_TAP && port->kind != VNIC_PORT_TUN && port->kind != VNIC_PORT_FD)
			why = "a relay with threads has TAP and TUN ports only";
		for (unsigned d = 0; d < VNIC_DIRECTIONS; d++)
			if (port->sides[d].impaired || port->sides[d].filter[0])
				why = "a relay with threads has no filters and no weather";
	}
	if (session->capture.path)
		why = "a relay with threads has no capture";
	return why ? vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--threads", "%s", why) : 0;
}

/* Files that take turns have names of their own. */
static const char *captured_to(const struct capture_options *capture)
{
	bool one_file = capture->path && strcmp(capture->path, "-") != 0 && !capture->config.rotate_bytes;

	return one_file ? capture->path : NULL;
}

/* All are understood before the first one is made. */
static int open_ports(struct session *session, struct vnic_error *err)
{
	const struct cli_args *args = session->args;
	const char *state_dir;
	int r = cli_state_dir(false, &state_dir, err);

	session->ports = calloc((size_t)args->operand_count, sizeof(*session->ports));
	if (!session->ports)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	for (int i = 0; r >= 0 && i < args->operand_count; i++) {
		r = vnic_port_parse(args->operands[i], &session->ports[i], err);
		if (r >= 0 && !session->ports[i].queues)
			session->ports[i].queues = session->threads;
	}
	if (r >= 0)
		r = vnic_ports_check(session->ports, (unsigned)args->operand_count, captured_to(&session->capture),
				     err);
	if (r >= 0)
		r = check_fast_path(session, err);
	if (r >= 0)
		r = check_threads(session, err);
	for (int i = 0; r >= 0 && i < args->operand_count; i++) {
		r = vnic_port_open(&session->ports[i], state_dir, session->relay, err);
		if (r >= 0 && session->ports[i].answers)
			cli_warn("%s has addresses: the kernel answers there beside the relay's ports, so frames are "
				 "doubled",
				 session->ports[i].text);
	}
	return r;
}

static void tell_of_loss(void *ctx, const struct vnic_error *why)
{
	char text[512];

	(void)ctx;
	vnic_error_text(why, text, sizeof(text));
	cli_warn("the fast path is lost, frames go through the relay: %s", text);
}

/* Before anything is open, or the number might turn out to be one of ours. */
static int take_ready_fd(const struct cli_args *args, int *ret_fd, struct vnic_error *err)
{
	uint32_t number = UINT32_MAX;
	int r = cli_number(args, "ready-fd", 0, 1 << 20, &number, err);

	return r < 0 || number == UINT32_MAX ? r : front_take_fd("ready-fd", number, ret_fd, err);
}

static int say_ready(int *fd, struct vnic_error *err)
{
	if (*fd >= 0 && write(*fd, "\n", 1) != 1)
		return vnic_fail(err, VNIC_STEP_WRITE, errno, "--ready-fd", NULL);
	close_fd(fd);
	return 0;
}

static int read_capture(const struct cli_args *args, struct capture_options *capture, struct vnic_error *err)
{
	bool drops = cli_flag(args, "capture-drops"), both = cli_flag(args, "capture-both");
	int r = capture_options_read(args, capture, err);

	if (r < 0)
		return r;
	if (!capture->path && (drops || both))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, drops ? "--capture-drops" : "--capture-both",
				 "this option needs --capture");
	if (capture->path && !strcmp(capture->path, "-") && (cli_flag(args, "json") || cli_flag(args, "stats")))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--capture -",
				 "the counters go to the standard output too");
	capture->config.drops = drops;
	capture->config.directions = 1u << VNIC_INGRESS | (both ? 1u << VNIC_EGRESS : 0u);
	return 0;
}

static int start_capture(struct capture_options *capture, struct vnic_relay *relay, struct vnic_error *err)
{
	int r = capture->path ? capture_options_open(capture, err) : 0;

	if (r < 0 || !capture->path)
		return r;
	CLEANUP_FD int fd = capture->config.fd;
	r = vnic_relay_set_capture(relay, &capture->config, err);
	if (r == 0)
		take_fd(&fd);
	return r;
}

static int begin(struct session *session, struct vnic_error *err)
{
	const struct cli_args *args = session->args;
	const char *control = cli_value(args, "control");
	bool top = cli_flag(args, "top");
	int r = open_ports(session, err);

	if (r >= 0 && cli_flag(args, "fast-path"))
		r = vnic_fast_path_start(session->relay, tell_of_loss, NULL, err);
	if (r >= 0)
		r = start_capture(&session->capture, session->relay, err);
	if (r >= 0 && control)
		r = relay_control_begin(&session->control, control, session->relay, session->ports, args->operand_count,
					err);
	if (r >= 0)
		r = say_ready(&session->ready_fd, err);
	if (r >= 0 && (top || session->interval))
		r = relay_ticks_begin(&session->ticks, session->relay, top, top ? 1 : session->interval, err);
	return r;
}

static int print_counters(const struct session *session, struct vnic_error *err)
{
	if (session->interval)
		return relay_stats_print_line(session->relay, err);
	if (cli_flag(session->args, "json"))
		return cli_print_json(relay_stats_json(session->relay), err);
	if (cli_flag(session->args, "stats"))
		relay_stats_print(session->relay);
	return 0;
}

/* A reader of a pipe may go when he has seen enough. */
static void end_capture(const struct session *session)
{
	struct vnic_error err;
	int r = vnic_relay_set_capture(session->relay, NULL, &err);

	if (r < 0 && r != -EPIPE)
		cli_warn("not all was captured: %s: %s", session->capture.path, strerror(-r));
}

static int relay_frames(struct session *session, struct vnic_error *err)
{
	int r = begin(session, err), printed = 0;
	bool began = r >= 0;

	if (began)
		r = vnic_relay_run(session->relay, err);
	relay_ticks_end(&session->ticks);
	relay_control_end(&session->control);
	if (began)
		printed = print_counters(session, r < 0 ? NULL : err);
	end_capture(session);
	return r < 0 ? r : printed;
}

static int read_live_options(struct session *session, struct vnic_error *err)
{
	const struct cli_args *args = session->args;
	bool top = cli_flag(args, "top");
	int r = cli_number(args, "interval", 1, 86400, &session->interval, err);

	if (r < 0)
		return r;
	if (session->interval && !cli_flag(args, "json"))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--interval", "it needs --json");
	if (top && (cli_flag(args, "json") || (session->capture.path && !strcmp(session->capture.path, "-"))))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--top", "the standard output has another use");
	if (session->threads > 1 && (top || session->interval || cli_value(args, "control")))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--threads",
				 "a relay with threads is not watched or changed while it runs");
	return 0;
}

static int read_options(struct session *session, struct vnic_relay_config *config, struct vnic_error *err)
{
	const struct cli_args *args = session->args;
	int r = take_ready_fd(args, &session->ready_fd, err);

	config->hub = cli_flag(args, "hub");
	config->busy_poll = cli_flag(args, "busy-poll");
	if (r == 0)
		r = cli_number(args, "threads", 1, VNIC_RELAY_THREADS, &config->threads, err);
	if (r == 0)
		r = cli_number(args, "macs", 1, VNIC_RELAY_MACS, &config->fdb_max, err);
	if (r == 0)
		r = read_capture(args, &session->capture, err);
	session->threads = config->threads;
	return r < 0 ? r : read_live_options(session, err);
}

static int join_ports(const struct cli_args *args, struct vnic_error *err)
{
	struct session session = {.args = args, .control = RELAY_CONTROL_EMPTY, .ready_fd = -1};
	struct vnic_relay_config config = {0};
	int r = read_options(&session, &config, err);

	raise_fd_limit(); /* a port takes up to three */
	if (r == 0)
		r = vnic_relay_new(&config, &running, err);
	if (r == 0) {
		session.relay = running;
		catch_signals();
		r = relay_frames(&session, err);
		vnic_relay_free(running);
	}
	free(session.ports);
	close_fd(&session.ready_fd);
	return r;
}

static int run(const struct cli_args *args, struct vnic_error *err)
{
	const char *at = cli_value(args, "at");

	if (!at && args->operand_count < 2)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "relay", "it needs PORT PORT...");
	if (!at)
		return join_ports(args, err);
	if (args->value_count > 1)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--at", "it goes with no other option");
	if (!args->operand_count)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--at",
				 "it needs a command: set, clear, link, isolate or stats");
	return relay_control_ask(at, args->operands, err);
}

const struct command cmd_relay = {
	.name = "relay",
	.operands = "PORT PORT...",
	.summary = "join ports: frames that come in at one go out at the others",
	.details = "A port is tap:NAME, tun:NAME, veth:NAME, link:NAME, stream:PATH, seqpacket:PATH,\n"
		   "dgram:PATH, udp:ADDRESS:PORT, vxlan:id=NUMBER, pcap:FILE or fd:N, with keys such as\n"
		   "tap:eth0,netns=red,ip=10.9.0.1/24,delay=10ms,loss=1%,filter=EXPRESSION.\n"
		   "Two ports are a patch, more a learning switch.\n"
		   "SIGINT, SIGTERM and SIGHUP end it cleanly.\n"
		   "\n"
		   "Commands for --at: set PORT KEY=VALUE,... | clear PORT |\n"
		   "link PORT up|down | isolate PORT on|off | stats",
	.options = options,
	.max_operands = VNIC_RELAY_PORTS,
	.run = run,
};
