/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vnic doctor: what this host can do.
 *
 * What can be tried is tried, with the library's own calls, in namespaces that end with the trial.  A
 * file is read only to find the cause of a failure, or if trying is not possible.  A check that could not look
 * says "unknown" rather than guess.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "fd.h"
#include "report.h"

enum state { STATE_OK, STATE_LIMITED, STATE_MISSING, STATE_UNKNOWN };
static const char *const state_texts[] = {"ok", "limited", "missing", "unknown"};

struct finding {
	enum state state;
	char text[400];
	const char *remedy; /* NULL: none */
	char room[CLI_REMEDY];
};

/* --- reading ------------------------------------------------------------------------ */

/* The first line of a file without its newline; false if there is none. */
static bool read_line(const char *path, char *ret_line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool found = file && fgets(ret_line, (int)size, file);

	if (file)
		fclose(file);
	if (found)
		ret_line[strcspn(ret_line, "\n")] = '\0';
	return found;
}

static bool reads(const char *path, const char *value)
{
	char line[64];

	return read_line(path, line, sizeof(line)) && !strcmp(line, value);
}

static void say(struct finding *ret, enum state state, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static void say(struct finding *ret, enum state state, const char *remedy, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret->text, sizeof(ret->text), format, args);
	va_end(args);
	ret->state = state;
	ret->remedy = remedy;
}

/* The sysctl or security module that stands in the way, where one can be seen. */
static const char *userns_remedy(void)
{
	if (reads("/proc/sys/user/max_user_namespaces", "0"))
		return "'sudo sysctl user.max_user_namespaces=10000'";
	if (reads("/proc/sys/kernel/unprivileged_userns_clone", "0"))
		return "'sudo sysctl kernel.unprivileged_userns_clone=1'";
	if (reads("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"))
		return "AppArmor takes the capabilities away: give vnic a profile with 'userns,', or 'sudo sysctl "
		       "kernel.apparmor_restrict_unprivileged_userns=0'";
	return NULL;
}

static bool blames_userns(const struct vnic_error *err)
{
	bool refused = err->code == EPERM || err->code == EACCES || err->code == ENOSPC;

	return err->step == VNIC_STEP_NS_CHECK || (!vnic_privileged() && refused && err->step != VNIC_STEP_TUN_OPEN);
}

/* A remedy may send to the doctor, at its end; the user is there. */
static const char *without_doctor(const char *remedy, char *buf)
{
	const char *tail = remedy ? strstr(remedy, "; see 'vnic doctor'") : NULL;

	if (!tail)
		return remedy;
	memmove(buf, remedy, (size_t)(tail - remedy));
	buf[tail - remedy] = '\0';
	return buf;
}

static void say_error(struct finding *ret, enum state state, const struct vnic_error *err)
{
	vnic_error_text(err, ret->text, sizeof(ret->text));
	ret->state = state;
	ret->remedy = blames_userns(err) ? userns_remedy() : NULL;
	if (!ret->remedy)
		ret->remedy = without_doctor(cli_remedy(err, ret->room, sizeof(ret->room)), ret->room);
}

/* --- trying ------------------------------------------------------------------------- */

/* Starts a child in new namespaces, runs setup there, and ends it. */
static int probe(unsigned namespaces, enum vnic_idmap idmap, int (*setup)(void *ctx, struct vnic_error *err), void *ctx,
		 struct vnic_error *err)
{
	char *argv[] = {(char *)"true", NULL};
	const struct vnic_spawn spawn = {
		.namespaces = namespaces | (!vnic_privileged() || idmap == VNIC_IDMAP_AUTO ? CLONE_NEWUSER : 0),
		.idmap = idmap,
		.argv = argv,
		.setup = setup,
		.ctx = ctx,
	};
	struct vnic_child child = VNIC_CHILD_EMPTY;
	int r = vnic_spawn_start(&spawn, &child, err);

	vnic_child_close(&child);
	return r;
}

static int make_veth(void *ctx, struct vnic_error *err)
{
	const struct vnic_link peer = {.name = "probe1"};
	const struct vnic_link link = {.kind = VNIC_LINK_VETH, .name = "probe0", .peer = &peer};
	struct vnic_nl *nl = NULL;
	int r = vnic_nl_open(&nl, err);

	(void)ctx;
	if (r == 0)
		r = vnic_link_add(nl, &link, err);
	vnic_nl_close(nl);
	return r;
}

/* What a link is about to send goes to another one. */
static int make_redirect(void *ctx, struct vnic_error *err)
{
	struct vnic_batch *batch = NULL;
	struct vnic_nl *nl = NULL;
	int r = make_veth(ctx, err);

	if (r == 0)
		r = vnic_nl_open(&nl, err);
	if (r == 0)
		r = vnic_batch_new(&batch, err);
	if (r == 0) {
		vnic_batch_redirect_add(batch, &(struct vnic_redirect){.from = (int)if_nametoindex("probe0"),
								       .sent = true,
								       .to = (int)if_nametoindex("probe1")});
		r = vnic_batch_send(batch, nl, NULL, err);
	}
	vnic_batch_free(batch);
	vnic_nl_close(nl);
	return r;
}

/* ctx: an unsigned in shared memory, which gets the offloads. */
static int make_tap(void *ctx, struct vnic_error *err)
{
	const struct vnic_tap_config config = {.name = "probe0", .vnet_hdr = true, .offloads = VNIC_OFFLOAD_ALL};
	struct vnic_tap tap = VNIC_TAP_EMPTY;
	int r = vnic_tap_open(&config, &tap, err);

	if (r == 0)
		*(unsigned *)ctx = tap.offloads;
	vnic_tap_close(&tap);
	return r;
}

/* --- checks ------------------------------------------------------------------------- */

static void check_kernel(struct finding *ret)
{
	static const struct {
		int major, minor;
		const char *feature;
	} features[] = {
		{5, 3, "clone3"},
		{5, 6, "time namespaces"},
		{5, 8, "setns on a pidfd"},
		{6, 2, "USO (bulk UDP on TAPs)"},
		{6, 4, "rings for floods of UDP"},
	};
	struct utsname name;
	char lacking[128] = "";
	int major = 0, minor = 0;

	uname(&name);
	if (sscanf(name.release, "%d.%d", &major, &minor) != 2) {
		say(ret, STATE_UNKNOWN, NULL, "version %s", name.release);
		return;
	}
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (major < features[i].major || (major == features[i].major && minor < features[i].minor)) {
			strcat(lacking, *lacking ? ", " : "; too old for ");
			strcat(lacking, features[i].feature);
		}
	if (major < 5 || (major == 5 && minor < 3))
		say(ret, STATE_MISSING, "vnic needs Linux 5.3 or later", "Linux %s%s", name.release, lacking);
	else
		say(ret, *lacking ? STATE_LIMITED : STATE_OK, NULL, "Linux %s%s", name.release, lacking);
}

static void check_userns(struct finding *ret)
{
	struct vnic_error err;

	if (probe(CLONE_NEWUSER, VNIC_IDMAP_ROOT, NULL, NULL, &err) == 0)
		say(ret, STATE_OK, NULL, "allowed");
	else
		say_error(ret, STATE_MISSING, &err);
}

static void check_sandbox(struct finding *ret)
{
	struct vnic_error err;

	if (probe(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID, VNIC_IDMAP_ROOT, make_veth, NULL, &err) == 0)
		say(ret, STATE_OK, NULL, "a namespaced child gets a veth pair%s",
		    !vnic_privileged() ? ", without root" : "");
	else
		say_error(ret, STATE_MISSING, &err);
}

static void check_tun(struct finding *ret)
{
	unsigned *offloads = mmap(NULL, sizeof(*offloads), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct vnic_error err;

	if (offloads == MAP_FAILED) {
		say(ret, STATE_UNKNOWN, NULL, "no memory to try it");
		return;
	}
	if (probe(CLONE_NEWNET, VNIC_IDMAP_ROOT, make_tap, offloads, &err) < 0)
		say_error(ret, STATE_LIMITED, &err);
	else
		say(ret, STATE_OK, NULL, "TAPs work, %s USO", *offloads & VNIC_OFFLOAD_USO4 ? "with" : "without");
	munmap(offloads, sizeof(*offloads));
}

static void check_fast_path(struct finding *ret)
{
	struct vnic_error err;

	if (probe(CLONE_NEWNET, VNIC_IDMAP_ROOT, make_redirect, NULL, &err) == 0)
		say(ret, STATE_OK, NULL, "the kernel can carry a relay's frames from TAP to TAP");
	else
		say_error(ret, STATE_LIMITED, &err);
}

/* Opened by VMMs, not by vnic. */
static void check_vhost(struct finding *ret)
{
	if (access("/dev/vhost-net", R_OK | W_OK) == 0)
		say(ret, STATE_OK, NULL, "a VMM may let the kernel carry a guest's frames (QEMU: vhost=on)");
	else if (errno == EACCES)
		say(ret, STATE_LIMITED, "become a member of the group that it belongs to",
		    "closed to this user; guests work without it, more slowly (QEMU: vhost=off)");
	else
		say(ret, STATE_LIMITED, "'sudo modprobe vhost_net'",
		    "not there; guests work without it, more slowly (QEMU: vhost=off)");
}

static void check_subids(struct finding *ret)
{
	struct vnic_error err;

	if (probe(0, VNIC_IDMAP_AUTO, NULL, NULL, &err) == 0)
		say(ret, STATE_OK, NULL, "--map auto works");
	else
		say_error(ret, STATE_LIMITED, &err);
}

/* The kernel loads the modules by itself when they are asked for, even by a user namespace. */
static void check_router(struct finding *ret)
{
	struct vnic_error err;

	if (vnic_probe_router(&err) == 0)
		say(ret, STATE_OK, NULL, "a router with its rules and transparent sockets can be built");
	else
		say_error(ret, STATE_MISSING, &err);
}

static void check_ipv6(struct finding *ret)
{
	if (access("/proc/sys/net/ipv6", F_OK) < 0)
		say(ret, STATE_LIMITED, "boot without ipv6.disable=1, or use IPv4 only", "the kernel has no IPv6");
	else if (reads("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"))
		say(ret, STATE_LIMITED, "'sudo sysctl net.ipv6.conf.all.disable_ipv6=0'",
		    "disabled on this host; sandboxes have it among themselves");
	else
		say(ret, STATE_OK, NULL, "there");
}

static void check_ping(struct finding *ret)
{
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

	if (fd >= 0)
		say(ret, STATE_OK, NULL, "this group may open them");
	else if (errno == EACCES)
		say(ret, STATE_LIMITED, "'sudo sysctl net.ipv4.ping_group_range=\"0 2147483647\"'",
		    "the host forbids them to this group: no echo request leaves the host for a sandbox; pings to the "
		    "router and among sandboxes work");
	else
		say(ret, STATE_LIMITED, NULL, "%s", strerror(errno));
}

/* They know no network namespace: docs/decisions/0007-vsock.md. */
static void check_vsock(struct finding *ret)
{
	CLEANUP_FD int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		say(ret, STATE_OK, NULL, "none: no sandbox can reach a hypervisor by them");
	else if (reads("/proc/sys/net/vsock/child_ns_mode", "local"))
		say(ret, STATE_OK, NULL, "each network namespace has its own");
	else
		say(ret, STATE_LIMITED, "a seccomp filter around vnic (SECURITY.md)",
		    "this kernel has them, and no network namespace keeps a sandbox from the hypervisor");
}

static void check_sysctls(struct finding *ret)
{
	struct statvfs fs;

	if (statvfs("/proc/sys", &fs) < 0)
		say(ret, STATE_LIMITED, "mount /proc", "/proc/sys is not there");
	else if (fs.f_flag & ST_RDONLY)
		say(ret, STATE_LIMITED, "run the container with a writable /proc/sys",
		    "/proc/sys is read-only: sandboxes have no IPv6, and ordinary users may neither ping in them nor "
		    "serve ports below 1024");
	else
		say(ret, STATE_OK, NULL, "/proc/sys is writable");
}

static const struct check {
	const char *name;
	bool essential; /* without it `vnic run` does not work */
	void (*look)(struct finding *ret);
} checks[] = {
	{"kernel", true, check_kernel},
	{"sandbox", true, check_sandbox},
	{"user namespaces", false, check_userns},
	{"subordinate ids", false, check_subids},
	{"/dev/net/tun", false, check_tun},
	{"relay --fast-path", false, check_fast_path},
	{"/dev/vhost-net", false, check_vhost},
	{"sysctls", false, check_sysctls},
	{"IPv6", false, check_ipv6},
	{"ping sockets", false, check_ping},
	{"vsock", false, check_vsock},
	{"nf_tables, tproxy", true, check_router},
};
#define CHECKS (sizeof(checks) / sizeof(checks[0]))

/* --- the command -------------------------------------------------------------------- */

static json_t *finding_json(const struct check *check, const struct finding *finding)
{
	json_t *json = json_pack("{s:s, s:s, s:b, s:s}", "name", check->name, "state", state_texts[finding->state],
				 "essential", check->essential, "text", finding->text);

	if (json && finding->remedy)
		json_object_set_new(json, "remedy", json_string(finding->remedy));
	return json;
}

static int doctor(const struct cli_args *args, struct vnic_error *err)
{
	bool as_json = cli_flag(args, "json"), works = true;
	json_t *list;
	int r = 0;

	if (cli_flag(args, "report") && as_json)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--report", "it is text, and does not go with --json");
	if (cli_flag(args, "report"))
		report_print();
	list = json_array();

	for (size_t i = 0; i < CHECKS; i++) {
		struct finding finding = {0};

		checks[i].look(&finding);
		if (checks[i].essential && finding.state == STATE_MISSING)
			works = false;
		if (as_json)
			json_array_append_new(list, finding_json(&checks[i], &finding));
		else
			printf("%-8s %s: %s%s%s\n", state_texts[finding.state], checks[i].name, finding.text,
			       finding.remedy ? "; try: " : "", finding.remedy ? finding.remedy : "");
	}
	if (as_json)
		r = cli_print_json(json_pack("{s:b, s:O}", "works", works, "checks", list), err);
	else
		printf("\n'vnic run' %s here.\n", works ? "works" : "does not work");
	json_decref(list);
	return r < 0 ? r : works ? CLI_OK : CLI_FAILED;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.operands = "",
	.summary = "say what this host can do, what is missing, and how to get it",
	.details = "The exit status is 0 if 'vnic run' works here and 1 if it does not.",
	.options =
		(const struct cli_option[]){
			{.name = "json", .help = "print JSON"},
			{.name = "report", .help = "also print what a bug report needs; no addresses, no names"},
			{0},
		},
	.run = doctor,
};
