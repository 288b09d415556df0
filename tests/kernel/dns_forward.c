/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The forwarder between a sandbox, which is a socket that carries its frames, and resolvers on the loopback of a
 * network namespace of the test's own.  Time is what the test says it is.
 */
#include "vt.h"

#include <arpa/inet.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "dns.h"
#include "dnsmsg.h"
#include "dnsmsgs.h"
#include "fd.h"

#define SERVERS 2
#define QUESTION_SIZE (12 + 6 + 4)

struct world {
	struct vnic_gateway gateway;
	int wire; /* the sandbox's end of the slow path */
	int servers[SERVERS], listener;
	struct vnic_dns_config config;
	unsigned asks; /* for the host's resolvers */
};

/* --- the world ---------------------------------------------------------------------- */

static struct sockaddr_storage loopback(unsigned server)
{
	struct sockaddr_storage addr = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&addr;

	v4->sin_family = AF_INET;
	v4->sin_port = htons(53);
	v4->sin_addr.s_addr = htonl(0x7f000035 + server);
	return addr;
}

static int open_server(unsigned server, int type)
{
	struct sockaddr_storage addr = loopback(server);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(struct sockaddr_in)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void world_start(struct world *world)
{
	struct vnic_error err;

	vt_ok(dns_new(&world->gateway, &world->config, &world->gateway.dns, &err), &err);
}

/* With two resolvers; world_start follows. */
static void world_open(struct world *world)
{
	struct vnic_error err;
	int pair[2];

	*world = (struct world){.listener = -1};
	vt_ok(loop_open(&world->gateway.epfd, &err), &err);
	world->gateway.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	world->gateway.now = NS_PER_S;
	world->gateway.max.dns = 1024;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	world->gateway.config.slow_fd = pair[0];
	world->wire = pair[1];
	world->config.listen[VNIC_V4] = (struct vnic_addr){AF_INET, 32, {10, 0, 2, 3}};
	world->config.listen[VNIC_V6] = (struct vnic_addr){AF_INET6, 128, {0xfd, [15] = 3}};
	world->config.servers.count = SERVERS;
	for (unsigned i = 0; i < SERVERS; i++) {
		world->config.servers.addrs[i] = loopback(i);
		world->servers[i] = open_server(i, SOCK_DGRAM);
	}
}

/* With two resolvers. */
static void world_begin(struct world *world)
{
	world_open(world);
	world_start(world);
}

static struct vnic_dns_stats stats(const struct world *world)
{
	struct vnic_dns_stats stats;

	dns_get_stats(world->gateway.dns, &stats);
	return stats;
}

/* Something became of each question. */
static void add_up(struct vnic_dns_stats stats)
{
	assert_int_equal(stats.queries, stats.answers + stats.failed + stats.full + stats.repeated + stats.open);
}

static void world_close(struct world *world)
{
	if (world->gateway.dns)
		add_up(stats(world));
	dns_free(world->gateway.dns);
	for (unsigned i = 0; i < SERVERS; i++)
		close_fd(&world->servers[i]);
	close_fd(&world->listener);
	close_fd(&world->wire);
	close_fd(&world->gateway.config.slow_fd);
	close_fd(&world->gateway.timer_fd);
	close_fd(&world->gateway.epfd);
}

static void let_pass(struct world *world, int64_t seconds)
{
	world->gateway.now += seconds * NS_PER_S;
	dns_expire(world->gateway.dns);
	dns_settle(world->gateway.dns);
}

/* --- the sandbox -------------------------------------------------------------------- */

static struct flow_key client(uint16_t family)
{
	struct flow_key key = {.family = family, .src.port = 40000, .dst.port = 53};

	if (family == AF_INET) {
		memcpy(key.src.addr, (uint8_t[]){10, 0, 2, 100}, 4);
		memcpy(key.dst.addr, (uint8_t[]){10, 0, 2, 3}, 4);
	} else {
		key.src.addr[0] = key.dst.addr[0] = 0xfd;
		key.src.addr[14] = 1;
		key.dst.addr[15] = 3;
	}
	return key;
}

static void ask_from(struct world *world, uint16_t family, const struct dns_message *question)
{
	struct flow_key key = client(family);

	dns_query(world->gateway.dns, &key, question->bytes, question->size);
	dns_settle(world->gateway.dns);
}

static void ask(struct world *world, const struct dns_message *question)
{
	ask_from(world, AF_INET, question);
}

static bool was_told_something(const struct world *world)
{
	uint8_t byte;

	return recv(world->wire, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* What the sandbox is told, checked to come from where it asked. */
static struct dns_message told_to(const struct world *world, uint16_t family)
{
	uint8_t buf[sizeof(struct vnic_vnet_hdr) + DNS_TEST_MAX];
	struct flow_key asked = client(family);
	struct dns_message m = {.size = 0};
	struct packet packet;
	ssize_t n = recv(world->wire, buf, sizeof(buf), MSG_DONTWAIT);

	assert_true(n > (ssize_t)sizeof(struct vnic_vnet_hdr));
	assert_true(
		packet_parse(buf + sizeof(struct vnic_vnet_hdr), (size_t)n - sizeof(struct vnic_vnet_hdr), &packet));
	assert_int_equal(packet.proto, IPPROTO_UDP);
	assert_memory_equal(&packet.key.src, &asked.dst, sizeof(asked.dst));
	assert_memory_equal(&packet.key.dst, &asked.src, sizeof(asked.src));
	dns_put(&m, packet.l4 + 8, packet.l4_len - 8);
	return m;
}

static struct dns_message told(const struct world *world)
{
	return told_to(world, AF_INET);
}

/* --- resolvers ---------------------------------------------------------------------- */

struct asked {
	struct dns_message m;
	struct sockaddr_storage by;
	socklen_t len;
};

static bool was_asked(const struct world *world, unsigned server)
{
	uint8_t byte;

	return recv(world->servers[server], &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static struct asked take(const struct world *world, unsigned server)
{
	struct asked asked = {.len = sizeof(asked.by)};
	ssize_t n;

	assert_true(vt_readable(world->servers[server]));
	n = recvfrom(world->servers[server], asked.m.bytes, sizeof(asked.m.bytes), 0, (struct sockaddr *)&asked.by,
		     &asked.len);
	assert_true(n > 0);
	asked.m.size = (size_t)n;
	return asked;
}

/* The sandbox asks; what the first resolver is asked then. */
static struct asked asks(struct world *world, const struct dns_message *question)
{
	ask(world, question);
	return take(world, 0);
}

/* Lets the forwarder handle what is there; something must be. */
static void turn(struct world *world)
{
	struct epoll_event events[8];
	struct vnic_error err;
	int n = (int)vt_ok(loop_wait(world->gateway.epfd, events, 8, VT_DEADLINE_MS, &err), &err);

	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		struct loop_ref ref = loop_ref_of(&events[i]);

		assert_int_equal(ref.type, REF_DNS);
		dns_event(world->gateway.dns, ref.index, ref.sub, events[i].events);
	}
	dns_settle(world->gateway.dns);
}

static void say(struct world *world, unsigned server, const struct asked *to, const struct dns_message *m)
{
	assert_int_equal(
		sendto(world->servers[server], m->bytes, m->size, 0, (const struct sockaddr *)&to->by, to->len),
		m->size);
	turn(world);
}

static void answer(struct world *world, unsigned server, size_t size)
{
	struct asked asked = take(world, server);
	struct dns_message m = dns_answer(&asked.m, QUESTION_SIZE, size);

	say(world, server, &asked, &m);
}

static void say_rcode(struct world *world, unsigned server, unsigned rcode)
{
	struct asked asked = take(world, server);
	struct dns_message m = dns_answer(&asked.m, QUESTION_SIZE, 0);

	m.bytes[3] |= (uint8_t)rcode;
	say(world, server, &asked, &m);
}

static void say_truncated(struct world *world, unsigned server)
{
	struct asked asked = take(world, server);
	struct dns_message m = dns_answer(&asked.m, QUESTION_SIZE, 100);

	m.bytes[2] |= 2;
	say(world, server, &asked, &m);
}

/* --- questions and answers ---------------------------------------------------------- */

static void an_answer_comes_back_with_the_askers_id(void **state)
{
	static const uint16_t families[] = {AF_INET, AF_INET6};
	struct dns_message question = dns_question(0x1234, "name"), got;
	struct world world;

	(void)state;
	world_begin(&world);
	for (int i = 0; i < 2; i++) {
		ask_from(&world, families[i], &question);
		answer(&world, 0, 300);
		got = told_to(&world, families[i]);
		assert_int_equal(got.size, 300);
		assert_int_equal(dns_id(&got), 0x1234);
	}
	assert_int_equal(stats(&world).answers, 2);
	world_close(&world);
}

static void the_resolver_sees_another_id_and_the_message_as_it_was(void **state)
{
	struct dns_message question = dns_question(0x1234, "name");
	unsigned same = 0;
	struct asked asked;
	struct world world;

	(void)state;
	world_begin(&world);
	dns_add_edns(&question, 1232);
	for (uint16_t i = 0; i < 8; i++) {
		question.bytes[14] = (uint8_t)('a' + i); /* or it would be the same question */
		ask(&world, &question);
		asked = take(&world, 0);
		same += dns_id(&asked.m) == 0x1234;
		assert_int_equal(asked.m.size, question.size);
		assert_memory_equal(asked.m.bytes + 2, question.bytes + 2, question.size - 2);
	}
	assert_true(same < 8); /* all eight: once in 2^128 */
	world_close(&world);
}

static void what_does_not_answer_the_question_is_not_passed_on(void **state)
{
	struct dns_message question = dns_question(1, "name"), m;
	struct asked asked;
	struct world world;

	(void)state;
	world_begin(&world);
	asked = asks(&world, &question);
	m = dns_answer(&asked.m, QUESTION_SIZE, 100);
	m.bytes[0] ^= 1;
	say(&world, 0, &asked, &m);
	m.bytes[0] ^= 1;
	m.bytes[13] = 'x';
	say(&world, 0, &asked, &m);
	assert_false(was_told_something(&world));
	assert_int_equal(stats(&world).strange, 2);
	m.bytes[13] = 'n';
	say(&world, 0, &asked, &m);
	assert_int_equal(told(&world).size, 100);
	world_close(&world);
}

static void nobody_but_the_resolver_can_answer(void **state)
{
	struct dns_message question = dns_question(1, "name"), m;
	struct asked asked;
	struct world world;

	(void)state;
	world_begin(&world);
	asked = asks(&world, &question);
	m = dns_answer(&asked.m, QUESTION_SIZE, 100);
	assert_int_equal(sendto(world.servers[1], m.bytes, m.size, 0, (struct sockaddr *)&asked.by, asked.len), m.size);
	say(&world, 0, &asked, &m);
	assert_int_equal(told(&world).size, 100);
	assert_false(was_told_something(&world));
	assert_int_equal(stats(&world).strange, 0);
	world_close(&world);
}

static void a_repeated_question_is_asked_once_and_another_with_its_id_too(void **state)
{
	struct dns_message question = dns_question(1, "name"), other = dns_question(1, "eman");
	struct world world;

	(void)state;
	world_begin(&world);
	ask(&world, &question);
	ask(&world, &question);
	ask(&world, &other);
	assert_int_equal(stats(&world).open, 2);
	answer(&world, 0, 100);
	answer(&world, 0, 100);
	assert_false(was_asked(&world, 0));
	assert_int_equal(stats(&world).queries, 3);
	assert_int_equal(stats(&world).repeated, 1);
	assert_int_equal(stats(&world).open, 0);
	assert_memory_equal(told(&world).bytes + 13, "name", 4);
	assert_memory_equal(told(&world).bytes + 13, "eman", 4);
	world_close(&world);
}

static void a_malformed_question_is_answered_and_rubbish_is_not(void **state)
{
	struct dns_message question = dns_question(1, "name"), got;
	struct world world;

	(void)state;
	world_begin(&world);
	question.bytes[5] = 2;
	ask(&world, &question);
	got = told(&world);
	assert_int_equal(dnsmsg_rcode(got.bytes), DNSMSG_FORMERR);
	question.size = 5;
	ask(&world, &question);
	assert_false(was_told_something(&world));
	assert_int_equal(world.gateway.stats.malformed, 1);
	assert_int_equal(stats(&world).failed, 1);
	assert_false(was_asked(&world, 0));
	world_close(&world);
}

/* --- resolvers that fail ------------------------------------------------------------ */

static void the_next_resolver_is_asked_at_once_where_nobody_listens(void **state)
{
	struct dns_message question = dns_question(1, "name");
	struct world world;

	(void)state;
	world_begin(&world);
	close_fd(&world.servers[0]);
	ask(&world, &question);
	turn(&world);
	answer(&world, 1, 100);
	assert_int_equal(told(&world).size, 100);
	world_close(&world);
}

static void where_nobody_listens_at_all_the_asker_is_told_at_once(void **state)
{
	struct dns_message question = dns_question(1, "name"), got;
	struct world world;

	(void)state;
	world_begin(&world);
	close_fd(&world.servers[0]);
	close_fd(&world.servers[1]);
	ask(&world, &question);
	turn(&world);
	turn(&world);
	got = told(&world);
	assert_int_equal(dnsmsg_rcode(got.bytes), DNSMSG_SERVFAIL);
	assert_int_equal(stats(&world).failed, 1);
	world_close(&world);
}

static void the_next_resolver_is_asked_after_two_seconds_and_a_late_answer_counts(void **state)
{
	struct dns_message question = dns_question(1, "name");
	struct world world;

	(void)state;
	world_begin(&world);
	ask(&world, &question);
	let_pass(&world, 1);
	assert_false(was_asked(&world, 1));
	let_pass(&world, 1);
	assert_true(was_asked(&world, 1));
	answer(&world, 0, 200);
	assert_int_equal(told(&world).size, 200);
	world_close(&world);
}

static void silence_ends_with_servfail_after_three_tries(void **state)
{
	struct dns_message question = dns_question(1, "name"), got;
	struct world world;

	(void)state;
	world_begin(&world);
	ask(&world, &question);
	let_pass(&world, 2);
	let_pass(&world, 2);
	assert_false(was_told_something(&world));
	let_pass(&world, 2);
	got = told(&world);
	assert_int_equal(dnsmsg_rcode(got.bytes), DNSMSG_SERVFAIL);
	take(&world, 0);
	take(&world, 0);
	take(&world, 1);
	assert_false(was_asked(&world, 0) || was_asked(&world, 1));
	world_close(&world);
}

static void a_resolver_that_cannot_hands_over_to_the_next(void **state)
{
	struct dns_message question = dns_question(1, "name"), got;
	struct world world;

	(void)state;
	world_begin(&world);
	ask(&world, &question);
	say_rcode(&world, 0, DNSMSG_SERVFAIL);
	assert_false(was_told_something(&world));
	say_rcode(&world, 1, DNSMSG_REFUSED);
	got = told(&world);
	assert_int_equal(dnsmsg_rcode(got.bytes), DNSMSG_REFUSED); /* the last one's word */
	world_close(&world);
}

static void no_such_name_is_an_answer(void **state)
{
	struct dns_message question = dns_question(1, "name"), got;
	struct world world;

	(void)state;
	world_begin(&world);
	ask(&world, &question);
	say_rcode(&world, 0, 3);
	got = told(&world);
	assert_int_equal(dnsmsg_rcode(got.bytes), 3);
	assert_false(was_asked(&world, 1));
	world_close(&world);
}

static void who_answered_last_is_asked_first(void **state)
{
	struct dns_message question = dns_question(1, "name");
	struct world world;

	(void)state;
	world_begin(&world);
	ask(&world, &question);
	let_pass(&world, 2);
	answer(&world, 1, 100);
	take(&world, 0);
	ask(&world, &question);
	answer(&world, 1, 100);
	assert_false(was_asked(&world, 0));
	world_close(&world);
}

static void too_many_questions_are_refused_and_counted(void **state)
{
	struct dns_message question = dns_question(1, "name"), got;
	struct world world;

	(void)state;
	world_open(&world);
	world.config.servers.count = 1;
	world_start(&world);
	for (uint16_t i = 0; i < 1024; i++) {
		dnsmsg_set_id(question.bytes, i);
		ask(&world, &question);
	}
	if (was_told_something(&world)) { /* descriptors ran out before the table did */
		world_close(&world);
		vt_skip("the limit on descriptors is too low");
	}
	dnsmsg_set_id(question.bytes, 5000);
	ask(&world, &question);
	got = told(&world);
	assert_int_equal(dns_id(&got), 5000);
	assert_int_equal(dnsmsg_rcode(got.bytes), DNSMSG_SERVFAIL);
	assert_int_equal(stats(&world).full, 1);
	assert_int_equal(stats(&world).failed, 0);
	world_close(&world);
}

/* --- large answers ------------------------------------------------------------------ */

static struct dns_message large_question(uint16_t room)
{
	struct dns_message question = dns_question(1, "name");

	dns_add_edns(&question, room);
	return question;
}

static void a_truncated_answer_is_passed_on_to_who_takes_no_more(void **state)
{
	struct dns_message question = large_question(1232), got;
	struct world world;

	(void)state;
	world_begin(&world);
	ask(&world, &question);
	say_truncated(&world, 0);
	got = told(&world);
	assert_true(dnsmsg_is_truncated(got.bytes));
	assert_int_equal(got.size, 100);
	assert_int_equal(stats(&world).streams, 0);
	world_close(&world);
}

/* Takes the question from the forwarder's connection. */
static int take_stream(struct world *world, struct dns_message *ret_question)
{
	uint8_t length[2];
	int fd;

	turn(world); /* connected */
	assert_true(vt_readable(world->listener));
	fd = accept4(world->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(recv(fd, length, 2, MSG_WAITALL), 2);
	ret_question->size = (size_t)length[0] << 8 | length[1];
	assert_int_equal(recv(fd, ret_question->bytes, ret_question->size, MSG_WAITALL), ret_question->size);
	return fd;
}

/* In two pieces, the first of which is only half of the length. */
static void say_by_stream(struct world *world, int fd, const struct dns_message *m)
{
	uint8_t length[2] = {(uint8_t)(m->size >> 8), (uint8_t)m->size};

	assert_int_equal(send(fd, length, 1, 0), 1);
	turn(world);
	assert_int_equal(send(fd, length + 1, 1, MSG_MORE), 1);
	assert_int_equal(send(fd, m->bytes, m->size, 0), m->size);
	while (!was_told_something(world))
		turn(world);
}

static void a_truncated_answer_is_asked_for_over_tcp(void **state)
{
	struct dns_message question = large_question(4096), asked, m, got;
	struct world world;
	int fd;

	(void)state;
	world_begin(&world);
	world.listener = open_server(0, SOCK_STREAM);
	ask(&world, &question);
	say_truncated(&world, 0);
	fd = take_stream(&world, &asked);
	assert_memory_equal(asked.bytes + 2, question.bytes + 2, question.size - 2);
	m = dns_answer(&asked, QUESTION_SIZE, 3000);
	say_by_stream(&world, fd, &m);
	got = told(&world);
	assert_int_equal(got.size, 3000);
	assert_int_equal(dns_id(&got), 1);
	assert_false(dnsmsg_is_truncated(got.bytes));
	close(fd);
	world_close(&world);
}

static void what_does_not_fit_even_so_is_truncated(void **state)
{
	struct dns_message question = large_question(2000), asked, m, got;
	struct world world;
	int fd;

	(void)state;
	world_begin(&world);
	world.listener = open_server(0, SOCK_STREAM);
	ask(&world, &question);
	say_truncated(&world, 0);
	fd = take_stream(&world, &asked);
	m = dns_answer(&asked, QUESTION_SIZE, 2001);
	say_by_stream(&world, fd, &m);
	got = told(&world);
	assert_true(dnsmsg_is_truncated(got.bytes));
	assert_int_equal(got.size, QUESTION_SIZE + 11);
	close(fd);
	world_close(&world);
}

static void where_tcp_fails_the_asker_may_try_itself(void **state)
{
	struct dns_message question = large_question(4096), asked;
	struct world world;
	int fd;

	(void)state;
	world_begin(&world);
	ask(&world, &question);
	say_truncated(&world, 0);
	turn(&world); /* refused */
	assert_true(dnsmsg_is_truncated(told(&world).bytes));

	world.listener = open_server(0, SOCK_STREAM);
	ask(&world, &question);
	say_truncated(&world, 0);
	fd = take_stream(&world, &asked);
	close(fd);
	turn(&world);
	assert_true(dnsmsg_is_truncated(told(&world).bytes));

	ask(&world, &question);
	say_truncated(&world, 0);
	let_pass(&world, 2);
	assert_true(dnsmsg_is_truncated(told(&world).bytes));
	world_close(&world);
}

static void an_answer_larger_than_the_asker_takes_is_truncated(void **state)
{
	struct dns_message question = dns_question(1, "name"), got;
	struct world world;

	(void)state;
	world_begin(&world);
	ask(&world, &question);
	answer(&world, 0, 513);
	assert_true(dnsmsg_is_truncated(told(&world).bytes));

	question = large_question(4096);
	ask(&world, &question);
	answer(&world, 0, 5000);
	assert_true(dnsmsg_is_truncated(told(&world).bytes));

	ask_from(&world, AF_INET6, &question);
	answer(&world, 0, 1233);
	got = told_to(&world, AF_INET6);
	assert_true(dnsmsg_is_truncated(got.bytes));
	ask_from(&world, AF_INET6, &question);
	answer(&world, 0, 1232);
	got = told_to(&world, AF_INET6);
	assert_int_equal(got.size, 1232);
	world_close(&world);
}

/* --- who is asked, and who may ------------------------------------------------------ */

static void a_named_resolver_is_subject_to_the_policy(void **state)
{
	struct dns_message question = dns_question(1, "name"), got;
	struct sockaddr_storage second = loopback(1);
	struct destination destination;
	struct vnic_error err;
	struct world world;

	(void)state;
	world_open(&world);
	world.config.named = true;
	vnic_policy_init(&world.gateway.config.policy);
	world_start(&world);
	ask(&world, &question);
	got = told(&world);
	assert_int_equal(dnsmsg_rcode(got.bytes), DNSMSG_REFUSED);
	assert_int_equal(dns_resolver(world.gateway.dns, 0, &destination), GATEWAY_DENIED);
	assert_int_equal(world.gateway.stats.denied, 2 * SERVERS);
	assert_false(was_asked(&world, 0));

	vt_ok(vnic_policy_add(&world.gateway.config.policy, true, "127.0.0.54:53", &err), &err);
	assert_int_equal(dns_resolver(world.gateway.dns, 0, &destination), 0);
	assert_memory_equal(&destination.addr, &second, destination.len);
	ask(&world, &question);
	answer(&world, 1, 100);
	assert_int_equal(told(&world).size, 100);
	world_close(&world);
}

static void the_forwarder_cannot_be_told_to_ask_itself(void **state)
{
	struct vnic_error err;
	struct world world;

	(void)state;
	world_open(&world);
	world.config.named = true;
	inet_pton(AF_INET, "10.0.2.3", &((struct sockaddr_in *)&world.config.servers.addrs[1])->sin_addr);
	vt_fails(dns_new(&world.gateway, &world.config, &world.gateway.dns, &err), &err, VNIC_STEP_USAGE, EINVAL);
	world_close(&world);
}

static void port_53_of_its_addresses_is_the_forwarders(void **state)
{
	struct flow_key v4 = client(AF_INET), v6 = client(AF_INET6), other;
	struct world world;

	(void)state;
	world_begin(&world);
	assert_true(dns_owns(world.gateway.dns, &v4));
	assert_true(dns_owns(world.gateway.dns, &v6));
	assert_false(dns_owns(NULL, &v4));
	other = v4;
	other.dst.port = 54;
	assert_false(dns_owns(world.gateway.dns, &other));
	other = v4;
	other.dst.addr[3] = 2;
	assert_false(dns_owns(world.gateway.dns, &other));
	world_close(&world);
}

static void in_the_resolvers_name_it_answers_at_their_addresses(void **state)
{
	struct flow_key key = client(AF_INET);
	struct world world;

	(void)state;
	memcpy(key.dst.addr, (uint8_t[]){127, 0, 0, 54}, 4);
	world_begin(&world);
	assert_false(dns_owns(world.gateway.dns, &key));
	dns_free(world.gateway.dns);
	world.config.in_their_name = true;
	world_start(&world);
	assert_true(dns_owns(world.gateway.dns, &key));
	world_close(&world);
}

static void tcp_goes_to_who_answered_last(void **state)
{
	struct dns_message question = dns_question(1, "name");
	struct sockaddr_storage expected = loopback(1);
	struct destination destination;
	struct world world;

	(void)state;
	world_begin(&world);
	ask(&world, &question);
	let_pass(&world, 2);
	answer(&world, 1, 100);
	assert_int_equal(dns_resolver(world.gateway.dns, 0, &destination), 0);
	assert_int_equal(destination.len, sizeof(struct sockaddr_in));
	assert_memory_equal(&destination.addr, &expected, destination.len);
	world_close(&world);
}

static void tcp_goes_to_each_resolver_once_whichever_answers_meanwhile(void **state)
{
	struct dns_message question = dns_question(1, "name");
	struct sockaddr_storage first = loopback(0), second = loopback(1);
	struct destination destination;
	struct world world;

	(void)state;
	world_begin(&world);
	assert_int_equal(dns_resolver(world.gateway.dns, 0, &destination), 0);
	assert_memory_equal(&destination.addr, &first, destination.len);
	ask(&world, &question);
	let_pass(&world, 2);
	answer(&world, 1, 100);
	assert_int_equal(dns_resolver(world.gateway.dns, destination.resolvers, &destination), 0);
	assert_memory_equal(&destination.addr, &second, destination.len);
	assert_int_equal(dns_resolver(world.gateway.dns, destination.resolvers, &destination), -EHOSTUNREACH);
	world_close(&world);
}

static void give_second(void *ctx)
{
	struct world *world = ctx;
	struct vnic_dns_servers servers = {.count = 1, .addrs = {loopback(1)}};

	world->asks++;
	dns_set_servers(world->gateway.dns, &servers);
}

static void count_only(void *ctx)
{
	((struct world *)ctx)->asks++;
}

static void in_their_name_new_resolvers_are_known_before_the_first_question(void **state)
{
	struct flow_key key = client(AF_INET);
	struct world world;

	(void)state;
	memcpy(key.dst.addr, (uint8_t[]){127, 0, 0, 54}, 4);
	world_open(&world);
	world.config.in_their_name = true;
	world.config.servers.count = 0;
	world.config.ask_resolvers = give_second;
	world.config.ctx = &world;
	world_start(&world);
	assert_true(dns_owns(world.gateway.dns, &key));
	world_close(&world);
}

static void the_host_is_asked_for_its_resolvers_once_a_second(void **state)
{
	struct dns_message question = dns_question(1, "name");
	struct world world;

	(void)state;
	world_open(&world);
	world.config.ask_resolvers = give_second;
	world.config.ctx = &world;
	world_start(&world);
	assert_int_equal(world.asks, 0);
	for (int i = 0; i < 3; i++) {
		ask(&world, &question);
		answer(&world, 1, 100);
	}
	assert_int_equal(world.asks, 1);
	let_pass(&world, 1);
	ask(&world, &question);
	assert_int_equal(world.asks, 2);
	world_close(&world);
}

static void what_is_under_way_is_asked_of_new_resolvers_at_once(void **state)
{
	struct dns_message question = dns_question(1, "name");
	struct world world;

	(void)state;
	world_begin(&world);
	ask(&world, &question);
	take(&world, 0);
	give_second(&world);
	answer(&world, 1, 100);
	assert_int_equal(told(&world).size, 100);
	world_close(&world);
}

/* The host looks, and has not said yet what it sees. */
static void begin_looking(struct world *world)
{
	struct dns_message question = dns_question(1, "name");

	world_open(world);
	world->config.ask_resolvers = count_only;
	world->config.ctx = world;
	world_start(world);
	ask(world, &question);
	assert_int_equal(world->asks, 1);
	assert_false(was_asked(world, 0) || was_asked(world, 1));
}

static void while_the_host_looks_no_question_goes_to_its_old_resolver(void **state)
{
	struct world world;

	(void)state;
	begin_looking(&world);
	give_second(&world);
	answer(&world, 1, 100);
	assert_int_equal(told(&world).size, 100);
	assert_false(was_asked(&world, 0));
	world_close(&world);
}

static void where_the_resolvers_are_the_same_questions_go_on(void **state)
{
	struct dns_message other = dns_question(2, "eman");
	struct world world;

	(void)state;
	begin_looking(&world);
	dns_set_servers(world.gateway.dns, NULL);
	answer(&world, 0, 100);
	assert_int_equal(told(&world).size, 100);
	ask(&world, &other);
	answer(&world, 0, 100);
	let_pass(&world, 1);
	ask(&world, &other);
	assert_int_equal(world.asks, 2);
	dns_set_servers(world.gateway.dns, NULL);
	take(&world, 0);
	dns_set_servers(world.gateway.dns, NULL);
	assert_false(was_asked(&world, 0)); /* it is under way */
	world_close(&world);
}

static void a_host_that_does_not_say_is_waited_for_once_and_not_for_long(void **state)
{
	struct dns_message other = dns_question(2, "eman");
	struct world world;

	(void)state;
	begin_looking(&world);
	let_pass(&world, 1);
	answer(&world, 0, 100);
	ask(&world, &other);
	answer(&world, 0, 200);
	assert_int_equal(world.asks, 1);
	assert_int_equal(told(&world).size, 100);
	assert_int_equal(told(&world).size, 200);
	give_second(&world);
	ask(&world, &other);
	assert_int_equal(world.asks, 3); /* and its answer */
	world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(an_answer_comes_back_with_the_askers_id),
		vt_netns_test(the_resolver_sees_another_id_and_the_message_as_it_was),
		vt_netns_test(what_does_not_answer_the_question_is_not_passed_on),
		vt_netns_test(nobody_but_the_resolver_can_answer),
		vt_netns_test(a_repeated_question_is_asked_once_and_another_with_its_id_too),
		vt_netns_test(a_malformed_question_is_answered_and_rubbish_is_not),
		vt_netns_test(the_next_resolver_is_asked_at_once_where_nobody_listens),
		vt_netns_test(where_nobody_listens_at_all_the_asker_is_told_at_once),
		vt_netns_test(the_next_resolver_is_asked_after_two_seconds_and_a_late_answer_counts),
		vt_netns_test(silence_ends_with_servfail_after_three_tries),
		vt_netns_test(a_resolver_that_cannot_hands_over_to_the_next),
		vt_netns_test(no_such_name_is_an_answer),
		vt_netns_test(who_answered_last_is_asked_first),
		vt_netns_test(too_many_questions_are_refused_and_counted),
		vt_netns_test(a_truncated_answer_is_passed_on_to_who_takes_no_more),
		vt_netns_test(a_truncated_answer_is_asked_for_over_tcp),
		vt_netns_test(what_does_not_fit_even_so_is_truncated),
		vt_netns_test(where_tcp_fails_the_asker_may_try_itself),
		vt_netns_test(an_answer_larger_than_the_asker_takes_is_truncated),
		vt_netns_test(a_named_resolver_is_subject_to_the_policy),
		vt_netns_test(the_forwarder_cannot_be_told_to_ask_itself),
		vt_netns_test(port_53_of_its_addresses_is_the_forwarders),
		vt_netns_test(in_the_resolvers_name_it_answers_at_their_addresses),
		vt_netns_test(tcp_goes_to_who_answered_last),
		vt_netns_test(tcp_goes_to_each_resolver_once_whichever_answers_meanwhile),
		vt_netns_test(in_their_name_new_resolvers_are_known_before_the_first_question),
		vt_netns_test(the_host_is_asked_for_its_resolvers_once_a_second),
		vt_netns_test(what_is_under_way_is_asked_of_new_resolvers_at_once),
		vt_netns_test(while_the_host_looks_no_question_goes_to_its_old_resolver),
		vt_netns_test(where_the_resolvers_are_the_same_questions_go_on),
		vt_netns_test(a_host_that_does_not_say_is_waited_for_once_and_not_for_long),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
