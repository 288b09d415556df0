/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who looks into a relay's frames passes, drops, changes and answers them. */
#include "relay_world.h"

#include "bytes.h"

static uint8_t room[VNIC_FRAME_MAX], heard[VNIC_FRAME_MAX];

/* What the inspector of these tests does, and what it saw. */
struct looker {
	struct vnic_relay *relay;
	unsigned calls, port;
	uint32_t layers, segments;
	enum vnic_verdict verdict;
	bool changes; /* the last byte, by one */
	int grows;    /* by so many bytes at the end, which the IP length is told of */
	int answers;  /* to this port, with a frame of its own; -1: to none */
	int refused;  /* what another call returned */
};

static void grow(struct vnic_inspected *frame, int by)
{
	uint8_t *ip = frame->data + frame->view->l3, *udp = frame->data + frame->view->l4;

	if (by > 0 && frame->len + (size_t)by <= frame->room)
		memset(frame->data + frame->len, 'x', (size_t)by);
	frame->len = (size_t)((ssize_t)frame->len + by);
	if (frame->view->layers & VNIC_LAYER_IPV4)
		put16(ip + 2, (unsigned)(get16(ip + 2) + by));
	if (frame->view->layers & VNIC_LAYER_UDP)
		put16(udp + 4, (unsigned)(get16(udp + 4) + by));
}

static enum vnic_verdict look(void *ctx, struct vnic_inspected *frame)
{
	static const uint8_t answer[60] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xb5, 'a'};
	struct looker *looker = ctx;
	struct vnic_impairment weather = {.loss = 1};

	looker->calls++;
	looker->port = frame->port;
	looker->layers = frame->view->layers;
	looker->segments = frame->view->segments;
	if (looker->changes)
		frame->data[vnic_view_end(frame->view) - 1]++;
	if (looker->grows)
		grow(frame, looker->grows);
	frame->changed = looker->changes || looker->grows;
	if (looker->answers >= 0)
		vt_ok(vnic_relay_inject(looker->relay, (unsigned)looker->answers, answer, sizeof(answer), NULL), NULL);
	looker->refused = vnic_relay_set_impairment(looker->relay, frame->port, VNIC_INGRESS, &weather, NULL);
	return looker->verdict;
}

static struct world looked_at(unsigned ports, unsigned takes, struct looker *looker)
{
	struct world world = world_of(ports, takes);

	looker->relay = world.relay;
	vt_ok(vnic_relay_set_inspector(world.relay, look, looker, NULL), NULL);
	return world;
}

/* From station 0; returns the bytes said. */
static size_t say(struct world *world, const struct superframe *spec)
{
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(spec, room, &hdr);

	say_frame(world, 0, &hdr, room, len);
	settle(world);
	return len;
}

static const struct superframe udp = {.udp = true, .sport = 1000, .payload = 100};
static const struct superframe large_tcp = {.sport = 1000, .payload = 20001, .gso_size = 1448, .tcp_flags = 0x10};

static void an_inspector_sees_each_frame_and_where_its_layers_stand(void **state)
{
	struct looker looker = {.answers = -1};
	struct world world = looked_at(2, VNIC_OFFLOAD_ALL, &looker);
	struct vnic_vnet_hdr hdr;

	(void)state;
	size_t len = say(&world, &large_tcp);
	assert_int_equal(looker.calls, 1);
	assert_int_equal(looker.port, 0);
	assert_int_equal(looker.layers, VNIC_LAYER_ETH | VNIC_LAYER_IPV4 | VNIC_LAYER_TCP);
	assert_int_equal(looker.segments, 14);
	assert_int_equal(hear(&world, 1, &hdr, heard), len);
	assert_memory_equal(room, heard, len);
	assert_accounts_close(&world);
	vt_ok(vnic_relay_set_inspector(world.relay, NULL, NULL, NULL), NULL);
	say(&world, &udp);
	assert_int_equal(looker.calls, 1);
	world_free(&world);
}

static void what_an_inspector_drops_goes_nowhere_and_is_counted(void **state)
{
	struct looker looker = {.answers = -1, .verdict = VNIC_VERDICT_DROP};
	struct world world = looked_at(2, VNIC_OFFLOAD_ALL, &looker);
	struct vnic_vnet_hdr hdr;

	(void)state;
	say(&world, &udp);
	assert_int_equal(hear(&world, 1, &hdr, heard), -1);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_INSPECTED], 1);
	assert_accounts_close(&world);
	world_free(&world);
}

static void a_changed_frame_leaves_with_good_checksums(void **state)
{
	struct looker looker = {.answers = -1, .changes = true};
	struct world world = looked_at(2, VNIC_OFFLOAD_ALL, &looker);
	struct vnic_vnet_hdr hdr;

	(void)state;
	for (int kind = 0; kind < 16; kind++) {
		const struct superframe spec = {.v6 = kind & 1,
						.udp = kind & 2,
						.finished = kind & 4,
						.tags = kind & 8 ? 1 : 0,
						.ip_options = 8,
						.payload = 101,
						.sport = 7};
		size_t len = say(&world, &spec);

		room[len - 1]++;
		assert_int_equal(hear(&world, 1, &hdr, heard), len);
		assert_int_equal(hdr.flags, 0);
		assert_int_equal(heard[len - 1], room[len - 1]);
		assert_true(checksums_are_good(heard, len));
	}
	world_free(&world);
}

static void each_segment_of_a_changed_super_frame_has_good_checksums(void **state)
{
	struct looker looker = {.answers = -1, .changes = true};
	struct world world = looked_at(2, 0, &looker);
	struct vnic_vnet_hdr hdr;
	ssize_t len, payload;

	(void)state;
	for (int kind = 0; kind < 8; kind++) {
		const struct superframe spec = {.v6 = kind & 1,
						.udp = kind & 2,
						.finished = kind & 4 && !(kind & 2),
						.payload = 5001,
						.gso_size = 1000,
						.sport = 7};

		say(&world, &spec);
		for (payload = 0; (len = hear(&world, 1, &hdr, heard)) >= 0;) {
			payload += len - (ssize_t)superframe_payload(&spec);
			assert_true(checksums_are_good(heard, (size_t)len));
		}
		assert_int_equal(payload, 5001);
		assert_int_equal(heard[superframe_payload(&spec)],
				 (uint8_t)(room[superframe_payload(&spec) + 5000] + 1));
	}
	assert_int_equal(all_of(&world).made[VNIC_MADE_SEGMENT], 8 * 5);
	assert_accounts_close(&world);
	world_free(&world);
}

static void a_frame_grows_and_shrinks(void **state)
{
	struct looker looker = {.answers = -1, .grows = 1000};
	struct world world = looked_at(2, VNIC_OFFLOAD_ALL, &looker);
	struct vnic_vnet_hdr hdr;

	(void)state;
	size_t len = say(&world, &udp);
	assert_int_equal(hear(&world, 1, &hdr, heard), len + 1000);
	assert_true(checksums_are_good(heard, len + 1000));
	assert_int_equal(heard[len + 999], 'x');
	looker.grows = -99;
	say(&world, &udp);
	assert_int_equal(hear(&world, 1, &hdr, heard), len - 99);
	assert_true(checksums_are_good(heard, len - 99));
	world_free(&world);
}

static void what_outgrows_its_room_or_loses_its_header_is_dropped(void **state)
{
	struct looker looker = {.answers = -1, .grows = VNIC_FRAME_MAX};
	struct world world = looked_at(2, VNIC_OFFLOAD_ALL, &looker);
	struct vnic_vnet_hdr hdr;

	(void)state;
	size_t len = say(&world, &udp);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_OVERSIZE], 1);
	looker.grows = -(int)len;
	say(&world, &udp);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_INSPECTED], 1);
	looker.grows = 10 - (int)len;
	say(&world, &udp);
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_SHORT], 1);
	looker.grows = 30 - (int)superframe_make(&large_tcp, room, &hdr);
	say(&world, &large_tcp); /* its checksum's place is gone */
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_SEGMENT], 1);
	looker.grows = -1;
	looker.changes = true;
	say(&world, &(struct superframe){.v6 = true, .payload = 5000, .gso_size = 1000}); /* IPv6's length is wrong */
	assert_int_equal(stats_of(world.relay, 0).rx_dropped[VNIC_DROP_SEGMENT], 2);
	assert_int_equal(hear(&world, 1, &hdr, heard), -1);
	assert_accounts_close(&world);
	world_free(&world);
}

static void an_answer_leaves_uninspected_and_is_counted(void **state)
{
	struct looker looker = {.answers = 0, .verdict = VNIC_VERDICT_DROP};
	struct world world = looked_at(2, VNIC_OFFLOAD_ALL, &looker);
	struct vnic_vnet_hdr hdr;

	(void)state;
	say(&world, &udp);
	assert_int_equal(looker.calls, 1);
	assert_int_equal(hear(&world, 0, &hdr, heard), 60);
	assert_int_equal(heard[14], 'a');
	assert_int_equal(all_of(&world).made[VNIC_MADE_INJECTED], 1);
	assert_int_equal(stats_of(world.relay, 0).tx_frames, 1);
	assert_accounts_close(&world);
	world_free(&world);
}

static void an_inspector_may_not_change_the_relay_it_is_called_by(void **state)
{
	struct looker looker = {.answers = -1};
	struct world world = looked_at(2, VNIC_OFFLOAD_ALL, &looker);

	(void)state;
	say(&world, &udp);
	assert_int_equal(looker.refused, -EBUSY);
	world_free(&world);
}

static void a_frame_that_weather_held_back_can_grow(void **state)
{
	struct vnic_impairment weather = {.delay_us = 1};
	struct looker looker = {.answers = -1, .grows = 1000};
	struct world world = looked_at(2, VNIC_OFFLOAD_ALL, &looker);
	struct vnic_vnet_hdr hdr;

	(void)state;
	vt_ok(vnic_relay_set_impairment(world.relay, 0, VNIC_INGRESS, &weather, NULL), NULL);
	size_t len = say(&world, &udp);
	while (!looker.calls)
		vt_ok(vnic_relay_dispatch(world.relay, VT_DEADLINE_MS, NULL), NULL);
	assert_int_equal(hear(&world, 1, &hdr, heard), len + 1000);
	assert_true(checksums_are_good(heard, len + 1000));
	assert_accounts_close(&world);
	world_free(&world);
}

static void an_answer_to_a_port_that_goes_leaves_the_others_alone(void **state)
{
	struct vnic_impairment weather = {.delay_us = 1, .duplicate = 1};
	struct looker looker = {.answers = 0, .changes = true};
	struct world world = looked_at(3, VNIC_OFFLOAD_ALL, &looker);
	struct vnic_vnet_hdr hdr;

	(void)state;
	vt_ok(vnic_relay_set_impairment(world.relay, 0, VNIC_INGRESS, &weather, NULL), NULL);
	superframe_make(&large_tcp, room, &hdr);
	say_frame(&world, 0, &hdr, room, superframe_make(&large_tcp, room, &hdr));
	/* The relay reads the frame first, and finds out that nobody is there when it answers. */
	assert_int_equal(vt_ok(vnic_relay_dispatch(world.relay, 0, NULL), NULL), 1);
	close(world.station[0]);
	world.station[0] = -1;
	while (all_of(&world).ports == 3)
		vt_ok(vnic_relay_dispatch(world.relay, VT_DEADLINE_MS, NULL), NULL);
	settle(&world);
	assert_true(hear(&world, 1, &hdr, heard) > 0 || stats_of(world.relay, 0).rx_dropped[VNIC_DROP_DOWN]);
	assert_accounts_close(&world);
	world_free(&world);
}

static void a_frame_is_injected_at_any_time(void **state)
{
	const uint8_t frame[20] = {2, 0, 0, 0, 0, 1};
	struct world world = world_of(2, VNIC_OFFLOAD_ALL);
	struct vnic_vnet_hdr hdr;
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_relay_inject(world.relay, 1, frame, sizeof(frame), &err), &err);
	assert_int_equal(hear(&world, 1, &hdr, heard), 20);
	vt_fails(vnic_relay_inject(world.relay, 2, frame, sizeof(frame), &err), &err, VNIC_STEP_USAGE, ENOENT);
	vt_fails(vnic_relay_inject(world.relay, 1, frame, 13, &err), &err, VNIC_STEP_USAGE, EINVAL);
	vt_fails(vnic_relay_inject(world.relay, 1, room, VNIC_FRAME_MAX + 1, &err), &err, VNIC_STEP_USAGE, EMSGSIZE);
	assert_accounts_close(&world);
	world_free(&world);
}

static void checksums_of_a_frame_made_by_hand_are_filled_in(void **state)
{
	struct vnic_vnet_hdr hdr;

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		const struct superframe spec = {.v6 = kind & 1, .udp = kind & 2, .payload = 33, .finished = true};
		size_t len = superframe_make(&spec, room, &hdr);

		memcpy(heard, room, len);
		if (!spec.v6)
			put16(heard + superframe_l3(&spec) + 10, 0xdead);
		put16(heard + superframe_l4(&spec) + (spec.udp ? 6 : 16), 0xdead);
		vt_ok(vnic_frame_fill_checksums(heard, len, false), NULL);
		assert_memory_equal(heard, room, len);
	}
	size_t len = superframe_make(&udp, room, &hdr);
	put16(room + superframe_l4(&udp) + 6, 0); /* has none, and keeps none */
	vt_ok(vnic_frame_fill_checksums(room, len, false), NULL);
	assert_int_equal(get16(room + superframe_l4(&udp) + 6), 0);
	assert_int_equal(vnic_frame_fill_checksums(room, 13, false), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(an_inspector_sees_each_frame_and_where_its_layers_stand),
		vt_test(what_an_inspector_drops_goes_nowhere_and_is_counted),
		vt_test(a_changed_frame_leaves_with_good_checksums),
		vt_test(each_segment_of_a_changed_super_frame_has_good_checksums),
		vt_test(a_frame_grows_and_shrinks),
		vt_test(what_outgrows_its_room_or_loses_its_header_is_dropped),
		vt_test(an_answer_leaves_uninspected_and_is_counted),
		vt_test(an_inspector_may_not_change_the_relay_it_is_called_by),
		vt_test(a_frame_that_weather_held_back_can_grow),
		vt_test(an_answer_to_a_port_that_goes_leaves_the_others_alone),
		vt_test(a_frame_is_injected_at_any_time),
		vt_test(checksums_of_a_frame_made_by_hand_are_filled_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
