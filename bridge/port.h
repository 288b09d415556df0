/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One endpoint of a relay: what all kinds have in common, and the table that makes the difference. */
#ifndef BRIDGE_PORT_H
#define BRIDGE_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <vnic/relay.h>
#include <vnic/tap.h>

#define FRAME_HEADROOM 4 /* a VLAN tag that has to be put back */

/* A frame on its way, with its virtio header.  The bytes belong to the relay. */
struct frame {
	struct vnic_vnet_hdr hdr;
	uint8_t *data; /* FRAME_HEADROOM writable bytes stand before it, VNIC_FRAME_MAX behind */
	size_t len;
};

struct port;

struct port_ops {
	const char *kind;
	/*
	 * Takes one frame from a queue without waiting; fills data (given) and len.  -EAGAIN: nothing there.
	 * -EINVAL: a frame too short, -EMSGSIZE: too large, -EPROTO: one that the kernel cannot express;
	 * these frames are lost.  -ENETDOWN: down for now.  All else: the device is gone.
	 */
	int (*read)(struct port *port, unsigned queue, struct frame *frame);
	/* Without waiting.  -EAGAIN, -ENOBUFS: full.  -EMSGSIZE, -ENETDOWN, -EBADFD: too large, down, gone. */
	int (*write)(struct port *port, const struct frame *frame);
	void (*close)(struct port *port);
};

struct port {
	const struct port_ops *ops;
	const char *name; /* owned by the relay */
	struct vnic_port_stats stats;
	bool open, isolated;
	bool tun; /* packets without a link header */
	unsigned queues;
	int *fds;            /* one a queue; owned by the kind */
	struct vnic_tap tap; /* taps and tuns */
	int fd;              /* the others */
	struct vnic_nl *nl;  /* a link to delete at the end is in its namespace; NULL: none */
	int link;
};

/* Fill an empty port with descriptors, which are closed with the port and not before. */
int port_tap_init(struct port *port, const struct vnic_tap *tap, struct vnic_error *err);
int port_packet_init(struct port *port, int fd, struct vnic_error *err);

#endif
