/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that a capture is written to. */
#include "capture_options.h"

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
	const struct capture_options *capture = ctx;
	char path[4096];

	if (capture->files)
		number %= capture->files;
	if ((size_t)snprintf(path, sizeof(path), "%s.%u", capture->path, number) >= sizeof(path))
		return vnic_fail(err, VNIC_STEP_WRITE, ENAMETOOLONG, capture->path, NULL);
	return create(path, ret_fd, err);
}

static int open_first(struct capture_options *capture, int *ret_fd, struct vnic_error *err)
{
	if (capture->config.rotate_bytes)
		return open_next(capture, 0, ret_fd, err);
	if (strcmp(capture->path, "-") != 0)
		return create(capture->path, ret_fd, err);
	*ret_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return *ret_fd < 0 ? vnic_fail(err, VNIC_STEP_WRITE, errno, "the standard output", NULL) : 0;
}

int capture_options_read(const struct cli_args *args, struct capture_options *ret_capture, struct vnic_error *err)
{
	struct capture_options capture = {.path = cli_value(args, "capture"), .config.fd = -1};
	uint32_t megabytes = 0, files = 0, snaplen = 0;
	int r = cli_number(args, "capture-size", 1, 1 << 20, &megabytes, err);

	if (r == 0)
		r = cli_number(args, "capture-files", 1, 1 << 20, &files, err);
	if (r == 0)
		r = cli_number(args, "snaplen", 14, 262144, &snaplen, err);
	if (r < 0)
		return r;
	if (!capture.path && (megabytes || files || snaplen))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL,
				 snaplen ? "--snaplen"
				 : files ? "--capture-files"
					 : "--capture-size",
				 "this option needs --capture");
	if (files && !megabytes)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--capture-files",
				 "files take turns by size: add --capture-size");
	if (capture.path && megabytes && !strcmp(capture.path, "-"))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--capture-size",
				 "the standard output is one file only");
	capture.files = files;
	capture.config = (struct vnic_capture){
		.fd = -1,
		.snaplen = snaplen,
		.rotate_bytes = (uint64_t)megabytes << 20,
	};
	*ret_capture = capture;
	return 0;
}

int capture_options_open(struct capture_options *capture, struct vnic_error *err)
{
	int r = open_first(capture, &capture->config.fd, err);

	capture->config.next = capture->config.rotate_bytes ? open_next : NULL;
	capture->config.ctx = capture;
	return r;
}
