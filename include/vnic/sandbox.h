/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sandboxes and relay ports put together: plan, apply, undo.
 *
 * A sandbox is a namespaced child with NICs.  Each NIC's other end is in the router, a network
 * namespace of ours that belongs to a user namespace of ours; docs/ARCHITECTURE.md has the picture.
 */
#ifndef VNIC_SANDBOX_H
#define VNIC_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include <vnic/addr.h>
#include <vnic/api.h>
#include <vnic/dns.h>
#include <vnic/error.h>
#include <vnic/gateway.h>
#include <vnic/link.h>
#include <vnic/netns.h>
#include <vnic/opener.h>
#include <vnic/policy.h>
#include <vnic/relay.h>
#include <vnic/tap.h>

#define VNIC_NICS 16     /* NICs of a sandbox */
#define VNIC_NIC_ADDRS 8 /* addresses of a NIC */

enum vnic_nic_kind { VNIC_NIC_VETH, VNIC_NIC_TAP, VNIC_NIC_TUN, VNIC_NIC_MACVLAN, VNIC_NIC_MACVTAP };
#define VNIC_NIC_KINDS (VNIC_NIC_MACVTAP + 1)
enum vnic_nic_to { VNIC_TO_GATEWAY, VNIC_TO_BRIDGE, VNIC_TO_NONE };

struct vnic_nic {
	enum vnic_nic_kind kind;
	enum vnic_nic_to to;
	char to_name[IF_NAMESIZE]; /* the bridge */
	char parent[IF_NAMESIZE];  /* macvlan, macvtap: the lower link, in the caller's namespace */
	char name[IF_NAMESIZE];    /* in the sandbox; "": eth0, eth1, ... by position */
	unsigned addr_count;       /* 0: the default plan (gateway), or none */
	struct vnic_addr addrs[VNIC_NIC_ADDRS];
	bool dhcp; /* ip=dhcp: nothing is set inside; who asks is told one address of each family and its gateway */
	unsigned gw_count;
	struct vnic_addr gw[2]; /* at most one of each family; the router has these addresses */
	bool no_gw;             /* gw=none */
	struct vnic_mac mac;
	uint32_t mtu;    /* 0: 1500 */
	unsigned queues; /* tap, tun; 0: 1 */
	/*
	 * Of a VMM: the device itself is the router's end, or the bridge's port, and the command gets its descriptors,
	 * not close-on-exec, at these numbers, `queues` of them: places that the caller keeps with descriptors of its
	 * own. Then all NICs of the sandbox are so, and the command needs no namespaces.  Owned by the caller; NULL:
	 * not so.
	 */
	const int *places;
};

/*
 * "veth", "tap,ip=10.9.0.1/24,ip=fd09::1/64,gw=none,mac=02:00:00:00:00:01,mtu=9000,queues=2,name=lan0",
 * "veth,ip=dhcp", "veth,to=bridge:br0", "macvlan,parent=eth0".  Errors: -EINVAL, naming the key.
 */
VNIC_API int vnic_nic_parse(const char *text, struct vnic_nic *ret_nic, struct vnic_error *err);
/* "veth", ...; static. */
VNIC_API const char *vnic_nic_kind_text(enum vnic_nic_kind kind);

/* A key of a NIC or a port, as it is written and completed. */
struct vnic_key {
	const char *name;
	const char *value; /* "BYTES", "ADDRESS|none": capitals stand for something, the rest for itself; NULL: none */
};
/* The keys of a kind one by one, or (VNIC_NIC_KINDS) those of a VMM's tap; static.  NULL after the last. */
VNIC_API const struct vnic_key *vnic_nic_key_at(enum vnic_nic_kind kind, unsigned index);

/* Ports of the host whose connections or datagrams go into the sandbox: `count` of them, beginning with these two. */
struct vnic_publish {
	struct vnic_addr addr; /* of the host; AF_UNSPEC: all, IPv4 and IPv6 */
	bool udp;
	uint16_t port, to_port, count;
};

/* "8080:80", "127.0.0.1:8080:80", "[::1]:8080:80", "8000-8010:9000-9010", or one port or range for both: "8080"; each
 * with "/udp", or "/tcp" if you like.  -EINVAL. */
VNIC_API int vnic_publish_parse(const char *text, struct vnic_publish *ret_publish, struct vnic_error *err);

struct vnic_sandbox_config {
	struct vnic_spawn spawn; /* .namespaces must have CLONE_NEWNET when there are NICs; .setup is not used */
	bool rootless;           /* no privilege over the host: everything below user namespaces of ours */
	struct vnic_nic nics[VNIC_NICS];
	unsigned nic_count;
	const char *name;      /* NULL: unnamed */
	const char *state_dir; /* with a name */
	const struct vnic_publish *publishes;
	unsigned publish_count;
	struct vnic_dns_servers dns; /* whom the forwarder asks; none: the host's own resolvers */
	bool no_dns;                 /* no forwarder, and the host's resolv.conf */
	bool dns_only_allowed;       /* as in struct vnic_dns_config */
	/*
	 * Writes what the NICs carry as pcapng; all of them must have their other end in the router.  .directions and
	 * .drops have no meaning here.  .fd stays the caller's, who may close it once the sandbox is started; .ctx must
	 * live as long as the sandbox, and .next runs in vnic_sandbox_next.  NULL: nothing is captured.
	 */
	const struct vnic_capture *capture;
	/*
	 * The gateway writes a line of JSON for each flow that begins, ends or does not start, see vnic-run(1).  The
	 * descriptor stays the caller's, who may close it once the sandbox is started; what a non-blocking one does not
	 * take is left out, and one that blocks holds the flows up.
	 */
	bool has_log;
	int log_fd;
	struct vnic_policy policy; /* vnic_sandbox_defaults: the default policy; zeroed: nothing may start */
};

struct vnic_sandbox;

/*
 * Fills *ret_config: namespaces net, mnt, pid (and user when `rootless`), one veth to the gateway.
 */
VNIC_API void vnic_sandbox_defaults(bool rootless, struct vnic_sandbox_config *ret_config);

/* Refuses what vnic_sandbox_start would refuse without having looked at the host: options that do not go together. */
VNIC_API int vnic_sandbox_check(const struct vnic_sandbox_config *config, struct vnic_error *err);

/*
 * Builds the sandbox and executes its command; on return the NICs work and the command runs.
 * On failure everything is undone.  The calling process should be single-threaded; its own
 * namespaces do not change.
 */
VNIC_API int vnic_sandbox_start(const struct vnic_sandbox_config *config, struct vnic_sandbox **ret_sandbox,
				struct vnic_error *err);

enum vnic_sandbox_event {
	VNIC_SANDBOX_NOTHING,
	VNIC_SANDBOX_EXITED,  /* value: exit status as the shell has it; what it had sent has gone out by now */
	VNIC_SANDBOX_STOPPED, /* value: the signal that stopped the command */
	VNIC_SANDBOX_SENDS,   /* the command has ended, and what it had sent still goes out */
	VNIC_SANDBOX_WARNING, /* vnic_sandbox_warning has a line to show */
};
/* Readable when there is an event; owned by the sandbox. */
VNIC_API int vnic_sandbox_get_fd(const struct vnic_sandbox *sandbox);
/* Takes one event, without waiting.  -EAGAIN: none. */
VNIC_API int vnic_sandbox_next(struct vnic_sandbox *sandbox, enum vnic_sandbox_event *ret_event, int *ret_value,
			       struct vnic_error *err);
/*
 * Sends a signal to the command (SIGCONT to its whole process group); after SIGTERM and SIGHUP a SIGCONT follows.  If
 * it has ended, one that would end it ends the wait for what it had sent.
 */
VNIC_API int vnic_sandbox_signal(struct vnic_sandbox *sandbox, int signal, struct vnic_error *err);
/* What did not go as asked but was not fatal, one line each; *index counts up from 0; NULL: no more. */
VNIC_API const char *vnic_sandbox_warning(const struct vnic_sandbox *sandbox, unsigned index);
/* The sandbox's command, as the caller sees it. */
VNIC_API pid_t vnic_sandbox_pid(const struct vnic_sandbox *sandbox);
/*
 * Opens sockets in the router; valid until the sandbox is freed.  NULL without a router.  -ETIMEDOUT: its helper does
 * not answer, as when somebody has stopped it.
 */
VNIC_API const struct vnic_opener *vnic_sandbox_opener(struct vnic_sandbox *sandbox);
/*
 * What the gateway has counted so far.  -ENODATA: there is none; -EPIPE, -ETIMEDOUT: it has ended, or does not answer.
 */
VNIC_API int vnic_sandbox_stats(struct vnic_sandbox *sandbox, struct vnic_gateway_stats *ret_stats,
				struct vnic_dns_stats *ret_dns, struct vnic_error *err);

/* Frames that the kernel dropped at a NIC's end in the router, of a TAP or TUN at both; into and out of the sandbox. */
struct vnic_nic_drops {
	char name[IF_NAMESIZE]; /* as the sandbox has it */
	uint64_t in, out;
	uint64_t source; /* out of the sandbox, from a source that is none of the NIC's, or one of IPv6 too many */
};
/* Of the NICs whose other end is in the router; those of a guest until its VMM ends.  Returns how many there are. */
VNIC_API int vnic_sandbox_drops(struct vnic_sandbox *sandbox, struct vnic_nic_drops ret_drops[VNIC_NICS],
				struct vnic_error *err);
/* Ends it, if it still runs, with everything that belongs to it. */
VNIC_API void vnic_sandbox_free(struct vnic_sandbox *sandbox);

/*
 * Builds a router as a sandbox has it, with nf_tables rules and transparent sockets, in user and network namespaces
 * that end before this returns; the error says what the kernel lacks or forbids.
 */
VNIC_API int vnic_probe_router(struct vnic_error *err);

struct vnic_sandbox_info {
	char name[VNIC_NAME_MAX + 1]; /* "" for an unnamed one */
	pid_t pid;                    /* of its command */
	uid_t uid;
	char command[256];
	bool vmm; /* vnic_nic.places: the names are those of the host's ends, and MACs and addresses are not known */
	unsigned nic_count;
	struct {
		struct vnic_link_info link;
		unsigned addr_count;
		struct vnic_addr addrs[VNIC_NIC_ADDRS];
	} nics[VNIC_NICS];
};
/* Running sandboxes that the caller may look at. */
VNIC_API int vnic_sandbox_list(const char *state_dir, int (*each)(const struct vnic_sandbox_info *info, void *ctx),
			       void *ctx, struct vnic_error *err);

/* --- relay ports -------------------------------------------------------------------- */

/*
 * A port's locator, "KIND:ARGUMENT,key=value,...":
 *
 *   tap:eth0 tun:tun0   a device that is made; netns=, ip=, mac=, mtu=, queues=
 *   veth:eth0           a pair of which the relay holds the other end; needs no /dev/net/tun
 *   link:eth1           a packet socket on an interface that exists
 *   stream:PATH         32-bit length, frame; a Unix path, @name, or ADDRESS:PORT for TCP.  Listens, unless
 *                       `connect` or `reconnect=SECONDS` is given
 *   seqpacket:PATH      the same with a frame in each packet
 *   dgram:PATH          a frame in each Unix datagram; peer=PATH, or whoever spoke last
 *   udp:ADDRESS:PORT    a frame in each datagram to there; local=ADDRESS:PORT, or the same port on all addresses
 *   vxlan:id=7          a frame in each datagram as RFC 7348 has it; remote=ADDRESS[:PORT], as often as there are
 *                       remotes, or else whoever speaks is one; local=ADDRESS[:PORT]; the port is 4789
 *   pcap:FILE           frames of a capture; speed=recorded, max, or a FACTOR.  With `write` it is written
 *   fd:5                what is open there: a tap, a packet socket, or any of the sockets above
 *
 * and for all of them: netns=TARGET (not fd), isolated; filter=EXPRESSION and the settings of vnic_impairment_set, with
 * "in." before them for frames that come in at the port, with "out." or nothing for those that leave there.
 */
enum vnic_port_kind {
	VNIC_PORT_TAP,
	VNIC_PORT_TUN,
	VNIC_PORT_LINK,
	VNIC_PORT_VETH,
	VNIC_PORT_FD,
	VNIC_PORT_STREAM,
	VNIC_PORT_DGRAM,
	VNIC_PORT_SEQPACKET,
	VNIC_PORT_UDP,
	VNIC_PORT_VXLAN,
	VNIC_PORT_PCAP,
	VNIC_PORT_KINDS,
};

struct vnic_endpoint {
	struct sockaddr_storage addr;
	socklen_t len; /* 0: none */
};

struct vnic_port {
	enum vnic_port_kind kind;
	char text[128]; /* as given, for messages and counters */
	char name[IF_NAMESIZE];
	char netns[128]; /* a target, or "" */
	int fd;          /* VNIC_PORT_FD */
	unsigned addr_count;
	struct vnic_addr addrs[VNIC_NIC_ADDRS];
	struct vnic_mac mac;
	uint32_t mtu;
	unsigned queues;
	struct vnic_endpoint local, remote; /* of sockets */
	uint32_t vni;                       /* of a VXLAN, as are: */
	unsigned remote_count;
	struct sockaddr_storage remotes[VNIC_VXLAN_REMOTES];
	char path[256]; /* of a capture, as are: */
	bool write;
	double speed;      /* 0: as fast as it goes */
	uint32_t redial_s; /* 0: a lost connection stays lost */
	bool isolated;
	bool answers; /* set by vnic_port_open: a link that has addresses, so the kernel answers beside the ports */
	struct {
		bool impaired;
		struct vnic_impairment impairment;
		char filter[256]; /* "": none */
	} sides[VNIC_DIRECTIONS];
};

/*
 * One setting of an impairment as users write it: "delay" "10ms", "jitter" "2ms" or "2ms:normal", "rate" "10mbit",
 * "burst" "15k", "loss" "1%", "to-bad", "to-good", "bad-loss", "duplicate", "reorder", "corrupt" "0.1%", "limit"
 * "1000", "seed" "42", and "overtake" without a value (NULL).  -ENOENT: there is no such setting, and *err is
 * untouched.
 */
VNIC_API int vnic_impairment_set(struct vnic_impairment *impairment, const char *key, const char *value,
				 struct vnic_error *err);

VNIC_API int vnic_port_parse(const char *text, struct vnic_port *ret_port, struct vnic_error *err);

/* "tap" */
VNIC_API const char *vnic_port_kind_text(enum vnic_port_kind kind);

/* The keys of a kind one by one, but for those of filters and weather, which all have; NULL after the last. */
VNIC_API const struct vnic_key *vnic_port_key_at(enum vnic_port_kind kind, unsigned index);
/* The keys of filters and weather, which may stand behind "in." or "out.". */
VNIC_API const struct vnic_key *vnic_port_side_key_at(unsigned index);

/*
 * Changes a port's filters and weather as the keys of a locator would, "delay=10ms,in.loss=1%"; what they do not name
 * stays.  An empty filter= takes a filter away.  The port is untouched on failure.
 */
VNIC_API int vnic_port_change(struct vnic_port *port, const char *keys, struct vnic_error *err);
/* Sets a running relay's port `number` to the filters and the weather of `port`; on failure all but what failed. */
VNIC_API int vnic_port_apply(const struct vnic_port *port, struct vnic_relay *relay, unsigned number,
			     struct vnic_error *err);

/*
 * Refuses ports of one relay that cannot be beside each other: on the same link, at the same address, or with one file
 * that one of them writes.  `capture`: a file that is written beside them; NULL: none.  -EINVAL, naming the port.
 */
VNIC_API int vnic_ports_check(const struct vnic_port *ports, unsigned count, const char *capture,
			      struct vnic_error *err);

/* Opens the port where its locator says and adds it to the relay.  Returns the port's number; nothing is left on
 * failure. */
VNIC_API int vnic_port_open(struct vnic_port *port, const char *state_dir, struct vnic_relay *relay,
			    struct vnic_error *err);

/*
 * Gives a relay of two TAPs, which are not persistent, a fast path (vnic_relay_set_fast_path): the kernel carries their
 * frames as long as nothing looks at them.  It adds a link to the namespace of each, for as long as the relay lives,
 * follows the TAPs' MACs, is closed while one of them is down or promiscuous (somebody captures there), and ends by
 * itself when one is deleted or moved: then `lost` is called, once; NULL: nobody cares.  It watches two descriptors.
 * -EPERM: the namespaces have different owners; -ENOENT: the kernel cannot redirect frames.
 */
VNIC_API int vnic_fast_path_start(struct vnic_relay *relay, void (*lost)(void *ctx, const struct vnic_error *why),
				  void *ctx, struct vnic_error *err);

/* Opens a device in the target's network namespace; NULL: the caller's own.  See vnic_tap_open. */
VNIC_API int vnic_tap_open_in(const struct vnic_target *target, const struct vnic_tap_config *config,
			      struct vnic_tap *ret_tap, struct vnic_error *err);
/* Opens a netlink socket there. */
VNIC_API int vnic_nl_open_in(const struct vnic_target *target, struct vnic_nl **ret_nl, struct vnic_error *err);

#endif
