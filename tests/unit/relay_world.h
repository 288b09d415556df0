/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay whose ports are socket pairs; each message is a virtio header and a frame, as a TAP has them. */
#ifndef TESTS_RELAY_WORLD_H
#define TESTS_RELAY_WORLD_H

#include "vt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "checksum.h"
#include "relay_ports.h"
#include "relay_told.h"
#include "superframe.h"

#define STATIONS 4

static int station_read(struct port *port, unsigned queue, struct frame *frame, unsigned max)
{
	struct iovec iov[] = {{&frame->hdr, sizeof(frame->hdr)}, {frame->data, VNIC_FRAME_MAX}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n = recvmsg(port->fd, &msg, MSG_DONTWAIT);

	(void)queue;
	(void)max;
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? -EAGAIN : -EBADFD;
	frame->len = (size_t)n - sizeof(frame->hdr);
	return 1;
}

static int station_write(struct port *port, const struct frame *frame)
{
	struct vnic_vnet_hdr hdr = frame->hdr;
	struct iovec iov[] = {{&hdr, sizeof(hdr)}, {frame->data, frame->len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (sendmsg(port->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno == EPIPE ? -EBADFD : -errno;
	return 0;
}

static void station_close(struct port *port)
{
	close(port->fd);
}

static const struct port_ops station_ops = {
	.kind = "station", .read = station_read, .write = station_write, .close = station_close};

struct world {
	struct vnic_relay *relay;
	int station[STATIONS]; /* the far end of each port */
	unsigned count;
};

/* All ports take the same offloads. */
static inline struct world world_of(unsigned count, unsigned takes)
{
	const struct vnic_relay_config config = {0};
	struct world world = {.count = count};
	struct vnic_error err;

	vt_ok(vnic_relay_new(&config, &world.relay, &err), &err);
	for (unsigned i = 0; i < count; i++) {
		struct port *port = calloc(1, sizeof(*port));
		int pair[2];

		assert_non_null(port);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		*port = (struct port){
			.ops = &station_ops, .fd = pair[0], .fds = &port->fd, .queues = 1, .takes = takes};
		world.station[i] = pair[1];
		assert_int_equal(relay_add_port(world.relay, "station", port, &err), i);
	}
	return world;
}

static inline void world_free(struct world *world)
{
	vnic_relay_free(world->relay);
	for (unsigned i = 0; i < world->count; i++)
		if (world->station[i] >= 0)
			close(world->station[i]);
}

/* Everything that is there goes through. */
static inline void settle(struct world *world)
{
	struct vnic_error err;

	while (vt_ok(vnic_relay_dispatch(world->relay, 0, &err), &err) > 0)
		;
}

static inline void say_frame(struct world *world, unsigned station, const struct vnic_vnet_hdr *hdr, const void *data,
			     size_t len)
{
	struct vnic_vnet_hdr copy = *hdr;
	struct iovec iov[] = {{&copy, sizeof(copy)}, {(void *)(uintptr_t)data, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	assert_int_equal(sendmsg(world->station[station], &msg, 0), sizeof(copy) + len);
}

/* Bytes of the frame that waits at a station; -1: none does. */
static inline ssize_t hear(struct world *world, unsigned station, struct vnic_vnet_hdr *ret_hdr, uint8_t *ret_data)
{
	struct iovec iov[] = {{ret_hdr, sizeof(*ret_hdr)}, {ret_data, VNIC_FRAME_MAX}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n = recvmsg(world->station[station], &msg, MSG_DONTWAIT);

	return n < 0 ? -1 : n - (ssize_t)sizeof(*ret_hdr);
}

static inline struct vnic_relay_stats all_of(const struct world *world)
{
	struct vnic_relay_stats stats;

	vnic_relay_get_stats(world->relay, &stats);
	return stats;
}

/* rx_frames + made = tx_frames + rx_dropped + tx_dropped + held + merged */
static inline void assert_accounts_close(const struct world *world)
{
	struct vnic_relay_stats all = all_of(world);
	uint64_t in = 0, out = all.held + all.merged;

	for (unsigned i = 0; i < world->count; i++) {
		struct vnic_port_stats stats = stats_of(world->relay, i);

		in += stats.rx_frames;
		out += stats.tx_frames;
		for (int why = 0; why < VNIC_DROP_COUNT; why++)
			out += stats.rx_dropped[why] + stats.tx_dropped[why];
	}
	for (int made = 0; made < VNIC_MADE_COUNT; made++)
		in += all.made[made];
	assert_int_equal(in, out);
}

/* The checksums of a whole frame, as its receiver checks them. */
static inline bool checksums_are_good(const uint8_t *frame, size_t len)
{
	struct vnic_addr src, dst;
	struct vnic_view view;
	uint64_t sum = 0;

	if (vnic_view_parse(NULL, frame, len, false, &view) < 0 || view.flags & VNIC_VIEW_MALFORMED)
		return false;
	if (view.layers & VNIC_LAYER_IPV4 && checksum_finish(checksum_add(0, frame + view.l3, view.l3_len)))
		return false;
	src = vnic_view_src(&view);
	dst = vnic_view_dst(&view);
	if (!(view.layers & VNIC_LAYER_ICMP))
		sum = checksum_add_pseudo(0, src.bytes, dst.bytes, src.family == AF_INET6 ? 16 : 4, view.ip_proto,
					  vnic_view_end(&view) - view.l4);
	return !checksum_finish(checksum_add(sum, frame + view.l4, vnic_view_end(&view) - view.l4));
}

#endif
