/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parent and child in step.  The parent says "go on" with an eventfd; the child answers with
 * messages on a socket pair.  The death of either is an end of file for the other, which is
 * why each waits for both and closes the other's end first.
 */
#include "ns.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "fd.h"
#include "fdpass.h"

int ns_step_open(struct ns_step *ret_step, struct vnic_error *err)
{
	struct ns_step step = NS_STEP_EMPTY;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "to the child", NULL);
	step.parent = pair[0];
	step.child = pair[1];
	step.mapped = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	step.netns = step.mapped < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	step.go = step.netns < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (step.go < 0) {
		int code = errno;

		ns_step_close(&step);
		return vnic_fail(err, VNIC_STEP_OPEN, code, "an eventfd", NULL);
	}
	*ret_step = step;
	return 0;
}

void ns_step_close(struct ns_step *step)
{
	close_fd(&step->parent);
	close_fd(&step->child);
	close_fd(&step->mapped);
	close_fd(&step->netns);
	close_fd(&step->go);
}

int ns_step_signal(int event_fd, struct vnic_error *err)
{
	if (eventfd_write(event_fd, 1) < 0)
		return vnic_fail(err, VNIC_STEP_WRITE, errno, "an eventfd", NULL);
	return 0;
}

int ns_step_wait(int event_fd, int control, struct vnic_error *err)
{
	struct pollfd fds[2] = {{.fd = event_fd, .events = POLLIN}, {.fd = control, .events = POLLRDHUP}};
	eventfd_t value;

	for (;;) {
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return vnic_fail(err, VNIC_STEP_WAIT, errno, NULL, NULL);
		}
		if (fds[0].revents && eventfd_read(event_fd, &value) == 0)
			return 0;
		if (fds[1].revents & (POLLHUP | POLLRDHUP | POLLERR))
			return vnic_fail(err, VNIC_STEP_WAIT, EPIPE, NULL,
					 "a process of vnic has ended before its time");
	}
}

int ns_message_send(int control, const struct ns_message *message, int fd, struct vnic_error *err)
{
	int r = vnic_fd_send(control, &fd, fd >= 0, message, sizeof(*message), NULL);

	return r < 0 ? vnic_fail(err, VNIC_STEP_SOCKET, -r, "to the parent", NULL) : 0;
}

/* -ECONNRESET when the other ended and left something unread. */
static int receive(int control, bool wait, struct ns_message *message, int *fd, struct vnic_error *err)
{
	unsigned count;
	size_t size;
	int r = receive_fds(control, wait ? 0 : MSG_DONTWAIT, fd, 1, &count, message, sizeof(*message), &size, err);

	if (r == 0 && size == 0)
		return vnic_fail(err, VNIC_STEP_WAIT, EPIPE, NULL, "a process of vnic has ended before its time");
	if (r == 0 && size != sizeof(*message))
		return vnic_fail(err, VNIC_STEP_SOCKET, EPROTO, "to the child", NULL);
	return r;
}

int ns_message_recv(int control, bool wait, struct ns_message *ret_message, int *ret_fd, struct vnic_error *err)
{
	struct ns_message message;
	CLEANUP_FD int fd = -1;
	int r = receive(control, wait, &message, &fd, err);

	/* What it said before comes after that. */
	if (r == -ECONNRESET)
		r = receive(control, wait, &message, &fd, err);
	if (r < 0)
		return r;
	/* From a process that may have been taken over. */
	message.err.object[sizeof(message.err.object) - 1] = '\0';
	message.err.detail[sizeof(message.err.detail) - 1] = '\0';
	message.note[sizeof(message.note) - 1] = '\0';
	*ret_message = message;
	if (ret_fd)
		*ret_fd = take_fd(&fd);
	return 0;
}

int ns_message_failure(const struct ns_message *message, struct vnic_error *err)
{
	if (message->err.code <= 0)
		return vnic_fail(err, VNIC_STEP_WAIT, EPROTO, NULL, NULL);
	if (err)
		*err = message->err;
	return -message->err.code;
}

void ns_note(int control, const char *text, ...)
{
	struct ns_message message = {.type = NS_NOTE};
	va_list arguments;

	va_start(arguments, text);
	vsnprintf(message.note, sizeof(message.note), text, arguments);
	va_end(arguments);
	ns_message_send(control, &message, -1, NULL);
}

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void ns_close_all_but(int *keep, unsigned count)
{
	unsigned next = 0;

	qsort(keep, count, sizeof(*keep), compare_fds);
	for (unsigned i = 0; i < count; i++) {
		if (keep[i] < 0)
			continue;
		if ((unsigned)keep[i] > next)
			close_range(next, (unsigned)keep[i] - 1, 0);
		next = (unsigned)keep[i] + 1;
	}
	close_range(next, ~0u, 0);
}
