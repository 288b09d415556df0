/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The capture's process.
 *
 *   close what is others' -> session of its own -> nobody, no capability, no new privileges -> the router's packet
 *   sockets -> no files (Landlock) -> READY -> frames, until the sandbox ends -> what is left
 *
 * It reads the router's ends of the NICs, beside the way of the frames: what is not captured is not slower, and what is
 * captured is seen before the gateway or after it.  It looks into no frame.  The file is the front's; further files
 * the front opens, as the user, on request.
 *
 * It outlives the front for as long as it takes to write what is in the rings, so that whoever is killed, the file can
 * be read; only a reader of a pipe who does not read can keep it longer, and not for more than END_SECONDS.
 *
 * Directions are the sandbox's, for so is the name of the NIC: what the router's end sends comes in at eth0.
 */
#include "nic_capture.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vnic/fdpass.h>

#include "background.h"
#include "capture.h"
#include "clock.h"
#include "confine.h"
#include "fd.h"
#include "gate.h"
#include "packet_ring.h"

#define STATUS_OURS 125
#define QUIET_MS (2 * PACKET_RING_RETIRE_MS + 5) /* after that nothing is left in a ring */
#define DRAIN_NS NS_PER_S                        /* a router is never quiet for certain */
#define END_SECONDS 5

struct process {
	const struct nic_capture *config;
	struct capture *capture;
	struct packet_ring rings[VNIC_NICS];
	uint64_t missed[VNIC_NICS]; /* that were in the ring and found no room in the buffer */
	unsigned count, reading;
	bool finish;
};

int nic_capture_open(const struct vnic_capture *config, struct nic_capture *capture, struct vnic_error *err)
{
	int r = ns_step_open(&capture->step, err);

	if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, capture->hello) < 0)
		r = vnic_fail(err, VNIC_STEP_SOCKET, errno, "to another process of vnic", NULL);
	if (r == 0)
		capture->config = *config;
	return r;
}

void nic_capture_close(struct nic_capture *capture)
{
	ns_step_close(&capture->step);
	close_fd(&capture->hello[0]);
	close_fd(&capture->hello[1]);
}

int nic_capture_send(const struct nic_capture *capture, struct vnic_error *err)
{
	int fds[VNIC_NICS], r = 0;
	unsigned count = 0;

	while (count < capture->plan->count && r == 0) {
		r = packet_ring_open(capture->plan->nics[count].outer_index, capture->config.snaplen, &fds[count], err);
		count += r == 0;
	}
	if (r == 0)
		r = vnic_fd_send(capture->hello[1], fds, count, "", 1, err);
	while (count--)
		close_fd(&fds[count]);
	return r;
}

/* --- before frames may come --------------------------------------------------------- */

/* As many as there are NICs. */
static int receive_rings(struct process *process, struct vnic_error *err)
{
	int fds[VNIC_NICS];
	unsigned count = 0;
	size_t size;
	char byte;
	int r = vnic_fd_recv(process->config->hello[0], fds, VNIC_NICS, &count, &byte, 1, &size, err);

	if (r == 0 && count != process->config->plan->count)
		r = vnic_fail(err, VNIC_STEP_WAIT, EPIPE, NULL, "the router's helper has ended");
	if (r == 0)
		r = background_close_at_end(fds, count, err);
	for (unsigned i = 0; i < count && r == 0; i++) {
		r = packet_ring_map(fds[i], &process->rings[i], err);
		process->count += r == 0;
	}
	return r;
}

/* From the front, which may have asked to finish before it answers. */
static int ask_for_file(void *ctx, unsigned number, int *ret_fd, struct vnic_error *err)
{
	struct process *process = ctx;
	const int control = process->config->step.child;
	const struct ns_message question = {.type = NS_NEXT_FILE, .value = (int)number};
	struct ns_message answer = {.type = NS_FINISH};
	int r = ns_message_send(control, &question, -1, err);

	while (r == 0 && (r = ns_message_recv(control, true, &answer, ret_fd, err)) == 0 && answer.type == NS_FINISH)
		process->finish = true;
	return r == 0 && answer.type != NS_NEXT_FILE ? ns_message_failure(&answer, err) : r;
}

static int set_up(struct process *process, struct vnic_error *err)
{
	struct vnic_capture config = process->config->config;
	int r = gate_drop_privilege(process->config->privileged, err);

	if (r == 0)
		r = receive_rings(process, err);
	if (config.next)
		config.next = ask_for_file;
	config.ctx = process;
	if (r == 0)
		r = capture_new(&config, &process->capture, err);
	for (unsigned i = 0; i < process->count && r == 0; i++) {
		const struct vnic_nic *nic = &process->config->plan->nics[i].nic;

		capture_add_interface(process->capture, nic->name, nic->kind == VNIC_NIC_TUN);
	}
	if (r == 0)
		confine_files();
	return r;
}

/* --- frames --------------------------------------------------------------------------- */

static void take(void *ctx, bool sent, const struct captured *frame)
{
	const struct process *process = ctx;

	capture_packet(process->capture, process->reading, sent ? VNIC_INGRESS : VNIC_EGRESS, frame, NULL);
}

static uint64_t missed(const struct process *process)
{
	struct vnic_capture_stats stats;

	capture_get_stats(process->capture, &stats);
	return stats.missed;
}

static void read_ring(struct process *process, unsigned number)
{
	struct packet_ring *ring = &process->rings[number];
	uint64_t before = missed(process);

	process->reading = number;
	while (packet_ring_read(ring, take, process)) {
		packet_ring_count(ring);
		process->missed[number] += missed(process) - before;
		before = missed(process);
		capture_note_counts(process->capture, number, ring->frames, ring->dropped + process->missed[number]);
		capture_flush(process->capture, monotonic_ns());
	}
}

/* A link that is gone or down is an error of its socket, told once; its ring is still good. */
static void take_error(const struct packet_ring *ring)
{
	int error;
	socklen_t len = sizeof(error);

	getsockopt(ring->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

static bool hear_front(struct process *process)
{
	struct ns_message message;
	int r = ns_message_recv(process->config->step.child, false, &message, NULL, NULL);

	return r == -EAGAIN || (r == 0 && message.type != NS_FINISH);
}

/* The number of descriptors that had something; waits for the first. */
static int take_events(struct process *process, int timeout_ms)
{
	struct pollfd fds[1 + VNIC_NICS];
	int n;

	fds[0] = (struct pollfd){.fd = process->finish ? -1 : process->config->step.child, .events = POLLIN};
	for (unsigned i = 0; i < process->count; i++)
		fds[1 + i] = (struct pollfd){.fd = process->rings[i].fd, .events = POLLIN};
	n = poll(fds, 1 + process->count, timeout_ms);
	for (unsigned i = 0; i < process->count && n > 0; i++) {
		if (fds[1 + i].revents & POLLERR)
			take_error(&process->rings[i]);
		read_ring(process, i);
	}
	if (n > 0 && fds[0].revents && !hear_front(process))
		process->finish = true;
	capture_flush(process->capture, monotonic_ns());
	return n;
}

static int error_of(const struct process *process)
{
	struct vnic_capture_stats stats;

	capture_get_stats(process->capture, &stats);
	return stats.error;
}

static int time_left(const struct process *process)
{
	int64_t due = capture_due(process->capture), now = monotonic_ns();

	if (due == INT64_MAX)
		return -1;
	return due > now ? (int)((due - now) / (NS_PER_S / 1000)) + 1 : 0;
}

static void carry(struct process *process)
{
	while (!process->finish && !error_of(process))
		take_events(process, time_left(process));
	for (int64_t end = monotonic_ns() + DRAIN_NS; !error_of(process) && monotonic_ns() < end;)
		if (take_events(process, QUIET_MS) <= 0)
			break;
}

/* --- the process -------------------------------------------------------------------- */

static void tell_losses(const struct process *process, int error)
{
	const int control = process->config->step.child;
	uint64_t lost = 0;

	for (unsigned i = 0; i < process->count; i++)
		lost += process->rings[i].dropped + process->missed[i];
	if (lost)
		ns_note(control,
			"%" PRIu64 " frames are not in the capture: they came faster than they could be written", lost);
	if (error)
		ns_note(control, "the capture has ended: %s", strerror(-error));
}

static void finish(struct process *process)
{
	sigset_t alarms;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &alarms, NULL);
	signal(SIGALRM, SIG_DFL);
	alarm(END_SECONDS);
	for (unsigned i = 0; i < process->count; i++) {
		packet_ring_count(&process->rings[i]);
		capture_note_counts(process->capture, i, process->rings[i].frames,
				    process->rings[i].dropped + process->missed[i]);
	}
	tell_losses(process, capture_finish(process->capture));
}

_Noreturn void nic_capture_main(struct nic_capture *capture)
{
	struct process process = {.config = capture};
	struct ns_message message = {.type = NS_READY};
	int keep[] = {capture->step.child, capture->hello[0], capture->config.fd};

	prctl(PR_SET_NAME, "vnic-capture");
	ns_close_all_but(keep, 3);
	setsid();
	if (set_up(&process, &message.err) < 0)
		message.type = NS_FAILED;
	close_fd(&capture->hello[0]);
	if (ns_message_send(capture->step.child, &message, -1, NULL) < 0 || message.type == NS_FAILED)
		_exit(STATUS_OURS);
	carry(&process);
	finish(&process);
	_exit(0);
}
