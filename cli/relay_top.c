/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list has a line for each port, and one for each reason why it dropped frames.  If it is longer than the terminal,
 * a part of it is shown, and keys scroll; lines that are too wide are cut, or they would wrap and push others out.
 */
#include "relay_top.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"

#define SCREEN_BEGIN "\033[?1049h\033[?25l" /* the alternate one, without a cursor */
#define SCREEN_END "\033[?25h\033[?1049l"
/* What stood there before goes first: behind a line that is full there is nothing to clear but its last character. */
#define FIRST_LINE "\033[H\033[K"
#define NEW_LINE "\n\033[K"
#define LAST_LINE "\n\033[J"
#define LINE_MAX_BYTES 256
#define NAME_WIDE 28
#define NAME_NARROW 24
#define CELL 16 /* bytes; nine of them are seen */

enum { RX_FRAME_RATE, RX_BIT_RATE, TX_FRAME_RATE, TX_BIT_RATE, RX_FRAMES, TX_FRAMES, DROPPED, CELLS };

static const char *const titles[CELLS] = {"RX FR/S",   "RX BIT/S",  "TX FR/S", "TX BIT/S",
					  "RX FRAMES", "TX FRAMES", "DROPPED"};

#define WIDE_COLUMNS (NAME_WIDE + 10 * CELLS)

/* What of the list is seen, and where it is drawn. */
struct screen {
	unsigned columns, lines; /* of the terminal; lines: for the list */
	unsigned first, next;    /* line of the list on top; that comes next */
};

/* --- lines -------------------------------------------------------------------------- */

static void print_cut(const struct screen *screen, const char *text)
{
	for (unsigned i = 0; i < screen->columns && text[i]; i++)
		putchar(iscntrl((unsigned char)text[i]) ? '?' : text[i]);
}

VNIC_PRINTF(2, 3) static void put_line(struct screen *screen, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	unsigned line = screen->next++;
	va_list args;

	if (line < screen->first || line - screen->first >= screen->lines)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fputs(NEW_LINE, stdout);
	print_cut(screen, text);
}

/* Of a narrow terminal the totals are left out. */
static void make_row(const struct screen *screen, const char *name, const char *const cells[CELLS],
		     char ret_text[LINE_MAX_BYTES])
{
	bool wide = screen->columns >= WIDE_COLUMNS;
	int width = wide ? NAME_WIDE : NAME_NARROW, len;

	len = snprintf(ret_text, LINE_MAX_BYTES, "%-*.*s", width, width, name);
	for (int i = 0; i < CELLS; i++)
		if (wide || (i != RX_FRAMES && i != TX_FRAMES))
			len += snprintf(ret_text + len, LINE_MAX_BYTES - (size_t)len, " %9s", cells[i]);
}

/* "3.2M": four figures at most. */
static void write_number(double value, char ret_cell[CELL])
{
	const char *unit = " kMGTP";

	for (; value >= 9999.5 && unit[1]; unit++)
		value /= 1000;
	snprintf(ret_cell, CELL, value < 10 && *unit != ' ' ? "%.1f%.1s" : "%.0f%.1s", value, *unit == ' ' ? "" : unit);
}

static uint64_t sum(const uint64_t dropped[VNIC_DROP_COUNT])
{
	uint64_t all = 0;

	for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
		all += dropped[why];
	return all;
}

static void put_drops(struct screen *screen, const char *direction, const uint64_t dropped[VNIC_DROP_COUNT])
{
	for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
		if (dropped[why])
			put_line(screen, "    %s dropped, %s: %" PRIu64, direction, vnic_drop_text(why), dropped[why]);
}

static void put_port(struct screen *screen, const struct relay_top_port *port, double seconds)
{
	const struct vnic_port_stats *now = &port->now, *before = &port->before;
	const double values[CELLS] = {
		[RX_FRAME_RATE] = (double)(now->rx_frames - before->rx_frames) / seconds,
		[RX_BIT_RATE] = 8 * (double)(now->rx_bytes - before->rx_bytes) / seconds,
		[TX_FRAME_RATE] = (double)(now->tx_frames - before->tx_frames) / seconds,
		[TX_BIT_RATE] = 8 * (double)(now->tx_bytes - before->tx_bytes) / seconds,
		[RX_FRAMES] = (double)now->rx_frames,
		[TX_FRAMES] = (double)now->tx_frames,
		[DROPPED] = (double)(sum(now->rx_dropped) + sum(now->tx_dropped)),
	};
	char numbers[CELLS][CELL], row[LINE_MAX_BYTES];
	const char *cells[CELLS];

	for (int i = 0; i < CELLS; i++) {
		write_number(values[i], numbers[i]);
		cells[i] = numbers[i];
	}
	make_row(screen, port->name, cells, row);
	put_line(screen, "%s%s", row, port->open ? "" : " gone");
	put_drops(screen, "rx", now->rx_dropped);
	put_drops(screen, "tx", now->tx_dropped);
}

static unsigned count_drops(const uint64_t dropped[VNIC_DROP_COUNT])
{
	unsigned count = 0;

	for (unsigned why = 0; why < VNIC_DROP_COUNT; why++)
		count += dropped[why] != 0;
	return count;
}

/* --- the screen --------------------------------------------------------------------- */

/* A terminal that does not tell its size gets all. */
static struct screen look_at_terminal(void)
{
	struct screen screen = {.columns = LINE_MAX_BYTES, .lines = UINT32_MAX};
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return screen;
	if (size.ws_col)
		screen.columns = size.ws_col;
	if (size.ws_row)
		screen.lines = size.ws_row > 3 ? size.ws_row - 2u : 1; /* without the first and the last */
	return screen;
}

static unsigned count_lines(const struct relay_top *top)
{
	unsigned lines = top->port_count;

	for (unsigned i = 0; i < top->port_count; i++)
		lines += count_drops(top->ports[i].now.rx_dropped) + count_drops(top->ports[i].now.tx_dropped);
	return lines;
}

static void draw_last_line(const struct relay_top *top, const struct screen *screen, unsigned lines)
{
	char text[LINE_MAX_BYTES], part[64] = "", fast[32] = "";
	struct vnic_relay_stats all;

	vnic_relay_get_stats(top->relay, &all);
	if (lines > screen->lines)
		snprintf(part, sizeof(part), "lines %u-%u of %u, arrows move. ", screen->first + 1,
			 screen->first + screen->lines, lines);
	if (all.fast_path != VNIC_FAST_NONE)
		snprintf(fast, sizeof(fast), ", fast path %s", vnic_fast_text(all.fast_path));
	snprintf(text, sizeof(text), "%sq ends. MACs %u, held %" PRIu64 "%s.", part, all.fdb_entries, all.held, fast);
	fputs(LAST_LINE, stdout);
	print_cut(screen, text);
}

/* As far as there are lines. */
static void move_to(struct relay_top *top, int64_t first, unsigned lines, const struct screen *screen)
{
	int64_t most = lines > screen->lines ? lines - screen->lines : 0;

	top->first = (unsigned)(first < 0 ? 0 : first > most ? most : first);
}

static void draw(struct relay_top *top)
{
	struct screen screen = look_at_terminal();
	unsigned lines = count_lines(top);
	char row[LINE_MAX_BYTES];

	move_to(top, top->first, lines, &screen);
	screen.first = top->first;
	make_row(&screen, "PORT", titles, row);
	fputs(FIRST_LINE, stdout);
	print_cut(&screen, row);
	for (unsigned i = 0; i < top->port_count; i++)
		put_port(&screen, &top->ports[i], top->seconds);
	draw_last_line(top, &screen, lines);
	if (fflush(stdout)) /* nobody looks any more */
		vnic_relay_stop(top->relay);
}

void relay_top_count(struct relay_top *top)
{
	int64_t now = monotonic_ns();
	bool first = !top->counted_at;
	unsigned count = 0;

	for (; count < VNIC_RELAY_PORTS; count++) {
		struct relay_top_port *port = &top->ports[count];

		port->before = port->now;
		if (vnic_relay_get_port(top->relay, count, &port->name, &port->open, &port->now) < 0)
			break;
		if (first)
			port->before = port->now;
	}
	top->port_count = count;
	top->seconds = first ? 1 : (double)(now - top->counted_at) / NS_PER_S;
	top->counted_at = now;
	draw(top);
}

/* --- keys --------------------------------------------------------------------------- */

static const struct move {
	const char *key;
	int lines, pages;
} moves[] = {
	{"\033[A", -1, 0}, {"\033OA", -1, 0}, {"k", -1, 0},      {"\033[5~", 0, -1}, {"\033[B", 1, 0},
	{"\033OB", 1, 0},  {"j", 1, 0},       {"\033[6~", 0, 1}, {" ", 0, 1},
};

static const struct move *move_of(const char *text)
{
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
		if (!strncmp(text, moves[i].key, strlen(moves[i].key)))
			return &moves[i];
	return NULL;
}

static void move_by(struct relay_top *top, const struct move *move)
{
	struct screen screen = look_at_terminal();

	move_to(top, (int64_t)top->first + move->lines + move->pages * (int64_t)screen.lines, count_lines(top),
		&screen);
}

static void take_keys(void *ctx, int fd)
{
	struct relay_top *top = ctx;
	char text[64];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n <= 0 || memchr(text, 'q', (size_t)n)) {
		vnic_relay_stop(top->relay);
		return;
	}
	text[n] = '\0';
	for (const char *at = text; *at;) {
		const struct move *move = move_of(at);

		if (move)
			move_by(top, move);
		at += move ? strlen(move->key) : 1;
	}
	draw(top);
}

/* Unseen, and one by one; Ctrl-C is still a signal. */
static int take_keyboard(struct relay_top *top, struct vnic_error *err)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &top->saved) < 0)
		return 0;
	raw = top->saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	top->keys = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	return top->keys ? vnic_relay_watch(top->relay, STDIN_FILENO, take_keys, top, err) : 0;
}

/* ---------------------------------------------------------------------------------------- */

int relay_top_begin(struct relay_top *top, struct vnic_relay *relay, struct vnic_error *err)
{
	if (!isatty(STDOUT_FILENO))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, "--top",
				 "the standard output is no terminal; --json --interval is for scripts");
	*top = (struct relay_top){
		.relay = relay,
		.seconds = 1,
		.ports = calloc(VNIC_RELAY_PORTS, sizeof(*top->ports)),
	};
	fputs(SCREEN_BEGIN, stdout);
	if (!top->ports)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	return take_keyboard(top, err);
}

void relay_top_end(struct relay_top *top)
{
	if (!top->relay)
		return;
	if (top->keys) {
		vnic_relay_watch(top->relay, STDIN_FILENO, NULL, NULL, NULL);
		tcsetattr(STDIN_FILENO, TCSANOW, &top->saved);
	}
	fputs(SCREEN_END, stdout);
	fflush(stdout);
	free(top->ports);
	*top = (struct relay_top){0};
}
