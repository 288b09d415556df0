/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An inspector that writes what it likes: whatever it leaves, no byte outside of a frame's room is touched, and the
 * accounts close.
 *
 * The input is a list of frames, each behind a byte of what to do with it (pass, drop, answer; cut for its
 * destination or not; held back before or not), two bytes of length, two of its length afterwards, two of where to
 * write a byte and which, and a virtio header.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "relay_ports.h"

#define PORTS 2

enum { DROP = 1, ANSWER = 2, CHANGE = 4, WHOLE = 8, HOLD = 16 };

struct order {
	uint8_t todo, len[2], new_len[2], at[2], byte;
	struct vnic_vnet_hdr hdr;
};

static struct {
	const uint8_t *data;
	size_t size;
	struct order order; /* the last frame's */
	struct vnic_relay *relay;
} input;

static size_t number(const uint8_t bytes[2])
{
	return (size_t)(bytes[0] << 8 | bytes[1]);
}

static int fuzz_read(struct port *port, unsigned queue, struct frame *frame, unsigned max)
{
	struct order *order = &input.order;

	(void)queue;
	(void)max;
	if (port->number || input.size < sizeof(*order) + 14)
		return -EAGAIN;
	memcpy(order, input.data, sizeof(*order));
	input.data += sizeof(*order);
	input.size -= sizeof(*order);
	frame->len = number(order->len);
	frame->len = frame->len < 14 ? 14 : frame->len < input.size ? frame->len : input.size;
	memcpy(frame->data, input.data, frame->len);
	input.data += frame->len;
	input.size -= frame->len;
	frame->hdr = order->hdr;
	input.relay->ports[1]->takes = order->todo & WHOLE ? VNIC_OFFLOAD_ALL : 0;
	return 1;
}

/* Reads every byte, so that a sanitizer sees a frame that is longer than it is. */
static int fuzz_write(struct port *port, const struct frame *frame)
{
	static volatile uint8_t sum;

	(void)port;
	for (size_t i = 0; i < frame->len; i++)
		sum = sum ^ frame->data[i];
	return 0;
}

static void fuzz_close(struct port *port)
{
	close(port->fd);
}

static const struct port_ops fuzz_ops = {.kind = "fuzz", .read = fuzz_read, .write = fuzz_write, .close = fuzz_close};

static enum vnic_verdict inspect(void *ctx, struct vnic_inspected *frame)
{
	const struct order *order = &input.order;
	size_t at = number(order->at) % frame->room;

	if (frame->view->data != frame->data || frame->view->len != frame->len || frame->room < frame->len)
		abort();
	frame->changed = order->todo & CHANGE;
	if (frame->changed) {
		frame->data[at] = order->byte;
		frame->len = 2 * number(order->new_len); /* up to twice the room */
	}
	if (order->todo & ANSWER && vnic_relay_inject(ctx, order->byte % PORTS, frame->data, 14, NULL) < 0)
		abort();
	return order->todo & DROP ? VNIC_VERDICT_DROP : VNIC_VERDICT_PASS;
}

static void add_port(struct vnic_relay *relay)
{
	struct port *port = calloc(1, sizeof(*port));

	if (!port)
		abort();
	/* An eventfd with a count is readable for ever. */
	*port = (struct port){.ops = &fuzz_ops, .fd = eventfd(1, EFD_CLOEXEC), .fds = &port->fd, .queues = 1};
	if (relay_add_port(relay, "fuzz", port, NULL) < 0)
		abort();
}

static void check(const struct vnic_relay *relay)
{
	struct vnic_relay_stats all;
	uint64_t in = 0, out;

	vnic_relay_get_stats(relay, &all);
	out = all.held;
	for (unsigned i = 0; i < PORTS; i++) {
		const struct vnic_port_stats *stats = &relay->ports[i]->stats;

		in += stats->rx_frames;
		out += stats->tx_frames;
		for (int why = 0; why < VNIC_DROP_COUNT; why++)
			out += stats->rx_dropped[why] + stats->tx_dropped[why];
	}
	for (int made = 0; made < VNIC_MADE_COUNT; made++)
		in += all.made[made];
	if (in != out)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vnic_relay_config config = {.batch = 4};
	const struct vnic_impairment weather = {.delay_us = 1, .seed = 1};

	if (vnic_relay_new(&config, &input.relay, NULL) < 0)
		abort();
	for (int i = 0; i < PORTS; i++)
		add_port(input.relay);
	vnic_relay_set_inspector(input.relay, inspect, input.relay, NULL);
	if (size && data[0] & HOLD)
		vnic_relay_set_impairment(input.relay, 0, VNIC_INGRESS, &weather, NULL);
	input.data = data;
	input.size = size;
	while (input.size >= sizeof(struct order) + 14)
		if (vnic_relay_dispatch(input.relay, 0, NULL) < 0)
			abort();
	vnic_relay_set_impairment(input.relay, 0, VNIC_INGRESS, NULL, NULL);
	check(input.relay);
	vnic_relay_free(input.relay);
	return 0;
}
