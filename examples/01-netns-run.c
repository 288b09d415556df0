/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a command in namespaces of its own, with an address that is set before it starts.  Needs no root.
 *
 * Build:  cc -o 01-netns-run 01-netns-run.c $(pkg-config --cflags --libs vnic)
 * Run:    ./01-netns-run sh -c 'hostname; ip -brief address; echo /proc/[0-9]*; exit 7'
 * Prints:
 *   process 4242 waits in user,mnt,pid,net,uts
 *   guest
 *   lo               UNKNOWN        127.0.0.1/8 10.6.0.1/32 ::1/128
 *   /proc/1 /proc/2
 *   it ended with 7
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* CLONE_NEWNET and its like */
#endif
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include <vnic/vnic.h>

#define LO_INDEX 1

static int configure_lo(struct vnic_nl *nl, struct vnic_error *err)
{
	const struct vnic_link up = {.name = "lo", .up = true};
	struct vnic_addr addr;
	int r = vnic_addr_parse("10.6.0.1/32", &addr, err);

	if (r == 0)
		r = vnic_link_set(nl, LO_INDEX, &up, err);
	return r < 0 ? r : vnic_addr_add(nl, LO_INDEX, &addr, err);
}

/* Runs in the child, in its new namespaces, before the command; its failure is that of vnic_spawn_start. */
static int setup(void *ctx, struct vnic_error *err)
{
	struct vnic_nl *nl;
	int r = vnic_nl_open(&nl, err);

	(void)ctx;
	if (r < 0)
		return r;
	r = configure_lo(nl, err);
	vnic_nl_close(nl);
	return r;
}

/* Between start and release the namespaces are there and the command is not: the time to do something from outside. */
static int run(const struct vnic_spawn *spawn, struct vnic_child *child, int *ret_status, struct vnic_error *err)
{
	char names[64];
	int r = vnic_spawn_start(spawn, child, err);

	if (r < 0)
		return r;
	printf("process %d waits in %s\n", child->pid, vnic_ns_text(spawn->namespaces, names, sizeof(names)));
	fflush(stdout);
	r = vnic_child_release(child, err);
	return r < 0 ? r : vnic_child_wait(child, ret_status, err);
}

int main(int argc, char **argv)
{
	const struct vnic_spawn spawn = {
		/* A user namespace gives an ordinary user the right to make the others. */
		.namespaces =
			(geteuid() == 0 ? 0 : CLONE_NEWUSER) | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS,
		.idmap = VNIC_IDMAP_ROOT,
		.hostname = "guest",
		.argv = argv + 1,
		.setup = setup,
	};
	struct vnic_child child = VNIC_CHILD_EMPTY;
	struct vnic_error err;
	char text[512];
	int status = 0, r;

	if (argc < 2) {
		fprintf(stderr, "usage: %s COMMAND [ARGUMENT]...\n", argv[0]);
		return 2;
	}
	r = run(&spawn, &child, &status, &err);
	if (r < 0) {
		const char *remedy = vnic_error_remedy(&err);

		vnic_error_text(&err, text, sizeof(text));
		fprintf(stderr, "%s\n%s%s", text, remedy ? remedy : "", remedy ? "\n" : "");
	} else {
		printf("it ended with %d\n", status);
	}
	vnic_child_close(&child); /* a child that never ran ends here, with everything it had */
	return r < 0 ? 1 : 0;
}
