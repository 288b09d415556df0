/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions over TCP and answers, however they are cut: the resolver hears those that may be asked, the sandbox hears
 * what the resolver says and the refusals, in their orders and each whole, and everything is accounted for.
 *
 * The input is a byte that says whether only names in rules are answered, and a list of steps, each of two bytes
 * (which, and how long) and that many bytes of its own.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns_ask.h"
#include "dns_tcp.h"
#include "names.h"

#define BYTES 65536
#define FRAMES 256 /* more are not looked at */

enum step { ASKS, SAYS, LISTENS, ENDS, STEPS };

static struct vnic_gateway gateway = {.now = NS_PER_S, .max.dns = 1};
static const struct flow_key client = {.family = AF_INET};

/* One connection.  By side: what was said from there and heard there. */
struct world {
	struct dns_tcp tcp;
	int fds[2], ends[2];
	uint64_t counts[2];
	size_t said_len[2], heard_len[2];
	uint8_t said[2][BYTES], heard[2][2 * BYTES];
	bool over, broken;
};

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void set_up(void)
{
	const struct vnic_dns_config config = {.listen[VNIC_V4] = {AF_INET, 32, {10, 0, 2, 3}}};

	vnic_policy_init(&gateway.config.policy);
	require(vnic_policy_add(&gateway.config.policy, true, "*.example", NULL) == 0);
	require(names_new(&gateway.config.policy, &gateway.secret, &gateway.names) == 0);
	require(dns_new(&gateway, &config, &gateway.dns, NULL) == 0);
}

static void connect_both(struct world *world)
{
	for (int side = 0; side < 2; side++) {
		int pair[2];

		require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
		world->fds[side] = pair[0];
		world->ends[side] = pair[1];
	}
	/* So that it is soon full. */
	setsockopt(world->fds[SIDE_INNER], SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int));
}

/* --- what goes on -------------------------------------------------------------------- */

static void pump(struct world *world)
{
	int r = STREAM_MORE;

	while (!world->over && r == STREAM_MORE)
		r = dns_tcp_pump(gateway.dns, &world->tcp, &client, world->fds, world->counts);
	world->broken |= r < 0;
	world->over |= r < 0 || r == STREAM_ENDED;
}

static void say(struct world *world, enum side side, const uint8_t *data, size_t len)
{
	if (world->said_len[side] + len > BYTES || send(world->ends[side], data, len, MSG_NOSIGNAL) != (ssize_t)len)
		return;
	memcpy(world->said[side] + world->said_len[side], data, len);
	world->said_len[side] += len;
}

static bool hear(struct world *world, enum side side, size_t most)
{
	uint8_t *to = world->heard[side] + world->heard_len[side];
	ssize_t n = recv(world->ends[side], to, most, 0);

	if (n > 0)
		world->heard_len[side] += (size_t)n;
	return n > 0;
}

static void take_step(struct world *world, enum step step, const uint8_t *data, size_t len)
{
	switch (step) {
	case ASKS:
		say(world, SIDE_INNER, data, len);
		break;
	case SAYS:
		say(world, SIDE_HOST, data, len);
		break;
	case LISTENS:
		hear(world, SIDE_INNER, len + 1);
		break;
	default:
		shutdown(world->ends[len & 1], SHUT_WR);
	}
	pump(world);
}

/* --- what must have come of it ------------------------------------------------------- */

/* Each with its length; those that end whole. */
struct frames {
	unsigned count;
	const uint8_t *at[FRAMES];
	size_t size[FRAMES];
};

static void add_frame(struct frames *frames, const uint8_t *at, size_t size)
{
	if (frames->count == FRAMES)
		return;
	frames->at[frames->count] = at;
	frames->size[frames->count++] = size;
}

static struct frames frames_of(const uint8_t *data, size_t size)
{
	struct frames frames = {0};

	for (size_t at = 0, len; size - at >= 2; at += len) {
		len = 2 + ((size_t)data[at] << 8 | data[at + 1]);
		if (len > size - at)
			break;
		add_frame(&frames, data + at, len);
	}
	return frames;
}

static bool is_same(const struct frames *a, unsigned i, const struct frames *b, unsigned j)
{
	return i < a->count && j < b->count && a->size[i] == b->size[j] && !memcmp(a->at[i], b->at[j], a->size[i]);
}

/* Those that may be asked, and the refusals of the others. */
static void sort_questions(const struct frames *all, struct frames *ret_asked, struct frames *ret_refused)
{
	static uint8_t made[FRAMES][2 + DNSMSG_MADE];

	*ret_asked = *ret_refused = (struct frames){0};
	for (unsigned i = 0; i < all->count; i++) {
		const uint8_t *message = all->at[i] + 2;
		struct dnsmsg_query info;
		struct vnic_rule_set set = {0};
		char name[VNIC_DOMAIN_TEXT];
		int verdict = dnsmsg_read_query(message, all->size[i] - 2, &info);
		size_t size;

		if (verdict == 0 && all->size[i] - 2 > DNS_QUERY_MAX)
			verdict = DNSMSG_FORMERR;
		if (verdict == 0 && gateway.dns->config.only_allowed &&
		    !(dnsmsg_name(message, &info, name) && vnic_policy_names(&gateway.config.policy, name, &set)))
			verdict = DNSMSG_REFUSED;
		if (verdict == 0)
			add_frame(ret_asked, all->at[i], all->size[i]);
		if (verdict <= 0)
			continue;
		size = dnsmsg_make_answer(message, &info, (unsigned)verdict, false, made[i] + 2);
		made[i][0] = (uint8_t)(size >> 8);
		made[i][1] = (uint8_t)size;
		add_frame(ret_refused, made[i], 2 + size);
	}
}

static void check_asked(const struct world *world, const struct frames *asked)
{
	struct frames heard = frames_of(world->heard[SIDE_HOST], world->heard_len[SIDE_HOST]);

	for (unsigned i = 0; i < heard.count; i++)
		require(is_same(&heard, i, asked, i));
	require(world->broken || heard.count == asked->count);
}

/* Two lists in one, each in its own order: `can[i]`, for i of the first among those so far. */
static void check_told(const struct world *world, const struct frames *refused)
{
	struct frames heard = frames_of(world->heard[SIDE_INNER], world->heard_len[SIDE_INNER]);
	struct frames said = frames_of(world->said[SIDE_HOST], world->said_len[SIDE_HOST]);
	bool can[FRAMES + 1] = {true}, any = true;

	for (unsigned n = 0; n < heard.count; n++) {
		any = false;
		for (unsigned i = n + 1; i-- > 0;) {
			bool now = can[i] && is_same(&heard, n, refused, n - i);

			if (can[i] && is_same(&heard, n, &said, i))
				any = can[i + 1] = true;
			any |= can[i] = now;
		}
		require(any);
	}
	require(world->broken || heard.count == FRAMES || heard.count == said.count + refused->count);
}

static void check_accounts(void)
{
	struct vnic_dns_stats stats;

	dns_get_stats(gateway.dns, &stats);
	require(stats.open == 0 && stats.queries == stats.answers + stats.failed + stats.full);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	static struct frames all, asked, refused;

	if (!gateway.dns)
		set_up();
	if (size == 0)
		return 0;
	gateway.dns->config.only_allowed = *data & 1;
	data++;
	size--;
	world = (struct world){0};
	connect_both(&world);
	while (size >= 2) {
		enum step step = data[0] % STEPS;
		size_t len = data[1] < size - 2 ? data[1] : size - 2;

		take_step(&world, step, data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	while (hear(&world, SIDE_INNER, BYTES) || hear(&world, SIDE_HOST, BYTES))
		pump(&world);
	all = frames_of(world.said[SIDE_INNER], world.said_len[SIDE_INNER]);
	if (all.count < FRAMES / 2) {
		sort_questions(&all, &asked, &refused);
		check_asked(&world, &asked);
		check_told(&world, &refused);
	}
	dns_tcp_close(gateway.dns, &world.tcp);
	require(gateway.dns->kept_by_tcp == 0);
	check_accounts();
	for (int side = 0; side < 2; side++) {
		close(world.fds[side]);
		close(world.ends[side]);
	}
	return 0;
}
