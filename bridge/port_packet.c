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
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "vlan.h"

#define BUFFER_BYTES (4 << 20)

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

static int read_one(struct port *port, struct frame *frame)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct iovec iov[] = {{&frame->hdr, sizeof(frame->hdr)}, {frame->data, VNIC_FRAME_MAX}};
	struct msghdr msg = {
		.msg_iov = iov, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(port->fd, &msg, 0);

	if (n < 0)
		return errno == EINVAL ? -EPROTO : packet_error(port, errno);
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	if ((size_t)n < sizeof(frame->hdr) + ETH_HLEN)
		return -EINVAL;
	frame->len = (size_t)n - sizeof(frame->hdr);
	put_tag_back(&msg, frame);
	return 0;
}

/* Of what went wrong: was it one frame, which is lost?  Then the next may be had. */
static bool lost_one(struct port *port, int r)
{
	if (r == -EINVAL)
		port_lose(port, VNIC_DROP_SHORT);
	else if (r == -EMSGSIZE)
		port_lose(port, VNIC_DROP_OVERSIZE);
	else if (r == -EPROTO) /* the kernel has no virtio header for it */
		port_lose(port, VNIC_DROP_REFUSED);
	else
		return false;
	return true;
}

static int packet_read(struct port *port, unsigned queue, struct frame *frames, unsigned max)
{
	unsigned count = 0;

	(void)queue;
	while (count < max) {
		int r = read_one(port, &frames[count]);

		if (r < 0 && lost_one(port, r))
			break;
		if (r < 0)
			return count ? (int)count : r;
		if (frames[count++].len > FRAME_LARGE)
			break;
	}
	return (int)count;
}

static int packet_write(struct port *port, const struct frame *frame)
{
	struct iovec iov[] = {{(void *)(uintptr_t)&frame->hdr, sizeof(frame->hdr)}, {frame->data, frame->len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	return sendmsg(port->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? packet_error(port, errno) : 0;
}

static void packet_close(struct port *port)
{
	close_fd(&port->fd);
}

static const struct port_ops packet_ops = {
	.kind = "link",
	.read = packet_read,
	.write = packet_write,
	.close = packet_close,
};

int port_packet_init(struct port *port, const void *with, struct vnic_error *err)
{
	int fd = *(const int *)with, on = 0;
	socklen_t len = sizeof(on);

	if (getsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, &len) < 0 || !on)
		return vnic_fail(err, VNIC_STEP_PORT, EINVAL, NULL,
				 "this descriptor is not a packet socket with PACKET_VNET_HDR");
	port->ops = &packet_ops;
	port->fd = fd;
	port->fds = &port->fd;
	port->queues = 1;
	port->takes = VNIC_OFFLOAD_ALL;
	return 0;
}
