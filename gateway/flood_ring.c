/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flood_ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "fd.h"

#define BLOCK (128u << 10) /* room for the longest super-datagram, or some would overtake others */
#define BLOCKS 16u
#define OLDEST_MS 1

#ifndef PACKET_VNET_HDR_SZ
#define PACKET_VNET_HDR_SZ 24 /* Linux 6.4 */
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* --- making it ---------------------------------------------------------------------- */

static int refused(const char *what, struct vnic_error *err)
{
	return vnic_fail(err, VNIC_STEP_PACKET, errno, "for a flood", "%s", what);
}

/*
 * A kernel that cannot say in a header which datagrams a super-datagram is made of throws it away: Linux 6.2, which
 * learnt it, cannot be asked; but what came with 6.4 can.
 */
int flood_ring_make(int link, uint16_t protocol, uint32_t mark, int *ret_fd, struct vnic_error *err)
{
	struct sock_filter marked[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_MARK)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mark, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog filter = {sizeof(marked) / sizeof(marked[0]), marked};
	const struct tpacket_req3 request = {
		.tp_block_size = BLOCK,
		.tp_block_nr = BLOCKS,
		.tp_frame_size = BLOCK, /* they have the size that they need */
		.tp_frame_nr = BLOCKS,
		.tp_retire_blk_tov = OLDEST_MS,
	};
	const struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = link};
	const int header = sizeof(struct virtio_net_hdr), version = TPACKET_V3;
	CLEANUP_FD int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		return refused("socket", err);
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR_SZ, &header, sizeof(header)) < 0)
		return refused("PACKET_VNET_HDR_SZ", err);
	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0)
		return refused("PACKET_RX_RING", err);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return refused("bind", err);
	*ret_fd = take_fd(&fd);
	return 0;
}

int flood_ring_open(int fd, struct flood_ring *ret_ring)
{
	struct flood_ring ring = {.fd = fd};

	ring.blocks = mmap(NULL, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring.blocks == MAP_FAILED) {
		int code = errno;

		close_fd(&fd);
		return -code;
	}
	*ret_ring = ring;
	return 0;
}

void flood_ring_close(struct flood_ring *ring)
{
	if (ring->fd >= 0)
		munmap(ring->blocks, (size_t)BLOCK * BLOCKS);
	close_fd(&ring->fd);
}

/* --- reading it --------------------------------------------------------------------- */

static struct tpacket_hdr_v1 *header_of(const struct flood_ring *ring)
{
	struct tpacket_block_desc *block = (void *)(ring->blocks + (size_t)ring->block * BLOCK);

	return &block->hdr.bh1;
}

static _Atomic uint32_t *status_of(const struct flood_ring *ring)
{
	return (_Atomic uint32_t *)&header_of(ring)->block_status;
}

/* The kernel may write there again. */
static void give_back(struct flood_ring *ring)
{
	header_of(ring)->num_pkts = 0; /* the kernel does so too, but where all were full not before the next frame */
	atomic_store_explicit(status_of(ring), TP_STATUS_KERNEL, memory_order_release);
	ring->block = (ring->block + 1) % BLOCKS;
	ring->next = NULL;
}

/* False: none is ready. */
static bool begin_block(struct flood_ring *ring)
{
	const struct tpacket_hdr_v1 *header;

	if (ring->next && !ring->left)
		give_back(ring);
	if (ring->next)
		return true;
	header = header_of(ring);
	if (!(atomic_load_explicit(status_of(ring), memory_order_acquire) & TP_STATUS_USER))
		return false;
	ring->left = header->num_pkts;
	ring->next = (const uint8_t *)header - offsetof(struct tpacket_block_desc, hdr) + header->offset_to_first_pkt;
	return true;
}

/*
 * The ring gets frames before the kernel's IP has looked at them: what that would have dropped is dropped here.  A
 * checksum that the kernel has checked, or would still have to make, is right.
 */
static bool is_good(const struct tpacket3_hdr *header, const struct packet *packet)
{
	bool udp_is_right = header->tp_status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID);

	return packet_is_intact(packet, udp_is_right);
}

/* Its payload; false: it is none of this flow. */
static bool read_frame(const uint8_t *at, const struct flow_key *key, struct packet *packet, size_t *ret_part)
{
	const struct tpacket3_hdr *header = (const void *)at;
	const uint8_t *frame = at + header->tp_mac;
	struct virtio_net_hdr about;

	memcpy(&about, frame - sizeof(about), sizeof(about));
	if (header->tp_snaplen < header->tp_len || !packet_parse(frame, header->tp_snaplen, packet) ||
	    packet->fragment || packet->proto != IPPROTO_UDP || memcmp(&packet->key, key, sizeof(*key)) != 0 ||
	    !is_good(header, packet))
		return false;
	*ret_part = about.gso_type == VIRTIO_NET_HDR_GSO_UDP_L4 ? about.gso_size : 0;
	return true;
}

int flood_ring_receive(struct flood_ring *ring, const struct flow_key *key, struct datagrams *batch, uint64_t *ret_bad)
{
	unsigned count = 0;

	if (!begin_block(ring))
		return -EAGAIN;
	while (count < DATAGRAMS && ring->left) {
		struct packet packet;
		size_t part;

		if (read_frame(ring->next, key, &packet, &part))
			datagrams_put(batch, count++, packet_datagram(&packet), packet_datagram_size(&packet), part);
		else
			++*ret_bad;
		ring->next += ((const struct tpacket3_hdr *)(const void *)ring->next)->tp_next_offset;
		ring->left--;
	}
	return (int)count;
}

bool flood_ring_is_empty(const struct flood_ring *ring)
{
	const volatile uint32_t *count = &header_of(ring)->num_pkts; /* the kernel's, of a block that it fills */

	return !ring->next && *count == 0;
}

uint64_t flood_ring_overrun(struct flood_ring *ring)
{
	struct tpacket_stats_v3 stats = {0};

	if (ring->fd >= 0 &&
	    getsockopt(ring->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &(socklen_t){sizeof(stats)}) == 0)
		ring->overrun += stats.tp_drops;
	return ring->overrun;
}
