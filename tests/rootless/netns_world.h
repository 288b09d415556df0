/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process in new namespaces to look at and to join, and commands that tell what they see there. */
#ifndef TESTS_NETNS_WORLD_H
#define TESTS_NETNS_WORLD_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "ns.h"
#include "vt.h"

static inline struct vnic_child world_start(struct vnic_spawn spawn)
{
	static char sleep_word[] = "sleep", forever[] = "infinity";
	static char *argv[] = {sleep_word, forever, NULL};
	struct vnic_child child = VNIC_CHILD_EMPTY;
	struct vnic_error err;

	spawn.argv = argv;
	vt_ok(vnic_spawn_start(&spawn, &child, &err), &err);
	vt_ok(vnic_child_release(&child, &err), &err);
	return child;
}

static inline struct vnic_target world_target(pid_t pid)
{
	struct vnic_target target = VNIC_TARGET_EMPTY;
	struct vnic_error err;
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	vt_ok(vnic_target_open(text, NULL, &target, &err), &err);
	return target;
}

/* Puts `fd` in the place of stdout, for a command to inherit; returns what puts it back. */
static inline int world_stdout(int fd)
{
	int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	close(fd);
	return saved;
}

/* Runs a shell's script there; returns its exit status and what it printed. */
static inline int world_ask(const struct vnic_target *target, const char *script, char *ret_text, size_t size)
{
	char text[512];
	char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, text, NULL};
	struct vnic_child child = VNIC_CHILD_EMPTY;
	struct vnic_error err;
	size_t len = 0;
	int status = -1, tell[2];
	ssize_t n;

	snprintf(text, sizeof(text), "%s", script);
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	int saved = world_stdout(tell[1]);
	int r = vnic_target_exec(target, argv, NULL, NULL, false, &child, &err);
	close(world_stdout(saved));
	if (r == 0) {
		while ((n = read(tell[0], ret_text + len, size - 1 - len)) > 0)
			len += (size_t)n;
		r = vnic_child_wait(&child, &status, &err);
	}
	close(tell[0]);
	ret_text[len] = '\0';
	vnic_child_close(&child);
	vt_ok(r, &err);
	return status;
}

/*
 * vt_in_child for what must have one thread, as joining a user namespace: ThreadSanitizer starts a thread of its
 * own after fork(2).
 */
static inline int world_in_child(int (*fn)(void *ctx), void *ctx)
{
	struct vnic_child child = VNIC_CHILD_EMPTY;
	struct vnic_error err;
	int status = -1;

	child.pid = ns_clone(0, false, &child.pidfd, &err);
	if (child.pid == 0)
		_exit(fn(ctx));
	vt_ok(child.pid, &err);
	vt_ok(vnic_child_wait(&child, &status, &err), &err);
	vnic_child_close(&child);
	return status;
}

/* The inode of /proc/PID/ns/KIND. */
static inline ino_t world_inode(pid_t pid, enum vnic_ns_index index)
{
	struct vnic_ns_view view;
	struct vnic_error err;

	vt_ok(vnic_ns_view_get(pid, &view, &err), &err);
	return view.inode[index];
}

#endif
