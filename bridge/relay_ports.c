/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay beside its loop: made and freed, ports added and closed, stopped. */
#include "relay_ports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vnic/link.h>

#include "fd.h"
#include "loop.h"
#include "reserve.h"

/* --- made and freed ------------------------------------------------------------------ */

#define ROOM_EACH (FRAME_HEADROOM + (size_t)VNIC_FRAME_MAX)

/* Behind those of a turn's frames come those of their own purpose; they cost nothing until they are used. */
enum { ROOM_SPARE, ROOM_INSPECTED, ROOM_INJECTED, ROOMS_MORE };

static uint8_t *room_at(const struct vnic_relay *relay, unsigned index)
{
	return relay->room + index * ROOM_EACH + FRAME_HEADROOM;
}

void relay_reset_frame(struct vnic_relay *relay, unsigned index)
{
	relay->frames[index].data = room_at(relay, index);
}

size_t relay_room_behind(const struct vnic_relay *relay, const uint8_t *data)
{
	uintptr_t offset = (uintptr_t)data - (uintptr_t)relay->room; /* huge for what stands before */

	return offset < (relay->config.batch + ROOMS_MORE) * ROOM_EACH ? ROOM_EACH - offset % ROOM_EACH : 0;
}

static int make_room(struct vnic_relay *relay, struct vnic_error *err)
{
	relay->frames = calloc(relay->config.batch, sizeof(*relay->frames));
	relay->room = reserve(relay->config.batch + ROOMS_MORE, ROOM_EACH);
	if (!relay->frames || !relay->room)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	for (unsigned i = 0; i < relay->config.batch; i++)
		relay_reset_frame(relay, i);
	relay->spare = room_at(relay, relay->config.batch + ROOM_SPARE);
	relay->inspected = room_at(relay, relay->config.batch + ROOM_INSPECTED);
	relay->injected = room_at(relay, relay->config.batch + ROOM_INJECTED);
	return 0;
}

static int set_up(struct vnic_relay *relay, struct vnic_error *err)
{
	const struct loop_ref stop = {.type = RELAY_REF_STOP}, left = {.type = RELAY_REF_LEFT},
			      timer = {.type = RELAY_REF_TIMER};
	int r = make_room(relay, err);

	if (r < 0)
		return r;
	relay->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	relay->left_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (relay->stop_fd < 0 || relay->left_fd < 0)
		return vnic_fail(err, VNIC_STEP_RELAY, errno, NULL, "eventfd");
	r = fdb_init(&relay->fdb, relay->config.fdb_max, relay->config.fdb_age_s, err);
	if (r == 0)
		r = loop_open(&relay->epfd, err);
	if (r == 0)
		r = loop_add(relay->epfd, relay->stop_fd, EPOLLIN, stop, err);
	if (r == 0)
		r = loop_add(relay->epfd, relay->left_fd, EPOLLIN, left, err);
	if (r == 0)
		r = timers_open(&relay->timers, err);
	if (r == 0)
		r = loop_add(relay->epfd, relay->timers.fd, EPOLLIN, timer, err);
	return r;
}

int vnic_relay_new(const struct vnic_relay_config *config, struct vnic_relay **ret_relay, struct vnic_error *err)
{
	struct vnic_relay *relay;
	int r;

	if (config->fdb_max > VNIC_RELAY_MACS)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "fdb_max", "a relay learns at most %u MACs",
				 VNIC_RELAY_MACS);
	if (config->batch > RELAY_BATCH)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "batch", "a turn has at most %d frames", RELAY_BATCH);
	relay = calloc(1, sizeof(*relay));
	if (!relay)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	relay->epfd = relay->stop_fd = relay->left_fd = -1;
	relay->timers = TIMERS_EMPTY;
	relay->config = (struct vnic_relay_config){
		.fdb_max = config->fdb_max ? config->fdb_max : 4096,
		.fdb_age_s = config->fdb_age_s ? config->fdb_age_s : 300,
		.batch = config->batch ? config->batch : 32,
		.hub = config->hub,
		.busy_poll = config->busy_poll,
		.threads = config->threads ? config->threads : 1,
	};
	r = set_up(relay, err);
	if (r == 0)
		r = lanes_new(relay, err);
	if (r < 0) {
		vnic_relay_free(relay);
		return r;
	}
	*ret_relay = relay;
	return 0;
}

static void free_port(struct port *port)
{
	if (port->at_end)
		port->at_end(port->at_end_ctx);
	sides_clear(port);
	if (port->open)
		port->ops->close(port);
	path_free_merge(port);
	vnic_nl_close(port->nl);
	free((char *)(uintptr_t)port->name);
	free(port);
}

void vnic_relay_free(struct vnic_relay *relay)
{
	if (!relay)
		return;
	fast_path_free(relay);
	lanes_free(relay);
	vnic_relay_set_capture(relay, NULL, NULL);
	for (unsigned i = 0; i < relay->count; i++)
		free_port(relay->ports[i]);
	close_fd(&relay->epfd);
	close_fd(&relay->stop_fd);
	close_fd(&relay->left_fd);
	fdb_done(&relay->fdb);
	timers_close(&relay->timers);
	release(relay->room, relay->config.batch + ROOMS_MORE, ROOM_EACH);
	free(relay->frames);
	free(relay);
}

/* --- what ports ask for --------------------------------------------------------------- */

void relay_fail(struct port *port, const struct vnic_error *why)
{
	struct vnic_error *failure = &port->relay->failure;

	*failure = *why;
	snprintf(failure->object, sizeof(failure->object), "%s", port->name);
}

static int watch(struct port *port, int fd, uint32_t events, struct loop_ref ref, struct vnic_error *err)
{
	int r = loop_change(port->relay->epfd, fd, events, ref, err);

	return r == -ENOENT ? loop_add(port->relay->epfd, fd, events, ref, err) : r;
}

static struct loop_ref ref_of_queue(const struct port *port, unsigned queue)
{
	return (struct loop_ref){.type = RELAY_REF_QUEUE, .sub = (uint16_t)queue, .index = port->number};
}

int port_watch_queue(struct port *port, unsigned queue, bool for_writing, struct vnic_error *err)
{
	return watch(port, port->fds[queue], EPOLLIN | (for_writing ? EPOLLOUT : 0u), ref_of_queue(port, queue), err);
}

int port_watch(struct port *port, int fd, uint32_t events, unsigned sub, struct vnic_error *err)
{
	return watch(port, fd, events,
		     (struct loop_ref){.type = RELAY_REF_PORT, .sub = (uint16_t)sub, .index = port->number}, err);
}

void port_unwatch(struct port *port, int fd)
{
	loop_remove(port->relay->epfd, fd);
}

static void unwatch_queues(struct port *port)
{
	for (unsigned q = 0; q < port->queues; q++)
		port_unwatch(port, port->fds[q]);
}

static int watch_queues(struct port *port, struct vnic_error *err)
{
	for (unsigned q = 0; q < port->queues; q++) {
		int r = loop_add(port->relay->epfd, port->fds[q], EPOLLIN, ref_of_queue(port, q), err);

		if (r == 0)
			continue;
		while (q--)
			port_unwatch(port, port->fds[q]);
		if (r == -EEXIST)
			return vnic_fail(err, VNIC_STEP_PORT, EEXIST, port->name, "another port has this descriptor");
		return r;
	}
	return 0;
}

/* --- ports come and go ---------------------------------------------------------------- */

int relay_add_port(struct vnic_relay *relay, const char *name, struct port *port, struct vnic_error *err)
{
	unsigned number = relay->count;
	char *copy;
	int r;

	if (number == VNIC_RELAY_PORTS)
		return vnic_fail(err, VNIC_STEP_PORT, ENOSPC, name, "a relay has at most %d ports", VNIC_RELAY_PORTS);
	copy = strdup(name);
	if (!copy)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	port->relay = relay;
	port->number = number;
	port->name = copy;
	sides_init(port);
	r = watch_queues(port, err);
	if (r == 0 && port->ops->start) {
		r = port->ops->start(port, err);
		if (r < 0)
			unwatch_queues(port);
	}
	if (r < 0) {
		free(copy);
		return r;
	}
	port->open = true;
	port->overruns = port_drops_so_far(port);
	relay->ports[number] = port;
	relay->count++;
	relay->opened++;
	return (int)number;
}

void relay_close_port(struct vnic_relay *relay, unsigned number)
{
	struct port *port = relay->ports[number];

	if (!port->open)
		return;
	unwatch_queues(port);
	sides_clear(port);
	path_lose_merged(port);
	path_free_merge(port);
	if (port->dirty && port->ops->flush) /* what it has gathered meets with its fate, and is counted */
		port->ops->flush(port);
	port_count_overruns(port);
	port->ops->close(port);
	port->open = false;
	relay->opened--;
	fdb_forget_port(&relay->fdb, number);
	fast_path_update(relay, NULL); /* its device is gone, or nobody needs it */
}

void relay_remove_last_port(struct vnic_relay *relay)
{
	relay_close_port(relay, relay->count - 1);
	free_port(relay->ports[--relay->count]);
}

static int check_kind(const struct vnic_relay *relay, const char *name, struct port *port, struct vnic_error *err)
{
	bool tuns = relay->count ? relay->ports[0]->tun : port->tun;

	if (relay->lane_count && port->ops != &port_tap_ops)
		return vnic_fail(err, VNIC_STEP_PORT, EOPNOTSUPP, name,
				 "a relay with threads has TAP and TUN ports only");
	if (port->takes_tun)
		port->tun = tuns;
	if (port->tun != tuns || (tuns && relay->count >= 2))
		return vnic_fail(err, VNIC_STEP_PORT, EINVAL, name,
				 "packets of a TUN have no link header to switch by: TUNs are joined in pairs only");
	return 0;
}

int relay_add_kind(struct vnic_relay *relay, const char *name,
		   int (*init)(struct port *port, const void *with, struct vnic_error *err), const void *with,
		   struct vnic_error *err)
{
	CLEANUP_FREE struct port *port = calloc(1, sizeof(*port));
	int r;

	if (!port)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	r = init(port, with, err);
	if (r == 0)
		r = check_kind(relay, name, port, err);
	if (r == 0)
		r = relay_add_port(relay, name, port, err);
	if (r < 0) {
		if (port->state)
			free(port->state); /* its descriptors are still the caller's */
		return r;
	}
	take_ptr(port);
	return r;
}

int vnic_relay_add_tap(struct vnic_relay *relay, const char *name, struct vnic_tap *tap, struct vnic_error *err)
{
	int r = relay->lane_count ? lanes_add_tap(relay, name, tap, err)
				  : relay_add_kind(relay, name, port_tap_init, tap, err);

	if (r >= 0)
		*tap = VNIC_TAP_EMPTY;
	return r;
}

int vnic_relay_add_packet(struct vnic_relay *relay, const char *name, int fd, struct vnic_error *err)
{
	return relay_add_kind(relay, name, port_packet_init, &fd, err);
}

int vnic_relay_add_stream(struct vnic_relay *relay, const char *name, const struct vnic_conn *conn,
			  struct vnic_error *err)
{
	return relay_add_kind(relay, name, port_stream_init, conn, err);
}

int vnic_relay_add_seqpacket(struct vnic_relay *relay, const char *name, const struct vnic_conn *conn,
			     struct vnic_error *err)
{
	return relay_add_kind(relay, name, port_seqpacket_init, conn, err);
}

int vnic_relay_add_dgram(struct vnic_relay *relay, const char *name, const struct vnic_dgram *dgram,
			 struct vnic_error *err)
{
	return relay_add_kind(relay, name, port_dgram_init, dgram, err);
}

int vnic_relay_add_vxlan(struct vnic_relay *relay, const char *name, const struct vnic_vxlan *vxlan,
			 struct vnic_error *err)
{
	return relay_add_kind(relay, name, port_vxlan_init, vxlan, err);
}

int vnic_relay_add_pcap(struct vnic_relay *relay, const char *name, const struct vnic_pcap *pcap,
			struct vnic_error *err)
{
	return relay_add_kind(relay, name, port_pcap_init, pcap, err);
}

int vnic_relay_at_end(struct vnic_relay *relay, unsigned port, void (*at_end)(void *ctx), void *ctx)
{
	if (port >= relay->count)
		return -ENOENT;
	relay->ports[port]->at_end = at_end;
	relay->ports[port]->at_end_ctx = ctx;
	return 0;
}

int vnic_relay_get_tap(const struct vnic_relay *relay, unsigned port, const struct vnic_tap **ret_tap)
{
	if (port >= relay->count || !relay->ports[port]->open || relay->ports[port]->ops != &port_tap_ops)
		return -ENOENT;
	*ret_tap = &relay->ports[port]->tap;
	return 0;
}

int vnic_relay_set_isolated(struct vnic_relay *relay, unsigned port, bool isolated)
{
	if (port >= relay->count)
		return -ENOENT;
	relay->ports[port]->isolated = isolated;
	for (unsigned i = 0; i < relay->lane_count; i++)
		relay->lanes[i]->ports[port]->isolated = isolated;
	return fast_path_update(relay, NULL);
}

int vnic_relay_set_link(struct vnic_relay *relay, unsigned port, bool up)
{
	if (port >= relay->count)
		return -ENOENT;
	relay->ports[port]->link_down = !up;
	for (unsigned i = 0; i < relay->lane_count; i++)
		relay->lanes[i]->ports[port]->link_down = !up;
	return fast_path_update(relay, NULL);
}

int vnic_relay_get_fd(const struct vnic_relay *relay)
{
	return relay->epfd;
}

/* Only async-signal-safe calls on a descriptor that never changes; a full eventfd has been written to before. */
void vnic_relay_stop(struct vnic_relay *relay)
{
	int saved = errno;

	for (unsigned i = 0; i < relay->lane_count; i++)
		eventfd_write(relay->lanes[i]->stop_fd, 1);
	eventfd_write(relay->stop_fd, 1);
	errno = saved;
}
