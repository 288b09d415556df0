/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One frame in, one frame out.
 *
 * The kernel cuts a frame that does not fit and says nothing.  So a read offers it one byte
 * more than the caller has: if that byte is used, the frame was larger.  And the kernel's errors
 * are those of a character device; they are translated into those of a network device here,
 * once: EIO is a device that is down, EFAULT one that was deleted during the call.
 */
#include <vnic/tap.h>

#include <errno.h>
#include <linux/if_ether.h>
#include <unistd.h>

#include "frame.h"

#define IPV4_HEADER 20

static size_t shortest(const struct vnic_tap *tap)
{
	return tap->tun ? IPV4_HEADER : ETH_HLEN;
}

int frame_error(int error)
{
	switch (error) {
	case EIO:
		return -ENETDOWN;
	case EFAULT:
	case ENODEV:
	case ENOLINK:
		return -EBADFD;
	default:
		return -error;
	}
}

ssize_t vnic_frame_read(const struct vnic_tap *tap, unsigned queue, struct vnic_vnet_hdr *hdr, void *frame, size_t size)
{
	size_t hdr_size = tap->vnet_hdr ? sizeof(*hdr) : 0;
	char spill;
	struct iovec iov[] = {{hdr, hdr_size}, {frame, size}, {&spill, sizeof(spill)}};
	ssize_t n = readv(tap->fds[queue], hdr_size ? iov : iov + 1, hdr_size ? 3 : 2);

	if (n < 0)
		return frame_error(errno);
	if ((size_t)n > hdr_size + size)
		return -EMSGSIZE;
	if ((size_t)n < hdr_size + shortest(tap))
		return -EINVAL;
	return n - (ssize_t)hdr_size;
}

ssize_t vnic_frame_write(const struct vnic_tap *tap, unsigned queue, const struct vnic_vnet_hdr *hdr, const void *frame,
			 size_t size)
{
	size_t hdr_size = tap->vnet_hdr ? sizeof(*hdr) : 0;
	/* writev(2) reads only; struct iovec has no const. */
	struct iovec iov[] = {{(void *)(uintptr_t)hdr, hdr_size}, {(void *)(uintptr_t)frame, size}};
	ssize_t n;

	if (size < shortest(tap))
		return -EINVAL;
	if (size > VNIC_FRAME_MAX)
		return -EMSGSIZE;
	n = writev(tap->fds[queue], hdr_size ? iov : iov + 1, hdr_size ? 2 : 1);
	if (n < 0)
		return frame_error(errno);
	return n - (ssize_t)hdr_size;
}
