/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NETWORK_IMPAIRMENT_H
#define NETWORK_IMPAIRMENT_H

#include <vnic/sandbox.h>

/* The keys of vnic_impairment_set() one by one; NULL after the last. */
const struct vnic_key *impairment_key_at(unsigned index);

/* What one setting alone cannot tell: bad weather that loses nothing, and a loss in weather that never comes. */
int impairment_check(const struct vnic_impairment *impairment, struct vnic_error *err);

#endif
