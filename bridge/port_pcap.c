/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Captures as ports: a file whose packets come in as they were recorded, and one into which goes what is sent there.
 *
 * Theory of operation.  A file is always readable, so what wakes the port that replays is a timer of its own, in the
 * place of a queue: it expires when the next packet is due, and stays so as long as packets are.  Due is
 * counted from the first packet, in absolute time: a late packet makes no later one late.  At the end of the file the
 * port is closed like any whose device is gone, but for the relay that is no failure.
 *
 * The port that writes is a capture of one interface (capture.c).  What it has taken waits in a buffer: an error may
 * come with a later write or at the end of the run, and is told once.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>

#include "capture.h"
#include "fd.h"
#include "pcap.h"
#include "relay_ports.h"

#define LONGEST (1LL << 60) /* ns, 36 years: later than that is never */

/* --- replay --------------------------------------------------------------------------- */

struct replay {
	double speed; /* 0: as fast as it goes */
	uint16_t linktype;
	bool begun;           /* the first packet has been read */
	bool pending;         /* `packet` is read and not yet due */
	int64_t begin, first; /* CLOCK_MONOTONIC and the packet's time, of the first packet */
	int64_t due;          /* of the last packet read */
	struct pcap_packet packet;
	struct pcap pcap;
};

static void wake_at(const struct port *port, int64_t due)
{
	const struct itimerspec spec = {.it_value = {.tv_sec = due / NS_PER_S, .tv_nsec = due % NS_PER_S}};

	timerfd_settime(port->fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* A packet without a time is due with the one before it. */
static void set_due(struct replay *replay, int64_t now)
{
	const struct pcap_packet *packet = &replay->packet;
	int64_t after;
	double scaled;

	if (!replay->begun || replay->speed == 0) {
		replay->due = now;
		replay->begin = now;
		replay->first = packet->time;
		replay->begun = packet->timed;
		return;
	}
	if (!packet->timed)
		return;
	if (__builtin_sub_overflow(packet->time, replay->first, &after))
		after = packet->time > 0 ? INT64_MAX : INT64_MIN;
	scaled = (double)after / replay->speed;
	replay->due = scaled < -LONGEST ? now : scaled > LONGEST ? LONGEST : replay->begin + (int64_t)scaled;
}

static int fail(struct port *port, const struct vnic_error *why)
{
	relay_fail(port, why);
	return -why->code;
}

/* What weather still holds goes first. */
static int end(const struct port *port)
{
	const struct port_side *side = &port->sides[VNIC_INGRESS];

	if (!side_held(side))
		return -ENODATA;
	wake_at(port, side->timer.due + 1);
	return -EAGAIN;
}

static int next_packet(struct port *port)
{
	struct replay *replay = port->state;
	struct vnic_error err;
	int r;

	if (replay->pending)
		return 0;
	r = pcap_next(&replay->pcap, &replay->packet, &err);
	if (r == 0)
		return end(port);
	if (r == -EAGAIN) /* the timer has expired and stays so: the next turn goes on */
		return r;
	if (r > 0 && replay->packet.linktype != replay->linktype)
		r = vnic_fail(&err, VNIC_STEP_READ, EBADMSG, NULL, "a packet of link type %u among others of type %u",
			      replay->packet.linktype, replay->linktype);
	if (r < 0)
		return fail(port, &err);
	replay->pending = true;
	set_due(replay, port->relay->now);
	return 0;
}

/* False: it is lost, and the next may be one. */
static bool take_packet(struct port *port, struct frame *frame)
{
	struct replay *replay = port->state;
	const struct pcap_packet *packet = &replay->packet;

	replay->pending = false;
	if (packet->len < packet->original || packet->len > VNIC_FRAME_MAX) {
		port_lose(port, packet->len < packet->original ? VNIC_DROP_CUT : VNIC_DROP_OVERSIZE);
		return false;
	}
	if (packet->len < (port->tun ? 1 : ETH_HLEN)) {
		port_lose(port, VNIC_DROP_SHORT);
		return false;
	}
	memcpy(frame->data, packet->data, packet->len);
	frame->hdr = (struct vnic_vnet_hdr){0};
	frame->len = packet->len;
	return true;
}

static int replay_read(struct port *port, unsigned queue, struct frame *frames, unsigned max)
{
	struct replay *replay = port->state;
	unsigned count = 0;

	(void)queue;
	for (unsigned i = 0; i < max; i++) {
		int r = next_packet(port);

		if (r < 0)
			return count ? (int)count : r;
		if (replay->due > port->relay->now) {
			wake_at(port, replay->due);
			return count ? (int)count : -EAGAIN;
		}
		if (take_packet(port, &frames[count]) && frames[count++].len > FRAME_LARGE)
			break;
	}
	return (int)count;
}

static int replay_write(struct port *port, const struct frame *frame)
{
	(void)port;
	(void)frame;
	return -EOPNOTSUPP;
}

static int replay_start(struct port *port, struct vnic_error *err)
{
	CLEANUP_FD int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	int r;

	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_OPEN, errno, "a timer", NULL);
	port->fd = fd;
	r = port_watch_queue(port, 0, false, err);
	if (r < 0)
		return r;
	take_fd(&fd);
	port->queues = 1;
	wake_at(port, 1);
	return 0;
}

static void replay_close(struct port *port)
{
	struct replay *replay = port->state;

	close_fd(&port->fd);
	close_fd(&replay->pcap.fd);
	free(replay);
}

static const struct port_ops replay_ops = {
	.kind = "pcap",
	.start = replay_start,
	.read = replay_read,
	.write = replay_write,
	.close = replay_close,
};

static int replay_init(struct port *port, const struct vnic_pcap *config, struct vnic_error *err)
{
	CLEANUP_FREE struct replay *replay = malloc(sizeof(*replay));
	int r;

	if (!replay)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	replay->speed = config->speed;
	replay->begun = replay->pending = false;
	r = pcap_begin(&replay->pcap, config->fd, &replay->linktype, err);
	if (r < 0)
		return r;
	if (replay->linktype != LINKTYPE_ETHERNET && replay->linktype != LINKTYPE_RAW)
		return vnic_fail(err, VNIC_STEP_PORT, EINVAL, NULL,
				 "it has link type %u, and only Ethernet (1) and raw IP (101) can be replayed",
				 replay->linktype);
	port->ops = &replay_ops;
	port->tun = replay->linktype == LINKTYPE_RAW;
	port->fds = &port->fd;
	port->state = take_ptr(replay);
	return 0;
}

/* --- record --------------------------------------------------------------------------- */

struct record {
	int fd;                  /* the capture's, once there is one */
	struct capture *capture; /* from start to close */
	struct port *port;
	struct timer timer; /* for what waits to be written */
};

static void tell_error(struct port *port)
{
	const struct record *record = port->state;
	struct vnic_capture_stats stats;
	struct vnic_error err;

	capture_get_stats(record->capture, &stats);
	if (!stats.error || port->gone)
		return;
	vnic_fail(&err, VNIC_STEP_WRITE, stats.error, NULL, NULL);
	relay_fail(port, &err);
	relay_lose_port(port);
}

static void write_out(struct port *port)
{
	struct record *record = port->state;

	capture_flush(record->capture, port->relay->now);
	tell_error(port);
	timers_set(&port->relay->timers, &record->timer, capture_due(record->capture));
}

static void write_waiting(struct timer *timer, int64_t now)
{
	(void)now; /* the relay's own */
	write_out(((struct record *)((char *)timer - offsetof(struct record, timer)))->port);
}

/* No queue is watched: nothing comes from there. */
static int record_read(struct port *port, unsigned queue, struct frame *frames, unsigned max)
{
	(void)port;
	(void)queue;
	(void)frames;
	(void)max;
	return -EAGAIN;
}

static int record_write(struct port *port, const struct frame *frame)
{
	const struct record *record = port->state;

	if (!capture_frame(record->capture, 0, VNIC_EGRESS, frame, NULL))
		return -EAGAIN;
	port->dirty = true;
	return 0;
}

static void record_sync(struct port *port)
{
	const struct record *record = port->state;

	capture_sync(record->capture);
	tell_error(port);
}

static int record_start(struct port *port, struct vnic_error *err)
{
	struct record *record = port->state;
	const struct vnic_capture config = {.fd = record->fd};
	int r = capture_new(&config, &record->capture, err);

	if (r == 0)
		capture_add_interface(record->capture, port->name, port->tun);
	return r;
}

static void record_close(struct port *port)
{
	struct record *record = port->state;

	timers_set(&port->relay->timers, &record->timer, TIMER_NEVER);
	capture_note_counts(record->capture, 0, port->stats.tx_frames, 0);
	capture_free(record->capture);
	free(record);
}

static const struct port_ops record_ops = {
	.kind = "pcap",
	.start = record_start,
	.read = record_read,
	.write = record_write,
	.flush = write_out,
	.sync = record_sync,
	.close = record_close,
};

static int record_init(struct port *port, const struct vnic_pcap *config, struct vnic_error *err)
{
	struct record *record = malloc(sizeof(*record));

	if (!record)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	*record = (struct record){.fd = config->fd, .port = port, .timer = {.run = write_waiting}};
	port->ops = &record_ops;
	port->takes_tun = true;
	port->state = record;
	return 0;
}

int port_pcap_init(struct port *port, const void *with, struct vnic_error *err)
{
	const struct vnic_pcap *config = with;

	return config->write ? record_init(port, config, err) : replay_init(port, config, err);
}
