/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the gateway's filter of system calls leaves:
 *  - the calls of flows work;
 *  - others fail as if the kernel did not have them;
 *  - those that only an attacker makes kill.
 */
#include <stdbool.h>

#include "confine_child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void filter(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (confine_calls(NULL) < 0)
		_exit(255);
}

/* --- what fails --------------------------------------------------------------------- */

static long open_a_file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static long create_a_file(void)
{
	char path[] = "/tmp/vnic-confine.XXXXXX";
	int fd = mkstemp(path);

	return fd < 0 ? fd : unlink(path);
}

static long look_at_a_file(void)
{
	struct stat status;

	return stat("/etc/passwd", &status);
}

static long look_at_a_directory(void)
{
	return syscall(SYS_getdents64, 0, NULL, 0) < 0 && errno == ENOSYS ? -1 : 0;
}

static long make_a_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static long make_a_socket_pair(void)
{
	int pair[2];

	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static long make_a_netlink_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static long make_a_packet_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static long make_a_raw_socket(void)
{
	return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
}

static long make_a_socket_of_another_protocol(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDPLITE);
}

static long listen_on_a_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? 0 : listen(fd, 1);
}

static long set_a_strange_option(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? 0 : setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &(int){1}, sizeof(int));
}

static long make_memory_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static long change_what_memory_is(void)
{
	static _Alignas(4096) char page[4096];

	return mprotect(page, sizeof(page), PROT_READ);
}

static long make_a_file_in_memory(void)
{
	return memfd_create("code", MFD_CLOEXEC);
}

static long signal_another(void)
{
	return kill(getppid(), 0);
}

static long copy_a_descriptor(void)
{
	return fcntl(0, F_DUPFD_CLOEXEC, 0);
}

static long control_a_device(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? 0 : ioctl(fd, FIONBIO, &(int){1});
}

static long become_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1);
}

static void what_is_not_listed_fails_as_if_the_kernel_did_not_have_it(void **state)
{
	static const struct attempt attempts[] = {
		{"open a file", open_a_file, true},
		{"create a file", create_a_file, true},
		{"look at a file", look_at_a_file, false},
		{"look at a directory", look_at_a_directory, false},
		{"make a Unix socket", make_a_unix_socket, false},
		{"make a socket pair", make_a_socket_pair, false},
		{"make a netlink socket", make_a_netlink_socket, false},
		{"make a packet socket", make_a_packet_socket, false},
		{"make a raw socket", make_a_raw_socket, false},
		{"make a socket of another protocol", make_a_socket_of_another_protocol, false},
		{"listen on a port", listen_on_a_port, false},
		{"set a strange option", set_a_strange_option, false},
		{"make memory code", make_memory_code, true},
		{"change what memory is", change_what_memory_is, true},
		{"make a file in memory", make_a_file_in_memory, false},
		{"signal another", signal_another, false},
		{"copy a descriptor", copy_a_descriptor, false},
		{"control a device", control_a_device, true},
		{"become dumpable", become_dumpable, false},
	};

	(void)state;
	check_attempts(attempts, COUNT(attempts), filter, ENOSYS);
}

/* --- what kills --------------------------------------------------------------------- */

static long execute(void)
{
	return execve("/bin/true", (char *[]){"true", NULL}, (char *[]){NULL});
}

/* The raw call: the C library's fork() does more, which a sanitizer follows. */
static long start_a_process(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? pid : waitpid((pid_t)pid, NULL, 0);
}

static long trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long read_another_process(void)
{
	char byte;
	struct iovec iov = {&byte, 1};

	return process_vm_readv(getppid(), &iov, 1, &iov, 1, 0);
}

static long make_a_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static long join_a_namespace(void)
{
	return setns(-1, 0);
}

static long mount_something(void)
{
	return mount("none", "/nonexistent", "tmpfs", 0, NULL);
}

static long load_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0);
}

static long make_a_ring(void)
{
	return syscall(SYS_io_uring_setup, 0, NULL);
}

static long read_a_key(void)
{
	return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static void what_only_an_attacker_calls_kills(void **state)
{
	static const struct attempt attempts[] = {
		{"execute", execute, false},
		{"start a process", start_a_process, false},
		{"trace", trace, false},
		{"read another process", read_another_process, false},
		{"make a namespace", make_a_namespace, false},
		{"join a namespace", join_a_namespace, false},
		{"mount something", mount_something, false},
		{"load BPF", load_bpf, false},
		{"make a ring", make_a_ring, false},
		{"read a key", read_a_key, false},
	};

	(void)state;
	check_attempts(attempts, COUNT(attempts), filter, -SIGSYS);
}

#ifdef __x86_64__
/* getpid, which has another number there: 20 is writev for the filter, if it does not look at the architecture. */
static long call_as_32_bits(void)
{
	long result = 20;

	__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
	return 0;
}

static long call_as_x32(void)
{
	syscall(0x40000000 | SYS_read, -1, NULL, 0);
	return 0;
}

static void calls_of_other_architectures_kill(void **state)
{
	static const struct attempt attempts[] = {
		{"32 bits", call_as_32_bits, false},
		{"x32", call_as_x32, false},
	};

	(void)state;
	check_attempts(attempts, COUNT(attempts), filter, -SIGSYS);
}
#endif

/* --- what works --------------------------------------------------------------------- */

static struct sockaddr_in server; /* a TCP listener of the parent's */

/* Everything that a TCP flow needs. */
static long carry_a_flow(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), code, pipe[2];
	uint32_t info[16];

	if (fd < 0 || (connect(fd, (const struct sockaddr *)&server, sizeof(server)) < 0 && errno != EINPROGRESS))
		return -1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &(socklen_t){sizeof(code)}) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &(socklen_t){sizeof(info)}) < 0 ||
	    pipe2(pipe, O_NONBLOCK | O_CLOEXEC) < 0 || fcntl(pipe[1], F_SETPIPE_SZ, 65536) < 0 ||
	    write(pipe[1], "x", 1) < 0 || splice(pipe[0], NULL, fd, NULL, 1, SPLICE_F_NONBLOCK) != 1 ||
	    shutdown(fd, SHUT_WR) < 0)
		return -1;
	return close(fd);
}

/* Everything that a UDP flow needs. */
static long carry_datagrams(void)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct iovec iov = {(char[8]){0}, 8};
	struct mmsghdr message = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};

	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_RECVERR, &(int){1}, sizeof(int)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) < 0 ||
	    bind(fd, (const struct sockaddr *)&own, sizeof(own)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&own, &(socklen_t){sizeof(own)}) < 0 ||
	    connect(fd, (const struct sockaddr *)&own, sizeof(own)) < 0)
		return -1;
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, own.sin_zero, &(socklen_t){8}) == 0 || errno == ENOSYS)
		return -1; /* it is not a ring */
	if (sendmmsg(fd, &message, 1, MSG_DONTWAIT) != 1 || recvmmsg(fd, &message, 1, MSG_DONTWAIT, NULL) != 1 ||
	    send(fd, "x", 1, 0) != 1 || recv(fd, iov.iov_base, 1, 0) != 1)
		return -1;
	return close(fd);
}

static long allocate(void)
{
	for (size_t size = 1; size <= 64 << 20; size *= 4) {
		char *memory = malloc(size), *more = realloc(memory, 2 * size);

		if (!more)
			return -1;
		more[0] = more[2 * size - 1] = 1;
		free(more);
	}
	return 0;
}

static void flows_are_carried(void **state)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	server = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(listener, (struct sockaddr *)&server, sizeof(server)), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&server, &(socklen_t){sizeof(server)}), 0);
	assert_int_equal(outcome(carry_a_flow, filter), 0);
	assert_int_equal(outcome(carry_datagrams, filter), 0);
	assert_int_equal(outcome(allocate, filter), 0);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_are_carried),
		cmocka_unit_test(what_is_not_listed_fails_as_if_the_kernel_did_not_have_it),
		cmocka_unit_test(what_only_an_attacker_calls_kills),
#ifdef __x86_64__
		cmocka_unit_test(calls_of_other_architectures_kill),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
