/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding what the user means by "4711", "/proc/4711/ns/net" or "red".
 *
 * A number can be used again by the time that its files are opened, so a process is first held by a pidfd, then
 * its files are opened, then the pidfd is asked whether the process is still there: if so, they were
 * its files.
 */
#include "ns.h"

#include "fd.h"
#include "parse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

bool ns_has_ended(int pidfd)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	return TEMP_FAILURE_RETRY(poll(&ended, 1, 0)) != 0;
}

bool ns_is_own(int ns_fd, const char *kind)
{
	struct stat own, other;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	return stat(path, &own) == 0 && fstat(ns_fd, &other) == 0 && own.st_dev == other.st_dev &&
	       own.st_ino == other.st_ino;
}

static int open_owner(struct vnic_target *target, struct vnic_error *err)
{
	int r = ns_owner(target->netns_fd, &target->userns_fd);

	return r < 0 ? vnic_fail(err, VNIC_STEP_NS_OPEN, -r, target->text, "its user namespace") : 0;
}

/* Takes over owner->pidfd. */
static int open_process(struct ns_name_owner *owner, struct vnic_target *target, struct vnic_error *err)
{
	char path[64];

	target->pid = owner->pid;
	target->pidfd = take_fd(&owner->pidfd);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", target->pid);
	target->netns_fd = open(path, O_RDONLY | O_CLOEXEC);
	int code = target->netns_fd < 0 ? errno : 0;
	if (code == ENOENT || ns_has_ended(target->pidfd))
		return vnic_fail(err, VNIC_STEP_NS_OPEN, ESRCH, target->text, NULL);
	if (code)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, code, target->text, NULL);
	return open_owner(target, err);
}

static int open_pid(const char *text, struct vnic_target *target, struct vnic_error *err)
{
	struct ns_name_owner owner = {0};
	uint32_t pid;
	int r = parse_u32(text, "a process id", 1, INT32_MAX, &pid, err);

	if (r < 0)
		return r;
	owner.pid = (pid_t)pid;
	owner.pidfd = pidfd_open(owner.pid, 0);
	if (owner.pidfd < 0 && errno == EINVAL) /* ENOENT since Linux 6.9 */
		errno = ENOENT;
	if (owner.pidfd < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, errno, text,
				 errno == ENOENT ? "this is a thread, not a process" : NULL);
	return open_process(&owner, target, err);
}

static int open_path(const char *path, struct vnic_target *target, struct vnic_error *err)
{
	struct statfs fs;

	target->netns_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (target->netns_fd < 0 || fstatfs(target->netns_fd, &fs) < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, errno, target->text, NULL);
	if (fs.f_type != NSFS_MAGIC)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, EINVAL, target->text, "the file is no namespace");
	int kind = ioctl(target->netns_fd, NS_GET_NSTYPE);
	if (kind < 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, errno, target->text, "asking for its kind");
	if (kind != CLONE_NEWNET) {
		char word[16];

		return vnic_fail(err, VNIC_STEP_NS_OPEN, EINVAL, target->text,
				 "it is a %s namespace, not a network namespace",
				 vnic_ns_text((unsigned)kind, word, sizeof(word)));
	}
	return open_owner(target, err);
}

static int open_name(const char *name, const char *state_dir, struct vnic_target *target, struct vnic_error *err)
{
	struct ns_name_owner owner = {.pidfd = -1};
	char path[sizeof(NS_PIN_DIR) + 1 + VNIC_NAME_MAX];
	int r = vnic_name_check(name, err);

	if (r < 0)
		return r;
	r = state_dir ? ns_name_find(name, state_dir, &owner, err) : -ENOENT;
	if (r == 0 && owner.elsewhere)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, ESRCH, name,
				 "it was made in another pid namespace, and is reached from there only");
	if (r == 0 && owner.pid == 0)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, EAGAIN, name, "it is just being made, or just ending");
	if (r == 0)
		return open_process(&owner, target, err);
	if (r != -ENOENT)
		return r;
	snprintf(path, sizeof(path), "%s/%s", NS_PIN_DIR, name);
	r = open_path(path, target, err);
	if (r == -ENOENT)
		return vnic_fail(err, VNIC_STEP_NS_OPEN, ENOENT, name,
				 "neither a sandbox of this user nor a network namespace has this name: 'vnic ns list' "
				 "shows those there are");
	return r;
}

static bool is_number(const char *text)
{
	return text[0] && !text[strspn(text, "0123456789")];
}

int vnic_target_open(const char *text, const char *state_dir, struct vnic_target *ret_target, struct vnic_error *err)
{
	CLEANUP(vnic_target_close) struct vnic_target target = VNIC_TARGET_EMPTY;
	int r;

	snprintf(target.text, sizeof(target.text), "%s", text);
	if (is_number(text))
		r = open_pid(text, &target, err);
	else if (strchr(text, '/'))
		r = open_path(text, &target, err);
	else
		r = open_name(text, state_dir, &target, err);
	if (r < 0)
		return r;
	*ret_target = target;
	target = VNIC_TARGET_EMPTY;
	return 0;
}

void vnic_target_close(struct vnic_target *target)
{
	if (!target)
		return;
	close_fd(&target->pidfd);
	close_fd(&target->netns_fd);
	close_fd(&target->userns_fd);
}

int vnic_target_call(const struct vnic_target *target, int (*fn)(void *ctx, struct vnic_error *err), void *ctx,
		     struct vnic_error *err)
{
	return ns_call(target->userns_fd, target->netns_fd, fn, ctx, err);
}
