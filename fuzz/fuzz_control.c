/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands at a relay's control socket: each has one answer of the form that the other end understands, one that is
 * refused changes nothing, and frames go on.
 *
 * The input is a list of commands, each behind two bytes: its length.  (A filter may name a host, and libpcap then asks
 * for its address: run it where there is no network, with `unshare -n`.)
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <vnic/sandbox.h>

#include "relay_control.h"

#define PORTS 2
#define COMMAND_MAX 1024 /* one of so many bytes is hung up on */

static struct vnic_relay *relay;
static struct vnic_port ports[PORTS];
static struct relay_control control;
static int far[PORTS];
static struct sockaddr_un addr = {.sun_family = AF_UNIX};

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void clean_up(void)
{
	relay_control_end(&control);
	vnic_relay_free(relay);
}

static void set_up(void)
{
	const struct vnic_relay_config config = {0};

	require(vnic_relay_new(&config, &relay, NULL) == 0);
	for (unsigned i = 0; i < PORTS; i++) {
		int pair[2];

		require(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
		require(vnic_port_parse(i ? "dgram:/b" : "dgram:/a", &ports[i], NULL) == 0);
		require(vnic_relay_add_dgram(relay, ports[i].text, &(struct vnic_dgram){.fd = pair[0]}, NULL) ==
			(int)i);
		far[i] = pair[1];
	}
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/fuzz_control.%d", getpid());
	require(relay_control_begin(&control, addr.sun_path, relay, ports, PORTS, NULL) == 0);
	atexit(clean_up);
}

static void settle(void)
{
	while (poll(&(struct pollfd){.fd = vnic_relay_get_fd(relay), .events = POLLIN}, 1, 0) > 0)
		require(vnic_relay_dispatch(relay, 0, NULL) >= 0);
}

static int client_new(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	require(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	settle();
	return fd;
}

/* '+', or '-' and four parts. */
static bool is_refusal(const char *answer)
{
	const char *at = answer;

	if (answer[0] == '+')
		return false;
	require(answer[0] == '-');
	for (int i = 0; i < 3; i++) {
		at = strchr(at, '\n');
		require(at);
		at++;
	}
	return true;
}

static void give(int client, const void *command, size_t len)
{
	static char answer[1 << 20];
	struct vnic_port before[PORTS];
	ssize_t n;

	memcpy(before, ports, sizeof(ports));
	require(send(client, command, len, 0) == (ssize_t)len);
	settle();
	n = recv(client, answer, sizeof(answer) - 1, 0);
	require(n > 0);
	answer[n] = '\0';
	if (is_refusal(answer))
		require(!memcmp(before, ports, sizeof(ports)));
	require(recv(client, answer, 1, 0) < 0);
}

static void is_hung_up(int client, const void *command, size_t len)
{
	require(send(client, command, len, 0) == (ssize_t)len);
	settle();
	require(recv(client, &(char){0}, 1, 0) == 0);
}

static void pass_frames(void)
{
	const char frame[60] = "";
	char got[2 * sizeof(frame)];

	for (unsigned i = 0; i < PORTS; i++)
		require(send(far[i], frame, sizeof(frame), 0) == sizeof(frame));
	require(vnic_relay_dispatch(relay, 0, NULL) >= 0);
	for (unsigned i = 0; i < PORTS; i++)
		while (recv(far[i], got, sizeof(got), 0) > 0)
			;
}

/* What one input leaves is not the next one's. */
static void restore(int client)
{
	static const char *const commands[] = {"clear 0",   "clear 1",       "link 0 up",
					       "link 1 up", "isolate 0 off", "isolate 1 off"};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		give(client, commands[i], strlen(commands[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int client;

	if (!relay)
		set_up();
	client = client_new();
	while (size >= 2) {
		size_t len = (size_t)data[0] << 8 | data[1];

		len = len < size - 2 ? len : size - 2;
		data += 2;
		if (len > 0 && len < COMMAND_MAX) {
			give(client, data, len);
		} else {
			is_hung_up(client, data, len);
			close(client);
			client = client_new();
		}
		pass_frames();
		data += len;
		size -= 2 + len;
	}
	restore(client);
	close(client);
	settle();
	return 0;
}
