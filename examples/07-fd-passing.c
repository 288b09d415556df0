/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 07-fd-passing: a child makes a TAP device in a network namespace of its own and hands over
 * the descriptors; its parent, which has no such device in its namespace, sends and receives the frames.
 *
 *   gcc -o 07-fd-passing 07-fd-passing.c $(pkg-config --cflags --libs vnic)
 *   sudo ./07-fd-passing
 *
 * Expected output:
 *
 *   got lan0 with 2 queues over a socket
 *   its first frame: 90 bytes of type 86dd
 *
 * This is how a VMM gets a NIC without any privilege: somebody else opens it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vnic/vnic.h>

#define QUEUES 2

static int fail(const struct vnic_error *err)
{
	char text[512];

	vnic_error_text(err, text, sizeof(text));
	fprintf(stderr, "07-fd-passing: %s\n", text);
	return 1;
}

/* The child's part; its namespace lives on until both it and the parent have let go. */
static int child(int socket)
{
	const struct vnic_tap_config config = {.name = "lan0", .queues = QUEUES};
	const struct vnic_link up = {.up = true};
	struct vnic_error err;
	struct vnic_tap tap;
	struct vnic_nl *nl;
	char go;

	if (unshare(CLONE_NEWNET) < 0)
		return perror("07-fd-passing: unshare"), 1;
	if (vnic_tap_open(&config, &tap, &err) < 0 ||
	    vnic_fd_send(socket, tap.fds, tap.queues, tap.name, sizeof(tap.name), &err) < 0 ||
	    vnic_nl_open(&nl, &err) < 0)
		return fail(&err);
	if (vnic_link_set(nl, tap.index, &up, &err) < 0)
		return fail(&err);
	vnic_tap_close(&tap); /* the parent's copies keep the device */
	vnic_nl_close(nl);
	return read(socket, &go, 1) == 0 ? 0 : 1; /* until the parent is done */
}

/* IPv6 says hello on a new link, on one of the queues. */
static int first_frame(const struct vnic_tap *tap)
{
	struct pollfd fds[QUEUES];
	uint8_t frame[2048];
	ssize_t n;

	for (unsigned i = 0; i < QUEUES; i++)
		fds[i] = (struct pollfd){.fd = tap->fds[i], .events = POLLIN};
	if (poll(fds, QUEUES, 10000) < 1)
		return fprintf(stderr, "07-fd-passing: no frame in ten seconds\n"), 1;
	n = vnic_frame_read(tap, fds[0].revents ? 0 : 1, NULL, frame, sizeof(frame));
	if (n < 0)
		return fprintf(stderr, "07-fd-passing: error %zd\n", n), 1;
	printf("its first frame: %zd bytes of type %02x%02x\n", n, frame[12], frame[13]);
	return 0;
}

static int parent(int socket)
{
	struct vnic_error err;
	struct vnic_tap tap;
	int fds[QUEUES], status;
	unsigned count;
	size_t size;
	char name[IFNAMSIZ];

	if (vnic_fd_recv(socket, fds, QUEUES, &count, name, sizeof(name), &size, &err) < 0)
		return fail(&err);
	if (count == 0)
		return 1; /* the child has said why */
	if (vnic_tap_adopt(fds, count, &tap, &err) < 0)
		return fail(&err);
	printf("got %s with %u queues over a socket\n", tap.name, tap.queues);
	status = first_frame(&tap);
	vnic_tap_close(&tap);
	return status;
}

int main(void)
{
	int pair[2], status;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return perror("07-fd-passing: socketpair"), 1;
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		return child(pair[1]);
	}
	close(pair[1]);
	status = parent(pair[0]);
	close(pair[0]); /* tells the child to end */
	waitpid(pid, NULL, 0);
	return status;
}
