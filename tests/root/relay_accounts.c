/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel counts at a device is what its port has counted, with all that a relay does to frames done at once.
 * tests/unit/relay_accounts.c has the kinds of ports that are sockets and files.
 */
#include "lan.h"
#include "relay_told.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vnic/inspect.h>
#include <vnic/link.h>

/* Two ports of a kind.  What the kernel counts at their devices: out of a TAP and into a link is into the relay. */
struct pair {
	struct vnic_relay *relay;
	struct vnic_nl *nl;
	const char *names[2];
	bool taps;
	uint64_t began[2][2]; /* by port: into and out of the relay */
};

static uint64_t kernel_count(struct pair *pair, unsigned port, bool into)
{
	struct vnic_link_info info;
	struct vnic_error err;

	vt_ok(vnic_link_get(pair->nl, 0, pair->names[port], &info, &err), &err);
	if (!pair->taps)
		return into ? info.rx_packets : info.tx_packets;
	return into ? info.tx_packets + info.tx_dropped : info.rx_packets;
}

static uint64_t sum(const uint64_t *counts, unsigned count)
{
	return count ? counts[0] + sum(counts + 1, count - 1) : 0;
}

/* All that has come went through, and the kernel, the ports and the relay have counted the same. */
static bool accounts_close(void *ctx)
{
	struct pair *pair = ctx;
	struct vnic_relay_stats all;
	struct vnic_error err;
	uint64_t in, out;
	bool close = true;

	while (vt_ok(vnic_relay_dispatch(pair->relay, 0, &err), &err) > 0)
		;
	vnic_relay_get_stats(pair->relay, &all);
	in = sum(all.made, VNIC_MADE_COUNT);
	out = all.held + all.merged;
	for (unsigned i = 0; i < 2; i++) {
		struct vnic_port_stats stats = stats_of(pair->relay, i);

		in += stats.rx_frames;
		out += stats.tx_frames + sum(stats.rx_dropped, VNIC_DROP_COUNT) +
		       sum(stats.tx_dropped, VNIC_DROP_COUNT);
		close = close && stats.rx_frames == kernel_count(pair, i, true) - pair->began[i][true] &&
			stats.tx_frames == kernel_count(pair, i, false) - pair->began[i][false];
	}
	return close && in == out && !all.held;
}

static enum vnic_verdict drop_some(void *ctx, struct vnic_inspected *frame)
{
	(void)ctx;
	return frame->len % 7 ? VNIC_VERDICT_PASS : VNIC_VERDICT_DROP;
}

static void make_weather(struct vnic_relay *relay)
{
	const struct vnic_impairment weather = {.delay_us = 50, .loss = .1, .duplicate = .1, .seed = 1};
	struct vnic_error err;

	vt_ok(vnic_relay_set_impairment(relay, 0, VNIC_INGRESS, &weather, &err), &err);
	vt_ok(vnic_relay_set_impairment(relay, 1, VNIC_EGRESS, &weather, &err), &err);
	vt_ok(vnic_relay_set_filter(relay, 1, VNIC_EGRESS, "less 250", &err), &err);
	vt_ok(vnic_relay_set_inspector(relay, drop_some, NULL, &err), &err);
}

/* Of all sizes and, as a TUN wants it, IPv4 by the first byte; sometimes more at once than a queue holds. */
static void speak(int socket, unsigned turn, bool tun)
{
	uint8_t frame[300] = {0};

	for (unsigned i = 0; i < (turn % 100 ? 3 : 1500); i++) {
		const size_t size = 60 + (turn * 13 + i * 29) % 240;

		lan_frame(frame, size, 2, 1);
		if (tun)
			frame[0] = 0x45;
		send(socket, frame, size, 0); /* what there is no room for is the kernel's to count */
	}
}

static void live(struct pair *pair, const char *const from[2], bool tun)
{
	const int sockets[2] = {lan_socket(from[0]), lan_socket(from[1])};
	struct vnic_port_stats stats[2];
	struct vnic_error err;

	for (unsigned i = 0; i < 4; i++)
		pair->began[i / 2][i % 2] = kernel_count(pair, i / 2, i % 2);
	make_weather(pair->relay);
	for (unsigned turn = 0; turn < 500; turn++) {
		if (turn == 300)
			lan_down(pair->names[1]);
		if (turn == 310)
			lan_up(pair->names[1]);
		speak(sockets[turn % 2], turn, tun);
		vt_ok(vnic_relay_dispatch(pair->relay, 0, &err), &err);
	}
	assert_true(vt_until(accounts_close, pair));
	for (unsigned i = 0; i < 2; i++)
		stats[i] = stats_of(pair->relay, i);
	assert_true(stats[0].rx_dropped[VNIC_DROP_OVERRUN] > 0 && stats[0].rx_dropped[VNIC_DROP_LOST] > 0);
	assert_true(stats[0].rx_dropped[VNIC_DROP_INSPECTED] > 0 && stats[1].tx_dropped[VNIC_DROP_FILTERED] > 0);
	assert_true(stats[1].tx_dropped[VNIC_DROP_DOWN] > 0 && stats[1].tx_frames > 500);
	close(sockets[0]);
	close(sockets[1]);
}

static void add_tap(struct vnic_relay *relay, const char *name, bool tun)
{
	const struct vnic_tap_config config = {.name = name, .tun = tun, .vnet_hdr = true};
	struct vnic_error err;
	struct vnic_tap tap;
	struct vnic_nl *nl;
	int port;

	vt_ok(vnic_tap_open(&config, &tap, &err), &err);
	port = (int)vt_ok(vnic_relay_add_tap(relay, name, &tap, &err), &err);
	vt_ok(vnic_nl_open(&nl, &err), &err);
	assert_int_equal(vnic_relay_count_drops(relay, (unsigned)port, nl), 0);
	lan_up(name);
}

/* With little room for what comes. */
static void add_link(struct vnic_relay *relay, const char *name, const char *peer)
{
	struct vnic_error err;
	int fd;

	lan_veth(name, peer);
	vt_ok(vnic_packet_open((int)if_nametoindex(name), &fd, &err), &err);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){100000}, sizeof(int)), 0);
	vt_ok(vnic_relay_add_packet(relay, name, fd, &err), &err);
}

static void what_devices_gave_and_took_is_counted(struct pair *pair, const char *const from[2], bool tun)
{
	int ipv6 = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	const struct vnic_relay_config config = {0};
	struct vnic_error err;

	/* Nobody else says anything on the devices. */
	assert_int_equal(write(ipv6, "1", 1), 1);
	close(ipv6);
	vt_ok(vnic_relay_new(&config, &pair->relay, &err), &err);
	vt_ok(vnic_nl_open(&pair->nl, &err), &err);
	for (unsigned i = 0; i < 2; i++) {
		if (pair->taps)
			add_tap(pair->relay, pair->names[i], tun);
		else
			add_link(pair->relay, pair->names[i], from[i]);
	}
	live(pair, from, tun);
	vnic_relay_free(pair->relay);
	vnic_nl_close(pair->nl);
}

static void what_taps_gave_and_took_is_counted(void **state)
{
	struct pair pair = {.names = {"tap0", "tap1"}, .taps = true};

	(void)state;
	what_devices_gave_and_took_is_counted(&pair, pair.names, false);
}

static void what_tuns_gave_and_took_is_counted(void **state)
{
	struct pair pair = {.names = {"tun0", "tun1"}, .taps = true};

	(void)state;
	what_devices_gave_and_took_is_counted(&pair, pair.names, true);
}

static void what_links_gave_and_took_is_counted(void **state)
{
	struct pair pair = {.names = {"port0", "port1"}};

	(void)state;
	what_devices_gave_and_took_is_counted(&pair, (const char *const[]){"a", "b"}, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(what_taps_gave_and_took_is_counted),
		vt_netns_test(what_tuns_gave_and_took_is_counted),
		vt_netns_test(what_links_gave_and_took_is_counted),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
