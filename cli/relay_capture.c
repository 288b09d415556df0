/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic relay --capture: where frames are written to. */
#include "relay_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"

static int create(const char *path, int *ret_fd, struct vnic_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_WRITE, errno, path, NULL);
	*ret_fd = fd;
	return 0;
}

/* FILE.0, FILE.1, ...; with a number of files they take turns. */
static int open_next(void *ctx, unsigned number, int *ret_fd, struct vnic_error *err)
{
	const struct relay_capture *capture = ctx;
	char path[4096];

	if (capture->files)
		number %= capture->files;
	if ((size_t)snprintf(path, sizeof(path), "%s.%u", capture->path, number) >= sizeof(path))
		return vnic_fail(err, VNIC_STEP_WRITE, ENAMETOOLONG, capture->path, NULL);
	return create(path, ret_fd, err);
}

static int open_first(struct relay_capture *capture, int *ret_fd, struct vnic_error *err)
{
	if (capture->config.rotate_bytes)
		return open_next(capture, 0, ret_fd, err);
	if (strcmp(capture->path, "-") != 0)
		return create(capture->path, ret_fd, err);
	*ret_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return *ret_fd < 0 ? vnic_fail(err, VNIC_STEP_WRITE, errno, "the standard output", NULL) : 0;
}

int relay_capture_parse(const struct cli_args *args, struct relay_capture *ret_capture, struct vnic_error *err)
{
	struct relay_capture capture = {.path = cli_value(args, "capture")};
	uint32_t megabytes = 0, files = 0, snaplen = 0;
	int r = cli_number(args, "capture-size", 1, 1 << 20, &megabytes, err);

	if (r == 0)
		r = cli_number(args, "capture-files", 1, 1 << 20, &files, err);
	if (r == 0)
		r = cli_number(args, "snaplen", 14, 262144, &snaplen, err);
	if (r < 0)
		return r;
	if (!capture.path &&
	    (megabytes || files || snaplen || cli_flag(args, "capture-drops") || cli_flag(args, "capture-both")))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, NULL, "this option needs --capture");
	if (files && !megabytes)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--capture-files",
				 "files take turns by size: add --capture-size");
	if (capture.path && megabytes && !strcmp(capture.path, "-"))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--capture-size",
				 "the standard output is one file only");
	if (capture.path && !strcmp(capture.path, "-") && (cli_flag(args, "json") || cli_flag(args, "stats")))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--capture -",
				 "the counters go to the standard output too");
	capture.files = files;
	capture.config = (struct vnic_capture){
		.snaplen = snaplen,
		.rotate_bytes = (uint64_t)megabytes << 20,
		.drops = cli_flag(args, "capture-drops"),
		.directions = 1u << VNIC_INGRESS | (cli_flag(args, "capture-both") ? 1u << VNIC_EGRESS : 0u),
	};
	*ret_capture = capture;
	return 0;
}

int relay_capture_start(struct relay_capture *capture, struct vnic_relay *relay, struct vnic_error *err)
{
	CLEANUP_FD int fd = -1;
	int r;

	if (!capture->path)
		return 0;
	r = open_first(capture, &fd, err);
	if (r < 0)
		return r;
	capture->config.fd = fd;
	capture->config.next = capture->config.rotate_bytes ? open_next : NULL;
	capture->config.ctx = capture;
	r = vnic_relay_set_capture(relay, &capture->config, err);
	if (r == 0)
		take_fd(&fd);
	return r;
}
