/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host's side reports about datagrams, told to the sandbox. */
#ifndef GATEWAY_ERRORS_H
#define GATEWAY_ERRORS_H

#include "host.h"
#include "internal.h"

/* `cause` is what the sandbox sent.  Some errors are none of its business: then nothing is told. */
void errors_tell(struct vnic_gateway *gateway, const struct packet *cause, const struct host_error *error);
/* About a UDP datagram of the flow. */
void errors_tell_datagram(struct vnic_gateway *gateway, const struct flow_key *key, const struct host_error *error);

/* Headers such as a datagram of the flow had: a frame in `buf`, of at least 128 bytes. */
bool errors_datagram(const struct vnic_gateway *gateway, const struct flow_key *key, uint8_t *buf,
		     struct packet *ret_cause);

#endif
