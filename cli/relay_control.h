/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A running relay, asked and changed over a socket: both ends. */
#ifndef CLI_RELAY_CONTROL_H
#define CLI_RELAY_CONTROL_H

#include "cli.h"

#define CONTROL_CLIENTS 4

struct relay_control {
	struct vnic_relay *relay;
	struct vnic_port *ports; /* as they are set now, by number */
	int port_count;
	char path[108]; /* of the socket's file */
	int listener;
	int spare;                    /* descriptor, for who comes when there are no others; -1: none */
	int clients[CONTROL_CLIENTS]; /* -1: free */
};
#define RELAY_CONTROL_EMPTY ((struct relay_control){.listener = -1, .spare = -1, .clients = {-1, -1, -1, -1}})

/* Listens at `path` from now on, until relay_control_end, which removes it.  The ports stay the caller's. */
int relay_control_begin(struct relay_control *control, const char *path, struct vnic_relay *relay,
			struct vnic_port *ports, int port_count, struct vnic_error *err);
void relay_control_end(struct relay_control *control);

/* How the commands are written, "link PORT up|down", or NULL after the last; static. */
const char *relay_control_form(unsigned index);

/* The other end: sends the words as one command, prints the answer; its error is the relay's. */
int relay_control_ask(const char *path, char *const *words, struct vnic_error *err);

#endif
