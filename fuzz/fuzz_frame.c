/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames through a relay of four ports, as a hostile port would send them: forwarding, learning, VLAN tags put
 * back.  The input is a list of frames, each behind five bytes: its port and flags, a VLAN tag, its length.  After all
 * of them: everything that was read must have been written or counted, and the table must keep its cap.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "relay_ports.h"
#include "vlan.h"

#define PORTS 4
#define FDB_MAX 8

static struct {
	const uint8_t *data;
	size_t size;
} input;

static uint8_t take_byte(void)
{
	if (!input.size)
		return 0;
	input.size--;
	return *input.data++;
}

/* The next frame is this port's if its first byte says so; each port has a queue of one. */
static int fuzz_read(struct port *port, unsigned queue, struct frame *frame, unsigned max)
{
	uint8_t flags, tag[2];
	size_t len;

	(void)queue;
	(void)max;
	if (!input.size || input.data[0] % PORTS != (unsigned)port->tap.index)
		return -EAGAIN;
	flags = take_byte();
	tag[0] = take_byte();
	tag[1] = take_byte();
	len = (size_t)(take_byte() << 8);
	len |= take_byte();
	len = len < input.size ? len : input.size;
	memcpy(frame->data, input.data, len);
	input.data += len;
	input.size -= len;
	if (len < 14) {
		port_lose(port, VNIC_DROP_SHORT);
		return 0;
	}
	frame->len = len;
	memcpy(&frame->hdr, frame->data, sizeof(frame->hdr));
	if (flags & 0x10)
		frame_push_vlan(frame, flags & 0x20 ? 0x88a8 : 0x8100, (uint16_t)(tag[0] << 8 | tag[1]));
	return 1;
}

/* Reads every byte, so that a sanitizer sees a frame that is longer than it is. */
static int fuzz_write(struct port *port, const struct frame *frame)
{
	static volatile uint8_t sum;

	for (size_t i = 0; i < frame->len; i++)
		sum ^= frame->data[i];
	return port->tap.index == PORTS - 1 && sum == 7 ? -EAGAIN : 0;
}

static void fuzz_close(struct port *port)
{
	close(port->fd);
}

static const struct port_ops fuzz_ops = {.kind = "fuzz", .read = fuzz_read, .write = fuzz_write, .close = fuzz_close};

static void add_port(struct vnic_relay *relay, int number)
{
	struct port *port = calloc(1, sizeof(*port));

	if (!port)
		abort();
	/* An eventfd with a count is readable for ever. */
	*port = (struct port){.ops = &fuzz_ops,
			      .fd = eventfd(1, EFD_CLOEXEC),
			      .fds = &port->fd,
			      .queues = 1,
			      .takes = VNIC_OFFLOAD_ALL};
	port->tap.index = number;
	if (relay_add_port(relay, "fuzz", port, NULL) != number)
		abort();
}

static void check(const struct vnic_relay *relay)
{
	uint64_t in = 0, out = 0;

	for (unsigned i = 0; i < PORTS; i++) {
		const struct vnic_port_stats *stats = &relay->ports[i]->stats;

		in += stats->rx_frames;
		out += stats->tx_frames;
		for (int why = 0; why < VNIC_DROP_COUNT; why++)
			out += stats->rx_dropped[why] + stats->tx_dropped[why];
	}
	for (int made = 0; made < VNIC_MADE_COUNT; made++)
		in += relay->stats.made[made];
	if (in != out + relay->stats.merged)
		abort();
	if (relay->fdb.used > FDB_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vnic_relay_config config = {.fdb_max = FDB_MAX, .batch = 4, .hub = size && data[0] == 0xff};
	struct vnic_relay *relay;
	struct vnic_error err;

	if (vnic_relay_new(&config, &relay, &err) < 0)
		abort();
	for (int i = 0; i < PORTS; i++)
		add_port(relay, i);
	vnic_relay_set_isolated(relay, 0, true);
	vnic_relay_set_isolated(relay, 1, true);
	input.data = data;
	input.size = size;
	while (input.size)
		if (vnic_relay_dispatch(relay, 0, &err) < 0)
			abort();
	check(relay);
	vnic_relay_free(relay);
	return 0;
}
