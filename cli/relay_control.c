/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket of vnic relay.
 *
 * Theory of operation.  A Unix socket of sequenced packets, for its owner only.  A command is one packet, and so is
 * its answer: '+' and what is to be printed, or '-' and the four parts of an error, from which the other end makes the
 * same error.  The relay's own loop watches the sockets.  A client that does not read its answer loses it; the fifth
 * client at a time is told so and disconnected.  (Rejected: a text protocol over a stream, which needs framing and
 * half-read lines; JSON for commands, which nobody likes to type.)
 */
#include "relay_control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fd.h"
#include "parse.h"
#include "relay_stats.h"
#include "stale.h"

#define COMMAND_MAX 1024
#define WORDS_MAX 3
#define ANSWER_MAX (1 << 20)
#define ANSWER_SECONDS 10
#define ERROR_FORM "-%u\n%d\n%s\n%s"

/* --- commands ----------------------------------------------------------------------- */

static int find_port(const struct relay_control *control, const char *text, unsigned *ret_number,
		     struct vnic_error *err)
{
	uint32_t number = 0;

	for (int i = 0; i < control->port_count; i++)
		if (!strcmp(control->ports[i].text, text)) {
			*ret_number = (unsigned)i;
			return 0;
		}
	if (control->port_count &&
	    parse_u32(text, "a port", 0, (uint32_t)control->port_count - 1, &number, NULL) == 0) {
		*ret_number = number;
		return 0;
	}
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
			 "the relay has no such port: name it by its number, or as in tap:eth0@red");
}

/* All of it, or nothing. */
static int apply(struct relay_control *control, unsigned number, const struct vnic_port *changed,
		 struct vnic_error *err)
{
	int r = vnic_port_apply(changed, control->relay, number, err);

	if (r < 0) {
		vnic_port_apply(&control->ports[number], control->relay, number, NULL);
		return r;
	}
	control->ports[number] = *changed;
	return 0;
}

static int do_set(struct relay_control *control, unsigned number, const char *keys, struct vnic_error *err)
{
	struct vnic_port changed = control->ports[number];
	int r = vnic_port_change(&changed, keys, err);

	return r < 0 ? r : apply(control, number, &changed, err);
}

static int do_clear(struct relay_control *control, unsigned number, const char *unused, struct vnic_error *err)
{
	struct vnic_port changed = control->ports[number];

	(void)unused;
	memset(changed.sides, 0, sizeof(changed.sides));
	return apply(control, number, &changed, err);
}

static int either(const char *word, const char *yes, const char *no, bool *ret_value, struct vnic_error *err)
{
	if (strcmp(word, yes) != 0 && strcmp(word, no) != 0)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, word, "it is %s or %s", yes, no);
	*ret_value = !strcmp(word, yes);
	return 0;
}

static int outcome(int result, const char *word, struct vnic_error *err)
{
	return result < 0 ? vnic_fail(err, VNIC_STEP_RELAY, -result, word, NULL) : 0;
}

static int do_link(struct relay_control *control, unsigned number, const char *word, struct vnic_error *err)
{
	bool up = false;
	int r = either(word, "up", "down", &up, err);

	return r < 0 ? r : outcome(vnic_relay_set_link(control->relay, number, up), word, err);
}

static int do_isolate(struct relay_control *control, unsigned number, const char *word, struct vnic_error *err)
{
	bool on = false;
	int r = either(word, "on", "off", &on, err);

	return r < 0 ? r : outcome(vnic_relay_set_isolated(control->relay, number, on), word, err);
}

static const struct {
	const char *name, *form;
	int words;
	int (*run)(struct relay_control *control, unsigned port, const char *word, struct vnic_error *err);
} verbs[] = {
	{"set", "set PORT KEY=VALUE,...", 3, do_set},
	{"clear", "clear PORT", 2, do_clear},
	{"link", "link PORT up|down", 3, do_link},
	{"isolate", "isolate PORT on|off", 3, do_isolate},
};

const char *relay_control_form(unsigned index)
{
	static const unsigned count = sizeof(verbs) / sizeof(verbs[0]);

	return index < count ? verbs[index].form : index == count ? "stats" : NULL;
}

static int run_verb(struct relay_control *control, int count, char *const *words, struct vnic_error *err)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		unsigned port = 0;

		if (strcmp(words[0], verbs[i].name) != 0)
			continue;
		if (count != verbs[i].words)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, words[0], "it is written %s", verbs[i].form);
		int r = find_port(control, words[1], &port, err);
		return r < 0 ? r : verbs[i].run(control, port, words[2], err);
	}
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, words[0], "a relay is told set, clear, link, isolate or stats");
}

/* The last word is all that is left: a filter has blanks. */
static int split(char *text, char *words[WORDS_MAX])
{
	int count = 0;

	while (count < WORDS_MAX && *(text += strspn(text, " "))) {
		words[count++] = text;
		text += count == WORDS_MAX ? strlen(text) : strcspn(text, " ");
		if (*text)
			*text++ = '\0';
	}
	return count;
}

/* --- the relay's end ---------------------------------------------------------------- */

static void answer(int fd, const char *text, size_t len)
{
	static const char too_long[] = "-0\n0\nthe answer\nit is too long for a packet";

	if (send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EMSGSIZE)
		send(fd, too_long, sizeof(too_long) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void answer_stats(const struct relay_control *control, int fd)
{
	json_t *json = relay_stats_json(control->relay);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL, *line = NULL;
	int len = text ? asprintf(&line, "+%s", text) : -1;

	if (len >= 0)
		answer(fd, line, (size_t)len);
	if (len >= 0)
		free(line);
	free(text);
	json_decref(json);
}

static void answer_error(int fd, const struct vnic_error *err)
{
	char text[COMMAND_MAX];
	int len = snprintf(text, sizeof(text), ERROR_FORM, (unsigned)err->step, err->code, err->object, err->detail);

	answer(fd, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

static void answer_command(struct relay_control *control, int fd, char *command)
{
	char *words[WORDS_MAX] = {0};
	struct vnic_error err = {0};
	int count = split(command, words), r;

	if (count == 1 && !strcmp(words[0], "stats")) {
		answer_stats(control, fd);
		return;
	}
	r = count ? run_verb(control, count, words, &err)
		  : vnic_fail(&err, VNIC_STEP_USAGE, EINVAL, "the command", "it is empty");
	if (r < 0)
		answer_error(fd, &err);
	else
		answer(fd, "+", 1);
}

static void hang_up(struct relay_control *control, int *client)
{
	vnic_relay_watch(control->relay, *client, NULL, NULL, NULL);
	close_fd(client);
}

static void take_command(void *ctx, int fd)
{
	struct relay_control *control = ctx;
	char command[COMMAND_MAX];
	ssize_t n = recv(fd, command, sizeof(command) - 1, MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && (size_t)n < sizeof(command)) {
		command[n] = '\0';
		answer_command(control, fd, command);
		return;
	}
	for (int i = 0; i < CONTROL_CLIENTS; i++) /* it has hung up, or says more than any command has */
		if (control->clients[i] == fd)
			hang_up(control, &control->clients[i]);
}

/* Without a free descriptor, a spare one accepts the client and hangs up on it: else the listener stays readable. */
static int accept_client(struct relay_control *control, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0 || (errno != EMFILE && errno != ENFILE) || control->spare < 0)
		return fd;
	close_fd(&control->spare);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	close_fd(&fd);
	control->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return -1;
}

static void refuse_client(int fd)
{
	struct vnic_error err = {0};

	vnic_fail(&err, VNIC_STEP_RELAY, EUSERS, "the control socket", "no more than %d clients at a time",
		  CONTROL_CLIENTS);
	answer_error(fd, &err);
}

static void take_client(void *ctx, int listener)
{
	struct relay_control *control = ctx;
	CLEANUP_FD int fd = accept_client(control, listener);

	for (int i = 0; i < CONTROL_CLIENTS && fd >= 0; i++)
		if (control->clients[i] < 0 && vnic_relay_watch(control->relay, fd, take_command, control, NULL) == 0)
			control->clients[i] = take_fd(&fd);
	if (fd >= 0)
		refuse_client(fd);
}

static int address(const char *path, struct sockaddr_un *ret_addr, struct vnic_error *err)
{
	*ret_addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	return parse_copy(path, "the control socket's path", ret_addr->sun_path, sizeof(ret_addr->sun_path), err);
}

static int listen_at(const struct sockaddr_un *addr, int *ret_fd, struct vnic_error *err)
{
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int r;

	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, addr->sun_path, NULL);
	refuse_fds(fd);
	remove_stale_socket(addr, SOCK_SEQPACKET);
	mask = umask(0177); /* never anybody else's, not for a moment */
	r = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));
	umask(mask);
	if (r < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, addr->sun_path, NULL);
	if (listen(fd, CONTROL_CLIENTS) < 0) {
		r = vnic_fail(err, VNIC_STEP_SOCKET, errno, addr->sun_path, "listen");
		unlink(addr->sun_path);
		return r;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int relay_control_begin(struct relay_control *control, const char *path, struct vnic_relay *relay,
			struct vnic_port *ports, int port_count, struct vnic_error *err)
{
	struct sockaddr_un addr;
	int r = address(path, &addr, err);

	*control = RELAY_CONTROL_EMPTY;
	control->relay = relay;
	control->ports = ports;
	control->port_count = port_count;
	if (r == 0)
		r = listen_at(&addr, &control->listener, err);
	if (r < 0)
		return r;
	memcpy(control->path, addr.sun_path, sizeof(control->path));
	control->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return vnic_relay_watch(relay, control->listener, take_client, control, err);
}

void relay_control_end(struct relay_control *control)
{
	if (control->listener < 0)
		return;
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		if (control->clients[i] >= 0)
			hang_up(control, &control->clients[i]);
	vnic_relay_watch(control->relay, control->listener, NULL, NULL, NULL);
	close_fd(&control->listener);
	close_fd(&control->spare);
	unlink(control->path);
}

/* --- the other end ------------------------------------------------------------------ */

static int join_words(char *const *words, char *ret_text, size_t size, struct vnic_error *err)
{
	size_t len = 0;

	for (; *words && len < size; words++)
		len += (size_t)snprintf(ret_text + len, size - len, "%s%s", len ? " " : "", *words);
	return len < size ? 0 : vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "the command", "it is too long");
}

/* The relay's error as if it were ours. */
static int take_error(char *text, struct vnic_error *err)
{
	char *parts[4] = {text + 1, NULL, NULL, NULL};
	unsigned long step, code;

	for (int i = 1; i < 4; i++) {
		char *end = strchr(parts[i - 1], '\n');

		if (!end)
			return vnic_fail(err, VNIC_STEP_RELAY, EPROTO, NULL, "the answer is strange");
		*end = '\0';
		parts[i] = end + 1;
	}
	step = strtoul(parts[0], NULL, 10);
	code = strtoul(parts[1], NULL, 10);
	return vnic_fail(err, step && step < VNIC_STEP_COUNT ? (enum vnic_step)step : VNIC_STEP_RELAY,
			 code && code < 4096 ? (int)code : EIO, parts[2], parts[3][0] ? "%s" : NULL, parts[3]);
}

/* Who refused us has said why and hung up, and the kernel tells of the second first. */
static ssize_t take_answer(int fd, char *text, size_t size)
{
	ssize_t n = recv(fd, text, size, 0);

	return n < 0 && errno == ECONNRESET ? recv(fd, text, size, 0) : n;
}

int relay_control_ask(const char *path, char *const *words, struct vnic_error *err)
{
	const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	static char text[ANSWER_MAX + 1];
	char command[COMMAND_MAX];
	struct sockaddr_un addr;
	ssize_t n;
	int r = address(path, &addr, err);

	if (r == 0)
		r = join_words(words, command, sizeof(command), err);
	if (r < 0)
		return r;
	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, path, NULL);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, path, "no relay runs with --control there");
	if (send(fd, command, strlen(command), MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, path, NULL);
	n = take_answer(fd, text, ANSWER_MAX);
	if (n <= 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, n < 0 ? errno : ECONNRESET, path, "there is no answer");
	text[n] = '\0';
	if (text[0] == '-')
		return take_error(text, err);
	cli_make_plain(text); /* whoever it was that listened there */
	if (n > 1)
		puts(text + 1);
	return 0;
}
