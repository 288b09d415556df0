/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NETWORK_IMPAIRMENT_H
#define NETWORK_IMPAIRMENT_H

/* The keys of vnic_impairment_set() one by one; NULL after the last. */
const char *impairment_key_at(unsigned index);

#endif
