/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NETWORK_PORT_OPEN_H
#define NETWORK_PORT_OPEN_H

#include <vnic/sandbox.h>

/* Of a relay's port, until the relay has it. */
struct opening {
	const struct vnic_port *port;
	struct vnic_tap tap;
	int fd;                 /* a socket of whatever kind */
	bool listens;           /* and waits for a peer */
	struct vnic_nl *there;  /* of a pair: in the scratch namespace */
	struct vnic_nl *beside; /* of a TAP or TUN: where it is */
	bool answers;           /* a link that has addresses */
};

/* Valid with port and fd -1 alone.  Half of it may be open after a failure: port_undo. */
int port_open(struct opening *opening, const char *state_dir, struct vnic_error *err);
void port_undo(struct opening *opening);

/* What must be taken back at the relay's end although no descriptor of ours holds it. */
void port_arrange_end(const struct opening *opening, struct vnic_relay *relay, unsigned number);

/* Whether a socket there is a file. */
bool port_is_path(const struct vnic_endpoint *endpoint);

/* Of the kinds that are a socket of their own: SOCK_STREAM, ... */
int port_socket_type(const struct vnic_port *port);

#endif
