/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log of flows; see log.c.  Where there is none each of these but log_count does nothing. */
#ifndef GATEWAY_LOG_H
#define GATEWAY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <vnic/policy.h>

#include "packet.h"

struct vnic_gateway;

/* What a flow is called by. */
struct log_name {
	enum vnic_proto proto;
	bool published;             /* somebody outside began it */
	const struct flow_key *key; /* without a family: not known any more */
};

/* Kept in a flow while it is open. */
struct log_entry {
	uint64_t number;   /* 0: its beginning was not logged */
	int64_t began;     /* ns */
	uint64_t bytes[2]; /* by the side that they came from */
};

/* Payload that came from a side, for the flow and for all. */
void log_count(struct vnic_gateway *gateway, struct log_entry *entry, unsigned side, uint64_t bytes);

void log_open(struct vnic_gateway *gateway, struct log_name name, struct log_entry *ret_entry);
void log_end(struct vnic_gateway *gateway, struct log_name name, const struct log_entry *entry);
/* `code` is an errno; 0: not known. */
void log_failed(struct vnic_gateway *gateway, struct log_name name, int code);
void log_denied(struct vnic_gateway *gateway, struct log_name name);
/* It was turned away, for there are as many as there may be. */
void log_full(struct vnic_gateway *gateway, struct log_name name);
/* A question to the forwarder; `name` is NULL if no rule can have it. */
void log_question(struct vnic_gateway *gateway, const struct flow_key *key, const char *name, bool denied);

#endif
