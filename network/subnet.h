/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which networks the NICs get that nobody gave addresses; see subnet.c. */
#ifndef NETWORK_SUBNET_H
#define NETWORK_SUBNET_H

#include <stdbool.h>

#include <vnic/link.h>

/* Beyond that many different networks the rest is not looked at: then a NIC may get one that is in use. */
#define SUBNETS 256

struct subnets {
	unsigned count;
	struct vnic_addr nets[SUBNETS];
};

/* Adds the networks of the host's addresses, in the namespace of `nl`. */
int subnets_look(struct subnets *subnets, struct vnic_nl *nl, struct vnic_error *err);
/* A network that is there already, or an address of none, is not added. */
void subnets_add(struct subnets *subnets, const struct vnic_addr *net);
/* The first of these that shares addresses with `net`, or NULL. */
const struct vnic_addr *subnets_find(const struct subnets *subnets, const struct vnic_addr *net);

/* The `position`th network of vnic's own, or the next one after it that is free; that one itself where none is. */
struct vnic_addr subnets_choose(const struct subnets *subnets, uint8_t family, unsigned position);
/* The same, whatever is in use. */
struct vnic_addr subnets_usual(uint8_t family, unsigned position);

#endif
