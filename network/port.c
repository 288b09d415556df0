/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay's port: what port_open.c has opened is added to the relay, with filters and weather. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "build.h"
#include "port_open.h"

/* --- a device, a capture -------------------------------------------------------------- */

static int add_device(struct opening *opening, struct vnic_relay *relay, struct vnic_error *err)
{
	int r = vnic_relay_add_tap(relay, opening->port->text, &opening->tap, err);

	if (r >= 0 && opening->beside && vnic_relay_count_drops(relay, (unsigned)r, opening->beside) == 0)
		opening->beside = NULL;
	return r;
}

static int add_pcap(const struct opening *opening, struct vnic_relay *relay, struct vnic_error *err)
{
	const struct vnic_port *port = opening->port;
	const struct vnic_pcap pcap = {.fd = opening->fd, .write = port->write, .speed = port->speed};
	int r = vnic_relay_add_pcap(relay, port->text, &pcap, err);

	if (r < 0 && err && !err->object[0])
		snprintf(err->object, sizeof(err->object), "%.*s", (int)sizeof(err->object) - 1, port->path);
	return r;
}

/* --- a socket ------------------------------------------------------------------------- */

static int open_for_relay(void *ctx, const struct vnic_open_request *request, int *ret_fd, struct vnic_error *err)
{
	(void)ctx;
	return opener_ask(-1, request, ret_fd, err);
}

static int add_conn(struct opening *opening, int type, struct vnic_relay *relay, struct vnic_error *err)
{
	static const struct vnic_opener opener = {.open = open_for_relay};
	const struct vnic_port *port = opening->port;
	const struct vnic_conn conn = {
		.listener = opening->listens ? opening->fd : -1,
		.fd = opening->listens ? -1 : opening->fd,
		.opener = &opener,
		.redial = {.side = VNIC_SIDE_HOST,
			   .domain = port->remote.addr.ss_family,
			   .type = type,
			   .connect = port->remote.addr,
			   .connect_len = port->remote.len},
		.redial_ms = port->redial_s * 1000,
	};

	return type == SOCK_STREAM ? vnic_relay_add_stream(relay, port->text, &conn, err)
				   : vnic_relay_add_seqpacket(relay, port->text, &conn, err);
}

static int add_dgram(struct opening *opening, struct vnic_relay *relay, struct vnic_error *err)
{
	const struct vnic_port *port = opening->port;
	struct sockaddr_storage peer;
	bool connected = getpeername(opening->fd, (struct sockaddr *)&peer, &(socklen_t){sizeof(peer)}) == 0;
	const struct vnic_dgram dgram = {
		.fd = opening->fd,
		.learns = !connected && !port->remote.len,
		.peer = port->remote.addr,
		.peer_len = port->remote.len,
	};

	return vnic_relay_add_dgram(relay, port->text, &dgram, err);
}

static int add_vxlan(const struct opening *opening, struct vnic_relay *relay, struct vnic_error *err)
{
	const struct vnic_port *port = opening->port;
	const struct vnic_vxlan vxlan = {
		.fd = opening->fd, .vni = port->vni, .remotes = port->remotes, .remote_count = port->remote_count};

	return vnic_relay_add_vxlan(relay, port->text, &vxlan, err);
}

static int socket_option(int fd, int option, int *ret_value)
{
	return getsockopt(fd, SOL_SOCKET, option, ret_value, &(socklen_t){sizeof(*ret_value)}) < 0 ? -errno : 0;
}

/* What kind of socket the user has handed over. */
static int look_at(struct opening *opening, int *ret_domain, int *ret_type, struct vnic_error *err)
{
	int listens = 0, r = socket_option(opening->fd, SO_TYPE, ret_type);

	if (r == 0)
		r = socket_option(opening->fd, SO_DOMAIN, ret_domain);
	if (r == 0)
		r = socket_option(opening->fd, SO_ACCEPTCONN, &listens);
	opening->listens = listens;
	return r < 0 ? vnic_fail(err, VNIC_STEP_SOCKET, -r, opening->port->text, "getsockopt") : 0;
}

static int add_socket(struct opening *opening, struct vnic_relay *relay, struct vnic_error *err)
{
	const struct vnic_port *port = opening->port;
	int type = port_socket_type(port), domain = AF_UNIX, r = 0;

	if (port->kind == VNIC_PORT_VXLAN)
		return add_vxlan(opening, relay, err);
	if (port->kind == VNIC_PORT_PCAP)
		return add_pcap(opening, relay, err);
	if (port->kind == VNIC_PORT_FD)
		r = look_at(opening, &domain, &type, err);
	if (r < 0)
		return r;
	if (port->kind == VNIC_PORT_LINK || port->kind == VNIC_PORT_VETH || domain == AF_PACKET)
		return vnic_relay_add_packet(relay, port->text, opening->fd, err);
	if (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6)
		type = 0;
	if (type == SOCK_STREAM || type == SOCK_SEQPACKET)
		return add_conn(opening, type, relay, err);
	if (type == SOCK_DGRAM)
		return add_dgram(opening, relay, err);
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, port->text, "a socket of this type cannot be a port");
}

/* --- the whole ------------------------------------------------------------------------ */

/* All that can be: so who goes back to what was before gets there, whatever the fast path says on the way. */
int vnic_port_apply(const struct vnic_port *port, struct vnic_relay *relay, unsigned number, struct vnic_error *err)
{
	int first = 0, r;

	for (unsigned d = 0; d < VNIC_DIRECTIONS; d++) {
		const char *filter = port->sides[d].filter;
		const struct vnic_impairment *weather = port->sides[d].impaired ? &port->sides[d].impairment : NULL;

		r = vnic_relay_set_filter(relay, number, d, filter[0] ? filter : NULL, first ? NULL : err);
		first = first ? first : r;
		r = vnic_relay_set_impairment(relay, number, d, weather, first ? NULL : err);
		first = first ? first : r;
	}
	return first;
}

int vnic_port_open(struct vnic_port *port, const char *state_dir, struct vnic_relay *relay, struct vnic_error *err)
{
	struct opening opening = {.port = port, .fd = -1};
	int r = port_open(&opening, state_dir, err);

	if (r == 0)
		r = opening.tap.queues ? add_device(&opening, relay, err) : add_socket(&opening, relay, err);
	if (r < 0) {
		port_undo(&opening);
		return r;
	}
	port->answers = opening.answers;
	port_arrange_end(&opening, relay, (unsigned)r);
	if (port->isolated)
		vnic_relay_set_isolated(relay, (unsigned)r, true);
	int set = vnic_port_apply(port, relay, (unsigned)r, err);
	return set < 0 ? set : r;
}
