/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic relay: join ports until a signal comes. */
#include "capture_options.h"
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "front.h"

static const struct cli_option options[] = {
	{"hub", 0, NULL, false, NULL, "send every frame to all ports, learn nothing"},
	{"threads", 0, "N", false, NULL, "a thread for each queue of TAPs and TUNs; 1 if not given"},
	{"busy-poll", 0, NULL, false, NULL, "never sleep: less delay, at the cost of a CPU for each thread"},
	{"stats", 's', NULL, false, NULL, "print counters of the ports at the end"},
	{"json", 0, NULL, false, NULL, "print the counters as JSON"},
	{"capture", 'w', "FILE", false, NULL, "write frames as pcapng to FILE, or to the standard output for '-'"},
	{"capture-both", 0, NULL, false, NULL, "capture frames where they leave too, not only where they come in"},
	{"capture-drops", 0, NULL, false, NULL, "capture dropped frames too, with the reason as a comment"},
	CAPTURE_FILE_OPTIONS,
	{"ready-fd", 0, "N", false, NULL, "write a line to this descriptor when all ports are open, and close it"},
	{0},
};

/* --- counters ----------------------------------------------------------------------- */

static void print_drops(const char *direction, const uint64_t dropped[VNIC_DROP_COUNT])
{
	for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
		if (dropped[why])
			printf("    %s dropped, %s: %" PRIu64 "\n", direction, vnic_drop_text(why), dropped[why]);
}

static void print_stats(const struct vnic_relay *relay)
{
	struct vnic_port_stats port;
	struct vnic_relay_stats all;
	const char *name;
	bool open;

	printf("%-32s %14s %16s %14s %16s\n", "PORT", "RX FRAMES", "RX BYTES", "TX FRAMES", "TX BYTES");
	for (unsigned i = 0; vnic_relay_get_port(relay, i, &name, &open, &port) == 0; i++) {
		printf("%-32s %14" PRIu64 " %16" PRIu64 " %14" PRIu64 " %16" PRIu64 "%s\n", name, port.rx_frames,
		       port.rx_bytes, port.tx_frames, port.tx_bytes, open ? "" : "  gone");
		print_drops("rx", port.rx_dropped);
		print_drops("tx", port.tx_dropped);
	}
	vnic_relay_get_stats(relay, &all);
	for (unsigned kind = 0; kind < VNIC_MADE_COUNT; kind++)
		if (all.made[kind])
			printf("made, %s: %" PRIu64 "\n", vnic_made_text(kind), all.made[kind]);
	printf("MACs %u, moved %" PRIu64 ", not learnt %" PRIu64 "\n", all.fdb_entries, all.fdb_moves, all.fdb_full);
}

static json_t *drops_json(const uint64_t dropped[VNIC_DROP_COUNT])
{
	json_t *drops = json_object();

	for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
		json_object_set_new(drops, vnic_drop_text(why), json_integer((json_int_t)dropped[why]));
	return drops;
}

static json_t *made_json(const uint64_t made[VNIC_MADE_COUNT])
{
	json_t *kinds = json_object();

	for (unsigned kind = 0; kind < VNIC_MADE_COUNT; kind++)
		json_object_set_new(kinds, vnic_made_text(kind), json_integer((json_int_t)made[kind]));
	return kinds;
}

static json_t *stats_json(const struct vnic_relay *relay)
{
	struct vnic_port_stats port;
	struct vnic_relay_stats all;
	json_t *ports = json_array();
	const char *name;
	bool open;

	for (unsigned i = 0; vnic_relay_get_port(relay, i, &name, &open, &port) == 0; i++)
		json_array_append_new(
			ports,
			json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:o}", "name", name, "open", open, "rx_frames",
				  (json_int_t)port.rx_frames, "rx_bytes", (json_int_t)port.rx_bytes, "tx_frames",
				  (json_int_t)port.tx_frames, "tx_bytes", (json_int_t)port.tx_bytes, "rx_dropped",
				  drops_json(port.rx_dropped), "tx_dropped", drops_json(port.tx_dropped)));
	vnic_relay_get_stats(relay, &all);
	return json_pack("{s:o, s:o, s:I, s:I, s:i, s:I, s:I}", "ports", ports, "made", made_json(all.made), "held",
			 (json_int_t)all.held, "merged", (json_int_t)all.merged, "macs", (int)all.fdb_entries,
			 "macs_moved", (json_int_t)all.fdb_moves, "macs_not_learnt", (json_int_t)all.fdb_full);
}

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

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN); /* who reads a capture may stop reading */
}

/* All are understood before the first one is made. */
static int open_ports(const struct cli_args *args, unsigned threads, struct vnic_relay *relay, struct vnic_error *err)
{
	struct vnic_port port;
	const char *state_dir;
	int r = cli_state_dir(false, &state_dir, err);

	for (int i = 0; r >= 0 && i < args->operand_count; i++)
		r = vnic_port_parse(args->operands[i], &port, err);
	for (int i = 0; r >= 0 && i < args->operand_count; i++) {
		r = vnic_port_parse(args->operands[i], &port, err);
		if (r >= 0 && !port.queues)
			port.queues = threads;
		if (r >= 0)
			r = vnic_port_open(&port, state_dir, relay, err);
	}
	return r;
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
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, NULL, "this option needs --capture");
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

static int relay_frames(const struct cli_args *args, struct vnic_relay *relay, struct capture_options *capture,
			unsigned threads, int *ready_fd, struct vnic_error *err)
{
	int r = open_ports(args, threads, relay, err);

	if (r >= 0)
		r = start_capture(capture, relay, err);
	if (r >= 0)
		r = say_ready(ready_fd, err);
	if (r < 0)
		return r;
	r = vnic_relay_run(relay, err);
	if (cli_flag(args, "json")) {
		int printed = cli_print_json(stats_json(relay), r < 0 ? NULL : err);

		return r < 0 ? r : printed;
	}
	if (cli_flag(args, "stats"))
		print_stats(relay);
	return r;
}

static int run(const struct cli_args *args, struct vnic_error *err)
{
	struct vnic_relay_config config = {.hub = cli_flag(args, "hub"), .busy_poll = cli_flag(args, "busy-poll")};
	CLEANUP_FD int ready_fd = -1;
	struct capture_options capture;
	int r = take_ready_fd(args, &ready_fd, err);

	if (r == 0)
		r = cli_number(args, "threads", 1, VNIC_RELAY_THREADS, &config.threads, err);
	if (r == 0)
		r = read_capture(args, &capture, err);
	if (r == 0)
		r = vnic_relay_new(&config, &running, err);
	if (r < 0)
		return r;
	catch_signals();
	r = relay_frames(args, running, &capture, config.threads, &ready_fd, err);
	vnic_relay_free(running);
	return r;
}

const struct command cmd_relay = {
	.name = "relay",
	.operands = "PORT PORT...",
	.summary = "join ports: frames that come in at one go out at the others",
	.details = "A port is tap:NAME, tun:NAME, veth:NAME, link:NAME, stream:PATH, seqpacket:PATH,\n"
		   "dgram:PATH, udp:ADDRESS:PORT, vxlan:id=NUMBER or fd:N, with keys such as\n"
		   "tap:eth0,netns=red,ip=10.9.0.1/24,delay=10ms,loss=1%,filter=EXPRESSION.\n"
		   "Two ports are a patch, more a learning switch.\n"
		   "Ends cleanly by SIGINT or SIGTERM.",
	.options = options,
	.min_operands = 2,
	.max_operands = VNIC_RELAY_PORTS,
	.run = run,
};
