/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Published ports: what is accepted is ports that exist, what is refused says why and leaves the output alone. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <vnic/sandbox.h>

static void check_accepted(const struct vnic_publish *publish)
{
	if (!publish->port || !publish->to_port || !publish->count)
		abort();
	if (publish->port + publish->count - 1 > 65535 || publish->to_port + publish->count - 1 > 65535)
		abort();
	switch (publish->addr.family) {
	case AF_UNSPEC:
	case AF_INET:
	case AF_INET6:
		break;
	default:
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vnic_publish before = {.port = 7};
	char *text = strndup((const char *)data, size);
	struct vnic_publish publish = before;
	struct vnic_error err = {0};

	if (!text)
		return 0;
	int r = vnic_publish_parse(text, &publish, &err);
	if (r == 0)
		check_accepted(&publish);
	else if (err.code != -r || !err.detail[0] || memcmp(&publish, &before, sizeof(before)))
		abort();
	free(text);
	return 0;
}
