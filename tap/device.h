/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What TAP, TUN and macvtap devices have in common; tap/'s own. */
#ifndef TAP_DEVICE_H
#define TAP_DEVICE_H

#include <vnic/tap.h>

/* Room for `queues` descriptors, all -1. */
int tap_alloc(unsigned queues, struct vnic_tap *tap, struct vnic_error *err);

/* Asks the kernel for name and flags of the device behind fd; `tap` is untouched on failure. */
int tap_query(int fd, struct vnic_tap *tap, struct vnic_error *err);

/* Header and offloads on all queues; fills tap->offloads with what was granted. */
int tap_set_offloads(struct vnic_tap *tap, unsigned offloads, struct vnic_error *err);

#endif
