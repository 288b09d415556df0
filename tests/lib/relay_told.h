/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a relay tells of a port that it has. */
#ifndef TESTS_LIB_RELAY_TOLD_H
#define TESTS_LIB_RELAY_TOLD_H

#include "vt.h"

#include <stdbool.h>

#include <vnic/relay.h>

static inline struct vnic_port_stats stats_of(const struct vnic_relay *relay, unsigned number)
{
	struct vnic_port_stats stats;
	const char *name;
	bool open;

	assert_int_equal(vnic_relay_get_port(relay, number, &name, &open, &stats), 0);
	return stats;
}

static inline bool is_open(const struct vnic_relay *relay, unsigned number)
{
	struct vnic_port_stats stats;
	const char *name;
	bool open;

	assert_int_equal(vnic_relay_get_port(relay, number, &name, &open, &stats), 0);
	return open;
}

#endif
