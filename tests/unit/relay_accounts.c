/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every frame is accounted for, with all that a relay can do to frames done at once. */
#include "relay_world.h"

#define TURNS 3000

static uint8_t room[VNIC_FRAME_MAX];

static bool one_in(unsigned n)
{
	return (unsigned)random() % n == 0;
}

static enum vnic_verdict look(void *ctx, struct vnic_inspected *frame)
{
	if (one_in(5))
		vnic_relay_inject(ctx, (unsigned)random() % STATIONS, frame->data, 60, NULL); /* it may be gone: fine */
	if (one_in(5)) {
		frame->data[frame->len - 1] ^= 1;
		frame->changed = true;
	}
	if (one_in(20))
		frame->len = frame->len / 2, frame->changed = true;
	return one_in(10) ? VNIC_VERDICT_DROP : VNIC_VERDICT_PASS;
}

static void change_weather(struct world *world, unsigned port)
{
	const struct vnic_impairment weather = {
		.delay_us = (uint32_t)random() % 300,
		.jitter_us = 100,
		.overtake = one_in(2),
		.rate_bps = one_in(2) ? 100000000 : 0,
		.loss = .1,
		.duplicate = .1,
		.reorder = .1,
		.corrupt = .1,
		.limit = 1 + (uint32_t)random() % 20,
		.limit_bytes = one_in(2) ? 1 + (uint32_t)random() % 20000 : 0,
	};
	enum vnic_direction direction = one_in(2) ? VNIC_INGRESS : VNIC_EGRESS;

	vnic_relay_set_impairment(world->relay, port, direction, one_in(3) ? NULL : &weather, NULL);
}

/* Whatever its state, a port may be asked for anything. */
static void change_something(struct world *world)
{
	unsigned port = (unsigned)random() % STATIONS;

	switch (random() % 5) {
	case 0:
		vnic_relay_set_link(world->relay, port, !one_in(3));
		break;
	case 1:
		vnic_relay_set_isolated(world->relay, port, one_in(2));
		break;
	case 2:
		change_weather(world, port);
		break;
	case 3:
		world->relay->ports[port]->takes = one_in(2) ? VNIC_OFFLOAD_ALL : VNIC_OFFLOAD_CSUM;
		break;
	case 4:
		vnic_relay_set_inspector(world->relay, one_in(4) ? NULL : look, world->relay, NULL);
		break;
	}
}

static void say_anything(struct world *world, unsigned station)
{
	struct superframe spec = superframe_random();
	struct vnic_vnet_hdr hdr;
	size_t len;

	if (one_in(2)) /* fewer large ones, or socket buffers are always full */
		spec.gso_size = 0, spec.payload %= 1400;
	len = superframe_make(&spec, room, &hdr);
	room[5] = one_in(4) ? 9 : (uint8_t)random() % STATIONS;
	room[0] = one_in(5) ? 0xff : 2;
	room[11] = one_in(20) ? 9 : (uint8_t)station;
	if (one_in(30))
		room[6] = 0xff; /* no station's */
	if (one_in(30))
		hdr.csum_start = (uint16_t)random();
	say_frame(world, station, &hdr, room, len);
}

static void listen_at_all(struct world *world)
{
	struct vnic_vnet_hdr hdr;

	for (unsigned i = 0; i < STATIONS; i++)
		while (world->station[i] >= 0 && hear(world, i, &hdr, room) >= 0)
			;
}

/* With frames on their way. */
static void leave(struct world *world, unsigned station)
{
	const struct vnic_impairment weather = {.delay_us = 60000000};

	vt_ok(vnic_relay_set_link(world->relay, station, true), NULL);
	vt_ok(vnic_relay_set_impairment(world->relay, station, VNIC_INGRESS, &weather, NULL), NULL);
	for (int i = 0; i < 10; i++) {
		say_anything(world, station);
		settle(world);
	}
	close(world->station[station]);
	world->station[station] = -1;
}

/* More than those who do not listen can hold. */
static void say_much(struct world *world)
{
	const struct superframe spec = {.payload = 60000, .gso_size = 1448};
	struct vnic_vnet_hdr hdr;
	size_t len = superframe_make(&spec, room, &hdr);

	memset(room, 0xff, 6);
	for (int i = 0; i < 10; i++) {
		say_frame(world, 0, &hdr, room, len);
		settle(world);
	}
}

static uint64_t count_of(const struct world *world, enum vnic_drop why)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < world->count; i++)
		count += stats_of(world->relay, i).rx_dropped[why] + stats_of(world->relay, i).tx_dropped[why];
	return count;
}

static void all_frames_are_accounted_for_whatever_happens_to_them(void **state)
{
	static const enum vnic_drop expected[] = {
		VNIC_DROP_FULL,   VNIC_DROP_DOWN,    VNIC_DROP_ISOLATED,  VNIC_DROP_SAME_PORT,
		VNIC_DROP_SOURCE, VNIC_DROP_SEGMENT, VNIC_DROP_LINK_DOWN, VNIC_DROP_FILTERED,
		VNIC_DROP_LOST,   VNIC_DROP_HELD,    VNIC_DROP_INSPECTED,
	};
	struct world world = world_of(STATIONS, VNIC_OFFLOAD_ALL);
	struct vnic_error err;

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < STATIONS; i++) /* two or three super-frames */
		setsockopt(world.relay->ports[i]->fd, SOL_SOCKET, SO_SNDBUF, &(int){80000}, sizeof(int));
	vt_ok(vnic_relay_set_filter(world.relay, 1, VNIC_INGRESS, "not udp", &err), &err);
	vt_ok(vnic_relay_set_filter(world.relay, 2, VNIC_EGRESS, "not ip6", &err), &err);
	say_much(&world);
	for (int turn = 0; turn < TURNS; turn++) {
		unsigned station = (unsigned)random() % STATIONS;

		if (one_in(10))
			change_something(&world);
		if (turn == TURNS * 9 / 10)
			leave(&world, 3);
		if (world.station[station] >= 0)
			say_anything(&world, station);
		vt_ok(vnic_relay_dispatch(world.relay, 0, &err), &err);
		assert_accounts_close(&world);
		if (one_in(40))
			listen_at_all(&world);
	}
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (!count_of(&world, expected[i]))
			fail_msg("no frame was dropped as %s", vnic_drop_text(expected[i]));
	for (unsigned made = 0; made < VNIC_MADE_COUNT; made++)
		if (!all_of(&world).made[made])
			fail_msg("no frame was made as %s", vnic_made_text(made));
	world_free(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(all_frames_are_accounted_for_whatever_happens_to_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
