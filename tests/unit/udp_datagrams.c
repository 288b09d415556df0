/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Batches of datagrams from one socket to another. */
#include "gateway_world.h"

#include "datagrams.h"

struct wire {
	struct datagrams *batch;
	int from, in, out, to; /* from -> in: received; out -> to: sent */
};

static int connected(uint8_t last, int other)
{
	struct sockaddr_storage to;
	int fd = world_socket(AF_INET, last, 0);

	if (other >= 0) {
		assert_int_equal(getsockname(other, (struct sockaddr *)&to, &(socklen_t){sizeof(to)}), 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	}
	return fd;
}

static struct wire wire_start(void)
{
	struct wire wire;

	assert_int_equal(datagrams_open(&wire.batch), 0);
	wire.in = connected(2, -1);
	wire.from = connected(3, wire.in);
	wire.to = connected(4, -1);
	wire.out = connected(6, wire.to);
	assert_int_equal(setsockopt(wire.in, SOL_UDP, UDP_GRO, &(int){1}, sizeof(int)), 0);
	return wire;
}

static void wire_stop(struct wire *wire)
{
	datagrams_close(wire->batch);
	close(wire->from);
	close(wire->in);
	close(wire->out);
	close(wire->to);
}

static void send_all(struct wire *wire, unsigned index, unsigned end)
{
	while (index < end) {
		int n = datagrams_send(wire->batch, index, end, wire->out, NULL);

		assert_true(n > 0);
		index += (unsigned)n;
	}
	assert_int_equal(index, end);
}

static void a_batch_keeps_order_and_sizes(void **state)
{
	struct wire wire = wire_start();
	char text[64] = "", got[64];

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		text[0] = (char)('a' + i);
		assert_int_equal(send(wire.from, text, i, 0), i);
	}
	assert_int_equal(datagrams_receive(wire.batch, wire.in, true), 20);
	assert_int_equal(datagrams_size(wire.batch, 7), 7);
	send_all(&wire, 0, 20);
	for (ssize_t i = 0; i < 20; i++) {
		assert_int_equal(recv(wire.to, got, sizeof(got), 0), i);
		assert_true(i == 0 || got[0] == 'a' + i);
	}
	wire_stop(&wire);
}

/* Sizes of datagrams that wait together. */
static void pass_sizes(const size_t *sizes, unsigned count, bool refused)
{
	struct wire wire = wire_start();
	uint8_t data[2000], got[4000];

	if (refused)
		assert_int_equal(setsockopt(wire.out, SOL_SOCKET, SO_NO_CHECK, &(int){1}, sizeof(int)), 0);
	for (unsigned i = 0; i < count; i++) {
		memset(data, (int)i, sizeof(data));
		assert_int_equal(send(wire.from, data, sizes[i], 0), sizes[i]);
	}
	assert_int_equal(datagrams_receive(wire.batch, wire.in, true), count);
	send_all(&wire, 0, count);
	for (unsigned i = 0; i < count; i++) {
		memset(data, (int)i, sizeof(data));
		assert_int_equal(recv(wire.to, got, sizeof(got), 0), sizes[i]);
		assert_memory_equal(got, data, sizes[i]);
	}
	assert_int_equal(recv(wire.to, got, sizeof(got), 0), -1);
	wire_stop(&wire);
}

static void datagrams_of_any_mixture_of_sizes_arrive_as_they_were_sent(void **state)
{
	static const size_t mixtures[][12] = {
		{100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100},
		{100, 100, 100, 50, 100, 100, 50, 50, 50, 100, 100, 1},
		{1, 2, 3, 4, 5, 6, 6, 6, 7, 6, 5, 5},
		{0, 0, 10, 10, 0, 10, 10, 10, 0, 0, 20, 20},
		{20, 10, 10, 20, 10, 20, 20, 0, 1, 1, 1, 0},
		{1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400, 1400, 700},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(mixtures) / sizeof(mixtures[0]); i++)
		for (int refused = 0; refused < 2; refused++)
			pass_sizes(mixtures[i], 12, refused);
}

static void datagrams_of_one_size_are_sent_as_one(void **state)
{
	struct wire wire = wire_start();
	uint8_t data[1000] = {0}, got[20000];
	ssize_t size;

	(void)state;
	assert_int_equal(setsockopt(wire.to, SOL_UDP, UDP_GRO, &(int){1}, sizeof(int)), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(send(wire.from, data, i < 7 ? sizeof(data) : 10, 0), i < 7 ? sizeof(data) : 10);
	assert_int_equal(datagrams_receive(wire.batch, wire.in, true), 8);
	send_all(&wire, 0, 8);
	assert_int_equal(world_take_super(wire.to, got, sizeof(got), &size), 1000);
	assert_int_equal(size, 7010);
	wire_stop(&wire);
}

static void a_batch_can_be_used_again(void **state)
{
	struct wire wire = wire_start();
	uint8_t large[3000] = {0}, got[4000];

	(void)state;
	for (int round = 0; round < 3; round++) {
		world_send_super(wire.from, large, sizeof(large), 1000);
		assert_int_equal(datagrams_receive(wire.batch, wire.in, true), 1);
		assert_int_equal(datagrams_send(wire.batch, 0, 1, wire.out, NULL), 1);
		for (int i = 0; i < 3; i++)
			assert_int_equal(recv(wire.to, got, sizeof(got), 0), 1000);
		world_say(wire.from, "small");
		assert_int_equal(datagrams_receive(wire.batch, wire.in, true), 1);
		assert_int_equal(datagrams_send(wire.batch, 0, 1, wire.out, NULL), 1);
		assert_int_equal(recv(wire.to, got, sizeof(got), 0), 5);
	}
	wire_stop(&wire);
}

static void a_way_that_takes_no_super_datagram_gets_the_parts(void **state)
{
	struct wire wire = wire_start();
	uint8_t large[3500], got[4000];

	(void)state;
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (uint8_t)(i / 100);
	/* GSO needs checksums. */
	assert_int_equal(setsockopt(wire.out, SOL_SOCKET, SO_NO_CHECK, &(int){1}, sizeof(int)), 0);
	world_send_super(wire.from, large, sizeof(large), 1000);
	assert_int_equal(datagrams_receive(wire.batch, wire.in, true), 1);
	assert_int_equal(datagrams_send(wire.batch, 0, 1, wire.out, NULL), 1);
	for (size_t at = 0; at < sizeof(large); at += 1000) {
		size_t size = sizeof(large) - at < 1000 ? sizeof(large) - at : 1000;

		assert_int_equal(recv(wire.to, got, sizeof(got), 0), size);
		assert_memory_equal(got, large + at, size);
	}
	wire_stop(&wire);
}

static void nothing_there_is_eagain(void **state)
{
	struct wire wire = wire_start();

	(void)state;
	assert_int_equal(datagrams_receive(wire.batch, wire.in, true), -EAGAIN);
	wire_stop(&wire);
}

static void an_error_of_the_way_out_is_told_and_nothing_is_lost_by_it(void **state)
{
	struct wire wire = wire_start();

	(void)state;
	close(wire.to);
	world_say(wire.from, "one");
	world_say(wire.from, "two");
	assert_int_equal(datagrams_receive(wire.batch, wire.in, true), 2);
	assert_int_equal(datagrams_send(wire.batch, 0, 1, wire.out, NULL), 1); /* the answer is an ICMP error */
	assert_int_equal(datagrams_send(wire.batch, 1, 2, wire.out, NULL), -ECONNREFUSED);
	assert_int_equal(datagrams_send(wire.batch, 1, 2, wire.out, NULL), 1);
	wire.to = -1;
	wire_stop(&wire);
}

static void the_original_destination_makes_the_key(void **state)
{
	struct wire wire = wire_start();
	struct flow_key key;

	(void)state;
	world_say(wire.from, "without");
	assert_int_equal(datagrams_receive(wire.batch, wire.in, true), 1);
	assert_false(datagrams_key(wire.batch, 0, &key));
	assert_int_equal(setsockopt(wire.in, IPPROTO_IP, IP_RECVORIGDSTADDR, &(int){1}, sizeof(int)), 0);
	world_say(wire.from, "with");
	assert_int_equal(datagrams_receive(wire.batch, wire.in, true), 1);
	assert_true(datagrams_key(wire.batch, 0, &key));
	assert_int_equal(key.family, AF_INET);
	assert_int_equal(key.src.port, world_port(wire.from));
	assert_int_equal(key.dst.port, world_port(wire.in));
	assert_memory_equal(key.src.addr, ((uint8_t[16]){127, 0, 0, 3}), 16);
	assert_memory_equal(key.dst.addr, ((uint8_t[16]){127, 0, 0, 2}), 16);
	wire_stop(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(a_batch_keeps_order_and_sizes),
		vt_netns_test(datagrams_of_any_mixture_of_sizes_arrive_as_they_were_sent),
		vt_netns_test(datagrams_of_one_size_are_sent_as_one),
		vt_netns_test(a_batch_can_be_used_again),
		vt_netns_test(a_way_that_takes_no_super_datagram_gets_the_parts),
		vt_netns_test(nothing_there_is_eagain),
		vt_netns_test(an_error_of_the_way_out_is_told_and_nothing_is_lost_by_it),
		vt_netns_test(the_original_destination_makes_the_key),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
