/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests with real devices: links and raw frames in the caller's network namespace, and stations, which are
 * processes with a network namespace and a NIC of their own behind a port of a relay.
 */
#ifndef TESTS_LIB_LAN_H
#define TESTS_LIB_LAN_H

#include "vt.h"

#define LAN_TYPE 0x88b5 /* for experiments (IEEE 802); nothing else speaks it */
#define LAN_HEADER 14   /* bytes before the payload */
#define LAN_TCP_BYTES (100 << 20)
#define LAN_PINGS 3
#define LAN_PING_SIZE 1400 /* bytes of payload */

/* --- links and raw frames ----------------------------------------------------------- */

void lan_up(const char *name);
void lan_down(const char *name);
/* Waits until a veth whose two ends are up carries frames; before, the kernel drops them in silence. */
void lan_ready(const char *name);
void lan_address(const char *name, const char *ip, unsigned prefix);
/* A veth pair, both ends up and ready. */
void lan_veth(const char *name, const char *peer);
/* What the kernel has on that link, frame by frame, without any offloads. */
int lan_socket(const char *name);
/* A frame of that size with our type, from station to station. */
void lan_frame(uint8_t *ret_frame, size_t size, uint8_t to, uint8_t from);
/* The next frame with our type, or with a VLAN tag; waits; returns its size. */
size_t lan_take(int socket, uint8_t *ret_frame, size_t size);

/* --- stations ----------------------------------------------------------------------- */

enum lan_kind { LAN_TAP, LAN_TUN, LAN_VETH };

struct lan_station {
	pid_t pid;
	int pidfd, control;
};

/*
 * Starts a process with eth0 (10.9.0.NUMBER/24) and adds the other end to the relay.  It runs the job, whose
 * result is its exit status, once lan_relay goes.
 */
struct lan_station lan_station(struct vnic_relay *relay, enum lan_kind kind, uint8_t number, int (*job)(void));
/* Relays until the first station has ended; asserts that its status was 0, and ends the others. */
void lan_relay(struct vnic_relay *relay, struct lan_station *stations, unsigned count);

int lan_job_ping(void);    /* pings 10.9.0.2 LAN_PINGS times */
int lan_job_rest(void);    /* is there, and nothing more */
int lan_job_send(void);    /* LAN_TCP_BYTES over TCP to 10.9.0.2, which must get them all */
int lan_job_receive(void); /* as 10.9.0.2: compares every byte */

#endif
