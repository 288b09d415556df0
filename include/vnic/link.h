/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Links, addresses, routes, rules and neighbours over rtnetlink(7).
 *
 * A vnic_nl is a socket in one network namespace: the one its maker was in.  Requests are
 * collected in a batch, leave in one sendmsg, and each answer finds its request, so
 * an error names the object that failed and carries the kernel's extended-ack text.  The
 * single-request calls below are batches of one.
 */
#ifndef VNIC_LINK_H
#define VNIC_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include <vnic/addr.h>
#include <vnic/api.h>
#include <vnic/error.h>

struct vnic_nl;
struct vnic_batch;
struct vnic_monitor;

/* Opens a socket in the caller's network namespace. */
VNIC_API int vnic_nl_open(struct vnic_nl **ret_nl, struct vnic_error *err);
VNIC_API void vnic_nl_close(struct vnic_nl *nl);

enum vnic_link_kind {
	VNIC_LINK_NONE, /* any: only to change or find an existing link */
	VNIC_LINK_VETH,
	VNIC_LINK_BRIDGE,
	VNIC_LINK_MACVLAN,
	VNIC_LINK_MACVTAP,
	VNIC_LINK_IFB,
};

/* include/uapi/linux/if_link.h: MACVLAN_MODE_*; 0 means bridge. */
enum vnic_macvlan_mode {
	VNIC_MACVLAN_DEFAULT = 0,
	VNIC_MACVLAN_PRIVATE = 1,
	VNIC_MACVLAN_VEPA = 2,
	VNIC_MACVLAN_BRIDGE = 4,
	VNIC_MACVLAN_PASSTHRU = 8,
};

/*
 * A link to be made, or the changes to one.  Zero and NULL mean "not given", save that
 * netns_fd counts only where has_netns is set.  Strings are copied by the call that takes them.
 *
 * Both ends of a pair and every bridge should carry a MAC: it makes addr_assign_type
 * NET_ADDR_SET (3), which keeps udev from rewriting it and a bridge from following its ports.
 */
struct vnic_link {
	enum vnic_link_kind kind;
	const char *name;  /* 1..15 bytes, no '/', no space (dev_valid_name) */
	const char *alias; /* up to 255 bytes */
	int index;         /* wish for this ifindex; a peer's counts only where the first end has one too */
	struct vnic_mac mac;
	uint32_t mtu;        /* bytes */
	uint32_t txqueuelen; /* packets */
	uint32_t group;      /* for deletion by group */
	/*
	 * Change only: the largest super-frame of TCP, bytes, above the usual 65,536 (IFLA_GSO_MAX_SIZE and its IPv4
	 * twin). A wish: kernels before 6.3 and devices with less keep what they have.
	 */
	uint32_t gso_max;
	int master;     /* ifindex of a bridge */
	bool no_master; /* change only: leave the bridge */
	int parent;     /* macvlan, macvtap: ifindex of the lower link */
	enum vnic_macvlan_mode mode;
	bool has_netns; /* born in (or, on change, moved to) netns_fd */
	int netns_fd;
	bool up, down;
	bool isolated; /* bridge port: may not talk to other isolated ports */
	bool no_arp;   /* IFF_NOARP */
	/*
	 * veth: the other end.  It cannot be born up, nor with an alias, a master or isolation; these
	 * come afterwards, from a socket in its namespace.  So do alias and isolation of a link with has_netns.
	 */
	const struct vnic_link *peer;
};

struct vnic_route {
	struct vnic_addr dst;     /* prefix 0: default; family is required */
	struct vnic_addr gateway; /* family AF_UNSPEC: none */
	int oif;                  /* ifindex, 0: none */
	uint32_t table;           /* 0: main */
	uint32_t priority;
	uint32_t mtu;
	uint8_t type;  /* RTN_*, 0: RTN_UNICAST */
	uint8_t scope; /* RT_SCOPE_*; 0: link without, universe with a gateway; host for local */
};

struct vnic_rule {
	uint8_t family;
	uint32_t priority;       /* add: 0 lets the kernel choose; delete: exactly this one */
	uint32_t fwmark, fwmask; /* fwmask 0: no mark matched */
	uint32_t table;
	struct vnic_addr src, dst; /* AF_UNSPEC: any */
};

struct vnic_neigh {
	int ifindex;
	struct vnic_addr addr;
	struct vnic_mac mac;
	uint16_t state; /* NUD_*, 0: NUD_PERMANENT */
};

/* All frames of one link that go to another one of its namespace instead, in the kernel and whole. */
struct vnic_redirect {
	int from;         /* ifindex */
	bool sent;        /* those that it is about to send; else those that it receives */
	int to;           /* ifindex; while it is down they are lost */
	bool as_received; /* there, as if it had received them; else it sends them */
};

/* What it says of a TAP or TUN besides. */
struct vnic_tun_info {
	bool persistent, multi_queue;
	bool has_owner, has_group;
	uint32_t owner, group; /* as the caller's user namespace knows them */
};

/* What the kernel says of a link. */
struct vnic_link_info {
	int index;
	char name[IF_NAMESIZE];
	char kind[16]; /* "veth", "bridge", ...; "" for physical and loopback */
	char alias[256];
	struct vnic_mac mac;
	uint32_t mtu, txqueuelen, group;
	int master, parent;   /* parent: IFLA_LINK, the peer of a veth */
	unsigned flags;       /* IFF_* */
	uint32_t promiscuity; /* so many want to see all frames there; IFF_PROMISC does not tell of them */
	uint8_t operstate;    /* IF_OPER_* */
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, rx_dropped, tx_dropped;
	struct vnic_tun_info tun; /* of the kind "tun" */
};

struct vnic_addr_info {
	int ifindex;
	struct vnic_addr addr;
	uint32_t flags; /* IFA_F_* */
	uint8_t scope;
};

/* --- batches ------------------------------------------------------------------------ */

/*
 * A plan of requests.  The vnic_batch_* calls copy what they are given, fail only with
 * -ENOMEM or -EINVAL, and remember the first failure so that a chain may be checked once: vnic_batch_send
 * reports it and sends nothing.
 */
VNIC_API int vnic_batch_new(struct vnic_batch **ret_batch, struct vnic_error *err);
VNIC_API void vnic_batch_free(struct vnic_batch *batch);

VNIC_API void vnic_batch_link_add(struct vnic_batch *batch, const struct vnic_link *link);
/* Changes the link with `index`, or with `link->name` when index is 0 (then a name cannot be changed). */
VNIC_API void vnic_batch_link_set(struct vnic_batch *batch, int index, const struct vnic_link *link);
VNIC_API void vnic_batch_link_del(struct vnic_batch *batch, int index, const char *name);
/* Deletes every link of a group in one message; group 0, the default of all links, is refused. */
VNIC_API void vnic_batch_link_del_group(struct vnic_batch *batch, uint32_t group);
/* IPv6 addresses are added with IFA_F_NODAD: usable at once. */
VNIC_API void vnic_batch_addr_add(struct vnic_batch *batch, int ifindex, const struct vnic_addr *addr);
VNIC_API void vnic_batch_addr_del(struct vnic_batch *batch, int ifindex, const struct vnic_addr *addr);
VNIC_API void vnic_batch_route_add(struct vnic_batch *batch, const struct vnic_route *route);
VNIC_API void vnic_batch_route_del(struct vnic_batch *batch, const struct vnic_route *route);
VNIC_API void vnic_batch_rule_add(struct vnic_batch *batch, const struct vnic_rule *rule);
VNIC_API void vnic_batch_rule_del(struct vnic_batch *batch, const struct vnic_rule *rule);
/*
 * A link has one redirection at most, and no other hooks for traffic control (the qdisc clsact): -EEXIST.  Deleting
 * what is not there fails with -ENOENT or -EINVAL.
 */
VNIC_API void vnic_batch_redirect_add(struct vnic_batch *batch, const struct vnic_redirect *redirect);
VNIC_API void vnic_batch_redirect_del(struct vnic_batch *batch, int index);
VNIC_API void vnic_batch_neigh_add(struct vnic_batch *batch, const struct vnic_neigh *neigh);
VNIC_API void vnic_batch_neigh_del(struct vnic_batch *batch, const struct vnic_neigh *neigh);

/*
 * Sends everything, by one sendmsg for each 128 messages and each redirection, and waits until it is done.  The kernel
 * carries out what it can: requests after a failed one are still tried.  Returns the first failure in order of
 * request; *ret_failed (may be NULL) is its position, counted from 0.  The batch is empty afterwards.
 */
VNIC_API int vnic_batch_send(struct vnic_batch *batch, struct vnic_nl *nl, int *ret_failed, struct vnic_error *err);

/* --- single requests ---------------------------------------------------------------- */

VNIC_API int vnic_link_add(struct vnic_nl *nl, const struct vnic_link *link, struct vnic_error *err);
VNIC_API int vnic_link_set(struct vnic_nl *nl, int index, const struct vnic_link *link, struct vnic_error *err);
VNIC_API int vnic_link_del(struct vnic_nl *nl, int index, const char *name, struct vnic_error *err);
VNIC_API int vnic_link_del_group(struct vnic_nl *nl, uint32_t group, struct vnic_error *err);
VNIC_API int vnic_addr_add(struct vnic_nl *nl, int ifindex, const struct vnic_addr *addr, struct vnic_error *err);
VNIC_API int vnic_addr_del(struct vnic_nl *nl, int ifindex, const struct vnic_addr *addr, struct vnic_error *err);
VNIC_API int vnic_route_add(struct vnic_nl *nl, const struct vnic_route *route, struct vnic_error *err);
VNIC_API int vnic_route_del(struct vnic_nl *nl, const struct vnic_route *route, struct vnic_error *err);
VNIC_API int vnic_rule_add(struct vnic_nl *nl, const struct vnic_rule *rule, struct vnic_error *err);
VNIC_API int vnic_rule_del(struct vnic_nl *nl, const struct vnic_rule *rule, struct vnic_error *err);

/* --- questions ---------------------------------------------------------------------- */

/* Asks for one link by index, or by name when index is 0.  -ENODEV if there is none. */
VNIC_API int vnic_link_get(struct vnic_nl *nl, int index, const char *name, struct vnic_link_info *ret_info,
			   struct vnic_error *err);

/*
 * Dumps.  The call-back returns 0 to go on; anything else ends the dump and is returned.
 * A dump that the kernel marks as interrupted (NLM_F_DUMP_INTR) is asked for anew before any
 * call-back runs, so the call-back sees one consistent answer; after ten tries: -EINTR.
 */
VNIC_API int vnic_link_list(struct vnic_nl *nl, int (*each)(const struct vnic_link_info *info, void *ctx), void *ctx,
			    struct vnic_error *err);
/* ifindex 0: of all links. */
VNIC_API int vnic_addr_list(struct vnic_nl *nl, int ifindex, int (*each)(const struct vnic_addr_info *info, void *ctx),
			    void *ctx, struct vnic_error *err);
/* family AF_UNSPEC: both; table 0: all. */
VNIC_API int vnic_route_list(struct vnic_nl *nl, int family, uint32_t table,
			     int (*each)(const struct vnic_route *route, void *ctx), void *ctx, struct vnic_error *err);

/* --- monitor ------------------------------------------------------------------------ */

/*
 * Subscribes to link and address events of the caller's namespace.  Open it before the change
 * whose effect is awaited.  Lost events (ENOBUFS) make the waiting calls ask the kernel again, so that none is missed.
 */
VNIC_API int vnic_monitor_open(struct vnic_monitor **ret_monitor, struct vnic_error *err);
VNIC_API void vnic_monitor_close(struct vnic_monitor *monitor);
/* Readable when events are waiting; for the caller's own event loop.  Owned by the monitor. */
VNIC_API int vnic_monitor_get_fd(const struct vnic_monitor *monitor);

/*
 * Beside IFF_*: the link carries frames.  IFF_RUNNING alone does not say so: a new link has it until the
 * kernel's deferred work (net/core/link_watch.c) has looked at its carrier, and drops frames until then.
 */
#define VNIC_LINK_OPER_UP 0x80000000u

/* Takes the events that are there and asks how the link with `index` is after them.  -ENODEV: there is none. */
VNIC_API int vnic_monitor_look(struct vnic_monitor *monitor, int index, struct vnic_link_info *ret_info,
			       struct vnic_error *err);

/*
 * Waits until the link with `index` (or `name`, when index is 0) has all `flags` (IFF_*, for
 * example IFF_UP | IFF_RUNNING), or, with flags 0, until it exists.  Returns at once if that
 * is so already.  timeout in milliseconds, -1: for ever.  -ETIMEDOUT when the time is over.
 */
VNIC_API int vnic_monitor_wait_link(struct vnic_monitor *monitor, int index, const char *name, unsigned flags,
				    int timeout_ms, struct vnic_error *err);
/* Waits until the link is gone. */
VNIC_API int vnic_monitor_wait_gone(struct vnic_monitor *monitor, int index, const char *name, int timeout_ms,
				    struct vnic_error *err);
/* Waits until the address is on the link, which is up, and works: not tentative, and with its local route. */
VNIC_API int vnic_monitor_wait_addr(struct vnic_monitor *monitor, int ifindex, const struct vnic_addr *addr,
				    int timeout_ms, struct vnic_error *err);

#endif
