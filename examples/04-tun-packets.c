/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 04-tun-packets: everything that a command sends, as packets of a TUN device, one line each.
 *
 *   gcc -o 04-tun-packets 04-tun-packets.c $(pkg-config --cflags --libs vnic)
 *   sudo unshare --net ./04-tun-packets ping -c 1 -W 1 192.0.2.1
 *
 * Expected output, among others:
 *
 *   IPv4 10.7.0.1 > 192.0.2.1 ICMP 84 bytes
 *
 * A TUN gives packets without a link header.  The default route leads into it, so the packets of
 * any program in this network namespace come out here; nobody answers them.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vnic/vnic.h>

static int fail(const struct vnic_error *err)
{
	char text[512];

	vnic_error_text(err, text, sizeof(text));
	fprintf(stderr, "04-tun-packets: %s\n", text);
	return 1;
}

/* Address, up, default route: one batch, one message to the kernel. */
static int set_up(int index, struct vnic_error *err)
{
	const struct vnic_link up = {.up = true};
	const struct vnic_route route = {.dst = {.family = AF_INET}, .oif = index};
	struct vnic_batch *batch;
	struct vnic_addr addr;
	struct vnic_nl *nl;
	int r = vnic_addr_parse("10.7.0.1/32", &addr, err);

	if (r < 0 || (r = vnic_nl_open(&nl, err)) < 0)
		return r;
	r = vnic_batch_new(&batch, err);
	if (r == 0) {
		vnic_batch_addr_add(batch, index, &addr);
		vnic_batch_link_set(batch, index, &up);
		vnic_batch_route_add(batch, &route);
		r = vnic_batch_send(batch, nl, NULL, err);
		vnic_batch_free(batch);
	}
	vnic_nl_close(nl);
	return r;
}

static const char *protocol_text(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "ICMP";
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	default:
		return "other";
	}
}

static void print_packet(const uint8_t *packet, size_t size)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	if (packet[0] >> 4 == 4) {
		inet_ntop(AF_INET, packet + 12, from, sizeof(from));
		inet_ntop(AF_INET, packet + 16, to, sizeof(to));
		printf("IPv4 %s > %s %s %zu bytes\n", from, to, protocol_text(packet[9]), size);
	} else if (packet[0] >> 4 == 6 && size >= 40) {
		inet_ntop(AF_INET6, packet + 8, from, sizeof(from));
		inet_ntop(AF_INET6, packet + 24, to, sizeof(to));
		printf("IPv6 %s > %s %s %zu bytes\n", from, to, protocol_text(packet[6]), size);
	}
}

static void print_all(const struct vnic_tap *tun)
{
	uint8_t packet[2048];
	ssize_t n;

	while ((n = vnic_frame_read(tun, 0, NULL, packet, sizeof(packet))) > 0)
		print_packet(packet, (size_t)n);
}

int main(int argc, char **argv)
{
	const struct vnic_tap_config config = {.tun = true};
	struct vnic_error err;
	struct vnic_tap tun;

	if (argc < 2)
		return fprintf(stderr, "usage: 04-tun-packets COMMAND...\n"), 2;
	if (vnic_tap_open(&config, &tun, &err) < 0 || set_up(tun.index, &err) < 0)
		return fail(&err);
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	struct pollfd fds[] = {{.fd = tun.fds[0], .events = POLLIN},
			       {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN}};
	while (poll(fds, 2, -1) > 0 && !fds[1].revents)
		print_all(&tun);
	print_all(&tun); /* what it sent with its last breath */
	waitpid(pid, NULL, 0);
	vnic_tap_close(&tun);
	return 0;
}
