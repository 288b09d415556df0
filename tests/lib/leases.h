/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lease to ask for, and messages of clients to ask with, byte by byte. */
#ifndef TESTS_LIB_LEASES_H
#define TESTS_LIB_LEASES_H

#include "vt.h"

#include <string.h>
#include <sys/socket.h>

#include <vnic/lease.h>

#include "writer.h"

static inline struct vnic_lease lease_of_nic(void)
{
	return (struct vnic_lease){
		.mac = {{2, 0, 0, 0, 0, 1}, true},
		.mtu = 1500,
		.addr = {{AF_INET, 24, {10, 0, 2, 100}}, {AF_INET6, 64, {0xfd, [14] = 1}}},
		.router = {{AF_INET, 24, {10, 0, 2, 2}}, {AF_INET6, 64, {0xfd, [15] = 2}}},
		.dns = {{AF_INET, 24, {10, 0, 2, 3}}, {AF_INET6, 64, {0xfd, [15] = 3}}},
	};
}

struct message {
	uint8_t bytes[1500];
	size_t size;
};

static inline void message_add(struct message *message, const void *data, size_t size)
{
	struct writer writer = {message->bytes, message->size, sizeof(message->bytes), false};

	write_bytes(&writer, data, size);
	assert_false(writer.full);
	message->size = writer.size;
}
#define MESSAGE_ADD(message, ...) \
	message_add((message), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

#endif
