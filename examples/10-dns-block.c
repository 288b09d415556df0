/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 10-dns-block: answers questions for a name, and all below it, with "no such name".
 *
 *   gcc -o 10-dns-block 10-dns-block.c $(pkg-config --cflags --libs vnic)
 *   sudo ip netns add red; sudo ip netns add blue
 *   sudo ./10-dns-block example.org veth:eth0,netns=red,ip=10.8.0.1/24 veth:eth0,netns=blue,ip=10.8.0.2/24 &
 *   sudo ip netns exec red dig +time=2 www.example.org @10.8.0.2
 *
 * Expected output:
 *
 *   ready
 *   no www.example.org
 *
 * The answer goes back out of the port that the question came from.  Questions over TCP pass.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <vnic/vnic.h>

static struct vnic_relay *relay;
static const char *blocked;

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void swap(uint8_t *a, uint8_t *b, size_t size)
{
	uint8_t other[16];

	memcpy(other, a, size);
	memcpy(a, b, size);
	memcpy(b, other, size);
}

/* Reads the question's name; returns the bytes of the question, 0 where it is not whole. */
static size_t question(const uint8_t *dns, size_t len, char name[256])
{
	size_t at = 12, out = 0;

	if (len < 12 || dns[2] & 0x80 || dns[4] || dns[5] != 1)
		return 0;
	while (at < len && dns[at] && dns[at] < 64 && at + dns[at] < len && out + dns[at] < 254) {
		for (size_t end = at + dns[at]; at < end; out++) /* printable, for it is printed */
			name[out] = dns[++at] > ' ' && dns[at] <= '~' ? (char)dns[at] : '?';
		at++;
		name[out++] = '.';
	}
	name[out ? out - 1 : 0] = '\0';
	return at + 5 <= len && !dns[at] ? at + 5 - 12 : 0;
}

static int is_below(const char *name, const char *domain)
{
	size_t name_len = strlen(name), len = strlen(domain);

	return name_len >= len && !strcasecmp(name + name_len - len, domain) &&
	       (name_len == len || name[name_len - len - 1] == '.');
}

/* The question becomes its own answer: back to where it came from, without what stood behind it. */
static void answer(struct vnic_inspected *frame, size_t question_len)
{
	const struct vnic_view *view = frame->view;
	uint8_t *ip = frame->data + view->l3, *udp = frame->data + view->l4, *dns = udp + 8;
	size_t udp_len = 8 + 12 + question_len, v6 = view->layers & VNIC_LAYER_IPV6;

	swap(frame->data, frame->data + 6, 6);
	swap(ip + (v6 ? 8 : 12), ip + (v6 ? 24 : 16), v6 ? 16 : 4);
	swap(udp, udp + 2, 2);
	put16(ip + (v6 ? 4 : 2), view->l3_len - (v6 ? 40u : 0u) + udp_len);
	put16(udp + 4, udp_len);
	put16(udp + 6, 1);                            /* not 0: it has a checksum, which is filled in below */
	put16(dns + 2, 0x8083u | (dns[2] & 1u) << 8); /* answer, recursion available, NXDOMAIN */
	memset(dns + 6, 0, 6);
	vnic_frame_fill_checksums(frame->data, view->l4 + udp_len, false);
	vnic_relay_inject(relay, frame->port, frame->data, view->l4 + udp_len, NULL);
}

static enum vnic_verdict inspect(void *ctx, struct vnic_inspected *frame)
{
	const struct vnic_view *view = frame->view;
	char name[256];
	size_t len;

	(void)ctx;
	if (!(view->layers & VNIC_LAYER_UDP) || vnic_view_dport(view) != 53)
		return VNIC_VERDICT_PASS;
	len = question(frame->data + view->payload, view->payload_len, name);
	if (!len || !is_below(name, blocked))
		return VNIC_VERDICT_PASS;
	printf("no %s\n", name);
	fflush(stdout);
	answer(frame, len);
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
	fprintf(stderr, "10-dns-block: %s\n", text);
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
		return fprintf(stderr, "usage: 10-dns-block NAME PORT PORT...\n"), 2;
	blocked = argv[1];
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
