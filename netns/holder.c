/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named network namespaces without root: a process that does nothing but be there.
 *
 * The kernel keeps a namespace for a member, a descriptor or a mount.  A user without privilege cannot
 * mount where others see it, and descriptors need a process too; so a holder is a member of a user and a network
 * namespace of its own and has the lock of the name (name.c).  It runs until it is killed: `vnic ns del`.
 *
 * Maker and holder part in two words: the holder says that all is set up, or why not; the maker says "stay", as the
 * last thing that can fail on its side.  A holder that reads the end of the file instead ends: its maker was killed, or
 * has told its user that there is no such namespace.
 */
#include "ns.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

struct holder {
	struct vnic_name *name;
	struct ns_idmap map;
	int maker; /* socket: one vnic_error goes there, then one byte comes */
};

static int set_up(const struct holder *holder, struct vnic_error *err)
{
	int r = ns_idmap_write(0, &holder->map, err);

	if (r == 0)
		r = ns_lo_up(err);
	if (r < 0)
		return r;
	/* Without these only ping(8) and ports below 1024 are missing. */
	ns_set_sysctl("/proc/sys/net/ipv4/ping_group_range", "0 0");
	ns_set_sysctl("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	return vnic_name_publish(holder->name, getpid(), false, err);
}

/* An error is no answer: the maker may have given its own already, and a reset comes before the end of the file. */
static bool told_to_stay(int maker)
{
	ssize_t n;
	char stay;

	do
		n = recv(maker, &stay, 1, 0);
	while (n < 0);
	return n == 1;
}

static int holder_main(void *ctx)
{
	struct holder *holder = ctx;
	struct vnic_error err = {0};
	int r = set_up(holder, &err);

	if (send(holder->maker, &err, sizeof(err), MSG_NOSIGNAL) < 0 || r < 0 || !told_to_stay(holder->maker))
		return 1;
	close_fd(&holder->maker);
	for (;;)
		pause();
}

static int tell_to_stay(int holder, const struct vnic_name *name, struct vnic_error *err)
{
	struct vnic_error said;
	ssize_t n = TEMP_FAILURE_RETRY(recv(holder, &said, sizeof(said), 0));

	if (n == (ssize_t)sizeof(said) && said.code) {
		if (err)
			*err = said;
		return -said.code;
	}
	if (n > 0)
		n = send(holder, "", 1, MSG_NOSIGNAL);
	if (n < 0 && errno != EPIPE)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "to the holder", NULL);
	return n == 1 ? 0 : vnic_fail(err, VNIC_STEP_NS_PIN, ECHILD, name->path, "the holder was killed");
}

/* On failure the name is free again: its file goes, and the lock with the holder. */
static int start(struct vnic_name *name, struct vnic_error *err)
{
	struct holder holder = {.name = name};
	int pair[2];
	int r = ns_idmap_plan(VNIC_IDMAP_ROOT, geteuid(), getegid(), &holder.map, err);

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "to the holder", NULL);
	CLEANUP_FD int other = pair[0];
	holder.maker = pair[1];
	int keep[] = {name->fd, pair[1]};
	r = ns_orphan("vnic-holder", CLONE_NEWUSER | CLONE_NEWNET, keep, 2, holder_main, &holder, err);
	close_fd(&pair[1]);
	/* -ECHILD: the process in between was killed, maybe after the holder was born, which then speaks for itself. */
	return r < 0 && r != -ECHILD ? r : tell_to_stay(other, name, err);
}

int ns_holder_add(const char *name, const char *state_dir, struct vnic_error *err)
{
	struct vnic_name taken;
	int r = vnic_ns_check(CLONE_NEWUSER | CLONE_NEWNET, err);

	if (r == 0)
		r = vnic_name_take(name, state_dir, &taken, err);
	if (r < 0)
		return r;
	r = start(&taken, err);
	if (r < 0)
		vnic_name_drop(&taken);
	else
		close_fd(&taken.fd); /* the holder has the lock */
	return r;
}
