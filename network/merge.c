/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams of a flood, merged before they go up the router's stack.
 *
 * Theory of operation.  The router's end of a pair polls in a kernel thread of its own.  So a sender does not pay for
 * the router's stack within its sendmsg(2), and what has come meanwhile goes through that stack as one super-datagram,
 * to the flow's socket and from there to the host's: 1.5 times the datagrams of 64 bytes, twice those of 1,400.  The
 * pair's inner end has a queue (PLAN_QUEUE), so that a sender who is faster is held back by his socket's buffer.  TCP
 * does not go that way.
 *
 * Not before a flood: the thread costs memory in the kernel, a wake-up for each lonely datagram, and a mount namespace,
 * for the switch is a file of sysfs alone.  (NETDEV_CMD_NAPI_SET wants the host's CAP_NET_ADMIN.)
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "build.h"
#include "fd.h"

/* Before it merges a pair has nothing that polls; without the thread there is never more than one datagram to merge. */
static void merge(int sysfs, const struct nic_plan *nic)
{
	char path[64];

	snprintf(path, sizeof(path), "class/net/%s/threaded", nic->outer_name);
	CLEANUP_FD int threaded = openat(sysfs, path, O_WRONLY | O_CLOEXEC);
	if (threaded >= 0 && vnic_link_merge_datagrams(nic->outer_index, NULL) == 0 && write(threaded, "1", 1) < 0)
		return; /* merging alone does no harm */
}

void merge_datagrams(const struct plan *plan)
{
	CLEANUP_FD int sysfs = -1;

	for (unsigned i = 0; i < plan->count; i++) {
		if (!plan_is_merged(plan, &plan->nics[i]))
			continue;
		if (sysfs < 0 && ns_sysfs_open(&sysfs, NULL) < 0)
			return;
		merge(sysfs, &plan->nics[i]);
	}
}
