/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of captured frames: read in all their dialects, replayed in time, written, and refused where they are none. */
#include "vt.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pcap.h"
#include "relay_ports.h"
#include "relay_told.h"

#define SECOND 1000000000LL
#define FRAME_LEN 60

/* --- files ---------------------------------------------------------------------------- */

struct file {
	bool swapped;
	size_t len, block;
	uint8_t bytes[8192];
};

static void put(struct file *file, const void *data, size_t len)
{
	memcpy(file->bytes + file->len, data, len);
	file->len += len;
}

static void put16(struct file *file, uint16_t value)
{
	value = file->swapped ? __builtin_bswap16(value) : value;
	put(file, &value, sizeof(value));
}

static void put32(struct file *file, uint32_t value)
{
	value = file->swapped ? __builtin_bswap32(value) : value;
	put(file, &value, sizeof(value));
}

static void put_header(struct file *file, uint32_t magic, uint32_t linktype)
{
	const uint32_t fields[] = {0x00040002, 0, 0, 262144};

	put32(file, magic);
	for (unsigned i = 0; i < 4; i++)
		put32(file, fields[i]);
	put32(file, linktype);
}

static void make_frame(uint8_t *frame, uint8_t first)
{
	for (unsigned i = 0; i < FRAME_LEN; i++)
		frame[i] = (uint8_t)(first + i * 2);
}

static void put_record(struct file *file, uint32_t seconds, uint32_t fraction, uint8_t first)
{
	uint8_t frame[FRAME_LEN];

	make_frame(frame, first);
	put32(file, seconds);
	put32(file, fraction);
	put32(file, FRAME_LEN);
	put32(file, FRAME_LEN);
	put(file, frame, FRAME_LEN);
}

static void begin_block(struct file *file, uint32_t type)
{
	file->block = file->len;
	put32(file, type);
	put32(file, 0);
}

static void end_block(struct file *file)
{
	size_t end = file->len, len = end + 4 - file->block;

	file->len = file->block + 4;
	put32(file, (uint32_t)len);
	file->len = end;
	put32(file, (uint32_t)len);
}

static void put_section(struct file *file)
{
	begin_block(file, 0x0a0d0d0a);
	put32(file, 0x1a2b3c4d);
	put16(file, 1);
	put16(file, 0);
	put32(file, UINT32_MAX);
	put32(file, UINT32_MAX);
	end_block(file);
}

/* resolution: as the option has it; 0xff: none. */
static void put_interface(struct file *file, uint16_t linktype, uint32_t snaplen, uint8_t resolution)
{
	begin_block(file, 1);
	put16(file, linktype);
	put16(file, 0);
	put32(file, snaplen);
	if (resolution != 0xff) {
		put16(file, 2); /* a name */
		put16(file, 2);
		put(file, "x0\0", 4);
		put16(file, 9);
		put16(file, 1);
		put(file, (uint8_t[4]){resolution}, 4);
		put32(file, 0);
	}
	end_block(file);
}

static void put_rest_of_packet(struct file *file, uint64_t units, uint8_t first)
{
	uint8_t frame[FRAME_LEN];

	make_frame(frame, first);
	put32(file, (uint32_t)(units >> 32));
	put32(file, (uint32_t)units);
	put32(file, FRAME_LEN);
	put32(file, FRAME_LEN);
	put(file, frame, FRAME_LEN);
	end_block(file);
}

static void put_packet(struct file *file, uint32_t interface, uint64_t units, uint8_t first)
{
	begin_block(file, 6);
	put32(file, interface);
	put_rest_of_packet(file, units, first);
}

/* And so many were dropped before it. */
static void put_old_packet(struct file *file, uint16_t interface, uint16_t drops, uint64_t units, uint8_t first)
{
	begin_block(file, 2);
	put16(file, interface);
	put16(file, drops);
	put_rest_of_packet(file, units, first);
}

static void put_simple(struct file *file, uint8_t first)
{
	uint8_t frame[FRAME_LEN];

	make_frame(frame, first);
	begin_block(file, 3);
	put32(file, FRAME_LEN);
	put(file, frame, FRAME_LEN);
	end_block(file);
}

static void put_unknown(struct file *file)
{
	begin_block(file, 0xbad);
	put32(file, 1);
	end_block(file);
}

static int fd_of(const struct file *file)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);

	assert_int_equal(write(fd, file->bytes, file->len), file->len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* --- the reader ----------------------------------------------------------------------- */

static struct pcap pcap;

static void begin_reading(const struct file *file)
{
	uint16_t linktype;
	struct vnic_error err;

	vt_ok(pcap_begin(&pcap, fd_of(file), &linktype, &err), &err);
	assert_int_equal(linktype, LINKTYPE_ETHERNET);
}

static void reads(uint8_t first, int64_t time)
{
	struct pcap_packet packet;
	uint8_t frame[FRAME_LEN];
	struct vnic_error err;

	assert_int_equal(vt_ok(pcap_next(&pcap, &packet, &err), &err), 1);
	make_frame(frame, first);
	assert_int_equal(packet.len, FRAME_LEN);
	assert_int_equal(packet.original, FRAME_LEN);
	assert_memory_equal(packet.data, frame, FRAME_LEN);
	assert_int_equal(packet.timed, time != 0);
	assert_int_equal(packet.time, time);
}

static void ends(void)
{
	struct pcap_packet packet;
	struct vnic_error err;

	assert_int_equal(vt_ok(pcap_next(&pcap, &packet, &err), &err), 0);
	assert_int_equal(vt_ok(pcap_next(&pcap, &packet, &err), &err), 0);
	close(pcap.fd);
}

static void pcap_is_read_in_both_byte_orders_and_resolutions(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct file file = {.swapped = i & 1};
		const bool ns = i & 2;

		put_header(&file, ns ? 0xa1b23c4d : 0xa1b2c3d4, LINKTYPE_ETHERNET);
		put_record(&file, 1700000000, 5, 1);
		put_record(&file, 1700000001, 999999, 2);
		begin_reading(&file);
		reads(1, 1700000000 * SECOND + (ns ? 5 : 5000));
		reads(2, 1700000001 * SECOND + (ns ? 999999 : 999999000));
		ends();
	}
}

static void pcapng_has_sections_interfaces_and_blocks_to_skip(void **state)
{
	struct file file = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		file.swapped = i & 1;
		put_section(&file);
		put_interface(&file, LINKTYPE_ETHERNET, 0, 0xff);
		put_unknown(&file);
		put_interface(&file, LINKTYPE_ETHERNET, 64, 9);
		put_interface(&file, LINKTYPE_ETHERNET, 64, 0x80 | 10);
		put_packet(&file, 1, 1700000000 * (uint64_t)SECOND + 7, 1);
		put_packet(&file, 0, 1700000000 * 1000000ULL + 7, 2);
		put_packet(&file, 2, 1700000000ULL << 10 | 512, 3);
		put_simple(&file, 4);
		put_old_packet(&file, 1, 5, 1700000000 * (uint64_t)SECOND + 9, 5);
	}
	begin_reading(&file);
	for (unsigned i = 0; i < 3; i++) {
		reads(1, 1700000000 * SECOND + 7);
		reads(2, 1700000000 * SECOND + 7000);
		reads(3, 1700000000 * SECOND + SECOND / 2);
		reads(4, 0);
		reads(5, 1700000000 * SECOND + 9);
	}
	ends();
}

static void put_option(struct file *file, uint16_t code, const void *value, uint16_t len)
{
	put16(file, code);
	put16(file, len);
	put(file, value, 4);
}

static void put_interface_with_fcs(struct file *file, uint8_t fcs)
{
	begin_block(file, 1);
	put16(file, LINKTYPE_ETHERNET);
	put16(file, 0);
	put32(file, 0);
	put_option(file, 13, (uint8_t[4]){fcs}, 1);
	end_block(file);
}

/* A frame with `fcs` more bytes, of which `cut` are not there. */
static void put_lengths_and_frame(struct file *file, uint8_t first, uint32_t fcs, uint32_t cut)
{
	uint8_t frame[FRAME_LEN + 8] = {0};

	make_frame(frame, first);
	memset(frame + FRAME_LEN, 0xee, fcs);
	put32(file, FRAME_LEN + fcs - cut);
	put32(file, FRAME_LEN + fcs);
	put(file, frame, (FRAME_LEN + fcs - cut + 3u) & ~3u);
}

static void put_packet_with_fcs(struct file *file, uint32_t interface, uint8_t first, uint32_t fcs, uint32_t flags)
{
	begin_block(file, 6);
	put32(file, interface);
	put32(file, 0);
	put32(file, 1);
	put_lengths_and_frame(file, first, fcs, 0);
	if (flags) {
		put_option(file, 1, "hi\0", 2);
		put16(file, 2);
		put16(file, 4);
		put32(file, flags);
	}
	end_block(file);
}

static void frame_check_sequences_of_pcap_are_left_out(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct file file = {.swapped = i};

		put_header(&file, 0xa1b2c3d4, 0x24000000 | LINKTYPE_ETHERNET);
		for (uint32_t cut = 0; cut <= 4; cut += 2) {
			put32(&file, cut);
			put32(&file, 1);
			put_lengths_and_frame(&file, (uint8_t)cut, 4, cut);
			file.len -= cut == 2 ? 2 : 0; /* no padding here */
		}
		begin_reading(&file);
		for (uint32_t cut = 0; cut <= 4; cut += 2)
			reads((uint8_t)cut, cut * SECOND + 1000);
		ends();
	}
}

static void without_the_bit_that_tells_of_them_there_are_none(void **state)
{
	struct file file = {0};

	(void)state;
	put_header(&file, 0xa1b2c3d4, 0x20000000 | LINKTYPE_ETHERNET);
	put_record(&file, 1, 0, 7);
	begin_reading(&file);
	reads(7, SECOND);
	ends();
}

/* An interface tells of them in bits, or as some do, in bytes; a packet's flags overrule it. */
static void frame_check_sequences_of_pcapng_are_left_out(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct file file = {.swapped = i};

		put_section(&file);
		put_interface_with_fcs(&file, 32);
		put_interface_with_fcs(&file, 4);
		put_interface(&file, LINKTYPE_ETHERNET, 0, 0xff);
		put_packet_with_fcs(&file, 0, 1, 4, 0);
		put_packet_with_fcs(&file, 1, 2, 4, 1); /* it came in: that is all that is said */
		put_packet_with_fcs(&file, 2, 3, 0, 0);
		put_packet_with_fcs(&file, 0, 4, 8, 8 << 5 | 2);
		put_packet_with_fcs(&file, 2, 5, 4, 4 << 5);
		begin_block(&file, 3);
		put32(&file, FRAME_LEN + 4);
		uint8_t frame[FRAME_LEN + 4] = {0};
		make_frame(frame, 6);
		put(&file, frame, sizeof(frame));
		end_block(&file);
		begin_reading(&file);
		for (uint8_t first = 1; first <= 5; first++)
			reads(first, 1000);
		reads(6, 0);
		ends();
	}
}

static void a_packet_that_is_all_frame_check_sequence_is_empty(void **state)
{
	struct file file = {0};
	struct pcap_packet packet;
	struct vnic_error err;

	(void)state;
	put_header(&file, 0xa1b2c3d4, 0xf4000000 | LINKTYPE_ETHERNET);
	for (unsigned i = 0; i < 2; i++)
		put32(&file, 0);
	for (unsigned i = 0; i < 2; i++)
		put32(&file, 12);
	put(&file, (uint8_t[12]){0}, 12);
	begin_reading(&file);
	assert_int_equal(vt_ok(pcap_next(&pcap, &packet, &err), &err), 1);
	assert_int_equal(packet.len, 0);
	assert_int_equal(packet.original, 0);
	ends();
}

/* However long the file, and the blocks that are skipped: the buffer is what it is. */
static void a_long_file_passes_through_the_buffer(void **state)
{
	static const uint8_t zeros[3 * PCAP_BUFFER];
	struct file file = {0}, packets = {0};
	const uint32_t len = sizeof(zeros) + 12;
	int fd;

	(void)state;
	put_section(&file);
	put_interface(&file, LINKTYPE_ETHERNET, 0, 0xff);
	put32(&file, 0xbad);
	put32(&file, len);
	for (unsigned i = 0; i < 64; i++)
		put_packet(&packets, 0, 1000000, 7);
	fd = fd_of(&file);
	assert_int_equal(lseek(fd, 0, SEEK_END), file.len);
	assert_int_equal(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
	assert_int_equal(write(fd, &len, sizeof(len)), sizeof(len));
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(write(fd, packets.bytes, packets.len), packets.len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	vt_ok(pcap_begin(&pcap, fd, &(uint16_t){0}, NULL), &(struct vnic_error){0});
	for (unsigned i = 0; i < 128 * 64; i++)
		reads(7, SECOND);
	ends();
}

static void a_malformed_file_is_an_error_that_says_where(void **state)
{
	static const struct {
		size_t at; /* of a pcapng file of one section, interface (at 28) and packet (at 48): what is spoilt */
		uint32_t value;
		const char *detail;
	} spoilt[] = {
		{0, 1, "this is neither pcap nor pcapng, at byte 0"},
		{4, 12, "a block's length cannot be, at byte 0"},
		{8, 1, "a section does not tell its byte order, at byte 0"},
		{12, 2, "a section has a version that is not known, at byte 0"},
		{24, 24, "a block's two lengths differ, at byte 0"},
		{32, 21, "a block's length cannot be, at byte 28"},
		{32, 0, "a block's length cannot be, at byte 28"},
		{28, 0xbad, "a packet's interface was not declared, at byte 48"},
		{52, 1 << 30, "a block's length cannot be, at byte 48"},
		{52, 96, "the file ends in the middle of a packet or block, at byte 48"},
		{56, 1, "a packet's interface was not declared, at byte 48"},
		{68, 61, "a packet is longer than its block, at byte 48"},
		{68, UINT32_MAX, "a packet is longer than its block, at byte 48"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
		struct file file = {0};
		struct pcap_packet packet;
		struct vnic_error err;
		uint16_t linktype;
		int fd, r;

		put_section(&file);
		put_interface(&file, LINKTYPE_ETHERNET, 0, 0xff);
		put_packet(&file, 0, 1, 1);
		memcpy(file.bytes + spoilt[i].at, &spoilt[i].value, 4);
		fd = fd_of(&file);
		r = pcap_begin(&pcap, fd, &linktype, &err);
		for (unsigned again = 0; r >= 0 && again < 2; again++)
			r = pcap_next(&pcap, &packet, &err);
		vt_fails(r, &err, VNIC_STEP_READ, EBADMSG);
		assert_string_equal(err.detail, spoilt[i].detail);
		close(fd);
	}
}

/* However often it has to be asked. */
static int next(struct pcap_packet *ret_packet, struct vnic_error *err)
{
	int r;

	while ((r = pcap_next(&pcap, ret_packet, err)) == -EAGAIN)
		;
	return r;
}

/* Reads to the end of it, or to what is wrong with it. */
static int read_all(const struct file *file, int64_t *ret_time, struct vnic_error *err)
{
	struct pcap_packet packet;
	uint16_t linktype;
	int fd = fd_of(file), r = pcap_begin(&pcap, fd, &linktype, err);

	while (r >= 0 && (r = next(&packet, err)) > 0)
		*ret_time = packet.time;
	close(fd);
	return r;
}

/* A section, an interface that counts microseconds, and a block with these words. */
static void a_file_with_block(struct file *ret_file, uint32_t type, const uint32_t *words, unsigned count)
{
	*ret_file = (struct file){0};
	put_section(ret_file);
	put_interface(ret_file, LINKTYPE_ETHERNET, 0, 0xff);
	begin_block(ret_file, type);
	for (unsigned i = 0; i < count; i++)
		put32(ret_file, words[i]);
	end_block(ret_file);
}

static void a_block_that_cannot_be_is_an_error_of_its_own(void **state)
{
	static const struct {
		uint32_t type, words[5];
		unsigned count;
		const char *detail;
	} blocks[] = {
		{1, {1}, 1, "an interface's block is too short, at byte 48"},
		{1, {1, 0, 9 | 8 << 16, 0}, 4, "an interface's options are longer than its block, at byte 48"},
		{1, {1, 0, 9 | 1 << 16, 20}, 4, "an interface's resolution cannot be, at byte 48"},
		{1, {1, 0, 9 | 1 << 16, 0xc0}, 4, "an interface's resolution cannot be, at byte 48"},
		{3, {0}, 0, "a packet's block is too short, at byte 48"},
		{3, {5, 0}, 2, "a packet is longer than its block, at byte 48"},
		{6, {0, 0, 0, 0}, 4, "a packet's block is too short, at byte 48"},
	};
	struct vnic_error err;
	struct file file;
	int64_t time;

	(void)state;
	for (unsigned i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		a_file_with_block(&file, blocks[i].type, blocks[i].words, blocks[i].count);
		vt_fails(read_all(&file, &time, &err), &err, VNIC_STEP_READ, EBADMSG);
		assert_string_equal(err.detail, blocks[i].detail);
	}
}

static void a_section_without_an_interface_has_no_packets(void **state)
{
	struct file file = {0};
	struct vnic_error err;
	int64_t time;

	(void)state;
	put_section(&file);
	vt_fails(read_all(&file, &time, &err), &err, VNIC_STEP_READ, EBADMSG);
	assert_non_null(strstr(err.detail, "there is no interface"));
	put_simple(&file, 1);
	vt_fails(read_all(&file, &time, &err), &err, VNIC_STEP_READ, EBADMSG);
	assert_non_null(strstr(err.detail, "a packet's interface was not declared"));
}

static void there_are_so_many_interfaces_and_no_more(void **state)
{
	struct file file = {0};
	uint8_t block[20] = {1, [4] = 20, [8] = LINKTYPE_ETHERNET, [16] = 20};
	struct vnic_error err;
	uint16_t linktype;
	int fd;

	(void)state;
	put_section(&file);
	fd = fd_of(&file);
	assert_int_equal(lseek(fd, 0, SEEK_END), file.len);
	for (unsigned i = 0; i <= PCAP_INTERFACES; i++)
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	vt_ok(pcap_begin(&pcap, fd, &linktype, &err), &err);
	vt_fails(next(&(struct pcap_packet){0}, &err), &err, VNIC_STEP_READ, EBADMSG);
	assert_non_null(strstr(err.detail, "there are too many interfaces"));
	close(fd);
}

/* A block that nobody knows; of its end `cut` bytes are missing. */
static void write_unknown(int fd, uint32_t len, int cut)
{
	const uint32_t head[] = {0x99, len}, tail = len;
	off_t at = lseek(fd, 0, SEEK_CUR);

	assert_int_equal(pwrite(fd, head, sizeof(head), at), sizeof(head));
	assert_int_equal(pwrite(fd, &tail, sizeof(tail), at + len - 4 - cut), sizeof(tail));
	assert_int_equal(lseek(fd, at + len, SEEK_SET), at + len);
}

/* Such a file costs who made it nothing: 16 GiB of zeros. */
static void large_blocks_are_not_read_and_many_take_several_calls(void **state)
{
	struct file file = {0}, rest = {0};
	struct pcap_packet packet;
	struct vnic_error err;
	uint16_t linktype;
	int fd, calls = 0, r;

	(void)state;
	put_section(&file);
	put_interface(&file, LINKTYPE_ETHERNET, 0, 0xff);
	put_packet(&rest, 0, 1, 1);
	fd = fd_of(&file);
	assert_int_equal(lseek(fd, 0, SEEK_END), file.len);
	for (unsigned i = 0; i < 4; i++)
		write_unknown(fd, 0xfffffffc, 0);
	for (unsigned i = 0; i < 2 * PCAP_BLOCKS; i++)
		write_unknown(fd, 12, 0);
	assert_int_equal(write(fd, rest.bytes, rest.len), rest.len);
	write_unknown(fd, 0xfffffffc, 4);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	vt_ok(pcap_begin(&pcap, fd, &linktype, &err), &err);
	for (; (r = pcap_next(&pcap, &packet, &err)) == -EAGAIN; calls++)
		;
	assert_int_equal(vt_ok(r, &err), 1);
	assert_int_equal(calls, 2);
	assert_int_equal(packet.len, FRAME_LEN);
	for (unsigned again = 0; again < 2; again++) {
		vt_fails(next(&packet, &err), &err, VNIC_STEP_READ, EBADMSG);
		assert_non_null(strstr(err.detail, "the file ends in the middle of a packet or block"));
	}
	close(fd);
}

/* Seconds are added to each time of an interface; what no clock can show is the end of time. */
static void an_interface_may_count_from_another_second(void **state)
{
	static const uint32_t soon[] = {1, 0, 14 | 8 << 16, 1000, 0, 0}, never[] = {1, 0, 14 | 8 << 16, 0, 1 << 30, 0};
	struct vnic_error err;
	struct file file;
	int64_t time;

	(void)state;
	a_file_with_block(&file, 1, soon, 6);
	put_packet(&file, 1, 7, 1);
	vt_ok(read_all(&file, &time, &err), &err);
	assert_int_equal(time, 1000 * SECOND + 7000);
	a_file_with_block(&file, 1, never, 6);
	put_packet(&file, 1, 7, 1);
	vt_ok(read_all(&file, &time, &err), &err);
	assert_int_equal(time, INT64_MAX);
}

/* --- ports ---------------------------------------------------------------------------- */

static struct vnic_relay *relay_new(void)
{
	const struct vnic_relay_config config = {0};
	struct vnic_relay *relay;
	struct vnic_error err;

	vt_ok(vnic_relay_new(&config, &relay, &err), &err);
	return relay;
}

static void add_pcap(struct vnic_relay *relay, int fd, bool write, double speed)
{
	const struct vnic_pcap config = {.fd = fd, .write = write, .speed = speed};
	struct vnic_error err;

	vt_ok(vnic_relay_add_pcap(relay, write ? "out" : "in", &config, &err), &err);
}

static struct file three_records(void)
{
	struct file file = {0};

	put_header(&file, 0xa1b2c3d4, LINKTYPE_ETHERNET);
	put_record(&file, 1700000000, 999000, 1);
	put_record(&file, 1700000001, 9000, 2);
	put_record(&file, 1700000001, 29000, 3);
	return file;
}

/* Returns the file's descriptor, at its begin. */
static int replayed(const struct file *file, double speed, const struct vnic_impairment *weather)
{
	int fd = memfd_create("copy", MFD_CLOEXEC), out = dup(fd);
	struct vnic_relay *relay = relay_new();
	struct vnic_error err;

	add_pcap(relay, fd_of(file), false, speed);
	add_pcap(relay, out, true, 0);
	for (unsigned d = 0; weather && d < VNIC_DIRECTIONS; d++)
		vt_ok(vnic_relay_set_impairment(relay, d == VNIC_INGRESS ? 0 : 1, d, weather, &err), &err);
	vt_ok(vnic_relay_run(relay, &err), &err);
	assert_int_equal(stats_of(relay, 1).tx_frames, 3);
	vt_fails(vnic_relay_dispatch(relay, 0, &err), &err, VNIC_STEP_RELAY, ENODATA);
	vnic_relay_free(relay);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Times of the three packets. */
static void read_copy(int fd, int64_t times[3])
{
	struct pcap_packet packet;
	struct vnic_error err;
	uint8_t frame[FRAME_LEN];
	uint16_t linktype;

	vt_ok(pcap_begin(&pcap, fd, &linktype, &err), &err);
	for (uint8_t i = 0; i < 3; i++) {
		assert_int_equal(vt_ok(pcap_next(&pcap, &packet, &err), &err), 1);
		make_frame(frame, (uint8_t)(i + 1));
		assert_int_equal(packet.len, FRAME_LEN);
		assert_memory_equal(packet.data, frame, FRAME_LEN);
		times[i] = packet.time;
	}
	ends();
}

/* Never too soon; how late one comes, the first too, is the machine's affair. */
static void what_is_replayed_is_written_byte_for_byte_and_in_time(void **state)
{
	const struct file file = three_records();
	struct timespec before;
	int64_t times[3], began;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &before);
	began = before.tv_sec * NS_PER_S + before.tv_nsec;
	read_copy(replayed(&file, 1, NULL), times);
	assert_true(times[1] - began > 9900000 && times[2] - began > 29900000); /* the clock may be slewed */
	read_copy(replayed(&file, 0, NULL), times);
	read_copy(replayed(&file, 1000, NULL), times);
}

static void what_weather_holds_at_the_end_still_arrives(void **state)
{
	const struct file file = three_records();
	const struct vnic_impairment weather = {.delay_us = 3000};
	int64_t times[3];

	(void)state;
	read_copy(replayed(&file, 0, &weather), times);
}

#define LARGE_LEN 1500
#define LARGE_COUNT 80 /* less than a stream gathers, and far more than the smallest socket takes */

static int large_records(void)
{
	static const uint8_t frame[LARGE_LEN];
	struct file file = {0};
	int fd;

	put_header(&file, 0xa1b2c3d4, LINKTYPE_ETHERNET);
	fd = fd_of(&file);
	file.len = 0;
	for (int i = 0; i < 2; i++)
		put32(&file, 1700000000);
	for (int i = 0; i < 2; i++)
		put32(&file, LARGE_LEN);
	put(&file, frame, LARGE_LEN);
	assert_int_equal(lseek(fd, 0, SEEK_END), 24);
	for (int i = 0; i < LARGE_COUNT; i++)
		assert_int_equal(write(fd, file.bytes, file.len), file.len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Returns how many bytes came. */
static void *read_to_end(void *ctx)
{
	static char bytes[1024];
	size_t all = 0;
	ssize_t n;

	while ((n = read(*(const int *)ctx, bytes, sizeof(bytes))) > 0)
		all += (size_t)n;
	return (void *)all;
}

static void a_stream_gets_all_that_was_replayed(void **state)
{
	struct vnic_relay *relay = relay_new();
	struct vnic_error err;
	pthread_t reader;
	void *bytes;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int)), 0);
	const struct vnic_conn conn = {.listener = -1, .fd = pair[0]};
	add_pcap(relay, large_records(), false, 0);
	assert_int_equal(vnic_relay_add_stream(relay, "stream", &conn, &err), 1);
	assert_int_equal(pthread_create(&reader, NULL, read_to_end, &pair[1]), 0);
	vt_ok(vnic_relay_run(relay, &err), &err);
	assert_int_equal(stats_of(relay, 1).tx_frames, LARGE_COUNT);
	vnic_relay_free(relay);
	assert_int_equal(pthread_join(reader, &bytes), 0);
	assert_int_equal((size_t)bytes, LARGE_COUNT * (4 + LARGE_LEN));
	close(pair[1]);
}

static void a_file_that_ends_too_soon_is_told_of(void **state)
{
	struct file file = three_records();
	struct vnic_relay *relay = relay_new();
	struct vnic_error err;

	(void)state;
	file.len--;
	add_pcap(relay, fd_of(&file), false, 0);
	add_pcap(relay, memfd_create("copy", MFD_CLOEXEC), true, 0);
	vt_fails(vnic_relay_run(relay, &err), &err, VNIC_STEP_READ, EBADMSG);
	assert_string_equal(err.object, "in");
	assert_string_equal(err.detail, "the file ends in the middle of a packet or block, at byte 176");
	assert_int_equal(stats_of(relay, 1).tx_frames, 2);
	vnic_relay_free(relay);
}

static void packets_that_were_cut_or_short_are_lost_and_counted(void **state)
{
	struct file file = three_records();
	struct vnic_relay *relay = relay_new();
	struct vnic_error err;

	(void)state;
	file.bytes[24 + 12]++;       /* the first was longer */
	file.bytes[24 + 76 + 8] = 0; /* the second is of nothing, and so is what follows */
	memset(file.bytes + 24 + 76 + 12, 0, 4);
	file.len = 24 + 76 + 16;
	add_pcap(relay, fd_of(&file), false, 0);
	add_pcap(relay, memfd_create("copy", MFD_CLOEXEC), true, 0);
	vt_ok(vnic_relay_run(relay, &err), &err);
	assert_int_equal(stats_of(relay, 0).rx_dropped[VNIC_DROP_CUT], 1);
	assert_int_equal(stats_of(relay, 0).rx_dropped[VNIC_DROP_SHORT], 1);
	assert_int_equal(stats_of(relay, 0).rx_frames, 2);
	vnic_relay_free(relay);
}

static void other_link_types_are_refused_by_number(void **state)
{
	struct vnic_relay *relay = relay_new();
	struct file file = {0};
	struct vnic_error err;

	(void)state;
	put_header(&file, 0xa1b2c3d4, 113);
	struct vnic_pcap config = {.fd = fd_of(&file)};
	vt_fails(vnic_relay_add_pcap(relay, "in", &config, &err), &err, VNIC_STEP_PORT, EINVAL);
	assert_string_equal(err.detail, "it has link type 113, and only Ethernet (1) and raw IP (101) can be replayed");
	close(config.fd);
	file.len = 0;
	put_section(&file);
	put_interface(&file, LINKTYPE_ETHERNET, 0, 0xff);
	put_interface(&file, 113, 0, 0xff);
	put_packet(&file, 1, 1, 1);
	add_pcap(relay, fd_of(&file), false, 0);
	add_pcap(relay, memfd_create("copy", MFD_CLOEXEC), true, 0);
	vt_fails(vnic_relay_run(relay, &err), &err, VNIC_STEP_READ, EBADMSG);
	assert_string_equal(err.detail, "a packet of link type 113 among others of type 1");
	vnic_relay_free(relay);
}

static void packets_without_a_link_header_are_those_of_a_tun(void **state)
{
	struct vnic_relay *relay = relay_new();
	struct file file = {0};
	struct vnic_error err;
	uint16_t linktype;
	int fd = memfd_create("copy", MFD_CLOEXEC);

	(void)state;
	put_header(&file, 0xa1b2c3d4, LINKTYPE_RAW);
	put_record(&file, 1, 1, 0x45);
	add_pcap(relay, fd_of(&file), false, 0);
	add_pcap(relay, dup(fd), true, 0);
	vt_ok(vnic_relay_run(relay, &err), &err);
	vnic_relay_free(relay);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	vt_ok(pcap_begin(&pcap, fd, &linktype, &err), &err);
	assert_int_equal(linktype, LINKTYPE_RAW);
	close(fd);
}

static void a_file_that_cannot_be_written_ends_the_run(void **state)
{
	static uint8_t frame[1500];
	struct vnic_relay *relay = relay_new();
	struct vnic_error err;
	int fd = memfd_create("full", MFD_CLOEXEC | MFD_ALLOW_SEALING), pair[2], r = 0;

	(void)state;
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	add_pcap(relay, fd, true, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	vt_ok(vnic_relay_add_dgram(relay, "far", &(struct vnic_dgram){.fd = pair[0]}, &err), &err);
	while (r >= 0) {
		assert_int_equal(send(pair[1], frame, sizeof(frame), 0), sizeof(frame));
		r = vnic_relay_dispatch(relay, 0, &err);
	}
	vt_fails(r, &err, VNIC_STEP_WRITE, EPERM);
	assert_string_equal(err.object, "out");
	close(pair[1]);
	vnic_relay_free(relay);
}

/* Three frames are far from filling the buffer: the first write is the last. */
static void a_file_that_cannot_be_written_at_the_end_is_told_of(void **state)
{
	const struct file file = three_records();
	struct vnic_relay *relay = relay_new();
	struct vnic_error err;
	int fd = memfd_create("full", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	add_pcap(relay, fd_of(&file), false, 0);
	add_pcap(relay, fd, true, 0);
	vt_fails(vnic_relay_run(relay, &err), &err, VNIC_STEP_WRITE, EPERM);
	assert_string_equal(err.object, "out");
	vnic_relay_free(relay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(pcap_is_read_in_both_byte_orders_and_resolutions),
		vt_test(pcapng_has_sections_interfaces_and_blocks_to_skip),
		vt_test(frame_check_sequences_of_pcap_are_left_out),
		vt_test(without_the_bit_that_tells_of_them_there_are_none),
		vt_test(frame_check_sequences_of_pcapng_are_left_out),
		vt_test(a_packet_that_is_all_frame_check_sequence_is_empty),
		vt_test(a_long_file_passes_through_the_buffer),
		vt_test(a_malformed_file_is_an_error_that_says_where),
		vt_test(a_block_that_cannot_be_is_an_error_of_its_own),
		vt_test(a_section_without_an_interface_has_no_packets),
		vt_test(there_are_so_many_interfaces_and_no_more),
		vt_test(large_blocks_are_not_read_and_many_take_several_calls),
		vt_test(an_interface_may_count_from_another_second),
		vt_test(what_is_replayed_is_written_byte_for_byte_and_in_time),
		vt_test(what_weather_holds_at_the_end_still_arrives),
		vt_test(a_stream_gets_all_that_was_replayed),
		vt_test(a_file_that_ends_too_soon_is_told_of),
		vt_test(packets_that_were_cut_or_short_are_lost_and_counted),
		vt_test(other_link_types_are_refused_by_number),
		vt_test(packets_without_a_link_header_are_those_of_a_tun),
		vt_test(a_file_that_cannot_be_written_ends_the_run),
		vt_test(a_file_that_cannot_be_written_at_the_end_is_told_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
