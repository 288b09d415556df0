/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Closing that nobody waits for.
 *
 * Theory of operation.  The last close of some descriptors blocks: of a packet socket for an RCU grace period, 10 ms
 * (packet_release, net/packet/af_packet.c); of a TUN or TAP device for 16 to 20 ms; of what keeps a mount namespace
 * for one while it is dissolved.  A process that is waited for should not be the one that closes them last.  So a copy
 * lies in a message in the queue of a socket, and the message has this socket, too: nobody else can reach it.  When the
 * process and with it the socket's last descriptor is gone, the kernel's garbage collector of sockets in flight finds
 * the message and closes what is in it, since Linux 6.10 in a worker of its own (net/unix/garbage.c).  Older kernels
 * collect in our context: then it takes what it takes.
 *
 * What is in flight is counted over all processes of a user, and held against the limit of descriptors of whoever sends
 * (too_many_unix_fds, net/core/scm.c).  With the usual soft limit of 1024 the 513th sandbox could not start, and those
 * before it got no sockets any more; so who sends has its soft limit raised (raise_fd_limit).
 *
 * A collection that is under way already may miss the message; then it is the next close of any Unix socket that
 * sees to it.  So this is for what nobody sees, in namespaces of ours, and not for a link of the host's.
 *
 * Rejected: a process that only closes.  Somebody has to wait for it, or it becomes a zombie where pid 1 does not reap.
 */
#include "background.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <vnic/fdpass.h>

#include "fd.h"

#define IN_A_MESSAGE 250 /* SCM_MAX_FD is 253 (include/net/scm.h), and one of them is the socket itself */

/* *ret_end: the socket whose queue has them. */
static int send_to_itself(const int *fds, unsigned count, int *ret_end, struct vnic_error *err)
{
	int pair[2], sent[IN_A_MESSAGE + 1];

	/* Not SOCK_DGRAM: whoever took us over could connect what is left of it to a socket of the host's. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "to another process of vnic", NULL);
	memcpy(sent, fds, count * sizeof(*fds));
	sent[count] = pair[1];
	int r = vnic_fd_send(pair[0], sent, count + 1, "", 1, err);
	close_fd(&pair[0]);
	if (r < 0)
		close_fd(&pair[1]);
	else
		*ret_end = pair[1];
	return r;
}

int background_close_at_end(const int *fds, unsigned count, struct vnic_error *err)
{
	int end, r = 0;

	while (count && r == 0) {
		unsigned some = count < IN_A_MESSAGE ? count : IN_A_MESSAGE;

		r = send_to_itself(fds, some, &end, err); /* `end` stays open as long as we live */
		fds += some;
		count -= some;
	}
	return r;
}

void background_close(int *fd)
{
	int end = -1;

	if (*fd >= 0)
		send_to_itself(fd, 1, &end, NULL);
	close_fd(fd);
	close_fd(&end);
}
