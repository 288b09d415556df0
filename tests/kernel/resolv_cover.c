/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file covered in a mount namespace, and what the host may do meanwhile.
 *
 * The test program is the host, in namespaces of its own; a child is the sandbox, whose view is looked at by way of
 * /proc/PID/root.
 */
#include "vt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "loop.h"
#include "ns.h"
#include "resolv.h"

#define HOSTS "nameserver 127.0.0.53\nsearch example.org\n"
#define OURS "nameserver 10.0.2.3"

struct place {
	char dir[64], etc[96], run[96], file[128];
};

struct inside {
	struct place *place;
	struct resolv_config config;
	unsigned kept;
	pid_t pid;
	int pidfd;
};

/* --- the host's side ---------------------------------------------------------------- */

static const char *at(const char *dir, const char *name)
{
	static char paths[4][160];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void rename_over(const char *path, const char *text)
{
	char new[160];

	snprintf(new, sizeof(new), "%s.new", path);
	write_file(new, text);
	assert_int_equal(rename(new, path), 0);
}

static struct place place_make(void)
{
	struct place place = {.dir = "/tmp/vnic-cover.XXXXXX"};

	assert_non_null(mkdtemp(place.dir));
	snprintf(place.etc, sizeof(place.etc), "%s/etc", place.dir);
	snprintf(place.run, sizeof(place.run), "%s/run", place.dir);
	snprintf(place.file, sizeof(place.file), "%s/resolv.conf", place.etc);
	assert_int_equal(mkdir(place.etc, 0755), 0);
	assert_int_equal(mkdir(place.run, 0755), 0);
	return place;
}

static void place_remove(const struct place *place)
{
	unlink(place->file);
	unlink(at(place->run, "stub"));
	assert_int_equal(rmdir(place->etc), 0);
	assert_int_equal(rmdir(place->run), 0);
	assert_int_equal(rmdir(place->dir), 0);
}

/* --- the sandbox's side ------------------------------------------------------------- */

static int enter(void)
{
	return unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? -errno : 0;
}

static _Noreturn void live(const struct inside *inside, int told)
{
	unsigned kept = UINT32_MAX;
	struct vnic_error err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (enter() == 0)
		resolv_mount(&inside->config, &kept, &err);
	if (write(told, &kept, sizeof(kept)) != (ssize_t)sizeof(kept))
		_exit(1);
	for (;;)
		pause();
}

static struct inside inside_start(struct place *place)
{
	struct inside inside = {
		.place = place,
		.config = {.path = place->file,
			   .host = resolv_look(place->file),
			   .listen = {{AF_INET, 32, {10, 0, 2, 3}}}},
	};
	int told[2];

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	inside.pid = fork();
	assert_true(inside.pid >= 0);
	if (inside.pid == 0)
		live(&inside, told[1]);
	close(told[1]);
	assert_int_equal(read(told[0], &inside.kept, sizeof(inside.kept)), sizeof(inside.kept));
	close(told[0]);
	inside.pidfd = pidfd_open(inside.pid, 0);
	assert_true(inside.pidfd >= 0);
	return inside;
}

static void inside_end(struct inside *inside)
{
	assert_int_equal(pidfd_send_signal(inside->pidfd, SIGKILL, NULL, 0), 0);
	assert_int_equal(waitpid(inside->pid, NULL, 0), inside->pid);
	close_fd(&inside->pidfd);
}

static void read_inside(const struct inside *inside, char *ret_text, size_t size)
{
	char path[192];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/root%s", inside->pid, inside->place->file);
	file = fopen(path, "re");
	assert_non_null(file);
	ret_text[fread(ret_text, 1, size - 1, file)] = '\0';
	fclose(file);
}

static bool sees_ours(const struct inside *inside)
{
	char text[1024];

	read_inside(inside, text, sizeof(text));
	return strstr(text, OURS);
}

/* --- covering ----------------------------------------------------------------------- */

static void a_file_is_ours_inside_and_the_hosts_outside(void **state)
{
	struct place place = place_make();
	char text[1024];
	struct inside inside;
	struct stat now;

	(void)state;
	write_file(place.file, HOSTS);
	inside = inside_start(&place);
	assert_int_equal(inside.kept & VNIC_KEPT_RESOLV, 0);
	read_inside(&inside, text, sizeof(text));
	assert_non_null(strstr(text, "\n" OURS "\n"));
	assert_non_null(strstr(text, "\nsearch example.org\n"));
	assert_null(strstr(text, "127.0.0.53"));
	assert_int_equal(stat(place.file, &now), 0);
	assert_int_equal(now.st_size, strlen(HOSTS));
	inside_end(&inside);
	place_remove(&place);
}

static void the_end_of_a_link_may_be_renamed_over(void **state)
{
	struct place place = place_make();
	struct inside inside;

	(void)state;
	write_file(at(place.run, "stub"), HOSTS);
	assert_int_equal(symlink("../run/stub", place.file), 0);
	inside = inside_start(&place);
	assert_true(sees_ours(&inside));
	rename_over(at(place.run, "stub"), "nameserver 192.0.2.1\n");
	assert_true(sees_ours(&inside));
	assert_int_equal(unlink(at(place.run, "stub")), 0);
	assert_true(sees_ours(&inside));
	inside_end(&inside);
	place_remove(&place);
}

static void a_link_that_leads_nowhere_is_covered_too(void **state)
{
	struct place place = place_make();
	struct inside inside;

	(void)state;
	assert_int_equal(symlink("../run/stub", place.file), 0);
	inside = inside_start(&place);
	assert_int_equal(inside.kept & VNIC_KEPT_RESOLV, 0);
	assert_true(sees_ours(&inside));
	inside_end(&inside);
	place_remove(&place);
}

static void an_absent_file_stays_absent_and_this_is_said(void **state)
{
	struct place place = place_make();
	struct inside inside;

	(void)state;
	inside = inside_start(&place);
	assert_int_equal(inside.kept & VNIC_KEPT_RESOLV, VNIC_KEPT_RESOLV);
	inside_end(&inside);
	place_remove(&place);
}

static void a_read_only_file_system_does_not_matter(void **state)
{
	struct place place = place_make();
	struct inside inside;

	(void)state;
	assert_int_equal(mount("tmpfs", place.etc, "tmpfs", 0, NULL), 0);
	write_file(place.file, HOSTS);
	assert_int_equal(mount(NULL, place.etc, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	inside = inside_start(&place);
	assert_true(sees_ours(&inside));
	inside_end(&inside);
	assert_int_equal(umount(place.etc), 0);
	place_remove(&place);
}

/* --- directories, and older kernels ------------------------------------------------- */

struct dirs {
	const char *file, *full, *absent, *not_one;
	bool attach;
};

static int look_at_covers(void *ctx)
{
	const struct dirs *dirs = ctx;
	const char *const covered[] = {dirs->full, dirs->absent, dirs->not_one, NULL};
	const struct ns_cover cover = {
		.file = dirs->file, .text = "ours", .size = 4, .dirs = covered, .attach = dirs->attach};
	char text[8] = {0}, path[192];
	const char *uncovered;
	struct stat root, above;

	snprintf(path, sizeof(path), "%s/etc", dirs->full);
	if (enter() < 0 || stat("/", &root) < 0 || ns_cover(&cover, &uncovered, NULL) < 0)
		return 1;
	CLEANUP_FD int fd = open(dirs->file, O_RDONLY | O_CLOEXEC);
	if (uncovered || read(fd, text, sizeof(text)) != 4 || strcmp(text, "ours"))
		return 2;
	if (access(path, F_OK) == 0 || access(dirs->full, F_OK) < 0 || access(dirs->absent, F_OK) == 0)
		return 3;
	/* Nothing of ours is left on "/". */
	return stat("/..", &above) < 0 || above.st_dev != root.st_dev || above.st_ino != root.st_ino ? 4 : 0;
}

static void directories_become_empty_and_absent_ones_do_not_matter(void **state)
{
	struct place place = place_make(), whole = place_make();
	struct dirs dirs = {.file = place.file, .full = whole.dir, .absent = "/nowhere", .not_one = "/dev/null/x"};

	(void)state;
	write_file(place.file, HOSTS);
	assert_int_equal(vt_in_child(look_at_covers, &dirs), 0);
	dirs.attach = true;
	assert_int_equal(vt_in_child(look_at_covers, &dirs), 0);
	place_remove(&place);
	place_remove(&whole);
}

/* --- the guard ---------------------------------------------------------------------- */

/* As the front does: its loop's descriptor is polled by somebody else first. */
static bool is_told(int epfd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = epfd, .events = POLLIN};
	struct epoll_event event;

	return poll(&poll_fd, 1, timeout_ms) == 1 && loop_wait(epfd, &event, 1, 0, NULL) == 1;
}

static int watch(const struct resolv_guard *guard)
{
	struct vnic_error err;
	int epfd;

	vt_ok(loop_open(&epfd, &err), &err);
	vt_ok(loop_add(epfd, guard->fd, RESOLV_GUARD_EVENTS, (struct loop_ref){0}, &err), &err);
	is_told(epfd, 0); /* the first one means nothing */
	return epfd;
}

/* A place with a host's file, a sandbox over it, and a guard that is watched. */
struct watched {
	struct place place;
	struct inside inside;
	struct resolv_guard guard;
	int epfd;
};

static void watch_place(struct watched *watched)
{
	struct vnic_error err;

	watched->place = place_make();
	watched->guard = (struct resolv_guard)RESOLV_GUARD_EMPTY;
	write_file(watched->place.file, HOSTS);
	watched->inside = inside_start(&watched->place);
	vt_ok(resolv_guard_open(&watched->inside.config, watched->inside.pid, &watched->guard, &err), &err);
	watched->epfd = watch(&watched->guard);
}

static int look(struct watched *watched, struct vnic_error *err)
{
	return resolv_guard_look(&watched->guard, watched->inside.pid, watched->inside.pidfd, err);
}

static void watch_end(struct watched *watched)
{
	close(watched->epfd);
	resolv_guard_close(&watched->guard);
	inside_end(&watched->inside);
	place_remove(&watched->place);
}

static void a_file_renamed_over_the_name_is_covered_again(void **state)
{
	struct watched watched;
	struct vnic_error err;

	(void)state;
	watch_place(&watched);
	for (int i = 0; i < 20; i++) {
		rename_over(watched.place.file, "nameserver 192.0.2.1\nsearch example.net\n");
		assert_true(is_told(watched.epfd, VT_DEADLINE_MS));
		assert_int_equal(vt_ok(look(&watched, &err), &err), 1);
		assert_true(sees_ours(&watched.inside));
		/* Its own doing is an event, too, but nothing to do. */
		assert_true(is_told(watched.epfd, VT_DEADLINE_MS));
		assert_int_equal(vt_ok(look(&watched, &err), &err), 0);
		assert_false(is_told(watched.epfd, 0));
	}
	watch_end(&watched);
}

static void a_file_renamed_over_the_name_before_the_guard_came_is_covered_again(void **state)
{
	struct watched watched = {.guard = RESOLV_GUARD_EMPTY};
	struct vnic_error err;

	(void)state;
	watched.place = place_make();
	write_file(watched.place.file, HOSTS);
	watched.inside = inside_start(&watched.place);
	rename_over(watched.place.file, "nameserver 192.0.2.1\n");
	assert_false(sees_ours(&watched.inside));
	vt_ok(resolv_guard_open(&watched.inside.config, watched.inside.pid, &watched.guard, &err), &err);
	assert_int_equal(vt_ok(loop_open(&watched.epfd, &err), &err), 0);
	vt_ok(loop_add(watched.epfd, watched.guard.fd, RESOLV_GUARD_EVENTS, (struct loop_ref){0}, &err), &err);
	assert_true(is_told(watched.epfd, VT_DEADLINE_MS));
	assert_int_equal(vt_ok(look(&watched, &err), &err), 1);
	assert_true(sees_ours(&watched.inside));
	watch_end(&watched);
}

static void a_link_renamed_over_the_name_is_covered_again(void **state)
{
	struct watched watched;
	struct vnic_error err;

	(void)state;
	watch_place(&watched);
	assert_int_equal(symlink("../run/stub", at(watched.place.etc, "new")), 0);
	assert_int_equal(rename(at(watched.place.etc, "new"), watched.place.file), 0);
	assert_true(is_told(watched.epfd, VT_DEADLINE_MS));
	assert_int_equal(vt_ok(look(&watched, &err), &err), 1);
	assert_true(sees_ours(&watched.inside));
	watch_end(&watched);
}

static void where_the_host_leaves_no_file_the_guard_says_so(void **state)
{
	struct watched watched;
	struct vnic_error err;

	(void)state;
	watch_place(&watched);
	assert_int_equal(unlink(watched.place.file), 0);
	assert_true(is_told(watched.epfd, VT_DEADLINE_MS));
	vt_fails(look(&watched, &err), &err, VNIC_STEP_MOUNT, EPERM);
	watch_end(&watched);
}

/* In the sandbox: over the directory a file system of which nobody answers for. */
static pid_t mount_silence(const struct inside *inside)
{
	char path[64], options[96];
	int told[2];
	bool done = false;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", inside->pid);
		int mounts = open(path, O_RDONLY | O_CLOEXEC), fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
		snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
		done = setns(mounts, CLONE_NEWNS) == 0 &&
		       mount("silence", inside->place->etc, "fuse", MS_NOSUID | MS_NODEV, options) == 0;
		if (write(told[1], &done, sizeof(done)) < 0 || !done)
			_exit(1);
		for (;;)
			pause();
	}
	close(told[1]);
	assert_int_equal(read(told[0], &done, sizeof(done)), sizeof(done));
	close(told[0]);
	if (!done)
		waitpid(pid, NULL, 0);
	return done ? pid : 0;
}

static void what_never_answers_inside_holds_the_guard_up_for_a_moment(void **state)
{
	struct watched watched;
	struct vnic_error err;

	(void)state;
	watch_place(&watched);
	pid_t silence = mount_silence(&watched.inside);
	rename_over(watched.place.file, "nameserver 192.0.2.1\n");
	if (silence) {
		vt_fails(look(&watched, &err), &err, VNIC_STEP_MOUNT, ETIMEDOUT);
		kill(silence, SIGKILL);
		while (wait(NULL) != silence)
			; /* the guard's child is ours, too */
	}
	watch_end(&watched);
	if (!silence)
		vt_skip("no FUSE can be mounted here");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_file_is_ours_inside_and_the_hosts_outside),
		vt_test(the_end_of_a_link_may_be_renamed_over),
		vt_test(a_link_that_leads_nowhere_is_covered_too),
		vt_test(an_absent_file_stays_absent_and_this_is_said),
		vt_test(a_read_only_file_system_does_not_matter),
		vt_test(directories_become_empty_and_absent_ones_do_not_matter),
		vt_test(a_file_renamed_over_the_name_is_covered_again),
		vt_test(a_file_renamed_over_the_name_before_the_guard_came_is_covered_again),
		vt_test(a_link_renamed_over_the_name_is_covered_again),
		vt_test(where_the_host_leaves_no_file_the_guard_says_so),
		vt_test(what_never_answers_inside_holds_the_guard_up_for_a_moment),
	};

	vt_own_namespaces(CLONE_NEWNS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
