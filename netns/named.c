/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network namespaces with names: with root a pin (pin.c), without a holder (holder.c), and both are
 * listed and deleted whichever they are.  A name in the state directory goes before one in /run/netns.
 */
#include "ns.h"

#include "fd.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

int vnic_netns_add(const char *name, const char *state_dir, struct vnic_error *err)
{
	struct ns_name_owner owner;
	int r = vnic_name_check(name, err);

	if (r < 0)
		return r;
	if (!ns_pin_allowed()) {
		if (!state_dir)
			return vnic_fail(err, VNIC_STEP_NS_PIN, EPERM, name, NULL);
		return ns_holder_add(name, state_dir, err);
	}
	r = state_dir ? ns_name_find(name, state_dir, &owner, err) : -ENOENT;
	if (r == 0) {
		close_fd(&owner.pidfd);
		return vnic_fail(err, VNIC_STEP_LOCK, EEXIST, name, "it is in use");
	}
	return r == -ENOENT ? ns_pin_add(name, err) : r;
}

/* --- deleting ----------------------------------------------------------------------- */

/* A holder has nothing to clean up, so it is killed; its end is waited for, and then the name is free. */
static int end_holder(const char *name, const char *state_dir, int pidfd, struct vnic_error *err)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	struct ns_name_owner ignored = {.pidfd = -1};

	if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return vnic_fail(err, VNIC_STEP_NS_UNPIN, errno, name, NULL);
	TEMP_FAILURE_RETRY(poll(&ended, 1, -1));
	ns_name_find(name, state_dir, &ignored, NULL); /* removes the file, now that it is stale */
	close_fd(&ignored.pidfd);
	return 0;
}

int vnic_netns_del(const char *name, const char *state_dir, bool *ret_absent, struct vnic_error *err)
{
	struct ns_name_owner owner = {.pidfd = -1};
	bool absent = false;
	int r = vnic_name_check(name, err);

	if (r < 0)
		return r;
	r = state_dir ? ns_name_find(name, state_dir, &owner, err) : -ENOENT;
	CLEANUP_FD int pidfd = owner.pidfd;
	if (r == 0 && owner.elsewhere)
		return vnic_fail(err, VNIC_STEP_NS_UNPIN, EBUSY, name,
				 "it was made in another pid namespace: delete it there");
	if (r == 0 && owner.sandbox)
		return vnic_fail(err, VNIC_STEP_NS_UNPIN, EBUSY, name, "it is a running sandbox (pid %d)", owner.pid);
	if (r == 0 && owner.pid == 0)
		return vnic_fail(err, VNIC_STEP_NS_UNPIN, EBUSY, name, "it is just being made, or just ending");
	if (r == 0)
		r = end_holder(name, state_dir, pidfd, err);
	else if (r == -ENOENT)
		r = ns_pin_del(name, err);
	if (r == -ENOENT) {
		absent = true;
		r = 0;
	}
	if (r == 0)
		*ret_absent = absent;
	return r;
}

/* --- listing ------------------------------------------------------------------------ */

static uint64_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* 1; 0 for a name that is gone, and for a file that is none. */
static int describe_held(const char *name, const char *state_dir, struct vnic_netns_info *ret_info,
			 struct vnic_error *err)
{
	struct ns_name_owner owner;
	char path[64];
	int r = ns_name_find(name, state_dir, &owner, err);

	if (r == -ENOENT || r == -EINVAL || r == -ELOOP || r == -EISDIR || r == -ENXIO)
		return 0;
	if (r < 0)
		return r;
	CLEANUP_FD int pidfd = owner.pidfd;
	ret_info->pid = owner.pid;
	ret_info->held = true;
	ret_info->sandbox = owner.sandbox;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", owner.pid);
	ret_info->inode = owner.pid ? inode_of(path) : 0;
	return 1;
}

/* 1; 0 for one that is gone, or no pin: half-made, or someone else's. */
static int describe_pin(const char *name, struct vnic_netns_info *ret_info, struct vnic_error *err)
{
	char path[sizeof(NS_PIN_DIR) + 1 + VNIC_NAME_MAX];

	snprintf(path, sizeof(path), "%s/%s", NS_PIN_DIR, name);
	ret_info->inode = inode_of(path);
	int r = ns_pin_is(path);
	if (r == -ENOENT || r == -EACCES)
		return 0;
	return r < 0 ? vnic_fail(err, VNIC_STEP_READ, -r, path, NULL) : r;
}

/* ip(8) allows more names than we do; what fits is shown. */
static int is_entry(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strlen(entry->d_name) <= VNIC_NAME_MAX;
}

/* Names in `dir`, sorted; a directory that is not there has none. */
static int list_dir(const char *dir, bool pins, int (*each)(const struct vnic_netns_info *info, void *ctx), void *ctx,
		    struct vnic_error *err)
{
	struct dirent **entries;
	int count = scandir(dir, &entries, is_entry, alphasort);
	int r = 0;

	if (count < 0)
		return errno == ENOENT ? 0 : vnic_fail(err, VNIC_STEP_READ, errno, dir, NULL);
	for (int i = 0; i < count; i++) {
		struct vnic_netns_info info = {0};

		snprintf(info.name, sizeof(info.name), "%.*s", VNIC_NAME_MAX, entries[i]->d_name);
		free(entries[i]);
		if (r == 0)
			r = pins ? describe_pin(info.name, &info, err) : describe_held(info.name, dir, &info, err);
		if (r > 0)
			r = each(&info, ctx);
	}
	free(entries);
	return r;
}

int vnic_netns_list(const char *state_dir, int (*each)(const struct vnic_netns_info *info, void *ctx), void *ctx,
		    struct vnic_error *err)
{
	int r = state_dir ? list_dir(state_dir, false, each, ctx, err) : 0;

	return r != 0 ? r : list_dir(NS_PIN_DIR, true, each, ctx, err);
}
