/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the processes of a sandbox share at birth, and who makes what.
 *
 * Up to five processes build a sandbox:
 *
 *   front   the caller, in the host's namespaces
 *   router  the router's helper, in user namespace U and the router's network namespace
 *   gateway the process that carries flows, in the host's namespaces; see gate.c
 *   capture the process that writes what the NICs carry, where that is asked for; see nic_capture.c
 *   init    the sandbox's first process, in user namespace S (rootless: a child of U)
 *
 * Everything is decided before the first clone, in this struct; the others get it by being forked.
 * A rootless router starts init, as the front's child (CLONE_PARENT), so that S is below U and only U
 * holds a capability over both ends of a NIC.  With privilege the front starts both and makes the links.
 * A VMM's NICs have no inner end: its init is the front's child, in the front's namespaces, and gets descriptors.
 *
 * Each closes the descriptors of the others at once, so that a death is an end of file.
 */
#ifndef NETWORK_BUILD_H
#define NETWORK_BUILD_H

#include "gate.h"
#include "nic_capture.h"
#include "ns.h"
#include "plan.h"
#include "resolv.h"

struct build {
	struct plan plan;
	struct vnic_spawn spawn; /* of the sandbox; .setup is build_sandbox_side */
	bool rootless;
	bool has_gateway;      /* and the router its slow path */
	bool user, has_router; /* the sandbox has a user namespace of its own; there is a router */
	bool nested;           /* and below the router's, which starts init */
	struct ns_idmap router_map, sandbox_map;
	struct ns_step router_step, init_step; /* front <-> router, front <-> init */
	int linked;                            /* eventfd: the links are there; init waits on it */
	int devices[2]; /* socket pair: [1] init sends its taps to [0] the router, or gets those that are handed */
	int opener[2];  /* socket pair: [0] the front asks [1] the router */
	struct vnic_tap host_taps[VNIC_NICS]; /* outer sides of relayed NICs in a bridge of the host */
	struct gate gate;
	struct nic_capture capture;
	struct resolv_source resolvers; /* of the host, as gate.dns has them */
	struct resolv_config resolv;    /* no address: the sandbox has the host's */
};

#define BUILD_EMPTY                           \
	((struct build){                      \
		.router_step = NS_STEP_EMPTY, \
		.init_step = NS_STEP_EMPTY,   \
		.linked = -1,                 \
		.devices = {-1, -1},          \
		.opener = {-1, -1},           \
		.gate = GATE_EMPTY,           \
		.capture = NIC_CAPTURE_EMPTY, \
	})

/* build.c: *build is empty before; on failure it holds what was opened, for build_close. */
int build_make(const struct vnic_sandbox_config *config, struct build *build, struct vnic_error *err);
void build_close(struct build *build);

/* router.c: the helper's life after its birth in U and the router. */
_Noreturn void build_router_main(struct build *build);

/* sandbox_side.c: what init does in the sandbox; a vnic_spawn's setup. */
int build_sandbox_side(void *ctx, struct vnic_error *err);

/*
 * sandbox_side.c: makes the links once init has its namespace, and tells it; by the one who holds CAP_NET_ADMIN over
 * both sides.  `router` as /proc has it (ns_proc_pid); 0: the caller.
 */
int build_links(struct build *build, pid_t router, const struct vnic_child *init, struct vnic_error *err);

/* opener.c: what goes over the socket, in one packet. */
struct opener_question {
	uint32_t number;
	struct vnic_open_request request;
};
/* The asking end; `socket` stays owned by whoever made it. */
int opener_ask(int socket, const struct vnic_open_request *request, int *ret_fd, struct vnic_error *err);
/* Nobody waits there for ever: after some seconds without an answer opener_ask says -ETIMEDOUT. */
void opener_limit(int socket);
/* Of datagrams; what is answered comes by another way: floods.h. */
struct opener_flood {
	enum vnic_flood what;
	struct sockaddr_storage src, dst; /* of the first: as the sandbox sees the flow */
};
int opener_tell_flood(int socket, const struct opener_flood *flood);
/*
 * The answering end: -EPIPE at the end, OPENER_FLOOD when told of one.  OPENER_FLOWS: whoever asks gets nothing but
 * sockets of TCP and UDP; beside a ring.
 */
#define OPENER_FLOOD 1
enum opener_scope { OPENER_ALL, OPENER_FLOWS };
int opener_answer(int socket, enum opener_scope scope, struct opener_flood *ret_flood, struct vnic_error *err);

#endif
