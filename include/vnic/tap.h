/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TAP and TUN devices, macvtap, their queues, and frames in and out.
 *
 * Source: Documentation/networking/tuntap.rst, include/uapi/linux/if_tun.h, virtio 1.2 section 5.1.6.
 */
#ifndef VNIC_TAP_H
#define VNIC_TAP_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <vnic/addr.h>
#include <vnic/api.h>
#include <vnic/error.h>

#define VNIC_TAP_QUEUES 256         /* the kernel's own bound: MAX_TAP_QUEUES, drivers/net/tun.c */
#define VNIC_FRAME_MAX (65536 + 64) /* a super-frame with link header and some room */

/*
 * struct virtio_net_hdr as it stands before each frame of a device with vnet_hdr; little
 * endian with vnet_le, which vnic sets.  10 bytes: TUNSETVNETHDRSZ is left at its default.
 */
struct vnic_vnet_hdr {
	uint8_t flags;        /* VIRTIO_NET_HDR_F_NEEDS_CSUM: the checksum is partial */
	uint8_t gso_type;     /* VIRTIO_NET_HDR_GSO_* */
	uint16_t hdr_len;     /* bytes of headers */
	uint16_t gso_size;    /* bytes of payload in each segment */
	uint16_t csum_start;  /* offset from the frame's first byte */
	uint16_t csum_offset; /* offset from csum_start */
} __attribute__((packed));

/* Offloads; what the peer of the descriptor may be handed.  Values of TUN_F_*. */
#define VNIC_OFFLOAD_CSUM 0x01u
#define VNIC_OFFLOAD_TSO4 0x02u
#define VNIC_OFFLOAD_TSO6 0x04u
#define VNIC_OFFLOAD_ECN 0x08u
#define VNIC_OFFLOAD_USO4 0x20u /* Linux 6.2 */
#define VNIC_OFFLOAD_USO6 0x40u /* Linux 6.2 */
#define VNIC_OFFLOAD_ALL 0x6fu

struct vnic_tap_config {
	bool tun;          /* layer 3 without a link header, instead of layer 2 */
	const char *name;  /* NULL: the kernel chooses "tapN" or "tunN"; may contain %d */
	unsigned queues;   /* 0: 1; more than one sets IFF_MULTI_QUEUE */
	bool vnet_hdr;     /* a struct vnic_vnet_hdr before each frame */
	unsigned offloads; /* VNIC_OFFLOAD_*, with vnet_hdr; those that the kernel lacks are left out */
	bool persistent;   /* stays when the last descriptor is closed */
	bool set_owner, set_group;
	uid_t owner; /* who may attach without CAP_NET_ADMIN */
	gid_t group;
	uint32_t mtu;        /* 0: the kernel's, 1500 */
	uint32_t txqueuelen; /* 0: the kernel's; frames beyond it are dropped in silence; needs the host's privilege */
	struct vnic_mac mac; /* TAP only */
	bool up;             /* set it up; false: leave it as it is */
};

struct vnic_tap {
	char name[IF_NAMESIZE];
	int index; /* ifindex; 0 for an adopted device that lives in another network namespace than the caller */
	bool tun, vnet_hdr, persistent;
	unsigned offloads; /* granted */
	unsigned queues;
	int *fds; /* one a queue, non-blocking; owned; allocated */
};

/* The empty device: safe to close. */
#define VNIC_TAP_EMPTY ((struct vnic_tap){0})

/*
 * Creates a device, or attaches to one that exists, in the caller's network namespace.
 * Needs /dev/net/tun and, unless the device is persistent and owned by the caller,
 * CAP_NET_ADMIN over the namespace.  Errors: -EBUSY device in use or of another kind;
 * -EPERM, -EACCES, -ENOENT (no /dev/net/tun), -ENODEV (no tun driver), each with a remedy.
 */
VNIC_API int vnic_tap_open(const struct vnic_tap_config *config, struct vnic_tap *ret_tap, struct vnic_error *err);

/*
 * Takes over descriptors made elsewhere, all of one device, and asks the kernel what they are.  Owns them on
 * success.  They must have been opened with IFF_NO_PI, which the kernel does not tell; which
 * offloads are on it does not tell either: ret_tap->offloads is 0.  -EINVAL: not such descriptors.
 */
VNIC_API int vnic_tap_adopt(const int *fds, unsigned count, struct vnic_tap *ret_tap, struct vnic_error *err);

/* Opens `queues` descriptors on the macvtap link `index` (a character device /dev/tapINDEX of the caller's devtmpfs).
 */
VNIC_API int vnic_macvtap_open(int index, unsigned queues, bool vnet_hdr, unsigned offloads, struct vnic_tap *ret_tap,
			       struct vnic_error *err);

/*
 * Closes all queues.  The last descriptor of a device that is not persistent deletes it, and
 * that close blocks for 16 to 20 ms (an RCU grace period in the kernel).
 */
VNIC_API void vnic_tap_close(struct vnic_tap *tap);

/* Deletes a persistent device.  -ENODEV if there is none. */
VNIC_API int vnic_tap_delete(const char *name, bool tun, struct vnic_error *err);

/*
 * One frame.  `hdr` is used when the device has vnet_hdr and may be NULL otherwise.
 * Returns bytes of frame.  -EAGAIN: nothing there, or the queue is full.  -EMSGSIZE: the frame
 * did not fit into `size` (the rest of it is lost) or is larger than the device takes.  -EINVAL: too short for
 * its kind (14 bytes for TAP, 20 for TUN).  -ENETDOWN: the device is down; -EBADFD: it was deleted.
 */
VNIC_API ssize_t vnic_frame_read(const struct vnic_tap *tap, unsigned queue, struct vnic_vnet_hdr *hdr, void *frame,
				 size_t size);
VNIC_API ssize_t vnic_frame_write(const struct vnic_tap *tap, unsigned queue, const struct vnic_vnet_hdr *hdr,
				  const void *frame, size_t size);

#endif
