/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 05-relay-two-taps: a cable between two network namespaces, with a TAP in each.
 *
 *   gcc -o 05-relay-two-taps 05-relay-two-taps.c $(pkg-config --cflags --libs vnic)
 *   sudo ip netns add red; sudo ip netns add blue
 *   sudo ./05-relay-two-taps red 10.8.0.1/24 blue 10.8.0.2/24 &
 *   sudo ip netns exec red ping -c 1 10.8.0.2
 *   sudo kill %1
 *
 * Expected output, beside that of ping, and with your own counts:
 *
 *   ready
 *   red: 12 frames in, 1056 bytes; 11 out; 0 lost
 *   blue: 11 frames in, 966 bytes; 12 out; 0 lost
 *
 * A namespace is given by name, by the pid of a process in it, or by path.  This process never
 * leaves its own: devices are opened there by a short-lived child, and descriptors are what it keeps.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include <vnic/vnic.h>

static struct vnic_relay *relay;

static void on_signal(int signal)
{
	(void)signal;
	vnic_relay_stop(relay); /* safe in a signal handler */
}

static int fail(const struct vnic_error *err)
{
	char text[512];

	vnic_error_text(err, text, sizeof(text));
	fprintf(stderr, "05-relay-two-taps: %s\n", text);
	if (vnic_error_remedy(err))
		fprintf(stderr, "  try: %s\n", vnic_error_remedy(err));
	return 1;
}

static int set_up(const struct vnic_target *target, int index, const char *text, struct vnic_error *err)
{
	const struct vnic_link up = {.up = true};
	struct vnic_addr addr;
	struct vnic_nl *nl;
	int r = vnic_addr_parse(text, &addr, err);

	if (r < 0 || (r = vnic_nl_open_in(target, &nl, err)) < 0)
		return r;
	r = vnic_addr_add(nl, index, &addr, err);
	if (r == 0)
		r = vnic_link_set(nl, index, &up, err);
	vnic_nl_close(nl);
	return r;
}

/* With the virtio header and all offloads, TCP passes in frames of up to 64 KiB. */
static int add_tap(const char *netns, const char *addr, struct vnic_error *err)
{
	const struct vnic_tap_config config = {.name = "eth0", .vnet_hdr = true, .offloads = VNIC_OFFLOAD_ALL};
	struct vnic_target target;
	struct vnic_tap tap;
	int r = vnic_target_open(netns, NULL, &target, err);

	if (r < 0)
		return r;
	r = vnic_tap_open_in(&target, &config, &tap, err);
	if (r == 0) {
		r = set_up(&target, tap.index, addr, err);
		if (r == 0)
			r = vnic_relay_add_tap(relay, netns, &tap, err);
		vnic_tap_close(&tap); /* empty when the relay has it */
	}
	vnic_target_close(&target);
	return r;
}

static void print_port(unsigned number)
{
	struct vnic_port_stats stats;
	const char *name;
	uint64_t lost = 0;
	bool open;

	if (vnic_relay_get_port(relay, number, &name, &open, &stats) < 0)
		return;
	for (int why = 0; why < VNIC_DROP_COUNT; why++)
		lost += stats.rx_dropped[why] + stats.tx_dropped[why];
	printf("%s: %" PRIu64 " frames in, %" PRIu64 " bytes; %" PRIu64 " out; %" PRIu64 " lost\n", name,
	       stats.rx_frames, stats.rx_bytes, stats.tx_frames, lost);
}

int main(int argc, char **argv)
{
	const struct vnic_relay_config config = {0};
	const struct sigaction action = {.sa_handler = on_signal};
	struct vnic_error err;
	int r;

	if (argc != 5)
		return fprintf(stderr, "usage: 05-relay-two-taps NETNS ADDRESS/PREFIX NETNS ADDRESS/PREFIX\n"), 2;
	r = vnic_relay_new(&config, &relay, &err);
	if (r < 0)
		return fail(&err);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	r = add_tap(argv[1], argv[2], &err);
	if (r >= 0)
		r = add_tap(argv[3], argv[4], &err);
	if (r >= 0) {
		puts("ready");
		fflush(stdout);
		r = vnic_relay_run(relay, &err);
	}
	print_port(0);
	print_port(1);
	vnic_relay_free(relay);
	return r < 0 ? fail(&err) : 0;
}
