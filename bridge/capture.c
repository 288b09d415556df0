/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  Blocks of pcapng are put together in one buffer, which is written when it is full, or at the
 * end of a turn when it is half full, a tenth of a second old, or the end of its file: so a reader of a pipe sees
 * frames soon, and a busy relay makes one call for hundreds of them.
 *
 * A reader that is slow must not hold up frames: a pipe is written without waiting, and blocks that find no room in
 * the buffer are not captured, and counted.  An error of the file ends the capture, never the relay.
 *
 * Frames are captured as the relay has them: super-frames whole, with partial checksums, as tcpdump sees them on a
 * link with offloads.
 */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fd.h"
#include "pcap.h"

#define BUFFER_BYTES (1 << 20)
#define FLUSH_BYTES (BUFFER_BYTES / 2)
#define FLUSH_NS (NS_PER_S / 10)
#define SNAPLEN 262144 /* tcpdump's: more than any frame */
#define NAME_BYTES 128
#define LAST_WAIT_MS 1000 /* at the end, for a reader to take something */

/* Options of one block each, beside those in pcap.h. */
enum { SHB_USERAPPL = 4, IF_NAME = 2, ISB_IFRECV = 4, ISB_IFDROP = 5 };

struct interface {
	char name[NAME_BYTES];
	bool tun;
	uint64_t frames, dropped;
};

struct capture {
	struct vnic_capture config;
	struct vnic_capture_stats stats;
	struct interface *interfaces;
	unsigned count;
	unsigned file;    /* number of this one */
	uint64_t written; /* bytes of this file, those in the buffer too */
	uint64_t header;  /* of these, at its begin */
	int64_t first_at; /* when the buffer's first block came, as told by flush; 0: it is empty or new */
	size_t begin, end, block;
	uint8_t bytes[BUFFER_BYTES];
};

/* --- the buffer ----------------------------------------------------------------------- */

static void fail(struct capture *capture, int error)
{
	capture->stats.error = error;
	close_fd(&capture->config.fd);
	capture->begin = capture->end = 0;
	capture->first_at = 0;
}

static void write_out(struct capture *capture)
{
	while (capture->begin < capture->end) {
		ssize_t n = write(capture->config.fd, capture->bytes + capture->begin, capture->end - capture->begin);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			fail(capture, errno);
		if (n < 0)
			return;
		capture->begin += (size_t)n;
	}
	capture->begin = capture->end = 0;
	capture->first_at = 0;
}

static bool has_room(const struct capture *capture, size_t len)
{
	return capture->end + len <= BUFFER_BYTES;
}

/* A turn may bring more than the buffer holds. */
static void make_room(struct capture *capture)
{
	write_out(capture);
	if (capture->begin == 0)
		return;
	memmove(capture->bytes, capture->bytes + capture->begin, capture->end - capture->begin);
	capture->end -= capture->begin;
	capture->begin = 0;
}

/* --- blocks --------------------------------------------------------------------------- */

static void put(struct capture *capture, const void *data, size_t len)
{
	static const uint8_t zero[4];

	memcpy(capture->bytes + capture->end, data, len);
	capture->end += len;
	memcpy(capture->bytes + capture->end, zero, -len & 3);
	capture->end += -len & 3;
}

static void put_u32(struct capture *capture, uint32_t value)
{
	put(capture, &value, sizeof(value));
}

static void put_option(struct capture *capture, uint16_t code, const void *data, size_t len)
{
	const uint16_t header[2] = {code, (uint16_t)len};

	put(capture, header, sizeof(header));
	put(capture, data, len);
}

/* False: there is no room for a block with so much in it. */
static bool begin_block(struct capture *capture, uint32_t type, size_t content)
{
	const size_t most = content + 256; /* fields and options */

	if (capture->config.fd >= 0 && !has_room(capture, most))
		make_room(capture);
	if (capture->config.fd < 0 || !has_room(capture, most))
		return false;
	capture->block = capture->end;
	put_u32(capture, type);
	put_u32(capture, 0); /* its length, at the end */
	return true;
}

static void end_block(struct capture *capture)
{
	uint32_t len = (uint32_t)(capture->end - capture->block) + 4;

	memcpy(capture->bytes + capture->block + 4, &len, sizeof(len));
	put_u32(capture, len);
	capture->written += len;
}

static void put_section(struct capture *capture)
{
	static const char application[] = "vnic";
	const uint16_t version[2] = {1, 0};
	const int64_t unknown_length = -1;

	if (!begin_block(capture, PCAPNG_SECTION, 0))
		return;
	put_u32(capture, PCAPNG_BYTE_ORDER);
	put(capture, version, sizeof(version));
	put(capture, &unknown_length, sizeof(unknown_length));
	put_option(capture, SHB_USERAPPL, application, strlen(application));
	put_option(capture, PCAPNG_OPTION_END, "", 0);
	end_block(capture);
}

static bool put_interface(struct capture *capture, const struct interface *interface)
{
	const uint16_t linktype[2] = {interface->tun ? LINKTYPE_RAW : LINKTYPE_ETHERNET, 0};
	const uint8_t nanoseconds = 9;

	if (!begin_block(capture, PCAPNG_INTERFACE, NAME_BYTES))
		return false;
	put(capture, linktype, sizeof(linktype));
	put_u32(capture, capture->config.snaplen);
	put_option(capture, IF_NAME, interface->name, strlen(interface->name));
	put_option(capture, PCAPNG_IF_TSRESOL, &nanoseconds, 1);
	put_option(capture, PCAPNG_OPTION_END, "", 0);
	end_block(capture);
	return true;
}

static uint64_t real_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void put_time(struct capture *capture, uint64_t ns)
{
	put_u32(capture, (uint32_t)(ns >> 32));
	put_u32(capture, (uint32_t)ns);
}

static void put_statistics(struct capture *capture, unsigned number)
{
	const struct interface *interface = &capture->interfaces[number];

	if (!begin_block(capture, PCAPNG_STATISTICS, 0))
		return;
	put_u32(capture, number);
	put_time(capture, real_time());
	put_option(capture, ISB_IFRECV, &interface->frames, sizeof(interface->frames));
	put_option(capture, ISB_IFDROP, &interface->dropped, sizeof(interface->dropped));
	put_option(capture, PCAPNG_OPTION_END, "", 0);
	end_block(capture);
}

static void begin_file(struct capture *capture)
{
	capture->written = 0;
	put_section(capture);
	for (unsigned i = 0; i < capture->count; i++)
		put_interface(capture, &capture->interfaces[i]);
	capture->header = capture->written;
}

/* --- files ---------------------------------------------------------------------------- */

static void end_file(struct capture *capture)
{
	for (unsigned i = 0; i < capture->count; i++)
		put_statistics(capture, i);
	write_out(capture);
}

static void rotate(struct capture *capture)
{
	const struct vnic_capture *config = &capture->config;
	int fd = -1, r;

	end_file(capture);
	if (capture->begin < capture->end) /* or its rest would open the next one */
		fail(capture, EAGAIN);
	if (capture->config.fd < 0)
		return;
	r = config->next(config->ctx, ++capture->file, &fd, NULL);
	if (r < 0) {
		fail(capture, -r);
		return;
	}
	close_fd(&capture->config.fd);
	capture->config.fd = fd;
	begin_file(capture);
}

static bool is_full(const struct capture *capture)
{
	return capture->config.next && capture->config.rotate_bytes && capture->written > capture->header &&
	       capture->written >= capture->config.rotate_bytes;
}

bool capture_is_ripe(struct capture *capture, int64_t now)
{
	if (capture->begin == capture->end)
		return false;
	if (!capture->first_at)
		capture->first_at = now;
	return capture->end - capture->begin >= FLUSH_BYTES || is_full(capture) || now - capture->first_at >= FLUSH_NS;
}

void capture_flush(struct capture *capture, int64_t now)
{
	if (!capture_is_ripe(capture, now))
		return;
	write_out(capture);
	if (capture->begin < capture->end)
		capture->first_at = now; /* a reader who is behind is asked again after a while */
	else if (is_full(capture))
		rotate(capture);
}

int64_t capture_due(const struct capture *capture)
{
	return capture->first_at ? capture->first_at + FLUSH_NS : INT64_MAX;
}

/* --- what is captured ----------------------------------------------------------------- */

bool capture_wants(const struct capture *capture, enum vnic_direction direction, bool dropped)
{
	return dropped ? capture->config.drops : capture->config.directions & 1u << direction;
}

static void put_flags(struct capture *capture, enum vnic_direction direction)
{
	const uint32_t flags = direction == VNIC_INGRESS ? 1 : 2; /* inbound, outbound */

	put_option(capture, PCAPNG_EPB_FLAGS, &flags, sizeof(flags));
}

static void put_reason(struct capture *capture, const char *reason)
{
	char comment[64];
	int len = snprintf(comment, sizeof(comment), "dropped: %s", reason);

	put_option(capture, PCAPNG_OPTION_COMMENT, comment, (size_t)len);
}

bool capture_packet(struct capture *capture, unsigned interface, enum vnic_direction direction,
		    const struct captured *packet, const char *dropped)
{
	size_t len = packet->captured < capture->config.snaplen ? packet->captured : capture->config.snaplen;

	if (interface >= capture->count || !begin_block(capture, PCAPNG_ENHANCED, len)) {
		capture->stats.missed++;
		return false;
	}
	put_u32(capture, interface);
	put_time(capture, packet->time);
	put_u32(capture, (uint32_t)len);
	put_u32(capture, (uint32_t)packet->len);
	put(capture, packet->data, len);
	if (dropped)
		put_reason(capture, dropped);
	put_flags(capture, direction);
	put_option(capture, PCAPNG_OPTION_END, "", 0);
	end_block(capture);
	capture->stats.frames++;
	return true;
}

bool capture_frame(struct capture *capture, unsigned interface, enum vnic_direction direction,
		   const struct frame *frame, const char *dropped)
{
	const struct captured packet = {
		.data = frame->data, .captured = frame->len, .len = frame->len, .time = real_time()};

	return capture_packet(capture, interface, direction, &packet, dropped);
}

bool capture_add_interface(struct capture *capture, const char *name, bool tun)
{
	struct interface *more = realloc(capture->interfaces, (capture->count + 1) * sizeof(*capture->interfaces));

	if (!more) {
		fail(capture, ENOMEM);
		return false;
	}
	capture->interfaces = more;
	more[capture->count] = (struct interface){.tun = tun};
	strncpy(more[capture->count].name, name, NAME_BYTES - 1);
	if (!put_interface(capture, &more[capture->count]))
		return false;
	capture->count++;
	return true;
}

unsigned capture_interfaces(const struct capture *capture)
{
	return capture->count;
}

void capture_note_counts(struct capture *capture, unsigned interface, uint64_t frames, uint64_t dropped)
{
	if (interface < capture->count) {
		capture->interfaces[interface].frames = frames;
		capture->interfaces[interface].dropped = dropped;
	}
}

void capture_get_stats(const struct capture *capture, struct vnic_capture_stats *ret_stats)
{
	*ret_stats = capture->stats;
}

/* --- life ----------------------------------------------------------------------------- */

int capture_new(const struct vnic_capture *config, struct capture **ret_capture, struct vnic_error *err)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	int flags = fcntl(config->fd, F_GETFL);

	if (!capture)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	if (flags < 0 || fcntl(config->fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		free(capture);
		return vnic_fail(err, VNIC_STEP_WRITE, errno, "the capture", NULL);
	}
	capture->config = *config;
	if (!capture->config.snaplen)
		capture->config.snaplen = SNAPLEN;
	if (!capture->config.directions)
		capture->config.directions = 1u << VNIC_INGRESS;
	begin_file(capture);
	*ret_capture = capture;
	return 0;
}

/* What is left is written while the reader goes on reading; one that stopped would hold up the relay's end. */
static void write_rest(struct capture *capture)
{
	while (capture->begin < capture->end) {
		struct pollfd reader = {.fd = capture->config.fd, .events = POLLOUT};
		int n = poll(&reader, 1, LAST_WAIT_MS);

		if (n > 0)
			write_out(capture);
		else if (n == 0 || errno != EINTR)
			fail(capture, n == 0 ? ETIMEDOUT : errno);
	}
}

int capture_sync(struct capture *capture)
{
	write_rest(capture);
	return -capture->stats.error;
}

int capture_finish(struct capture *capture)
{
	if (capture->config.fd >= 0) {
		end_file(capture);
		write_rest(capture);
	}
	if (capture->config.fd >= 0)
		fcntl(capture->config.fd, F_SETFL, fcntl(capture->config.fd, F_GETFL) & ~O_NONBLOCK);
	close_fd(&capture->config.fd);
	return -capture->stats.error;
}

void capture_free(struct capture *capture)
{
	if (!capture)
		return;
	capture_finish(capture);
	free(capture->interfaces);
	free(capture);
}
