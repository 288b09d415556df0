/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of flows: a line of JSON for each that begins, ends or does not start, and for each question to the
 * forwarder.
 *
 * Theory of operation.  A line is made on the stack and handed to the caller, who writes it or does not; nobody waits.
 * Those that are not taken are counted, and the next one that is comes after a line that says how many are missing.  No
 * text in a line needs quoting: addresses, numbers, our own words, and names of letters, digits, '-', '_' and '.'.
 *
 * A line has the whole flow, so that one can be found without the others; `flow` says which lines are of one flow.
 *
 * Rejected: records for the front, which would write them.  It would wake for each flow, and records that it is too
 * slow for would be lost where the file has room.  A library for JSON in here: it allocates, and there is nothing to
 * quote.
 */
#include "log.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "internal.h"
#include "names.h"

void log_count(struct vnic_gateway *gateway, struct log_entry *entry, unsigned side, uint64_t bytes)
{
	struct vnic_gateway_stats *stats = &gateway->stats;

	*(side == SIDE_HOST ? &stats->bytes_in : &stats->bytes_out) += bytes;
	entry->bytes[side] += bytes;
}

struct line {
	char text[VNIC_LOG_LINE];
	size_t len;
};

static void VNIC_PRINTF(2, 3) add(struct line *line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	/* The longest line, with a name of 253 characters, has half of the room. */
	line->len += (size_t)vsnprintf(line->text + line->len, sizeof(line->text) - line->len, format, arguments);
	va_end(arguments);
}

static void begin(struct line *line, const char *event)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	line->len = 0;
	add(line, "{\"time\":%lld.%06ld,\"event\":\"%s\"", (long long)now.tv_sec, now.tv_nsec / 1000, event);
}

static bool finish(struct vnic_gateway *gateway, struct line *line)
{
	add(line, "}\n");
	return gateway->config.log(gateway->config.ctx, line->text, line->len);
}

static void write_line(struct vnic_gateway *gateway, struct line *line)
{
	struct line missing;

	if (gateway->log_missing) {
		begin(&missing, "missing");
		add(&missing, ",\"lines\":%" PRIu64, gateway->log_missing);
		if (finish(gateway, &missing))
			gateway->log_missing = 0;
	}
	if (gateway->log_missing || !finish(gateway, line)) {
		gateway->log_missing++;
		gateway->stats.unlogged++;
	}
}

/* "local":"10.0.2.100","local_port":40000 */
static void add_endpoint(struct line *line, const char *which, const struct flow_key *key,
			 const struct endpoint *endpoint, bool port)
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(key->family, endpoint->addr, text, sizeof(text));
	add(line, ",\"%s\":\"%s\"", which, text);
	if (port)
		add(line, ",\"%s_port\":%u", which, endpoint->port);
}

static void add_name(struct vnic_gateway *gateway, struct line *line, const struct flow_key *key)
{
	struct vnic_policy_flow flow = {.dst.family = (uint8_t)key->family};

	memcpy(flow.dst.bytes, key->dst.addr, sizeof(key->dst.addr));
	names_find(gateway->names, &flow, gateway->now);
	if (flow.name)
		add(line, ",\"name\":\"%s\"", flow.name);
}

static void add_flow(struct vnic_gateway *gateway, struct line *line, struct log_name name)
{
	static const char *const protos[] = {
		[VNIC_PROTO_TCP] = "tcp", [VNIC_PROTO_UDP] = "udp", [VNIC_PROTO_ICMP] = "icmp"};
	bool ports = name.proto != VNIC_PROTO_ICMP;

	add(line, ",\"proto\":\"%s\",\"direction\":\"%s\"", protos[name.proto], name.published ? "in" : "out");
	if (!name.key->family)
		return;
	add_endpoint(line, "local", name.key, &name.key->src, ports);
	add_endpoint(line, "remote", name.key, &name.key->dst, ports);
	if (!name.published)
		add_name(gateway, line, name.key);
}

void log_open(struct vnic_gateway *gateway, struct log_name name, struct log_entry *ret_entry)
{
	struct line line;

	*ret_entry = (struct log_entry){0};
	if (!gateway->config.log)
		return;
	*ret_entry = (struct log_entry){.number = ++gateway->log_number, .began = monotonic_ns()};
	begin(&line, "open");
	add(&line, ",\"flow\":%" PRIu64, ret_entry->number);
	add_flow(gateway, &line, name);
	write_line(gateway, &line);
}

void log_end(struct vnic_gateway *gateway, struct log_name name, const struct log_entry *entry)
{
	struct line line;
	int64_t us;

	if (!entry->number)
		return;
	us = (monotonic_ns() - entry->began) / 1000;
	begin(&line, "end");
	add(&line, ",\"flow\":%" PRIu64, entry->number);
	add_flow(gateway, &line, name);
	add(&line, ",\"bytes_out\":%" PRIu64 ",\"bytes_in\":%" PRIu64 ",\"seconds\":%" PRId64 ".%06" PRId64,
	    entry->bytes[SIDE_INNER], entry->bytes[SIDE_HOST], us / 1000000, us % 1000000);
	write_line(gateway, &line);
}

void log_failed(struct vnic_gateway *gateway, struct log_name name, int code)
{
	struct line line;

	if (!gateway->config.log)
		return;
	begin(&line, "failed");
	add_flow(gateway, &line, name);
	if (code)
		add(&line, ",\"error\":\"%s\"", strerror(code));
	write_line(gateway, &line);
}

static void log_not_begun(struct vnic_gateway *gateway, const char *event, struct log_name name)
{
	struct line line;

	if (!gateway->config.log)
		return;
	begin(&line, event);
	add_flow(gateway, &line, name);
	write_line(gateway, &line);
}

void log_denied(struct vnic_gateway *gateway, struct log_name name)
{
	log_not_begun(gateway, "denied", name);
}

void log_full(struct vnic_gateway *gateway, struct log_name name)
{
	log_not_begun(gateway, "full", name);
}

void log_question(struct vnic_gateway *gateway, const struct flow_key *key, const char *name, bool denied)
{
	struct line line;

	if (!gateway->config.log)
		return;
	begin(&line, denied ? "denied" : "question");
	add(&line, ",\"proto\":\"dns\",\"direction\":\"out\"");
	if (key->family)
		add_endpoint(&line, "local", key, &key->src, true);
	if (name)
		add(&line, ",\"name\":\"%s\"", name);
	write_line(gateway, &line);
}
