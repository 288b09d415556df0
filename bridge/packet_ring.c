/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  The kernel writes frames into blocks of a ring that it shares with the reader (TPACKET_V3), and
 * hands a block over when it is full or old: so hundreds of frames cost one wake-up and no copy, and the snap length,
 * which is what a socket's filter returns, saves the kernel the rest of each.  A frame that finds no block free is
 * counted and not seen; the link never waits.
 *
 * A block holds the largest super-frame whole.
 *
 * Rejected: recvmmsg, a copy and a share of a call for each frame; and a relay in the NIC's way, which would slow what
 * is not captured.
 */
#include "packet_ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "vlan.h"

#define BLOCK_BYTES (256u << 10)
#define BLOCKS 32u
#define RING_BYTES ((size_t)BLOCK_BYTES * BLOCKS)
#define ADDRESS_AT \
	((sizeof(struct tpacket3_hdr) + TPACKET_ALIGNMENT - 1) & ~(size_t)(TPACKET_ALIGNMENT - 1)) /* TPACKET_ALIGN */
#define TAG_ROOM 16 /* before a frame, for a tag that is put back; the kernel wants its alignment */

static int set(int fd, int level, int option, const void *value, socklen_t len)
{
	return setsockopt(fd, level, option, value, len);
}

static int snap(int fd, uint32_t snaplen)
{
	struct sock_filter take = BPF_STMT(BPF_RET | BPF_K, snaplen);
	const struct sock_fprog program = {.len = 1, .filter = &take};

	return snaplen ? set(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) : 0;
}

int packet_ring_open(int index, uint32_t snaplen, int *ret_fd, struct vnic_error *err)
{
	const struct sockaddr_ll addr = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
	const struct tpacket_req3 ring = {
		.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = BLOCKS,
		.tp_frame_size = TPACKET_ALIGNMENT << 7, /* of no meaning here, but checked */
		.tp_frame_nr = BLOCK_BYTES / (TPACKET_ALIGNMENT << 7) * BLOCKS,
		.tp_retire_blk_tov = PACKET_RING_RETIRE_MS,
	};
	const int version = TPACKET_V3, room = TAG_ROOM;
	/* Protocol 0: nothing is received until bind(2), when all options stand. */
	CLEANUP_FD int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char object[32];

	snprintf(object, sizeof(object), "ifindex %d", index);
	if (fd < 0)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, object, NULL);
	if (set(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    set(fd, SOL_PACKET, PACKET_RESERVE, &room, sizeof(room)) < 0 ||
	    set(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)) < 0)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, object, "PACKET_RX_RING");
	if (snap(fd, snaplen) < 0)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, object, "SO_ATTACH_FILTER");
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, object, NULL);
	*ret_fd = take_fd(&fd);
	return 0;
}

int packet_ring_map(int fd, struct packet_ring *ret_ring, struct vnic_error *err)
{
	void *map = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return vnic_fail(err, VNIC_STEP_PACKET, errno, "the ring", NULL);
	*ret_ring = (struct packet_ring){.fd = fd, .map = map};
	return 0;
}

void packet_ring_close(struct packet_ring *ring)
{
	if (ring->map)
		munmap(ring->map, RING_BYTES);
	close_fd(&ring->fd);
	*ring = PACKET_RING_EMPTY;
}

/* --- frames --------------------------------------------------------------------------- */

static void show(struct tpacket3_hdr *header, packet_ring_each *each, void *ctx)
{
	const struct sockaddr_ll *from = (const struct sockaddr_ll *)((uint8_t *)header + ADDRESS_AT);
	struct frame frame = {.data = (uint8_t *)header + header->tp_mac, .len = header->tp_snaplen};
	size_t tag = frame.len;

	if (header->tp_status & TP_STATUS_VLAN_VALID && frame.len >= ETH_HLEN)
		frame_push_vlan(&frame,
				header->tp_status & TP_STATUS_VLAN_TPID_VALID ? header->hv1.tp_vlan_tpid : ETH_P_8021Q,
				(uint16_t)header->hv1.tp_vlan_tci);
	tag = frame.len - tag;
	const struct captured captured = {
		.data = frame.data,
		.captured = frame.len,
		.len = header->tp_len + tag,
		.time = header->tp_sec * (uint64_t)NS_PER_S + header->tp_nsec,
	};
	each(ctx, from->sll_pkttype == PACKET_OUTGOING, &captured);
}

int packet_ring_read(struct packet_ring *ring, packet_ring_each *each, void *ctx)
{
	uint8_t *at = ring->map + (size_t)ring->block * BLOCK_BYTES;
	struct tpacket_hdr_v1 *block = &((struct tpacket_block_desc *)at)->hdr.bh1;

	if (!(__atomic_load_n(&block->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return 0;
	at += block->offset_to_first_pkt;
	for (uint32_t i = 0; i < block->num_pkts; i++) {
		struct tpacket3_hdr *header = (struct tpacket3_hdr *)at;

		at += header->tp_next_offset;
		show(header, each, ctx);
	}
	__atomic_store_n(&block->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	ring->block = (ring->block + 1) % BLOCKS;
	return 1;
}

/* The kernel begins anew each time that it is asked. */
void packet_ring_count(struct packet_ring *ring)
{
	struct tpacket_stats_v3 stats;
	socklen_t len = sizeof(stats);

	if (getsockopt(ring->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) < 0)
		return;
	ring->frames += stats.tp_packets;
	ring->dropped += stats.tp_drops;
}
