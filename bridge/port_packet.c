/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packet sockets as ports.
 *
 * Theory of operation.  A packet socket on one end of a veth pair is as good as a TAP and needs no
 * /dev/net/tun.  PACKET_VNET_HDR makes both ends exchange super-frames with partial checksums;
 * without it the kernel hands out frames whose checksum nobody will ever finish.  Two things are different:
 *
 *  - The kernel takes a VLAN tag off before the socket sees the frame, and tells of it in a control message.  It
 *    is put back here, 4 bytes further to the front, and offsets in the virtio header move by 4.
 *  - What the socket cannot queue the kernel drops before we see it.  The default buffer holds three
 *    super-frames; so it is enlarged as far as the caller may.
 *
 * Small frames are read and written several with one call: 12 % less CPU time for each.  They are asked for when they
 * come in a row; one that reads ahead of time gets super-frames, which want to be passed on while they are in the
 * cache.
 *
 * Rejected: a ring (PACKET_RX_RING).  A slot must hold the largest super-frame, so a ring of useful length costs
 * 16 MB a port, and frames still have to be copied to be sent.
 */
#include "port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "vlan.h"

#define BUFFER_BYTES (4 << 20)
#define READ_AT_ONCE 16
#define GATHERED 64
#define GATHERED_BYTES 2048 /* of one frame with its virtio header; larger ones are written alone */

struct packet {
	unsigned want; /* so many messages the next time */
	struct mmsghdr in[READ_AT_ONCE];
	struct iovec iov[READ_AT_ONCE][2];
	_Alignas(struct cmsghdr) char control[READ_AT_ONCE][CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	unsigned gathered;
	struct mmsghdr out[GATHERED];
	struct iovec places[GATHERED];
	uint8_t bytes[GATHERED][GATHERED_BYTES];
};

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

int vnic_packet_open(int index, int *ret_fd, struct vnic_error *err)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
	struct packet_mreq promiscuous = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};
	/* Protocol 0: nothing is received until bind(2), when all options stand. */
	CLEANUP_FD int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char object[32];

	snprintf(object, sizeof(object), "ifindex %d", index);
	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, object, NULL);
	if (set(fd, SOL_PACKET, PACKET_VNET_HDR, 1) < 0)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, object, "PACKET_VNET_HDR");
	if (set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) < 0)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, object, "PACKET_IGNORE_OUTGOING");
	if (set(fd, SOL_PACKET, PACKET_AUXDATA, 1) < 0)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, object, "PACKET_AUXDATA");
	if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES) < 0)
		set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
	if (set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES) < 0)
		set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) < 0)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, object, "promiscuous mode");
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, object, NULL);
	*ret_fd = take_fd(&fd);
	return 0;
}

static void put_tag_back(struct msghdr *msg, struct frame *frame)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		struct tpacket_auxdata aux;

		if (cmsg->cmsg_level != SOL_PACKET || cmsg->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(cmsg), sizeof(aux));
		if (aux.tp_status & TP_STATUS_VLAN_VALID)
			frame_push_vlan(frame,
					aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q,
					aux.tp_vlan_tci);
	}
}

/* The socket outlives its interface and only says that it is down; its address tells the difference. */
static bool interface_gone(int fd)
{
	struct sockaddr_ll addr = {0};
	socklen_t len = sizeof(addr);

	return getsockname(fd, (struct sockaddr *)&addr, &len) < 0 || addr.sll_ifindex <= 0;
}

static int packet_error(const struct port *port, int error)
{
	switch (error) {
	case ENETDOWN:
	case ENXIO:
	case ENODEV:
		return interface_gone(port->fd) ? -EBADFD : -ENETDOWN;
	default:
		return -error;
	}
}

/* --- reading -------------------------------------------------------------------------- */

/* Of what went wrong: was it one frame, which is lost?  Then the next may be had. */
static bool lost_one(struct port *port, int error)
{
	if (error != EINVAL) /* the kernel has no virtio header for it */
		return false;
	port_lose(port, VNIC_DROP_REFUSED);
	return true;
}

/* Its tag put back; or counted as lost. */
static bool take_message(struct port *port, struct mmsghdr *message, struct frame *frame)
{
	if (message->msg_hdr.msg_flags & MSG_TRUNC) {
		port_lose(port, VNIC_DROP_OVERSIZE);
		return false;
	}
	if (message->msg_len < sizeof(frame->hdr) + ETH_HLEN) {
		port_lose(port, VNIC_DROP_SHORT);
		return false;
	}
	frame->len = message->msg_len - sizeof(frame->hdr);
	put_tag_back(&message->msg_hdr, frame);
	return true;
}

/* Small frames that come one after the other are had several at once; large ones one by one, see FRAME_LARGE. */
static unsigned how_many(const struct packet *packet, unsigned came, const struct frame *last)
{
	if (came < packet->want || last->len > FRAME_LARGE)
		return 1;
	return 2 * came < READ_AT_ONCE ? 2 * came : READ_AT_ONCE;
}

static int receive(struct port *port, struct frame *frames, unsigned max)
{
	struct packet *packet = port->state;

	for (unsigned i = 0; i < max; i++) {
		struct msghdr *msg = &packet->in[i].msg_hdr;

		msg->msg_iov[0].iov_base = &frames[i].hdr;
		msg->msg_iov[1].iov_base = frames[i].data;
		msg->msg_controllen = sizeof(packet->control[i]);
	}
	return recvmmsg(port->fd, packet->in, max, MSG_DONTWAIT, NULL);
}

static int packet_read(struct port *port, unsigned queue, struct frame *frames, unsigned max)
{
	struct packet *packet = port->state;
	unsigned count = 0;
	int n;

	(void)queue;
	packet->want = packet->want < max ? packet->want : max;
	n = receive(port, frames, packet->want);
	if (n < 0) {
		packet->want = 1;
		return lost_one(port, errno) ? 0 : packet_error(port, errno);
	}
	for (int i = 0; i < n; i++) {
		struct frame frame = frames[i]; /* its place stays where it is, should this one be lost */

		if (take_message(port, &packet->in[i], &frame))
			frames[count++] = frame;
	}
	packet->want = count ? how_many(packet, (unsigned)n, &frames[count - 1]) : 1;
	return (int)count;
}

/* --- writing -------------------------------------------------------------------------- */

static int write_now(struct port *port, const struct frame *frame)
{
	struct iovec iov[] = {{(void *)(uintptr_t)&frame->hdr, sizeof(frame->hdr)}, {frame->data, frame->len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	return sendmsg(port->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? packet_error(port, errno) : 0;
}

static void packet_flush(struct port *port)
{
	struct packet *packet = port->state;
	unsigned done = 0;

	while (done < packet->gathered) {
		int n = sendmmsg(port->fd, packet->out + done, packet->gathered - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		int r = n < 0 ? packet_error(port, errno) : 0;

		if (n < 0) {
			port_lose_gathered(port, packet->places[done].iov_len - sizeof(struct vnic_vnet_hdr), r);
			port->gone = port->gone || r == -EBADFD;
		}
		done += n < 0 ? 1 : (unsigned)n;
	}
	packet->gathered = 0;
}

/* Small frames are gathered; a large one goes behind them, alone. */
static int packet_write(struct port *port, const struct frame *frame)
{
	struct packet *packet = port->state;
	uint8_t *place;

	if (sizeof(frame->hdr) + frame->len > GATHERED_BYTES || packet->gathered == GATHERED)
		packet_flush(port);
	if (sizeof(frame->hdr) + frame->len > GATHERED_BYTES)
		return write_now(port, frame);
	place = packet->bytes[packet->gathered];
	memcpy(place, &frame->hdr, sizeof(frame->hdr));
	memcpy(place + sizeof(frame->hdr), frame->data, frame->len);
	packet->places[packet->gathered++].iov_len = sizeof(frame->hdr) + frame->len;
	port->dirty = true;
	return 0;
}

static void packet_close(struct port *port)
{
	close_fd(&port->fd);
	free(port->state);
}

static const struct port_ops packet_ops = {
	.kind = "link",
	.overruns = true,
	.read = packet_read,
	.write = packet_write,
	.flush = packet_flush,
	.close = packet_close,
};

static struct packet *packet_new(void)
{
	struct packet *packet = calloc(1, sizeof(*packet));

	if (!packet)
		return NULL;
	packet->want = 1;
	for (unsigned i = 0; i < READ_AT_ONCE; i++) {
		packet->iov[i][0].iov_len = sizeof(struct vnic_vnet_hdr);
		packet->iov[i][1].iov_len = VNIC_FRAME_MAX;
		packet->in[i].msg_hdr =
			(struct msghdr){.msg_iov = packet->iov[i], .msg_iovlen = 2, .msg_control = packet->control[i]};
	}
	for (unsigned i = 0; i < GATHERED; i++) {
		packet->places[i].iov_base = packet->bytes[i];
		packet->out[i].msg_hdr = (struct msghdr){.msg_iov = &packet->places[i], .msg_iovlen = 1};
	}
	return packet;
}

int port_packet_init(struct port *port, const void *with, struct vnic_error *err)
{
	int fd = *(const int *)with, on = 0;
	socklen_t len = sizeof(on);

	if (getsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, &len) < 0 || !on)
		return vnic_fail(err, VNIC_STEP_PORT, EINVAL, NULL,
				 "this descriptor is not a packet socket with PACKET_VNET_HDR");
	port->state = packet_new();
	if (!port->state)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	port->ops = &packet_ops;
	port->fd = fd;
	port->fds = &port->fd;
	port->queues = 1;
	port->takes = VNIC_OFFLOAD_ALL;
	return 0;
}
