/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The relay's loop: wait, read, pass on, flush.
 *
 * Theory of operation.  One thread, one epoll set.  A port that is ready gives up to `batch` frames in its turn; small
 * ones several at a time, so that ports which can may read and write them with one call; large ones
 * one by one, so that 64 KiB of super-frame are copied in and out while they are in the cache.  Nothing is
 * queued here beyond a turn: a port that cannot take a frame now loses it, as on any switch, and the loss
 * is counted.  (Rejected: queues and EPOLLOUT.  The kernel already queues in front of us, in the device's
 * transmit ring; a second queue adds delay and hides congestion from TCP.)
 *
 * A port that reads many frames with one call may have some left when its turn ends, and no descriptor tells of them.
 * It goes on a list, and as long as that is not empty an eventfd is readable: others have their turns in between.
 */
#include "relay_ports.h"

#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"

#define EVENTS 64
#define SPIN_NS 20000   /* how long to look before going to sleep */
#define SHORT_NS 100000 /* a wait that would have been shorter without sleep */
#define ANSWERS_MOST 8  /* turns without epoll, one after the other */

/* --- read --------------------------------------------------------------------------- */

static bool is_gone(int r)
{
	return r < 0 && r != -EAGAIN && r != -EINTR && r != -ENETDOWN && r != -ENOBUFS && r != -ENOMEM;
}

static void come_back_to(struct vnic_relay *relay, struct port *port)
{
	if (!port->left)
		relay->left[relay->left_count++] = port->number;
	port->left = true;
	if (!relay->left_told)
		relay->left_told = eventfd_write(relay->left_fd, 1) == 0;
}

/* To look for another frame costs the first one time.  So none is looked for where they come one by one, in turns. */
static unsigned turn_size(const struct vnic_relay *relay, const struct port *port)
{
	return port->lone && relay->turns - port->turn > 1 ? 1 : relay->config.batch;
}

static int take_turn(struct vnic_relay *relay, unsigned number, unsigned queue)
{
	struct port *port = relay->ports[number];
	unsigned size = turn_size(relay, port), moved = 0;

	port->drained = false;
	while (port->open && moved < size && !port->drained) {
		int n = port->ops->read(port, queue, relay->frames, size - moved);

		if (is_gone(n))
			relay_close_port(relay, number);
		if (n == -ENODATA)
			relay->replayed = relay->opened < 2;
		if (n < 0)
			break;
		for (int i = 0; i < n; i++) {
			path_receive(relay, number, &relay->frames[i]);
			relay_reset_frame(relay, (unsigned)i);
		}
		moved += n ? (unsigned)n : 1;
	}
	port->lone = relay->lone = moved == 1;
	port->turn = relay->turns;
	if (port->open && port->more)
		come_back_to(relay, port);
	return (int)moved;
}

static int take_left(struct vnic_relay *relay)
{
	unsigned count = relay->left_count;
	uint64_t times;
	int moved = 0;

	relay->left_count = 0;
	for (unsigned i = 0; i < count; i++) { /* who comes again has a place that has been looked at */
		struct port *port = relay->ports[relay->left[i]];

		port->left = false;
		if (port->more) /* not given in a turn since */
			moved += take_turn(relay, port->number, 0);
	}
	if (!relay->left_count && read(relay->left_fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
		relay->left_told = false;
	return moved;
}

static void take_port_event(struct vnic_relay *relay, unsigned number, unsigned sub, uint32_t events)
{
	struct port *port = relay->ports[number];

	if (port->open && port->ops->event && port->ops->event(port, sub, events) < 0)
		relay_close_port(relay, number);
}

static int take_queue_event(struct vnic_relay *relay, unsigned number, unsigned queue, uint32_t events)
{
	if (events & EPOLLOUT)
		take_port_event(relay, number, PORT_WRITABLE, events);
	return take_turn(relay, number, queue);
}

/* --- wait --------------------------------------------------------------------------- */

static bool polls(const struct vnic_relay *relay)
{
	return relay->config.busy_poll && relay->pace.way != PACE_SLEEP && !fast_path_is_open(relay);
}

/*
 * To wake a thread on a sleeping CPU costs the sender of the frame tens of microseconds in a virtual machine.  So when
 * frames follow each other closely the relay looks again for a moment, giving way to whoever is ready to run;
 * when they do not, it sleeps at once.  One that polls busily looks for ever, unless that has proved slower (pace.c).
 */
static bool looks_again(const struct vnic_relay *relay, int64_t spent, int timeout_ms)
{
	if (polls(relay))
		return timeout_ms < 0 || spent < timeout_ms * 1000000LL;
	return relay->busy && spent < SPIN_NS;
}

static void look_late(struct vnic_relay *relay, int64_t now)
{
	if (!pace_has_slept(&relay->pace) && pace_crowd(&relay->pace, now))
		pace_go(&relay->pace);
}

static int wait_for_work(struct vnic_relay *relay, struct epoll_event *events, int timeout_ms, struct vnic_error *err)
{
	int64_t start = monotonic_ns(), looked = start;
	int n = 0;

	while (timeout_ms != 0 && n == 0 && looks_again(relay, looked - start, timeout_ms)) {
		int64_t before = looked;

		n = loop_wait(relay->epfd, events, EVENTS, 0, err);
		if (n == 0)
			sched_yield();
		looked = monotonic_ns();
		if (looked - before >= PACE_LATE_NS && polls(relay))
			look_late(relay, looked);
	}
	if (n == 0)
		n = loop_wait(relay->epfd, events, EVENTS, polls(relay) ? 0 : timeout_ms, err);
	relay->now = monotonic_ns();
	relay->busy = relay->now - start < SHORT_NS;
	return n;
}

static void take_stop(struct vnic_relay *relay)
{
	uint64_t count;

	relay->stopped = read(relay->stop_fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

/* --- a turn ------------------------------------------------------------------------- */

static int too_few(const struct vnic_relay *relay, struct vnic_error *err)
{
	if (relay->replayed)
		return vnic_fail(err, VNIC_STEP_RELAY, ENODATA, NULL, "all that was to be replayed has been");
	return vnic_fail(err, VNIC_STEP_RELAY, ENODEV, NULL, "it takes two open ports, and there is %s",
			 relay->opened ? "one" : "none");
}

static int take_failure(struct vnic_relay *relay, struct vnic_error *err)
{
	int code = relay->failure.code;

	if (err)
		*err = relay->failure;
	relay->failure.code = 0;
	return -code;
}

/*
 * Whoever speaks in lone frames and is sent one may answer at once; a kernel does while we write to it.  Who polls
 * busily looks there first: of the system calls of such a frame epoll is a third.  The other ports wait, but not long.
 */
static int take_answer(struct vnic_relay *relay)
{
	struct port *port = relay->sent_to < relay->count ? relay->ports[relay->sent_to] : NULL;
	bool looks =
		relay->lone && relay->answers < ANSWERS_MOST && port && port->lone && port->queues == 1 && polls(relay);
	int moved = 0;

	relay->lone = false;
	if (looks) {
		relay->now = monotonic_ns();
		relay->turns++;
		moved = take_turn(relay, relay->sent_to, 0);
		path_flush(relay);
	}
	relay->answers = moved ? relay->answers + 1 : 0;
	return moved;
}

static int take_events(struct vnic_relay *relay, int timeout_ms, struct vnic_error *err)
{
	struct epoll_event events[EVENTS];
	int moved = 0, n = wait_for_work(relay, events, timeout_ms, err);

	relay->turns++;
	fdb_sweep(&relay->fdb, (uint32_t)(relay->now / NS_PER_S));
	for (int i = 0; i < n; i++) {
		struct loop_ref ref = loop_ref_of(&events[i]);

		switch ((enum relay_ref)ref.type) {
		case RELAY_REF_QUEUE:
			moved += take_queue_event(relay, ref.index, ref.sub, events[i].events);
			break;
		case RELAY_REF_PORT:
			take_port_event(relay, ref.index, ref.sub, events[i].events);
			break;
		case RELAY_REF_LEFT:
			moved += take_left(relay);
			break;
		case RELAY_REF_TIMER:
			timers_run(&relay->timers, relay->now);
			break;
		case RELAY_REF_STOP:
			take_stop(relay);
			break;
		case RELAY_REF_WATCH:
			relay_take_watch(relay, ref.index);
			break;
		}
		path_flush(relay);
	}
	return n < 0 ? n : moved;
}

int vnic_relay_dispatch(struct vnic_relay *relay, int timeout_ms, struct vnic_error *err)
{
	int moved;

	if (relay->opened < 2 && !(relay->replayed && relay_held(relay, &(uint64_t){0})))
		return too_few(relay, err);
	moved = take_answer(relay);
	if (!moved)
		moved = take_events(relay, timeout_ms, err);
	if (moved > 0 && relay->config.busy_poll && pace_count(&relay->pace, (unsigned)moved, relay->now))
		pace_go(&relay->pace);
	return relay->failure.code ? take_failure(relay, err) : moved;
}

/* At the end of a run, or an error of the last write would be nobody's. */
static int sync_ports(struct vnic_relay *relay, struct vnic_error *err)
{
	for (unsigned i = 0; i < relay->count; i++)
		if (relay->ports[i]->open && relay->ports[i]->ops->sync)
			relay->ports[i]->ops->sync(relay->ports[i]);
	path_flush(relay);
	return relay->failure.code ? take_failure(relay, err) : 0;
}

int relay_run_lane(struct vnic_relay *relay, struct vnic_error *err)
{
	int r = 0;

	if (relay->config.busy_poll)
		pace_begin(&relay->pace);
	while (r >= 0 && !relay->stopped)
		r = vnic_relay_dispatch(relay, -1, err);
	relay->stopped = false;
	pace_end(&relay->pace);
	return r < 0 && r != -ENODATA ? r : sync_ports(relay, err);
}
