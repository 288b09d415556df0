/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Landlock forbids the gateway, whatever its filter of system calls would say.
 */
#include <stdbool.h>

#include "confine_child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void lock(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (confine_files() == 0)
		_exit(255);
}

/* Skips where the kernel is older than this version of Landlock. */
static void need_version(long version)
{
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= version)
		return;
	print_message("the kernel has no Landlock, or an older one than version %ld\n", version);
	skip();
}

static long open_a_file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static long list_a_directory(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static long create_a_file(void)
{
	char path[] = "/tmp/vnic-confine.XXXXXX";
	int fd = mkstemp(path);

	return fd < 0 ? fd : unlink(path);
}

static long execute(void)
{
	return execve("/bin/true", (char *[]){"true", NULL}, (char *[]){NULL});
}

static void no_file_is_opened_made_or_executed(void **state)
{
	static const struct attempt attempts[] = {
		{"open a file", open_a_file, false},
		{"list a directory", list_a_directory, false},
		{"create a file", create_a_file, false},
		{"execute", execute, false},
	};

	(void)state;
	need_version(1);
	check_attempts(attempts, COUNT(attempts), lock, EACCES);
}

static long bind_a_tcp_port(void)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return bind(fd, (const struct sockaddr *)&any, sizeof(any));
}

static void no_tcp_port_is_bound(void **state)
{
	static const struct attempt attempt = {"bind a TCP port", bind_a_tcp_port, false};

	(void)state;
	need_version(4);
	check_attempts(&attempt, 1, lock, EACCES);
}

static struct sockaddr_un service; /* of the parent's */
static socklen_t service_len;

static long reach_an_abstract_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (const struct sockaddr *)&service, service_len);
}

static long signal_the_parent(void)
{
	return kill(getppid(), SIGCONT);
}

static void neither_abstract_sockets_nor_processes_are_reached(void **state)
{
	static const struct attempt attempts[] = {
		{"reach an abstract socket", reach_an_abstract_socket, false},
		{"signal the parent", signal_the_parent, false},
	};
	int listener;

	(void)state;
	need_version(6);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	service = (struct sockaddr_un){.sun_family = AF_UNIX};
	/* Without a name the kernel finds one. */
	assert_int_equal(bind(listener, (struct sockaddr *)&service, sizeof(service.sun_family)), 0);
	service_len = sizeof(service);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&service, &service_len), 0);
	assert_int_equal(listen(listener, 8), 0);
	check_attempts(attempts, COUNT(attempts), lock, EPERM);
	close(listener);
}

static int opened = -1;

static long read_what_was_open(void)
{
	char byte;

	return read(opened, &byte, 1) - 1;
}

static void what_was_open_stays_open(void **state)
{
	(void)state;
	need_version(1);
	opened = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	assert_int_equal(outcome(read_what_was_open, lock), 0);
	close(opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_file_is_opened_made_or_executed),
		cmocka_unit_test(no_tcp_port_is_bound),
		cmocka_unit_test(neither_abstract_sockets_nor_processes_are_reached),
		cmocka_unit_test(what_was_open_stays_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
