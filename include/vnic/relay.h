/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The relay: a loop that reads frames from ports and writes them to ports.
 *
 * Two ports are a patch; more form a learning switch.  Super-frames pass whole, with
 * their virtio header.  The relay has one descriptor to wait on and a dispatch call, so it
 * fits any event loop; vnic_relay_run is the loop for those who have none.
 */
#ifndef VNIC_RELAY_H
#define VNIC_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include <vnic/addr.h>
#include <vnic/api.h>
#include <vnic/error.h>
#include <vnic/opener.h>
#include <vnic/tap.h>

#define VNIC_RELAY_PORTS 1024
#define VNIC_RELAY_MACS (1u << 20) /* that may be learnt */
#define VNIC_RELAY_WATCHES 16
#define VNIC_RELAY_THREADS 64

struct vnic_nl; /* link.h */
struct vnic_relay;

struct vnic_relay_config {
	unsigned fdb_max;   /* learnt MACs at most; 0: 4096.  When full, the new one is not learnt and counted */
	unsigned fdb_age_s; /* seconds until an unused MAC is forgotten; 0: 300 */
	unsigned batch;     /* frames taken from a port in one turn; 0: 32 */
	bool hub;           /* send every frame everywhere, learn nothing */
	/*
	 * Look for frames all the time: one CPU is always busy, and no frame waits for this thread to wake up.  While
	 * frames come it is tried now and then whether they pass sooner when it sleeps, or on another CPU: who waits
	 * for them may then have the CPU at once.  It keeps to what was best.  In vnic_relay_run a thread that can come
	 * back from it (CAP_SYS_NICE, or RLIMIT_NICE: getrlimit(2)) tries SCHED_IDLE (sched(7)), too.
	 */
	bool busy_poll;
	/*
	 * Threads in vnic_relay_run, each with its own queues of every port and a table of MACs of its own: they share
	 * nothing, and as the kernel keeps a flow on one queue, in both directions, flows keep their order.  More than
	 * one wants TAP or TUN ports only, each with a multiple of so many queues; vnic_relay_dispatch alone serves the
	 * first one's share.  0: 1.
	 */
	unsigned threads;
};

/* Why a frame was not delivered. */
enum vnic_drop {
	VNIC_DROP_FULL,      /* the destination's queue was full (EAGAIN, ENOBUFS) */
	VNIC_DROP_DOWN,      /* the destination is down or gone */
	VNIC_DROP_SHORT,     /* shorter than its link header */
	VNIC_DROP_OVERSIZE,  /* larger than the reader's buffer or the destination's MTU */
	VNIC_DROP_REFUSED,   /* the kernel refused the frame (EINVAL and others) */
	VNIC_DROP_ISOLATED,  /* both ports are isolated */
	VNIC_DROP_SAME_PORT, /* the destination is where it came from */
	VNIC_DROP_NO_PORT,   /* nobody to send to */
	VNIC_DROP_SOURCE,    /* a multicast or zero source MAC */
	VNIC_DROP_SEGMENT,   /* a super-frame that the destination cannot take and that cannot be cut */
	VNIC_DROP_LINK_DOWN, /* the port's link was set down */
	VNIC_DROP_FILTERED,  /* the port's filter does not pass it */
	VNIC_DROP_LOST,      /* by an impairment that asks for loss */
	VNIC_DROP_HELD,      /* an impairment holds as many, or as many bytes, as it may */
	VNIC_DROP_INSPECTED, /* the inspector's verdict (inspect.h) */
	VNIC_DROP_TUNNEL,    /* no frame of this tunnel: another number, or a header that is none */
	VNIC_DROP_STRANGER,  /* from who is not the port's peer, or none of the tunnel's remotes */
	VNIC_DROP_CUT,       /* of a file: not all of it was captured */
	/*
	 * It was dropped by the kernel, for the socket's queue was full, or the device's (where it is known, see
	 * vnic_relay_count_drops): the relay is too slow.
	 */
	VNIC_DROP_OVERRUN,
	VNIC_DROP_COUNT,
};

/* What is more than came in, so that the accounts can be closed: see struct vnic_relay_stats. */
enum vnic_made {
	VNIC_MADE_COPY,      /* flooding, of the switch or a tunnel: each copy but the first */
	VNIC_MADE_SEGMENT,   /* a super-frame cut for a port: each segment but the first */
	VNIC_MADE_DUPLICATE, /* by an impairment */
	VNIC_MADE_INJECTED,  /* by vnic_relay_inject */
	VNIC_MADE_COUNT,
};

/* Of a relay with a fast path, see struct vnic_fast_path. */
enum vnic_fast_state {
	VNIC_FAST_NONE,   /* it has none */
	VNIC_FAST_CLOSED, /* for now: somebody looks at the frames, or a device is down */
	VNIC_FAST_OPEN,   /* the kernel carries the frames */
	VNIC_FAST_LOST,   /* for good */
};

/* As a port sees it: from the port into the relay, and back. */
enum vnic_direction { VNIC_INGRESS, VNIC_EGRESS, VNIC_DIRECTIONS };

struct vnic_port_stats {
	uint64_t rx_frames, rx_bytes;         /* read from the port: frames, and bytes without the virtio header */
	uint64_t tx_frames, tx_bytes;         /* written to it */
	uint64_t rx_dropped[VNIC_DROP_COUNT]; /* read from this port and delivered nowhere, by reason */
	uint64_t tx_dropped[VNIC_DROP_COUNT]; /* meant for this port and not written, by reason */
};

struct vnic_capture_stats {
	uint64_t frames; /* captured */
	uint64_t missed; /* not captured: the reader was too slow */
	int error;       /* why the capture has ended, an errno; 0: it has not */
};

/*
 * Every frame that came in is accounted for: over all ports,
 *   rx_frames + made = tx_frames + rx_dropped + tx_dropped + held + merged
 * Of one port, whatever its kind: rx_frames is all that its peer, its device or its file had for it, frames or not, and
 * what the kernel had no room for (overrun); tx_frames is what the kernel has taken, or waits for a stream's peer or
 * in a file's buffer.
 */
struct vnic_relay_stats {
	unsigned ports; /* still open */
	uint64_t made[VNIC_MADE_COUNT];
	uint64_t held;       /* on their way, for now */
	uint64_t held_bytes; /* of these, but for what the kernel holds on a fast path */
	uint64_t merged;     /* frames that became part of a super-frame that was counted */
	struct vnic_capture_stats capture;
	enum vnic_fast_state fast_path;
	unsigned fdb_entries;
	uint64_t fdb_full;  /* MACs not learnt because the table was full */
	uint64_t fdb_moves; /* MACs seen on another port than before */
};

/* -EINVAL: more MACs or threads than there may be, or a batch above 256. */
VNIC_API int vnic_relay_new(const struct vnic_relay_config *config, struct vnic_relay **ret_relay,
			    struct vnic_error *err);
VNIC_API void vnic_relay_free(struct vnic_relay *relay);

/*
 * Adds a TAP or TUN device; the relay takes the descriptors over and empties *tap.  All of its queues are
 * read; frames are written to queue 0.  A relay holds TUN ports only in a pair of two TUNs (-EINVAL otherwise), for
 * packets without a link header cannot be switched.  Returns the port's number.
 */
VNIC_API int vnic_relay_add_tap(struct vnic_relay *relay, const char *name, struct vnic_tap *tap,
				struct vnic_error *err);

/*
 * Adds a packet socket (packet(7): AF_PACKET, SOCK_RAW, non-blocking, bound to one interface,
 * PACKET_VNET_HDR and PACKET_IGNORE_OUTGOING and PACKET_AUXDATA on); vnic_packet_open makes one.
 * Takes the descriptor over.  Returns the port's number.
 */
VNIC_API int vnic_relay_add_packet(struct vnic_relay *relay, const char *name, int fd, struct vnic_error *err);

/* Opens such a socket on interface `index` of the caller's namespace; promiscuous. Needs CAP_NET_RAW. */
VNIC_API int vnic_packet_open(int index, int *ret_fd, struct vnic_error *err);

/* How a connection is had: accepted, or dialled; and how again, when it is lost. */
struct vnic_conn {
	int listener;                     /* listening, non-blocking; one peer at a time; -1: none */
	int fd;                           /* connected, non-blocking; -1: none yet */
	const struct vnic_opener *opener; /* opens `redial`; must live as long as the relay */
	struct vnic_open_request redial;
	unsigned redial_ms; /* rest before a dial; 0: a lost connection is the end of the port */
};

/*
 * Adds a byte stream, each frame behind its length in 32 bits, big endian, as QEMU's "-netdev stream" has it; or a
 * socket of sequenced packets, each a frame.  Takes the descriptors over when it succeeds.  Returns the port's number.
 */
VNIC_API int vnic_relay_add_stream(struct vnic_relay *relay, const char *name, const struct vnic_conn *conn,
				   struct vnic_error *err);
VNIC_API int vnic_relay_add_seqpacket(struct vnic_relay *relay, const char *name, const struct vnic_conn *conn,
				      struct vnic_error *err);

struct vnic_dgram {
	int fd;                       /* bound or connected, non-blocking */
	bool learns;                  /* the peer is whoever spoke last */
	struct sockaddr_storage peer; /* where frames go; of IP: and the only one who is listened to */
	socklen_t peer_len;           /* 0: learnt, or the socket is connected */
};

/* Adds a socket of Unix datagrams or UDP, each a frame; takes it over when it succeeds.  Returns the port's number. */
VNIC_API int vnic_relay_add_dgram(struct vnic_relay *relay, const char *name, const struct vnic_dgram *dgram,
				  struct vnic_error *err);

#define VNIC_VXLAN_REMOTES 64
#define VNIC_VXLAN_PORT 4789

struct vnic_vxlan {
	int fd;                                 /* UDP, bound, non-blocking */
	uint32_t vni;                           /* the network's number, of 24 bits */
	unsigned remote_count;                  /* VNIC_VXLAN_REMOTES at most */
	const struct sockaddr_storage *remotes; /* of the socket's family; NULL: whoever speaks becomes one */
};

/*
 * Adds a VXLAN (RFC 7348) with one remote or more: what is known to be behind one of them goes there, the rest to
 * all.  Takes the descriptor over when it succeeds.  Returns the port's number.
 */
VNIC_API int vnic_relay_add_vxlan(struct vnic_relay *relay, const char *name, const struct vnic_vxlan *vxlan,
				  struct vnic_error *err);

struct vnic_pcap {
	int fd;       /* of a file */
	bool write;   /* what is sent to the port is written there, as pcapng; else it is read: pcap or pcapng */
	double speed; /* reading: 1: as recorded, 2: twice as fast, ...; 0: as fast as it goes */
};

/*
 * Adds a file of captured frames.  Takes the descriptor over when it succeeds.  Of packets without a link header (link
 * type "raw") it is a TUN; a file that is written is like the first port.  Returns the port's number.  -EBADMSG: not
 * such a file; -EINVAL: of another link type.
 */
VNIC_API int vnic_relay_add_pcap(struct vnic_relay *relay, const char *name, const struct vnic_pcap *pcap,
				 struct vnic_error *err);

/* Has vnic_relay_free call `at_end` before it closes the port: to delete a link, to remove a file.  -ENOENT: no such
 * port. */
VNIC_API int vnic_relay_at_end(struct vnic_relay *relay, unsigned port, void (*at_end)(void *ctx), void *ctx);

enum vnic_jitter { VNIC_JITTER_UNIFORM, VNIC_JITTER_NORMAL };

/*
 * Bad weather for one port and direction.  Probabilities are 0 to 1.  Super-frames are cut first, for weather strikes
 * packets.  The same seed and the same frames give the same fates; delays come on top of whatever the machine adds.
 */
struct vnic_impairment {
	uint32_t delay_us;
	uint32_t jitter_us;      /* uniform: delay +- jitter; normal: its standard deviation.  Never below 0 */
	enum vnic_jitter jitter; /* with jitter frames overtake each other only if `overtake` is set */
	bool overtake;
	uint64_t rate_bps; /* bits a second, with the frame's link header; 0: no limit */
	uint32_t burst;    /* bytes that may go at once after a rest; 0: a frame */
	/*
	 * Gilbert-Elliott: in the good state a frame is lost with `loss`, in the bad one with `bad_loss`; before each
	 * frame the state changes with to_bad and to_good.  to_bad 0: loss is independent.
	 */
	double loss, to_bad, to_good, bad_loss;
	double duplicate;
	double reorder;       /* of a delayed stream: this one goes at once, before those that wait */
	double corrupt;       /* one bit is flipped, behind the link header */
	uint32_t limit;       /* frames held at most, the rest is lost; 0: 10000 */
	uint64_t limit_bytes; /* and bytes of them; 0: 64 MiB */
	uint64_t seed;        /* 0: another one each time */
};

/*
 * Sets the weather, or changes it while frames fly; NULL: fair.  What is held when it gets fair goes at once, and what
 * waits for a rate goes at the new one.
 * -ENOENT: no such port; -EINVAL: not a probability.
 */
VNIC_API int vnic_relay_set_impairment(struct vnic_relay *relay, unsigned port, enum vnic_direction direction,
				       const struct vnic_impairment *impairment, struct vnic_error *err);

/*
 * Lets only frames pass that match an expression as tcpdump has it (pcap-filter(7)); NULL: all.  Loads libpcap when
 * first used.  -ENOENT: no such port; -EINVAL: not such an expression; -ENOSYS: no libpcap here.
 */
VNIC_API int vnic_relay_set_filter(struct vnic_relay *relay, unsigned port, enum vnic_direction direction,
				   const char *expression, struct vnic_error *err);

struct vnic_capture {
	/* A file, or a pipe, whose reader may go: ignore SIGPIPE.  Made non-blocking; on success the relay's. */
	int fd;
	uint32_t snaplen;      /* bytes of each frame; 0: all */
	unsigned directions;   /* bits, 1 << VNIC_INGRESS...; 0: ingress, so that each frame is there once */
	bool drops;            /* also frames that are dropped, with the reason as a comment */
	uint64_t rotate_bytes; /* after so many the next file; 0: never */
	/* Opens it; `number` counts from 1.  NULL: there is one file only. */
	int (*next)(void *ctx, unsigned number, int *ret_fd, struct vnic_error *err);
	void *ctx;
};

/*
 * Writes frames as pcapng: an interface for each port with its name, directions, and what was dropped.  NULL: ends the
 * capture, writes what is left, and returns why not all of it has been written, if so.  One that is replaced ends, too,
 * but in silence.  -EOPNOTSUPP: the relay has threads; -EBUSY: it has a fast path.
 */
VNIC_API int vnic_relay_set_capture(struct vnic_relay *relay, const struct vnic_capture *capture,
				    struct vnic_error *err);

/* The link of a port that is down loses what comes in and what should go out.  -ENOENT: no such port. */
VNIC_API int vnic_relay_set_link(struct vnic_relay *relay, unsigned port, bool up);

/* Isolated ports pass nothing to each other.  -ENOENT: no such port. */
VNIC_API int vnic_relay_set_isolated(struct vnic_relay *relay, unsigned port, bool isolated);

/* The device of a port that is one; owned by the relay.  -ENOENT: no such port, or no TAP or TUN. */
VNIC_API int vnic_relay_get_tap(const struct vnic_relay *relay, unsigned port, const struct vnic_tap **ret_tap);

/*
 * Has the relay count what the device of a TAP or TUN port drops because it is not read soon enough: each time that
 * the port's figures are asked for, the kernel is asked by `nl`, a socket in the namespace where the device is, which
 * the relay owns when this succeeds.  -ENOENT: no such port, or no TAP or TUN; -EBUSY: it has one already.
 */
VNIC_API int vnic_relay_count_drops(struct vnic_relay *relay, unsigned port, struct vnic_nl *nl);

#define VNIC_FAST_PORTS 2

/* What has gone by the fast path since it was made; each only grows. */
struct vnic_fast_count {
	uint64_t rx_frames, rx_bytes; /* from the port */
	uint64_t rx_overruns;         /* from the port, and dropped before they were counted there */
	uint64_t tx_frames, tx_bytes; /* to the port */
	uint64_t tx_full;             /* meant for it, and dropped */
};

/*
 * A way around user space: something that can have the kernel carry frames between the two ports of a patch by itself.
 * The relay opens it for as long as nothing would be done to a frame but to pass it on: no filter, no weather, no
 * inspector, no link that is down, and not both ports isolated.  Such a relay has no capture.
 */
struct vnic_fast_path {
	void *ctx;
	/* Frames take it from now on, or come to the ports again; on failure all is as it was. */
	int (*set)(void *ctx, bool open, struct vnic_error *err);
	/*
	 * By port; untouched on failure.  What has come in at one port is counted after what has gone out at the other,
	 * so that more never goes out.
	 */
	int (*count)(void *ctx, struct vnic_fast_count ret_counts[VNIC_FAST_PORTS]);
	void (*free)(void *ctx); /* closed before */
};

/*
 * Gives a relay of two ports a fast path, which it owns when that succeeds, and opens it if it may.  NULL: ends it, for
 * good.  -EINVAL: not two ports, or threads, or a capture; -EBUSY: there is one already, or was.
 */
VNIC_API int vnic_relay_set_fast_path(struct vnic_relay *relay, const struct vnic_fast_path *way, bool usable,
				      struct vnic_error *err);
/* Whether it can be used, for now, as far as those know who made it. */
VNIC_API int vnic_relay_let_fast_path(struct vnic_relay *relay, bool usable, struct vnic_error *err);

/* Readable when there is work; for the caller's own loop.  Owned by the relay. */
VNIC_API int vnic_relay_get_fd(const struct vnic_relay *relay);

/*
 * Moves what is there and returns the number of frames moved; waits up to timeout_ms for the
 * first (0: does not wait, -1: for ever).  A port whose device is gone is closed and
 * counted; -ENODEV when fewer than two are left, -ENODATA when that is so because a file has been replayed to its end.
 * -EBADMSG and others: a file could not be read on, or written; its port is closed.
 */
VNIC_API int vnic_relay_dispatch(struct vnic_relay *relay, int timeout_ms, struct vnic_error *err);

/*
 * Has dispatch call `fn` when a descriptor of the caller's is readable or has hung up, beside the ports; fn NULL:
 * no longer, which must come before it is closed.  It must not block: where one `fn` watches another descriptor in the
 * place of one that was ready, it may be called for nothing.  -ENOSPC: VNIC_RELAY_WATCHES are watched already.
 */
VNIC_API int vnic_relay_watch(struct vnic_relay *relay, int fd, void (*fn)(void *ctx, int fd), void *ctx,
			      struct vnic_error *err);

/*
 * Dispatches until all is replayed, or until vnic_relay_stop is called: from a signal handler or another thread, both
 * are safe.  Then files are written to the end; an error of that is returned as dispatch would.  The peer of a stream
 * to which all has been replayed has a second to take the rest.
 */
VNIC_API int vnic_relay_run(struct vnic_relay *relay, struct vnic_error *err);
VNIC_API void vnic_relay_stop(struct vnic_relay *relay);

/* What has gone by a fast path is told as it was at the last dispatch. */
VNIC_API void vnic_relay_get_stats(const struct vnic_relay *relay, struct vnic_relay_stats *ret_stats);
/* -ENOENT: no such port.  *ret_name is owned by the relay; *ret_open says whether the device is still there. */
VNIC_API int vnic_relay_get_port(const struct vnic_relay *relay, unsigned port, const char **ret_name, bool *ret_open,
				 struct vnic_port_stats *ret_stats);
/* "full", "down", ...; "copy", "segment", ...; "open", "closed", ...; static. */
VNIC_API const char *vnic_drop_text(enum vnic_drop drop);
VNIC_API const char *vnic_made_text(enum vnic_made made);
VNIC_API const char *vnic_fast_text(enum vnic_fast_state state);

#endif
