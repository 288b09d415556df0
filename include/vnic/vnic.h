/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvnic: virtual NICs for processes, containers and virtual machines.
 *
 * Conventions that hold for every function of the library:
 *
 *  - A function that can fail returns 0 (or a count) on success and a negative errno
 *    on failure.  With a `struct vnic_error *err` (may be NULL) it also says what was
 *    being done, to which object, and what the kernel said.
 *  - Outputs are named ret_*; they are untouched on failure.
 *  - File descriptors are close-on-exec from birth.  -1 means none.
 *  - Close and free functions accept NULL and half-built objects and return nothing.
 *  - The library never prints, never exits, never reads argv or the environment.
 *  - Nothing here is safe to call on the same object from two threads at once.
 *  - Configuration structs are valid when zeroed, with the exception stated beside a
 *    field; zero means the documented default.
 */
#ifndef VNIC_VNIC_H
#define VNIC_VNIC_H

#include <vnic/addr.h>
#include <vnic/api.h>
#include <vnic/error.h>
#include <vnic/fdpass.h>
#include <vnic/gateway.h>
#include <vnic/inspect.h>
#include <vnic/link.h>
#include <vnic/netns.h>
#include <vnic/opener.h>
#include <vnic/policy.h>
#include <vnic/relay.h>
#include <vnic/sandbox.h>
#include <vnic/tap.h>
#include <vnic/view.h>

#endif
