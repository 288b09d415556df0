/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 02-tap-echo: a TAP device whose other end is this program; it answers ARP and ping for 10.7.0.2.
 *
 *   gcc -o 02-tap-echo 02-tap-echo.c $(pkg-config --cflags --libs vnic)
 *   sudo unshare --net ./02-tap-echo ping -c 3 10.7.0.2
 *
 * Expected output: that of ping, with "3 packets transmitted, 3 received, 0% packet loss".
 *
 * The device ends with its last descriptor, so nothing is left behind, however the program ends.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vnic/vnic.h>

static const uint8_t our_mac[6] = {0x02, 0, 0, 0, 0, 0x02};
static const uint8_t our_ip[4] = {10, 7, 0, 2};

static int fail(const struct vnic_error *err)
{
	char text[512];

	vnic_error_text(err, text, sizeof(text));
	fprintf(stderr, "02-tap-echo: %s\n", text);
	return 1;
}

/* The kernel's end: up, with an address. */
static int set_up(int index, struct vnic_error *err)
{
	const struct vnic_link up = {.up = true};
	struct vnic_addr addr;
	struct vnic_nl *nl;
	int r = vnic_nl_open(&nl, err);

	if (r < 0)
		return r;
	r = vnic_addr_parse("10.7.0.1/24", &addr, err);
	if (r == 0)
		r = vnic_addr_add(nl, index, &addr, err);
	if (r == 0)
		r = vnic_link_set(nl, index, &up, err);
	vnic_nl_close(nl);
	return r;
}

static void swap(uint8_t *a, uint8_t *b, size_t size)
{
	uint8_t old[16];

	memcpy(old, a, size);
	memcpy(a, b, size);
	memcpy(b, old, size);
}

/* "Who has 10.7.0.2?" becomes "10.7.0.2 is at 02:00:00:00:00:02", in place. */
static int answer_arp(uint8_t *frame, size_t size)
{
	uint8_t *arp = frame + 14;

	if (size < 14 + 28 || arp[7] != 1 || memcmp(arp + 24, our_ip, 4) != 0)
		return 0;
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, our_mac, 6);
	arp[7] = 2; /* reply */
	swap(arp + 8, arp + 18, 10);
	memcpy(arp + 8, our_mac, 6);
	return 1;
}

/* An echo request becomes a reply; its ICMP checksum grows by the 8 that the type lost. */
static int answer_ping(uint8_t *frame, size_t size)
{
	uint8_t *ip = frame + 14, *icmp = ip + 20;

	if (size < 14 + 28 || ip[0] != 0x45 || ip[9] != 1 || icmp[0] != 8 || memcmp(ip + 16, our_ip, 4) != 0)
		return 0;
	swap(frame, frame + 6, 6);
	swap(ip + 12, ip + 16, 4);
	icmp[0] = 0;
	uint32_t sum = (uint32_t)(icmp[2] << 8 | icmp[3]) + 0x0800;
	sum += sum >> 16;
	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
	return 1;
}

static void answer(const struct vnic_tap *tap)
{
	uint8_t frame[2048];
	ssize_t n = vnic_frame_read(tap, 0, NULL, frame, sizeof(frame));

	if (n < 14)
		return;
	int type = frame[12] << 8 | frame[13];
	if ((type == 0x0806 && answer_arp(frame, (size_t)n)) || (type == 0x0800 && answer_ping(frame, (size_t)n)))
		vnic_frame_write(tap, 0, NULL, frame, (size_t)n);
}

int main(int argc, char **argv)
{
	const struct vnic_tap_config config = {.name = "echo0"};
	struct vnic_error err;
	struct vnic_tap tap;
	int status = 0;

	if (argc < 2)
		return fprintf(stderr, "usage: 02-tap-echo COMMAND...\n"), 2;
	if (vnic_tap_open(&config, &tap, &err) < 0 || set_up(tap.index, &err) < 0)
		return fail(&err);
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	struct pollfd fds[] = {{.fd = tap.fds[0], .events = POLLIN},
			       {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN}};
	while (poll(fds, 2, -1) > 0 && !fds[1].revents)
		answer(&tap);
	waitpid(pid, &status, 0);
	vnic_tap_close(&tap);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
