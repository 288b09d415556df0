/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  Four states, told by the descriptors:
 *
 *   up        port->fd is there, and watched as the port's queue
 *   waiting   the listener is watched, for the next peer
 *   dialling  `dialled` is watched for writing: connected, or refused
 *   resting   the timer is set: for the next dial, or, where no descriptor was to be had for a peer, to listen again
 *
 * A peer over TCP may vanish without a word.  A listener takes one at a time, so the dead one would keep all others
 * out: the kernel asks who is silent.  (Rejected: TCP_USER_TIMEOUT.  It would also end a peer that lives and does not
 * read for a minute, such as a guest that is stopped in a debugger.)
 *
 * While it is not up, frames for the port are lost as "down".  Without a listener and without a time
 * after which to dial again, a lost connection is the end of the port.
 */
#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "fd.h"
#include "relay_ports.h"

enum { SUB_LISTENER = 1, SUB_DIALLED };

#define LISTEN_REST_MS 500
#define SILENT_S 30 /* then the kernel asks */
#define ASK_S 10
#define ASK_TIMES 3

static struct timers *timers_of(const struct conn *conn)
{
	return &conn->port->relay->timers;
}

static int wait_for_peer(struct conn *conn, struct vnic_error *err)
{
	return port_watch(conn->port, conn->config.listener, EPOLLIN, SUB_LISTENER, err);
}

/* Frames go at once, and a dead peer is noticed.  Of TCP only: on others they fail, and are not needed. */
static void set_options(int fd)
{
	static const struct {
		int level, option, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},       {IPPROTO_TCP, TCP_KEEPIDLE, SILENT_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, ASK_S}, {IPPROTO_TCP, TCP_KEEPCNT, ASK_TIMES},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof(options[i].value));
	refuse_fds(fd);
}

static int go_up(struct conn *conn, int fd, struct vnic_error *err)
{
	struct port *port = conn->port;

	set_options(fd);
	port->fd = fd;
	port->queues = 1;
	conn->reset(port);
	return port_watch_queue(port, 0, false, err);
}

static void rest(struct conn *conn, unsigned ms)
{
	timers_set(timers_of(conn), &conn->retry, monotonic_ns() + ms * 1000000LL);
}

static void dial(struct conn *conn)
{
	const struct vnic_opener *opener = conn->config.opener;
	int fd = -1;

	if (opener->open(opener->ctx, &conn->config.redial, &fd, NULL) < 0) {
		rest(conn, conn->config.redial_ms);
		return;
	}
	conn->dialled = fd;
	if (port_watch(conn->port, fd, EPOLLOUT, SUB_DIALLED, NULL) < 0) {
		close_fd(&conn->dialled);
		rest(conn, conn->config.redial_ms);
	}
}

static void try_again(struct timer *timer, int64_t now)
{
	struct conn *conn = (struct conn *)((char *)timer - offsetof(struct conn, retry));

	(void)now;
	if (conn->config.listener < 0)
		dial(conn);
	else if (wait_for_peer(conn, NULL) < 0)
		rest(conn, LISTEN_REST_MS);
}

/* Who waits keeps the listener readable: where descriptors have run out it would be asked again and again. */
static int rest_if_exhausted(struct conn *conn, int error)
{
	if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
		port_unwatch(conn->port, conn->config.listener);
		rest(conn, LISTEN_REST_MS);
	}
	return 0;
}

static int take_peer(struct conn *conn)
{
	int fd = accept4(conn->config.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return rest_if_exhausted(conn, errno);
	port_unwatch(conn->port, conn->config.listener);
	return go_up(conn, fd, NULL);
}

static int take_dialled(struct conn *conn)
{
	int error = 0;

	getsockopt(conn->dialled, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
	port_unwatch(conn->port, conn->dialled);
	if (error == 0)
		return go_up(conn, take_fd(&conn->dialled), NULL);
	close_fd(&conn->dialled);
	rest(conn, conn->config.redial_ms);
	return 0;
}

int conn_event(struct conn *conn, unsigned sub)
{
	return sub == SUB_LISTENER ? take_peer(conn) : take_dialled(conn);
}

int conn_lost(struct conn *conn)
{
	struct port *port = conn->port;

	/* A turn that was due when it was lost: what follows is under way already. */
	if (!conn_is_up(conn))
		return conn->config.listener >= 0 || conn->config.redial_ms ? -EAGAIN : -EBADFD;
	port_unwatch(port, port->fd);
	close_fd(&port->fd);
	port->queues = 0;
	if (conn->config.listener >= 0)
		return wait_for_peer(conn, NULL) < 0 ? -EBADFD : -EAGAIN;
	if (!conn->config.redial_ms)
		return -EBADFD;
	rest(conn, conn->config.redial_ms);
	return -EAGAIN;
}

void conn_init(struct conn *conn, struct port *port, const struct vnic_conn *config, void (*reset)(struct port *port))
{
	*conn = (struct conn){
		.port = port, .config = *config, .dialled = -1, .retry = {.run = try_again}, .reset = reset};
	port->fd = config->fd;
	port->fds = &port->fd;
	port->queues = config->fd >= 0 ? 1 : 0;
	refuse_fds(config->listener); /* accepted ones are like it from the first */
}

/* A connection that is there is watched already, with the port's queues. */
int conn_start(struct conn *conn, struct vnic_error *err)
{
	if (conn_is_up(conn)) {
		set_options(conn->port->fd);
		return 0;
	}
	if (conn->config.listener >= 0)
		return wait_for_peer(conn, err);
	dial(conn);
	return 0;
}

void conn_close(struct conn *conn)
{
	timers_set(timers_of(conn), &conn->retry, TIMER_NEVER);
	close_fd(&conn->port->fd);
	close_fd(&conn->config.listener);
	close_fd(&conn->dialled);
}
