/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VXLAN as a port (RFC 7348): frames in UDP behind eight bytes, to one remote or to several.
 *
 * Theory of operation.  The socket is not connected: remotes may send from any source port, and do (their flows are to
 * spread over the paths between them), so a remote is known by its address, and by its port only where two share
 * an address.  With several remotes the port is a switch of its own: it learns behind which remote a MAC is, and what
 * is for none of them, or for many, is sent to each ("head-end replication").  What came from a remote never goes to
 * another; they are to know each other, as in a mesh.
 *
 * The header is written into the headroom of the frame, so nothing is copied.  We send from one port, our own.
 * (Rejected: to let it vary with the flow, as the RFC recommends.  It takes a socket for each port.  It would spread
 * flows over paths and queues, of which one thread gains nothing; a firewall between two relays would not know the
 * one's datagrams as the answers to the other's, and relays that share an address could not be told apart.)  Datagrams
 * that are too large for the way are cut by IP, as those of the kernel's device are.  (Rejected: "don't fragment", as
 * the RFC has it.  Who does not lower the MTU inside would lose every full segment, and learn of it from a counter
 * only.)
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bytes.h"
#include "fd.h"
#include "finish.h"
#include "relay_ports.h"

#define HEADER_BYTES 8
#define FLAG_VNI 0x08 /* the only one; all other bits are reserved, and not looked at */
#define VNI_MAX 0xffffff

_Static_assert(HEADER_BYTES <= FRAME_HEADROOM, "the header stands before the frame");
_Static_assert(HEADER_BYTES + VNIC_FRAME_MAX >= 65535, "no datagram is too large for a frame's room");

struct remote {
	struct sockaddr_storage addr;
	uint32_t seen; /* seconds; of remotes that are learnt */
};

struct vxlan {
	uint32_t vni;
	bool learns; /* whoever speaks is a remote */
	in_port_t own_port;
	socklen_t addr_len;
	struct fdb fdb; /* the "port" is the remote's index */
	unsigned count;
	struct remote remotes[VNIC_VXLAN_REMOTES];
};

static uint32_t seconds(const struct port *port)
{
	return (uint32_t)(port->relay->now / NS_PER_S);
}

/* --- remotes -------------------------------------------------------------------------- */

static in_port_t *port_of(struct sockaddr_storage *addr)
{
	return addr->ss_family == AF_INET ? &((struct sockaddr_in *)addr)->sin_port
					  : &((struct sockaddr_in6 *)addr)->sin6_port;
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)a, *b4 = (const struct sockaddr_in *)b;
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)a, *b6 = (const struct sockaddr_in6 *)b;

	if (a->ss_family == AF_INET)
		return !memcmp(&a4->sin_addr, &b4->sin_addr, sizeof(a4->sin_addr));
	return !memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr));
}

static uint32_t find_remote(struct vxlan *vxlan, struct sockaddr_storage *from)
{
	uint32_t found = FDB_NONE;

	for (uint32_t i = 0; i < vxlan->count; i++) {
		struct sockaddr_storage *addr = &vxlan->remotes[i].addr;

		if (!same_host(addr, from))
			continue;
		if (*port_of(addr) == *port_of(from)) // NOLINT(clang-analyzer-core.*): recvfrom(2) fills it
			return i;
		if (found == FDB_NONE)
			found = i;
	}
	return found;
}

/* Room for one more: a new place, or that of who has been silent for so long that its MACs are forgotten. */
static uint32_t place_for_remote(struct vxlan *vxlan, uint32_t now)
{
	if (vxlan->count < VNIC_VXLAN_REMOTES)
		return vxlan->count++;
	for (uint32_t i = 0; i < vxlan->count; i++) {
		if (now - vxlan->remotes[i].seen < vxlan->fdb.age)
			continue;
		fdb_forget_port(&vxlan->fdb, i);
		return i;
	}
	return FDB_NONE;
}

/* It listens at the same port as we do, whichever it sends from. */
static uint32_t take_remote_in(struct vxlan *vxlan, const struct sockaddr_storage *from, uint32_t now)
{
	uint32_t i = place_for_remote(vxlan, now);

	if (i == FDB_NONE)
		return i;
	vxlan->remotes[i].addr = *from;
	*port_of(&vxlan->remotes[i].addr) = vxlan->own_port;
	return i;
}

static uint32_t remote_of(struct vxlan *vxlan, struct sockaddr_storage *from, uint32_t now)
{
	uint32_t i = find_remote(vxlan, from);

	if (i == FDB_NONE && vxlan->learns)
		i = take_remote_in(vxlan, from, now);
	if (i != FDB_NONE)
		vxlan->remotes[i].seen = now;
	return i;
}

/* --- reading -------------------------------------------------------------------------- */

/* Of a datagram that was read to where the frame's header stands: what is wrong with it?  VNIC_DROP_COUNT: nothing. */
static enum vnic_drop check(struct vxlan *vxlan, const uint8_t *header, size_t len)
{
	if (len < HEADER_BYTES || !(header[0] & FLAG_VNI) || get32(header + 4) >> 8 != vxlan->vni)
		return VNIC_DROP_TUNNEL;
	return len < HEADER_BYTES + ETH_HLEN ? VNIC_DROP_SHORT : VNIC_DROP_COUNT;
}

/* 0: it was lost, and the next may be had.  1: a frame. */
static int read_one(struct port *port, struct frame *frame)
{
	struct vxlan *vxlan = port->state;
	uint8_t *header = frame->data - HEADER_BYTES;
	struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
	socklen_t from_len = sizeof(from);
	uint32_t now = seconds(port), remote;
	ssize_t n = recvfrom(port->fd, header, HEADER_BYTES + VNIC_FRAME_MAX, MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len);

	if (n < 0)
		return -errno;
	enum vnic_drop why = check(vxlan, header, (size_t)n);
	if (why != VNIC_DROP_COUNT) {
		port_lose(port, why);
		return 0;
	}
	remote = remote_of(vxlan, &from, now);
	if (remote == FDB_NONE) {
		port_lose(port, VNIC_DROP_STRANGER);
		return 0;
	}
	frame->hdr = (struct vnic_vnet_hdr){0};
	frame->len = (size_t)n - HEADER_BYTES;
	frame_find_partial(frame);
	if (mac_is_station(frame->data + ETH_ALEN))
		fdb_learn(&vxlan->fdb, frame->data + ETH_ALEN, remote, now);
	return 1;
}

static int vxlan_read(struct port *port, unsigned queue, struct frame *frames, unsigned max)
{
	struct vxlan *vxlan = port->state;
	unsigned count = 0;

	(void)queue;
	fdb_sweep(&vxlan->fdb, seconds(port));
	for (unsigned i = 0; i < max; i++) {
		int r = read_one(port, &frames[count]);

		if (r < 0)
			return count ? (int)count : r;
		if (r > 0 && frames[count++].len > FRAME_LARGE)
			break;
	}
	return (int)count;
}

/* --- writing -------------------------------------------------------------------------- */

static int send_to(const struct port *port, const struct frame *frame, uint32_t remote)
{
	const struct vxlan *vxlan = port->state;
	const struct sockaddr *addr = (const struct sockaddr *)&vxlan->remotes[remote].addr;
	ssize_t n = sendto(port->fd, frame->data - HEADER_BYTES, HEADER_BYTES + frame->len, MSG_DONTWAIT | MSG_NOSIGNAL,
			   addr, vxlan->addr_len);

	if (n >= 0)
		return 0;
	return errno == ENETUNREACH || errno == EHOSTUNREACH ? -ENETDOWN : -errno;
}

/* Each copy but the first is one that was made, and has a fate of its own. */
static int send_to_all(struct port *port, const struct frame *frame)
{
	const struct vxlan *vxlan = port->state;

	if (!vxlan->count)
		return -ENETDOWN;
	for (uint32_t i = 1; i < vxlan->count; i++)
		port_count_copy(port, frame->len, send_to(port, frame, i));
	return send_to(port, frame, 0);
}

static int vxlan_write(struct port *port, const struct frame *frame)
{
	struct vxlan *vxlan = port->state;
	uint8_t *header = frame->data - HEADER_BYTES;
	uint32_t remote = FDB_NONE;

	put32(header, (uint32_t)FLAG_VNI << 24);
	put32(header + 4, vxlan->vni << 8);
	if (vxlan->count > 1 && !mac_is_group(frame->data))
		remote = fdb_find(&vxlan->fdb, frame->data, seconds(port));
	return remote == FDB_NONE ? send_to_all(port, frame) : send_to(port, frame, remote);
}

/* --- the port ------------------------------------------------------------------------- */

static int vxlan_start(struct port *port, struct vnic_error *err)
{
	const struct vnic_relay_config *config = &port->relay->config;
	struct vxlan *vxlan = port->state;

	return fdb_init(&vxlan->fdb, config->fdb_max, config->fdb_age_s, err);
}

static void vxlan_close(struct port *port)
{
	struct vxlan *vxlan = port->state;

	close_fd(&port->fd);
	fdb_done(&vxlan->fdb);
	free(vxlan);
}

static const struct port_ops vxlan_ops = {
	.kind = "vxlan",
	.overruns = true,
	.start = vxlan_start,
	.read = vxlan_read,
	.write = vxlan_write,
	.close = vxlan_close,
};

static int check_config(const struct vnic_vxlan *config, const struct sockaddr_storage *own, struct vnic_error *err)
{
	if (config->vni > VNI_MAX || config->remote_count > VNIC_VXLAN_REMOTES)
		return vnic_fail(err, VNIC_STEP_PORT, EINVAL, NULL,
				 "a VXLAN has a number up to %d and at most %d remotes", VNI_MAX, VNIC_VXLAN_REMOTES);
	if (own->ss_family != AF_INET && own->ss_family != AF_INET6)
		return vnic_fail(err, VNIC_STEP_PORT, EINVAL, NULL, "this descriptor is not a UDP socket");
	for (unsigned i = 0; i < config->remote_count; i++)
		if (config->remotes[i].ss_family != own->ss_family)
			return vnic_fail(err, VNIC_STEP_PORT, EINVAL, NULL,
					 "all addresses of a VXLAN are IPv4 or all are IPv6");
	return 0;
}

int port_vxlan_init(struct port *port, const void *with, struct vnic_error *err)
{
	const struct vnic_vxlan *config = with;
	struct sockaddr_storage own = {0};
	struct vxlan *vxlan;
	int r;

	getsockname(config->fd, (struct sockaddr *)&own, &(socklen_t){sizeof(own)});
	r = check_config(config, &own, err);
	if (r < 0)
		return r;
	vxlan = calloc(1, sizeof(*vxlan));
	if (!vxlan)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	vxlan->vni = config->vni;
	vxlan->learns = config->remote_count == 0;
	vxlan->own_port = *port_of(&own);
	vxlan->addr_len = own.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	for (; vxlan->count < config->remote_count; vxlan->count++)
		vxlan->remotes[vxlan->count].addr = config->remotes[vxlan->count];
	port->ops = &vxlan_ops;
	port->state = vxlan;
	port->fd = config->fd;
	port->fds = &port->fd;
	port->queues = 1;
	return 0;
}
