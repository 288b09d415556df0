/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 08-http-hosts: says which HTTP hosts are asked for on a line between two namespaces.
 *
 *   gcc -o 08-http-hosts 08-http-hosts.c $(pkg-config --cflags --libs vnic)
 *   sudo ip netns add red; sudo ip netns add blue
 *   sudo ./08-http-hosts veth:eth0,netns=red,ip=10.8.0.1/24 veth:eth0,netns=blue,ip=10.8.0.2/24 &
 *   sudo ip netns exec blue python3 -m http.server 80 &
 *   sudo ip netns exec red curl -H "Host: example.org" http://10.8.0.2/
 *
 * Expected output:
 *
 *   ready
 *   10.8.0.1 example.org
 *
 * Only looks: every frame passes.  A request whose first line and headers are not in one segment goes unseen, as does
 * what is encrypted.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <vnic/vnic.h>

static struct vnic_relay *relay;

/* What stands behind a header's name, up to the line's end; NULL: it is not there. */
static const char *header(const char *text, size_t len, const char *name, int *ret_len)
{
	const char *at = memmem(text, len, name, strlen(name)), *end;

	if (!at)
		return NULL;
	at += strlen(name);
	end = memchr(at, '\r', len - (size_t)(at - text));
	if (!end || end - at > 253)
		return NULL;
	*ret_len = (int)(end - at);
	return at;
}

/* A stranger chose it, and this may be a terminal. */
static void print_plain(const char *text, int len)
{
	for (int i = 0; i < len; i++)
		putchar(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	putchar('\n');
	fflush(stdout);
}

static enum vnic_verdict inspect(void *ctx, struct vnic_inspected *frame)
{
	const struct vnic_view *view = frame->view;
	const char *payload = (const char *)frame->data + view->payload, *host;
	struct vnic_addr src = vnic_view_src(view);
	char from[INET6_ADDRSTRLEN];
	int len;

	(void)ctx;
	if (!(view->layers & VNIC_LAYER_TCP) || !memmem(payload, view->payload_len, " HTTP/1.", 8))
		return VNIC_VERDICT_PASS;
	host = header(payload, view->payload_len, "\r\nHost: ", &len);
	if (host) {
		printf("%s ", inet_ntop(src.family, src.bytes, from, sizeof(from)));
		print_plain(host, len);
	}
	return VNIC_VERDICT_PASS;
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
	fprintf(stderr, "08-http-hosts: %s\n", text);
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

	if (argc < 3)
		return fprintf(stderr, "usage: 08-http-hosts PORT PORT...\n"), 2;
	r = vnic_relay_new(&config, &relay, &err);
	for (int i = 1; r >= 0 && i < argc; i++)
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
