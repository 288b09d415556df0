/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --capture and what goes with it, of the commands that have it. */
#ifndef CLI_CAPTURE_OPTIONS_H
#define CLI_CAPTURE_OPTIONS_H

#include <vnic/relay.h>

#include "cli.h"

/* For their tables; what --capture itself means is each one's own. */
/* clang-format off */
#define CAPTURE_FILE_OPTIONS \
	{"snaplen", 0, "BYTES", false, NULL, "capture only the first BYTES of each frame"}, \
	{"capture-size", 0, "MIB", false, NULL, "write FILE.0, FILE.1, ... of about this size each"}, \
	{"capture-files", 0, "NUMBER", false, NULL, "keep this many of them: the oldest is overwritten"}
/* clang-format on */

struct capture_options {
	const char *path; /* NULL: none; "-": the standard output */
	unsigned files;   /* that take turns; 0: as many as there come to be */
	struct vnic_capture config;
};

/* .config but for the file. */
int capture_options_read(const struct cli_args *args, struct capture_options *ret_capture, struct vnic_error *err);
/* Opens the first file: .config.fd is the caller's.  *capture must live as long as the capture. */
int capture_options_open(struct capture_options *capture, struct vnic_error *err);

#endif
