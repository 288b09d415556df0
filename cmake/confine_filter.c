/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the gateway's seccomp filter: a program of the build, which writes gateway/confine.c's table of BPF
 * instructions for every architecture that vnic is built for.
 *
 * A call that is not listed gets ENOSYS, as from a kernel that does not have it, and a line in the kernel's audit log:
 * a C library that comes to use another call falls back on the one before, and the flows go on.  Rejected: to kill, for
 * then a library's update ends everybody's connections.
 *
 * What no library calls by itself, and whoever took the process over would call first, kills: the front says that the
 * gateway has ended, and the sandbox ends with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- what is allowed ---------------------------------------------------------------- */

static const char *const allowed[] = {
	/* The loop. */
	"epoll_wait",
	"epoll_pwait",
	"epoll_ctl",
	"timerfd_settime",
	"clock_gettime", /* where the vDSO cannot tell */
	"sched_yield",
	/* Flows. */
	"accept4",
	"connect",
	"bind",
	"getsockname",
	"shutdown",
	"close",
	"splice",
	"pipe2",
	/* Bytes and datagrams; sendmsg and recvmsg also talk with the front and the router's helper. */
	"read",
	"write",
	"readv",
	"writev",
	"sendto",
	"recvfrom",
	"sendmsg",
	"recvmsg",
	"sendmmsg",
	"recvmmsg",
	"getrandom", /* identifiers of questions to resolvers */
	/* Memory; see mmap below. */
	"brk",
	"munmap",
	"mremap",
	"madvise",
	/* The end; a stopped process that goes on. */
	"exit_group",
	"restart_syscall",
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	/* Their runtime, and its reports. */
	"mmap",
	"mprotect",
	"futex",
	"gettid",
	"getpid",
	"sigaltstack",
	"rt_sigaction",
	"rt_sigprocmask",
	"readlink",
	"openat",
	"open",
	"ioctl",
	"lseek",
	"tgkill",
	"prlimit64",
	"clock_nanosleep",
	"nanosleep",
	"membarrier",
#endif
};

/* An argument of a call must be this, apart from the bits of `ignore`. */
struct condition {
	unsigned argument;
	uint64_t value, ignore;
};

static const struct {
	const char *call;
	struct condition conditions[3];
	unsigned count;
} allowed_with[] = {
	/* Of descriptors nothing but pipes of another size. */
	{"fcntl", {{1, F_SETPIPE_SZ, 0}}, 1},
	/* When it runs, in turns with others: of no other process. */
	{"sched_setattr", {{0, 0, 0}}, 1},
	/* Memory never becomes code. */
	{"mmap", {{2, 0, ~(uint64_t)PROT_EXEC}}, 1},
#define TYPE_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)
	/* Sockets of flows: TCP, UDP, ping.  No Unix, packet, raw or netlink socket, no MPTCP or SCTP. */
	{"socket", {{0, AF_INET, 0}, {1, SOCK_STREAM, TYPE_FLAGS}, {2, 0, 0}}, 3},
	{"socket", {{0, AF_INET6, 0}, {1, SOCK_STREAM, TYPE_FLAGS}, {2, 0, 0}}, 3},
	{"socket", {{0, AF_INET, 0}, {1, SOCK_DGRAM, TYPE_FLAGS}, {2, 0, 0}}, 3},
	{"socket", {{0, AF_INET6, 0}, {1, SOCK_DGRAM, TYPE_FLAGS}, {2, 0, 0}}, 3},
	{"socket", {{0, AF_INET, 0}, {1, SOCK_DGRAM, TYPE_FLAGS}, {2, IPPROTO_ICMP, 0}}, 3},
	{"socket", {{0, AF_INET6, 0}, {1, SOCK_DGRAM, TYPE_FLAGS}, {2, IPPROTO_ICMPV6, 0}}, 3},
	/* What became of a connect. */
	{"getsockopt", {{1, SOL_SOCKET, 0}, {2, SO_ERROR, 0}}, 2},
	{"getsockopt", {{1, SOL_SOCKET, 0}, {2, SO_MEMINFO, 0}}, 2},        /* how many datagrams it dropped */
	{"getsockopt", {{1, SOL_PACKET, 0}, {2, PACKET_STATISTICS, 0}}, 2}, /* and a ring */
	{"getsockopt", {{1, IPPROTO_TCP, 0}, {2, TCP_INFO, 0}}, 2},         /* is a connection over */
	{"getsockopt", {{1, IPPROTO_IPV6, 0}, {2, IPV6_MTU, 0}}, 2},        /* which ways lead to the host itself */
	{"setsockopt", {{1, SOL_SOCKET, 0}, {2, SO_LINGER, 0}}, 2},         /* to reset */
	{"setsockopt", {{1, SOL_SOCKET, 0}, {2, SO_KEEPALIVE, 0}}, 2},      /* a peer may vanish */
	{"setsockopt", {{1, SOL_SOCKET, 0}, {2, SO_OOBINLINE, 0}}, 2},
	{"setsockopt", {{1, SOL_SOCKET, 0}, {2, SO_REUSEPORT, 0}}, 2}, /* one UDP mapping for many flows */
	{"setsockopt", {{1, SOL_SOCKET, 0}, {2, SO_RCVBUF, 0}}, 2},
	{"setsockopt", {{1, SOL_SOCKET, 0}, {2, SO_SNDBUF, 0}}, 2},
	{"setsockopt", {{1, IPPROTO_TCP, 0}, {2, TCP_NODELAY, 0}}, 2},
	{"setsockopt", {{1, IPPROTO_TCP, 0}, {2, TCP_CONGESTION, 0}}, 2},
	{"setsockopt", {{1, IPPROTO_TCP, 0}, {2, TCP_SYNCNT, 0}}, 2}, /* how long a resolver is waited for */
	{"setsockopt", {{1, IPPROTO_UDP, 0}, {2, UDP_GRO, 0}}, 2},
	{"setsockopt", {{1, IPPROTO_IP, 0}, {2, IP_RECVERR, 0}}, 2},
	{"setsockopt", {{1, IPPROTO_IPV6, 0}, {2, IPV6_RECVERR, 0}}, 2},
	{"setsockopt", {{1, IPPROTO_IPV6, 0}, {2, IPV6_V6ONLY, 0}}, 2},
	{"setsockopt", {{1, IPPROTO_IP, 0}, {2, IP_MTU_DISCOVER, 0}}, 2}, /* echo requests that may not be cut */
	{"setsockopt", {{1, IPPROTO_IPV6, 0}, {2, IPV6_MTU_DISCOVER, 0}}, 2},
};

/* --- what kills --------------------------------------------------------------------- */

static const char *const deadly[] = {
	/* Other programs, processes and their memory. */
	"execve",
	"execveat",
	"clone",
	"clone3",
	"fork",
	"vfork",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"pidfd_getfd",
	/* Namespaces, mounts, roots. */
	"unshare",
	"setns",
	"mount",
	"umount2",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsmount",
	"mount_setattr",
	"pivot_root",
	"chroot",
	/* The kernel's larger doors. */
	"bpf",
	"io_uring_setup",
	"perf_event_open",
	"userfaultfd",
	"keyctl",
	"add_key",
	"request_key",
	"init_module",
	"finit_module",
	"kexec_load",
	"open_by_handle_at",
};

/* --- making it ---------------------------------------------------------------------- */

static void must(int result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "confine_filter: %s: %s\n", what, strerror(-result));
		exit(1);
	}
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Calls that an architecture does not have are left out by libseccomp. */
static void add_rules(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < COUNT(allowed); i++)
		must(seccomp_rule_add(filter, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(allowed[i]), 0), allowed[i]);
	for (size_t i = 0; i < COUNT(allowed_with); i++) {
		struct scmp_arg_cmp arguments[3];

		for (unsigned k = 0; k < allowed_with[i].count; k++) {
			const struct condition *condition = &allowed_with[i].conditions[k];

			/* The kernel takes these arguments as int. */
			arguments[k] = SCMP_CMP(condition->argument, SCMP_CMP_MASKED_EQ, (uint32_t)~condition->ignore,
						condition->value);
		}
		must(seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(allowed_with[i].call),
					    allowed_with[i].count, arguments),
		     allowed_with[i].call);
	}
	for (size_t i = 0; i < COUNT(deadly); i++)
		must(seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, seccomp_syscall_resolve_name(deadly[i]), 0),
		     deadly[i]);
}

/* libseccomp writes to a descriptor. */
static void print_program(scmp_filter_ctx filter)
{
	struct sock_filter instruction;
	FILE *file = tmpfile();

	must(file ? seccomp_export_bpf(filter, fileno(file)) : -errno, "export");
	rewind(file);
	while (fread(&instruction, sizeof(instruction), 1, file) == 1)
		printf("\t{0x%02x, %u, %u, 0x%08x},\n", instruction.code, instruction.jt, instruction.jf,
		       instruction.k);
	fclose(file);
}

static void print_filter(uint32_t arch)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

	must(filter ? 0 : -ENOMEM, "init");
	if (arch != seccomp_arch_native()) {
		must(seccomp_arch_add(filter, arch), "architecture");
		must(seccomp_arch_remove(filter, SCMP_ARCH_NATIVE), "architecture");
	}
	must(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "bad architecture");
	must(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2), "binary tree");
	add_rules(filter);
	print_program(filter);
	seccomp_release(filter);
}

int main(void)
{
	puts("/* Made by cmake/confine_filter.c. */");
	puts("static const struct sock_filter confine_filter[] = {\n#if defined(__x86_64__)");
	print_filter(SCMP_ARCH_X86_64);
	puts("#elif defined(__aarch64__)");
	print_filter(SCMP_ARCH_AARCH64);
	puts("#else\n#error \"cmake/confine_filter.c does not know this architecture\"\n#endif\n};");
	return 0;
}
