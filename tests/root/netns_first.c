/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command's first moments: its init is a copy of the caller, and must be nobody's debuggee before the command runs.
 * On one CPU and at a real-time priority the command has the CPU first, and init what is left.
 */
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "../rootless/netns_world.h"

#define PROBE "probe"

enum found { NOTHING_OPEN, INIT_OPEN, CHILD_CLOSED };

static bool opens_memory(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	CLEANUP_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	return fd >= 0;
}

/* As the command.  A child of ours is the control: whoever may not open that proves nothing. */
static enum found probe(void)
{
	bool init = opens_memory(1);
	pid_t child = fork();

	if (child == 0) {
		pause();
		_exit(0);
	}
	bool own = opens_memory(child);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return !own ? CHILD_CLOSED : init ? INIT_OPEN : NOTHING_OPEN;
}

static int run_probe(void *program)
{
	char *const argv[] = {program, (char[]){PROBE}, NULL};
	const struct vnic_spawn spawn = {.namespaces = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS, .argv = argv};
	struct vnic_child child = VNIC_CHILD_EMPTY;
	int status = -1;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0 ||
	    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) < 0)
		return 126;
	if (vnic_spawn_start(&spawn, &child, NULL) < 0 || vnic_child_release(&child, NULL) < 0 ||
	    vnic_child_wait(&child, &status, NULL) < 0)
		return 125;
	vnic_child_close(&child);
	return status;
}

static void init_cannot_be_traced_when_its_command_begins(void **state)
{
	static char program[] = "/proc/self/exe";
	char path[4096];
	ssize_t n = readlink(program, path, sizeof(path) - 1);

	(void)state;
	assert_true(n > 0);
	path[n] = '\0';
	for (int i = 0; i < 3; i++) {
		int found = vt_in_child(run_probe, path);

		if (found == 126)
			vt_skip("a real-time priority cannot be had");
		assert_int_equal(found, NOTHING_OPEN);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		vt_test(init_cannot_be_traced_when_its_command_begins),
	};

	if (argc > 1 && !strcmp(argv[1], PROBE))
		return (int)probe();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
