/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a link treats IP: what conf/LINK/ in /proc/sys/net has, but over netlink. */
#ifndef NETLINK_LINK_IP_H
#define NETLINK_LINK_IP_H

#include <stdbool.h>

#include <vnic/link.h>

/*
 * A link of a router that speaks in the name of others: forwards IPv4, accepts its own addresses as sources, no
 * reverse-path filter, no redirects, asks for a MAC with an address of the link's subnet, and has one only for the
 * link's own addresses.  What conf/all says still counts where the kernel takes the higher of the two (rp_filter) or
 * either (send_redirects).
 */
void batch_link_routes(struct vnic_batch *batch, int index, bool one_net);

/* A link that is down gets no IPv6 link-local address when it comes up. */
void batch_link_no_link_local(struct vnic_batch *batch, int index);

#endif
