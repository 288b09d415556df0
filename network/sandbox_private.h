/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sandbox as the front has it: what starts it fills it in (sandbox_start.c), what runs it reads it (sandbox.c). */
#ifndef NETWORK_SANDBOX_PRIVATE_H
#define NETWORK_SANDBOX_PRIVATE_H

#include "build.h"

#define SANDBOX_WARNINGS 64

/* What the sandbox's epoll instance tells of. */
enum {
	REF_INIT_END,
	REF_INIT_CONTROL,
	REF_HELPER_END,
	REF_GATEWAY_CONTROL,
	REF_CAPTURE_CONTROL,
	REF_MOUNTS,
	REF_DEADLINE,
};

/* When init has ended, what it sent goes out first, and then what was captured is written. */
enum stage { STAGE_RUNS, STAGE_SENDS, STAGE_CAPTURES, STAGE_OVER };

/* A process of ours beside init: the sandbox ends with it, but for the capture, which ends after the sandbox. */
struct helper {
	const char *what;
	pid_t pid; /* 0: none, or reaped */
	int pidfd, control;
	bool finishes; /* it has something to write at the end, so it is not killed */
};

enum { ROUTER, GATEWAY, RELAY, CAPTURE, HELPERS };

struct vnic_sandbox {
	struct vnic_child init;
	struct helper helpers[HELPERS];
	int opener_socket;
	struct vnic_opener opener;
	struct vnic_name name;
	struct resolv_source resolvers; /* of the host */
	struct resolv_config resolv;
	struct resolv_guard guard;
	struct vnic_capture capture; /* for its next files */
	struct routed_nic {
		char name[IFNAMSIZ], outer[IFNAMSIZ]; /* in the sandbox, in the router */
		bool relayed;                         /* two devices, each with a queue of its own */
	} nics[VNIC_NICS];
	unsigned nic_count;
	int host_taps[VNIC_NICS]; /* ifindexes: a VMM's, on bridges of the host */
	unsigned host_tap_count;
	int netns; /* the sandbox's: with it would end the router's ends of its NICs, which have been counting; -1 */
	enum stage stage;
	bool lost;    /* a helper: nothing more goes out */
	int deadline; /* a timer, of STAGE_SENDS; -1 */
	int epfd;
	int stops; /* of the command, told so far */
	unsigned warning_count, warnings_told;
	char warnings[SANDBOX_WARNINGS][NS_NOTE_TEXT];
};

/* Its socket has room: who was stopped, or taken over, may not have read for long, and must not hold us up. */
bool sandbox_may_tell(const struct helper *helper);
/* Of what does not work as asked, a line for the user. */
void sandbox_warn(struct vnic_sandbox *sandbox, const char *text);

#endif
