/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stream whose reader is slow, when copies may be kept and when all streams together keep too much already. */
#include "vt.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream.h"

#define SIZE (1 << 20)

static uint8_t sent[SIZE], got[SIZE];

struct way {
	int source[2], sink[2];
	struct stream stream;
	struct pipe_pool pool; /* of no pipe: max is 0 */
	uint64_t count;
};

static void open_way(struct way *way, size_t kept)
{
	*way = (struct way){.pool.kept = kept};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, way->source), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, way->sink), 0);
	for (size_t i = 0; i < SIZE; i++)
		sent[i] = (uint8_t)(i * 7 + i / 251);
	memset(got, 0, SIZE);
}

static void close_way(struct way *way)
{
	stream_close(&way->stream, &way->pool);
	for (int i = 0; i < 2; i++) {
		close(way->source[i]);
		close(way->sink[i]);
	}
}

static int pump(struct way *way)
{
	return stream_pump(&way->stream, &way->pool, way->source[1], way->sink[0], &way->count);
}

/* The writer gives what fits, the reader takes an odd number of bytes a time.  How much was kept at most, of our own.
 */
static size_t carry(struct way *way, size_t kept)
{
	size_t in = 0, out = 0, most = 0;

	while (out < SIZE) {
		ssize_t n = in < SIZE ? write(way->source[0], sent + in, SIZE - in) : 0;

		in += n > 0 ? (size_t)n : 0;
		if (in == SIZE)
			shutdown(way->source[0], SHUT_WR);
		assert_true(pump(way) >= 0);
		most = way->pool.kept - kept > most ? way->pool.kept - kept : most;
		if (in < SIZE && n < 0)
			assert_true(stream_is_held_up(&way->stream) || way->stream.bulk);
		n = read(way->sink[1], got + out, out + 4099 < SIZE ? 4099 : SIZE - out);
		out += n > 0 ? (size_t)n : 0;
	}
	while (!way->stream.ended)
		assert_true(pump(way) >= 0);
	assert_int_equal(read(way->sink[1], got, 1), 0);
	return most;
}

static void what_a_slow_reader_does_not_take_is_kept(void **state)
{
	struct way way;

	(void)state;
	open_way(&way, 0);
	assert_in_range(carry(&way, 0), 1, 65536);
	assert_memory_equal(got, sent, SIZE);
	assert_int_equal(way.count, SIZE);
	assert_int_equal(way.pool.kept, 0);
	close_way(&way);
}

static void where_too_much_is_kept_it_stays_with_its_source(void **state)
{
	struct way way;

	(void)state;
	open_way(&way, KEPT_MAX);
	assert_int_equal(carry(&way, KEPT_MAX), 0);
	assert_memory_equal(got, sent, SIZE);
	assert_int_equal(way.count, SIZE);
	assert_int_equal(way.pool.kept, KEPT_MAX);
	close_way(&way);
}

static void what_is_kept_of_a_stream_that_ends_is_given_back(void **state)
{
	struct way way;

	(void)state;
	open_way(&way, 0);
	while (!way.pool.kept) {
		assert_true(write(way.source[0], sent, SIZE) > 0);
		assert_true(pump(&way) >= 0);
	}
	stream_close(&way.stream, &way.pool);
	assert_int_equal(way.pool.kept, 0);
	close_way(&way);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(what_a_slow_reader_does_not_take_is_kept),
		vt_test(where_too_much_is_kept_it_stays_with_its_source),
		vt_test(what_is_kept_of_a_stream_that_ends_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
