/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What depends on the caller's environment: where state is kept. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"

/* In /tmp anyone may have made the directory first: names found there would be theirs. */
static int check_owner(const char *dir, struct vnic_error *err)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		return errno == ENOENT ? 0 : vnic_fail(err, VNIC_STEP_OPEN, errno, dir, NULL);
	if (!S_ISDIR(st.st_mode))
		return vnic_fail(err, VNIC_STEP_OPEN, ENOTDIR, dir,
				 "names are kept in a directory of this user's, not where a symbolic link leads");
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return vnic_fail(err, VNIC_STEP_OPEN, EPERM, dir,
				 "this directory keeps names and must belong to this user, writable by no other");
	return 0;
}

/* 1; 0: it is not there, or not for this user: the next one will do. */
static int may_write(const char *dir, struct vnic_error *err)
{
	if (access(dir, W_OK) == 0)
		return 1;
	if (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EROFS)
		return 0;
	return vnic_fail(err, VNIC_STEP_OPEN, errno, dir, NULL);
}

int cli_state_dir(bool make, const char **ret_dir, struct vnic_error *err)
{
	static char dir[256];
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int n, run = 0, own = 0, r;

	/* Root of a user namespace of its own may not write to /run. */
	if (geteuid() == 0)
		run = may_write("/run", err);
	if (run == 0 && runtime && runtime[0] == '/')
		own = may_write(runtime, err);
	if (run < 0 || own < 0)
		return run < 0 ? run : own;
	if (run)
		n = snprintf(dir, sizeof(dir), "/run/vnic");
	else if (own)
		n = snprintf(dir, sizeof(dir), "%s/vnic", runtime);
	else
		n = snprintf(dir, sizeof(dir), "/tmp/vnic-%u", geteuid());
	if (n >= (int)sizeof(dir))
		return vnic_fail(err, VNIC_STEP_OPEN, ENAMETOOLONG, "XDG_RUNTIME_DIR", NULL);
	mode_t mode = geteuid() == 0 ? 0755 : 0700;
	if (make && mkdir(dir, mode) == 0)
		chmod(dir, mode); /* whatever the caller's umask is */
	else if (make && errno != EEXIST)
		return vnic_fail(err, VNIC_STEP_MKDIR, errno, dir, NULL);
	r = check_owner(dir, err);
	/* Whoever made it there first hides our names, not our processes. */
	if ((r == -EPERM || r == -ENOTDIR) && !make && !run && !own) {
		cli_warn("names are not known: %s is not this user's alone; XDG_RUNTIME_DIR names a better place", dir);
		*ret_dir = NULL;
		return 0;
	}
	if (r < 0)
		return r;
	*ret_dir = dir;
	return 0;
}
