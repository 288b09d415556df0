/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The eight kinds of namespaces: one table of words and bits, in the order of enum vnic_ns_index. */
#include "ns.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct ns_kind ns_kinds[VNIC_NS_COUNT] = {
	[VNIC_NS_USER] = {CLONE_NEWUSER, "user"},       [VNIC_NS_MNT] = {CLONE_NEWNS, "mnt"},
	[VNIC_NS_PID] = {CLONE_NEWPID, "pid"},          [VNIC_NS_NET] = {CLONE_NEWNET, "net"},
	[VNIC_NS_IPC] = {CLONE_NEWIPC, "ipc"},          [VNIC_NS_UTS] = {CLONE_NEWUTS, "uts"},
	[VNIC_NS_CGROUP] = {CLONE_NEWCGROUP, "cgroup"}, [VNIC_NS_TIME] = {CLONE_NEWTIME, "time"},
};

const char *vnic_ns_index_text(enum vnic_ns_index index)
{
	return (unsigned)index < VNIC_NS_COUNT ? ns_kinds[index].name : "unknown";
}

static unsigned flag_of(const char *word, size_t len)
{
	if (len == 3 && !strncmp(word, "all", len))
		return VNIC_NS_ALL;
	for (unsigned i = 0; i < VNIC_NS_COUNT; i++)
		if (strlen(ns_kinds[i].name) == len && !strncmp(word, ns_kinds[i].name, len))
			return ns_kinds[i].flag;
	return 0;
}

int vnic_ns_parse(const char *list, unsigned *ret_mask, struct vnic_error *err)
{
	unsigned mask = 0;

	for (const char *word = list;; word++) {
		size_t len = strcspn(word, ",");
		unsigned flag = flag_of(word, len);

		if (!flag) {
			char object[64];

			snprintf(object, sizeof(object), "%.*s", (int)(len < 60 ? len : 60), word);
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, object[0] ? object : list,
					 "namespaces are all, or some of user,mnt,pid,net,ipc,uts,cgroup,time");
		}
		mask |= flag;
		word += len;
		if (!*word)
			break;
	}
	*ret_mask = mask;
	return 0;
}

const char *vnic_ns_text(unsigned mask, char *buf, size_t size)
{
	size_t len = 0;

	if (size)
		buf[0] = '\0';
	for (unsigned i = 0; i < VNIC_NS_COUNT && len < size; i++)
		if (mask & ns_kinds[i].flag)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? "," : "", ns_kinds[i].name);
	return buf;
}
