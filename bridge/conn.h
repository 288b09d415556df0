/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection behind a port: accepted on a listening socket, or dialled, and had again when it is lost.
 *
 * port->fd is the connection, and the port's only queue as long as there is one.  A listener has one peer at a time;
 * further ones wait in its backlog.
 */
#ifndef BRIDGE_CONN_H
#define BRIDGE_CONN_H

#include "port.h"
#include "timer.h"

struct conn {
	struct port *port;
	struct vnic_conn config;
	int dialled; /* a connect(2) under way; -1: none */
	struct timer retry;
	void (*reset)(struct port *port); /* the peer is another one: forget what was half read or written */
};

/* Takes the configuration's descriptors over. */
void conn_init(struct conn *conn, struct port *port, const struct vnic_conn *config, void (*reset)(struct port *port));
/* Parts of the port's ops->start, event and close. */
int conn_start(struct conn *conn, struct vnic_error *err);
int conn_event(struct conn *conn, unsigned sub);
void conn_close(struct conn *conn);

static inline bool conn_is_up(const struct conn *conn)
{
	return conn->port->fd >= 0;
}

/* The peer is gone, or out of step.  -EBADFD: and no other will come; else -EAGAIN. */
int conn_lost(struct conn *conn);

#endif
