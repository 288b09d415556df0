/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay's inside, for its own files and for tests that bring ports of their own. */
#ifndef BRIDGE_RELAY_PORTS_H
#define BRIDGE_RELAY_PORTS_H

#include <vnic/inspect.h>

#include "fdb.h"
#include "pace.h"
#include "port.h"
#include "timer.h"

/* Types of its loop's events. */
enum relay_ref {
	RELAY_REF_QUEUE, /* index: the port, sub: which of its queues */
	RELAY_REF_LEFT,  /* ports whose turn goes on */
	RELAY_REF_PORT,  /* index: the port, sub: as given to port_watch */
	RELAY_REF_TIMER,
	RELAY_REF_STOP,
	RELAY_REF_WATCH, /* index: which */
};

#define RELAY_BATCH 256 /* frames in one turn, at most */

struct watch {
	int fd;
	void (*fn)(void *ctx, int fd); /* NULL: free */
	void *ctx;
};

struct vnic_relay {
	struct vnic_relay_config config;
	struct vnic_relay_stats stats; /* made; the rest is filled in when asked */
	int epfd, stop_fd;
	int left_fd; /* readable while `left` is not empty */
	bool left_told;
	unsigned left_count;
	unsigned left[VNIC_RELAY_PORTS]; /* ports that have more than they gave in their turn */
	bool stopped, replayed;
	struct vnic_error failure; /* code 0: none */
	bool busy;                 /* the last wait was short, so the next may be */
	struct pace pace;          /* of one that polls busily */
	int64_t now;               /* CLOCK_MONOTONIC at the begin of a turn, ns */
	uint64_t turns;            /* so far, counted at their begin */
	unsigned sent_to;          /* the port that a frame went to last */
	bool lone;                 /* it was the only one of its turn */
	unsigned answers;          /* looked for without epoll, one after the other */
	struct vnic_relay **lanes; /* of the other threads; see lanes.c */
	unsigned lane_count;
	struct timers timers;
	struct watch watches[VNIC_RELAY_WATCHES];
	struct capture *capture; /* NULL: none */
	struct fast_path *fast;  /* NULL: none, ever */
	struct timer capture_timer;
	struct fdb fdb;
	struct port *ports[VNIC_RELAY_PORTS]; /* by number; a closed port keeps its number and its counters */
	unsigned count, opened;               /* ports ever added; still open */
	struct frame *frames;                 /* config.batch of them, each with its room */
	uint8_t *room;
	uint8_t *spare;            /* room for one more frame: a segment, a copy */
	vnic_inspector *inspector; /* NULL: none */
	void *inspector_ctx;
	bool inspecting;               /* the inspector runs */
	uint8_t *inspected, *injected; /* room for one frame each */
	unsigned dirty_count;
	unsigned dirty[VNIC_RELAY_PORTS]; /* ports that have gathered frames in this turn */
};

/* On its way a frame may have grown to the front: its place is the old one again. */
void relay_reset_frame(struct vnic_relay *relay, unsigned index);
/* Bytes from there to the end of its room; 0: it is in none. */
size_t relay_room_behind(const struct vnic_relay *relay, const uint8_t *data);

/* Takes over an allocated port that its kind has filled; returns its number.  On failure it is still the caller's. */
int relay_add_port(struct vnic_relay *relay, const char *name, struct port *port, struct vnic_error *err);
/* Threads (lanes.c). */
int lanes_new(struct vnic_relay *relay, struct vnic_error *err);
void lanes_free(struct vnic_relay *relay);
/* Splits the queues of a tap among the lanes; returns the port's number in all of them. */
int lanes_add_tap(struct vnic_relay *relay, const char *name, struct vnic_tap *tap, struct vnic_error *err);
/* The loop of one lane. */
int relay_run_lane(struct vnic_relay *relay, struct vnic_error *err);

/* Frames that the kernel has dropped, for the port's socket or device was full; where neither tells, as before. */
uint64_t port_drops_so_far(const struct port *port);
/* Counts those since the last time: when somebody wants to know, and before the port is closed. */
void port_count_overruns(struct port *port);
/* Frames that weather holds, and their bytes. */
uint64_t relay_held(const struct vnic_relay *relay, uint64_t *ret_bytes);
/* Takes a port out of service, for good. */
void relay_close_port(struct vnic_relay *relay, unsigned number);
/* As if it had never been added: between turns, the next will have its number. */
void relay_remove_last_port(struct vnic_relay *relay);
/* relay_add_port for a port of a new kind: allocates it, `init` fills it from what `with` says, and it is added. */
int relay_add_kind(struct vnic_relay *relay, const char *name,
		   int (*init)(struct port *port, const void *with, struct vnic_error *err), const void *with,
		   struct vnic_error *err);

/* The way of a frame (path.c): read from a port; and to a port, whichever way it came. */
void path_receive(struct vnic_relay *relay, unsigned from, struct frame *frame);
void path_send(struct vnic_relay *relay, unsigned number, struct frame *frame);
/* The two sides of a port (sides.c).  What is held when they are cleared is lost, and counted. */
void sides_init(struct port *port);
void sides_clear(struct port *port);
unsigned side_held(const struct port_side *side);
uint64_t side_held_bytes(const struct port_side *side);

/* What an impairment holds and is due goes on; a timer's `run`.  And all of it, at once. */
void path_take_due(struct timer *timer, int64_t now);
void path_let_go(struct port_side *side);
/* Frames that wait to be merged go with their port. */
void path_lose_merged(struct port *port);
void path_free_merge(struct port *port);
/* The end of a turn. */
void path_flush(struct vnic_relay *relay);

/* The way around user space (fast_path.c): to be asked after each change of what is done to frames. */
int fast_path_update(struct vnic_relay *relay, struct vnic_error *err);
bool fast_path_is_open(const struct vnic_relay *relay);
enum vnic_fast_state fast_path_state(const struct vnic_relay *relay);
/* Adds what has gone by it to the counters of a port. */
void fast_path_add_port(const struct vnic_relay *relay, unsigned number, struct vnic_port_stats *stats);
uint64_t fast_path_held(const struct vnic_relay *relay);
void fast_path_free(struct vnic_relay *relay);

/* Asks the inspector, which there is; the frame may be another one then.  VNIC_DROP_COUNT: it goes on. */
enum vnic_drop relay_inspect(struct vnic_relay *relay, const struct port *port, struct frame *frame);

/* A descriptor of the caller's is ready (watch.c). */
void relay_take_watch(struct vnic_relay *relay, unsigned index);

/* A frame as it goes by, where somebody captures (capture_ports.c).  `dropped`: VNIC_DROP_COUNT for none. */
void relay_capture(struct vnic_relay *relay, const struct port *port, enum vnic_direction direction,
		   const struct frame *frame, enum vnic_drop dropped);
void relay_flush_capture(struct vnic_relay *relay);

#endif
