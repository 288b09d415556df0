/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP flows through a gateway whose sandbox, router and host are one lo. */
#include "gateway_world.h"

#include "udp.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>

/* --- data --------------------------------------------------------------------------- */

static void round_trip(int family)
{
	struct world world;
	int client;

	world_start(&world, family, (struct world_options){0});
	client = world_client(&world);
	world_say(client, "one");
	world_server_answers(&world, "one", "two");
	world_hears(&world, client, "two"); /* connected: from the remote's address and port only */
	assert_int_equal(world.gateway->stats.udp_flows, 1);
	assert_int_equal(world.gateway->stats.bytes_out, 3);
	assert_int_equal(world.gateway->stats.bytes_in, 3);
	close(client);
	world_stop(&world);
}

static void an_answer_comes_from_the_address_that_the_sandbox_wrote_to(void **state)
{
	(void)state;
	round_trip(AF_INET);
}

static void an_answer_comes_back_over_ipv6_too(void **state)
{
	(void)state;
	round_trip(AF_INET6);
}

static void later_datagrams_belong_to_the_same_flow(void **state)
{
	struct world world;
	int client;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	client = world_client(&world);
	for (int i = 0; i < 5; i++) {
		world_say(client, "ping");
		world_server_answers(&world, "ping", "pong");
		world_hears(&world, client, "pong");
	}
	assert_int_equal(world.gateway->stats.udp_flows, 1);
	assert_int_equal(world.opened, 1);
	close(client);
	world_stop(&world);
}

static void datagrams_that_came_before_the_flow_was_open_are_not_lost(void **state)
{
	struct world world;
	char text[2] = "a";
	int client;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	client = world_client(&world);
	for (; text[0] <= 'j'; text[0]++)
		world_say(client, text);
	for (text[0] = 'a'; text[0] <= 'j'; text[0]++)
		world_hears(&world, world.server, text);
	assert_int_equal(world.gateway->stats.udp_flows, 1);
	close(client);
	world_stop(&world);
}

static void the_longest_and_the_empty_datagram_pass(void **state)
{
	static const size_t sizes[] = {65507, 0, 1, 1472, 1473};
	uint8_t *sent = malloc(65507), *got = malloc(65507);
	struct world world;
	int client;

	(void)state;
	assert_true(sent && got);
	for (size_t i = 0; i < 65507; i++)
		sent[i] = (uint8_t)(i * 7 + i / 251);
	world_start(&world, AF_INET, (struct world_options){0});
	client = world_client(&world);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(send(client, sent, sizes[i], 0), sizes[i]);
		world_wait(&world, world.server);
		assert_int_equal(recv(world.server, got, 65507, MSG_TRUNC), sizes[i]);
		assert_memory_equal(got, sent, sizes[i]);
	}
	close(client);
	free(sent);
	free(got);
	world_stop(&world);
}

static void say_numbers(int fd, int first, int stop)
{
	char text[32];

	for (int i = first; i < stop; i++) {
		snprintf(text, sizeof(text), "number %d", i);
		world_say(fd, text);
	}
}

struct hurried {
	struct world *world;
	int client;
};

enum { HURRIED = 5 * DATAGRAMS };

/* The sender goes on while his flow is being opened. */
static int open_late(void *ctx, const struct vnic_open_request *request, int *ret_fd, struct vnic_error *err)
{
	const struct hurried *hurried = ctx;

	say_numbers(hurried->client, 1, HURRIED);
	return world_open(hurried->world, request, ret_fd, err);
}

static void what_came_before_the_flow_was_open_goes_first(void **state)
{
	enum { ALL = HURRIED + 2 * DATAGRAMS };
	struct world world;
	struct hurried hurried = {.world = &world};
	char text[32];

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	hurried.client = world_client(&world);
	world.opener = (struct vnic_opener){.ctx = &hurried, .open = open_late};
	say_numbers(hurried.client, 0, 1);
	world_turn(&world);
	assert_int_equal(world.gateway->stats.udp_flows, 1);
	say_numbers(hurried.client, HURRIED, ALL);
	for (int i = 0; i < ALL; i++) {
		snprintf(text, sizeof(text), "number %d", i);
		world_hears(&world, world.server, text);
	}
	close(hurried.client);
	world_stop(&world);
}

static void a_super_datagram_passes_whole(void **state)
{
	uint8_t sent[10300], got[20000];
	struct world world;
	ssize_t size;
	int client;

	(void)state;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 11 + i / 256);
	world_start(&world, AF_INET, (struct world_options){0});
	client = world_client(&world);
	assert_int_equal(setsockopt(world.server, SOL_UDP, UDP_GRO, &(int){1}, sizeof(int)), 0);
	udp_set_bulk(world.gateway->config.udp[VNIC_V4]);
	world_send_super(client, sent, sizeof(sent), 1000);
	world_wait(&world, world.server);
	assert_int_equal(world_take_super(world.server, got, sizeof(got), &size), 1000);
	assert_int_equal(size, sizeof(sent));
	assert_memory_equal(got, sent, sizeof(sent));
	close(client);
	world_stop(&world);
}

/* --- refusals ----------------------------------------------------------------------- */

static void a_closed_port_is_told(int family, uint8_t type, uint8_t code)
{
	struct world world;
	struct packet quoted;
	int client;

	world_start(&world, family, (struct world_options){0});
	client = world_client(&world);
	close(world.server);
	world.server = -1;
	world_say(client, "anybody?");
	world_is_told(&world, type, code, &quoted);
	assert_int_equal(quoted.proto, IPPROTO_UDP);
	assert_int_equal(quoted.key.src.port, world_port(client));
	assert_int_equal(quoted.key.dst.port, world.port);
	close(client);
	world_stop(&world);
}

static void a_closed_port_on_the_host_is_port_unreachable_in_the_sandbox(void **state)
{
	(void)state;
	a_closed_port_is_told(AF_INET, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH);
}

static void a_closed_port_is_told_over_ipv6_too(void **state)
{
	(void)state;
	a_closed_port_is_told(AF_INET6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT);
}

static void a_flow_goes_on_after_an_error(void **state)
{
	struct world world;
	struct packet quoted;
	int client;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	client = world_client(&world);
	close(world.server);
	world_say(client, "too early");
	world_is_told(&world, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, &quoted);
	world.server = world_socket(AF_INET, WORLD_HOST, world.port);
	world_say(client, "now");
	world_server_answers(&world, "now", "yes");
	world_hears(&world, client, "yes");
	assert_int_equal(world.gateway->stats.udp_flows, 1);
	close(client);
	world_stop(&world);
}

static void a_denied_flow_is_told_at_once_and_opens_nothing(void **state)
{
	struct world world;
	struct packet quoted;
	int client;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.allow = ""});
	client = world_client(&world);
	world_say(client, "let me out");
	world_is_told(&world, ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, &quoted);
	assert_int_equal(world.gateway->stats.denied, 1);
	assert_int_equal(world.gateway->stats.udp_open, 0);
	assert_int_equal(world.opened, 0);
	close(client);
	world_stop(&world);
}

static void a_socket_that_the_router_refuses_ends_its_flow_only(void **state)
{
	struct world world;
	int client;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	client = world_client(&world);
	world.failures = 1;
	world_say(client, "one");
	world_hears(&world, world.server, "one");
	assert_int_equal(world.gateway->stats.udp_open, 0);
	assert_int_equal(world.gateway->stats.failed, 1);
	world_say(client, "two");
	world_server_answers(&world, "two", "good");
	world_hears(&world, client, "good");
	close(client);
	world_stop(&world);
}

/* --- the end of flows --------------------------------------------------------------- */

static void age(struct world *world, int64_t seconds)
{
	world->gateway->now += seconds * NS_PER_S;
	udp_expire(world->gateway->udp);
	udp_settle(world->gateway->udp);
}

static void a_flow_without_an_answer_ends_after_two_minutes(void **state)
{
	struct world world;
	int client;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	assert_int_equal(world.gateway->timer_at, 0); /* nobody is woken for nothing */
	client = world_client(&world);
	world_say(client, "hello");
	world_hears(&world, world.server, "hello");
	assert_true(world.gateway->timer_at > 0);
	age(&world, 119);
	assert_int_equal(world.gateway->stats.udp_open, 1);
	age(&world, 1);
	assert_int_equal(world.gateway->stats.udp_open, 0);
	close(client);
	world_stop(&world);
}

static void a_conversation_ends_after_five_minutes(void **state)
{
	struct world world;
	int client;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	client = world_client(&world);
	for (int i = 0; i < 3; i++) {
		world_say(client, "hello");
		world_server_answers(&world, "hello", "hi");
		world_hears(&world, client, "hi");
	}
	age(&world, 299);
	assert_int_equal(world.gateway->stats.udp_open, 1);
	age(&world, 1);
	assert_int_equal(world.gateway->stats.udp_open, 0);
	close(client);
	world_stop(&world);
}

static void a_question_to_a_name_server_ends_after_ten_seconds(void **state)
{
	struct world world;
	int client;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.port = 53});
	client = world_client(&world);
	world_say(client, "who?");
	world_hears(&world, world.server, "who?");
	age(&world, 9);
	assert_int_equal(world.gateway->stats.udp_open, 1);
	age(&world, 1);
	assert_int_equal(world.gateway->stats.udp_open, 0);
	close(client);
	world_stop(&world);
}

static void a_flow_ends_when_nobody_listens_in_the_sandbox(void **state)
{
	struct world world;
	int client;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	client = world_client(&world);
	world_say(client, "one");
	world_wait(&world, world.server);
	close(client);
	world_server_answers(&world, "one", "two");
	while (world.gateway->stats.udp_open) {
		struct pollfd fd = {.fd = vnic_gateway_get_fd(world.gateway), .events = POLLIN};

		assert_int_equal(poll(&fd, 1, VT_DEADLINE_MS), 1);
		world_turn(&world);
	}
	world_stop(&world);
}

static void so_it_does_not_when_somebody_has_taken_the_port_again_and_sends(void **state)
{
	struct sockaddr_storage to;
	struct world world;
	uint16_t port;
	int client;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	to = world_addr(AF_INET, WORLD_REMOTE, world.port);
	client = world_client(&world);
	port = world_port(client);
	world_say(client, "one");
	world_server_answers(&world, "one", "two");
	world_hears(&world, client, "two");
	world_say(client, "three");
	world_wait(&world, world.server);
	close(client);
	world_server_answers(&world, "three", "four");
	world_turn(&world); /* which is refused */
	client = world_socket(AF_INET, WORLD_SANDBOX, port);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	world_say(client, "five");
	world_server_answers(&world, "five", "six");
	world_hears(&world, client, "six");
	assert_int_equal(world.gateway->stats.udp_flows, 1);
	close(client);
	world_stop(&world);
}

static void a_datagram_that_waits_when_its_flow_would_end_is_not_lost(void **state)
{
	struct world world;
	int client;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	client = world_client(&world);
	world_say(client, "one");
	world_hears(&world, world.server, "one");
	world_say(client, "two");
	age(&world, 120);
	world_server_answers(&world, "two", "three");
	world_hears(&world, client, "three");
	assert_int_equal(world.gateway->stats.udp_flows, 1);
	close(client);
	world_stop(&world);
}

static void at_the_cap_the_flow_that_would_end_first_ends_now(void **state)
{
	struct world world;
	int clients[6];

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.udp_max = 4});
	for (int i = 0; i < 6; i++) {
		clients[i] = world_client(&world);
		world_say(clients[i], "hello");
		world_hears(&world, world.server, "hello");
	}
	assert_int_equal(world.gateway->stats.udp_open, 4);
	assert_int_equal(world.gateway->stats.udp_flows, 6);
	assert_int_equal(world.gateway->stats.full, 2);
	world_say(clients[5], "still here");
	world_server_answers(&world, "still here", "good");
	world_hears(&world, clients[5], "good");
	assert_int_equal(world.gateway->stats.udp_flows, 6);
	for (int i = 0; i < 6; i++)
		close(clients[i]);
	world_stop(&world);
}

static void many_flows_at_once_are_served_whole(void **state)
{
	enum { FLOWS = 200 };
	struct world world;
	int clients[FLOWS];

	(void)state;
	world_start(&world, AF_INET, (struct world_options){0});
	for (int i = 0; i < FLOWS; i++) {
		clients[i] = world_client(&world);
		world_say(clients[i], "hello");
	}
	for (int i = 0; i < FLOWS; i++)
		world_server_answers(&world, "hello", "hi");
	for (int i = 0; i < FLOWS; i++)
		world_hears(&world, clients[i], "hi");
	assert_int_equal(world.gateway->stats.udp_open, FLOWS);
	for (int i = 0; i < FLOWS; i++)
		close(clients[i]);
	age(&world, 1000);
	assert_int_equal(world.gateway->stats.udp_open, 0);
	world_rest(&world);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(an_answer_comes_from_the_address_that_the_sandbox_wrote_to),
		vt_netns_test(an_answer_comes_back_over_ipv6_too),
		vt_netns_test(later_datagrams_belong_to_the_same_flow),
		vt_netns_test(datagrams_that_came_before_the_flow_was_open_are_not_lost),
		vt_netns_test(the_longest_and_the_empty_datagram_pass),
		vt_netns_test(what_came_before_the_flow_was_open_goes_first),
		vt_netns_test(a_super_datagram_passes_whole),
		vt_netns_test(a_closed_port_on_the_host_is_port_unreachable_in_the_sandbox),
		vt_netns_test(a_closed_port_is_told_over_ipv6_too),
		vt_netns_test(a_flow_goes_on_after_an_error),
		vt_netns_test(a_denied_flow_is_told_at_once_and_opens_nothing),
		vt_netns_test(a_socket_that_the_router_refuses_ends_its_flow_only),
		vt_netns_test(a_flow_without_an_answer_ends_after_two_minutes),
		vt_netns_test(a_conversation_ends_after_five_minutes),
		vt_netns_test(a_question_to_a_name_server_ends_after_ten_seconds),
		vt_netns_test(a_flow_ends_when_nobody_listens_in_the_sandbox),
		vt_netns_test(so_it_does_not_when_somebody_has_taken_the_port_again_and_sends),
		vt_netns_test(a_datagram_that_waits_when_its_flow_would_end_is_not_lost),
		vt_netns_test(at_the_cap_the_flow_that_would_end_first_ends_now),
		vt_netns_test(many_flows_at_once_are_served_whole),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
