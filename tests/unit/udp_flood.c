/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flow that floods, in a gateway whose sandbox, router and host are one lo: whom it tells, and what comes by a ring.
 *
 * No rule leads the flow into the ring here, which takes what has a mark; the flow's socket drops that.
 */
#include "gateway_world.h"

#include "udp.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <net/ethernet.h>
#include <string.h>

#include "flood_ring.h"

/* MANY: more than are quiet.  SOME: more than come in one turn. */
enum { MARK = 3, LO = 1, MANY = 3000, SOME = 2 * FLOOD_TURNS * DATAGRAMS };

struct told {
	unsigned floods;
	enum vnic_flood last;
	uint16_t port; /* of the flow's remote */
};

static void hear(void *ctx, enum vnic_flood what, const struct vnic_open_request *flow)
{
	struct told *told = ctx;
	struct endpoint endpoint;
	uint16_t family;

	told->floods++;
	told->last = what;
	assert_true((flow != NULL) == (what == VNIC_FLOOD_BEGINS));
	if (flow && sockaddr_to_endpoint(&flow->bind, &endpoint, &family))
		told->port = endpoint.port;
}

static void flood(struct world *world, int client)
{
	for (int i = 0; i < 2 * DATAGRAMS; i++)
		world_say(client, "a flood");
	for (int i = 0; i < 2 * DATAGRAMS; i++)
		world_hears(world, world->server, "a flood");
}

/* Of gateway/flood.c; the test does not wait for it. */
static void end_rest(struct world *world)
{
	struct flood *state = &world->gateway->udp->flood;

	assert_true(state->rest_until > world->gateway->now);
	state->rest_until = 0;
}

static int start_flow(struct world *world, struct told *told)
{
	int client;

	world_start(world, AF_INET, (struct world_options){0});
	world->gateway->config.flood = hear;
	world->gateway->config.ctx = told;
	client = world_client(world);
	world_say(client, "hello");
	world_server_answers(world, "hello", "hi");
	world_hears(world, client, "hi");
	return client;
}

static void a_flood_is_told_once_and_where_there_is_no_ring_seconds_later_again(void **state)
{
	struct told told = {0};
	struct world world;
	int client = start_flow(&world, &told);

	(void)state;
	for (int i = 0; i < 10; i++)
		world_say(client, "a few");
	world_rest(&world);
	assert_int_equal(told.floods, 0);
	for (int i = 0; i < 10; i++)
		world_hears(&world, world.server, "a few");
	flood(&world, client);
	flood(&world, client);
	assert_int_equal(told.floods, 1);
	assert_int_equal(told.last, VNIC_FLOOD_BEGINS);
	assert_int_equal(told.port, world.port);
	vnic_gateway_take_ring(world.gateway, -1);
	flood(&world, client);
	assert_int_equal(told.floods, 1);
	end_rest(&world);
	flood(&world, client);
	assert_int_equal(told.floods, 2);
	close(client);
	world_stop(&world);
}

/* Nothing was read into it, so it could be any descriptor. */
static void a_ring_that_cannot_be_read_is_given_back(void **state)
{
	struct told told = {0};
	struct world world;
	int client = start_flow(&world, &told);

	(void)state;
	flood(&world, client);
	vnic_gateway_take_ring(world.gateway, open("/dev/null", O_RDONLY | O_CLOEXEC));
	assert_int_equal(told.last, VNIC_FLOOD_ENDS);
	flood(&world, client);
	assert_int_equal(told.floods, 2);
	vnic_gateway_take_ring(world.gateway, -1);
	assert_int_equal(told.last, VNIC_FLOOD_GONE);
	assert_int_equal(told.floods, 3);
	flood(&world, client);
	assert_int_equal(told.floods, 3);
	end_rest(&world);
	flood(&world, client);
	assert_int_equal(told.last, VNIC_FLOOD_BEGINS); /* the next one */
	close(client);
	world_stop(&world);
}

static void so_is_one_for_which_there_is_no_descriptor(void **state)
{
	struct told told = {0};
	struct world world;
	int client = start_flow(&world, &told);

	(void)state;
	flood(&world, client);
	vnic_gateway_take_ring(world.gateway, -EMFILE);
	assert_int_equal(told.last, VNIC_FLOOD_ENDS);
	vnic_gateway_take_ring(world.gateway, -EMFILE); /* it cannot end yet */
	assert_int_equal(told.floods, 2);
	world.gateway->now = world.gateway->udp->flood.look_at;
	udp_expire(world.gateway->udp);
	assert_int_equal(told.floods, 3);
	assert_int_equal(told.last, VNIC_FLOOD_ENDS);
	vnic_gateway_take_ring(world.gateway, -1);
	assert_int_equal(told.last, VNIC_FLOOD_GONE);
	flood(&world, client);
	close(client);
	world_stop(&world);
}

static void a_ring_for_a_flow_that_has_ended_is_given_back(void **state)
{
	struct told told = {0};
	struct world world;
	int client = start_flow(&world, &told);

	(void)state;
	flood(&world, client);
	udp_end_flow(world.gateway->udp, table_first(&world.gateway->udp->flows));
	vnic_gateway_take_ring(world.gateway, open("/dev/null", O_RDONLY | O_CLOEXEC));
	assert_int_equal(told.last, VNIC_FLOOD_ENDS);
	vnic_gateway_take_ring(world.gateway, -1);
	assert_int_equal(told.last, VNIC_FLOOD_GONE);
	vnic_gateway_take_ring(world.gateway, open("/dev/null", O_RDONLY | O_CLOEXEC)); /* that nobody asked for */
	assert_int_equal(told.floods, 3);
	close(client);
	world_stop(&world);
}

/* --- with a ring -------------------------------------------------------------------- */

static void drop_marked(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_MARK)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};

	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)), errno);
}

/* What the flow's client sends from now on comes by it, once the gateway has taken it. */
static int make_ring(const struct world *world, int client)
{
	struct vnic_error err;
	int fd = -1, r = flood_ring_make(LO, ETHERTYPE_IP, MARK, &fd, &err);

	if (r == -ENOPROTOOPT)
		vt_skip("the kernel's rings cannot tell of super-datagrams (Linux 6.4)");
	vt_ok(r, &err);
	drop_marked(world->last_opened);
	assert_return_code(setsockopt(client, SOL_SOCKET, SO_MARK, &(int){MARK}, sizeof(int)), errno);
	return fd;
}

static void take_ring(struct world *world, int fd)
{
	vnic_gateway_take_ring(world->gateway, fd);
	world->gateway->udp->flood.look_at = INT64_MAX / 2; /* the test says when */
}

static void look(struct world *world)
{
	world->gateway->udp->flood.look_at = world->gateway->now;
	udp_expire(world->gateway->udp);
}

static int start_ring(struct world *world, struct told *told)
{
	int client = start_flow(world, told);

	flood(world, client);
	assert_int_equal(told->last, VNIC_FLOOD_BEGINS);
	take_ring(world, make_ring(world, client));
	return client;
}

static void turn_when_ready(struct world *world)
{
	struct pollfd fd = {.fd = vnic_gateway_get_fd(world->gateway), .events = POLLIN};

	assert_int_equal(poll(&fd, 1, VT_DEADLINE_MS), 1);
	world_turn(world);
}

/* The server need not have room for all. */
static void say(int client, int count)
{
	for (int i = 0; i < count; i++)
		world_say(client, "x");
}

static void are_sent(struct world *world, uint64_t before, unsigned count)
{
	while (world->gateway->stats.bytes_out < before + count)
		turn_when_ready(world);
	assert_int_equal(world->gateway->stats.bytes_out, before + count);
	assert_int_equal(world->gateway->stats.ignored, 0);
}

/* A few at a time: the ring has 16 blocks, and the kernel goes on to the next one after a millisecond. */
static void send_many(struct world *world, int client)
{
	for (int i = 0; i < MANY / 100; i++) {
		uint64_t before = world->gateway->stats.bytes_out;

		say(client, 100);
		are_sent(world, before, 100);
	}
}

static void a_quiet_flow_goes_the_ordinary_way_and_floods_no_more_for_seconds(void **state)
{
	struct told told = {0};
	struct world world;
	int client = start_ring(&world, &told);

	(void)state;
	world_say(client, "by the ring");
	world_hears(&world, world.server, "by the ring");
	look(&world);
	assert_int_equal(told.last, VNIC_FLOOD_ENDS);
	assert_return_code(setsockopt(client, SOL_SOCKET, SO_MARK, &(int){0}, sizeof(int)), errno);
	vnic_gateway_take_ring(world.gateway, -1);
	assert_int_equal(told.last, VNIC_FLOOD_GONE);
	flood(&world, client);
	assert_int_equal(told.last, VNIC_FLOOD_GONE);
	end_rest(&world);
	flood(&world, client);
	assert_int_equal(told.last, VNIC_FLOOD_BEGINS);
	close(client);
	world_stop(&world);
}

static void a_flow_that_cannot_leave_its_ring_stays_and_tries_later(void **state)
{
	struct told told = {0};
	struct world world;
	int client = start_ring(&world, &told);

	(void)state;
	for (unsigned floods = 2; floods < 5; floods++) {
		look(&world);
		assert_int_equal(told.last, VNIC_FLOOD_ENDS);
		assert_int_equal(told.floods, floods);
		take_ring(&world, open("/dev/null", O_RDONLY | O_CLOEXEC));
		world_say(client, "by the ring");
		world_hears(&world, world.server, "by the ring");
	}
	udp_end_flow(world.gateway->udp, table_first(&world.gateway->udp->flows));
	assert_int_equal(told.floods, 5);
	take_ring(&world, open("/dev/null", O_RDONLY | O_CLOEXEC));
	look(&world);
	assert_int_equal(told.last, VNIC_FLOOD_ENDS);
	assert_int_equal(told.floods, 6);
	vnic_gateway_take_ring(world.gateway, -1);
	assert_int_equal(told.last, VNIC_FLOOD_GONE);
	close(client);
	world_stop(&world);
}

static void a_flow_that_has_flooded_for_long_may_do_so_again_at_once(void **state)
{
	struct told told = {0};
	struct world world;
	int client = start_ring(&world, &told);

	(void)state;
	send_many(&world, client);
	look(&world);
	assert_int_equal(told.last, VNIC_FLOOD_BEGINS);
	look(&world);
	assert_int_equal(told.last, VNIC_FLOOD_ENDS);
	assert_return_code(setsockopt(client, SOL_SOCKET, SO_MARK, &(int){0}, sizeof(int)), errno);
	vnic_gateway_take_ring(world.gateway, -1);
	while (told.last != VNIC_FLOOD_GONE)
		turn_when_ready(&world);
	while (recv(world.server, &(char){0}, 1, MSG_DONTWAIT) >= 0)
		;
	flood(&world, client);
	assert_int_equal(told.last, VNIC_FLOOD_BEGINS);
	close(client);
	world_stop(&world);
}

static void the_gateway_wakes_to_look_whether_a_flow_has_become_quiet(void **state)
{
	struct told told = {0};
	struct world world;
	int client = start_flow(&world, &told);

	(void)state;
	flood(&world, client);
	vnic_gateway_take_ring(world.gateway, make_ring(&world, client));
	while (told.last != VNIC_FLOOD_ENDS)
		turn_when_ready(&world);
	close(client);
	world_stop(&world);
}

static void a_datagram_by_the_ring_keeps_its_flow_alive(void **state)
{
	struct told told = {0};
	struct world world;
	int client = start_ring(&world, &told);
	const struct table *flows = &world.gateway->udp->flows;
	int64_t before = table_expires(flows, table_first(flows));

	(void)state;
	world_say(client, "by the ring");
	world_hears(&world, world.server, "by the ring");
	assert_true(table_expires(flows, table_first(flows)) > before);
	close(client);
	world_stop(&world);
}

static void a_flood_of_super_datagrams_is_one_by_their_parts(void **state)
{
	enum { PARTS = 50 };
	const char data[PARTS] = {0};
	struct told told = {0};
	struct world world;
	int client = start_ring(&world, &told);

	(void)state;
	uint64_t before = world.gateway->stats.bytes_out;
	for (int i = 0; i < MANY / PARTS; i++)
		world_send_super(client, data, sizeof(data), 1);
	are_sent(&world, before, MANY);
	look(&world);
	assert_int_equal(told.last, VNIC_FLOOD_BEGINS);
	close(client);
	world_stop(&world);
}

static void a_flow_whose_sender_has_gone_does_not_end_before_its_ring_is_empty(void **state)
{
	struct sockaddr_storage host = {0};
	struct told told = {0};
	struct world world;
	int client = start_ring(&world, &told);

	(void)state;
	world_say(client, "who are you?");
	world_wait(&world, world.server);
	assert_true(recvfrom(world.server, &(char){0}, 1, 0, (struct sockaddr *)&host, &(socklen_t){sizeof(host)}) > 0);
	world_rest(&world);
	uint64_t before = world.gateway->stats.bytes_out;
	say(client, SOME);
	close(client);
	assert_int_equal(sendto(world.server, "x", 1, 0, (struct sockaddr *)&host, sizeof(host)), 1);
	are_sent(&world, before, SOME);
	world_stop(&world);
}

static void a_ring_for_a_flow_that_has_ended_goes_when_it_is_empty(void **state)
{
	struct told told = {0};
	struct world world;
	int client = start_flow(&world, &told);

	(void)state;
	flood(&world, client);
	int fd = make_ring(&world, client);
	world_say(client, "too late");
	udp_end_flow(world.gateway->udp, table_first(&world.gateway->udp->flows));
	take_ring(&world, fd);
	assert_int_equal(told.last, VNIC_FLOOD_ENDS);
	world_say(client, "much too late");
	vnic_gateway_take_ring(world.gateway, -1);
	while (told.last != VNIC_FLOOD_GONE)
		turn_when_ready(&world);
	assert_int_equal(world.gateway->stats.ignored, 2);
	close(client);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_flood_is_told_once_and_where_there_is_no_ring_seconds_later_again),
		vt_netns_test(a_ring_that_cannot_be_read_is_given_back),
		vt_netns_test(so_is_one_for_which_there_is_no_descriptor),
		vt_netns_test(a_ring_for_a_flow_that_has_ended_is_given_back),
		vt_netns_test(a_quiet_flow_goes_the_ordinary_way_and_floods_no_more_for_seconds),
		vt_netns_test(a_flow_that_cannot_leave_its_ring_stays_and_tries_later),
		vt_netns_test(a_flow_that_has_flooded_for_long_may_do_so_again_at_once),
		vt_netns_test(the_gateway_wakes_to_look_whether_a_flow_has_become_quiet),
		vt_netns_test(a_datagram_by_the_ring_keeps_its_flow_alive),
		vt_netns_test(a_flood_of_super_datagrams_is_one_by_their_parts),
		vt_netns_test(a_flow_whose_sender_has_gone_does_not_end_before_its_ring_is_empty),
		vt_netns_test(a_ring_for_a_flow_that_has_ended_goes_when_it_is_empty),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
