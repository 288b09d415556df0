/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- tests -------------------------------------------------------------------------- */

int vt_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = -1; /* opendir's own */

	if (!dir)
		return -1;
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

/* cmocka's *state is the test's own: it may keep something there. */
static int fds_before;

int vt_setup(void **state)
{
	(void)state;
	fds_before = vt_open_fds();
	return 0;
}

int vt_teardown(void **state)
{
	int now = vt_open_fds();

	(void)state;
	if (now == fds_before)
		return 0;
	print_error("# the test began with %d open descriptors and ended with %d\n", fds_before, now);
	return -1;
}

static int lo_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);

	if (fd >= 0)
		close(fd);
	return r;
}

int vt_setup_netns(void **state)
{
	if (unshare(CLONE_NEWNET) < 0 || lo_up() < 0) {
		print_error("# no network namespace for the test: %s\n", strerror(errno));
		return -1;
	}
	return vt_setup(state);
}

void vt_skip(const char *format, ...)
{
	char reason[256];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	print_message("# skip: %s\n", reason);
	skip();
	abort(); /* skip() does not return, but does not say so */
}

long vt_ok_at(long result, const struct vnic_error *err, const char *text, const char *file, int line)
{
	char shown[512] = "";

	if (result >= 0)
		return result;
	if (err)
		vnic_error_text(err, shown, sizeof(shown));
	print_error("# %s = %ld: %s\n", text, result, shown);
	_fail(file, line);
	return result;
}

/* --- namespaces --------------------------------------------------------------------- */

bool vt_is_root(void)
{
	/* Moving nowhere: setns into one's own mount namespace wants CAP_SYS_ADMIN, CAP_SYS_CHROOT. */
	char map[64] = "";
	FILE *file = fopen("/proc/self/uid_map", "re");
	bool initial = false;

	if (file) {
		initial = fgets(map, sizeof(map), file) && strstr(map, "4294967295");
		fclose(file);
	}
	return initial && geteuid() == 0;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		print_error("# %s: %s\n", path, strerror(errno));
	close(fd);
}

static bool enter(unsigned namespaces)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	if (unshare((int)namespaces) == 0)
		return true;
	if (errno != EPERM || unshare((int)(namespaces | CLONE_NEWUSER)) < 0)
		return false;
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_file("/proc/self/gid_map", map);
	return geteuid() == 0;
}

/* unshare(CLONE_NEWUSER) wants a process with one thread, and sanitizers bring their own: the child has one. */
void vt_own_namespaces(unsigned namespaces)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		exit(1);
	if (pid == 0) {
		if (enter(namespaces) && (!(namespaces & CLONE_NEWNET) || lo_up() == 0))
			return;
		printf("1..0 # skip: no new namespaces here: %s\n", strerror(errno));
		exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int vt_in_child(int (*fn)(void *ctx), void *ctx)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(ctx));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- conditions --------------------------------------------------------------------- */

bool vt_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, VT_DEADLINE_MS) == 1 && poll_fd.revents & (POLLIN | POLLHUP);
}

bool vt_until(bool (*condition)(void *ctx), void *ctx)
{
	const struct itimerspec tick = {.it_value.tv_nsec = 2000000, .it_interval.tv_nsec = 2000000};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	uint64_t ticks = 0, passed;
	bool met = condition(ctx);

	assert_true(fd >= 0);
	timerfd_settime(fd, 0, &tick, NULL);
	while (!met && ticks * 2 < VT_DEADLINE_MS && read(fd, &passed, sizeof(passed)) == (ssize_t)sizeof(passed)) {
		ticks += passed;
		met = condition(ctx);
	}
	close(fd);
	return met;
}
