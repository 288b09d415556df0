/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A batch of datagrams from one socket to another: recvmmsg(2), sendmmsg(2), and nothing touched in between.
 *
 * A socket with UDP_GRO gives many datagrams of one flow as one super-datagram and their size; it is sent as it
 * came, with that size as UDP_SEGMENT.  Single ones of one size that wait together are sent so too.
 */
#ifndef GATEWAY_DATAGRAMS_H
#define GATEWAY_DATAGRAMS_H

#include <stdbool.h>

#include "packet.h"

#define DATAGRAMS 32

struct datagrams;

int datagrams_open(struct datagrams **ret_batch);
void datagrams_close(struct datagrams *batch);

/* Takes at most DATAGRAMS that wait there; the number, or a negative errno.  Sockets are non-blocking. */
int datagrams_receive(struct datagrams *batch, int fd);
/* From where to where the sandbox sent it; false: the socket did not tell. */
bool datagrams_key(const struct datagrams *batch, unsigned index, struct flow_key *ret_key);
size_t datagrams_size(const struct datagrams *batch, unsigned index);
/* Its bytes; *ret_part is the size of each but the last of the datagrams that they are. */
const uint8_t *datagrams_data(const struct datagrams *batch, unsigned index, size_t *ret_part);
/* Sends from `index` on, before `end`, over a connected socket; how many were sent, or a negative errno. */
int datagrams_send(struct datagrams *batch, unsigned index, unsigned end, int fd);

#endif
