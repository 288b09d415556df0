/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP flows through a gateway whose sandbox, router and host are one lo: the test writes the SYN to the slow path and
 * takes it back, and the kernel makes the connection when its socket's turn comes.
 */
#include "gateway_world.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "bytes.h"

#define LINK 14
#define SYN_SIZE (sizeof(struct vnic_vnet_hdr) + LINK + 20 + 20)

/* --- what the kernel refuses -------------------------------------------------------- */

static int watches_left = -1; /* -1: as many as are wanted */

/* Ours for the gateway, too: the limit is the user's, who has other processes. */
__attribute__((visibility("default"))) int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && watches_left == 0) {
		errno = ENOSPC;
		return -1;
	}
	watches_left -= op == EPOLL_CTL_ADD && watches_left > 0;
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

/* --- a flow ------------------------------------------------------------------------- */

static void write_syn(const struct world *world, uint16_t port)
{
	uint8_t frame[SYN_SIZE] = {0}, *ip = frame + sizeof(struct vnic_vnet_hdr) + LINK, *tcp = ip + 20;

	put16(ip - 2, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, 40);
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	memcpy(ip + 12, (uint8_t[]){127, 0, 0, WORLD_SANDBOX, 127, 0, 0, WORLD_REMOTE}, 8);
	put16(tcp, port);
	put16(tcp + 2, world->port);
	tcp[12] = 5 << 4;
	tcp[13] = TCP_SYN;
	assert_int_equal(send(world->slow, frame, sizeof(frame), 0), sizeof(frame));
}

/* The gateway is connected, and gives the SYN back. */
static void take_syn(struct world *world)
{
	uint8_t frame[SYN_SIZE];

	world_wait(world, world->slow);
	assert_int_equal(recv(world->slow, frame, sizeof(frame), 0), sizeof(frame));
	assert_int_equal(frame[SYN_SIZE - 20 + 13], TCP_SYN);
}

/* The sandbox's socket, bound to a port; 0: any. */
static int client_at(uint16_t port)
{
	struct sockaddr_storage addr = world_addr(AF_INET, WORLD_SANDBOX, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void shake_hands(const struct world *world, int client)
{
	struct sockaddr_storage to = world_addr(AF_INET, WORLD_REMOTE, world->port);
	struct pollfd fd = {.fd = client, .events = POLLOUT};

	assert_true(connect(client, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
	assert_int_equal(poll(&fd, 1, VT_DEADLINE_MS), 1);
}

static int accept_at(struct world *world, int listener)
{
	world_wait(world, listener);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

/* Whose SYN was taken already; *ret_server is the host's socket. */
static void open_taken(struct world *world, int client, int *ret_server)
{
	*ret_server = accept_at(world, world->listener);
	shake_hands(world, client);
	world_rest(world);
}

static int open_flow(struct world *world, int *ret_server)
{
	int client = client_at(0);

	write_syn(world, world_port(client));
	take_syn(world);
	open_taken(world, client, ret_server);
	return client;
}

static void carries(struct world *world, int client, int server)
{
	world_say(client, "ping");
	world_hears(world, server, "ping");
	world_say(server, "pong");
	world_hears(world, client, "pong");
}

/* --- the name of a flow ------------------------------------------------------------- */

static void a_port_that_is_used_again_before_the_end_was_read_begins_another_flow(void **state)
{
	struct world world;
	int client, server, next, next_server;
	uint16_t port;
	char byte;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.streams = true});
	client = open_flow(&world, &server);
	port = world_port(client);
	close(server); /* who ends first has the TIME-WAIT */
	world_wait(&world, client);
	assert_int_equal(recv(client, &byte, 1, 0), 0);
	world_rest(&world);
	write_syn(&world, port); /* which is read first */
	close(client);
	next = client_at(port);
	take_syn(&world);
	open_taken(&world, next, &next_server);
	carries(&world, next, next_server);
	assert_int_equal(world.gateway->stats.tcp_flows, 2);
	assert_int_equal(world.gateway->stats.tcp_open, 1);
	close(next);
	close(next_server);
	world_rest(&world);
	assert_int_equal(world.gateway->stats.tcp_open, 0);
	world_stop(&world);
}

static void clients_whose_ports_are_taken_are_told_apart(void **state)
{
	enum { CLIENTS = 3 };
	int clients[CLIENTS], accepted[CLIENTS], inside;
	struct sockaddr_storage to;
	struct world world;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.publish = true, .tcp = true});
	world.taken = true;
	inside = world_listen(AF_INET, WORLD_SANDBOX, WORLD_SERVICE);
	to = world_addr(AF_INET, WORLD_HOST, world_port(world.publish));
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(clients[i], (struct sockaddr *)&to, sizeof(to)), 0);
		accepted[i] = accept_at(&world, inside);
		world_rest(&world);
	}
	assert_int_equal(world.gateway->stats.full, 0);
	for (int i = 0; i < CLIENTS; i++) {
		carries(&world, clients[i], accepted[i]);
		close(clients[i]);
		close(accepted[i]);
	}
	close(inside);
	world_stop(&world);
}

/* Of four flows: two clients at most, and room for the sandbox. */
static void clients_have_half_of_the_flows_and_the_rest_is_reset(void **state)
{
	enum { CLIENTS = 2 };
	int clients[CLIENTS], accepted[CLIENTS], inside, refused, own, server;
	struct sockaddr_storage to;
	struct world world;
	char byte;

	(void)state;
	world_start(
		&world, AF_INET,
		(struct world_options){.publish = true, .tcp = true, .streams = true, .tcp_max = 4, .log = world_log});
	inside = world_listen(AF_INET, WORLD_SANDBOX, WORLD_SERVICE);
	to = world_addr(AF_INET, WORLD_HOST, world_port(world.publish));
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(clients[i], (struct sockaddr *)&to, sizeof(to)), 0);
		accepted[i] = accept_at(&world, inside);
	}
	refused = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(refused, (struct sockaddr *)&to, sizeof(to)), 0);
	world_wait(&world, refused);
	assert_int_equal(recv(refused, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(world.gateway->stats.full, 1);
	assert_int_equal(world_lines_with("\"event\":\"full\",\"proto\":\"tcp\",\"direction\":\"in\""), 1);
	own = open_flow(&world, &server);
	carries(&world, own, server);
	close(clients[0]); /* whose place the next one has */
	close(accepted[0]);
	world_rest(&world);
	clients[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(clients[0], (struct sockaddr *)&to, sizeof(to)), 0);
	close(accept_at(&world, inside)); /* the refused one's, which is reset */
	accepted[0] = accept_at(&world, inside);
	carries(&world, clients[0], accepted[0]);
	for (int i = 0; i < CLIENTS; i++) {
		close(clients[i]);
		close(accepted[i]);
	}
	close(refused);
	close(own);
	close(server);
	close(inside);
	world_stop(&world);
}

static void a_connection_that_finds_no_room_is_logged_and_may_begin_later(void **state)
{
	struct world world;
	int client, server, next, next_server;
	char byte;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.streams = true, .tcp_max = 1, .log = world_log});
	client = open_flow(&world, &server);
	next = client_at(0);
	write_syn(&world, world_port(next));
	world_rest(&world);
	assert_int_equal(world.gateway->stats.full, 1);
	assert_int_equal(world_lines_with("\"event\":\"full\",\"proto\":\"tcp\",\"direction\":\"out\""), 1);
	close(server);
	world_wait(&world, client);
	assert_int_equal(recv(client, &byte, 1, 0), 0);
	close(client);
	world_rest(&world);
	write_syn(&world, world_port(next));
	take_syn(&world);
	open_taken(&world, next, &next_server);
	carries(&world, next, next_server);
	close(next);
	close(next_server);
	world_stop(&world);
}

/* --- what arrives ------------------------------------------------------------------- */

/* Reads until there is so much, or the end. */
static size_t read_all(struct world *world, int fd, uint8_t *data, size_t size)
{
	size_t have = 0;

	while (have < size) {
		world_wait(world, fd);
		ssize_t n = recv(fd, data + have, size - have, 0);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	return have;
}

static void nothing_is_lost_behind_urgent_data(void **state)
{
	char got[8] = "";
	struct world world;
	int client, server;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.streams = true});
	client = open_flow(&world, &server);
	carries(&world, client, server);
	world_say(client, "abc");
	assert_int_equal(send(client, "X", 1, MSG_OOB), 1);
	world_say(client, "def");
	assert_int_equal(read_all(&world, server, (uint8_t *)got, 7), 7);
	assert_string_equal(got, "abcXdef");
	close(client);
	close(server);
	world_stop(&world);
}

/* Through pipes, and with the end behind it. */
static void nor_is_the_rest_of_a_long_stream(void **state)
{
	enum { PART = 100000, WHOLE = 2 * PART + 1 };
	static uint8_t sent[PART], got[WHOLE + 1];
	struct world world;
	int client, server;

	(void)state;
	memset(sent, 'a', sizeof(sent));
	world_start(&world, AF_INET, (struct world_options){.streams = true});
	client = open_flow(&world, &server);
	assert_int_equal(fcntl(client, F_SETFL, 0), 0);
	assert_int_equal(send(client, sent, PART, 0), PART);
	assert_int_equal(send(client, "X", 1, MSG_OOB), 1);
	assert_int_equal(send(client, sent, PART, 0), PART);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	assert_int_equal(read_all(&world, server, got, sizeof(got)), WHOLE);
	assert_int_equal(got[PART], 'X');
	close(client);
	close(server);
	world_stop(&world);
}

static void an_answer_before_the_end_of_the_question_arrives_before_the_reset(void **state)
{
	char got[16] = "", byte;
	struct world world;
	int client, server;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.streams = true});
	client = open_flow(&world, &server);
	world_say(client, "a long question");
	world_wait(&world, server); /* which the server does not read: its close is a reset */
	world_say(client, "and more of it");
	world_say(server, "no");
	close(server);
	world_wait(&world, client);
	assert_int_equal(recv(client, got, sizeof(got), 0), 2);
	assert_memory_equal(got, "no", 2);
	world_rest(&world);
	assert_int_equal(recv(client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(client);
	world_stop(&world);
}

/* --- the log ------------------------------------------------------------------------ */

static void a_flow_that_cannot_be_watched_has_one_line_which_says_so(void **state)
{
	struct world world;
	int client, server;
	char byte;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.streams = true, .log = world_log});
	client = client_at(0);
	write_syn(&world, world_port(client));
	watches_left = 1; /* the host's side */
	take_syn(&world);
	server = accept_at(&world, world.listener);
	shake_hands(&world, client);
	world_wait(&world, client);
	watches_left = -1;
	assert_int_equal(recv(client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(world_lines_with("\n"), 1);
	assert_int_equal(world_lines_with("\"event\":\"failed\""), 1);
	assert_int_equal(world_lines_with("No space left on device"), 1);
	assert_int_equal(world.gateway->stats.failed, 1);
	assert_int_equal(world.gateway->stats.tcp_flows, 0);
	assert_int_equal(world.gateway->stats.tcp_open, 0);
	close(client);
	close(server);
	world_stop(&world);
}

static void so_has_a_client_for_whom_no_socket_can_be_opened(void **state)
{
	struct sockaddr_storage to;
	struct world world;
	int client;
	char byte;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.publish = true, .tcp = true, .log = world_log});
	world.failures = 1;
	to = world_addr(AF_INET, WORLD_HOST, world_port(world.publish));
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	world_wait(&world, client);
	assert_int_equal(recv(client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(world.gateway->stats.failed, 1);
	assert_int_equal(world_lines_with("\n"), 1);
	assert_int_equal(world_lines_with("\"event\":\"failed\",\"proto\":\"tcp\",\"direction\":\"in\""), 1);
	assert_int_equal(world_lines_with("\"error\":\"Too many open files\""), 1);
	close(client);
	world_stop(&world);
}

/* --- what is left when the sandbox ends --------------------------------------------- */

static struct vnic_gateway_rest rest_of(const struct world *world)
{
	struct vnic_gateway_rest rest;

	vnic_gateway_get_rest(world->gateway, &rest);
	return rest;
}

static void what_is_left_is_what_the_host_does_not_take(void **state)
{
	static const uint8_t many[65536];
	struct world world;
	int client, server;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.streams = true});
	assert_int_equal(rest_of(&world).open, 0);
	client = open_flow(&world, &server);
	assert_int_equal(rest_of(&world).open, 1);
	assert_int_equal(rest_of(&world).held, 0);
	while (send(client, many, sizeof(many), MSG_DONTWAIT) > 0)
		world_rest(&world);
	assert_int_equal(rest_of(&world).open, 1);
	assert_int_equal(rest_of(&world).held, 1);
	close(client);
	while (rest_of(&world).open) {
		assert_true(recv(server, (uint8_t[sizeof(many)]){0}, sizeof(many), MSG_DONTWAIT) > 0 ||
			    errno == EAGAIN);
		world_rest(&world);
	}
	assert_int_equal(world.gateway->stats.tcp_open, 1); /* the other direction is not the sandbox's */
	close(server);
	world_stop(&world);
}

/* --- time --------------------------------------------------------------------------- */

/* The host has answered, and the sandbox may now connect as if nobody had asked. */
static int offer_flow(struct world *world, int *ret_server)
{
	int client = client_at(0);

	write_syn(world, world_port(client));
	take_syn(world);
	*ret_server = accept_at(world, world->listener);
	world_rest(world);
	return client;
}

/* Longer than an offer stands. */
static void oversleep(struct world *world)
{
	world->gateway->now += 11 * NS_PER_S;
	tcp_expire(world->gateway->tcp);
	tcp_settle(world->gateway->tcp);
}

static void what_has_not_begun_at_the_end_has_a_line(void **state)
{
	struct world world;
	int client, server;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.streams = true, .log = world_log});
	client = offer_flow(&world, &server);
	assert_int_equal(world_lines_with("\n"), 0);
	close(client);
	close(server);
	world_stop(&world);
	assert_int_equal(world_lines_with("\n"), 1);
	assert_int_equal(world_lines_with("\"event\":\"failed\""), 1);
	assert_int_equal(world_lines_with("Operation canceled"), 1);
}

static void who_was_accepted_while_the_gateway_slept_is_not_late(void **state)
{
	struct world world;
	int client, server;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.streams = true});
	client = offer_flow(&world, &server);
	shake_hands(&world, client);
	oversleep(&world);
	carries(&world, client, server);
	close(client);
	close(server);
	world_stop(&world);
}

static void who_never_answers_an_offer_is_given_up_and_counted(void **state)
{
	struct world world;
	int client, server;
	char byte;

	(void)state;
	world_start(&world, AF_INET, (struct world_options){.streams = true});
	client = offer_flow(&world, &server);
	oversleep(&world);
	assert_int_equal(world.gateway->stats.failed, 1);
	assert_int_equal(world.gateway->stats.tcp_open, 0);
	/* And who comes after all hears a reset, not an end. */
	shake_hands(&world, client);
	world_wait(&world, client);
	assert_int_equal(recv(client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(client);
	close(server);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_port_that_is_used_again_before_the_end_was_read_begins_another_flow),
		vt_netns_test(clients_whose_ports_are_taken_are_told_apart),
		vt_netns_test(clients_have_half_of_the_flows_and_the_rest_is_reset),
		vt_netns_test(a_connection_that_finds_no_room_is_logged_and_may_begin_later),
		vt_netns_test(nothing_is_lost_behind_urgent_data),
		vt_netns_test(nor_is_the_rest_of_a_long_stream),
		vt_netns_test(an_answer_before_the_end_of_the_question_arrives_before_the_reset),
		vt_netns_test(a_flow_that_cannot_be_watched_has_one_line_which_says_so),
		vt_netns_test(so_has_a_client_for_whom_no_socket_can_be_opened),
		vt_netns_test(what_has_not_begun_at_the_end_has_a_line),
		vt_netns_test(what_is_left_is_what_the_host_does_not_take),
		vt_netns_test(who_was_accepted_while_the_gateway_slept_is_not_late),
		vt_netns_test(who_never_answers_an_offer_is_given_up_and_counted),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
