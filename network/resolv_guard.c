/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the sandbox's resolv.conf covered.
 *
 * Theory of operation.  When the host renames another file over its resolv.conf, the kernel removes the sandbox's cover
 * (netns/cover.c says why), which changes the sandbox's table of mounts, which wakes whoever polls
 * /proc/PID/mountinfo.  The front does; it then looks at its own side whether the name stands for another file, and if
 * it does, sends a child into the sandbox to cover that.  Meanwhile, for less than a millisecond, the sandbox sees the
 * host's; the C library reads resolv.conf again when it has changed.  What it compares with is the file as it was
 * before the sandbox was made: the host may replace it while that starts.  Any other change of the table, a sandbox's
 * own umount of the cover among them, costs one look.
 *
 * What the child meets inside the sandbox may never answer (FUSE): so it is waited for a moment, and has nothing of the
 * front's by which others would see the end of that.
 *
 * Left out: a host that first removes the file and writes a new one later.  Between the two there is nothing to cover,
 * and nobody tells when there is again.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "background.h"
#include "fd.h"
#include "ns.h"
#include "resolv.h"

#define COVER_MS 2000 /* it takes less than one */

/*
 * rename(2) removes the cover before the new name can be seen, but under the lock of the directory, which reading the
 * directory waits for.
 */
static void wait_for_rename(const char *path)
{
	char dir[256], entry[512];
	const char *slash = strrchr(path, '/');

	if (!slash || snprintf(dir, sizeof(dir), "%.*s/", (int)(slash - path), path) >= (int)sizeof(dir))
		return;
	CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		syscall(SYS_getdents64, fd, entry, sizeof(entry));
}

struct resolv_file resolv_look(const char *path)
{
	struct stat now;

	if (lstat(path, &now) < 0)
		return (struct resolv_file){0};
	return (struct resolv_file){.dev = now.st_dev, .ino = now.st_ino};
}

int resolv_guard_open(const struct resolv_config *config, pid_t init, struct resolv_guard *ret_guard,
		      struct vnic_error *err)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", init);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_OPEN, errno, path, NULL);
	*ret_guard = (struct resolv_guard){.config = config, .fd = fd, .host = config->host};
	return 0;
}

void resolv_guard_close(struct resolv_guard *guard)
{
	background_close(&guard->fd); /* it keeps the mount namespace */
}

static bool has_ended(int pidfd)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	return TEMP_FAILURE_RETRY(poll(&ended, 1, COVER_MS)) == 1;
}

static int cover_inside(const struct resolv_guard *guard, pid_t command, int command_pidfd)
{
	const struct vnic_target target = {.text = "the sandbox", .pid = command, .pidfd = command_pidfd};
	struct ns_set set = NS_SET_EMPTY;
	int r = ns_set_open(&target, &set, NULL);

	set.mask &= (unsigned)(CLONE_NEWUSER | CLONE_NEWNS);
	if (r == 0 && !(set.mask & CLONE_NEWNS))
		return -ESRCH;
	if (r == 0)
		r = ns_join(&set, command_pidfd, target.text, NULL);
	return r < 0 ? r : resolv_mount_again(guard->config, NULL);
}

int resolv_guard_look(struct resolv_guard *guard, pid_t command, int command_pidfd, struct vnic_error *err)
{
	CLEANUP_FD int pidfd = -1;
	struct resolv_file now;
	siginfo_t info = {0};
	pid_t pid;

	wait_for_rename(guard->config->path);
	now = resolv_look(guard->config->path);
	if (now.dev == guard->host.dev && now.ino == guard->host.ino)
		return 0;
	pid = ns_clone(0, false, &pidfd, err);
	if (pid == 0) {
		ns_close_all_but(&command_pidfd, 1);
		_exit(cover_inside(guard, command, command_pidfd) < 0);
	}
	if (pid < 0)
		return pid;
	guard->host = now;
	if (!has_ended(pidfd)) {
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		return vnic_fail(err, VNIC_STEP_MOUNT, ETIMEDOUT, guard->config->path,
				 "the host replaced it, and the sandbox has the host's now");
	}
	if (TEMP_FAILURE_RETRY(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED)) < 0 || info.si_status != 0)
		return vnic_fail(err, VNIC_STEP_MOUNT, EPERM, guard->config->path,
				 "the host replaced it, and the sandbox has the host's now");
	return 1;
}
