/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When there are no descriptors left: one is kept for turning away whoever waits, and for asking who is the host. */
#include <errno.h>
#include <sys/socket.h>

#include "fd.h"
#include "internal.h"

void gateway_keep_spare(struct vnic_gateway *gateway)
{
	if (gateway->spare_fd < 0)
		gateway->spare_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

bool gateway_lend_spare(struct vnic_gateway *gateway)
{
	if ((errno != EMFILE && errno != ENFILE) || gateway->spare_fd < 0)
		return false;
	close_fd(&gateway->spare_fd);
	return true;
}

void gateway_reset(int *fd)
{
	const struct linger reset = {.l_onoff = 1};

	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close_fd(fd);
}

int gateway_accept(struct vnic_gateway *gateway, int listener, struct sockaddr_storage *ret_from)
{
	socklen_t len = sizeof(*ret_from);
	int fd = accept4(listener, (struct sockaddr *)ret_from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 || !gateway_lend_spare(gateway))
		return fd;
	fd = accept4(listener, (struct sockaddr *)ret_from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		gateway->stats.full++;
		gateway_reset(&fd);
	}
	gateway_keep_spare(gateway);
	errno = EAGAIN;
	return -1;
}
