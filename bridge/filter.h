/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which frames of a port and direction pass: an expression as tcpdump has it (pcap-filter(7)). */
#ifndef BRIDGE_FILTER_H
#define BRIDGE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vnic/error.h>

struct filter;

/* `tun`: packets without a link header.  -ENOSYS: no libpcap here; -EINVAL: what libpcap says of the expression. */
int filter_new(const char *expression, bool tun, struct filter **ret_filter, struct vnic_error *err);
void filter_free(struct filter *filter);
bool filter_passes(const struct filter *filter, const uint8_t *data, size_t len);

#endif
