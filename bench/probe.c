// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * probe.c: what weather does to frames, seen from outside: numbered frames go in at one end, and the other end tells
 * which came, when, how often, in which order, and whole or not.
 *
 * Theory of operation.  The frames are Ethernet's, by packet sockets, so that nothing of the kernel's (a checksum, a
 * reassembly, a congestion control) hides what has happened to them.  Each carries its number and the time at which it
 * was sent, both twice, and a pattern, so that a bit that was flipped anywhere behind the link header is seen.  The
 * time of arrival is the kernel's stamp: the watcher may be late, the figure is not.  Both ends are on one machine and
 * have one clock.  (Rejected: ping, whose round trip has two ways and two wake-ups in it.)
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ETHERTYPE = 0x88b5, /* for experiments */
	LARGEST = ETH_FRAME_LEN,
	COUNT_MAX = 1000000,
	BATCH = 64,
	ROOM = 256 << 20, /* of the watcher's queue, in bytes */
};

struct stamp {
	uint32_t number, not_number;
	int64_t time, not_time;
};

struct probe {
	struct ethhdr eth;
	struct stamp stamp; /* the pattern follows */
} __attribute__((packed));

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static unsigned long number(const char *text, unsigned long max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value > max)
		errx(2, "%s is not a number up to %lu", text, max);
	return value;
}

static int packet_socket(const char *link)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	to.sll_ifindex = (int)if_nametoindex(link);
	if (fd < 0 || !to.sll_ifindex)
		err(1, "%s", link);
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(1, "bind to %s", link);
	return fd;
}

static uint8_t pattern(uint32_t of, size_t at)
{
	return (uint8_t)(of * 31 + at);
}

/* --- send ---------------------------------------------------------------------------------------------------- */

static void make(uint8_t *frame, size_t size, uint32_t of)
{
	int64_t time = now();
	const struct probe probe = {
		.eth = {{2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 1}, htons(ETHERTYPE)},
		.stamp = {of, ~of, time, ~time},
	};

	memcpy(frame, &probe, sizeof(probe));
	for (size_t i = sizeof(probe); i < size; i++)
		frame[i] = pattern(of, i);
}

static int send_frames(char *args[])
{
	static uint8_t frame[LARGEST];
	int fd = packet_socket(args[0]);
	size_t size = number(args[1], LARGEST);
	uint32_t count = (uint32_t)number(args[2], COUNT_MAX);
	unsigned long rate = number(args[3], COUNT_MAX);
	uint64_t refused = 0;
	int64_t begin = now();

	if (size < sizeof(struct probe))
		errx(2, "a frame has %zu bytes at least", sizeof(struct probe));
	for (uint32_t i = 0; i < count; i++) {
		while (rate && (double)i > (double)(now() - begin) * (double)rate / 1e9)
			;
		make(frame, size, i);
		refused += send(fd, frame, size, 0) < 0;
	}
	printf("{\"sent\": %u, \"refused\": %ju, \"seconds\": %.6f}\n", count, (uintmax_t)refused,
	       (double)(now() - begin) / 1e9);
	return 0;
}

/* --- watch --------------------------------------------------------------------------------------------------- */

struct watched {
	uint32_t count;             /* that were sent, numbered from 0 */
	uint32_t *times;            /* each came */
	uint32_t *place;            /* among the arrivals, of the first that came of each */
	double *delays;             /* us */
	uint32_t arrived, distinct; /* whole ones */
	uint32_t corrupt;
	int64_t first, last;
};

static bool is_whole(const uint8_t *frame, size_t size, const struct stamp *stamp)
{
	if (size < sizeof(struct probe) || stamp->number != ~stamp->not_number || stamp->time != ~stamp->not_time)
		return false;
	for (size_t i = sizeof(struct probe); i < size; i++)
		if (frame[i] != pattern(stamp->number, i))
			return false;
	return true;
}

static void see(struct watched *seen, const uint8_t *frame, size_t size, int64_t time)
{
	struct stamp stamp;

	memcpy(&stamp, frame + offsetof(struct probe, stamp), sizeof(stamp));
	if (!is_whole(frame, size, &stamp) || stamp.number >= seen->count) {
		seen->corrupt++;
		return;
	}
	if (seen->times[stamp.number]++ == 0) {
		seen->place[stamp.number] = seen->arrived;
		seen->delays[seen->distinct++] = (double)(time - stamp.time) / 1e3;
	}
	seen->arrived++;
	seen->first = seen->first ? seen->first : time;
	seen->last = time;
}

static int64_t stamp_of(struct msghdr *message)
{
	struct timespec time;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&time, CMSG_DATA(c), sizeof(time));
		return time.tv_sec * 1000000000LL + time.tv_nsec;
	}
	errx(1, "a frame has no time");
}

static bool end_of_input(void)
{
	char c;

	return read(STDIN_FILENO, &c, 1) <= 0;
}

/* Until the input ends and the queue is empty. */
static void watch(int fd, struct watched *seen)
{
	static uint8_t data[BATCH][LARGEST];
	static char control[BATCH][CMSG_SPACE(sizeof(struct timespec))];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH];
	struct pollfd wait[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};

	while (poll(wait, 2, -1) > 0 && !(wait[1].revents && !(wait[0].revents & POLLIN) && end_of_input())) {
		for (int i = 0; i < BATCH; i++) {
			parts[i] = (struct iovec){.iov_base = data[i], .iov_len = sizeof(data[i])};
			messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i],
								   .msg_iovlen = 1,
								   .msg_control = control[i],
								   .msg_controllen = sizeof(control[i])}};
		}
		int count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < count; i++)
			see(seen, data[i], messages[i].msg_len, stamp_of(&messages[i].msg_hdr));
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile(const struct watched *seen, unsigned percent)
{
	return seen->distinct ? seen->delays[(seen->distinct - 1) * (uint64_t)percent / 100] : 0;
}

static void tell(const struct watched *seen, unsigned unseen)
{
	uint32_t bursts = 0, jumped = 0;
	uint64_t fates = 0xcbf29ce484222325; /* FNV-1a */

	for (uint32_t i = 0; i < seen->count; i++) {
		bool came = seen->times[i], before = i == 0 || seen->times[i - 1];

		bursts += !came && before;
		jumped += came && i && before && seen->place[i] < seen->place[i - 1];
		fates = (fates ^ seen->times[i]) * 0x100000001b3;
	}
	qsort(seen->delays, seen->distinct, sizeof(seen->delays[0]), compare);
	printf("{\"arrived\": %u, \"distinct\": %u, \"corrupt\": %u, \"bursts\": %u, \"jumped\": %u, \"unseen\": %u, "
	       "\"fates\": \"%016jx\", \"seconds\": %.9f, \"least\": %.1f, \"p50\": %.1f, \"p99\": %.1f}\n",
	       seen->arrived, seen->distinct, seen->corrupt, bursts, jumped, unseen, (uintmax_t)fates,
	       (double)(seen->last - seen->first) / 1e9, percentile(seen, 0), percentile(seen, 50),
	       percentile(seen, 99));
}

static int watch_frames(char *args[])
{
	struct watched seen = {.count = (uint32_t)number(args[1], COUNT_MAX)};
	struct tpacket_stats lost = {0};
	int fd = packet_socket(args[0]), on = 1, room = ROOM;

	seen.times = calloc(seen.count, sizeof(*seen.times));
	seen.place = calloc(seen.count, sizeof(*seen.place));
	seen.delays = calloc(seen.count, sizeof(*seen.delays));
	if (!seen.times || !seen.place || !seen.delays)
		err(1, "calloc");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0)
		err(1, "SO_TIMESTAMPNS");
	if (puts("ready") < 0 || fflush(stdout) < 0)
		err(1, "standard output");
	watch(fd, &seen);
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &lost, &(socklen_t){sizeof(lost)});
	tell(&seen, lost.tp_drops);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc == 6 && strcmp(argv[1], "send") == 0)
		return send_frames(argv + 2);
	if (argc == 4 && strcmp(argv[1], "watch") == 0)
		return watch_frames(argv + 2);
	fprintf(stderr, "probe send LINK SIZE COUNT RATE\nprobe watch LINK COUNT\n");
	return 2;
}
