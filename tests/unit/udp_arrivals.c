/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clients of a published UDP port, through a gateway whose sandbox, router and host are one lo. */
#include "gateway_world.h"

#include "udp.h"

#include <stdio.h>
#include <stdlib.h>

/* A client at the published port of this address of the host's. */
static int client_of(const struct world *world, uint8_t host)
{
	struct sockaddr_storage to = world_addr(world->family, host, world_port(world->publish));
	int fd = world_socket(world->family, WORLD_HOST, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static int service(const struct world *world)
{
	return world_socket(world->family, WORLD_SANDBOX, WORLD_SERVICE);
}

/* The service hears it from the router's address, and answers; returns the port that the client has inside. */
static uint16_t answers(struct world *world, int fd, const char *text, const char *answer)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct endpoint endpoint;
	uint16_t family;
	char got[64];

	world_wait(world, fd);
	assert_int_equal(recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&from, &len), strlen(text));
	assert_memory_equal(got, text, strlen(text));
	assert_int_equal(sendto(fd, answer, strlen(answer), 0, (struct sockaddr *)&from, len), strlen(answer));
	assert_true(sockaddr_to_endpoint(&from, &endpoint, &family));
	assert_int_equal(endpoint.addr[world->family == AF_INET ? 3 : 15], WORLD_REMOTE);
	return endpoint.port;
}

static void round_trip(int family, uint8_t host)
{
	struct world world;
	int client, inside;

	world_start(&world, family, (struct world_options){.publish = true, .allow = ""});
	inside = service(&world);
	client = client_of(&world, host);
	for (int i = 0; i < 3; i++) {
		world_say(client, "hello");
		assert_int_equal(answers(&world, inside, "hello", "good day"), world_port(client));
		world_hears(&world, client, "good day"); /* connected: from where it had written to only */
	}
	assert_int_equal(world.gateway->stats.udp_flows, 1);
	assert_int_equal(world.gateway->stats.published, 1);
	assert_int_equal(world.gateway->stats.bytes_in, 15);
	assert_int_equal(world.gateway->stats.bytes_out, 24);
	close(client);
	close(inside);
	world_stop(&world);
}

static void a_client_reaches_the_sandbox_and_hears_its_answer(void **state)
{
	(void)state;
	round_trip(AF_INET, WORLD_HOST);
}

static void an_answer_comes_from_the_address_that_the_client_wrote_to(void **state)
{
	(void)state;
	round_trip(AF_INET, 77);
}

static void so_it_is_over_ipv6(void **state)
{
	(void)state;
	round_trip(AF_INET6, WORLD_HOST);
	round_trip(AF_INET6, WORLD_SANDBOX);
}

static void the_longest_and_the_empty_datagram_pass_both_ways(void **state)
{
	static const size_t sizes[] = {65507, 0, 1, 1472, 1473};
	uint8_t *sent = malloc(65507), *got = malloc(65507);
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct world world;
	int client, inside;

	(void)state;
	assert_true(sent && got);
	for (size_t i = 0; i < 65507; i++)
		sent[i] = (uint8_t)(i * 7 + i / 251);
	world_start(&world, AF_INET, (struct world_options){.publish = true});
	inside = service(&world);
	client = client_of(&world, WORLD_HOST);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(send(client, sent, sizes[i], 0), sizes[i]);
		world_wait(&world, inside);
		assert_int_equal(recvfrom(inside, got, 65507, MSG_TRUNC, (struct sockaddr *)&from, &len), sizes[i]);
		assert_memory_equal(got, sent, sizes[i]);
		assert_int_equal(sendto(inside, sent, sizes[i], 0, (struct sockaddr *)&from, len), sizes[i]);
		world_wait(&world, client);
		assert_int_equal(recv(client, got, 65507, MSG_TRUNC), sizes[i]);
		assert_memory_equal(got, sent, sizes[i]);
	}
	close(client);
	close(inside);
	free(sent);
	free(got);
	world_stop(&world);
}

static void a_super_datagram_passes_whole_both_ways(void **state)
{
	uint8_t sent[10300], got[20000];
	struct sockaddr_storage from;
	struct world world;
	int client, inside;
	ssize_t size;

	(void)state;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 11 + i / 256);
	world_start(&world, AF_INET, (struct world_options){.publish = true});
	inside = service(&world);
	client = client_of(&world, WORLD_HOST);
	udp_set_bulk(world.publish);
	world_say(client, "I am here");
	answers(&world, inside, "I am here", "So am I");
	world_hears(&world, client, "So am I");
	for (int i = 0; i < 2; i++) {
		int out = i ? inside : client, in = i ? client : inside;

		if (i) {
			from = world_addr(AF_INET, WORLD_REMOTE, world_port(client));
			assert_int_equal(connect(inside, (struct sockaddr *)&from, sizeof(from)), 0);
		}
		assert_int_equal(setsockopt(in, SOL_UDP, UDP_GRO, &(int){1}, sizeof(int)), 0);
		world_send_super(out, sent, sizeof(sent), 1000);
		world_wait(&world, in);
		assert_int_equal(world_take_super(in, got, sizeof(got), &size), 1000);
		assert_int_equal(size, sizeof(sent));
		assert_memory_equal(got, sent, sizeof(sent));
	}
	close(client);
	close(inside);
	world_stop(&world);
}

static void a_taken_4_tuple_gives_the_client_another_port_inside(void **state)
{
	struct sockaddr_storage to;
	struct world world;
	int client, inside;
	uint16_t port;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.publish = true});
	inside = service(&world);
	client = client_of(&world, WORLD_HOST);
	/* The sandbox's own flow, from the service's port to the client's as the router's. */
	to = world_addr(AF_INET, WORLD_REMOTE, world.port);
	assert_int_equal(sendto(inside, "out", 3, 0, (struct sockaddr *)&to, sizeof(to)), 3);
	world_hears(&world, world.server, "out");
	close(client);
	client = world_socket(AF_INET, 33, world.port);
	to = world_addr(AF_INET, WORLD_HOST, world_port(world.publish));
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	world_say(client, "in");
	port = answers(&world, inside, "in", "welcome");
	assert_int_not_equal(port, world.port);
	world_hears(&world, client, "welcome");
	assert_int_equal(world.gateway->stats.udp_open, 2);
	close(client);
	close(inside);
	world_stop(&world);
}

static void clients_have_half_of_the_flows_and_the_silent_one_makes_room(void **state)
{
	int clients[3], inside, own[2];
	struct world world;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.publish = true, .udp_max = 4});
	inside = service(&world);
	for (int i = 0; i < 2; i++) {
		own[i] = world_client(&world);
		world_say(own[i], "mine");
		world_hears(&world, world.server, "mine");
	}
	for (int i = 0; i < 3; i++) {
		clients[i] = client_of(&world, WORLD_HOST);
		world_say(clients[i], "hello");
		answers(&world, inside, "hello", "hi");
		world_hears(&world, clients[i], "hi");
	}
	assert_int_equal(world.gateway->stats.udp_open, 4);
	assert_int_equal(world.gateway->stats.full, 1);
	for (int i = 0; i < 2; i++) { /* none of these went */
		world_say(own[i], "still mine");
		world_server_answers(&world, "still mine", "yes");
		world_hears(&world, own[i], "yes");
	}
	assert_int_equal(world.gateway->stats.udp_flows, 5);
	world_say(clients[0], "hello again");
	answers(&world, inside, "hello again", "hi");
	world_hears(&world, clients[0], "hi");
	assert_int_equal(world.gateway->stats.udp_flows, 6);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	for (int i = 0; i < 2; i++)
		close(own[i]);
	close(inside);
	world_stop(&world);
}

static void an_idle_client_is_forgotten_and_may_come_again(void **state)
{
	struct world world;
	int client, inside;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.publish = true});
	inside = service(&world);
	client = client_of(&world, WORLD_HOST);
	for (unsigned i = 1; i <= 3; i++) {
		world_say(client, "hello");
		answers(&world, inside, "hello", "hi");
		world_hears(&world, client, "hi");
		assert_int_equal(world.gateway->stats.udp_flows, i);
		world.gateway->now += 120 * NS_PER_S;
		udp_expire(world.gateway->udp);
		udp_settle(world.gateway->udp);
		assert_int_equal(world.gateway->stats.udp_open, 0);
	}
	close(client);
	close(inside);
	world_stop(&world);
}

static void a_port_that_nobody_listens_on_inside_ends_nothing(void **state)
{
	struct world world;
	int client, inside;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.publish = true});
	client = client_of(&world, WORLD_HOST);
	world_say(client, "anybody?");
	while (world.gateway->stats.udp_flows == 0)
		world_turn(&world);
	world_rest(&world);
	inside = service(&world);
	world_say(client, "now?");
	answers(&world, inside, "now?", "yes");
	world_hears(&world, client, "yes");
	assert_int_equal(world.gateway->stats.udp_flows, 1);
	close(client);
	close(inside);
	world_stop(&world);
}

static void a_client_for_whom_the_router_has_no_socket_is_counted(void **state)
{
	struct world world;
	int client, inside;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.publish = true});
	inside = service(&world);
	client = client_of(&world, WORLD_HOST);
	world.failures = 1;
	world_say(client, "one");
	while (world.gateway->stats.failed == 0)
		world_turn(&world);
	assert_int_equal(world.gateway->stats.udp_open, 0);
	world_say(client, "two");
	answers(&world, inside, "two", "good");
	world_hears(&world, client, "good");
	close(client);
	close(inside);
	world_stop(&world);
}

static void two_hundred_clients_at_once_each_hear_their_own_answer(void **state)
{
	enum { CLIENTS = 200 };
	int clients[CLIENTS], inside;
	struct world world;
	char text[16];

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.publish = true});
	inside = service(&world);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = client_of(&world, WORLD_HOST);
		snprintf(text, sizeof(text), "%03d", i);
		world_say(clients[i], text);
	}
	for (int i = 0; i < CLIENTS; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);

		world_wait(&world, inside);
		assert_int_equal(recvfrom(inside, text, sizeof(text), 0, (struct sockaddr *)&from, &len), 3);
		assert_int_equal(sendto(inside, text, 3, 0, (struct sockaddr *)&from, len), 3);
	}
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(text, sizeof(text), "%03d", i);
		world_hears(&world, clients[i], text);
	}
	assert_int_equal(world.gateway->stats.udp_open, CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
	close(inside);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_client_reaches_the_sandbox_and_hears_its_answer),
		vt_netns_test(an_answer_comes_from_the_address_that_the_client_wrote_to),
		vt_netns_test(so_it_is_over_ipv6),
		vt_netns_test(the_longest_and_the_empty_datagram_pass_both_ways),
		vt_netns_test(a_super_datagram_passes_whole_both_ways),
		vt_netns_test(a_taken_4_tuple_gives_the_client_another_port_inside),
		vt_netns_test(clients_have_half_of_the_flows_and_the_silent_one_makes_room),
		vt_netns_test(an_idle_client_is_forgotten_and_may_come_again),
		vt_netns_test(a_port_that_nobody_listens_on_inside_ends_nothing),
		vt_netns_test(a_client_for_whom_the_router_has_no_socket_is_counted),
		vt_netns_test(two_hundred_clients_at_once_each_hear_their_own_answer),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
