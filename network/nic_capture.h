/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The capture's process: born by the front, in the host's namespaces; given packet sockets on the router's ends of the
 * NICs by the router's helper; left with no privilege.
 */
#ifndef NETWORK_NIC_CAPTURE_H
#define NETWORK_NIC_CAPTURE_H

#include <vnic/relay.h>

#include "ns.h"
#include "plan.h"

struct nic_capture {
	struct ns_step step;        /* front <-> capture */
	int hello[2];               /* socket pair: [1] the router's helper sends to [0] the capture */
	struct vnic_capture config; /* .fd is the caller's */
	const struct plan *plan;    /* each process has its own copy */
	bool privileged;            /* become nobody */
};
#define NIC_CAPTURE_EMPTY ((struct nic_capture){.step = NS_STEP_EMPTY, .hello = {-1, -1}, .config = {.fd = -1}})

static inline bool nic_capture_is_wanted(const struct nic_capture *capture)
{
	return capture->config.fd >= 0;
}

int nic_capture_open(const struct vnic_capture *config, struct nic_capture *capture, struct vnic_error *err);
void nic_capture_close(struct nic_capture *capture);

/*
 * The process's life.  It says NS_READY on its step when nothing more is missed, NS_NOTE for each line to tell the
 * user, and asks for files by NS_NEXT_FILE.  NS_FINISH, or the end of the step, lets it write what is left, and end.
 */
_Noreturn void nic_capture_main(struct nic_capture *capture);

/* In the router's helper, when the links are there. */
int nic_capture_send(const struct nic_capture *capture, struct vnic_error *err);

#endif
