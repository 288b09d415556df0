/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Joins two fresh network namespaces with a veth pair and sends a datagram across.  Needs no root.
 *
 * Build:  cc -o 03-veth-pair 03-veth-pair.c $(pkg-config --cflags --libs vnic)
 * Run:    ./03-veth-pair
 * Prints:
 *   left: eth0 02:00:00:00:00:01 mtu 1500 10.0.0.1/24
 *   right: eth0 02:00:00:00:00:02 mtu 1500 10.0.0.2/24
 *   right heard "hello" from 10.0.0.1
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vnic/vnic.h>

#define DEADLINE_MS 5000

/* One namespace and what works in it: sockets stay in the namespace that they were made in. */
struct side {
	const char *name;
	int netns, udp;
	struct vnic_nl *nl;
	struct vnic_monitor *monitor;
	struct vnic_addr addr;
	struct vnic_mac mac;
};

static int side_open(struct side *side, int namespaces, const char *addr, const char *mac, struct vnic_error *err)
{
	int r;

	if (unshare(namespaces) < 0)
		return vnic_fail(err, VNIC_STEP_UNSHARE, errno, side->name, NULL);
	side->netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	side->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (side->netns < 0 || side->udp < 0)
		return vnic_fail(err, VNIC_STEP_OPEN, errno, side->name, NULL);
	if ((r = vnic_addr_parse(addr, &side->addr, err)) < 0 || (r = vnic_mac_parse(mac, &side->mac, err)) < 0)
		return r;
	/* The monitor comes before the change whose effect it waits for. */
	r = vnic_monitor_open(&side->monitor, err);
	return r < 0 ? r : vnic_nl_open(&side->nl, err);
}

/* One message makes both ends where they belong; nothing is moved, and no name is taken in between. */
static int join(const struct side *left, const struct side *right, struct vnic_error *err)
{
	const struct vnic_link peer = {.name = "eth0", .mac = left->mac, .has_netns = true, .netns_fd = left->netns};
	const struct vnic_link link = {.kind = VNIC_LINK_VETH, .name = "eth0", .mac = right->mac, .peer = &peer};

	return vnic_link_add(right->nl, &link, err);
}

/* A plan of two requests, sent as one. */
static int configure(const struct side *side, struct vnic_error *err)
{
	struct vnic_link_info info;
	struct vnic_batch *batch;
	int r = vnic_link_get(side->nl, 0, "eth0", &info, err);

	if (r < 0 || (r = vnic_batch_new(&batch, err)) < 0)
		return r;
	vnic_batch_addr_add(batch, info.index, &side->addr);
	vnic_batch_link_set(batch, info.index, &(struct vnic_link){.up = true});
	r = vnic_batch_send(batch, side->nl, NULL, err);
	vnic_batch_free(batch);
	return r;
}

static int show(const struct side *side, struct vnic_error *err)
{
	char mac[VNIC_ADDR_TEXT], addr[VNIC_ADDR_TEXT];
	struct vnic_link_info info;
	int r = vnic_monitor_wait_link(side->monitor, 0, "eth0", VNIC_LINK_OPER_UP, DEADLINE_MS, err);

	if (r < 0 || (r = vnic_link_get(side->nl, 0, "eth0", &info, err)) < 0)
		return r;
	printf("%s: %s %s mtu %u %s\n", side->name, info.name, vnic_mac_text(&info.mac, mac), info.mtu,
	       vnic_addr_text(&side->addr, true, addr));
	return 0;
}

static struct sockaddr_in name_of(const struct side *side)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(7)};

	memcpy(&name.sin_addr, side->addr.bytes, sizeof(name.sin_addr));
	return name;
}

static int talk(const struct side *left, const struct side *right, struct vnic_error *err)
{
	struct sockaddr_in to = name_of(right), from;
	char text[16] = "", host[INET_ADDRSTRLEN];
	socklen_t size = sizeof(from);

	if (bind(right->udp, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    sendto(left->udp, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    recvfrom(right->udp, text, sizeof(text) - 1, 0, (struct sockaddr *)&from, &size) < 0)
		return vnic_fail(err, VNIC_STEP_SOCKET, errno, "UDP", NULL);
	printf("right heard \"%s\" from %s\n", text, inet_ntop(AF_INET, &from.sin_addr, host, sizeof(host)));
	return 0;
}

static void side_close(struct side *side)
{
	vnic_nl_close(side->nl);
	vnic_monitor_close(side->monitor);
	close(side->udp);
	close(side->netns);
}

int main(void)
{
	struct side left = {.name = "left", .netns = -1, .udp = -1};
	struct side right = {.name = "right", .netns = -1, .udp = -1};
	/* A user namespace gives an ordinary user the right to make network namespaces; it owns both. */
	const int first = geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET;
	struct vnic_error err;
	char text[512];
	int r;

	if ((r = side_open(&left, first, "10.0.0.1/24", "02:00:00:00:00:01", &err)) == 0 &&
	    (r = side_open(&right, CLONE_NEWNET, "10.0.0.2/24", "02:00:00:00:00:02", &err)) == 0 &&
	    (r = join(&left, &right, &err)) == 0 && (r = configure(&left, &err)) == 0 &&
	    (r = configure(&right, &err)) == 0 && (r = show(&left, &err)) == 0 && (r = show(&right, &err)) == 0)
		r = talk(&left, &right, &err);
	if (r < 0) {
		vnic_error_text(&err, text, sizeof(text));
		fprintf(stderr, "%s\n", text);
	}
	side_close(&left);
	side_close(&right);
	return r < 0;
}
