/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay's accounts: what is counted, under which words, and what of it is told. */
#include <errno.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <vnic/link.h>

#include "capture.h"
#include "relay_ports.h"

/* --- words ----------------------------------------------------------------------------- */

static const char *const drop_texts[] = {
	[VNIC_DROP_FULL] = "full",           [VNIC_DROP_DOWN] = "down",           [VNIC_DROP_SHORT] = "short",
	[VNIC_DROP_OVERSIZE] = "oversize",   [VNIC_DROP_REFUSED] = "refused",     [VNIC_DROP_ISOLATED] = "isolated",
	[VNIC_DROP_SAME_PORT] = "same-port", [VNIC_DROP_NO_PORT] = "no-port",     [VNIC_DROP_SOURCE] = "source",
	[VNIC_DROP_SEGMENT] = "segment",     [VNIC_DROP_LINK_DOWN] = "link-down", [VNIC_DROP_FILTERED] = "filtered",
	[VNIC_DROP_LOST] = "lost",           [VNIC_DROP_HELD] = "held",           [VNIC_DROP_INSPECTED] = "inspected",
	[VNIC_DROP_TUNNEL] = "tunnel",       [VNIC_DROP_STRANGER] = "stranger",   [VNIC_DROP_CUT] = "cut",
	[VNIC_DROP_OVERRUN] = "overrun",
};
static const char *const made_texts[] = {
	[VNIC_MADE_COPY] = "copy",
	[VNIC_MADE_SEGMENT] = "segment",
	[VNIC_MADE_DUPLICATE] = "duplicate",
	[VNIC_MADE_INJECTED] = "injected",
};
_Static_assert(sizeof(made_texts) / sizeof(made_texts[0]) == VNIC_MADE_COUNT, "a kind lacks its text");
_Static_assert(sizeof(drop_texts) / sizeof(drop_texts[0]) == VNIC_DROP_COUNT, "a reason lacks its text");

const char *vnic_drop_text(enum vnic_drop drop)
{
	return (unsigned)drop < VNIC_DROP_COUNT ? drop_texts[drop] : "unknown";
}

const char *vnic_fast_text(enum vnic_fast_state state)
{
	static const char *const texts[] = {
		[VNIC_FAST_NONE] = "none",
		[VNIC_FAST_CLOSED] = "closed",
		[VNIC_FAST_OPEN] = "open",
		[VNIC_FAST_LOST] = "lost",
	};

	return (unsigned)state < sizeof(texts) / sizeof(texts[0]) ? texts[state] : "unknown";
}

const char *vnic_made_text(enum vnic_made made)
{
	return (unsigned)made < VNIC_MADE_COUNT ? made_texts[made] : "unknown";
}

/* --- of one port -------------------------------------------------------------------- */

void port_lose(struct port *port, enum vnic_drop why)
{
	port->stats.rx_frames++;
	port->stats.rx_dropped[why]++;
}

enum vnic_drop port_drop_reason(int error)
{
	switch (-error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return VNIC_DROP_FULL;
	case ENETDOWN:
	case EBADFD:
		return VNIC_DROP_DOWN;
	case EMSGSIZE:
		return VNIC_DROP_OVERSIZE;
	case EOPNOTSUPP:
		return VNIC_DROP_NO_PORT;
	default:
		return VNIC_DROP_REFUSED;
	}
}

void port_count_copy(struct port *port, size_t len, int written)
{
	port->relay->stats.made[VNIC_MADE_COPY]++;
	if (written < 0) {
		port->stats.tx_dropped[port_drop_reason(written)]++;
		return;
	}
	port->stats.tx_frames++;
	port->stats.tx_bytes += len;
}

void port_lose_gathered(struct port *port, size_t len, int error)
{
	port->stats.tx_frames--;
	port->stats.tx_bytes -= len;
	port->stats.tx_dropped[port_drop_reason(error)]++;
}

/* --- what the kernel had no room for ------------------------------------------------- */

static uint32_t drops_of_socket(const struct port *port)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};

	getsockopt(port->fd, SOL_SOCKET, SO_MEMINFO, info, &(socklen_t){sizeof(info)});
	return info[SK_MEMINFO_DROPS];
}

uint64_t port_drops_so_far(const struct port *port)
{
	struct vnic_link_info info;

	if (port->ops->overruns) /* of 32 bits, which may have begun anew */
		return port->overruns + (uint32_t)(drops_of_socket(port) - (uint32_t)port->overruns);
	if (port->nl && vnic_link_get(port->nl, port->tap.index, port->tap.name, &info, NULL) == 0)
		return info.tx_dropped;
	return port->overruns;
}

void port_count_overruns(struct port *port)
{
	uint64_t drops = port_drops_so_far(port) - port->overruns;

	port->overruns += drops;
	port->stats.rx_frames += drops;
	port->stats.rx_dropped[VNIC_DROP_OVERRUN] += drops;
}

int vnic_relay_count_drops(struct vnic_relay *relay, unsigned number, struct vnic_nl *nl)
{
	struct port *port = number < relay->count ? relay->ports[number] : NULL;

	if (!port || !port->open || port->ops != &port_tap_ops)
		return -ENOENT;
	if (port->nl)
		return -EBUSY;
	port->nl = nl;
	port->overruns = port_drops_so_far(port);
	return 0;
}

/* --- told ------------------------------------------------------------------------------ */

uint64_t relay_held(const struct vnic_relay *relay, uint64_t *ret_bytes)
{
	uint64_t held = 0, bytes = 0;

	for (unsigned i = 0; i < relay->count; i++)
		for (unsigned d = 0; d < VNIC_DIRECTIONS; d++) {
			held += side_held(&relay->ports[i]->sides[d]);
			bytes += side_held_bytes(&relay->ports[i]->sides[d]);
		}
	*ret_bytes = bytes;
	return held;
}

static void add_stats(const struct vnic_relay *relay, struct vnic_relay_stats *stats)
{
	uint64_t bytes;

	for (unsigned kind = 0; kind < VNIC_MADE_COUNT; kind++)
		stats->made[kind] += relay->stats.made[kind];
	stats->merged += relay->stats.merged;
	stats->held += relay_held(relay, &bytes);
	stats->held_bytes += bytes;
	stats->fdb_entries += relay->fdb.used;
	stats->fdb_full += relay->fdb.full;
	stats->fdb_moves += relay->fdb.moves;
}

void vnic_relay_get_stats(const struct vnic_relay *relay, struct vnic_relay_stats *ret_stats)
{
	struct vnic_relay_stats stats = {
		.ports = relay->opened, .fast_path = fast_path_state(relay), .held = fast_path_held(relay)};

	add_stats(relay, &stats);
	for (unsigned i = 0; i < relay->lane_count; i++)
		add_stats(relay->lanes[i], &stats);
	if (relay->capture)
		capture_get_stats(relay->capture, &stats.capture);
	*ret_stats = stats;
}

static void add_port_stats(const struct vnic_port_stats *from, struct vnic_port_stats *to)
{
	to->rx_frames += from->rx_frames;
	to->rx_bytes += from->rx_bytes;
	to->tx_frames += from->tx_frames;
	to->tx_bytes += from->tx_bytes;
	for (unsigned why = 0; why < VNIC_DROP_COUNT; why++) {
		to->rx_dropped[why] += from->rx_dropped[why];
		to->tx_dropped[why] += from->tx_dropped[why];
	}
}

int vnic_relay_get_port(const struct vnic_relay *relay, unsigned port, const char **ret_name, bool *ret_open,
			struct vnic_port_stats *ret_stats)
{
	if (port >= relay->count)
		return -ENOENT;
	if (relay->ports[port]->open)
		port_count_overruns(relay->ports[port]);
	*ret_name = relay->ports[port]->name;
	*ret_open = relay->ports[port]->open;
	*ret_stats = relay->ports[port]->stats;
	for (unsigned i = 0; i < relay->lane_count; i++)
		add_port_stats(&relay->lanes[i]->ports[port]->stats, ret_stats);
	fast_path_add_port(relay, port, ret_stats);
	return 0;
}
