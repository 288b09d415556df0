/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What bridge/gso.c makes of a super-frame is what the kernel makes of it, byte for byte.
 *
 * The same frame goes through gso_begin and gso_next, and through a veth whose sending end has all offloads off, so
 * that the kernel must cut it and finish its checksums in software.  What arrives at the other end is compared.
 */
#include "lan.h"
#include "superframe.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gso.h"

#define CASES 3000
#define MARK 64 /* bytes of the frame that ends a case */

static uint8_t sent[FRAME_HEADROOM + VNIC_FRAME_MAX], ours[VNIC_FRAME_MAX], theirs[FRAME_HEADROOM + VNIC_FRAME_MAX];

struct link {
	int a;         /* sends */
	struct port b; /* receives, with VLAN tags put back */
};

static void ask_ioctl(int fd, unsigned long request, struct ifreq *ifr)
{
	int r = ioctl(fd, request, ifr);

	assert_int_equal(r, 0);
}

static void turn_off(int fd, const char *name, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq ifr = {.ifr_data = (void *)&value};

	strcpy(ifr.ifr_name, name);
	ask_ioctl(fd, SIOCETHTOOL, &ifr);
}

static void set_mtu(int fd, const char *name)
{
	struct ifreq ifr = {.ifr_mtu = 65535};

	strcpy(ifr.ifr_name, name);
	ask_ioctl(fd, SIOCSIFMTU, &ifr);
}

static struct link make_link(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), b;
	struct link link = {.b = {.name = "b"}};
	struct vnic_error err;

	lan_veth("a", "b");
	turn_off(fd, "a", ETHTOOL_STSO);
	turn_off(fd, "a", ETHTOOL_SGSO);
	turn_off(fd, "a", ETHTOOL_STXCSUM);
	set_mtu(fd, "a");
	set_mtu(fd, "b");
	close(fd);
	vt_ok(vnic_packet_open((int)if_nametoindex("a"), &link.a, &err), &err);
	vt_ok(vnic_packet_open((int)if_nametoindex("b"), &b, &err), &err);
	vt_ok(port_packet_init(&link.b, &b, &err), &err);
	return link;
}

static void drop_link(struct link *link)
{
	close(link->a);
	link->b.ops->close(&link->b);
}

static void send_frame(const struct link *link, const struct frame *frame)
{
	struct iovec iov[] = {{(void *)(uintptr_t)&frame->hdr, sizeof(frame->hdr)}, {frame->data, frame->len}};

	if (writev(link->a, iov, 2) == (ssize_t)(sizeof(frame->hdr) + frame->len))
		return;
	print_error("# %zu bytes, type %u: %s\n", frame->len, frame->hdr.gso_type, strerror(errno));
	fail();
}

static void send_mark(const struct link *link)
{
	uint8_t bytes[MARK];
	struct frame mark = {.data = bytes, .len = MARK};

	lan_frame(bytes, MARK, 2, 1);
	send_frame(link, &mark);
}

/* The next frame that this test sent; what the kernel says of itself is passed over. */
static struct frame take_frame(struct link *link)
{
	static const uint8_t macs[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	struct frame frame;

	do {
		frame = (struct frame){.data = theirs + FRAME_HEADROOM};
		assert_true(vt_readable(link->b.fd));
		assert_int_equal(link->b.ops->read(&link->b, 0, &frame, 1), 1);
	} while (memcmp(frame.data, macs, sizeof(macs)) != 0);
	return frame;
}

static bool is_mark(const struct frame *frame)
{
	return frame->len == MARK && frame->data[12] == LAN_TYPE >> 8 && frame->data[13] == (LAN_TYPE & 0xff);
}

static void assert_equal(const struct frame *our, const struct frame *their, const struct superframe *spec,
			 unsigned number)
{
	size_t at = 0;

	while (at < our->len && at < their->len && our->data[at] == their->data[at])
		at++;
	if (at == our->len && at == their->len && their->hdr.gso_type == 0 && !(their->hdr.flags & 1))
		return;
	print_error(
		"# %s\n# segment %u: ours has %zu bytes, the kernel's %zu (type %u, flags %u); they differ at %zu\n",
		superframe_text(spec), number, our->len, their->len, their->hdr.gso_type, their->hdr.flags, at);
	fail();
}

static unsigned compare(struct link *link, const struct superframe *spec)
{
	struct frame frame = {.data = sent + FRAME_HEADROOM}, segment = {.data = ours}, their;
	struct gso gso;
	unsigned count = 0;

	frame.len = superframe_make(spec, frame.data, &frame.hdr);
	send_frame(link, &frame);
	send_mark(link);
	assert_int_equal(gso_begin(&gso, &frame, false, 0), 0);
	for (; gso_next(&gso, &segment); count++) {
		their = take_frame(link);
		assert_equal(&segment, &their, spec, count);
	}
	their = take_frame(link);
	assert_true(is_mark(&their));
	return count;
}

static void every_segment_is_the_kernels_own(void **state)
{
	struct link link = make_link();
	unsigned segments = 0;

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < CASES; i++) {
		struct superframe spec = superframe_random();

		segments += compare(&link, &spec);
	}
	print_message("# %u super-frames, %u segments\n", CASES, segments);
	assert_true(segments > 10 * CASES);
	drop_link(&link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(every_segment_is_the_kernels_own),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
