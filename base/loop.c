/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loop.h"

#include <errno.h>

static int control(int epfd, int op, int fd, uint32_t events, struct loop_ref ref, struct vnic_error *err)
{
	struct epoll_event event = {
		.events = events,
		.data.u64 = (uint64_t)ref.type << 48 | (uint64_t)ref.sub << 32 | ref.index,
	};

	if (epoll_ctl(epfd, op, fd, &event) < 0)
		return vnic_fail(err, VNIC_STEP_EPOLL, errno, NULL, NULL);
	return 0;
}

int loop_open(int *ret_epfd, struct vnic_error *err)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);

	if (epfd < 0)
		return vnic_fail(err, VNIC_STEP_EPOLL, errno, NULL, NULL);
	*ret_epfd = epfd;
	return 0;
}

int loop_add(int epfd, int fd, uint32_t events, struct loop_ref ref, struct vnic_error *err)
{
	return control(epfd, EPOLL_CTL_ADD, fd, events, ref, err);
}

int loop_change(int epfd, int fd, uint32_t events, struct loop_ref ref, struct vnic_error *err)
{
	return control(epfd, EPOLL_CTL_MOD, fd, events, ref, err);
}

void loop_remove(int epfd, int fd)
{
	epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
}

int loop_wait(int epfd, struct epoll_event *events, int max, int timeout_ms, struct vnic_error *err)
{
	int n = epoll_wait(epfd, events, max, timeout_ms);

	if (n < 0) {
		if (errno == EINTR)
			return 0;
		return vnic_fail(err, VNIC_STEP_EPOLL, errno, NULL, NULL);
	}
	return n;
}
