/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sandbox's resolv.conf, and whom it must not ask.
 *
 * The sandbox asks the forwarder, by one nameserver line: IPv4 where there is IPv4.  A second one would lead to the
 * same forwarder, and some resolvers ask all servers for each name, others again after each failure.  What the host has
 * in search, domain, options and sortlist stays.
 *
 * getaddrinfo(3) may go around resolv.conf, to sockets of services on the host (nss-resolve, nscd, nss-mdns): their
 * directories become empty, and the C library goes on with the next word of nsswitch.conf, "dns" in the end.
 */
#include <errno.h>
#include <stdio.h>

#include "ns.h"
#include "resolv.h"

#define OWN_LINES 128

static const char *const services[] = {
	"/run/systemd/resolve", /* nss-resolve; stub-resolv.conf, too */
	"/run/nscd",
	"/var/run/nscd",
	"/run/avahi-daemon", /* nss-mdns */
	NULL,
};

static int make_text(const struct resolv_config *config, const struct resolv *host, char *buf, size_t size)
{
	const struct vnic_addr *listen = &config->listen[config->listen[0].family ? 0 : 1];
	char addr[VNIC_ADDR_TEXT];

	return snprintf(buf, size, "# of the sandbox: vnic's forwarder\nnameserver %s\n%.*s",
			vnic_addr_text(listen, false, addr), (int)host->kept_size, host->kept);
}

static int cover(const struct resolv_config *config, const char *const *dirs, const char **ret_uncovered,
		 struct vnic_error *err)
{
	char text[OWN_LINES + RESOLV_KEEP];
	struct ns_cover cover = {.file = config->path, .text = text, .dirs = dirs};
	struct resolv host;

	resolv_read(config->path, &host);
	cover.size = (size_t)make_text(config, &host, text, sizeof(text));
	return ns_cover(&cover, ret_uncovered, err);
}

void resolv_mount(const struct resolv_config *config, unsigned *ret_kept, struct vnic_error *err)
{
	const char *uncovered = NULL;

	*ret_kept = cover(config, services, &uncovered, err) < 0 ? VNIC_KEPT_RESOLV : 0;
	if (uncovered)
		*ret_kept |= VNIC_KEPT_RESOLVERS;
}

int resolv_mount_again(const struct resolv_config *config, struct vnic_error *err)
{
	static const char *const none[] = {NULL};
	const char *uncovered;

	return cover(config, none, &uncovered, err);
}
