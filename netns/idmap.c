/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Maps of user and group ids: decided here, written into /proc/PID/{uid_map,gid_map,setgroups}.
 *
 * Theory of operation.  The kernel takes a map once, in one write, from one of three writers (new_idmap_permitted,
 * kernel/user_namespace.c): anybody, for the single id that is the writer's own; one who has CAP_SETUID
 * or CAP_SETGID over the parent namespace, for any ids; nobody else.  The ranges of /etc/subuid are
 * a convention of user space, granted by the setuid programs newuidmap(1) and newgidmap(1).  So a map
 * is first planned (pure, but for reading those files) and then written by whoever may.
 *
 * setgroups(2) must be forbidden before an unprivileged gid_map, or a user could shed a group that
 * a file's mode uses to lock him out.
 */
#include "ns.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define MAP_TEXT (NS_RANGES * 34) /* three numbers of ten digits a line */

/* --- plan --------------------------------------------------------------------------- */

struct user {
	char id[16];
	char name[64];
};

static void user_of(uid_t uid, struct user *ret_user)
{
	struct passwd entry, *found = NULL;
	char buf[4096];

	snprintf(ret_user->id, sizeof(ret_user->id), "%u", uid);
	if (getpwuid_r(uid, &entry, buf, sizeof(buf), &found) != 0 || !found)
		found = NULL;
	snprintf(ret_user->name, sizeof(ret_user->name), "%s", found ? found->pw_name : ret_user->id);
}

/* "joe:100000:65536" of subuid(5), the name being one or the number of our user. */
static bool line_matches(const char *line, const struct user *user, uint32_t *ret_start, uint32_t *ret_count)
{
	char owner[64], rest;
	uint64_t start, count;

	if (sscanf(line, "%63[^:]:%" SCNu64 ":%" SCNu64 "%c", owner, &start, &count, &rest) < 3)
		return false;
	if (strcmp(owner, user->name) != 0 && strcmp(owner, user->id) != 0)
		return false;
	if (count == 0 || count > UINT32_MAX || start > UINT32_MAX - count)
		return false;
	*ret_start = (uint32_t)start;
	*ret_count = (uint32_t)count;
	return true;
}

/* A user may stand there twice, by name and by number; and his own id is mapped already. */
static bool overlaps(const struct ns_range *ranges, unsigned count, uint32_t start, uint32_t length)
{
	for (unsigned i = 0; i < count; i++)
		if (start < (uint64_t)ranges[i].outside + ranges[i].count &&
		    ranges[i].outside < (uint64_t)start + length)
			return true;
	return false;
}

/* Appends the user's ranges; inside they follow each other from 1 on.  The kernel takes no id twice. */
static int add_ranges(const char *path, const struct user *user, struct ns_range *ranges, unsigned *count,
		      struct vnic_error *err)
{
	FILE *file = fopen(path, "re");
	uint32_t start, length;
	uint64_t inside = 1;
	char line[256];

	if (!file && errno != ENOENT)
		return vnic_fail(err, VNIC_STEP_READ, errno, path, NULL);
	while (file && *count < NS_RANGES && fgets(line, sizeof(line), file)) {
		if (!line_matches(line, user, &start, &length) || inside + length > UINT32_MAX ||
		    overlaps(ranges, *count, start, length))
			continue;
		ranges[(*count)++] = (struct ns_range){(uint32_t)inside, start, length};
		inside += length;
	}
	if (file)
		fclose(file);
	if (inside == 1)
		return vnic_fail(err, VNIC_STEP_IDMAP, ENODATA, path,
				 "user %s has no range there; a line such as \"%s:100000:65536\" gives one", user->name,
				 user->name);
	return 0;
}

int ns_idmap_plan(enum vnic_idmap kind, uid_t uid, gid_t gid, struct ns_idmap *ret_map, struct vnic_error *err)
{
	struct ns_idmap map = {.uid_count = 1, .gid_count = 1};
	bool self = kind == VNIC_IDMAP_SELF;
	struct user user;
	int r;

	map.uids[0] = (struct ns_range){self ? uid : 0, uid, 1};
	map.gids[0] = (struct ns_range){self ? gid : 0, gid, 1};
	if (kind == VNIC_IDMAP_AUTO) {
		user_of(uid, &user);
		r = add_ranges("/etc/subuid", &user, map.uids, &map.uid_count, err);
		if (r == 0)
			r = add_ranges("/etc/subgid", &user, map.gids, &map.gid_count, err);
		if (r < 0)
			return r;
		map.by_helper = !ns_have_capability(CAP_SETUID) || !ns_have_capability(CAP_SETGID);
	}
	map.without_setfcap = uid == 0 && !ns_have_capability(CAP_SETFCAP);
	*ret_map = map;
	return 0;
}

/* --- write -------------------------------------------------------------------------- */

static int write_proc(pid_t pid, const char *file, const char *text, struct vnic_error *err)
{
	char path[64];

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	else
		snprintf(path, sizeof(path), "/proc/self/%s", file);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return vnic_fail(err, VNIC_STEP_IDMAP, errno, path, NULL);
	return 0;
}

static int write_map(pid_t pid, const char *file, const struct ns_range *ranges, unsigned count, struct vnic_error *err)
{
	char text[MAP_TEXT];
	size_t len = 0;

	for (unsigned i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%u %u %u\n", ranges[i].inside,
					ranges[i].outside, ranges[i].count);
	return write_proc(pid, file, text, err);
}

/* Reads to the end of file, keeping the first line. */
static void read_line(int fd, char *ret_line, size_t size)
{
	size_t len = 0;
	char more[256];
	ssize_t n;

	for (;;) {
		bool full = len == size - 1;

		n = full ? read(fd, more, sizeof(more)) : read(fd, ret_line + len, size - 1 - len);
		if (n > 0 && !full)
			len += (size_t)n;
		else if (n == 0 || (n < 0 && errno != EINTR))
			break;
	}
	ret_line[len] = '\0';
	ret_line[strcspn(ret_line, "\n")] = '\0';
}

/* posix_spawn with stderr going to *ret_pipe; its exec failure is the return value (positive). */
static int start_helper(const char *const *paths, char **argv, pid_t *ret_pid, int *ret_pipe)
{
	char path_env[] = "PATH=/usr/bin:/bin", lang_env[] = "LC_ALL=C";
	char *envp[] = {path_env, lang_env, NULL};
	posix_spawn_file_actions_t actions;
	int pipe_fds[2], r = ENOENT;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDERR_FILENO);
	for (; *paths && r == ENOENT; paths++)
		r = posix_spawn(ret_pid, *paths, &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	close_fd(&pipe_fds[1]);
	if (r == 0)
		*ret_pipe = pipe_fds[0];
	else
		close_fd(&pipe_fds[0]);
	return r;
}

static int run_helper(const char *const *paths, char **argv, struct vnic_error *err)
{
	CLEANUP_FD int messages = -1;
	char said[160];
	int status;
	pid_t pid = -1;

	int r = start_helper(paths, argv, &pid, &messages);
	if (r != 0)
		return vnic_fail(err, VNIC_STEP_IDMAP, r, argv[0], NULL);
	read_line(messages, said, sizeof(said));
	if (TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)) < 0)
		return vnic_fail(err, VNIC_STEP_WAIT, errno, argv[0], NULL);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return vnic_fail(err, VNIC_STEP_IDMAP, EPERM, argv[0], "%s",
				 said[0] ? said : "it failed without a word");
	return 0;
}

/* newuidmap PID INSIDE OUTSIDE COUNT ... */
static int write_by_helper(const char *name, pid_t pid, const struct ns_range *ranges, unsigned count,
			   struct vnic_error *err)
{
	char usr_bin[32], bin[32], program[16];
	char numbers[1 + NS_RANGES * 3][12];
	char *argv[3 + NS_RANGES * 3] = {program};
	unsigned n = 0;

	snprintf(program, sizeof(program), "%s", name);
	snprintf(usr_bin, sizeof(usr_bin), "/usr/bin/%s", name);
	snprintf(bin, sizeof(bin), "/bin/%s", name);
	snprintf(numbers[n++], sizeof(numbers[0]), "%d", pid);
	for (unsigned i = 0; i < count; i++) {
		snprintf(numbers[n++], sizeof(numbers[0]), "%u", ranges[i].inside);
		snprintf(numbers[n++], sizeof(numbers[0]), "%u", ranges[i].outside);
		snprintf(numbers[n++], sizeof(numbers[0]), "%u", ranges[i].count);
	}
	for (unsigned i = 0; i < n; i++)
		argv[1 + i] = numbers[i];
	return run_helper((const char *const[]){usr_bin, bin, NULL}, argv, err);
}

int ns_idmap_write(pid_t pid, const struct ns_idmap *map, struct vnic_error *err)
{
	int r;

	if (map->by_helper) {
		r = write_by_helper("newuidmap", pid ? pid : getpid(), map->uids, map->uid_count, err);
		return r < 0 ? r : write_by_helper("newgidmap", pid ? pid : getpid(), map->gids, map->gid_count, err);
	}
	/* From inside, all capabilities are over the new namespace and none over its parent. */
	if (pid == 0 || !ns_have_capability(CAP_SETGID)) {
		r = write_proc(pid, "setgroups", "deny", err);
		if (r < 0 && r != -ENOENT) /* before Linux 3.19 there is no such file and no such rule */
			return r;
	}
	r = write_map(pid, "uid_map", map->uids, map->uid_count, err);
	if (r == -EPERM && map->without_setfcap) /* verify_root_map, kernel/user_namespace.c */
		return vnic_fail(
			err, VNIC_STEP_IDMAP, EPERM, "root",
			"to be root in a user namespace root needs CAP_SETFCAP since Linux 5.12: give it to the "
			"container, or run as another user");
	return r < 0 ? r : write_map(pid, "gid_map", map->gids, map->gid_count, err);
}
