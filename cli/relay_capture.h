/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_RELAY_CAPTURE_H
#define CLI_RELAY_CAPTURE_H

#include <vnic/relay.h>

#include "cli.h"

struct relay_capture {
	const char *path; /* NULL: none; "-": the standard output */
	unsigned files;   /* that take turns; 0: as many as there come to be */
	struct vnic_capture config;
};

int relay_capture_parse(const struct cli_args *args, struct relay_capture *ret_capture, struct vnic_error *err);
/* *capture must live as long as the relay. */
int relay_capture_start(struct relay_capture *capture, struct vnic_relay *relay, struct vnic_error *err);

#endif
