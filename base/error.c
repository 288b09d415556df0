/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors: one table of steps, one table of remedies (errno x step).
 *
 * A remedy is given only where the pair of step and errno makes the cause certain or nearly
 * so; a guess that is wrong costs the user more than silence.
 */
#include <vnic/error.h>

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const step_texts[] = {
	[VNIC_STEP_NONE] = "do nothing",
	[VNIC_STEP_USAGE] = "understand",
	[VNIC_STEP_MEMORY] = "allocate memory",
	[VNIC_STEP_OPEN] = "open",
	[VNIC_STEP_MKDIR] = "make the directory",
	[VNIC_STEP_READ] = "read",
	[VNIC_STEP_WRITE] = "write",
	[VNIC_STEP_LOCK] = "take the name",
	[VNIC_STEP_EPOLL] = "use the event loop",
	[VNIC_STEP_SOCKET] = "use a socket",
	[VNIC_STEP_FD_PASS] = "pass file descriptors",
	[VNIC_STEP_NETLINK] = "talk to the kernel over netlink",
	[VNIC_STEP_LINK_ADD] = "create link",
	[VNIC_STEP_LINK_SET] = "change link",
	[VNIC_STEP_LINK_DEL] = "delete link",
	[VNIC_STEP_LINK_GET] = "look up link",
	[VNIC_STEP_LINK_WAIT] = "wait for link",
	[VNIC_STEP_ADDR] = "set address",
	[VNIC_STEP_ROUTE] = "set route",
	[VNIC_STEP_RULE] = "set routing rule",
	[VNIC_STEP_NEIGH] = "set neighbour",
	[VNIC_STEP_NFT] = "set up nf_tables:",
	[VNIC_STEP_REDIRECT] = "redirect frames of link",
	[VNIC_STEP_NS_CHECK] = "combine namespaces",
	[VNIC_STEP_FORK] = "start a process",
	[VNIC_STEP_CLONE] = "start a process in new namespaces",
	[VNIC_STEP_UNSHARE] = "make a namespace",
	[VNIC_STEP_NS_OPEN] = "find namespace",
	[VNIC_STEP_NS_JOIN] = "join the namespaces of",
	[VNIC_STEP_NS_PIN] = "pin namespace",
	[VNIC_STEP_NS_UNPIN] = "delete namespace",
	[VNIC_STEP_IDMAP] = "map user and group ids",
	[VNIC_STEP_MOUNT] = "mount",
	[VNIC_STEP_HOSTNAME] = "set the host name",
	[VNIC_STEP_SYSCTL] = "set sysctl",
	[VNIC_STEP_CAPS] = "set",
	[VNIC_STEP_EXEC] = "execute",
	[VNIC_STEP_WAIT] = "wait for a process",
	[VNIC_STEP_SIGNAL] = "handle signals",
	[VNIC_STEP_TUN_OPEN] = "open",
	[VNIC_STEP_TAP_ADD] = "create device",
	[VNIC_STEP_TAP_SET] = "set up device",
	[VNIC_STEP_TAP_IO] = "read or write frames on",
	[VNIC_STEP_PACKET] = "open a packet socket on",
	[VNIC_STEP_PORT] = "open relay port",
	[VNIC_STEP_RELAY] = "relay frames",
	[VNIC_STEP_FILTER] = "compile the filter",
	[VNIC_STEP_SANDBOX] = "set up the sandbox",
	[VNIC_STEP_TERMINAL] = "use the terminal",
	[VNIC_STEP_OUTPUT] = "write output",
	[VNIC_STEP_PUBLISH] = "publish",
};
static_assert(sizeof(step_texts) / sizeof(step_texts[0]) == VNIC_STEP_COUNT, "a step lacks its text");

/*
 * First match wins. code 0: any; step VNIC_STEP_NONE: any.  For USER the commands say who calls (cli_remedy).  What
 * only the doctor knows stands at the end, in the same words each time: he leaves them out (cli/doctor.c).
 */
static const struct {
	enum vnic_step step;
	int code;
	const char *remedy;
} remedies[] = {
	{VNIC_STEP_TUN_OPEN, EACCES,
	 "/dev/net/tun is closed to this user: 'sudo chmod 0666 /dev/net/tun' (most systems ship it so); a sandbox or "
	 "a relay can do with a veth"},
	{VNIC_STEP_TUN_OPEN, EPERM,
	 "/dev/net/tun is forbidden by the container's device rules: allow c 10:200 rwm; a sandbox or a relay can do "
	 "with a veth"},
	{VNIC_STEP_TUN_OPEN, ENOENT,
	 "there is no /dev/net/tun: 'sudo modprobe tun', in a container pass --device /dev/net/tun; a sandbox or a "
	 "relay can do with a veth"},
	{VNIC_STEP_TUN_OPEN, ENODEV,
	 "the kernel has no tun driver: 'sudo modprobe tun'; a sandbox or a relay can do with a veth"},
	{VNIC_STEP_TUN_OPEN, ENXIO,
	 "the kernel has no tun driver: 'sudo modprobe tun'; a sandbox or a relay can do with a veth"},
	{VNIC_STEP_TAP_ADD, EPERM,
	 "needs CAP_NET_ADMIN in that network namespace, or a persistent device with this user as owner: 'sudo vnic "
	 "tap add NAME --owner USER --up'"},
	{VNIC_STEP_TAP_ADD, EBUSY,
	 "another process has the device open, or it is of another kind; choose another name"},
	{VNIC_STEP_EPOLL, ENOSPC, "this user's processes watch too much: raise fs.epoll.max_user_watches"},
	{VNIC_STEP_CLONE, ENOSPC,
	 "the limit on namespaces is reached: see /proc/sys/user/max_*_namespaces, and namespaces nested deeper than "
	 "32"},
	{VNIC_STEP_UNSHARE, ENOSPC, "the limit on namespaces is reached: see /proc/sys/user/max_*_namespaces"},
	{VNIC_STEP_CLONE, EPERM,
	 "user namespaces are forbidden here: look at kernel.unprivileged_userns_clone, "
	 "kernel.apparmor_restrict_unprivileged_userns and a container's seccomp profile; see 'vnic doctor'"},
	{VNIC_STEP_CLONE, EUSERS, "user namespaces are nested too deep (32 levels)"},
	{VNIC_STEP_FORK, EAGAIN, "too many processes: see 'ulimit -u' and the cgroup's pids.max"},
	{VNIC_STEP_CLONE, EAGAIN, "too many processes: see 'ulimit -u' and the cgroup's pids.max"},
	{VNIC_STEP_IDMAP, EPERM, "the kernel or a security module forbids the mapping; see 'vnic doctor'"},
	{VNIC_STEP_IDMAP, ENOENT, "newuidmap and newgidmap are missing: install the package uidmap, or use --map root"},
	{VNIC_STEP_IDMAP, EACCES,
	 "this process changed its ids since it was executed, so that its own /proc files are root's: "
	 "prctl(PR_SET_DUMPABLE, 1) before, or execute a program"},
	{VNIC_STEP_IDMAP, ENODATA,
	 "'sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER' gives ranges, or use --map root"},
	{VNIC_STEP_LINK_ADD, EPERM,
	 "needs CAP_NET_ADMIN in the namespaces of both ends, which AppArmor takes away on Ubuntu 23.10 and later; see "
	 "'vnic doctor'"},
	{VNIC_STEP_FILTER, ENOSYS, "filters need libpcap: install the package libpcap0.8"},
	{VNIC_STEP_FILTER, EINVAL, "the expression is written as for tcpdump: see pcap-filter(7)"},
	{VNIC_STEP_LINK_SET, EPERM,
	 "needs CAP_NET_ADMIN in that network namespace; a device that this user owns can be set up before: 'sudo ip "
	 "link set NAME up'"},
	{VNIC_STEP_TAP_SET, EPERM, "needs CAP_NET_ADMIN: who owns a device may use it, and not change its settings"},
	{VNIC_STEP_ADDR, EPERM,
	 "needs CAP_NET_ADMIN: a device that this user owns has its addresses before, and no ip= here"},
	{VNIC_STEP_LINK_ADD, EOPNOTSUPP, "the kernel lacks this kind of link; see 'vnic doctor'"},
	{VNIC_STEP_LINK_ADD, EEXIST, "a link of this name is already there; choose another name"},
	{VNIC_STEP_LINK_GET, ENODEV, "'ip link' lists the links of a network namespace"},
	{VNIC_STEP_ADDR, EEXIST, "the address is already on the link"},
	{VNIC_STEP_NFT, ENOENT, "the kernel lacks nft_tproxy (CONFIG_NFT_TPROXY); see 'vnic doctor'"},
	{VNIC_STEP_NFT, EPROTONOSUPPORT,
	 "the kernel lacks nf_tables: 'sudo modprobe nf_tables nft_tproxy'; see 'vnic doctor'"},
	{VNIC_STEP_NFT, EOPNOTSUPP,
	 "the kernel lacks nf_tables: 'sudo modprobe nf_tables nft_tproxy'; see 'vnic doctor'"},
	{VNIC_STEP_REDIRECT, ENOENT,
	 "the kernel lacks redirection: 'sudo modprobe -a sch_ingress cls_u32 act_mirred', or leave out "
	 "--fast-path"},
	{VNIC_STEP_REDIRECT, EOPNOTSUPP, "the kernel has no traffic control (CONFIG_NET_SCHED): leave out --fast-path"},
	{VNIC_STEP_REDIRECT, EEXIST, "the link has traffic control of its own (a clsact qdisc), which is left alone"},
	{VNIC_STEP_SYSCTL, EROFS, "/proc/sys is read-only here: have the container's engine leave it writable"},
	{VNIC_STEP_HOSTNAME, EINVAL, "a host name has 64 bytes at most"},
	{VNIC_STEP_NS_PIN, EPERM, "needs root (CAP_SYS_ADMIN)"},
	{VNIC_STEP_NS_PIN, EEXIST, "'vnic ns list' shows the names that are taken; choose another one"},
	{VNIC_STEP_LOCK, EEXIST, "'vnic ns list' shows whose it is; choose another name"},
	{VNIC_STEP_UNSHARE, EPERM,
	 "needs root (CAP_SYS_ADMIN); without it a relay's ports go into namespaces of your own: 'vnic ns add red', "
	 "then netns=red"},
	{VNIC_STEP_NS_JOIN, EPERM, "joining needs the right to trace the process: be its owner or root"},
	{VNIC_STEP_NS_OPEN, EACCES, "looking at the namespaces of another user's process needs root (CAP_SYS_PTRACE)"},
	{VNIC_STEP_PACKET, EPERM, "needs CAP_NET_RAW in the network namespace of the link"},
	{VNIC_STEP_PUBLISH, EADDRINUSE, "another process listens there: 'ss -lntup' shows which"},
	{VNIC_STEP_PUBLISH, EINVAL, "a link-local address cannot be published: leave it out, and all addresses are"},
	{VNIC_STEP_PUBLISH, EADDRNOTAVAIL, "the host does not have this address"},
	{VNIC_STEP_PUBLISH, EACCES, "ports below net.ipv4.ip_unprivileged_port_start need root: choose a higher one"},
	{VNIC_STEP_SOCKET, ECONNREFUSED,
	 "nobody listens there: start the other end first; a relay's port waits for it with reconnect=1"},
	{VNIC_STEP_SOCKET, EADDRINUSE, "a process or a file is there already: 'ss -anp' shows which process"},
	{VNIC_STEP_NONE, EMFILE, "out of file descriptors: raise 'ulimit -n'"},
	{VNIC_STEP_NONE, ETOOMANYREFS,
	 "this user's processes have too many file descriptors in flight: raise 'ulimit -n'"},
	{VNIC_STEP_NONE, ENFILE, "the system is out of file descriptors: see fs.file-max"},
	{VNIC_STEP_NONE, ENOMEM, "out of memory: see the memory limit of the cgroup"},
};

/* In parentheses: cmake/analyzer.h has a macro of this name. */
int(vnic_fail)(struct vnic_error *err, enum vnic_step step, int code, const char *object, const char *detail, ...)
{
	if (!err)
		return -code;
	/* object and detail may point into *err itself: build the new value first. */
	struct vnic_error new = {.code = code, .step = step};
	if (object)
		snprintf(new.object, sizeof(new.object), "%s", object);
	if (object && !*object && (step == VNIC_STEP_USAGE || step == VNIC_STEP_EXEC || step == VNIC_STEP_WRITE))
		strcpy(new.object, "\"\""); /* what the user wrote is seen */
	if (detail) {
		va_list args;

		va_start(args, detail);
		vsnprintf(new.detail, sizeof(new.detail), detail, args);
		va_end(args);
	}
	*err = new;
	return -code;
}

const char *vnic_step_text(enum vnic_step step)
{
	return (unsigned)step < VNIC_STEP_COUNT ? step_texts[step] : "do something unknown";
}

size_t vnic_error_text(const struct vnic_error *err, char *buf, size_t size)
{
	const char *space = err->object[0] ? " " : "";
	char plain[64];
	const char *cause;
	int n;

	/* A sentence of our own about what the user wrote says more than "Invalid argument". */
	if (err->step == VNIC_STEP_USAGE && err->detail[0]) {
		n = snprintf(buf, size, "cannot %s%s%s: %s", vnic_step_text(err->step), space, err->object,
			     err->detail);
	} else {
		cause = strerror_r(err->code, plain, sizeof(plain));
		n = snprintf(buf, size, "cannot %s%s%s: %s%s%s%s", vnic_step_text(err->step), space, err->object, cause,
			     err->detail[0] ? " (" : "", err->detail, err->detail[0] ? ")" : "");
	}
	return n < 0 ? 0 : (size_t)n;
}

const char *vnic_error_remedy(const struct vnic_error *err)
{
	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
		if ((remedies[i].step == VNIC_STEP_NONE || remedies[i].step == err->step) &&
		    remedies[i].code == err->code)
			return remedies[i].remedy;
	return NULL;
}
