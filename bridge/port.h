/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One endpoint of a relay: what all kinds have in common, and the table that makes the difference. */
#ifndef BRIDGE_PORT_H
#define BRIDGE_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <vnic/relay.h>
#include <vnic/tap.h>

#include "timer.h"

#define FRAME_HEADROOM 128 /* writable before a frame: a VLAN tag put back, the header of a tunnel */
#define FRAME_LARGE 4096   /* a frame above this fills the cache: it is passed on before the next is read */

/* A frame on its way, with its virtio header.  The bytes belong to the relay. */
struct frame {
	struct vnic_vnet_hdr hdr;
	uint8_t *data; /* FRAME_HEADROOM writable bytes stand before it, VNIC_FRAME_MAX from it on */
	size_t len;
	bool mergeable; /* from a port without offloads: others of its flow may follow at once */
};

#define PORT_WRITABLE UINT16_MAX /* the `sub` of an event: a queue can be written to again */

struct port;

struct port_ops {
	const char *kind;
	bool overruns; /* its fd is a socket whose drops the kernel counts */
	/*
	 * Takes up to `max` frames from a queue without waiting and returns how many; the frames' data is given.  After
	 * a frame above FRAME_LARGE it takes no more.  What could not be had as a frame is counted by port_lose; 0:
	 * that is all there was this time.  -EAGAIN: nothing there, -ENETDOWN: down for now.  All else: the device is
	 * gone.  A kind that has seen the end of what was there behind the frames that it gives may set `drained`.
	 */
	int (*read)(struct port *port, unsigned queue, struct frame *frames, unsigned max);
	/*
	 * Without waiting.  -EAGAIN, -ENOBUFS: full.  -EMSGSIZE, -ENETDOWN, -EBADFD: too large, down, gone.  A port
	 * that gathers frames copies them, sets `dirty`, and counts in flush what did not go.
	 */
	int (*write)(struct port *port, const struct frame *frame);
	/* NULL: write is all.  Called at the end of a turn in which `dirty` was set. */
	void (*flush)(struct port *port);
	/* NULL: nothing waits.  Writes what a flush may leave for later; errors go to relay_fail. */
	void (*sync)(struct port *port);
	/* NULL: nothing to begin.  Called once, when the port has its relay and number. */
	int (*start)(struct port *port, struct vnic_error *err);
	/*
	 * NULL: none.  Something else became ready: a descriptor that the port gave to port_watch (`sub` as it was
	 * given there), or a queue to write to (PORT_WRITABLE).  Negative: the port is gone.
	 */
	int (*event)(struct port *port, unsigned sub, uint32_t events);
	void (*close)(struct port *port);
};

/* What frames of one direction pass. */
struct port_side {
	struct port *port;
	enum vnic_direction direction;
	struct filter *filter; /* NULL: all pass */
	struct impair *impair; /* NULL: fair weather */
	struct timer timer;    /* for what it holds */
};

struct port {
	const struct port_ops *ops;
	struct port_side sides[VNIC_DIRECTIONS];
	struct vnic_relay *relay; /* whose port it is, once added */
	unsigned number;
	const char *name; /* owned by the relay */
	struct vnic_port_stats stats;
	bool open, isolated, link_down;
	bool tun;       /* packets without a link header */
	bool takes_tun; /* until it is added: either will do */
	bool dirty;     /* has gathered frames, or merged some */
	bool marked;    /* will be flushed at the end of the turn */
	bool more;      /* has read frames that it has not given yet */
	bool drained;   /* see read; until the next turn */
	bool lone;      /* had one frame in its latest turn */
	uint64_t turn;  /* when that was: the relay's `turns` */
	bool left;      /* is on the list of those whose turn goes on */
	bool gone;      /* will be closed there */
	bool tried;     /* taps: to have what writes many frames at a time */
	unsigned takes; /* VNIC_OFFLOAD_*: of super-frames and partial checksums; what it lacks is finished before */
	unsigned queues;
	int *fds;                  /* one a queue, watched for reading; owned by the kind; may be 0 of them */
	struct vnic_tap tap;       /* taps and tuns */
	int fd;                    /* the others */
	struct vnic_nl *nl;        /* taps and tuns: see vnic_relay_count_drops; NULL: not asked for */
	uint64_t overruns;         /* drops of its socket or device that have been counted */
	struct merge *merge;       /* of frames on their way out; NULL: none so far */
	void *state;               /* of the kind, freed by its close */
	void (*at_end)(void *ctx); /* see vnic_relay_at_end */
	void *at_end_ctx;
};

/*
 * Fill an empty port with descriptors, which are closed with the port and not before.  Of the form that
 * relay_add_kind wants: `with` is a struct vnic_tap; an int.
 */
extern const struct port_ops port_tap_ops;
int port_tap_init(struct port *port, const void *with, struct vnic_error *err);
int port_packet_init(struct port *port, const void *with, struct vnic_error *err);
int port_stream_init(struct port *port, const void *with, struct vnic_error *err);    /* struct vnic_conn */
int port_seqpacket_init(struct port *port, const void *with, struct vnic_error *err); /* struct vnic_conn */
int port_dgram_init(struct port *port, const void *with, struct vnic_error *err);     /* struct vnic_dgram */
int port_vxlan_init(struct port *port, const void *with, struct vnic_error *err);     /* struct vnic_vxlan */
int port_pcap_init(struct port *port, const void *with, struct vnic_error *err);      /* struct vnic_pcap */

/* --- what the relay does for its ports (relay_ports.c, relay_stats.c) ---------------- */

/* A frame that was there but could not be had. */
void port_lose(struct port *port, enum vnic_drop why);
/* An error that must reach who runs the relay: the next dispatch ends with it. */
void relay_fail(struct port *port, const struct vnic_error *why);
/* It is gone: it is written to no more, and closed at the end of the turn. */
void relay_lose_port(struct port *port);
/* One more frame than was to be written, of `len` bytes: 0, or what ops->write returns of it. */
void port_count_copy(struct port *port, size_t len, int written);
/* One of the frames that a port has gathered, of `len` bytes, was not written: what ops->write would have returned. */
void port_lose_gathered(struct port *port, size_t len, int error);
/* Which reason an errno of a write is. */
enum vnic_drop port_drop_reason(int error);
/* Descriptors beside the queues: events (EPOLLIN, ...) go to ops->event; watching it again changes the events. */
int port_watch(struct port *port, int fd, uint32_t events, unsigned sub, struct vnic_error *err);
void port_unwatch(struct port *port, int fd);
/* A queue that came while the relay runs; or that is to be watched for writing too, or not any more. */
int port_watch_queue(struct port *port, unsigned queue, bool for_writing, struct vnic_error *err);

#endif
