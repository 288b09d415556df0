/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capabilities, by their system calls.
 *
 * Rejected: libcap-ng.  It reads them from /proc by a pid that it remembers from its first call on: after a clone they
 * are the parent's, and where /proc is that of an outer pid namespace, as in many containers, they are some other
 * process's. It writes to the system's log, and where the bounding set may not be changed it fails, which is no loss to
 * a process with no_new_privs.
 */
#include "ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "fd.h"

#define WORDS _LINUX_CAPABILITY_U32S_3

/* Root's over the machine, not over the network. */
static const unsigned machine[] = {
	CAP_SYS_ADMIN,
	CAP_SYS_PTRACE,
	CAP_SYS_MODULE,
	CAP_SYS_RAWIO,
	CAP_BPF,
	CAP_PERFMON,
	CAP_SYS_BOOT,
	CAP_SYS_TIME,
	CAP_SYSLOG,
	CAP_MAC_ADMIN,
	CAP_MAC_OVERRIDE,
	CAP_AUDIT_CONTROL,
	CAP_MKNOD,
	CAP_CHECKPOINT_RESTORE,
	CAP_DAC_READ_SEARCH,
	CAP_LINUX_IMMUTABLE,
	CAP_WAKE_ALARM,
	CAP_BLOCK_SUSPEND,
	CAP_SYS_PACCT,
	CAP_AUDIT_READ,
};

static int get(struct __user_cap_data_struct sets[WORDS])
{
	struct __user_cap_header_struct self = {.version = _LINUX_CAPABILITY_VERSION_3};

	return (int)syscall(SYS_capget, &self, sets);
}

static int set(const struct __user_cap_data_struct sets[WORDS])
{
	struct __user_cap_header_struct self = {.version = _LINUX_CAPABILITY_VERSION_3};

	return (int)syscall(SYS_capset, &self, sets);
}

bool ns_have_capability(unsigned capability)
{
	struct __user_cap_data_struct sets[WORDS];

	return get(sets) == 0 && sets[capability / 32].effective & 1u << capability % 32;
}

/* The bounding set first: that needs a capability itself.  A kernel that does not know this one has nothing to drop. */
static int forget(struct __user_cap_data_struct sets[WORDS], unsigned capability)
{
	uint32_t others = ~(1u << capability % 32);

	if (prctl(PR_CAPBSET_READ, capability) == 1 && prctl(PR_CAPBSET_DROP, capability) < 0)
		return -errno;
	sets[capability / 32].effective &= others;
	sets[capability / 32].permitted &= others;
	sets[capability / 32].inheritable &= others; /* and so, by the kernel, of the ambient set */
	return 0;
}

int ns_drop_machine_caps(struct vnic_error *err)
{
	struct __user_cap_data_struct sets[WORDS];
	int r = get(sets) < 0 ? -errno : 0;

	for (size_t i = 0; i < sizeof(machine) / sizeof(machine[0]) && r == 0; i++)
		r = forget(sets, machine[i]);
	if (r == 0 && set(sets) < 0)
		r = -errno;
	return r < 0 ? vnic_fail(err, VNIC_STEP_CAPS, -r, "capabilities", NULL) : 0;
}

int ns_drop_all_caps(struct vnic_error *err)
{
	static const struct __user_cap_data_struct none[WORDS];

	/* Whoever may not drop one may drop none, which is no loss with no_new_privs. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap) == 0; cap++)
		;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || set(none) < 0)
		return vnic_fail(err, VNIC_STEP_CAPS, errno, "capabilities", NULL);
	return 0;
}

/* The kernel shows the owner of a namespace only to whom it is the own user namespace, or one below. */
static bool owns_network(void)
{
	CLEANUP_FD int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int owner = ioctl(netns, NS_GET_USERNS);

	return owner >= 0 || errno != EPERM; /* only that is an answer */
}

bool vnic_privileged(void)
{
	return ns_have_capability(CAP_SYS_ADMIN) && ns_have_capability(CAP_NET_ADMIN) && owns_network();
}
