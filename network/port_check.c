/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports that cannot be beside each other in one relay, told before the first is opened.
 *
 * Theory of operation.  Two ports on one link give each other's frames back to it, which go in a circle, and a file
 * that is written loses what another port is to read there: so neither may begin.  What is compared is what the user
 * has written, so one namespace under two names is two; a file is known by its inode.
 *
 * Rejected: comparing what has been opened.  Before Linux 5.14 a socket does not tell its namespace, and a file is
 * emptied by opening it.
 */
#include <errno.h>
#include <string.h>

#include <vnic/sandbox.h>

#include "parse.h"
#include "port_open.h"

static bool is_link(const struct vnic_port *port)
{
	return port->kind == VNIC_PORT_TAP || port->kind == VNIC_PORT_TUN || port->kind == VNIC_PORT_VETH ||
	       port->kind == VNIC_PORT_LINK;
}

static bool same_link(const struct vnic_port *a, const struct vnic_port *b)
{
	return is_link(a) && is_link(b) && !strcmp(a->name, b->name) && !strcmp(a->netns, b->netns);
}

/* The file of a Unix socket is the same in every network namespace. */
static bool same_address(const struct vnic_port *a, const struct vnic_port *b)
{
	const struct vnic_endpoint *at = &a->local;

	return at->len && at->len == b->local.len && !memcmp(&at->addr, &b->local.addr, at->len) &&
	       (port_is_path(at) || (port_socket_type(a) == port_socket_type(b) && !strcmp(a->netns, b->netns)));
}

static bool same_capture(const struct vnic_port *a, const struct vnic_port *b)
{
	return a->kind == VNIC_PORT_PCAP && b->kind == VNIC_PORT_PCAP && (a->write || b->write) &&
	       parse_same_file(a->path, b->path);
}

/* NULL: nothing. */
static const char *what_forbids(const struct vnic_port *a, const struct vnic_port *b)
{
	if (same_link(a, b))
		return "another port is on this link, so frames would go in a circle: name each link once";
	if (same_address(a, b))
		return "another port has this local address: choose another one, for udp and vxlan with local=";
	if (same_capture(a, b))
		return "another port has this file, and one of them writes to it: choose another one";
	return NULL;
}

int vnic_ports_check(const struct vnic_port *ports, unsigned count, const char *capture, struct vnic_error *err)
{
	for (unsigned i = 0; i < count; i++) {
		const char *why = NULL;

		for (unsigned j = 0; j < i && !why; j++)
			why = what_forbids(&ports[j], &ports[i]);
		if (why)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, ports[i].text, "%s", why);
		if (capture && ports[i].kind == VNIC_PORT_PCAP && parse_same_file(ports[i].path, capture))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, ports[i].text,
					 "all frames are captured to this file: choose another one");
	}
	return 0;
}
