/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tries whether a router can be built here: the real one, with a NIC, in a child that is never released and takes
 * everything with it.  Rejected: looking for modules and kernel options, which tells what there should be.
 */
#include <errno.h>
#include <fcntl.h>

#include "enter.h"
#include "fd.h"
#include "plan.h"
#include "slowpath.h"

/* Both ends of the NIC stand in one namespace: here nobody uses them. */
static int make_nic(struct plan *plan, struct vnic_error *err)
{
	const struct vnic_nic nic = {.kind = VNIC_NIC_VETH};
	CLEANUP_FD int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	int r;

	if (netns < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, errno, "/proc/self/ns/net", NULL);
	r = plan_make(&nic, 1, &(struct plan_host){.no_ipv6 = NULL}, plan, err);
	if (r == 0)
		r = vnic_nl_open(&nl, err);
	return r < 0 ? r : plan_make_links(plan, nl, netns, netns, err);
}

static int make_router(void *ctx, struct vnic_error *err)
{
	CLEANUP(slowpath_close) struct slowpath slowpath = SLOWPATH_EMPTY;
	struct plan plan;
	int r = make_nic(&plan, err);

	(void)ctx;
	if (r == 0)
		r = plan_router_side(&plan, err);
	if (r == 0)
		r = slowpath_set_up(&plan, &slowpath, err);
	return r < 0 ? r : slowpath_let_in(&plan, &slowpath, err);
}

int vnic_probe_router(struct vnic_error *err)
{
	const struct vnic_spawn spawn = {
		.namespaces = CLONE_NEWUSER | CLONE_NEWNET,
		.argv = (char *[]){(char *)"true", NULL},
		.setup = make_router,
	};
	struct vnic_child child = VNIC_CHILD_EMPTY;
	int r = vnic_spawn_start(&spawn, &child, err);

	vnic_child_close(&child);
	return r;
}
