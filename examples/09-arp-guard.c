/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 09-arp-guard: drops ARP that claims an address which another station has.
 *
 *   gcc -o 09-arp-guard 09-arp-guard.c $(pkg-config --cflags --libs vnic)
 *   sudo ip netns add red; sudo ip netns add blue
 *   sudo ./09-arp-guard veth:eth0,netns=red,ip=10.8.0.1/24 veth:eth0,netns=blue,ip=10.8.0.2/24 &
 *   sudo ip netns exec red ping -c 1 10.8.0.2
 *   sudo ip netns exec blue arping -c 1 -U -I eth0 -s 10.8.0.1 10.8.0.1
 *
 * Expected output:
 *
 *   ready
 *   port 1 claims 10.8.0.1, which port 0 has
 *
 * Who spoke first for an address has it, as long as this runs.  (A real guard would know the addresses, or ask DHCP.)
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <vnic/vnic.h>

static struct vnic_relay *relay;

#define OWNERS 256 /* more addresses than that are not guarded */

static struct owner {
	uint8_t ip[4], mac[6];
	unsigned port;
} owners[OWNERS];
static unsigned owner_count;

static const struct owner *owner_of(const uint8_t *ip)
{
	for (unsigned i = 0; i < owner_count; i++)
		if (!memcmp(owners[i].ip, ip, 4))
			return &owners[i];
	return NULL;
}

static void remember(const uint8_t *ip, const uint8_t *mac, unsigned port)
{
	struct owner *owner = &owners[owner_count];

	if (owner_count == OWNERS)
		return;
	memcpy(owner->ip, ip, 4);
	memcpy(owner->mac, mac, 6);
	owner->port = port;
	owner_count++;
}

static enum vnic_verdict inspect(void *ctx, struct vnic_inspected *frame)
{
	const uint8_t *mac = frame->data + frame->view->l3 + 8, *ip = mac + 6; /* RFC 826: the sender's */
	const struct owner *owner;

	(void)ctx;
	if (!(frame->view->flags & VNIC_VIEW_ARP_IPV4) || !(ip[0] | ip[1] | ip[2] | ip[3])) /* a probe claims nothing */
		return VNIC_VERDICT_PASS;
	owner = owner_of(ip);
	if (!owner) {
		remember(ip, mac, frame->port);
		return VNIC_VERDICT_PASS;
	}
	if (!memcmp(owner->mac, mac, 6) && owner->port == frame->port)
		return VNIC_VERDICT_PASS;
	printf("port %u claims %d.%d.%d.%d, which port %u has\n", frame->port, ip[0], ip[1], ip[2], ip[3], owner->port);
	fflush(stdout);
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
	fprintf(stderr, "09-arp-guard: %s\n", text);
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
		return fprintf(stderr, "usage: 09-arp-guard PORT PORT...\n"), 2;
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
