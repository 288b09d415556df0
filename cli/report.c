/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vnic doctor --report: what of the host a bug may depend on. */
#include "report.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Lines of a file that begin so; all where `prefix` is "". */
struct source {
	const char *path, *prefix;
};

static const struct source process[] = {
	{"/proc/self/status", "CapEff:"},
	{"/proc/self/status", "CapBnd:"},
	{"/proc/self/status", "NoNewPrivs:"},
	{"/proc/self/status", "Seccomp:"},
	{"/proc/self/uid_map", ""},
	{"/proc/self/attr/current", ""},
	{"/proc/self/limits", "Max open files"},
	{"/proc/self/limits", "Max processes"},
	{"/proc/self/limits", "Max address space"},
	{"/proc/self/limits", "Max locked memory"},
};

static const struct source host[] = {
	{"/etc/os-release", "PRETTY_NAME="},
	{"/proc/meminfo", "MemTotal:"},
	{"/proc/meminfo", "MemAvailable:"},
	{"/proc/loadavg", ""},
	{"/sys/kernel/security/lsm", ""},
	{"/proc/sys/user/max_user_namespaces", ""},
	{"/proc/sys/user/max_net_namespaces", ""},
	{"/proc/sys/kernel/unprivileged_userns_clone", ""},
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", ""},
	{"/proc/sys/kernel/io_uring_disabled", ""},
	{"/proc/sys/fs/pipe-user-pages-soft", ""},
	{"/proc/sys/net/core/rmem_max", ""},
	{"/proc/sys/net/core/wmem_max", ""},
	{"/proc/sys/net/core/somaxconn", ""},
	{"/proc/sys/net/ipv4/ping_group_range", ""},
	{"/proc/sys/net/ipv4/tcp_congestion_control", ""},
	{"/proc/sys/net/ipv4/tcp_rmem", ""},
	{"/proc/sys/net/ipv4/tcp_wmem", ""},
	{"/proc/sys/net/ipv6/conf/all/disable_ipv6", ""},
};

static void print_source(const struct source *source)
{
	FILE *file = fopen(source->path, "re");
	char line[512];
	bool found = false;

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, source->prefix, strlen(source->prefix)) != 0)
			continue;
		printf("  %s: %s\n", source->path, line);
		found = true;
	}
	if (!found)
		printf("  %s: %s\n", source->path, file ? "(nothing)" : "(absent or closed)");
	if (file)
		fclose(file);
}

static void print_all(const char *title, const struct source *sources, size_t count)
{
	printf("%s\n", title);
	for (size_t i = 0; i < count; i++)
		print_source(&sources[i]);
}

void report_print(void)
{
	struct utsname name;

	uname(&name);
	printf("vnic %s, Linux %s %s, %ld CPUs, uid %u, euid %u\n", VNIC_VERSION, name.release, name.machine,
	       sysconf(_SC_NPROCESSORS_ONLN), (unsigned)getuid(), (unsigned)geteuid());
	print_all("host", host, sizeof(host) / sizeof(host[0]));
	print_all("this process", process, sizeof(process) / sizeof(process[0]));
	printf("checks\n");
}
