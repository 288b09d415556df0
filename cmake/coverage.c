/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linked into the programs of the coverage build, and only there: what they count is in a file at once.
 *
 * Theory of operation.  gcc counts in arrays, and libgcov writes them to files when a program exits.  Few of vnic's
 * processes come to that: they end by _exit, execve or SIGKILL, and before that they have become others, whose user,
 * root directory, Landlock and seccomp leave no file to write.  So the linker puts the arrays on pages of their own
 * (coverage.ld), and before main() a file takes the place of these pages: PROGRAM.counters, beside the program, shared
 * by all its processes.  From then on counting is all there is; nothing is opened, written or allowed later, and the
 * confinement that is tested is the one that users have.  Many count at a time: -fprofile-update=atomic.
 *
 * Rejected: __gcov_dump before each _exit and in handlers of signals, with a wider confinement for its sake.
 * Descriptors kept for it would be in the way of tests that count them, and whoever is killed would not be seen.
 *
 * VNIC_COVERAGE=new makes the file, all zeros; VNIC_COVERAGE=write adds its counters to the .gcda files, which gcov
 * reads.  The program then does nothing else.  Where there is no file, or it cannot be written, nothing is counted.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The linker's, by coverage.ld. */
extern char vnic_counters[], vnic_counters_end[];

void __gcov_dump(void);

/* In libgcov's place, for whom the end of a program is the time to write, and a fork or exec too. */
void __wrap___gcov_exit(void);
pid_t __wrap___gcov_fork(void);
int __wrap___gcov_execvp(const char *path, char *const argv[]);

void __wrap___gcov_exit(void)
{
}

pid_t __wrap___gcov_fork(void)
{
	return fork();
}

int __wrap___gcov_execvp(const char *path, char *const argv[])
{
	return execvp(path, argv);
}

static int counters_open(bool new)
{
	static const char suffix[] = ".counters";
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(suffix));

	if (n < 0)
		return -1;
	memcpy(path + n, suffix, sizeof(suffix));
	return open(path, O_RDWR | O_CLOEXEC | (new ? O_CREAT | O_TRUNC : 0), 0666);
}

/* libgcov's own constructors, which tell it of the arrays, have 100. */
__attribute__((constructor(101))) static void counters_share(void)
{
	const char *verb = getenv("VNIC_COVERAGE");
	const bool new = verb && !strcmp(verb, "new"), write = verb && !strcmp(verb, "write");
	const size_t size = (size_t)(vnic_counters_end - vnic_counters);
	int fd = counters_open(new);
	struct stat status;
	bool ok = fd >= 0;

	if (ok && new)
		ok = fchmod(fd, 0666) == 0 && ftruncate(fd, (off_t)size) == 0;
	/* A file of another size is another build's. */
	ok = ok && fstat(fd, &status) == 0 && (size_t)status.st_size == size &&
	     mmap(vnic_counters, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
	if (fd >= 0)
		close(fd);
	if (ok && write)
		__gcov_dump();
	if (new || write)
		_exit(!ok);
}
