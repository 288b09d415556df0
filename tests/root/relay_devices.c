/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay on real devices, frame by frame: VLAN tags, queues, devices that are down or go away, refusals. */
#include "lan.h"
#include "relay_told.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct vnic_relay *relay_of_turns(unsigned batch)
{
	struct vnic_relay *relay;
	struct vnic_error err;

	vt_ok(vnic_relay_new(&(struct vnic_relay_config){.batch = batch}, &relay, &err), &err);
	return relay;
}

static struct vnic_relay *new_relay(void)
{
	return relay_of_turns(0);
}

static int add_tap(struct vnic_relay *relay, const char *name, bool tun, bool vnet_hdr, unsigned queues,
		   struct vnic_error *err)
{
	const struct vnic_tap_config config = {.name = name, .tun = tun, .vnet_hdr = vnet_hdr, .queues = queues};
	struct vnic_tap tap;
	int r;

	vt_ok(vnic_tap_open(&config, &tap, err), err);
	r = vnic_relay_add_tap(relay, name, &tap, err);
	vnic_tap_close(&tap); /* empty, unless it was refused */
	return r;
}

static struct vnic_relay *relay_of_taps(unsigned count)
{
	static const char *const names[] = {"tap0", "tap1", "tap2"};
	struct vnic_relay *relay = new_relay();
	struct vnic_error err;

	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(vt_ok(add_tap(relay, names[i], false, true, 1, &err), &err), i);
		lan_up(names[i]);
	}
	return relay;
}

/* Gives the relay turns until a frame of ours arrives. */
static size_t relayed(struct vnic_relay *relay, int socket, uint8_t *frame, size_t size)
{
	struct vnic_error err;

	while (vt_ok(vnic_relay_dispatch(relay, 0, &err), &err) > 0)
		;
	return lan_take(socket, frame, size);
}

static void a_frame_passes_from_tap_to_tap(void **state)
{
	struct vnic_relay *relay = relay_of_taps(2);
	uint8_t sent[100], got[200];
	int a = lan_socket("tap0"), b = lan_socket("tap1");

	(void)state;
	lan_frame(sent, sizeof(sent), 2, 1);
	assert_int_equal(write(a, sent, sizeof(sent)), sizeof(sent));
	assert_int_equal(relayed(relay, b, got, sizeof(got)), sizeof(sent));
	assert_memory_equal(got, sent, sizeof(sent));
	close(a);
	close(b);
	vnic_relay_free(relay);
	assert_int_equal(if_nametoindex("tap0"), 0);
}

static void all_queues_of_a_device_are_read(void **state)
{
	struct vnic_relay *relay = new_relay();
	struct vnic_error err;
	uint8_t frame[100], got[200];
	int a, b;

	(void)state;
	vt_ok(add_tap(relay, "tap0", false, true, 4, &err), &err);
	vt_ok(add_tap(relay, "tap1", false, true, 1, &err), &err);
	lan_up("tap0");
	lan_up("tap1");
	a = lan_socket("tap0");
	b = lan_socket("tap1");
	for (uint8_t from = 1; from < 32; from++) { /* the kernel spreads flows over queues */
		lan_frame(frame, sizeof(frame), 99, from);
		assert_int_equal(write(a, frame, sizeof(frame)), sizeof(frame));
		assert_int_equal(relayed(relay, b, got, sizeof(got)), sizeof(frame));
		assert_memory_equal(got, frame, sizeof(frame));
	}
	close(a);
	close(b);
	vnic_relay_free(relay);
}

static int add_link(struct vnic_relay *relay, const char *name)
{
	struct vnic_error err;
	int fd;

	vt_ok(vnic_packet_open((int)if_nametoindex(name), &fd, &err), &err);
	return (int)vt_ok(vnic_relay_add_packet(relay, name, fd, &err), &err);
}

/* station a - port0 (packet socket) relay (packet socket) port1 - station b */
static struct vnic_relay *relay_of_links(unsigned batch)
{
	struct vnic_relay *relay = relay_of_turns(batch);

	lan_veth("port0", "a");
	lan_veth("port1", "b");
	assert_int_equal(add_link(relay, "port0"), 0);
	assert_int_equal(add_link(relay, "port1"), 1);
	return relay;
}

/* One end of a veth pair, which takes the other along. */
static void delete_link(const char *name)
{
	struct vnic_error err;
	struct vnic_nl *nl;

	vt_ok(vnic_nl_open(&nl, &err), &err);
	vt_ok(vnic_link_del(nl, 0, name, &err), &err);
	vnic_nl_close(nl);
}

/* A packet socket would lose the tag as well; a TAP read by the test shows the frame as it is. */
static void a_vlan_tag_passes_packet_sockets(void **state)
{
	struct vnic_relay *relay = new_relay();
	struct vnic_tap tap;
	struct vnic_error err;
	uint8_t sent[100], got[200] = {0};
	int a, to_tap;

	(void)state;
	lan_veth("port0", "a");
	vt_ok(vnic_tap_open(&(struct vnic_tap_config){.name = "tap0"}, &tap, &err), &err);
	lan_up("tap0");
	add_link(relay, "port0");
	to_tap = add_link(relay, "tap0");
	a = lan_socket("a");
	lan_frame(sent, sizeof(sent), 2, 1);
	memcpy(sent + 12, "\x81\x00\x20\x07\x88\xb5", 6);
	assert_int_equal(write(a, sent, sizeof(sent)), sizeof(sent));
	while (memcmp(got, sent, LAN_HEADER) != 0) {
		while (vnic_frame_read(&tap, 0, NULL, got, sizeof(got)) > 0 && memcmp(got, sent, LAN_HEADER) != 0)
			;
		vt_ok(vnic_relay_dispatch(relay, 0, &err), &err);
	}
	assert_memory_equal(got, sent, sizeof(sent));
	assert_int_equal(to_tap, 1);
	close(a);
	vnic_tap_close(&tap);
	vnic_relay_free(relay);
}

/* More than are had at once, or gathered; few enough that no queue fills up. */
static void pass_in_order(const size_t sizes[10], unsigned batch)
{
	struct vnic_relay *relay = relay_of_links(batch);
	uint8_t sent[1514], got[1600];
	int a = lan_socket("a"), b = lan_socket("b");
	struct vnic_error err;

	lan_frame(sent, sizeof(sent), 2, 1);
	for (unsigned i = 0; i < 80; i++) {
		sent[LAN_HEADER] = (uint8_t)i;
		assert_int_equal(write(a, sent, sizes[i % 10]), sizes[i % 10]);
	}
	while (vt_ok(vnic_relay_dispatch(relay, 0, &err), &err) > 0)
		;
	for (unsigned i = 0; i < 80; i++) {
		assert_int_equal(lan_take(b, got, sizeof(got)), sizes[i % 10]);
		assert_int_equal(got[LAN_HEADER], i);
	}
	close(a);
	close(b);
	vnic_relay_free(relay);
	delete_link("a");
	delete_link("b");
}

static void frames_of_all_sizes_pass_packet_sockets_in_order(void **state)
{
	(void)state;
	pass_in_order((const size_t[]){60, 64, 100, 1514, 60, 800, 64, 1514, 1400, 60}, 0);
}

/* What is left of a turn bounds what is read at once, and what was read bounds what is read next. */
static void turns_of_every_length_pass_small_frames_in_order(void **state)
{
	(void)state;
	for (unsigned batch = 1; batch <= 70; batch++)
		pass_in_order((const size_t[]){60, 64, 60, 60, 64, 60, 60, 60, 60, 60}, batch);
}

static void a_device_deleted_while_relaying_is_closed_and_the_others_go_on(void **state)
{
	struct vnic_relay *relay = relay_of_taps(3);
	struct vnic_relay_stats stats;
	struct vnic_error err;
	struct vnic_nl *nl;
	uint8_t frame[100], got[200];
	int a = lan_socket("tap0"), c = lan_socket("tap2");

	(void)state;
	vt_ok(vnic_nl_open(&nl, &err), &err);
	vt_ok(vnic_link_del(nl, 0, "tap1", &err), &err);
	lan_frame(frame, sizeof(frame), 3, 1);
	assert_int_equal(write(a, frame, sizeof(frame)), sizeof(frame));
	assert_int_equal(relayed(relay, c, got, sizeof(got)), sizeof(frame));
	vnic_relay_get_stats(relay, &stats);
	assert_int_equal(stats.ports, 2);
	assert_false(is_open(relay, 1));
	close(c);
	vt_ok(vnic_link_del(nl, 0, "tap2", &err), &err);
	vt_fails(vnic_relay_run(relay, &err), &err, VNIC_STEP_RELAY, ENODEV);
	vnic_nl_close(nl);
	close(a);
	vnic_relay_free(relay);
}

static void a_link_deleted_while_relaying_is_closed(void **state)
{
	struct vnic_relay *relay = relay_of_links(0);
	struct vnic_error err;

	(void)state;
	delete_link("b");
	vt_fails(vnic_relay_run(relay, &err), &err, VNIC_STEP_RELAY, ENODEV);
	vnic_relay_free(relay);
}

static void a_port_that_is_down_loses_frames_until_it_is_up(enum vnic_drop why, struct vnic_relay *relay, int from,
							    const char *to_port, const char *to)
{
	uint8_t frame[100], got[200];
	struct vnic_error err;
	int b;

	lan_frame(frame, sizeof(frame), 2, 1);
	lan_down(to_port);
	assert_int_equal(write(from, frame, sizeof(frame)), sizeof(frame));
	while (!stats_of(relay, 1).tx_dropped[why])
		vt_ok(vnic_relay_dispatch(relay, VT_DEADLINE_MS, &err), &err);
	assert_true(is_open(relay, 1));
	lan_up(to_port);
	lan_ready(to_port);
	b = lan_socket(to);
	assert_int_equal(write(from, frame, sizeof(frame)), sizeof(frame));
	assert_int_equal(relayed(relay, b, got, sizeof(got)), sizeof(frame));
	close(b);
}

static void a_tap_that_is_down_comes_back(void **state)
{
	struct vnic_relay *relay = relay_of_taps(2);
	int a = lan_socket("tap0");

	(void)state;
	a_port_that_is_down_loses_frames_until_it_is_up(VNIC_DROP_DOWN, relay, a, "tap1", "tap1");
	close(a);
	vnic_relay_free(relay);
}

static void what_a_packet_socket_had_no_room_for_is_counted(void **state)
{
	struct vnic_relay *relay = new_relay();
	struct vnic_port_stats stats[2];
	uint8_t frame[60];
	struct vnic_error err;
	int fd, a;

	(void)state;
	lan_veth("port0", "a");
	lan_veth("port1", "b");
	vt_ok(vnic_packet_open((int)if_nametoindex("port0"), &fd, &err), &err);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){4608}, sizeof(int)), 0);
	assert_int_equal(vt_ok(vnic_relay_add_packet(relay, "port0", fd, &err), &err), 0);
	add_link(relay, "port1");
	a = lan_socket("a");
	lan_frame(frame, sizeof(frame), 2, 1);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(send(a, frame, sizeof(frame), 0), sizeof(frame));
	while (vt_ok(vnic_relay_dispatch(relay, 0, &err), &err) > 0)
		;
	for (unsigned i = 0; i < 2; i++)
		stats[i] = stats_of(relay, i);
	assert_true(stats[0].rx_frames >= 1000);
	assert_true(stats[0].rx_dropped[VNIC_DROP_OVERRUN] > 0);
	assert_int_equal(stats[0].rx_dropped[VNIC_DROP_OVERRUN] + stats[1].tx_frames, stats[0].rx_frames);
	close(a);
	vnic_relay_free(relay);
}

static void what_a_device_drops_before_it_is_read_is_counted(void **state)
{
	struct vnic_relay *relay = relay_of_taps(2);
	struct vnic_port_stats stats[2];
	struct vnic_error err;
	struct vnic_nl *nl;
	uint8_t frame[60];
	int a = lan_socket("tap0");

	(void)state;
	lan_frame(frame, sizeof(frame), 2, 1);
	for (int i = 0; i < 1500; i++) /* its queue holds 1000; what it drops before the relay asks is nobody's */
		assert_int_equal(send(a, frame, sizeof(frame), 0), sizeof(frame));
	vt_ok(vnic_nl_open(&nl, &err), &err);
	assert_int_equal(vnic_relay_count_drops(relay, 2, nl), -ENOENT);
	assert_int_equal(vnic_relay_count_drops(relay, 0, nl), 0);
	assert_int_equal(vnic_relay_count_drops(relay, 0, nl), -EBUSY);
	for (int i = 0; i < 500; i++)
		assert_int_equal(send(a, frame, sizeof(frame), 0), sizeof(frame));
	assert_in_range(stats_of(relay, 0).rx_dropped[VNIC_DROP_OVERRUN], 500, 999); /* the kernel's own, too */
	while (vt_ok(vnic_relay_dispatch(relay, 0, &err), &err) > 0)
		;
	for (unsigned i = 0; i < 2; i++)
		stats[i] = stats_of(relay, i);
	assert_true(stats[0].rx_frames >= 1500);
	assert_int_equal(stats[0].rx_dropped[VNIC_DROP_OVERRUN] + stats[1].tx_frames, stats[0].rx_frames);
	close(a);
	vnic_relay_free(relay);
}

static void a_link_that_is_down_comes_back(void **state)
{
	struct vnic_relay *relay = relay_of_links(0);
	int a = lan_socket("a");

	(void)state;
	a_port_that_is_down_loses_frames_until_it_is_up(VNIC_DROP_DOWN, relay, a, "port1", "b");
	close(a);
	vnic_relay_free(relay);
}

static void a_device_without_virtio_header_is_refused_and_stays_the_callers(void **state)
{
	struct vnic_relay *relay = new_relay();
	struct vnic_error err;
	struct vnic_tap tap;

	(void)state;
	vt_ok(vnic_tap_open(&(struct vnic_tap_config){.name = "tap0"}, &tap, &err), &err);
	vt_fails(vnic_relay_add_tap(relay, "tap0", &tap, &err), &err, VNIC_STEP_PORT, EOPNOTSUPP);
	assert_string_equal(tap.name, "tap0");
	vnic_tap_close(&tap);
	vnic_relay_free(relay);
}

static void a_socket_that_is_no_packet_socket_is_refused(void **state)
{
	struct vnic_relay *relay = new_relay();
	struct vnic_error err;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	vt_fails(vnic_relay_add_packet(relay, "udp", fd, &err), &err, VNIC_STEP_PORT, EINVAL);
	close(fd);
	vnic_relay_free(relay);
}

static void tuns_are_joined_in_pairs_only(void **state)
{
	struct vnic_relay *relay = new_relay();
	struct vnic_error err;

	(void)state;
	vt_ok(add_tap(relay, "tun0", true, true, 1, &err), &err);
	vt_fails(add_tap(relay, "tap0", false, true, 1, &err), &err, VNIC_STEP_PORT, EINVAL);
	vt_ok(add_tap(relay, "tun1", true, true, 1, &err), &err);
	vt_fails(add_tap(relay, "tun2", true, true, 1, &err), &err, VNIC_STEP_PORT, EINVAL);
	vnic_relay_free(relay);
	relay = relay_of_taps(1);
	vt_fails(add_tap(relay, "tun0", true, true, 1, &err), &err, VNIC_STEP_PORT, EINVAL);
	vnic_relay_free(relay);
}

static void a_packet_socket_on_no_link_is_refused(void **state)
{
	struct vnic_error err;
	int fd;

	(void)state;
	vt_fails(vnic_packet_open(4711, &fd, &err), &err, VNIC_STEP_PACKET, ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_frame_passes_from_tap_to_tap),
		vt_netns_test(all_queues_of_a_device_are_read),
		vt_netns_test(a_vlan_tag_passes_packet_sockets),
		vt_netns_test(frames_of_all_sizes_pass_packet_sockets_in_order),
		vt_netns_test(turns_of_every_length_pass_small_frames_in_order),
		vt_netns_test(a_device_deleted_while_relaying_is_closed_and_the_others_go_on),
		vt_netns_test(a_link_deleted_while_relaying_is_closed),
		vt_netns_test(a_tap_that_is_down_comes_back),
		vt_netns_test(what_a_packet_socket_had_no_room_for_is_counted),
		vt_netns_test(what_a_device_drops_before_it_is_read_is_counted),
		vt_netns_test(a_link_that_is_down_comes_back),
		vt_netns_test(a_device_without_virtio_header_is_refused_and_stays_the_callers),
		vt_netns_test(a_socket_that_is_no_packet_socket_is_refused),
		vt_netns_test(tuns_are_joined_in_pairs_only),
		vt_netns_test(a_packet_socket_on_no_link_is_refused),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
