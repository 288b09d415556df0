/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A typed epoll(7) loop: the 64 bits of an event say what became ready, and the
 * owner's one switch says what to do.  No call-backs, no allocation.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

#include <vnic/error.h>

struct loop_ref {
	uint16_t type;  /* an enum of the owner */
	uint16_t sub;   /* e.g. a queue */
	uint32_t index; /* e.g. a port */
};

int loop_open(int *ret_epfd, struct vnic_error *err);
/* events: EPOLLIN, EPOLLOUT, EPOLLET, ... */
int loop_add(int epfd, int fd, uint32_t events, struct loop_ref ref, struct vnic_error *err);
int loop_change(int epfd, int fd, uint32_t events, struct loop_ref ref, struct vnic_error *err);
/* Silent when the descriptor is not there. */
void loop_remove(int epfd, int fd);
/* Number of events, 0 at the time-out (ms, -1: none); EINTR is 0 too. */
int loop_wait(int epfd, struct epoll_event *events, int max, int timeout_ms, struct vnic_error *err);

static inline struct loop_ref loop_ref_of(const struct epoll_event *event)
{
	return (struct loop_ref){
		.type = (uint16_t)(event->data.u64 >> 48),
		.sub = (uint16_t)(event->data.u64 >> 32),
		.index = (uint32_t)event->data.u64,
	};
}

#endif
