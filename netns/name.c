/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of sandboxes and holders: files in a directory of the user's.
 *
 * Theory of operation.  A name is taken while its file is locked, and the lock lives as long as
 * anyone has the descriptor, which the processes behind the name inherit.  So a name is free when the last of them is
 * gone, however it went; the file that is left then is stale, and whoever comes across it removes it.
 *
 * The lock is an open-file-description lock (fcntl(2), F_OFD_SETLK): like flock(2) it is inherited, but it can be
 * asked for without being taken, so looking at a name never makes taking it fail.
 *
 * A file is removed only under its lock, and a lock counts only if the file is still the one
 * that has the name: without that check one could lock a file that was removed between open and lock.
 * The second byte is a gate, held for the moment in which one takes the lock: so that nobody is told that
 * a name is in use because somebody else is just removing its stale file.
 *
 * The number of a process means something in its pid namespace only, and sandboxes within a sandbox may have the same
 * directory of names: so the namespace stands beside it.
 *
 * Rejected: a pid file alone (numbers are used again); a socket in the file system (it stays there
 * too, and says less); the abstract socket namespace (belongs to a network namespace, open to all users).
 */
#include "ns.h"

#include "fd.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

int vnic_name_check(const char *name, struct vnic_error *err)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

	if (!isalpha((unsigned char)name[0]))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, name, "a name begins with a letter");
	if (name[len])
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, name,
				 "a name has letters, digits, '_', '.' and '-' only");
	if (len > VNIC_NAME_MAX)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, name, "a name has at most %d characters", VNIC_NAME_MAX);
	return 0;
}

/* --- the directory and its files ---------------------------------------------------- */

/* Names found in a directory that another user can write to would be that user's. */
static int check_dir(const char *dir, struct vnic_error *err)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		return vnic_fail(err, VNIC_STEP_LOCK, errno, dir, NULL);
	if (!S_ISDIR(st.st_mode))
		return vnic_fail(err, VNIC_STEP_LOCK, ENOTDIR, dir, NULL);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return vnic_fail(err, VNIC_STEP_LOCK, EPERM, dir,
				 "this directory keeps names and must belong to this user, writable by no other");
	return 0;
}

static int path_of(const char *name, const char *state_dir, char ret_path[256], struct vnic_error *err)
{
	int r = vnic_name_check(name, err);

	if (r == 0 && snprintf(ret_path, 256, "%s/%s", state_dir, name) >= 256)
		r = vnic_fail(err, VNIC_STEP_LOCK, ENAMETOOLONG, state_dir, NULL);
	return r;
}

enum { OWNER, GATE }; /* bytes of the file */

#define OWNER_TEXT 64

static int lock_byte(int fd, int command, short type, off_t byte)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return TEMP_FAILURE_RETRY(fcntl(fd, command, &lock)) < 0 ? -errno : 0;
}

int ns_lock_file(int fd, const char *path)
{
	struct stat by_fd, by_path;
	int r = lock_byte(fd, F_OFD_SETLK, F_WRLCK, OWNER);

	if (r < 0)
		return r == -EACCES ? -EAGAIN : r;
	if (fstat(fd, &by_fd) < 0)
		return -errno;
	return lstat(path, &by_path) == 0 && by_fd.st_ino == by_path.st_ino && by_fd.st_dev == by_path.st_dev;
}

static int lock_through_gate(int fd, const char *path)
{
	int r = lock_byte(fd, F_OFD_SETLKW, F_WRLCK, GATE);

	if (r == 0) {
		r = ns_lock_file(fd, path);
		lock_byte(fd, F_OFD_SETLK, F_UNLCK, GATE);
	}
	return r;
}

static void remove_stale(int fd, const char *path)
{
	if (lock_byte(fd, F_OFD_SETLKW, F_WRLCK, GATE) == 0 && ns_lock_file(fd, path) > 0)
		unlink(path); /* the gate opens when the descriptor is closed */
}

/* 1 or 0. */
static int is_locked(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = OWNER, .l_len = 1};

	return fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : lock.l_type != F_UNLCK;
}

/* --- taking ------------------------------------------------------------------------- */

int vnic_name_take(const char *name, const char *state_dir, struct vnic_name *ret_name, struct vnic_error *err)
{
	struct vnic_name taken = VNIC_NAME_EMPTY;
	int r = path_of(name, state_dir, taken.path, err);

	if (r < 0)
		return r;
	if (mkdir(state_dir, 0700) == 0)
		chmod(state_dir, 0700); /* whatever the caller's umask is */
	else if (errno != EEXIST)
		return vnic_fail(err, VNIC_STEP_MKDIR, errno, state_dir, NULL);
	r = check_dir(state_dir, err);
	if (r < 0)
		return r;

	for (;;) {
		CLEANUP_FD int fd = open(taken.path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd < 0)
			return vnic_fail(err, VNIC_STEP_LOCK, errno, taken.path, NULL);
		fchmod(fd, 0600); /* as above */
		r = lock_through_gate(fd, taken.path);
		if (r == -EAGAIN)
			return vnic_fail(err, VNIC_STEP_LOCK, EEXIST, name, "it is in use");
		if (r < 0 || (r > 0 && ftruncate(fd, 0) < 0)) /* what a former owner wrote */
			return vnic_fail(err, VNIC_STEP_LOCK, r < 0 ? -r : errno, name, NULL);
		if (r == 0)
			continue;
		taken.fd = take_fd(&fd);
		*ret_name = taken;
		return 0;
	}
}

/* 0: it cannot be told. */
static uintmax_t own_pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) < 0 ? 0 : st.st_ino;
}

int vnic_name_publish(struct vnic_name *name, pid_t pid, bool sandbox, struct vnic_error *err)
{
	/* The front knows its command as /proc does. */
	uintmax_t namespace = sandbox && !ns_proc_is_own() ? 0 : own_pid_namespace();
	char text[OWNER_TEXT];
	int len = snprintf(text, sizeof(text), "%d %s %ju\n", pid, sandbox ? "sandbox" : "holder", namespace);

	if (ftruncate(name->fd, 0) < 0 || pwrite(name->fd, text, (size_t)len, 0) != len)
		return vnic_fail(err, VNIC_STEP_WRITE, errno, name->path, NULL);
	return 0;
}

void vnic_name_drop(struct vnic_name *name)
{
	if (!name || name->fd < 0)
		return;
	unlink(name->path);
	close_fd(&name->fd);
}

/* --- looking ------------------------------------------------------------------------ */

/* The file's owner; pid 0 when nothing (or half a line) is published. */
static int read_owner(int fd, struct ns_name_owner *ret_owner)
{
	char text[OWNER_TEXT] = "", kind[16];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	uintmax_t namespace = 0, own = own_pid_namespace();
	int pid;

	if (n < 0)
		return -errno;
	if (n == 0 || text[n - 1] != '\n' || sscanf(text, "%d %15s %ju", &pid, kind, &namespace) < 2 || pid <= 0)
		return 0;
	ret_owner->sandbox = !strcmp(kind, "sandbox");
	ret_owner->elsewhere = namespace && own && namespace != own;
	ret_owner->pid = ret_owner->elsewhere ? 0 : pid;
	return 0;
}

/*
 * The owner of a locked file; 0 if it is not locked, else 1.  Locked after the pidfd was opened: until then the number
 * was not free to be used again.
 */
static int find_owner(int fd, struct ns_name_owner *ret_owner)
{
	struct ns_name_owner owner = {.pidfd = -1};
	int r = is_locked(fd);

	if (r <= 0)
		return r;
	r = read_owner(fd, &owner);
	if (r < 0)
		return r;
	if (owner.pid)
		owner.pidfd = pidfd_open(owner.pid, 0);
	if (owner.pid && owner.pidfd < 0 && errno != ESRCH)
		return -errno;
	if (owner.pid && owner.pidfd < 0)
		owner.pid = 0; /* it is just ending */
	r = is_locked(fd);
	if (r <= 0)
		close_fd(&owner.pidfd);
	else
		*ret_owner = owner;
	return r;
}

int ns_name_find(const char *name, const char *state_dir, struct ns_name_owner *ret_owner, struct vnic_error *err)
{
	char path[256];
	int r = path_of(name, state_dir, path, err);

	if (r < 0)
		return r;
	CLEANUP_FD int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == EACCES) /* of the file: there may be a namespace */
		return vnic_fail(err, VNIC_STEP_OPEN, errno, path, NULL);
	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, errno, name, NULL);
	r = check_dir(state_dir, err);
	if (r < 0)
		return r;
	r = find_owner(fd, ret_owner);
	if (r < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, -r, name, NULL);
	if (r > 0)
		return 0;
	remove_stale(fd, path);
	return vnic_fail(err, VNIC_STEP_NS_OPEN, ENOENT, name, NULL);
}
