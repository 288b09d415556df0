/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a relay has counted: as text, as JSON, and periodically. */
#include "relay_stats.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/timerfd.h>
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
		printf("held %" PRIu64 " (%" PRIu64 " bytes), merged %" PRIu64 "\n", all.held, all.held_bytes,
		       all.merged);
	if (all.capture.frames || all.capture.missed)
		printf("captured %" PRIu64 ", missed %" PRIu64 "\n", all.capture.frames, all.capture.missed);
	if (all.fast_path != VNIC_FAST_NONE)
		printf("fast path %s\n", vnic_fast_text(all.fast_path));
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
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:s, s:I, s:I, s:i, s:I, s:I}", "ports", ports, "made",
			 made_json(all.made), "held", (json_int_t)all.held, "held_bytes", (json_int_t)all.held_bytes,
			 "merged", (json_int_t)all.merged, "fast_path", vnic_fast_text(all.fast_path), "captured",
			 (json_int_t)all.capture.frames, "not_captured", (json_int_t)all.capture.missed, "macs",
			 (int)all.fdb_entries, "macs_moved", (json_int_t)all.fdb_moves, "macs_not_learnt",
			 (json_int_t)all.fdb_full);
}

/* --- now and again ------------------------------------------------------------------ */

int relay_stats_print_line(const struct vnic_relay *relay, struct vnic_error *err)
{
	return cli_print_json_line(relay_stats_json(relay), err);
}

static void tick(void *ctx, int fd)
{
	struct relay_ticks *ticks = ctx;
	uint64_t passed;

	if (read(fd, &passed, sizeof(passed)) != (ssize_t)sizeof(passed))
		return;
	if (ticks->top.relay) {
		relay_top_count(&ticks->top);
		return;
	}
	relay_stats_print_line(ticks->relay, NULL);
	if (fflush(stdout)) /* nobody reads any more */
		vnic_relay_stop(ticks->relay);
}

static int start_timer(struct relay_ticks *ticks, uint32_t seconds, struct vnic_error *err)
{
	const bool at_once = ticks->top.relay;
	const struct itimerspec every = {
		.it_interval.tv_sec = seconds, .it_value.tv_sec = at_once ? 0 : seconds, .it_value.tv_nsec = at_once};

	ticks->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ticks->timer < 0 || timerfd_settime(ticks->timer, 0, &every, NULL) < 0)
		return vnic_fail(err, VNIC_STEP_EPOLL, errno, NULL, "timerfd");
	return vnic_relay_watch(ticks->relay, ticks->timer, tick, ticks, err);
}

int relay_ticks_begin(struct relay_ticks *ticks, struct vnic_relay *relay, bool top, uint32_t seconds,
		      struct vnic_error *err)
{
	int r;

	*ticks = (struct relay_ticks){.relay = relay, .timer = -1};
	r = top ? relay_top_begin(&ticks->top, relay, err) : 0;
	return r < 0 ? r : start_timer(ticks, seconds, err);
}

void relay_ticks_end(struct relay_ticks *ticks)
{
	if (!ticks->relay)
		return;
	relay_top_end(&ticks->top);
	if (ticks->timer >= 0)
		vnic_relay_watch(ticks->relay, ticks->timer, NULL, NULL, NULL);
	close_fd(&ticks->timer);
}
