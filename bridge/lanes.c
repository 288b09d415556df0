/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads, as lanes: each is a relay of its own with its own share of every port's queues.
 *
 * Theory of operation.  The kernel chooses a queue by a frame's flow, and a frame that is written to a queue teaches it
 * that the flow's answers belong there (tun_flow_update, drivers/net/tun.c).  So a lane sees both directions of its
 * flows, learns the MACs that it needs, and asks no other: no lock, no shared line of the cache, and no flow ever
 * changes its lane.  What one lane has not learnt it floods, once.
 *
 * Rejected: one table of MACs under a lock, or read without one; it saves a few floods and costs every frame.
 *
 * The first lane is the relay that the caller has.  What is set while lanes run is seen by each in its own time;
 * counters of running lanes are as they were a moment ago.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "relay_ports.h"

int lanes_new(struct vnic_relay *relay, struct vnic_error *err)
{
	struct vnic_relay_config one = relay->config;
	int r = 0;

	if (relay->config.threads > VNIC_RELAY_THREADS)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "threads", "a relay has at most %d threads",
				 VNIC_RELAY_THREADS);
	if (relay->config.threads == 1)
		return 0;
	one.threads = 1;
	relay->lanes = calloc(relay->config.threads - 1, sizeof(struct vnic_relay *));
	if (!relay->lanes)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	for (unsigned i = 0; i < relay->config.threads - 1 && r == 0; i++) {
		r = vnic_relay_new(&one, &relay->lanes[i], err);
		if (r == 0)
			relay->lane_count++;
	}
	return r;
}

void lanes_free(struct vnic_relay *relay)
{
	for (unsigned i = 0; i < relay->lane_count; i++)
		vnic_relay_free(relay->lanes[i]);
	relay->lane_count = 0;
	free(relay->lanes);
}

/* ---------------------------------------------------------------------------------------- */

/* `count` queues of a device, as a device; the descriptors stay those of `tap`. */
static int take_share(const struct vnic_tap *tap, unsigned first, unsigned count, struct vnic_tap *ret_share)
{
	struct vnic_tap share = *tap;

	share.fds = malloc(count * sizeof(int));
	if (!share.fds)
		return -ENOMEM;
	memcpy(share.fds, tap->fds + first, count * sizeof(int));
	share.queues = count;
	*ret_share = share;
	return 0;
}

int lanes_add_tap(struct vnic_relay *relay, const char *name, struct vnic_tap *tap, struct vnic_error *err)
{
	unsigned lanes = relay->lane_count + 1, each = tap->queues / lanes;
	struct vnic_tap shares[VNIC_RELAY_THREADS] = {0};
	int r = 0, number = 0;
	unsigned added = 0;

	if (!each || tap->queues % lanes)
		return vnic_fail(err, VNIC_STEP_PORT, EINVAL, name,
				 "it has %u queues, which %u threads cannot share evenly: give it queues=%u",
				 tap->queues, lanes, lanes);
	for (unsigned i = 0; i < lanes && r == 0; i++)
		r = take_share(tap, i * each, each, &shares[i]);
	if (r < 0)
		r = vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	/* The caller's own last: what fails is told by the first that is asked. */
	for (; r >= 0 && added < lanes; added++) {
		struct vnic_relay *lane = added + 1 < lanes ? relay->lanes[added] : relay;

		r = number = relay_add_kind(lane, name, port_tap_init, &shares[added], err);
		if (r < 0)
			break;
	}
	if (r >= 0) {
		free(tap->fds);
		return number;
	}
	for (unsigned i = added; i < lanes; i++)
		free(shares[i].fds);
	for (unsigned i = 0; i < added; i++) { /* what was theirs goes with them */
		relay_remove_last_port(relay->lanes[i]);
		memset(tap->fds + i * each, 0xff, each * sizeof(int));
	}
	return r;
}

/* ---------------------------------------------------------------------------------------- */

static void *run_lane(void *ctx)
{
	relay_run_lane(ctx, NULL);
	return NULL;
}

/* Signals are for the caller's thread. */
static unsigned start(struct vnic_relay *relay, pthread_t *threads)
{
	sigset_t all, old;
	unsigned count = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (count < relay->lane_count && pthread_create(&threads[count], NULL, run_lane, relay->lanes[count]) == 0)
		count++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return count;
}

int vnic_relay_run(struct vnic_relay *relay, struct vnic_error *err)
{
	pthread_t threads[VNIC_RELAY_THREADS];
	unsigned count = start(relay, threads);
	int r = 0;

	if (count < relay->lane_count)
		r = vnic_fail(err, VNIC_STEP_RELAY, EAGAIN, NULL, "a thread");
	else
		r = relay_run_lane(relay, err);
	for (unsigned i = 0; i < count; i++) {
		vnic_relay_stop(relay->lanes[i]);
		pthread_join(threads[i], NULL);
		eventfd_read(relay->lanes[i]->stop_fd, &(eventfd_t){0}); /* a second word would end its next run */
	}
	return r;
}
