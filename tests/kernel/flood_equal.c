/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flow's frames, whole and damaged: its ring gives exactly those that its socket would have given, byte by byte.
 *
 * Each frame is sent twice, once while the flow goes the ordinary way and once while it is led into its ring.  A
 * datagram of the flow follows each, so it is known when there is nothing more to come of it.
 */
#include "flood_world.h"

#include "tproxy_frames.h"

#include <linux/virtio_net.h>

#define PAYLOAD "what it carries"
#define END "the end"

enum { FRAMES = 4000, GOT = 256 };

struct sample {
	char about[64];
	struct virtio_net_hdr unfinished; /* all 0: its checksums are what they are */
	struct slow_frame frame;
};

struct got {
	char data[GOT];
	ssize_t size; /* -1: nothing */
};

struct trial {
	struct world world;
	struct flow flow;
	int inner, wire; /* the router's socket of the flow; the sandbox's end of the NIC, with virtio headers */
	struct sample samples[FRAMES];
	struct got ordinary[FRAMES];
	unsigned count, taken;
};

/* --- what is sent ------------------------------------------------------------------- */

static bool is_flow_v6(const struct trial *trial)
{
	return trial->flow.key.family == AF_INET6;
}

static size_t ip_header(const struct trial *trial)
{
	return is_flow_v6(trial) ? 40 : 20;
}

static void finish_ip(const struct trial *trial, struct slow_frame *frame)
{
	uint8_t *ip = frame->data + ETHER;

	if (is_flow_v6(trial))
		return;
	put16(ip + 10, 0);
	put16(ip + 10, folded(sum16(ip, (ip[0] & 15) * 4u, 0)));
}

/* Over as many bytes as the UDP header says, or there are; over IPv6 0 says all of them (RFC 2675). */
static void finish_udp(const struct trial *trial, struct slow_frame *frame)
{
	bool v6 = is_flow_v6(trial);
	uint8_t *ip = frame->data + ETHER, *udp = ip + ip_header(trial);
	size_t there = frame->size - ETHER - ip_header(trial), said = get16(udp + 4), size;
	uint16_t sum;

	if (v6 && said == 0)
		said = there;
	size = said < there ? said : there;
	put16(udp + 6, 0);
	sum = folded(sum16(udp, size, sum16(ip + (v6 ? 8 : 12), v6 ? 32 : 8, IPPROTO_UDP + (uint32_t)said)));
	put16(udp + 6, sum ? sum : 0xffff);
}

static struct slow_frame whole(const struct trial *trial)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	const struct flow_key *key = &trial->flow.key;
	struct slow_frame frame;

	inet_ntop(key->family, key->src.addr, src, sizeof(src));
	inet_ntop(key->family, key->dst.addr, dst, sizeof(dst));
	frame = forge(&(struct forged){.src = src,
				       .dst = dst,
				       .sport = key->src.port,
				       .dport = key->dst.port,
				       .protocol = IPPROTO_UDP,
				       .payload = PAYLOAD,
				       .payload_size = strlen(PAYLOAD)});
	memcpy(frame.data, trial->world.plan.nics[0].outer_mac.bytes, VNIC_MAC_LEN);
	memcpy(frame.data + VNIC_MAC_LEN, trial->world.plan.nics[0].inner_mac.bytes, VNIC_MAC_LEN);
	return frame;
}

static struct sample *add(struct trial *trial, const char *about, const struct slow_frame *frame)
{
	struct sample *sample = &trial->samples[trial->count++];

	assert_true(trial->count <= FRAMES);
	*sample = (struct sample){.frame = *frame};
	snprintf(sample->about, sizeof(sample->about), "%s", about);
	return sample;
}

/* As it is, with IP's checksum made right, and with both; and with UDP's unfinished, as senders leave it. */
static void add_ways(struct trial *trial, const char *about, struct slow_frame frame)
{
	const struct virtio_net_hdr unfinished = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						  .csum_start = (uint16_t)(ETHER + ip_header(trial)),
						  .csum_offset = 6};
	char text[64];

	add(trial, about, &frame);
	finish_ip(trial, &frame);
	snprintf(text, sizeof(text), "%s, IP's checksum right", about);
	add(trial, text, &frame);
	if (frame.size >= ETHER + ip_header(trial) + 8) {
		snprintf(text, sizeof(text), "%s, UDP's unfinished", about);
		add(trial, text, &frame)->unfinished = unfinished;
		finish_udp(trial, &frame);
		snprintf(text, sizeof(text), "%s, both right", about);
		add(trial, text, &frame);
	}
}

static void add_each_byte_changed(struct trial *trial)
{
	static const uint8_t changes[] = {0x01, 0x80, 0xff};
	const struct slow_frame good = whole(trial);
	char text[64];

	for (size_t at = 0; at < ETHER + ip_header(trial) + 8 + 1; at++)
		for (unsigned c = 0; c < sizeof(changes); c++) {
			struct slow_frame frame = good;

			frame.data[at] ^= changes[c];
			snprintf(text, sizeof(text), "byte %zu ^ %#x", at, changes[c]);
			add_ways(trial, text, frame);
		}
}

static void insert(struct slow_frame *frame, size_t at, const void *bytes, size_t size)
{
	memmove(frame->data + at + size, frame->data + at, frame->size - at);
	memcpy(frame->data + at, bytes, size);
	frame->size += size;
}

static void add_lengths(struct trial *trial)
{
	const struct slow_frame good = whole(trial);
	size_t ip_at = ETHER + (is_flow_v6(trial) ? 4 : 2), udp_at = ETHER + ip_header(trial) + 4;
	static const int changes[] = {-(int)(8 + sizeof(PAYLOAD) - 1), -20, -16, -15, -8, -1, 1, 8, 100, 40000};
	char text[64];

	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct slow_frame ip = good, udp = good, size = good;

		put16(ip.data + ip_at, (size_t)(get16(ip.data + ip_at) + changes[i]));
		snprintf(text, sizeof(text), "IP says %d bytes", changes[i]);
		add_ways(trial, text, ip);
		put16(udp.data + udp_at, (size_t)(get16(udp.data + udp_at) + changes[i]));
		snprintf(text, sizeof(text), "UDP says %d bytes", changes[i]);
		add_ways(trial, text, udp);
		if (changes[i] > 1000)
			continue;
		size.size = (size_t)((int)size.size + changes[i]);
		snprintf(text, sizeof(text), "there are %d bytes", changes[i]);
		add_ways(trial, text, size);
	}
}

static void add_no_checksum(struct trial *trial)
{
	struct slow_frame frame = whole(trial);

	put16(frame.data + ETHER + ip_header(trial) + 6, 0);
	add_ways(trial, "no checksum", frame);
}

static void add_options(struct trial *trial)
{
	static const uint8_t nothing[4] = {1, 1, 1, 0}, extension[8] = {IPPROTO_UDP, 0, 1, 4};
	struct slow_frame frame = whole(trial);
	uint8_t *ip = frame.data + ETHER;
	bool v6 = is_flow_v6(trial);
	size_t size = v6 ? sizeof(extension) : sizeof(nothing);

	insert(&frame, ETHER + ip_header(trial), v6 ? extension : nothing, size);
	if (v6) {
		ip[6] = IPPROTO_DSTOPTS;
		put16(ip + 4, get16(ip + 4) + size);
	} else {
		ip[0] = 0x46;
		put16(ip + 2, get16(ip + 2) + size);
		finish_ip(trial, &frame);
	}
	add(trial, "options", &frame);
}

static void add_tags(struct trial *trial)
{
	static const uint8_t tags[][4] = {
		{0x81, 0, 0, 0}, {0x81, 0, 0, 5}, {0x81, 0, 0xe0, 0}, {0x88, 0xa8, 0, 0}, {0x88, 0xa8, 0, 5}};

	for (unsigned i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		struct slow_frame frame = whole(trial);
		char text[64];

		insert(&frame, 12, tags[i], 4);
		snprintf(text, sizeof(text), "tag %02x%02x%02x%02x", tags[i][0], tags[i][1], tags[i][2], tags[i][3]);
		add(trial, text, &frame);
		insert(&frame, 12, tags[i], 4);
		snprintf(text, sizeof(text), "two tags %02x%02x%02x%02x", tags[i][0], tags[i][1], tags[i][2],
			 tags[i][3]);
		add(trial, text, &frame);
	}
}

/* --- sending and getting ------------------------------------------------------------ */

/* The kernel may refuse to send it. */
static void send_sample(const struct trial *trial, const struct sample *sample)
{
	struct iovec iov[] = {{(void *)&sample->unfinished, sizeof(sample->unfinished)},
			      {(void *)sample->frame.data, sample->frame.size}};

	assert_true(writev(trial->wire, iov, 2) > 0 || errno == EINVAL);
	assert_int_equal(send(trial->flow.fd, END, strlen(END), 0), strlen(END));
}

static bool is_end(const struct got *got)
{
	return got->size == (ssize_t)strlen(END) && !memcmp(got->data, END, strlen(END));
}

static struct got by_socket(const struct trial *trial)
{
	struct got got, end = {.size = -1};

	assert_true(vt_readable(trial->inner));
	got.size = recv(trial->inner, got.data, sizeof(got.data), 0);
	if (is_end(&got))
		return end;
	assert_true(vt_readable(trial->inner));
	end.size = recv(trial->inner, end.data, sizeof(end.data), 0);
	assert_true(is_end(&end));
	return got;
}

/* Or by the socket, where it goes the ordinary way. */
static struct got by_ring(const struct trial *trial, struct led *led)
{
	struct got found = {.size = -1}, got = found;
	bool ended = false;

	while (!ended)
		for (int n = take(led, &trial->flow), i = 0; i < n; i++) {
			size_t part;

			got.size = (ssize_t)datagrams_size(led->batch, (unsigned)i);
			assert_true(got.size <= GOT);
			memcpy(got.data, datagrams_data(led->batch, (unsigned)i, &part), (size_t)got.size);
			ended = is_end(&got);
			if (!ended)
				found = got;
		}
	got.size = recv(trial->inner, got.data, sizeof(got.data), 0);
	return got.size >= 0 ? got : found;
}

static int connected_inside(const struct trial *trial)
{
	const struct opener_flood *flood = &trial->flow.flood;
	bool v6 = is_flow_v6(trial);
	socklen_t size = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd = socket(trial->flow.key.family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	uint32_t mark = VNIC_MARK_FLOW;

	assert_return_code(
		setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof(on)),
		errno);
	assert_return_code(bind(fd, (const struct sockaddr *)&flood->dst, size), errno);
	assert_return_code(connect(fd, (const struct sockaddr *)&flood->src, size), errno);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), errno);
	return fd;
}

static void assert_same(const struct sample *sample, const struct got *ordinary, const struct got *ring)
{
	if (ordinary->size != ring->size ||
	    (ring->size > 0 && memcmp(ordinary->data, ring->data, (size_t)ring->size) != 0))
		fail_msg("%s: %zd bytes by the socket, %zd by the ring", sample->about, ordinary->size, ring->size);
}

static void prepare(struct trial *trial, const char *remote, const char *sandbox)
{
	int on = 1;

	trial->world = world_new();
	trial->flow = flow_to(&trial->world, remote, sandbox);
	trial->inner = connected_inside(trial);
	trial->wire = sandbox_wire(&trial->world);
	assert_return_code(setsockopt(trial->wire, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), errno);
	add_each_byte_changed(trial);
	add_lengths(trial);
	add_no_checksum(trial);
	add_options(trial);
	add_tags(trial);
}

static void the_ring_gives_what_the_socket_would_have_given(const char *remote, const char *sandbox)
{
	struct trial *trial = calloc(1, sizeof(*trial));

	assert_non_null(trial);
	prepare(trial, remote, sandbox);
	for (unsigned i = 0; i < trial->count; i++) {
		send_sample(trial, &trial->samples[i]);
		trial->ordinary[i] = by_socket(trial);
		trial->taken += trial->ordinary[i].size >= 0;
	}
	assert_in_range(trial->taken, 10, trial->count - 10);

	struct led led = lead(&trial->world, &trial->flow);
	for (unsigned i = 0; i < trial->count; i++) {
		send_sample(trial, &trial->samples[i]);
		struct got got = by_ring(trial, &led);
		assert_same(&trial->samples[i], &trial->ordinary[i], &got);
	}
	print_message("# %u frames, of which the flow has %u\n", trial->count, trial->taken);
	stop_leading(&led, &trial->world, &trial->flow);
	close(trial->inner);
	close(trial->wire);
	world_close(&trial->world);
	free(trial);
}
OF_BOTH_FAMILIES(the_ring_gives_what_the_socket_would_have_given)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTS_OF(the_ring_gives_what_the_socket_would_have_given),
	};

	world_own_namespaces(CLONE_NEWNET | CLONE_NEWNS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
