/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a relay has counted: as text, as JSON, and now and again. */
#include "relay_stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <unistd.h>

#include "fd.h"

/* --- at once ------------------------------------------------------------------------ */

static void print_drops(const char *direction, const uint64_t dropped[VNIC_DROP_COUNT])
{
	for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
		if (dropped[why])
			printf("    %s dropped, %s: %" PRIu64 "\n", direction, vnic_drop_text(why), dropped[why]);
}

void relay_stats_print(const struct vnic_relay *relay)
{
	struct vnic_port_stats port;
	struct vnic_relay_stats all;
	const char *name;
	bool open;

	printf("%-32s %14s %16s %14s %16s\n", "PORT", "RX FRAMES", "RX BYTES", "TX FRAMES", "TX BYTES");
	for (unsigned i = 0; vnic_relay_get_port(relay, i, &name, &open, &port) == 0; i++) {
		printf("%-32s %14" PRIu64 " %16" PRIu64 " %14" PRIu64 " %16" PRIu64 "%s\n", name, port.rx_frames,
		       port.rx_bytes, port.tx_frames, port.tx_bytes, open ? "" : "  gone");
		print_drops("rx", port.rx_dropped);
		print_drops("tx", port.tx_dropped);
	}
	vnic_relay_get_stats(relay, &all);
	for (unsigned kind = 0; kind < VNIC_MADE_COUNT; kind++)
		if (all.made[kind])
			printf("made, %s: %" PRIu64 "\n", vnic_made_text(kind), all.made[kind]);
	if (all.held || all.merged)
		printf("held %" PRIu64 ", merged %" PRIu64 "\n", all.held, all.merged);
	if (all.capture.frames || all.capture.missed)
		printf("captured %" PRIu64 ", missed %" PRIu64 "\n", all.capture.frames, all.capture.missed);
	printf("MACs %u, moved %" PRIu64 ", not learnt %" PRIu64 "\n", all.fdb_entries, all.fdb_moves, all.fdb_full);
}

static json_t *drops_json(const uint64_t dropped[VNIC_DROP_COUNT])
{
	json_t *drops = json_object();

	for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
		json_object_set_new(drops, vnic_drop_text(why), json_integer((json_int_t)dropped[why]));
	return drops;
}

static json_t *made_json(const uint64_t made[VNIC_MADE_COUNT])
{
	json_t *kinds = json_object();

	for (unsigned kind = 0; kind < VNIC_MADE_COUNT; kind++)
		json_object_set_new(kinds, vnic_made_text(kind), json_integer((json_int_t)made[kind]));
	return kinds;
}

json_t *relay_stats_json(const struct vnic_relay *relay)
{
	struct vnic_port_stats port;
	struct vnic_relay_stats all;
	json_t *ports = json_array();
	const char *name;
	bool open;

	for (unsigned i = 0; vnic_relay_get_port(relay, i, &name, &open, &port) == 0; i++)
		json_array_append_new(
			ports,
			json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:o}", "name", name, "open", open, "rx_frames",
				  (json_int_t)port.rx_frames, "rx_bytes", (json_int_t)port.rx_bytes, "tx_frames",
				  (json_int_t)port.tx_frames, "tx_bytes", (json_int_t)port.tx_bytes, "rx_dropped",
				  drops_json(port.rx_dropped), "tx_dropped", drops_json(port.tx_dropped)));
	vnic_relay_get_stats(relay, &all);
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:i, s:I, s:I}", "ports", ports, "made", made_json(all.made),
			 "held", (json_int_t)all.held, "merged", (json_int_t)all.merged, "captured",
			 (json_int_t)all.capture.frames, "not_captured", (json_int_t)all.capture.missed, "macs",
			 (int)all.fdb_entries, "macs_moved", (json_int_t)all.fdb_moves, "macs_not_learnt",
			 (json_int_t)all.fdb_full);
}

/* --- now and again ------------------------------------------------------------------ */

#define SCREEN_BEGIN "\033[?1049h\033[?25l" /* the alternate one, without a cursor */
#define SCREEN_END "\033[?25h\033[?1049l"
#define SCREEN_CLEAR "\033[H\033[J"

static uint64_t sum(const uint64_t dropped[VNIC_DROP_COUNT])
{
	uint64_t all = 0;

	for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
		all += dropped[why];
	return all;
}

/* "3.2M": four figures at most. */
static const char *short_number(double value, char buf[16])
{
	const char *unit = " kMGTP";

	for (; value >= 9999.5 && unit[1]; unit++)
		value /= 1000;
	snprintf(buf, 16, value < 10 && *unit != ' ' ? "%.1f%.1s" : "%.0f%.1s", value, *unit == ' ' ? "" : unit);
	return buf;
}

static void print_rates(const struct vnic_port_stats *now, const struct vnic_port_stats *before, double seconds)
{
	const uint64_t values[][2] = {{now->rx_frames, before->rx_frames},
				      {now->rx_bytes, before->rx_bytes},
				      {now->tx_frames, before->tx_frames},
				      {now->tx_bytes, before->tx_bytes}};
	char buf[16];

	for (int i = 0; i < 4; i++) {
		double rate = (double)(values[i][0] - values[i][1]) / seconds;

		printf(" %9s", short_number(i % 2 ? 8 * rate : rate, buf));
	}
}

static void draw(struct relay_ticks *ticks)
{
	struct vnic_port_stats port;
	struct vnic_relay_stats all;
	const char *name;
	char buf[16];
	bool open;

	vnic_relay_get_stats(ticks->relay, &all);
	printf(SCREEN_CLEAR "%-28s %9s %9s %9s %9s %9s %9s %9s\n", "PORT", "RX FR/S", "RX BIT/S", "TX FR/S", "TX BIT/S",
	       "RX FRAMES", "TX FRAMES", "DROPPED");
	for (unsigned i = 0; vnic_relay_get_port(ticks->relay, i, &name, &open, &port) == 0; i++) {
		printf("%-28.28s", name);
		print_rates(&port, &ticks->before[i], ticks->seconds);
		printf(" %9s", short_number((double)port.rx_frames, buf));
		printf(" %9s", short_number((double)port.tx_frames, buf));
		printf(" %9s%s\n", short_number((double)(sum(port.rx_dropped) + sum(port.tx_dropped)), buf),
		       open ? "" : " gone");
		print_drops("rx", port.rx_dropped);
		print_drops("tx", port.tx_dropped);
		ticks->before[i] = port;
	}
	printf("MACs %u, held %" PRIu64 ". q ends.\n", all.fdb_entries, all.held);
}

int relay_stats_print_line(const struct vnic_relay *relay, struct vnic_error *err)
{
	json_t *json = relay_stats_json(relay);
	int r = json ? json_dumpf(json, stdout, JSON_COMPACT) : -1;

	json_decref(json);
	if (!json)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	if (r < 0 || putchar('\n') == EOF)
		return vnic_fail(err, VNIC_STEP_OUTPUT, errno ? errno : EIO, NULL, NULL);
	return 0;
}

static void tick(void *ctx, int fd)
{
	struct relay_ticks *ticks = ctx;
	uint64_t passed;

	if (read(fd, &passed, sizeof(passed)) != (ssize_t)sizeof(passed))
		return;
	if (ticks->screen)
		draw(ticks);
	else
		relay_stats_print_line(ticks->relay, NULL);
	if (fflush(stdout)) /* nobody reads any more */
		vnic_relay_stop(ticks->relay);
}

static void take_key(void *ctx, int fd)
{
	struct relay_ticks *ticks = ctx;
	char key = 'q';

	if (read(fd, &key, 1) <= 0 || key == 'q')
		vnic_relay_stop(ticks->relay);
}

static int start_timer(struct relay_ticks *ticks, struct vnic_error *err)
{
	const time_t s = (time_t)ticks->seconds;
	const struct itimerspec every = {
		.it_interval.tv_sec = s, .it_value.tv_nsec = ticks->screen, .it_value.tv_sec = ticks->screen ? 0 : s};

	ticks->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ticks->timer < 0 || timerfd_settime(ticks->timer, 0, &every, NULL) < 0)
		return vnic_fail(err, VNIC_STEP_EPOLL, errno, NULL, "timerfd");
	return vnic_relay_watch(ticks->relay, ticks->timer, tick, ticks, err);
}

/* Keys come one by one and unseen; Ctrl-C is still a signal. */
static int take_screen(struct relay_ticks *ticks, struct vnic_error *err)
{
	struct termios raw;

	if (!isatty(STDOUT_FILENO))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--top",
				 "the standard output is no terminal; --json --interval is for scripts");
	if (tcgetattr(STDIN_FILENO, &ticks->saved) == 0) {
		raw = ticks->saved;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		ticks->keys = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	}
	fputs(SCREEN_BEGIN, stdout);
	return ticks->keys ? vnic_relay_watch(ticks->relay, STDIN_FILENO, take_key, ticks, err) : 0;
}

int relay_ticks_begin(struct relay_ticks *ticks, struct vnic_relay *relay, bool screen, uint32_t seconds,
		      struct vnic_error *err)
{
	struct vnic_port_stats *before = screen ? calloc(VNIC_RELAY_PORTS, sizeof(*before)) : NULL;
	int r;

	*ticks = (struct relay_ticks){.relay = relay, .seconds = seconds, .timer = -1, .before = before};
	if (screen && !before)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	r = screen ? take_screen(ticks, err) : 0;
	ticks->screen = screen && r == 0;
	return r < 0 ? r : start_timer(ticks, err);
}

void relay_ticks_end(struct relay_ticks *ticks)
{
	if (!ticks->relay)
		return;
	if (ticks->keys) {
		vnic_relay_watch(ticks->relay, STDIN_FILENO, NULL, NULL, NULL);
		tcsetattr(STDIN_FILENO, TCSANOW, &ticks->saved);
	}
	if (ticks->screen) {
		fputs(SCREEN_END, stdout);
		fflush(stdout);
	}
	if (ticks->timer >= 0)
		vnic_relay_watch(ticks->relay, ticks->timer, NULL, NULL, NULL);
	close_fd(&ticks->timer);
	free(ticks->before);
	ticks->before = NULL;
}
