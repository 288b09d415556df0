/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which networks the NICs get that nobody gave addresses.
 *
 * Theory of operation.  The first NIC has 10.0.2.0/24 and fd00::/64, as users of QEMU and slirp expect.  Where the host
 * itself has an address in such a network (a virtual machine of QEMU's, a sandbox inside a sandbox), the sandbox could
 * not reach it, for it would look for it on its own link: so the next one is taken that no address of the host lies in.
 * IPv4 goes on to two other ranges, for some hosts have all of 10.0.0.0/8:
 *
 *   10.0.2.0/24 ... 10.0.254.0/24    172.30.2.0/24 ... 172.30.254.0/24    192.168.2.0/24 ... 192.168.254.0/24
 *   fd00::/64, fd00:0:0:1::/64 ... fd00:0:0:ff::/64
 *
 * It costs one dump of the host's addresses.  Rejected: a dump of its routes, too, of which a router has a
 * million: what lies behind the host's own links is not looked at.
 */
#include "subnet.h"

#include <sys/socket.h>

#define FIRST_V4 2
#define LAST_V4 254
#define PER_RANGE (LAST_V4 - FIRST_V4 + 1)

static const uint8_t ranges[][2] = {{10, 0}, {172, 30}, {192, 168}};

#define COUNT_V4 (PER_RANGE * sizeof(ranges) / sizeof(ranges[0]))
#define COUNT_V6 256

struct vnic_addr subnets_usual(uint8_t family, unsigned position)
{
	const uint8_t *range = ranges[position / PER_RANGE % (sizeof(ranges) / sizeof(ranges[0]))];
	uint8_t third = (uint8_t)(FIRST_V4 + position % PER_RANGE);

	if (family == AF_INET)
		return (struct vnic_addr){AF_INET, 24, {range[0], range[1], third}};
	return (struct vnic_addr){AF_INET6, 64, {0xfd, [7] = (uint8_t)position}};
}

static bool overlap(const struct vnic_addr *a, const struct vnic_addr *b)
{
	return vnic_addr_contains(a, b) || vnic_addr_contains(b, a);
}

const struct vnic_addr *subnets_find(const struct subnets *subnets, const struct vnic_addr *net)
{
	for (unsigned i = 0; i < subnets->count; i++)
		if (overlap(&subnets->nets[i], net))
			return &subnets->nets[i];
	return NULL;
}

struct vnic_addr subnets_choose(const struct subnets *subnets, uint8_t family, unsigned position)
{
	unsigned count = family == AF_INET ? COUNT_V4 : COUNT_V6;

	for (unsigned i = position; i < count; i++) {
		struct vnic_addr net = subnets_usual(family, i);

		if (!subnets_find(subnets, &net))
			return net;
	}
	return subnets_usual(family, position);
}

/* Loopback and link-local addresses are everywhere and in nobody's way. */
static bool is_local(const struct vnic_addr *addr)
{
	return addr->family == AF_INET ? addr->bytes[0] == 127 : addr->bytes[0] == 0xfe || !addr->bytes[0];
}

static bool is_known(const struct subnets *subnets, const struct vnic_addr *net)
{
	for (unsigned i = 0; i < subnets->count; i++)
		if (subnets->nets[i].prefix <= net->prefix && vnic_addr_contains(&subnets->nets[i], net))
			return true;
	return false;
}

void subnets_add(struct subnets *subnets, const struct vnic_addr *net)
{
	if (subnets->count < SUBNETS && !is_local(net) && !is_known(subnets, net))
		subnets->nets[subnets->count++] = *net;
}

static int add(const struct vnic_addr_info *info, void *ctx)
{
	subnets_add(ctx, &info->addr);
	return 0;
}

int subnets_look(struct subnets *subnets, struct vnic_nl *nl, struct vnic_error *err)
{
	return vnic_addr_list(nl, 0, add, subnets, err);
}
