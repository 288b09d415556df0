/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a sandbox's gateway and NICs have counted. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "enter.h"
#include "fd.h"
#include "nft.h"
#include "sandbox_private.h"

#define STATS_MS 1000 /* the gateway answers between two batches of events */

/*
 * The answer comes by a pipe of its own: the socket's notes stay in their order, and the gateway's end is an end of
 * file. Whoever took the gateway over, or stopped it, cannot hold us up.
 */
int vnic_sandbox_stats(struct vnic_sandbox *sandbox, struct vnic_gateway_stats *ret_stats,
		       struct vnic_dns_stats *ret_dns, struct vnic_error *err)
{
	const struct helper *gateway = &sandbox->helpers[GATEWAY];
	const struct ns_message message = {.type = NS_STATS};
	struct gate_stats stats;
	int pipe[2];

	if (!gateway->pid)
		return vnic_fail(err, VNIC_STEP_SANDBOX, ENODATA, NULL, "it has no gateway");
	if (pipe2(pipe, O_CLOEXEC) < 0)
		return vnic_fail(err, VNIC_STEP_OPEN, errno, "a pipe", NULL);
	CLEANUP_FD int from = pipe[0], to = pipe[1];
	if (!sandbox_may_tell(gateway))
		return vnic_fail(err, VNIC_STEP_WAIT, ETIMEDOUT, gateway->what, "it has not read earlier questions");
	int r = ns_message_send(gateway->control, &message, to, err);
	close_fd(&to);
	if (r < 0)
		return r;
	if (TEMP_FAILURE_RETRY(poll(&(struct pollfd){.fd = from, .events = POLLIN}, 1, STATS_MS)) == 0)
		return vnic_fail(err, VNIC_STEP_WAIT, ETIMEDOUT, gateway->what, NULL);
	ssize_t n = TEMP_FAILURE_RETRY(read(from, &stats, sizeof(stats)));
	if (n != (ssize_t)sizeof(stats))
		return vnic_fail(err, VNIC_STEP_WAIT, n < 0 ? errno : EPIPE, gateway->what, NULL);
	*ret_stats = stats.flows;
	*ret_dns = stats.dns;
	return 0;
}

struct drops_call {
	const struct vnic_sandbox *sandbox;
	struct vnic_nic_drops *drops;
	unsigned count;
};

static int read_drops(struct vnic_nl *nl, const struct routed_nic *nic, struct vnic_nic_drops *ret_drops,
		      struct vnic_error *err)
{
	struct vnic_nic_drops drops = {0};
	struct vnic_link_info outer;
	int r = vnic_link_get(nl, 0, nic->outer, &outer, err);

	if (r < 0)
		return r;
	memcpy(drops.name, nic->name, IFNAMSIZ);
	drops.in = outer.tx_dropped;
	drops.out = outer.rx_dropped;
	r = nft_router_dropped(nic->outer, &drops.source, err);
	if (r < 0 && r != -ENOENT) /* the kernel cannot count them, or it is no NIC of the gateway's */
		return r;
	*ret_drops = drops;
	return 0;
}

static int read_in_router(void *ctx, struct vnic_error *err)
{
	struct drops_call *call = ctx;
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	int r = vnic_nl_open(&nl, err);

	for (unsigned i = 0; i < call->sandbox->nic_count && r == 0; i++) {
		r = read_drops(nl, &call->sandbox->nics[i], &call->drops[call->count], err);
		if (r == 0)
			call->count++;
		else if (r == -ENODEV) /* a guest's TAP ended with its VMM */
			r = 0;
	}
	return r;
}

/* The relay's other device drops what the relay has not read in time; the sandbox may have renamed it. */
static int add_drops_inside(const struct vnic_sandbox *sandbox, struct vnic_nic_drops *drops, struct vnic_error *err)
{
	CLEANUP(vnic_target_close) struct vnic_target inside = VNIC_TARGET_EMPTY;
	CLEANUP(close_nl) struct vnic_nl *nl = NULL;
	struct vnic_link_info inner;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", sandbox->netns);
	int r = vnic_target_open(path, NULL, &inside, err);
	if (r == 0)
		r = vnic_nl_open_in(&inside, &nl, err);
	for (unsigned i = 0; i < sandbox->nic_count && r == 0; i++)
		if (sandbox->nics[i].relayed && vnic_link_get(nl, 0, sandbox->nics[i].name, &inner, NULL) == 0) {
			drops[i].in += inner.rx_dropped;
			drops[i].out += inner.tx_dropped;
		}
	return r;
}

static bool has_relayed(const struct vnic_sandbox *sandbox)
{
	for (unsigned i = 0; i < sandbox->nic_count; i++)
		if (sandbox->nics[i].relayed)
			return true;
	return false;
}

int vnic_sandbox_drops(struct vnic_sandbox *sandbox, struct vnic_nic_drops ret_drops[VNIC_NICS], struct vnic_error *err)
{
	const struct vnic_open_request any = {.domain = AF_INET, .type = SOCK_DGRAM};
	CLEANUP(vnic_target_close) struct vnic_target router = VNIC_TARGET_EMPTY;
	struct drops_call call = {.sandbox = sandbox, .drops = ret_drops};
	CLEANUP_FD int fd = -1;
	int r;

	if (!sandbox->nic_count)
		return 0;
	r = sandbox->opener.open(sandbox->opener.ctx, &any, &fd, err);
	if (r == 0)
		r = target_beside(fd, "the router", &router, err);
	if (r == 0)
		r = vnic_target_call(&router, read_in_router, &call, err);
	if (r == 0 && has_relayed(sandbox) && call.count == sandbox->nic_count)
		r = add_drops_inside(sandbox, ret_drops, err);
	return r < 0 ? r : (int)call.count;
}
