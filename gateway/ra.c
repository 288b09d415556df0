/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Router advertisements: the default route, the prefix, the MTU and the resolver, for guests that ask.
 *
 * Theory of operation.  Whoever brings a link up asks, so there is an advertisement for each solicitation, and no
 * other but this: a default route lasts 65535 seconds at most (RFC 4861 section 4.2, RFC 8319), so those that were
 * answered are told again after a third of that, and the gateway sleeps meanwhile.  All else lasts for ever.
 *
 * The flags say both "make an address of the prefix" (A) and "ask DHCPv6" (M, O).  A guest that has DHCPv6 then has
 * fd00::100, to which published ports lead, beside one of its own making; one that has not, such as a bare kernel,
 * has at least that.  Both are of the NIC's prefix, which is all that the router's rules want of a source.
 *
 * Rejected: M without A.  There are guests without DHCPv6, Android for one, and they would have no address.
 */
#include "ra.h"

#include <netinet/icmp6.h>

#include "writer.h"

#define HOPS_MAX 255 /* it came from the link itself: RFC 4861 section 6.1.1 */
#define GUEST_HOPS 64
#define ROUTER_LIFETIME 65535
#define FOR_EVER UINT32_MAX
#define SLAAC_PREFIX 64 /* RFC 4862 with RFC 2464: an Ethernet's interface identifier has 64 bits */
#define IPV6_MTU_MIN 1280
#define OPTION_RDNSS 25 /* RFC 8106 section 5 */
#define OPTION_DNSSL 31

_Static_assert(RA_INTERVAL * 3 <= ROUTER_LIFETIME, "two advertisements may be lost");

/* --- reading ------------------------------------------------------------------------ */

bool ra_is_solicitation(const void *message, size_t size, int hops, bool nameless)
{
	const uint8_t *bytes = message;

	if (size < sizeof(struct nd_router_solicit) || bytes[0] != ND_ROUTER_SOLICIT || bytes[1] != 0 ||
	    hops != HOPS_MAX)
		return false;
	for (size_t at = sizeof(struct nd_router_solicit); at < size;) {
		size_t length = size - at < 2 ? 0 : bytes[at + 1] * 8u;

		if (length == 0 || length > size - at || (nameless && bytes[at] == ND_OPT_SOURCE_LINKADDR))
			return false;
		at += length;
	}
	return true;
}

/* --- writing ------------------------------------------------------------------------ */

/* The length is in units of eight bytes. */
static void begin_option(struct writer *writer, unsigned type, size_t size)
{
	write8(writer, type);
	write8(writer, (unsigned)(size / 8));
}

static void write_header(struct writer *writer)
{
	write8(writer, ND_ROUTER_ADVERT);
	write8(writer, 0);
	write16(writer, 0); /* the checksum: the kernel's affair */
	write8(writer, GUEST_HOPS);
	write8(writer, ND_RA_FLAG_MANAGED | ND_RA_FLAG_OTHER);
	write16(writer, ROUTER_LIFETIME);
	write32(writer, 0); /* reachable time, retransmission: the guest's own */
	write32(writer, 0);
}

static void write_prefix(struct writer *writer, const struct vnic_addr *addr)
{
	struct vnic_addr net = vnic_addr_host(addr, 0);

	begin_option(writer, ND_OPT_PREFIX_INFORMATION, 32);
	write8(writer, net.prefix);
	write8(writer, ND_OPT_PI_FLAG_ONLINK | (net.prefix == SLAAC_PREFIX ? ND_OPT_PI_FLAG_AUTO : 0u));
	write32(writer, FOR_EVER);
	write32(writer, FOR_EVER);
	write32(writer, 0);
	write_bytes(writer, net.bytes, sizeof(net.bytes));
}

static void write_search(struct writer *writer, const struct vnic_lease *lease)
{
	size_t names = (lease->search_size + 7u) / 8 * 8;

	begin_option(writer, OPTION_DNSSL, 8 + names);
	write16(writer, 0);
	write32(writer, FOR_EVER);
	write_bytes(writer, lease->search, lease->search_size);
	write_zeros(writer, names - lease->search_size);
}

size_t ra_make(const struct vnic_lease *lease, uint8_t buf[RA_MADE])
{
	struct writer writer = {.buf = buf, .room = RA_MADE};

	write_header(&writer);
	begin_option(&writer, ND_OPT_SOURCE_LINKADDR, 8);
	write_bytes(&writer, lease->mac.bytes, sizeof(lease->mac.bytes));
	if (lease->mtu >= IPV6_MTU_MIN) {
		begin_option(&writer, ND_OPT_MTU, 8);
		write16(&writer, 0);
		write32(&writer, lease->mtu);
	}
	write_prefix(&writer, &lease->addr[1]);
	if (lease->dns[1].family) {
		begin_option(&writer, OPTION_RDNSS, 24);
		write16(&writer, 0);
		write32(&writer, FOR_EVER);
		write_bytes(&writer, lease->dns[1].bytes, sizeof(lease->dns[1].bytes));
	}
	if (lease->search_size)
		write_search(&writer, lease);
	return writer.size;
}
