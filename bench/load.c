// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * load.c: the traffic of the benchmarks that iperf3 does not make: many connections, many questions, many datagrams.
 *
 * Theory of operation.  Each verb is one process in one namespace; bench/harness starts it there.  A verb that serves
 * prints "ready" when it can be talked to, and ends at the end of its standard input, so nothing outlives the harness.
 * A verb that measures prints one line of JSON.  It is C because what is measured takes 20 to 300 us: an interpreter's
 * own 30 us on either side would make a slow network look like a fast one.  (Rejected: sockperf, netperf: not free, or
 * no percentiles.)
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	REQUEST = 64,    /* bytes of a question and of its answer */
	BATCH = 64,      /* datagrams a call */
	PATIENCE = 5000, /* milliseconds until an answer counts as lost */
	IP_HEADER = 20,
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		errx(2, "%s is not a number", text);
	return value;
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(port))};

	if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
		errx(2, "%s is not an address", host);
	return to;
}

static int open_socket(int type, int protocol)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol), on = 1;
	struct timeval patience = {.tv_sec = PATIENCE / 1000};

	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static int bound_socket(int type, const char *port)
{
	struct sockaddr_in any = address("0.0.0.0", port);
	int fd = open_socket(type, 0);

	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		err(1, "bind to port %s", port);
	return fd;
}

static void many_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		err(1, "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		err(1, "setrlimit");
}

static void say_ready(void)
{
	if (puts("ready") < 0 || fflush(stdout) < 0)
		err(1, "standard output");
}

/* --- what a run of equal things took ------------------------------------------------------------------------- */

struct times {
	uint64_t *ns;
	size_t count, failed;
	uint64_t begin;
};

static struct times times_begin(size_t room)
{
	struct times times = {.ns = calloc(room, sizeof(uint64_t)), .begin = now()};

	if (!times.ns)
		err(1, "calloc");
	return times;
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static void times_end(struct times *times)
{
	double seconds = (double)(now() - times->begin) / 1e9;
	size_t count = times->count;
	uint64_t *ns = times->ns;

	qsort(ns, count, sizeof(*ns), compare);
	printf("{\"count\": %zu, \"failed\": %zu, \"seconds\": %.6f", count, times->failed, seconds);
	if (count > 0)
		printf(", \"min_us\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f", (double)ns[0] / 1e3,
		       (double)ns[count / 2] / 1e3, (double)ns[count * 99 / 100] / 1e3, (double)ns[count - 1] / 1e3);
	puts("}");
	free(ns);
}

/* --- verbs that serve ---------------------------------------------------------------------------------------- */

static int end_of_input(void)
{
	char byte[64];

	return read(STDIN_FILENO, byte, sizeof(byte)) <= 0;
}

static int stay(char *args[])
{
	(void)args;
	say_ready();
	while (!end_of_input())
		;
	return 0;
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err(1, "epoll_ctl");
}

static void answer_stream(int fd)
{
	char data[REQUEST];
	ssize_t count = recv(fd, data, sizeof(data), MSG_DONTWAIT);

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0 || send(fd, data, (size_t)count, MSG_NOSIGNAL) != count)
		close(fd);
}

static void answer_datagram(int fd)
{
	char data[65536];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t count = recvfrom(fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from, &size);

	/* An answer that does not leave is lost as on any network: the client counts it. */
	if (count >= 0)
		(void)!sendto(fd, data, (size_t)count, MSG_DONTWAIT, (struct sockaddr *)&from, size);
}

/* Gives back over TCP and UDP what it gets. */
static int echo(char *args[])
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int stream = bound_socket(SOCK_STREAM, args[0]), datagram = bound_socket(SOCK_DGRAM, args[0]);

	many_descriptors();
	if (listen(stream, 4096) < 0)
		err(1, "listen");
	watch(epoll, STDIN_FILENO);
	watch(epoll, stream);
	watch(epoll, datagram);
	say_ready();
	for (;;) {
		struct epoll_event events[64];
		int count = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == STDIN_FILENO && end_of_input())
				return 0;
			if (fd == stream) {
				int client = accept4(stream, NULL, NULL, SOCK_CLOEXEC);

				if (client >= 0)
					watch(epoll, client);
			} else if (fd == datagram) {
				answer_datagram(datagram);
			} else if (fd != STDIN_FILENO) {
				answer_stream(fd);
			}
		}
	}
}

/* Counts datagrams until the input ends and the queue is empty. */
static int count_datagrams(int fd)
{
	static char data[BATCH][2048];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH];
	struct pollfd wait[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	uint64_t packets = 0, bytes = 0, first = 0, last = 0;
	int room = 8 << 20, count;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){.iov_base = data[i], .iov_len = sizeof(data[i])};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
	}
	say_ready();
	while (poll(wait, 2, -1) > 0 && !(wait[1].revents && !(wait[0].revents & POLLIN) && end_of_input())) {
		count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
		if (count <= 0)
			continue;
		last = now();
		first = first ? first : last;
		packets += (uint64_t)count;
		for (int i = 0; i < count; i++)
			bytes += messages[i].msg_len;
	}
	printf("{\"packets\": %ju, \"bytes\": %ju, \"seconds\": %.6f}\n", (uintmax_t)packets, (uintmax_t)bytes,
	       (double)(last - first) / 1e9);
	return 0;
}

static int sink(char *args[])
{
	return count_datagrams(bound_socket(SOCK_DGRAM, args[0]));
}

/* --- verbs that measure -------------------------------------------------------------------------------------- */

/* Sends as fast as the kernel takes it, or RATE datagrams a second if that is not 0. */
static int flood_socket(int fd, size_t size, uint64_t milliseconds, uint64_t rate)
{
	static char data[65536];
	struct iovec part = {.iov_base = data, .iov_len = size};
	struct mmsghdr messages[BATCH];
	uint64_t sent = 0, refused = 0, begin, end;

	if (size > sizeof(data))
		errx(2, "a datagram has 64 KiB at most");
	for (unsigned int i = 0; i < BATCH; i++)
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
	begin = now();
	end = begin + milliseconds * 1000000;
	for (uint64_t time = begin; time < end; time = now()) {
		int count;

		if (rate && (double)sent > (double)(time - begin) * (double)rate / 1e9)
			continue;
		count = sendmmsg(fd, messages, rate ? 1 : BATCH, 0);
		sent += count > 0 ? (uint64_t)count : 0;
		refused += count < 0;
	}
	printf("{\"packets\": %ju, \"refused\": %ju, \"seconds\": %.6f}\n", (uintmax_t)sent, (uintmax_t)refused,
	       (double)(now() - begin) / 1e9);
	return 0;
}

static int connected_datagrams(const char *host, const char *port)
{
	struct sockaddr_in to = address(host, port);
	int fd = open_socket(SOCK_DGRAM, 0);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(1, "connect");
	return fd;
}

static int flood(char *args[])
{
	return flood_socket(connected_datagrams(args[0], args[1]), number(args[2]), number(args[3]), number(args[4]));
}

/* Waits for a datagram and floods who sent it. */
static int flood_back(char *args[])
{
	int fd = bound_socket(SOCK_DGRAM, args[0]);
	struct timeval forever = {0};
	struct sockaddr_in from;
	socklen_t size = sizeof(from);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	say_ready();
	if (recvfrom(fd, &(char){0}, 1, 0, (struct sockaddr *)&from, &size) < 0 ||
	    connect(fd, (struct sockaddr *)&from, size) < 0)
		err(1, "who to flood");
	return flood_socket(fd, number(args[1]), number(args[2]), number(args[3]));
}

/* Asks for that flood, and counts it. */
static int draw(char *args[])
{
	int fd = connected_datagrams(args[0], args[1]);

	if (send(fd, "", 1, 0) != 1)
		err(1, "send");
	return count_datagrams(fd);
}

static int exchange(int fd)
{
	char data[REQUEST] = "question";

	if (send(fd, data, sizeof(data), MSG_NOSIGNAL) != sizeof(data))
		return -1;
	return recv(fd, data, sizeof(data), MSG_WAITALL) == sizeof(data) ? 0 : -1;
}

/* A connection, a question, its answer, and the end, COUNT times. */
static int connects(char *args[])
{
	struct sockaddr_in to = address(args[0], args[1]);
	size_t count = number(args[2]);
	struct times times = times_begin(count);

	for (size_t i = 0; i < count; i++) {
		uint64_t begin = now();
		int fd = open_socket(SOCK_STREAM, 0);

		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || exchange(fd) < 0)
			times.failed++;
		else
			times.ns[times.count++] = now() - begin;
		close(fd);
	}
	times_end(&times);
	return 0;
}

/* The kernel beyond answers an echo, so only the way is measured, no process. */
static int ping(int fd, uint16_t sequence)
{
	char data[IP_HEADER + REQUEST] = {0};
	struct icmphdr *echo = (struct icmphdr *)(void *)data, *reply = (struct icmphdr *)(void *)(data + IP_HEADER);
	uint32_t sum;

	echo->type = ICMP_ECHO;
	echo->un.echo.sequence = htons(sequence);
	sum = (uint32_t)(htons(ICMP_ECHO << 8)) + htons(sequence);
	echo->checksum = (uint16_t) ~((sum & 0xffff) + (sum >> 16));
	if (send(fd, data, REQUEST, 0) != REQUEST)
		return -1;
	do {
		if (recv(fd, data, sizeof(data), 0) < 0)
			return -1;
	} while (reply->type != ICMP_ECHOREPLY || reply->un.echo.sequence != htons(sequence));
	return 0;
}

/* COUNT questions, one after the other, over tcp, udp or icmp. */
static int ask(char *args[])
{
	struct sockaddr_in to = address(args[1], args[2]);
	size_t count = number(args[3]);
	int is_icmp = strcmp(args[0], "icmp") == 0, is_udp = strcmp(args[0], "udp") == 0;
	int fd = is_icmp ? open_socket(SOCK_RAW, IPPROTO_ICMP) : open_socket(is_udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	struct times times = times_begin(count);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(1, "connect");
	for (size_t i = 0; i < count; i++) {
		uint64_t begin = now();

		if ((is_icmp ? ping(fd, (uint16_t)i) : exchange(fd)) < 0)
			times.failed++;
		else
			times.ns[times.count++] = now() - begin;
	}
	times_end(&times);
	return 0;
}

/* COUNT connections at once, each used one time, held until the input ends. */
static int hold(char *args[])
{
	struct sockaddr_in to = address(args[0], args[1]);
	size_t count = number(args[2]), failed = 0;

	many_descriptors();
	for (size_t i = 0; i < count; i++) {
		int fd = open_socket(SOCK_STREAM, 0);

		failed += connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || exchange(fd) < 0;
	}
	printf("{\"count\": %zu, \"failed\": %zu}\n", count - failed, failed);
	say_ready();
	while (!end_of_input())
		;
	return 0;
}

/*
 * Runs a command COUNT times, one after the other, each after as many milliseconds of rest, and prints what each took,
 * in microseconds.
 */
static int repeat(char *args[])
{
	size_t count = number(args[0]);
	const struct timespec rest = {.tv_nsec = (long)number(args[1]) * 1000000};
	struct times times = times_begin(count);

	for (size_t i = 0; i < count; i++) {
		nanosleep(&rest, NULL);
		uint64_t begin = now();
		pid_t child;
		int status, failure = posix_spawnp(&child, args[2], NULL, NULL, args + 2, environ);

		if (failure != 0)
			errx(1, "%s: %s", args[2], strerror(failure));
		if (waitpid(child, &status, 0) != child)
			err(1, "waitpid");
		if (status != 0)
			errx(1, "%s: status %d", args[2], status);
		times.ns[times.count++] = now() - begin;
	}
	for (size_t i = 0; i < count; i++)
		printf("%s%.1f", i ? ", " : "[", (double)times.ns[i] / 1e3);
	puts("]");
	free(times.ns);
	return 0;
}

enum { OR_MORE = 100 }; /* ... arguments than this less 100 */

static const struct verb {
	const char *name, *arguments;
	int count;
	int (*run)(char *args[]);
} verbs[] = {
	{"stay", "", 0, stay},
	{"echo", "PORT", 1, echo},
	{"sink", "PORT", 1, sink},
	{"flood", "ADDRESS PORT SIZE MILLISECONDS RATE", 5, flood},
	{"flood-back", "PORT SIZE MILLISECONDS RATE", 4, flood_back},
	{"draw", "ADDRESS PORT", 2, draw},
	{"connect", "ADDRESS PORT COUNT", 3, connects},
	{"ask", "tcp|udp|icmp ADDRESS PORT COUNT", 4, ask},
	{"hold", "ADDRESS PORT COUNT", 3, hold},
	{"repeat", "COUNT REST COMMAND...", OR_MORE + 3, repeat},
};

static int has_arguments(int count, int wanted)
{
	return wanted < OR_MORE ? count == wanted : count >= wanted - OR_MORE;
}

int main(int argc, char *argv[])
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (argc >= 2 && strcmp(argv[1], verbs[i].name) == 0 && has_arguments(argc - 2, verbs[i].count))
			return verbs[i].run(argv + 2);
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(stderr, "load %s %s\n", verbs[i].name, verbs[i].arguments);
	return 2;
}
