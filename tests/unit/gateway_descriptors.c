/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A gateway that has no descriptors left, or whose peers have vanished: it goes on, sleeps, and says the truth. */
#include "gateway_world.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>

#include "fd.h"

#define CLIENTS 3
#define TURNS_MAX 100

/* No further descriptor can be opened until it is given back. */
static struct rlimit take_all(void)
{
	struct rlimit before, tight;
	int next = dup(STDERR_FILENO);

	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	assert_int_equal(dup(STDERR_FILENO), -1);
	return before;
}

static void give_back(const struct rlimit *before)
{
	assert_int_equal(setrlimit(RLIMIT_NOFILE, before), 0);
}

/* A client whose connection the kernel has accepted. */
static int client_of(const struct world *world)
{
	struct sockaddr_storage to = world_addr(AF_INET, WORLD_HOST, world_port(world->publish));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static int service(void)
{
	struct sockaddr_storage addr = world_addr(AF_INET, WORLD_SANDBOX, WORLD_SERVICE);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

/* False: it never had nothing to do. */
static bool comes_to_rest(struct world *world)
{
	struct pollfd fd = {.fd = vnic_gateway_get_fd(world->gateway), .events = POLLIN};

	for (int turn = 0; turn < TURNS_MAX; turn++) {
		if (poll(&fd, 1, 0) == 0)
			return true;
		world_turn(world);
	}
	return false;
}

static void clients_for_whom_there_is_no_descriptor_are_turned_away_and_the_next_is_served(void **state)
{
	int clients[CLIENTS], late, inside, accepted;
	struct rlimit before;
	struct world world;
	char byte;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.publish = true, .tcp = true, .log = world_log});
	inside = service();
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = client_of(&world);
	before = take_all();
	bool rests = comes_to_rest(&world);
	give_back(&before);
	assert_true(rests);
	assert_int_equal(world.gateway->stats.full, CLIENTS);
	assert_int_equal(world_lines_with("\"event\":\"full\""), CLIENTS);
	for (int i = 0; i < CLIENTS; i++) {
		char remote[32];

		snprintf(remote, sizeof(remote), "\"remote_port\":%u", world_port(clients[i]));
		assert_int_equal(world_lines_with(remote), 1);
	}
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(recv(clients[i], &byte, 1, 0), -1);
		assert_int_equal(errno, ECONNRESET);
		close(clients[i]);
	}
	late = client_of(&world);
	world_wait(&world, inside);
	accepted = accept4(inside, NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	world_rest(&world);
	world_say(late, "hello");
	world_hears(&world, accepted, "hello");
	close(late);
	close(accepted);
	close(inside);
	world_stop(&world);
}

static void that_there_is_no_descriptor_is_not_a_denial(void **state)
{
	struct flow_key key = {.family = AF_INET, .dst = {.addr = {8, 8, 8, 8}, .port = 443}};
	struct destination destination;
	struct rlimit before;
	struct world world;
	int admitted;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.allow = ""});
	before = take_all();
	admitted = gateway_admit(world.gateway, &key, VNIC_PROTO_TCP, &destination);
	give_back(&before);
	assert_int_equal(admitted, 0);
	assert_false(destination.host);
	assert_int_equal(world.gateway->stats.denied, 0);
	/* Nor is it a way to the host. */
	memcpy(key.dst.addr, (uint8_t[]){127, 0, 0, 1}, 4);
	before = take_all();
	admitted = gateway_admit(world.gateway, &key, VNIC_PROTO_TCP, &destination);
	give_back(&before);
	assert_int_equal(admitted, GATEWAY_DENIED);
	assert_int_equal(world.gateway->stats.denied, 1);
	world_stop(&world);
}

/* Another process was quicker with the one that is kept. */
static void where_the_kernel_cannot_be_asked_no_rule_lets_a_flow_through(void **state)
{
	static const char *const rules[] = {"host", "lan", "any"};
	struct flow_key key = {.family = AF_INET, .dst = {.addr = {192, 168, 1, 1}, .port = 443}};
	struct destination destination;
	struct rlimit before;
	struct world world;
	int admitted;

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		world_start(&world, AF_INET, (struct world_options){.allow = rules[i]});
		close_fd(&world.gateway->spare_fd);
		before = take_all();
		admitted = gateway_admit(world.gateway, &key, VNIC_PROTO_TCP, &destination);
		give_back(&before);
		assert_int_equal(admitted, -EMFILE);
		assert_int_equal(world.gateway->stats.denied, 0);
		world_stop(&world);
	}
}

static void the_kernel_asks_after_peers_that_are_silent_for_long(void **state)
{
	int client, inside, on = 0;
	struct world world;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.publish = true, .tcp = true});
	inside = service();
	client = client_of(&world);
	world_wait(&world, inside);
	world_rest(&world);
	assert_int_equal(getsockopt(world.last_opened, SOL_SOCKET, SO_KEEPALIVE, &on, &(socklen_t){sizeof(on)}), 0);
	assert_int_equal(on, 1);
	close(client);
	close(inside);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(clients_for_whom_there_is_no_descriptor_are_turned_away_and_the_next_is_served),
		vt_netns_test(that_there_is_no_descriptor_is_not_a_denial),
		vt_netns_test(where_the_kernel_cannot_be_asked_no_rule_lets_a_flow_through),
		vt_netns_test(the_kernel_asks_after_peers_that_are_silent_for_long),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
