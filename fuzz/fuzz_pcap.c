/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that are said to be captures: each packet lies within what was read, and an error says where it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pcap.h"

static struct pcap pcap; /* large */

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void check_packet(const struct pcap_packet *packet, size_t size)
{
	require(packet->len <= PCAP_PACKET_MAX && packet->len <= size && packet->len <= packet->original);
	require(packet->data >= pcap.bytes && packet->data + packet->len <= pcap.bytes + sizeof(pcap.bytes));
	require(pcap.begin <= pcap.end && pcap.position <= size && pcap.count <= PCAP_INTERFACES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vnic_error err = {0};
	struct pcap_packet packet;
	uint16_t linktype;
	int fd = memfd_create("capture", MFD_CLOEXEC);

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	int r = pcap_begin(&pcap, fd, &linktype, &err);
	while (r >= 0 && ((r = pcap_next(&pcap, &packet, &err)) > 0 || r == -EAGAIN)) {
		if (r > 0)
			check_packet(&packet, size);
		r = 0;
	}
	require(r == 0 || (r == -EBADMSG && err.code == EBADMSG && strstr(err.detail, "at byte ")));
	require(pcap.position <= size);
	close(fd);
	return 0;
}
