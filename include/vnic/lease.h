/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest that configures itself is told when it asks: by DHCP, by router solicitation, by DHCPv6.
 *
 * A NIC has one guest and one address of each family: whoever asks there is told the same.
 */
#ifndef VNIC_LEASE_H
#define VNIC_LEASE_H

#include <stdint.h>

#include <vnic/addr.h>

#define VNIC_LEASES 16
#define VNIC_LEASE_SEARCH 255

/* The arrays are by family; AF_UNSPEC: none. */
struct vnic_lease {
	int index;                         /* of the NIC's end in the router */
	struct vnic_mac mac;               /* of that end */
	struct vnic_addr link_local;       /* of that end: who advertises */
	uint32_t mtu;                      /* of the NIC */
	struct vnic_addr addr[2];          /* the guest's, with the network's prefix; none: nothing is told */
	struct vnic_addr router[2];        /* not none where the guest has an address */
	struct vnic_addr dns[2];           /* whom to ask for names */
	char hostname[65];                 /* "": the guest's own affair */
	uint8_t search_size;               /* 0: none */
	uint8_t search[VNIC_LEASE_SEARCH]; /* domains to complete names with, as DNS writes names */
};

/* The sockets in the router at which guests ask; none of them is bound to a link. */
enum vnic_lease_socket {
	VNIC_LEASE_DHCP,    /* UDP port 67, SO_BROADCAST, IP_PKTINFO */
	VNIC_LEASE_DHCP6,   /* UDP port 547, IPV6_RECVPKTINFO, in ff02::1:2 on each NIC */
	VNIC_LEASE_SOLICIT, /* raw, router solicitations only, IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT; it sends with 255 */
	VNIC_LEASE_SOCKETS,
};

struct vnic_lease_stats {
	uint64_t given;      /* by DHCP or DHCPv6; to renew one is to be given it again */
	uint64_t refused;    /* another address, or a second one, was asked for */
	uint64_t told;       /* only other settings were asked for */
	uint64_t returned;   /* released, or declined for somebody else has it */
	uint64_t advertised; /* router advertisements */
	uint64_t ignored;    /* malformed, not for us, or beyond a limit */
};

#endif
