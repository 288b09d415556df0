/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 11-tcp-reset: resets connections to a TCP port.
 *
 *   gcc -o 11-tcp-reset 11-tcp-reset.c $(pkg-config --cflags --libs vnic)
 *   sudo ip netns add red; sudo ip netns add blue
 *   sudo ./11-tcp-reset 80 veth:eth0,netns=red,ip=10.8.0.1/24 veth:eth0,netns=blue,ip=10.8.0.2/24 &
 *   sudo ip netns exec red curl http://10.8.0.2/
 *
 * Expected output:
 *
 *   ready
 *   reset 10.8.0.1
 *   curl: (7) Failed to connect to 10.8.0.2 port 80 after 1 ms: Connection refused
 *
 * The segment is dropped and answered as its receiver would have answered where nothing listens (RFC 9293, 3.10.7.1).
 * IPv4.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vnic/vnic.h>

static struct vnic_relay *relay;
static int unwanted;

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10
#define LEN (14 + 20 + 20)

static void put32(uint8_t *at, uint32_t value)
{
	value = htonl(value);
	memcpy(at, &value, 4);
}

static void reset(const struct vnic_inspected *frame)
{
	const struct vnic_view *view = frame->view;
	const uint8_t *ip = frame->data + view->l3, *tcp = frame->data + view->l4;
	uint8_t flags = vnic_view_tcp_flags(view), out[LEN] = {0}, *out_ip = out + 14, *out_tcp = out_ip + 20;

	memcpy(out, frame->data + 6, 6);
	memcpy(out + 6, frame->data, 6);
	out[12] = 0x08; /* IPv4 */
	out_ip[0] = 0x45;
	out_ip[3] = 40;
	out_ip[8] = 64;
	out_ip[9] = IPPROTO_TCP;
	memcpy(out_ip + 12, ip + 16, 4);
	memcpy(out_ip + 16, ip + 12, 4);
	memcpy(out_tcp, tcp + 2, 2);
	memcpy(out_tcp + 2, tcp, 2);
	if (flags & ACK)
		put32(out_tcp + 4, vnic_view_tcp_ack(view));
	else
		put32(out_tcp + 8, vnic_view_tcp_seq(view) + view->payload_len + !!(flags & SYN) + !!(flags & FIN));
	out_tcp[12] = 0x50;
	out_tcp[13] = flags & ACK ? RST : RST | ACK;
	vnic_frame_fill_checksums(out, LEN, false);
	vnic_relay_inject(relay, frame->port, out, LEN, NULL);
}

static enum vnic_verdict inspect(void *ctx, struct vnic_inspected *frame)
{
	const struct vnic_view *view = frame->view;
	struct vnic_addr src = vnic_view_src(view);
	char from[INET_ADDRSTRLEN];

	(void)ctx;
	if (!(view->layers & VNIC_LAYER_IPV4) || !(view->layers & VNIC_LAYER_TCP) || vnic_view_dport(view) != unwanted)
		return VNIC_VERDICT_PASS;
	if (!(vnic_view_tcp_flags(view) & RST)) { /* which is never answered */
		printf("reset %s\n", inet_ntop(AF_INET, src.bytes, from, sizeof(from)));
		fflush(stdout);
		reset(frame);
	}
	return VNIC_VERDICT_DROP;
}

static void on_signal(int signal)
{
	(void)signal;
	vnic_relay_stop(relay);
}

static int fail(const struct vnic_error *err)
{
	char text[512];

	vnic_error_text(err, text, sizeof(text));
	fprintf(stderr, "11-tcp-reset: %s\n", text);
	return 1;
}

static int add_port(const char *locator, struct vnic_error *err)
{
	struct vnic_port port;
	int r = vnic_port_parse(locator, &port, err);

	return r < 0 ? r : vnic_port_open(&port, NULL, relay, err);
}

int main(int argc, char **argv)
{
	const struct vnic_relay_config config = {0};
	struct vnic_error err;
	int r;

	if (argc < 4)
		return fprintf(stderr, "usage: 11-tcp-reset PORT-NUMBER PORT PORT...\n"), 2;
	unwanted = atoi(argv[1]);
	r = vnic_relay_new(&config, &relay, &err);
	for (int i = 2; r >= 0 && i < argc; i++)
		r = add_port(argv[i], &err);
	if (r >= 0)
		r = vnic_relay_set_inspector(relay, inspect, NULL, &err);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (r >= 0) {
		puts("ready");
		fflush(stdout);
		r = vnic_relay_run(relay, &err);
	}
	vnic_relay_free(relay);
	return r < 0 ? fail(&err) : 0;
}
