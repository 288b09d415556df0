/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fast path between the two TAPs of a relay: the kernel's own way for frames at which nobody looks.
 *
 *     namespace of a TAP            in the middle            namespace of the other
 *   eth0 -- sent --> fast5 ====== end0 --received--> end1 ====== fast7 --received--> eth0, as if received
 *
 * Theory of operation.  Beside each TAP stands one end of a veth pair, whose other end is in a network namespace of our
 * own, in the middle, that only our sockets keep alive.  There what one pair's end receives the other's sends.  What a
 * pair brings is redirected to the TAP, as if that had received it; this much always stands.  The path is open while
 * what the TAP is about to send is redirected to the pair (netlink/redirect.c): that alone is set and taken away, a
 * message each, and while it is not there the TAP's frames come to its descriptor as ever.
 *
 * Who captures at a TAP would see what it receives and not what it sends.  He makes it promiscuous, as tcpdump does,
 * and so the path is closed until he has gone.
 *
 * The end beside a TAP has its MAC, for whose frame it is the kernel decides at the first link that receives it; it
 * follows when the TAP's is changed.  It says nothing of its own: no ARP, no IPv6.  Frames that do not fit would be
 * lost, so its MTU is the largest there is.
 *
 * When we are killed the middle goes with our sockets, the pairs go with it, and the TAPs, with what redirects their
 * frames, with their descriptors; a TAP that is persistent would stay, and lose all that it sends: it is refused.
 *
 * All is sent from here, by sockets that a child opened in the namespaces (enter.c): the kernel asks what the socket's
 * maker may do there and what we may, and over user namespaces that a user made that user may all.  So two namespaces
 * that were made apart, each with a user namespace of its own, are joined by their user, too.
 *
 * Rejected: one pair with an end beside each TAP, which would be a hop less, but stay when we are killed.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "enter.h"
#include "fd.h"
#include "link_ip.h"
#include "ns.h"

#define MTU_MOST 65535
#define DEADLINE_MS 10000

/* Beside a TAP. */
struct end {
	struct vnic_target target; /* where the TAP is */
	struct vnic_nl *nl;        /* there, as is: */
	struct vnic_monitor *monitor;
	int tap, beside;     /* ifindexes there */
	int middle;          /* ifindex of the pair's other end, in the middle */
	struct vnic_mac mac; /* of both */
	bool usable;         /* both are up, and nobody looks at the TAP */
};
#define END_EMPTY ((struct end){.target = VNIC_TARGET_EMPTY})

struct fast {
	struct vnic_relay *relay;
	void (*lost)(void *ctx, const struct vnic_error *why);
	void *ctx;
	struct end ends[VNIC_FAST_PORTS];
	struct vnic_nl *nl; /* in the middle, as are these, while it is made: */
	struct vnic_monitor *monitor;
	int netns_fd;
};

/* --- open and closed ------------------------------------------------------------------ */

/* A TAP that is gone, or was moved, sends nothing there any more. */
static int stop_diverting(const struct end *end, struct vnic_error *err)
{
	CLEANUP(free_batch) struct vnic_batch *batch = NULL;
	int r = vnic_batch_new(&batch, err);

	if (r < 0)
		return r;
	vnic_batch_redirect_del(batch, end->tap);
	r = vnic_batch_send(batch, end->nl, NULL, err);
	return r == -ENODEV || r == -ENOENT || r == -EINVAL ? 0 : r;
}

static int divert(const struct end *end, struct vnic_error *err)
{
	CLEANUP(free_batch) struct vnic_batch *batch = NULL;
	int r = vnic_batch_new(&batch, err);

	if (r < 0)
		return r;
	vnic_batch_redirect_add(batch, &(struct vnic_redirect){.from = end->tap, .sent = true, .to = end->beside});
	r = vnic_batch_send(batch, end->nl, NULL, err);
	if (r < 0 && r != -EEXIST) /* those hooks are another's */
		stop_diverting(end, NULL);
	return r;
}

static int set_open(void *ctx, bool open, struct vnic_error *err)
{
	const struct fast *fast = ctx;
	int r, second;

	if (!open) { /* half of it is better than nothing */
		second = stop_diverting(&fast->ends[1], err);
		r = stop_diverting(&fast->ends[0], err);
		return r < 0 ? r : second;
	}
	r = divert(&fast->ends[0], err);
	if (r < 0)
		return r;
	r = divert(&fast->ends[1], err);
	if (r < 0)
		stop_diverting(&fast->ends[0], NULL);
	return r;
}

/* What has gone out is read before what came in at the other end. */
static int count(void *ctx, struct vnic_fast_count ret_counts[VNIC_FAST_PORTS])
{
	const struct fast *fast = ctx;
	struct vnic_link_info out[VNIC_FAST_PORTS], in[VNIC_FAST_PORTS], beside[VNIC_FAST_PORTS] = {0};
	int r = 0;

	for (unsigned i = 0; i < VNIC_FAST_PORTS && r == 0; i++)
		r = vnic_link_get(fast->nl, fast->ends[i].middle, NULL, &out[i], NULL);
	for (unsigned i = 0; i < VNIC_FAST_PORTS && r == 0; i++)
		r = vnic_link_get(fast->nl, fast->ends[i].middle, NULL, &in[i], NULL);
	for (unsigned i = 0; i < VNIC_FAST_PORTS && r == 0; i++) {
		vnic_link_get(fast->ends[i].nl, fast->ends[i].beside, NULL, &beside[i], NULL); /* it may be gone */
		ret_counts[i].rx_frames = in[i].rx_packets;
		ret_counts[i].rx_bytes = in[i].rx_bytes;
		if (beside[i].tx_dropped > ret_counts[i].rx_overruns)
			ret_counts[i].rx_overruns = beside[i].tx_dropped;
		ret_counts[i].tx_frames = out[i].tx_packets;
		ret_counts[i].tx_bytes = out[i].tx_bytes;
		ret_counts[i].tx_full = out[i].tx_dropped;
	}
	return r;
}

/* --- made and taken away -------------------------------------------------------------- */

static int open_there(void *ctx, struct vnic_error *err)
{
	struct end *end = ctx;
	int r = vnic_nl_open(&end->nl, err);

	return r < 0 ? r : vnic_monitor_open(&end->monitor, err);
}

static int open_end(struct end *end, const struct vnic_tap *tap, struct vnic_error *err)
{
	if (tap->persistent)
		return vnic_fail(
			err, VNIC_STEP_USAGE, EINVAL, tap->name,
			"a persistent device has no fast path, for it would lose frames if the relay were killed");
	if (!tap->index)
		return vnic_fail(err, VNIC_STEP_LINK_GET, ENODEV, tap->name, "it is not known where the device is");
	end->tap = tap->index;
	int r = target_beside(tap->fds[0], tap->name, &end->target, err);
	return r < 0 ? r : vnic_target_call(&end->target, open_there, end, err);
}

static int open_middle(void *ctx, struct vnic_error *err)
{
	struct fast *fast = ctx;
	int r = ns_leave_netns(NULL, err);

	if (r < 0)
		return r;
	silence_netns();
	r = vnic_nl_open(&fast->nl, err);
	if (r == 0)
		r = vnic_monitor_open(&fast->monitor, err);
	if (r < 0)
		return r;
	fast->netns_fd = ioctl(vnic_monitor_get_fd(fast->monitor), SIOCGSKNS);
	return fast->netns_fd < 0 ? vnic_fail(err, VNIC_STEP_NS_OPEN, errno, "the fast path", NULL) : 0;
}

static int add_pair(const struct fast *fast, struct end *end, const char *middle, struct vnic_error *err)
{
	struct vnic_link_info tap = {0};
	char name[IFNAMSIZ];
	const struct vnic_link other = {
		.name = middle, .mtu = MTU_MOST, .no_arp = true, .has_netns = true, .netns_fd = fast->netns_fd};
	struct vnic_link link = {.kind = VNIC_LINK_VETH, .name = name, .mtu = MTU_MOST, .no_arp = true, .peer = &other};
	int r = vnic_link_get(end->nl, end->tap, NULL, &tap, err);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "fast%d", end->tap);
	link.mac = end->mac = tap.mac;
	r = vnic_link_add(end->nl, &link, err);
	if (r == 0)
		r = nl_index_of(end->nl, name, &end->beside, err);
	return r < 0 ? r : nl_index_of(fast->nl, middle, &end->middle, err);
}

/* What the pair brings is the TAP's. */
static int set_up_beside(const struct end *end, struct vnic_error *err)
{
	CLEANUP(free_batch) struct vnic_batch *batch = NULL;
	int r = vnic_batch_new(&batch, err);

	if (r < 0)
		return r;
	vnic_batch_redirect_add(batch,
				&(struct vnic_redirect){.from = end->beside, .to = end->tap, .as_received = true});
	batch_link_no_link_local(batch, end->beside);
	vnic_batch_link_set(batch, end->beside, &(struct vnic_link){.up = true});
	return vnic_batch_send(batch, end->nl, NULL, err);
}

static int set_up_middle(const struct fast *fast, struct vnic_error *err)
{
	CLEANUP(free_batch) struct vnic_batch *batch = NULL;
	int r = vnic_batch_new(&batch, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < VNIC_FAST_PORTS; i++) {
		const int from = fast->ends[i].middle, to = fast->ends[!i].middle;

		vnic_batch_redirect_add(batch, &(struct vnic_redirect){.from = from, .to = to});
		vnic_batch_link_set(batch, from, &(struct vnic_link){.up = true});
	}
	return vnic_batch_send(batch, fast->nl, NULL, err);
}

/* Before, frames would be lost in silence. */
static int wait_for_pairs(const struct fast *fast, struct vnic_error *err)
{
	int r = 0;

	for (unsigned i = 0; i < VNIC_FAST_PORTS && r == 0; i++) {
		const struct end *end = &fast->ends[i];

		r = vnic_monitor_wait_link(fast->monitor, end->middle, NULL, VNIC_LINK_OPER_UP, DEADLINE_MS, err);
		if (r == 0)
			r = vnic_monitor_wait_link(end->monitor, end->beside, NULL, VNIC_LINK_OPER_UP, DEADLINE_MS,
						   err);
	}
	return r;
}

static int make(struct fast *fast, struct vnic_error *err)
{
	static const char *const names[VNIC_FAST_PORTS] = {"end0", "end1"};
	int r = vnic_target_call(&fast->ends[0].target, open_middle, fast, err);

	for (unsigned i = 0; i < VNIC_FAST_PORTS && r == 0; i++)
		r = add_pair(fast, &fast->ends[i], names[i], err);
	for (unsigned i = 0; i < VNIC_FAST_PORTS && r == 0; i++)
		r = set_up_beside(&fast->ends[i], err);
	if (r == 0)
		r = set_up_middle(fast, err);
	if (r == 0)
		r = wait_for_pairs(fast, err);
	vnic_monitor_close(fast->monitor);
	fast->monitor = NULL;
	close_fd(&fast->netns_fd);
	return r;
}

static void close_end(const struct fast *fast, struct end *end)
{
	if (end->monitor)
		vnic_relay_watch(fast->relay, vnic_monitor_get_fd(end->monitor), NULL, NULL, NULL);
	if (end->middle) /* the namespace would take its time, and its name be taken until then */
		vnic_link_del(fast->nl, end->middle, NULL, NULL);
	vnic_monitor_close(end->monitor);
	vnic_nl_close(end->nl);
	vnic_target_close(&end->target);
}

static void free_fast(void *ctx)
{
	struct fast *fast = ctx;

	for (unsigned i = 0; i < VNIC_FAST_PORTS; i++)
		close_end(fast, &fast->ends[i]);
	vnic_monitor_close(fast->monitor);
	close_fd(&fast->netns_fd);
	vnic_nl_close(fast->nl);
	free(fast);
}

/* --- while it lives ------------------------------------------------------------------- */

static int follow_mac(struct end *end, const struct vnic_mac *mac, struct vnic_error *err)
{
	int r;

	if (!memcmp(end->mac.bytes, mac->bytes, VNIC_MAC_LEN))
		return 0;
	r = vnic_link_set(end->nl, end->beside, &(struct vnic_link){.mac = *mac}, err);
	if (r == 0)
		end->mac = *mac;
	return r;
}

/* By others than the bridge of which it is a port. */
static bool is_looked_at(const struct vnic_link_info *tap)
{
	return tap->promiscuity > (tap->master ? 1u : 0u);
}

static int look_at(struct end *end, struct vnic_error *err)
{
	struct vnic_link_info tap = {0}, beside = {0};
	int r = vnic_monitor_look(end->monitor, end->tap, &tap, err);

	if (r == 0)
		r = vnic_link_get(end->nl, end->beside, NULL, &beside, err);
	if (r == 0)
		r = follow_mac(end, &tap.mac, err);
	end->usable = r == 0 && tap.flags & beside.flags & IFF_UP && !is_looked_at(&tap);
	return r;
}

static int look(struct fast *fast, struct vnic_error *err)
{
	int r = look_at(&fast->ends[0], err);

	return r < 0 ? r : look_at(&fast->ends[1], err);
}

static bool is_usable(const struct fast *fast)
{
	return fast->ends[0].usable && fast->ends[1].usable;
}

/* Something has happened to a link. */
static void take_change(void *ctx, int fd)
{
	struct fast *fast = ctx;
	struct vnic_error err = {0};
	int r = look(fast, &err);

	(void)fd;
	if (r == 0)
		r = vnic_relay_let_fast_path(fast->relay, is_usable(fast), &err);
	if (r == 0)
		return;
	if (fast->lost)
		fast->lost(fast->ctx, &err);
	vnic_relay_set_fast_path(fast->relay, NULL, false, NULL);
}

static int hand_over(struct fast *fast, struct vnic_error *err)
{
	const struct vnic_fast_path way = {.ctx = fast, .set = set_open, .count = count, .free = free_fast};
	int r = 0;

	for (unsigned i = 0; i < VNIC_FAST_PORTS && r == 0; i++)
		r = vnic_relay_watch(fast->relay, vnic_monitor_get_fd(fast->ends[i].monitor), take_change, fast, err);
	if (r == 0)
		r = look(fast, err);
	return r < 0 ? r : vnic_relay_set_fast_path(fast->relay, &way, is_usable(fast), err);
}

int vnic_fast_path_start(struct vnic_relay *relay, void (*lost)(void *ctx, const struct vnic_error *why), void *ctx,
			 struct vnic_error *err)
{
	struct fast *fast = calloc(1, sizeof(*fast));
	int r = 0;

	if (!fast)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	*fast = (struct fast){.relay = relay, .lost = lost, .ctx = ctx, .ends = {END_EMPTY, END_EMPTY}, .netns_fd = -1};
	for (unsigned i = 0; i < VNIC_FAST_PORTS && r == 0; i++) {
		const struct vnic_tap *tap = NULL;

		if (vnic_relay_get_tap(relay, i, &tap) < 0 || tap->tun)
			r = vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "the fast path", "it is between two TAPs");
		else
			r = open_end(&fast->ends[i], tap, err);
	}
	if (r == 0)
		r = make(fast, err);
	if (r == 0)
		r = hand_over(fast, err);
	if (r < 0)
		free_fast(fast);
	return r;
}
