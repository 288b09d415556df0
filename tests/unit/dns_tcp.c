/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions over TCP, between a sandbox and a resolver that are socket pairs. */
#include "vt.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns_ask.h"
#include "dns_tcp.h"
#include "dnsmsgs.h"
#include "names.h"

#define LARGEST 65535

struct world {
	struct vnic_gateway gateway;
	struct dns_tcp tcp;
	struct flow_key client;
	int inner, host; /* the sandbox's and the resolver's ends */
	int fds[2];
	uint64_t counts[2];
	unsigned denials;
};

static void count_denied(void *ctx, const struct vnic_policy_flow *flow, const char *rule)
{
	struct world *world = ctx;

	(void)rule;
	assert_non_null(flow->name);
	world->denials++;
}

static void world_begin(struct world *world, bool only_allowed)
{
	struct vnic_dns_config config = {.listen[VNIC_V4] = {AF_INET, 32, {10, 0, 2, 3}}, .only_allowed = only_allowed};
	struct vnic_gateway *gateway = &world->gateway;
	struct vnic_error err;
	int pair[2];

	*world = (struct world){.client = {.family = AF_INET}};
	gateway->now = NS_PER_S;
	gateway->max.dns = 1;
	gateway->config.denied = count_denied;
	gateway->config.ctx = world;
	vnic_policy_init(&gateway->config.policy);
	vt_ok(vnic_policy_add(&gateway->config.policy, true, "*.example", &err), &err);
	assert_int_equal(names_new(&gateway->config.policy, &gateway->secret, &gateway->names), 0);
	vt_ok(dns_new(gateway, &config, &gateway->dns, &err), &err);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	world->inner = pair[0];
	world->fds[SIDE_INNER] = pair[1];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	world->host = pair[0];
	world->fds[SIDE_HOST] = pair[1];
}

static struct vnic_dns_stats stats(const struct world *world)
{
	struct vnic_dns_stats stats;

	dns_get_stats(world->gateway.dns, &stats);
	assert_int_equal(stats.queries, stats.answers + stats.failed + stats.full + stats.repeated + stats.open);
	return stats;
}

static void hang_up(struct world *world)
{
	dns_tcp_close(world->gateway.dns, &world->tcp);
	assert_int_equal(world->gateway.dns->kept_by_tcp, 0);
	assert_int_equal(stats(world).open, 0);
	for (int side = 0; side < 2; side++)
		close(world->fds[side]);
}

static void world_end(struct world *world)
{
	hang_up(world);
	close(world->inner);
	close(world->host);
	dns_free(world->gateway.dns);
	names_free(world->gateway.names);
}

static int pump(struct world *world)
{
	int r;

	do
		r = dns_tcp_pump(world->gateway.dns, &world->tcp, &world->client, world->fds, world->counts);
	while (r == STREAM_MORE);
	return r;
}

/* --- who speaks ---------------------------------------------------------------------- */

/* Its length and itself. */
static struct dns_message framed(const struct dns_message *m)
{
	struct dns_message frame = {.size = 0};

	dns_put16(&frame, (unsigned)m->size);
	dns_put(&frame, m->bytes, m->size);
	return frame;
}

static void write_all(int fd, const void *data, size_t size)
{
	assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), size);
}

static void say(struct world *world, int fd, const struct dns_message *m)
{
	struct dns_message frame = framed(m);

	write_all(fd, frame.bytes, frame.size);
	assert_int_equal(pump(world), STREAM_BLOCKED);
}

static bool hears_nothing(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

static struct dns_message hear(int fd)
{
	struct dns_message m = {.size = 0};
	uint8_t length[2];

	assert_int_equal(recv(fd, length, 2, 0), 2);
	m.size = (size_t)(length[0] << 8 | length[1]);
	if (m.size)
		assert_int_equal(recv(fd, m.bytes, m.size, 0), m.size);
	return m;
}

static void hears(int fd, const struct dns_message *m)
{
	struct dns_message got = hear(fd);

	assert_int_equal(got.size, m->size);
	assert_memory_equal(got.bytes, m->bytes, m->size);
}

static struct dns_message address_of(const struct dns_message *question, uint8_t last)
{
	struct dns_message answer = *question;

	dns_add_record(&answer, 1, 60, (uint8_t[]){9, 9, 9, last}, 4);
	return answer;
}

static bool is_known(struct world *world, uint8_t last)
{
	struct vnic_policy_flow flow = {.dst = {AF_INET, 32, {9, 9, 9, last}}};

	names_find(world->gateway.names, &flow, world->gateway.now);
	return flow.named.bits[0];
}

/* --- tests --------------------------------------------------------------------------- */

static void a_question_and_its_answer_go_over_and_the_answer_is_learnt(void **state)
{
	struct dns_message question = dns_question(7, "site.example"), answer = address_of(&question, 1);
	struct world world;

	(void)state;
	world_begin(&world, false);
	say(&world, world.inner, &question);
	hears(world.host, &question);
	assert_int_equal(stats(&world).open, 1);
	say(&world, world.host, &answer);
	hears(world.inner, &answer);
	assert_true(is_known(&world, 1));
	assert_int_equal(stats(&world).answers, 1);
	assert_int_equal(world.counts[SIDE_INNER], question.size + 2);
	assert_int_equal(world.counts[SIDE_HOST], answer.size + 2);
	world_end(&world);
}

static void a_message_may_be_cut_anywhere_and_is_passed_on_whole(void **state)
{
	struct dns_message question = dns_question(7, "site.example"), asked = framed(&question), answer, told;
	struct world world;

	(void)state;
	world_begin(&world, false);
	for (size_t cut = 1; cut < asked.size; cut++) {
		write_all(world.inner, asked.bytes, cut);
		assert_int_equal(pump(&world), STREAM_BLOCKED);
		assert_true(hears_nothing(world.host));
		write_all(world.inner, asked.bytes + cut, asked.size - cut);
		assert_int_equal(pump(&world), STREAM_BLOCKED);
		hears(world.host, &question);
	}
	for (uint8_t cut = 1; cut < asked.size; cut++) {
		answer = address_of(&question, cut);
		told = framed(&answer);
		write_all(world.host, told.bytes, cut);
		assert_int_equal(pump(&world), STREAM_BLOCKED);
		assert_true(hears_nothing(world.inner) && !is_known(&world, cut));
		write_all(world.host, told.bytes + cut, told.size - cut);
		assert_int_equal(pump(&world), STREAM_BLOCKED);
		hears(world.inner, &answer);
		assert_true(is_known(&world, cut));
	}
	assert_int_equal(stats(&world).open, 0);
	world_end(&world);
}

static void many_may_be_asked_at_once_and_answers_overtake(void **state)
{
	enum { MANY = 200 };
	struct dns_message questions[MANY], answer;
	struct world world;

	(void)state;
	world_begin(&world, false);
	for (uint16_t i = 0; i < MANY; i++) {
		questions[i] = dns_question(i, "site.example");
		answer = framed(&questions[i]);
		write_all(world.inner, answer.bytes, answer.size);
	}
	assert_int_equal(pump(&world), STREAM_BLOCKED);
	for (int i = 0; i < MANY; i++)
		hears(world.host, &questions[i]);
	for (int i = MANY - 1; i >= 0; i--) {
		answer = address_of(&questions[i], (uint8_t)i);
		say(&world, world.host, &answer);
		hears(world.inner, &answer);
		assert_true(is_known(&world, (uint8_t)i));
	}
	assert_int_equal(stats(&world).answers, MANY);
	world_end(&world);
}

static void what_is_denied_never_leaves_and_is_answered(void **state)
{
	struct dns_message allowed = dns_question(1, "site.example"), denied = dns_question(2, "secret.other");
	struct dns_message root = dns_question(3, "printer"), got;
	struct world world;

	(void)state;
	dns_add_edns(&denied, 1232);
	world_begin(&world, true);
	say(&world, world.inner, &denied);
	say(&world, world.inner, &allowed);
	say(&world, world.inner, &root);
	hears(world.host, &allowed);
	assert_true(hears_nothing(world.host));
	got = hear(world.inner);
	assert_int_equal(dnsmsg_rcode(got.bytes), DNSMSG_REFUSED);
	assert_int_equal(dns_id(&got), 2);
	assert_int_equal(got.size, denied.size);
	got = hear(world.inner);
	assert_int_equal(dnsmsg_rcode(got.bytes), DNSMSG_REFUSED);
	assert_int_equal(dns_id(&got), 3);
	assert_int_equal(stats(&world).denied, 2);
	assert_int_equal(world.gateway.stats.denied, 2);
	assert_int_equal(world.denials, 2);
	assert_int_equal(stats(&world).open, 1);
	world_end(&world);
}

static void what_is_no_question_is_dropped_and_what_is_a_bad_one_answered(void **state)
{
	struct dns_message question = dns_question(1, "site.example"), empty = {.size = 0}, update = question;
	struct dns_message bad = question, large = question, answer = address_of(&question, 1), got;
	struct world world;

	(void)state;
	world_begin(&world, false);
	say(&world, world.inner, &empty);
	say(&world, world.inner, &answer);
	assert_int_equal(world.gateway.stats.malformed, 2);
	update.bytes[2] |= 5 << 3;
	bad.bytes[5] = 2;
	large.size = DNS_QUERY_MAX + 1;
	say(&world, world.inner, &update);
	say(&world, world.inner, &bad);
	say(&world, world.inner, &large);
	got = hear(world.inner);
	assert_int_equal(dnsmsg_rcode(got.bytes), DNSMSG_NOTIMP);
	for (int i = 0; i < 2; i++) {
		got = hear(world.inner);
		assert_int_equal(dnsmsg_rcode(got.bytes), DNSMSG_FORMERR);
	}
	assert_true(hears_nothing(world.host) && hears_nothing(world.inner));
	assert_int_equal(stats(&world).failed, 3);
	say(&world, world.inner, &question); /* the stream goes on */
	hears(world.host, &question);
	world_end(&world);
}

static void what_the_resolver_says_besides_is_passed_on_and_not_learnt(void **state)
{
	struct dns_message question = dns_question(1, "site.example"), answer = address_of(&question, 1), empty = {0};
	struct world world;

	(void)state;
	world_begin(&world, false);
	answer.bytes[2] &= 0x7f; /* no answer */
	say(&world, world.host, &answer);
	say(&world, world.host, &empty);
	hears(world.inner, &answer);
	hears(world.inner, &empty);
	assert_false(is_known(&world, 1));
	assert_int_equal(stats(&world).queries, 0);
	world_end(&world);
}

/* Neither is cut by the other, though the sandbox reads a bit at a time. */
static void a_refusal_goes_between_two_answers(void **state)
{
	static uint8_t got[8 * LARGEST], large[2 + LARGEST];
	struct dns_message denied = dns_question(2, "secret.other"), asked = framed(&denied);
	size_t size = 0, at = 0, answers = 0, refusals = 0;
	struct world world;

	(void)state;
	world_begin(&world, true);
	assert_int_equal(setsockopt(world.fds[SIDE_INNER], SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int)), 0);
	memset(large, 0xff, sizeof(large));
	for (int i = 0; i < 2; i++) {
		write_all(world.inner, asked.bytes, asked.size);
		write_all(world.host, large, sizeof(large));
		write_all(world.inner, asked.bytes, asked.size);
		assert_int_equal(pump(&world), STREAM_BLOCKED);
	}
	while (size < 2 * sizeof(large) + 4 * asked.size) {
		ssize_t n = recv(world.inner, got + size, 1000, 0);

		assert_true(n > 0);
		size += (size_t)n;
		assert_int_equal(pump(&world), STREAM_BLOCKED);
	}
	assert_true(hears_nothing(world.inner));
	for (; at < size; at += 2u + (size_t)(got[at] << 8 | got[at + 1])) {
		bool answer = got[at] == 0xff && got[at + 1] == 0xff;

		answers += answer;
		refusals += !answer;
		assert_int_equal(got[at + 2], answer ? 0xff : 0);
	}
	assert_int_equal(at, size);
	assert_int_equal(answers, 2);
	assert_int_equal(refusals, 4);
	world_end(&world);
}

static void an_end_goes_over_behind_what_is_whole(void **state)
{
	struct dns_message question = dns_question(1, "site.example"), answer = address_of(&question, 1);
	struct dns_message part = framed(&answer);
	struct world world;
	uint8_t byte;

	(void)state;
	world_begin(&world, false);
	say(&world, world.inner, &question);
	shutdown(world.inner, SHUT_WR);
	assert_int_equal(pump(&world), STREAM_BLOCKED);
	hears(world.host, &question);
	assert_int_equal(recv(world.host, &byte, 1, 0), 0);
	say(&world, world.host, &answer); /* to who only listens */
	write_all(world.host, part.bytes, part.size - 1);
	close(world.host);
	assert_int_equal(pump(&world), STREAM_ENDED);
	hears(world.inner, &answer);
	assert_int_equal(recv(world.inner, &byte, 1, 0), 0);
	world.host = -1;
	world_end(&world);
}

static void a_resolver_that_closes_early_is_heard_out(void **state)
{
	struct dns_message question = dns_question(1, "site.example"), answer = address_of(&question, 1);
	struct dns_message frame = framed(&question);
	struct world world;

	(void)state;
	world_begin(&world, false);
	say(&world, world.inner, &question);
	hears(world.host, &question);
	frame = framed(&answer);
	write_all(world.host, frame.bytes, frame.size);
	close(world.host);
	frame = framed(&question);
	write_all(world.inner, frame.bytes, frame.size);
	assert_true(pump(&world) < 0);
	hears(world.inner, &answer);
	assert_true(is_known(&world, 1));
	hang_up(&world);
	assert_int_equal(stats(&world).failed, 1); /* the second question */
	close(world.inner);
	dns_free(world.gateway.dns);
	names_free(world.gateway.names);
}

/* It had to wait for its turn. */
static void a_refusal_is_said_before_the_resolvers_end(void **state)
{
	static uint8_t large[2 + LARGEST];
	struct dns_message denied = dns_question(2, "secret.other"), frame = framed(&denied);
	size_t size = 0;
	struct world world;
	ssize_t n;

	(void)state;
	world_begin(&world, true);
	assert_int_equal(setsockopt(world.fds[SIDE_INNER], SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int)), 0);
	memset(large, 0xff, sizeof(large));
	write_all(world.host, large, sizeof(large));
	assert_int_equal(pump(&world), STREAM_BLOCKED);
	write_all(world.inner, frame.bytes, frame.size);
	shutdown(world.host, SHUT_WR);
	assert_int_equal(pump(&world), STREAM_BLOCKED);
	while ((n = recv(world.inner, large, sizeof(large), 0)) > 0) {
		size += (size_t)n;
		assert_int_equal(pump(&world), STREAM_BLOCKED);
	}
	assert_int_equal(n, 0);
	assert_int_equal(size, sizeof(large) + frame.size);
	world_end(&world);
}

static void beyond_what_may_be_kept_it_ends_and_is_counted(void **state)
{
	struct dns_message question = dns_question(1, "site.example"), frame = framed(&question);
	struct world world;

	(void)state;
	world_begin(&world, false);
	world.gateway.dns->kept_by_tcp = DNS_TCP_KEPT - question.size; /* of others */
	write_all(world.inner, frame.bytes, frame.size);
	assert_int_equal(pump(&world), -ENOBUFS);
	assert_int_equal(stats(&world).full, 1);
	assert_true(hears_nothing(world.host));
	assert_int_equal(world.gateway.dns->kept_by_tcp, DNS_TCP_KEPT - question.size);
	world.gateway.dns->kept_by_tcp = 0;
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_question_and_its_answer_go_over_and_the_answer_is_learnt),
		vt_test(a_message_may_be_cut_anywhere_and_is_passed_on_whole),
		vt_test(many_may_be_asked_at_once_and_answers_overtake),
		vt_test(what_is_denied_never_leaves_and_is_answered),
		vt_test(what_is_no_question_is_dropped_and_what_is_a_bad_one_answered),
		vt_test(what_the_resolver_says_besides_is_passed_on_and_not_learnt),
		vt_test(a_refusal_goes_between_two_answers),
		vt_test(an_end_goes_over_behind_what_is_whole),
		vt_test(a_resolver_that_closes_early_is_heard_out),
		vt_test(a_refusal_is_said_before_the_resolvers_end),
		vt_test(beyond_what_may_be_kept_it_ends_and_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
