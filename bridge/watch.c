/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors of the caller's in the relay's loop, so that who has a few needs no loop of its own. */
#include <errno.h>

#include "loop.h"
#include "relay_ports.h"

static struct watch *find(struct vnic_relay *relay, int fd)
{
	for (struct watch *watch = relay->watches; watch < relay->watches + VNIC_RELAY_WATCHES; watch++)
		if (watch->fn ? watch->fd == fd : fd < 0)
			return watch;
	return NULL;
}

int vnic_relay_watch(struct vnic_relay *relay, int fd, void (*fn)(void *ctx, int fd), void *ctx, struct vnic_error *err)
{
	struct watch *watch = find(relay, fd);
	struct loop_ref ref = {.type = RELAY_REF_WATCH};
	int r;

	if (!fn) {
		if (watch) {
			loop_remove(relay->epfd, fd);
			*watch = (struct watch){0};
		}
		return 0;
	}
	watch = watch ? watch : find(relay, -1);
	if (!watch)
		return vnic_fail(err, VNIC_STEP_RELAY, ENOSPC, NULL, "at most %d descriptors are watched",
				 VNIC_RELAY_WATCHES);
	ref.index = (uint32_t)(watch - relay->watches);
	r = watch->fn ? 0 : loop_add(relay->epfd, fd, EPOLLIN, ref, err);
	if (r == 0)
		*watch = (struct watch){.fd = fd, .fn = fn, .ctx = ctx};
	return r;
}

void relay_take_watch(struct vnic_relay *relay, unsigned index)
{
	const struct watch watch = relay->watches[index];

	if (watch.fn) /* one that was called before it may have ended it */
		watch.fn(watch.ctx, watch.fd);
}
