/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The relay's loop: wait, read, look up, write, count.
 *
 * Theory of operation.  One thread, one epoll set, one buffer.  A port that is ready gives up to
 * `batch` frames in its turn; each is written to where it goes before the next one is read, so
 * 64 KiB of super-frame are copied in and out while they are in the cache, and no frame ever waits in
 * the relay.  Nothing is queued here: a port that cannot take a frame now loses it, as on any
 * switch, and the loss is counted.  (Rejected: queues and EPOLLOUT.  The kernel already queues in front
 * of us, in the device's transmit ring; a second queue adds delay and hides congestion from TCP.
 * Rejected too: reading a batch before writing it.  io_uring and mmsg then save system calls, which helps
 * small frames only; four or eight super-frames at once were no faster than one.)
 *
 * Two ports are a patch: what comes in at one goes out at the other, unread.  More form a switch,
 * which learns source MACs without regard to VLANs.
 *
 * Accounts.  A frame read counts in rx_frames of its port.  Then it is delivered nowhere, and
 * counts in rx_dropped there; or it is meant for one port (known MAC) or several (flooding), and each copy
 * counts at its destination, in tx_frames or tx_dropped.  So without flooding, all that was read is all that was
 * written plus all drops.
 */
#include "relay_ports.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

#define EVENTS 64
#define SPIN_NS 20000   /* how long to look before going to sleep */
#define SHORT_NS 100000 /* a wait that would have been shorter without sleep */

/* --- write -------------------------------------------------------------------------- */

static enum vnic_drop drop_reason(int error)
{
	switch (-error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return VNIC_DROP_FULL;
	case ENETDOWN:
	case EBADFD:
		return VNIC_DROP_DOWN;
	case EMSGSIZE:
		return VNIC_DROP_OVERSIZE;
	default:
		return VNIC_DROP_REFUSED;
	}
}

static void drop(struct port *from, enum vnic_drop why)
{
	from->stats.rx_dropped[why]++;
}

static void send_to(struct vnic_relay *relay, unsigned number, const struct frame *frame)
{
	struct port *to = relay->ports[number];
	int r = to->ops->write(to, frame);

	if (r == 0) {
		to->stats.tx_frames++;
		to->stats.tx_bytes += frame->len;
		return;
	}
	to->stats.tx_dropped[drop_reason(r)]++;
	if (r == -EBADFD)
		relay_close_port(relay, number);
}

/* --- look up ------------------------------------------------------------------------ */

static void flood(struct vnic_relay *relay, unsigned from, const struct frame *frame)
{
	struct port *source = relay->ports[from];
	unsigned sent = 0, isolated = 0;

	for (unsigned i = 0; i < relay->count; i++) {
		struct port *to = relay->ports[i];

		if (i == from || !to->open)
			continue;
		if (source->isolated && to->isolated) {
			isolated++;
			continue;
		}
		send_to(relay, i, frame);
		sent++;
	}
	if (!sent)
		drop(source, isolated ? VNIC_DROP_ISOLATED : VNIC_DROP_NO_PORT);
}

static bool is_group(const uint8_t *mac)
{
	return mac[0] & 1;
}

static bool is_zero(const uint8_t *mac)
{
	return !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

static void switch_frame(struct vnic_relay *relay, unsigned from, const struct frame *frame)
{
	const uint8_t *dst = frame->data, *src = frame->data + ETH_ALEN;
	struct port *source = relay->ports[from];
	uint32_t to;

	if (is_group(src) || is_zero(src)) {
		drop(source, VNIC_DROP_SOURCE);
		return;
	}
	fdb_learn(&relay->fdb, src, from, relay->now);
	to = is_group(dst) ? FDB_NONE : fdb_find(&relay->fdb, dst, relay->now);
	if (to == FDB_NONE)
		flood(relay, from, frame);
	else if (to == from)
		drop(source, VNIC_DROP_SAME_PORT);
	else if (source->isolated && relay->ports[to]->isolated)
		drop(source, VNIC_DROP_ISOLATED);
	else
		send_to(relay, to, frame);
}

static void forward(struct vnic_relay *relay, unsigned from, const struct frame *frame)
{
	if (relay->count > 2 && !relay->config.hub)
		switch_frame(relay, from, frame);
	else
		flood(relay, from, frame);
}

/* --- read --------------------------------------------------------------------------- */

/* A frame that was there but could not be had. */
static void lose(struct port *port, enum vnic_drop why)
{
	port->stats.rx_frames++;
	drop(port, why);
}

/* Returns false when the port's turn is over. */
static bool read_and_forward(struct vnic_relay *relay, unsigned number, unsigned queue)
{
	struct port *port = relay->ports[number];
	struct frame frame = {.data = relay->buffer + FRAME_HEADROOM};
	int r = port->ops->read(port, queue, &frame);

	switch (-r) {
	case 0:
		port->stats.rx_frames++;
		port->stats.rx_bytes += frame.len;
		forward(relay, number, &frame);
		return true;
	case EINVAL:
		lose(port, VNIC_DROP_SHORT);
		return true;
	case EMSGSIZE:
		lose(port, VNIC_DROP_OVERSIZE);
		return true;
	case EPROTO:
		lose(port, VNIC_DROP_REFUSED);
		return true;
	case EAGAIN:
	case EINTR:
	case ENETDOWN:
	case ENOBUFS:
	case ENOMEM:
		return false;
	default:
		relay_close_port(relay, number);
		return false;
	}
}

static int take_turn(struct vnic_relay *relay, unsigned number, unsigned queue)
{
	unsigned moved = 0;

	while (moved < relay->config.batch && relay->ports[number]->open && read_and_forward(relay, number, queue))
		moved++;
	return (int)moved;
}

/* --- wait --------------------------------------------------------------------------- */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/*
 * To wake a thread on a sleeping CPU costs the sender of the frame tens of microseconds in a virtual machine.  So when
 * frames follow each other closely the relay looks again for a moment, giving way to whoever is ready to run;
 * when they do not, it sleeps at once.
 */
static int wait_for_work(struct vnic_relay *relay, struct epoll_event *events, int timeout_ms, struct vnic_error *err)
{
	int64_t start = clock_ns(CLOCK_MONOTONIC);
	int n = 0;

	while (relay->busy && timeout_ms != 0 && n == 0 && clock_ns(CLOCK_MONOTONIC) - start < SPIN_NS) {
		n = loop_wait(relay->epfd, events, EVENTS, 0, err);
		if (n == 0)
			sched_yield();
	}
	if (n == 0)
		n = loop_wait(relay->epfd, events, EVENTS, timeout_ms, err);
	relay->busy = clock_ns(CLOCK_MONOTONIC) - start < SHORT_NS;
	return n;
}

static void take_stop(struct vnic_relay *relay)
{
	uint64_t count;

	relay->stopped = read(relay->stop_fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

int vnic_relay_dispatch(struct vnic_relay *relay, int timeout_ms, struct vnic_error *err)
{
	struct epoll_event events[EVENTS];
	int moved = 0, n;

	if (relay->opened < 2)
		return vnic_fail(err, VNIC_STEP_RELAY, ENODEV, NULL, "it takes two open ports, and there is %s",
				 relay->opened ? "one" : "none");
	n = wait_for_work(relay, events, timeout_ms, err);
	relay->now = (uint32_t)(clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000000);
	fdb_sweep(&relay->fdb, relay->now);
	for (int i = 0; i < n; i++) {
		struct loop_ref ref = loop_ref_of(&events[i]);

		switch ((enum relay_ref)ref.type) {
		case RELAY_REF_PORT:
			moved += take_turn(relay, ref.index, ref.sub);
			break;
		case RELAY_REF_STOP:
			take_stop(relay);
			break;
		}
	}
	return n < 0 ? n : moved;
}

int vnic_relay_run(struct vnic_relay *relay, struct vnic_error *err)
{
	int r = 0;

	while (r >= 0 && !relay->stopped)
		r = vnic_relay_dispatch(relay, -1, err);
	relay->stopped = false;
	return r < 0 ? r : 0;
}
