/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DHCP for IPv4 (RFC 2131, 2132): a message comes in, an answer goes out, and nothing is remembered.
 *
 * Theory of operation.  There is one client and one address, decided before the sandbox was made: an offer reserves
 * nothing, a release frees nothing, and whether a request is right is seen from the request alone.
 *
 *   DISCOVER  OFFER
 *   REQUEST   ACK if it names the address (as requested, or as its own), otherwise NAK: nobody else can know better
 *   INFORM    ACK without an address
 *   DECLINE, RELEASE   nothing but a count
 *
 * Who names another server has chosen that.  What came by a relay agent did not come from this link.
 *
 * Rejected: leases by client id.  A boot loader and the system that it loads are two clients of the one NIC, and must
 * get the same address.  Rejected: to say only what the client asks for; all of it fits into the smallest message
 * that a client has to take.
 */
#include "dhcp.h"

#include <netinet/in.h>

#include "writer.h"

#define LEASE_TIME 86400
#define MTU_KNOWN 1500 /* what a client takes an Ethernet's to be */
#define BOOTP_MIN 300  /* some clients and relays drop shorter ones: RFC 1542 section 2.1 */

/* The fixed part, RFC 2131 section 2. */
enum {
	AT_OP = 0,
	AT_HLEN = 2,
	AT_XID = 4,
	AT_FLAGS = 10,
	AT_CIADDR = 12,
	AT_YIADDR = 16,
	AT_GIADDR = 24,
	AT_CHADDR = 28,
	AT_SNAME = 44,
	AT_FILE = 108,
	AT_MAGIC = 236,
	AT_OPTIONS = 240,
};
#define BOOTREQUEST 1
#define BOOTREPLY 2
#define CHADDR_MAX 16

static const uint8_t magic[4] = {99, 130, 83, 99};

enum type { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };

enum option {
	OPTION_PAD = 0,
	OPTION_MASK = 1,
	OPTION_ROUTER = 3,
	OPTION_DNS = 6,
	OPTION_HOSTNAME = 12,
	OPTION_DOMAIN = 15,
	OPTION_MTU = 26,
	OPTION_REQUESTED = 50,
	OPTION_LEASE_TIME = 51,
	OPTION_OVERLOAD = 52,
	OPTION_TYPE = 53,
	OPTION_SERVER = 54,
	OPTION_CLIENT_ID = 61,
	OPTION_SEARCH = 119,
	OPTION_END = 255,
};

/* --- reading ------------------------------------------------------------------------ */

#define OVERLOAD_FILE 1
#define OVERLOAD_SNAME 2

struct value {
	uint8_t size;
	uint8_t bytes[255];
};

struct request {
	const uint8_t *fixed;
	enum type type;
	const uint8_t *asked; /* the address that it names; NULL: none */
	struct value type_option, overload, requested, server, client_id;
};

static struct value *place_of(struct request *request, uint8_t code)
{
	switch (code) {
	case OPTION_TYPE:
		return &request->type_option;
	case OPTION_OVERLOAD:
		return &request->overload;
	case OPTION_REQUESTED:
		return &request->requested;
	case OPTION_SERVER:
		return &request->server;
	case OPTION_CLIENT_ID:
		return &request->client_id;
	default:
		return NULL;
	}
}

/* The parts of an option that comes more than once are one value (RFC 3396). */
static bool append(struct value *value, const uint8_t *data, uint8_t size)
{
	if (size > sizeof(value->bytes) - value->size)
		return false;
	memcpy(value->bytes + value->size, data, size);
	value->size = (uint8_t)(value->size + size);
	return true;
}

static bool read_options(struct request *request, const uint8_t *field, size_t size)
{
	for (size_t at = 0; at < size && field[at] != OPTION_END;) {
		struct value *value;

		if (field[at] == OPTION_PAD) {
			at++;
			continue;
		}
		if (size - at < 2 || size - at - 2 < field[at + 1])
			return false;
		value = place_of(request, field[at]);
		if (value && !append(value, field + at + 2, field[at + 1]))
			return false;
		at += 2u + field[at + 1];
	}
	return true;
}

/* In the order of RFC 3396 section 5. */
static bool read_all_options(struct request *request, size_t size)
{
	const uint8_t *fixed = request->fixed;
	unsigned overload;

	if (!read_options(request, fixed + AT_OPTIONS, size - AT_OPTIONS))
		return false;
	overload = request->overload.size == 1 ? request->overload.bytes[0] : 0;
	if (overload & OVERLOAD_FILE && !read_options(request, fixed + AT_FILE, AT_MAGIC - AT_FILE))
		return false;
	return !(overload & OVERLOAD_SNAME) || read_options(request, fixed + AT_SNAME, AT_FILE - AT_SNAME);
}

static bool is_zero(const uint8_t addr[4])
{
	return get32(addr) == 0;
}

static bool is_addr_or_absent(const struct value *value)
{
	return value->size == 0 || value->size == 4;
}

static bool read_request(const uint8_t *message, size_t size, struct request *request)
{
	*request = (struct request){.fixed = message};
	if (size < AT_OPTIONS || message[AT_OP] != BOOTREQUEST || message[AT_HLEN] > CHADDR_MAX ||
	    !is_zero(message + AT_GIADDR) || memcmp(message + AT_MAGIC, magic, sizeof(magic)) != 0 ||
	    !read_all_options(request, size))
		return false;
	if (request->type_option.size != 1 || !is_addr_or_absent(&request->requested) ||
	    !is_addr_or_absent(&request->server))
		return false;
	request->type = request->type_option.bytes[0];
	if (request->requested.size)
		request->asked = request->requested.bytes;
	else if (!is_zero(message + AT_CIADDR))
		request->asked = message + AT_CIADDR;
	return true;
}

/* --- deciding ----------------------------------------------------------------------- */

/* 0: there is no answer. */
static enum type decide(const struct vnic_lease *lease, const struct request *request, enum lease_outcome *ret_outcome)
{
	*ret_outcome = LEASE_IGNORED;
	if (request->server.size && memcmp(request->server.bytes, lease->router[0].bytes, 4) != 0)
		return 0;
	switch (request->type) {
	case DISCOVER:
		*ret_outcome = LEASE_OFFERED;
		return OFFER;
	case REQUEST:
		if (!request->asked)
			return 0;
		if (memcmp(request->asked, lease->addr[0].bytes, 4) != 0) {
			*ret_outcome = LEASE_REFUSED;
			return NAK;
		}
		*ret_outcome = LEASE_GIVEN;
		return ACK;
	case INFORM:
		*ret_outcome = LEASE_TOLD;
		return ACK;
	case DECLINE:
	case RELEASE:
		*ret_outcome = LEASE_RETURNED;
		return 0;
	default: /* a server's message */
		return 0;
	}
}

/* --- writing ------------------------------------------------------------------------ */

/* An option that does not fit is left out; there is always room for OPTION_END. */
static void write_option(struct writer *writer, enum option code, const void *data, size_t size)
{
	if (size == 0 || size > 255 || writer->room - writer->size < 2 + size + 1)
		return;
	write8(writer, code);
	write8(writer, (unsigned)size);
	write_bytes(writer, data, size);
}

static void write_option32(struct writer *writer, enum option code, uint32_t value)
{
	uint8_t bytes[4];

	put32(bytes, value);
	write_option(writer, code, bytes, sizeof(bytes));
}

static void write_addr(struct writer *writer, enum option code, const struct vnic_addr *addr)
{
	write_option(writer, code, addr->bytes, addr->family == AF_INET ? 4 : 0);
}

/* The first of the domains, as text, for clients that do not know the other option. */
static void write_domain(struct writer *writer, const struct vnic_lease *lease)
{
	char text[VNIC_LEASE_SEARCH];
	size_t size = 0;

	for (size_t at = 0; at < lease->search_size && lease->search[at];) {
		size_t label = lease->search[at];

		if (size)
			text[size++] = '.';
		memcpy(text + size, lease->search + at + 1, label);
		size += label;
		at += 1 + label;
	}
	write_option(writer, OPTION_DOMAIN, text, size);
}

static void write_settings(struct writer *writer, const struct vnic_lease *lease)
{
	uint8_t mtu[2];

	put16(mtu, lease->mtu);
	write_option32(writer, OPTION_MASK, (uint32_t)(UINT64_MAX << (32 - lease->addr[0].prefix)));
	write_addr(writer, OPTION_ROUTER, &lease->router[0]);
	write_addr(writer, OPTION_DNS, &lease->dns[0]);
	if (lease->mtu != MTU_KNOWN)
		write_option(writer, OPTION_MTU, mtu, sizeof(mtu));
	write_option(writer, OPTION_HOSTNAME, lease->hostname, strlen(lease->hostname));
	write_domain(writer, lease);
	write_option(writer, OPTION_SEARCH, lease->search, lease->search_size);
}

/* Which fields are the request's: RFC 2131 table 3. */
static void write_fixed(struct writer *writer, const struct vnic_lease *lease, const struct request *request,
			enum type type)
{
	uint8_t *fixed = writer->buf;

	write_zeros(writer, AT_MAGIC);
	memcpy(fixed, request->fixed, AT_HLEN + 1);
	fixed[AT_OP] = BOOTREPLY;
	memcpy(fixed + AT_XID, request->fixed + AT_XID, 4);
	memcpy(fixed + AT_FLAGS, request->fixed + AT_FLAGS, 2);
	memcpy(fixed + AT_CHADDR, request->fixed + AT_CHADDR, CHADDR_MAX);
	if (type == ACK)
		memcpy(fixed + AT_CIADDR, request->fixed + AT_CIADDR, 4);
	if (type != NAK && request->type != INFORM)
		memcpy(fixed + AT_YIADDR, lease->addr[0].bytes, 4);
	write_bytes(writer, magic, sizeof(magic));
}

/* In the order of weight, for the last ones may not fit. */
static void write_answer(struct writer *writer, const struct vnic_lease *lease, const struct request *request,
			 enum type type)
{
	write_fixed(writer, lease, request, type);
	write_option(writer, OPTION_TYPE, (uint8_t[]){(uint8_t)type}, 1);
	write_addr(writer, OPTION_SERVER, &lease->router[0]);
	write_option(writer, OPTION_CLIENT_ID, request->client_id.bytes, request->client_id.size); /* RFC 6842 */
	if (type != NAK && request->type != INFORM)
		write_option32(writer, OPTION_LEASE_TIME, LEASE_TIME);
	if (type != NAK)
		write_settings(writer, lease);
	write8(writer, OPTION_END);
	if (writer->size < BOOTP_MIN)
		write_zeros(writer, BOOTP_MIN - writer->size);
}

void dhcp_answer(const struct vnic_lease *lease, const void *message, size_t size, struct dhcp_answer *ret_answer)
{
	struct writer writer = {.buf = ret_answer->bytes, .room = sizeof(ret_answer->bytes)};
	struct request request;
	enum type type;

	ret_answer->outcome = LEASE_IGNORED;
	ret_answer->unicast = false;
	ret_answer->size = 0;
	if (!read_request(message, size, &request))
		return;
	type = decide(lease, &request, &ret_answer->outcome);
	if (!type)
		return;
	write_answer(&writer, lease, &request, type);
	ret_answer->size = writer.size;
	ret_answer->unicast = type != NAK && !memcmp(request.fixed + AT_CIADDR, lease->addr[0].bytes, 4);
}
