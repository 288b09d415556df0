/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The relay alone, for benchmarks: ports of the caller's network namespace, without any set-up around them.
 *
 *   relay_driver tap:NAME[,QUEUELEN]|link:NAME ...
 *
 * Prints "ready" when the ports are there, and a line of counters each when stopped by SIGTERM.
 */
#include <vnic/vnic.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vnic_relay *relay;

static void on_signal(int signal)
{
	(void)signal;
	vnic_relay_stop(relay);
}

static int add_tap(char *argument, struct vnic_error *err)
{
	struct vnic_tap_config config = {.vnet_hdr = true, .offloads = VNIC_OFFLOAD_ALL};
	struct vnic_tap tap;
	char *comma = strchr(argument, ',');
	int r;

	if (comma) {
		*comma = '\0';
		config.txqueuelen = (uint32_t)strtoul(comma + 1, NULL, 10);
	}
	config.name = argument;
	r = vnic_tap_open(&config, &tap, err);
	return r < 0 ? r : vnic_relay_add_tap(relay, argument, &tap, err);
}

static int add_link(const char *name, struct vnic_error *err)
{
	int fd, r = vnic_packet_open((int)if_nametoindex(name), &fd, err);

	return r < 0 ? r : vnic_relay_add_packet(relay, name, fd, err);
}

static void print_port(unsigned number)
{
	struct vnic_port_stats stats;
	const char *name;
	bool open;

	if (vnic_relay_get_port(relay, number, &name, &open, &stats) < 0)
		return;
	printf("%s rx %" PRIu64 " (%" PRIu64 " bytes) tx %" PRIu64 " full %" PRIu64 "\n", name, stats.rx_frames,
	       stats.rx_bytes, stats.tx_frames, stats.tx_dropped[VNIC_DROP_FULL]);
}

int main(int argc, char **argv)
{
	struct vnic_relay_config config = {0};
	struct vnic_error err = {0};
	char text[512];
	int r = vnic_relay_new(&config, &relay, &err);

	for (int i = 1; r >= 0 && i < argc; i++) {
		if (strncmp(argv[i], "tap:", 4) == 0)
			r = add_tap(argv[i] + 4, &err);
		else if (strncmp(argv[i], "link:", 5) == 0)
			r = add_link(argv[i] + 5, &err);
		else
			r = vnic_fail(&err, VNIC_STEP_USAGE, 22, argv[i], "a port is tap:NAME or link:NAME");
	}
	if (r >= 0) {
		signal(SIGTERM, on_signal);
		signal(SIGINT, on_signal);
		puts("ready");
		fflush(stdout);
		r = vnic_relay_run(relay, &err);
	}
	for (unsigned i = 0; i + 1 < (unsigned)argc; i++)
		print_port(i);
	vnic_relay_free(relay);
	if (r < 0) {
		vnic_error_text(&err, text, sizeof(text));
		fprintf(stderr, "relay_driver: %s\n", text);
	}
	return r < 0;
}
