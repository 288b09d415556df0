/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole network stacks on both sides of a relay: ping, and 100 MB of TCP byte by byte. */
#include "lan.h"
#include "relay_told.h"

#include <linux/if_packet.h>
#include <string.h>

static struct vnic_relay *new_relay(void)
{
	const struct vnic_relay_config config = {0};
	struct vnic_relay *relay;
	struct vnic_error err;

	vt_ok(vnic_relay_new(&config, &relay, &err), &err);
	return relay;
}

/* Station 1, whose job is the test, behind `first`; station 2 behind `second`; and maybe a third. */
static struct vnic_relay *run(enum lan_kind first, enum lan_kind second, bool third, int (*job)(void),
			      int (*peer)(void))
{
	struct vnic_relay *relay = new_relay();
	struct lan_station stations[3] = {lan_station(relay, first, 1, job), lan_station(relay, second, 2, peer)};

	if (third)
		stations[2] = lan_station(relay, LAN_TAP, 3, lan_job_rest);
	lan_relay(relay, stations, third ? 3 : 2);
	return relay;
}

static void two_taps_ping_each_other(void **state)
{
	(void)state;
	vnic_relay_free(run(LAN_TAP, LAN_TAP, false, lan_job_ping, lan_job_rest));
}

static void two_tuns_ping_each_other(void **state)
{
	(void)state;
	vnic_relay_free(run(LAN_TUN, LAN_TUN, false, lan_job_ping, lan_job_rest));
}

static void two_veths_ping_each_other(void **state)
{
	(void)state;
	vnic_relay_free(run(LAN_VETH, LAN_VETH, false, lan_job_ping, lan_job_rest));
}

static void a_third_port_hears_no_ping_of_the_others(void **state)
{
	struct vnic_relay *relay = run(LAN_TAP, LAN_VETH, true, lan_job_ping, lan_job_rest);
	struct vnic_relay_stats table;

	(void)state;
	vnic_relay_get_stats(relay, &table);
	assert_true(table.fdb_entries >= 2);
	/* What the kernel itself says to everybody is a tenth of a ping each. */
	assert_true(stats_of(relay, 1).tx_bytes >= LAN_PINGS * LAN_PING_SIZE);
	assert_true(stats_of(relay, 2).tx_bytes < LAN_PINGS * LAN_PING_SIZE);
	vnic_relay_free(relay);
}

static void assert_super_frames(const struct vnic_relay *relay)
{
	struct vnic_port_stats sender = stats_of(relay, 0), receiver = stats_of(relay, 1);

	assert_true(sender.rx_bytes > LAN_TCP_BYTES);
	assert_true(sender.rx_bytes / sender.rx_frames > 5000);
	assert_true(receiver.tx_bytes > LAN_TCP_BYTES);
}

static void tcp_between_taps_arrives_whole_in_super_frames(void **state)
{
	struct vnic_relay *relay = run(LAN_TAP, LAN_TAP, false, lan_job_send, lan_job_receive);

	(void)state;
	assert_super_frames(relay);
	vnic_relay_free(relay);
}

static void tcp_between_tuns_arrives_whole_in_super_frames(void **state)
{
	struct vnic_relay *relay = run(LAN_TUN, LAN_TUN, false, lan_job_send, lan_job_receive);

	(void)state;
	assert_super_frames(relay);
	vnic_relay_free(relay);
}

static void tcp_between_veths_arrives_whole_in_super_frames(void **state)
{
	struct vnic_relay *relay = run(LAN_VETH, LAN_VETH, false, lan_job_send, lan_job_receive);

	(void)state;
	assert_super_frames(relay);
	vnic_relay_free(relay);
}

static void tcp_from_a_tap_to_a_veth_arrives_whole_through_a_switch(void **state)
{
	struct vnic_relay *relay = run(LAN_TAP, LAN_VETH, true, lan_job_send, lan_job_receive);

	(void)state;
	assert_super_frames(relay);
	vnic_relay_free(relay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(two_taps_ping_each_other),
		vt_netns_test(two_tuns_ping_each_other),
		vt_netns_test(two_veths_ping_each_other),
		vt_netns_test(a_third_port_hears_no_ping_of_the_others),
		vt_netns_test(tcp_between_taps_arrives_whole_in_super_frames),
		vt_netns_test(tcp_between_tuns_arrives_whole_in_super_frames),
		vt_netns_test(tcp_between_veths_arrives_whole_in_super_frames),
		vt_netns_test(tcp_from_a_tap_to_a_veth_arrives_whole_through_a_switch),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
