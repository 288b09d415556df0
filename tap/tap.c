/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TAP and TUN devices: open, adopt, set up, close, delete.
 *
 * Theory of operation.  A descriptor of /dev/net/tun becomes a queue of a device by TUNSETIFF: the
 * first one of a name creates the device in the caller's network namespace, later ones are further
 * queues.  The device lives as long as a queue is open, or until TUNSETPERSIST is taken back; so
 * persistence is set last, and a failure before it leaves nothing behind.
 *
 * With vnet_hdr every frame stands behind a virtio header, and TUNSETOFFLOAD tells the kernel what
 * the reader can take: with checksums and segmentation left to it, one read brings up to 64 KiB of
 * TCP instead of 1500 bytes.  TUNSETSNDBUF is never called: any limit at all takes writes off the
 * kernel's fast allocation path (tun_can_build_skb in drivers/net/tun.c).
 *
 * MTU, MAC, queue length and the state up go by ioctls on an ordinary socket.  Rejected: rtnetlink, which
 * is cleaner, but this room would need the one of netlink for four numbers; and TUNSETTXFILTER's kin on
 * the descriptor itself, which exists for the MAC only.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "fd.h"
#include "parse.h"

#define TUN_PATH "/dev/net/tun"

/* A name, or a pattern such as "vm%d" of which the kernel makes one. */
static int copy_name(const char *text, char ret_name[IFNAMSIZ], struct vnic_error *err)
{
	if (!text) {
		ret_name[0] = '\0';
		return 0;
	}
	if (strstr(text, "%d"))
		return parse_copy(text, "the name of a device", ret_name, IFNAMSIZ, err);
	return parse_ifname(text, "the name of a device", ret_name, err);
}

static int open_tun(int *ret_fd, struct vnic_error *err)
{
	int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_TUN_OPEN, errno, TUN_PATH, NULL);
	*ret_fd = fd;
	return 0;
}

/* `name` may be a pattern or empty; it is replaced by the name that the device has. */
static int attach(char name[IFNAMSIZ], unsigned flags, int *ret_fd, struct vnic_error *err)
{
	CLEANUP_FD int fd = -1;
	struct ifreq ifr = {.ifr_flags = (short)flags};
	int r = open_tun(&fd, err);

	if (r < 0)
		return r;
	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		/* The kernel says EINVAL where the name belongs to a link that is not what was asked for. */
		if (errno == EINVAL && if_nametoindex(name))
			return vnic_fail(err, VNIC_STEP_TAP_ADD, EBUSY, name,
					 "a link of this name exists and is not a %s with %s",
					 flags & IFF_TUN ? "TUN" : "TAP",
					 flags & IFF_MULTI_QUEUE ? "several queues" : "one queue");
		return vnic_fail(err, VNIC_STEP_TAP_ADD, errno, name, NULL);
	}
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int set_offloads(int fd, unsigned wanted, const char *name, unsigned *ret_granted, struct vnic_error *err)
{
	const unsigned uso = VNIC_OFFLOAD_USO4 | VNIC_OFFLOAD_USO6;
	int r = ioctl(fd, TUNSETOFFLOAD, (unsigned long)wanted);

	if (r < 0 && errno == EINVAL && (wanted & uso)) {
		wanted &= ~uso;
		r = ioctl(fd, TUNSETOFFLOAD, (unsigned long)wanted);
	}
	if (r < 0)
		return vnic_fail(err, VNIC_STEP_TAP_SET, errno, name,
				 "offloads %#x; segmentation needs VNIC_OFFLOAD_CSUM too", wanted);
	*ret_granted = wanted;
	return 0;
}

/* The virtio header that this library speaks: 10 bytes, little endian. */
static int set_header(int fd, const char *name, struct vnic_error *err)
{
	int size = sizeof(struct vnic_vnet_hdr), little = 1;

	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(fd, TUNSETVNETLE, &little) < 0)
		return vnic_fail(err, VNIC_STEP_TAP_SET, errno, name, "the form of the virtio header");
	return 0;
}

int tap_set_offloads(struct vnic_tap *tap, unsigned offloads, struct vnic_error *err)
{
	for (unsigned i = 0; i < tap->queues; i++) {
		int r = set_header(tap->fds[i], tap->name, err);

		if (r == 0)
			r = set_offloads(tap->fds[i], offloads, tap->name, &tap->offloads, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int tap_alloc(unsigned queues, struct vnic_tap *tap, struct vnic_error *err)
{
	if (queues < 1 || queues > VNIC_TAP_QUEUES)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "queues", "a device has from 1 to %d queues",
				 VNIC_TAP_QUEUES);
	tap->fds = malloc(queues * sizeof(*tap->fds));
	if (!tap->fds)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	for (unsigned i = 0; i < queues; i++)
		tap->fds[i] = -1;
	tap->queues = queues;
	return 0;
}

void vnic_tap_close(struct vnic_tap *tap)
{
	if (!tap)
		return;
	for (unsigned i = 0; tap->fds && i < tap->queues; i++)
		close_fd(&tap->fds[i]);
	free(tap->fds);
	*tap = VNIC_TAP_EMPTY;
}

static int open_queues(const struct vnic_tap_config *config, struct vnic_tap *tap, struct vnic_error *err)
{
	unsigned flags = IFF_NO_PI | (config->tun ? IFF_TUN : IFF_TAP);
	int r = tap_alloc(config->queues ? config->queues : 1, tap, err);

	if (tap->queues > 1)
		flags |= IFF_MULTI_QUEUE;
	if (config->vnet_hdr)
		flags |= IFF_VNET_HDR;
	for (unsigned i = 0; r == 0 && i < tap->queues; i++)
		r = attach(tap->name, flags, &tap->fds[i], err);
	return r;
}

static int set_link(const struct vnic_tap_config *config, const char *name, struct vnic_error *err)
{
	CLEANUP_FD int sock = -1;
	struct ifreq ifr = {0};

	if (!config->mtu && !config->txqueuelen && !config->mac.set && !config->up)
		return 0;
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return vnic_fail(err, VNIC_STEP_TAP_SET, errno, name, "opening a socket");
	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	if (config->mtu) {
		ifr.ifr_mtu = (int)config->mtu;
		if (ioctl(sock, SIOCSIFMTU, &ifr) < 0)
			return vnic_fail(err, VNIC_STEP_TAP_SET, errno, name, "MTU %u", config->mtu);
	}
	if (config->txqueuelen) {
		ifr.ifr_qlen = (int)config->txqueuelen;
		if (ioctl(sock, SIOCSIFTXQLEN, &ifr) < 0)
			return vnic_fail(err, VNIC_STEP_TAP_SET, errno, name, "queue length %u", config->txqueuelen);
	}
	if (config->mac.set) {
		ifr.ifr_hwaddr = (struct sockaddr){.sa_family = ARPHRD_ETHER};
		memcpy(ifr.ifr_hwaddr.sa_data, config->mac.bytes, VNIC_MAC_LEN);
		if (ioctl(sock, SIOCSIFHWADDR, &ifr) < 0)
			return vnic_fail(err, VNIC_STEP_TAP_SET, errno, name, "its MAC");
	}
	if (config->up) {
		if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0)
			return vnic_fail(err, VNIC_STEP_TAP_SET, errno, name, "its flags");
		ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
		if (ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
			return vnic_fail(err, VNIC_STEP_TAP_SET, errno, name, "up");
	}
	return 0;
}

/* The last act: what has been made to stay would be there after a failure. */
static int set_tenure(const struct vnic_tap_config *config, struct vnic_tap *tap, struct vnic_error *err)
{
	int fd = tap->fds[0];

	if (config->set_owner && ioctl(fd, TUNSETOWNER, (unsigned long)config->owner) < 0)
		return vnic_fail(err, VNIC_STEP_TAP_SET, errno, tap->name, "owner %u", config->owner);
	if (config->set_group && ioctl(fd, TUNSETGROUP, (unsigned long)config->group) < 0)
		return vnic_fail(err, VNIC_STEP_TAP_SET, errno, tap->name, "group %u", config->group);
	if (config->persistent && ioctl(fd, TUNSETPERSIST, 1UL) < 0)
		return vnic_fail(err, VNIC_STEP_TAP_SET, errno, tap->name, "to stay");
	tap->persistent = tap->persistent || config->persistent;
	return 0;
}

/* IFF_NO_PI cannot be asked for: TUNGETIFF answers IFF_NOFILTER with the same bit. */
int tap_query(int fd, struct vnic_tap *tap, struct vnic_error *err)
{
	struct ifreq ifr = {0};
	unsigned flags;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0) {
		int code = errno == EBADFD ? EBADFD : EINVAL;

		return vnic_fail(err, VNIC_STEP_TAP_ADD, code, tap->name, "this descriptor is not a TAP or TUN device");
	}
	flags = (unsigned short)ifr.ifr_flags;
	memcpy(tap->name, ifr.ifr_name, IFNAMSIZ);
	tap->tun = flags & IFF_TUN;
	tap->vnet_hdr = flags & IFF_VNET_HDR;
	tap->persistent = flags & IFF_PERSIST;
	return 0;
}

static int check(const struct vnic_tap_config *config, struct vnic_error *err)
{
	if (config->tun && config->mac.set)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "mac", "a TUN device has no MAC");
	if (config->offloads && !config->vnet_hdr)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "offloads", "offloads need the virtio header");
	return 0;
}

int vnic_tap_open(const struct vnic_tap_config *config, struct vnic_tap *ret_tap, struct vnic_error *err)
{
	CLEANUP(vnic_tap_close) struct vnic_tap tap = VNIC_TAP_EMPTY;
	int r = check(config, err);

	if (r == 0)
		r = copy_name(config->name, tap.name, err);
	if (r == 0)
		r = open_queues(config, &tap, err);
	if (r == 0 && config->vnet_hdr)
		r = tap_set_offloads(&tap, config->offloads, err);
	if (r == 0)
		r = set_link(config, tap.name, err);
	if (r == 0)
		r = tap_query(tap.fds[0], &tap, err);
	if (r == 0)
		r = set_tenure(config, &tap, err);
	if (r < 0)
		return r;
	tap.index = (int)if_nametoindex(tap.name);
	*ret_tap = tap;
	tap = VNIC_TAP_EMPTY;
	return 0;
}

/* A name means an ifindex only in the device's own namespace, which need not be the caller's. */
static int index_here(int fd, const char *name)
{
	CLEANUP_FD int its = ioctl(fd, TUNGETDEVNETNS);
	struct stat a, b;

	if (its < 0 || fstat(its, &a) < 0 || stat("/proc/thread-self/ns/net", &b) < 0)
		return 0;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? (int)if_nametoindex(name) : 0;
}

static int adopt_queue(int fd, struct vnic_tap *tap, struct vnic_error *err)
{
	char name[IFNAMSIZ];
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return vnic_fail(err, VNIC_STEP_TAP_ADD, errno, tap->name, NULL);
	memcpy(name, tap->name, IFNAMSIZ);
	r = tap_query(fd, tap, err);
	if (r == 0 && name[0] && strcmp(name, tap->name) != 0)
		return vnic_fail(err, VNIC_STEP_TAP_ADD, EINVAL, tap->name,
				 "the descriptors belong to different devices: this one and %s", name);
	if (r == 0 && tap->vnet_hdr)
		r = set_header(fd, tap->name, err);
	return r;
}

int vnic_tap_adopt(const int *fds, unsigned count, struct vnic_tap *ret_tap, struct vnic_error *err)
{
	struct vnic_tap tap = VNIC_TAP_EMPTY;
	int r = tap_alloc(count, &tap, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; r == 0 && i < count; i++)
		r = adopt_queue(fds[i], &tap, err);
	if (r < 0) {
		free(tap.fds);
		return r;
	}
	for (unsigned i = 0; i < tap.queues; i++)
		tap.fds[i] = fds[i];
	tap.index = index_here(fds[0], tap.name);
	*ret_tap = tap;
	return 0;
}

int vnic_tap_delete(const char *name, bool tun, struct vnic_error *err)
{
	CLEANUP_FD int fd = -1;
	char copy[IFNAMSIZ];
	unsigned flags = IFF_NO_PI | (tun ? IFF_TUN : IFF_TAP);
	int r = parse_ifname(name, "the name of a device", copy, err);

	if (r < 0)
		return r;
	if (!if_nametoindex(copy))
		return vnic_fail(err, VNIC_STEP_LINK_DEL, errno, copy, NULL);
	r = attach(copy, flags, &fd, err);
	if (r == -EBUSY)
		r = attach(copy, flags | IFF_MULTI_QUEUE, &fd, err);
	if (r < 0)
		return r;
	if (ioctl(fd, TUNSETPERSIST, 0UL) < 0)
		return vnic_fail(err, VNIC_STEP_LINK_DEL, errno, copy, NULL);
	return 0;
}
