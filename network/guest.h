/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NETWORK_GUEST_H
#define NETWORK_GUEST_H

#include <vnic/sandbox.h>

/* Adds the NICs of the guest, if this process is a VMM and the caller may look: the links at the host's end. */
void guest_look(pid_t pid, struct vnic_sandbox_info *info);

#endif
