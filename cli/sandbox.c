/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "front.h"
#include "parse.h"
#include "stats.h"

#define PUBLISHES_MAX 256
#define DNS_PORT 53

/* --- what was asked ----------------------------------------------------------------- */

static int read_nics(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	const char *text;

	for (int i = 0; (text = cli_value_at(args, "nic", i)); i++) {
		if (i == 0)
			config->nic_count = 0;
		if (!strcmp(text, "none") && cli_value_at(args, "nic", 1))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--nic none", "there is another --nic");
		if (!strcmp(text, "none"))
			continue;
		if (config->nic_count == VNIC_NICS)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--nic", "a sandbox takes %d NICs at most",
					 VNIC_NICS);
		int r = vnic_nic_parse(text, &config->nics[config->nic_count], err);
		if (r < 0)
			return r;
		config->nic_count++;
	}
	return 0;
}

static int read_policy(const struct cli_args *args, struct vnic_policy *policy, struct vnic_error *err)
{
	static const struct {
		const char *option;
		bool allow;
	} kinds[] = {{"allow", true}, {"deny", false}};
	const char *text;

	for (unsigned k = 0; k < 2; k++)
		for (int i = 0; (text = cli_value_at(args, kinds[k].option, i)); i++) {
			int r = vnic_policy_add(policy, kinds[k].allow, text, err);

			if (r < 0)
				return r;
		}
	return 0;
}

static int read_publishes(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	static struct vnic_publish publishes[PUBLISHES_MAX];
	const char *text;

	config->publishes = publishes;
	for (int i = 0; (text = cli_value_at(args, "publish", i)); i++) {
		if (i == PUBLISHES_MAX)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--publish", "given more than %d times",
					 PUBLISHES_MAX);
		int r = vnic_publish_parse(text, &publishes[i], err);
		if (r < 0)
			return r;
		config->publish_count++;
	}
	return 0;
}

static int read_resolver(const char *text, struct vnic_dns_servers *servers, struct vnic_error *err)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};
	struct vnic_addr addr;

	if (strchr(text, '/') || vnic_addr_parse(text, &addr, NULL) < 0)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, text,
				 "--dns takes the address of a resolver, without a port, or allowed or none");
	if (servers->count == VNIC_DNS_SERVERS)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--dns", "given more than %d times", VNIC_DNS_SERVERS);
	memcpy(&v4.sin_addr, addr.bytes, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, addr.bytes, sizeof(v6.sin6_addr));
	if (addr.family == AF_INET)
		memcpy(&servers->addrs[servers->count++], &v4, sizeof(v4));
	else
		memcpy(&servers->addrs[servers->count++], &v6, sizeof(v6));
	return 0;
}

static int read_dns(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	const char *text;
	int r = 0;

	for (int i = 0; r == 0 && (text = cli_value_at(args, "dns", i)); i++)
		if (!strcmp(text, "none"))
			config->no_dns = true;
		else if (!strcmp(text, "allowed"))
			config->dns_only_allowed = true;
		else
			r = read_resolver(text, &config->dns, err);
	if (r == 0 && config->no_dns && (config->dns.count || config->dns_only_allowed))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--dns none", "there is another --dns");
	return r;
}

static int read_fd(const struct cli_args *args, const char *option, int *ret_fd, struct vnic_error *err)
{
	uint32_t number = UINT32_MAX;
	int r = cli_number(args, option, 0, 1 << 20, &number, err);

	return r < 0 || number == UINT32_MAX ? r : front_take_fd(option, number, ret_fd, err);
}

int sandbox_read(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	int r;

	config->spawn.argv = args->operands;
	config->name = cli_value(args, "name");
	r = config->name ? vnic_name_check(config->name, err) : 0;
	if (r == 0)
		r = read_nics(args, config, err);
	if (r == 0)
		r = read_publishes(args, config, err);
	if (r == 0)
		r = read_policy(args, &config->policy, err);
	if (r == 0)
		r = read_dns(args, config, err);
	if (r == 0 && config->name)
		r = cli_state_dir(true, &config->state_dir, err);
	return r;
}

/* --- while it runs ------------------------------------------------------------------ */

static int take_event(struct vnic_sandbox *sandbox, struct front *front, int *ret_status, struct vnic_error *err)
{
	enum vnic_sandbox_event event;
	int value, r;

	while ((r = vnic_sandbox_next(sandbox, &event, &value, err)) == 0) {
		switch (event) {
		case VNIC_SANDBOX_EXITED:
			*ret_status = value;
			return 1;
		case VNIC_SANDBOX_STOPPED:
			front_stop(front, value);
			break;
		case VNIC_SANDBOX_SENDS:
			front_stay(front);
			break;
		case VNIC_SANDBOX_WARNING:
			cli_warn("%s", vnic_sandbox_warning(sandbox, (unsigned)value));
			break;
		case VNIC_SANDBOX_NOTHING:
			break;
		}
	}
	return r == -EAGAIN ? 0 : r;
}

/* How to print the gateway's figures. */
enum figures { FIGURES_NONE, FIGURES_TEXT, FIGURES_JSON };

static int read_figures(const struct cli_args *args, enum figures *ret_figures, struct vnic_error *err)
{
	bool json = cli_flag(args, "json");

	if (json && !cli_flag(args, "stats"))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--json", "only --stats has something to print");
	if (cli_flag(args, "stats"))
		*ret_figures = json ? FIGURES_JSON : FIGURES_TEXT;
	return 0;
}

/* So many at a time, and figures once: who sends SIGUSR1 without end must not keep the end from being seen. */
#define SIGNALS 64

static void take_signals(struct vnic_sandbox *sandbox, struct front *front, enum figures figures)
{
	bool asked = false;
	int signal;

	for (int i = 0; i < SIGNALS && (signal = front_next_signal(front)); i++)
		if (signal == SIGUSR1 && figures)
			asked = true;
		else if (signal != SIGCHLD)
			vnic_sandbox_signal(sandbox, signal, NULL);
	if (asked)
		stats_print(sandbox, figures == FIGURES_JSON);
}

static int serve(struct vnic_sandbox *sandbox, struct front *front, int exit_fd, enum figures figures, int *ret_status,
		 struct vnic_error *err)
{
	struct pollfd fds[] = {
		{.fd = vnic_sandbox_get_fd(sandbox), .events = POLLIN},
		{.fd = front->signals, .events = POLLIN},
		{.fd = exit_fd, .events = POLLRDHUP},
	};
	int r;

	while ((r = take_event(sandbox, front, ret_status, err)) == 0) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return vnic_fail(err, VNIC_STEP_WAIT, errno, NULL, NULL);
		take_signals(sandbox, front, figures);
		if (fds[2].revents) {
			fds[2].fd = -1;
			vnic_sandbox_signal(sandbox, SIGKILL, NULL);
		}
	}
	return r < 0 ? r : 0;
}

/* `pipe`: what to write instead. */
static int refuse_stdout(const char *path, const char *object, const char *pipe, struct vnic_error *err)
{
	if (path && !strcmp(path, "-"))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, object,
				 "the standard output is the command's; the shell has another pipe: %s", pipe);
	return 0;
}

/* Each would be written over the other; a device takes both. */
static int refuse_one_file(const char *capture, const char *log, struct vnic_error *err)
{
	if (capture && log && parse_same_file(capture, log))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, log,
				 "--capture and --log have this file: choose another one for one of them");
	return 0;
}

/* A descriptor is closed when its line is written, or watched until the end: not both. */
static int read_fds(const struct cli_args *args, int *ret_ready, int *ret_exit, struct vnic_error *err)
{
	int r = read_fd(args, "ready-fd", ret_ready, err);

	if (r == 0)
		r = read_fd(args, "exit-fd", ret_exit, err);
	if (r == 0 && *ret_exit >= 0 && *ret_exit == *ret_ready) {
		*ret_exit = -1;
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--exit-fd",
				 "--ready-fd has this descriptor: duplicate it, as in 4>&3");
	}
	return r;
}

/* A file that is there is written over: not before all else is understood. */
static int open_capture(struct capture_options *capture, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	config->capture = &capture->config;
	int r = vnic_sandbox_check(config, err);

	return r < 0 ? r : capture_options_open(capture, err);
}

/* Appended to, as a log is; a pipe that nobody reads must not hold flows up. */
static int open_log(const char *path, struct vnic_sandbox_config *config, int *ret_fd, struct vnic_error *err)
{
	config->has_log = true;
	int r = vnic_sandbox_check(config, err);

	if (r < 0)
		return r;
	*ret_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (*ret_fd < 0 || fcntl(*ret_fd, F_SETFL, O_APPEND | O_NONBLOCK) < 0)
		return vnic_fail(err, VNIC_STEP_WRITE, errno, path, NULL);
	config->log_fd = *ret_fd;
	return 0;
}

static int tell_ready(int fd, struct vnic_error *err)
{
	if (fd >= 0 && write(fd, "1\n", 2) < 0)
		return vnic_fail(err, VNIC_STEP_WRITE, errno, "--ready-fd", NULL);
	return 0;
}

int sandbox_run(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	struct vnic_sandbox *sandbox = NULL;
	CLEANUP(front_end) struct front front = FRONT_EMPTY;
	CLEANUP_FD int ready_fd = -1, exit_fd = -1, capture_fd = -1, log_fd = -1;
	const char *log = cli_value(args, "log");
	struct capture_options capture = {0};
	enum figures figures = FIGURES_NONE;
	int status = 0;
	int r = read_figures(args, &figures, err);

	if (r == 0)
		r = read_fds(args, &ready_fd, &exit_fd, err);
	if (r == 0)
		r = capture_options_read(args, &capture, err);
	if (r == 0)
		r = refuse_stdout(capture.path, "--capture -", "--capture >(wireshark -k -i -)", err);
	if (r == 0)
		r = refuse_stdout(log, "--log -", "--log >(jq .)", err);
	if (r == 0)
		r = refuse_one_file(capture.path, log, err);
	if (r == 0 && capture.path) {
		r = open_capture(&capture, config, err);
		capture_fd = capture.config.fd;
	}
	if (r == 0 && log)
		r = open_log(log, config, &log_fd, err);
	if (r == 0)
		r = front_begin(&front, err);
	config->spawn.mask = &front.mask;
	if (r == 0)
		r = vnic_sandbox_start(config, &sandbox, err);
	close_fd(&capture_fd);
	close_fd(&log_fd);
	if (r == 0)
		r = tell_ready(ready_fd, err);
	close_fd(&ready_fd);
	if (r == 0)
		r = serve(sandbox, &front, exit_fd, figures, &status, err);
	if (figures)
		signal(SIGUSR1, SIG_IGN); /* who asks from now on is answered by what is printed at the end */
	if (r == 0 && figures)
		stats_print(sandbox, figures == FIGURES_JSON);
	vnic_sandbox_free(sandbox);
	return r < 0 ? r : status;
}
