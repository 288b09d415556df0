/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DHCP for IPv6 (RFC 8415): a message comes in, an answer goes out, and nothing is remembered, as in dhcp.c.
 *
 * Theory of operation.  A message is read twice.  The first time all its options are checked, down to the addresses,
 * so that the second time, when the answer is written option by option, nothing can be amiss.
 *
 *   SOLICIT             ADVERTISE, or with Rapid Commit REPLY, with the address
 *   REQUEST, RENEW, REBIND   REPLY with the address; others that the client names end at once, or are not of this link
 *   CONFIRM             REPLY: are the addresses of this link?
 *   RELEASE, DECLINE    REPLY: success
 *   INFORMATION-REQUEST REPLY with the resolvers
 *
 * The first identity association for an address (IA_NA) in a message gets the one address; another one, one for a
 * temporary address (IA_TA) or for a prefix (IA_PD) is told that there is none.
 */
#include "dhcp6.h"

#include <netinet/in.h>

#include "writer.h"

#define LEASE_TIME 86400u
#define RENEW_TIME (LEASE_TIME / 2) /* T1 and T2: RFC 8415 section 21.4 */
#define REBIND_TIME (LEASE_TIME / 5 * 4)
#define PREFERENCE 255 /* no other server is worth waiting for */
#define DUID_MAX 130   /* RFC 8415 section 11.1 */

#define HEADER 4 /* of a message: type, transaction id */
#define OPTION_HEADER 4
#define IA_HEADER 12   /* of IA_NA and IA_PD: id, T1, T2 */
#define IA_TA_HEADER 4 /* id */
#define ADDR_SIZE 24   /* of IAADDR: address, two lifetimes */

enum message {
	SOLICIT = 1,
	ADVERTISE,
	REQUEST,
	CONFIRM,
	RENEW,
	REBIND,
	REPLY,
	RELEASE,
	DECLINE,
	INFORMATION_REQUEST = 11,
	MESSAGES,
};

enum option {
	OPTION_CLIENT_ID = 1,
	OPTION_SERVER_ID = 2,
	OPTION_IA_NA = 3,
	OPTION_IA_TA = 4,
	OPTION_IAADDR = 5,
	OPTION_PREFERENCE = 7,
	OPTION_STATUS = 13,
	OPTION_RAPID_COMMIT = 14,
	OPTION_DNS = 23,
	OPTION_SEARCH = 24,
	OPTION_IA_PD = 25,
};

enum status { SUCCESS = 0, NO_ADDRS_AVAIL = 2, NO_BINDING = 3, NOT_ON_LINK = 4, NO_PREFIX_AVAIL = 6 };

/* --- reading ------------------------------------------------------------------------ */

struct option_view {
	unsigned code;
	const uint8_t *data;
	size_t size;
};

/* 1: *ret_option is the next one, and *at stands behind it; 0: there is none; -1: it is not whole. */
static int next_option(const uint8_t *options, size_t size, size_t *at, struct option_view *ret_option)
{
	const uint8_t *header = options + *at;

	if (*at == size)
		return 0;
	if (size - *at < OPTION_HEADER || size - *at - OPTION_HEADER < get16(header + 2))
		return -1;
	*ret_option = (struct option_view){get16(header), header + OPTION_HEADER, get16(header + 2)};
	*at += OPTION_HEADER + ret_option->size;
	return 1;
}

struct request {
	enum message type;
	const uint8_t *message;
	size_t size;
	struct option_view client, server; /* .data NULL: none */
	bool rapid, has_ia;
};

/* Where the options inside an IA begin; 0: it is none. */
static size_t ia_header(const struct option_view *option)
{
	switch (option->code) {
	case OPTION_IA_NA:
	case OPTION_IA_PD:
		return IA_HEADER;
	case OPTION_IA_TA:
		return IA_TA_HEADER;
	default:
		return 0;
	}
}

static bool check_ia(const struct option_view *ia)
{
	struct option_view inner;
	size_t at = ia_header(ia);
	int r = -1;

	while (ia->size >= at && (r = next_option(ia->data, ia->size, &at, &inner)) > 0)
		if (inner.code == OPTION_IAADDR && inner.size < ADDR_SIZE)
			return false;
	return r == 0;
}

static bool take_option(struct request *request, const struct option_view *option)
{
	switch (option->code) {
	case OPTION_CLIENT_ID:
		request->client = *option;
		return option->size > 0 && option->size <= DUID_MAX;
	case OPTION_SERVER_ID:
		request->server = *option;
		return true;
	case OPTION_RAPID_COMMIT:
		request->rapid = true;
		return true;
	case OPTION_IA_NA:
	case OPTION_IA_TA:
	case OPTION_IA_PD:
		request->has_ia = true;
		return check_ia(option);
	default:
		return true;
	}
}

static bool read_request(const uint8_t *message, size_t size, struct request *request)
{
	struct option_view option;
	size_t at = HEADER;
	int r;

	if (size < HEADER)
		return false;
	*request = (struct request){.type = message[0], .message = message, .size = size};
	while ((r = next_option(message, size, &at, &option)) > 0)
		if (!take_option(request, &option))
			return false;
	return r == 0;
}

/* --- who is meant ------------------------------------------------------------------- */

#define DUID_SIZE 10

/* DUID-LL, RFC 8415 section 11.4. */
static void make_duid(const struct vnic_lease *lease, uint8_t duid[DUID_SIZE])
{
	put16(duid, 3);
	put16(duid + 2, 1); /* Ethernet */
	memcpy(duid + 4, lease->mac.bytes, sizeof(lease->mac.bytes));
}

/* RFC 8415 section 16. */
static bool is_for_us(const struct vnic_lease *lease, const struct request *request)
{
	enum presence { NEVER, MAY, MUST };
	static const struct {
		enum presence client, server;
	} rules[MESSAGES] = {
		[SOLICIT] = {MUST, NEVER}, [REQUEST] = {MUST, MUST},           [CONFIRM] = {MUST, NEVER},
		[RENEW] = {MUST, MUST},    [REBIND] = {MUST, NEVER},           [RELEASE] = {MUST, MUST},
		[DECLINE] = {MUST, MUST},  [INFORMATION_REQUEST] = {MAY, MAY},
	};
	bool has_client = request->client.data, has_server = request->server.data;
	uint8_t duid[DUID_SIZE];

	if (request->type >= MESSAGES || rules[request->type].client == NEVER) /* a server's, or a relay's */
		return false;
	if ((rules[request->type].client == MUST && !has_client) ||
	    (rules[request->type].server == MUST && !has_server) ||
	    (rules[request->type].server == NEVER && has_server))
		return false;
	make_duid(lease, duid);
	return !has_server ||
	       (request->server.size == sizeof(duid) && !memcmp(request->server.data, duid, sizeof(duid)));
}

/* --- addresses ---------------------------------------------------------------------- */

static bool is_leased(const struct vnic_lease *lease, const uint8_t addr[16])
{
	return !memcmp(addr, lease->addr[1].bytes, 16);
}

static bool is_on_link(const struct vnic_lease *lease, const uint8_t addr[16])
{
	struct vnic_addr host = {.family = AF_INET6, .prefix = 128};

	memcpy(host.bytes, addr, 16);
	return vnic_addr_contains(&lease->addr[1], &host);
}

/* Of the addresses that an IA names: how many there are, are of this link, are the leased one. */
struct census {
	unsigned all, on_link, leased;
};

static void take_census(const struct vnic_lease *lease, const struct option_view *ia, struct census *census)
{
	struct option_view inner;
	size_t at = ia_header(ia);

	while (next_option(ia->data, ia->size, &at, &inner) > 0)
		if (inner.code == OPTION_IAADDR) {
			census->all++;
			census->on_link += is_on_link(lease, inner.data);
			census->leased += is_leased(lease, inner.data);
		}
}

/* --- writing ------------------------------------------------------------------------ */

struct answer {
	struct writer writer;
	const struct vnic_lease *lease;
	const struct request *request;
	bool given; /* the address */
};

/* Its size is filled in by end_option. */
static size_t begin_option(struct answer *answer, enum option code)
{
	write16(&answer->writer, code);
	write16(&answer->writer, 0);
	return answer->writer.size;
}

static void end_option(struct answer *answer, size_t begin)
{
	if (!answer->writer.full)
		put16(answer->writer.buf + begin - 2, (unsigned)(answer->writer.size - begin));
}

static void write_option(struct answer *answer, enum option code, const void *data, size_t size)
{
	size_t begin = begin_option(answer, code);

	write_bytes(&answer->writer, data, size);
	end_option(answer, begin);
}

static void write_status(struct answer *answer, enum status status)
{
	uint8_t code[2];

	put16(code, status);
	write_option(answer, OPTION_STATUS, code, sizeof(code));
}

static void write_addr(struct answer *answer, const uint8_t addr[16], uint32_t lifetime)
{
	size_t begin = begin_option(answer, OPTION_IAADDR);

	write_bytes(&answer->writer, addr, 16);
	write32(&answer->writer, lifetime);
	write32(&answer->writer, lifetime);
	end_option(answer, begin);
}

/* An IA of the request without anything in it but why. */
static void refuse(struct answer *answer, const struct option_view *ia, enum status status)
{
	size_t begin = begin_option(answer, ia->code);

	write_bytes(&answer->writer, ia->data, 4);
	write_zeros(&answer->writer, ia_header(ia) - 4);
	write_status(answer, status);
	end_option(answer, begin);
}

/* What the client has beside it, it is to have no longer: RFC 8415 section 18.3.4. */
static void write_ended(struct answer *answer, const struct option_view *ia)
{
	struct option_view inner;
	size_t at = IA_HEADER;

	while (next_option(ia->data, ia->size, &at, &inner) > 0)
		if (inner.code == OPTION_IAADDR && !is_leased(answer->lease, inner.data))
			write_addr(answer, inner.data, 0);
}

static void give(struct answer *answer, const struct option_view *ia)
{
	size_t begin = begin_option(answer, OPTION_IA_NA);

	write_bytes(&answer->writer, ia->data, 4);
	write32(&answer->writer, RENEW_TIME);
	write32(&answer->writer, REBIND_TIME);
	write_addr(answer, answer->lease->addr[1].bytes, LEASE_TIME);
	if (answer->request->type == RENEW || answer->request->type == REBIND)
		write_ended(answer, ia);
	end_option(answer, begin);
	answer->given = true;
}

static void assign(struct answer *answer, const struct option_view *ia)
{
	struct census census = {0};

	take_census(answer->lease, ia, &census);
	if (ia->code == OPTION_IA_PD)
		refuse(answer, ia, NO_PREFIX_AVAIL);
	else if (ia->code == OPTION_IA_TA || answer->given)
		refuse(answer, ia, NO_ADDRS_AVAIL);
	else if (answer->request->type == REQUEST && census.on_link < census.all)
		refuse(answer, ia, NOT_ON_LINK); /* RFC 8415 section 18.3.2 */
	else
		give(answer, ia);
}

static void let_go(struct answer *answer, const struct option_view *ia)
{
	struct census census = {0};

	take_census(answer->lease, ia, &census);
	if (ia->code != OPTION_IA_NA || census.leased < census.all)
		refuse(answer, ia, NO_BINDING);
}

static void for_each_ia(struct answer *answer, void (*each)(struct answer *answer, const struct option_view *ia))
{
	const struct request *request = answer->request;
	struct option_view option;
	size_t at = HEADER;

	while (next_option(request->message, request->size, &at, &option) > 0)
		if (ia_header(&option))
			each(answer, &option);
}

static void write_settings(struct answer *answer)
{
	const struct vnic_lease *lease = answer->lease;

	if (lease->dns[1].family)
		write_option(answer, OPTION_DNS, lease->dns[1].bytes, sizeof(lease->dns[1].bytes));
	if (lease->search_size)
		write_option(answer, OPTION_SEARCH, lease->search, lease->search_size);
}

/* --- answers ------------------------------------------------------------------------ */

static void begin_answer(struct answer *answer, enum message type)
{
	const struct request *request = answer->request;
	uint8_t duid[DUID_SIZE];

	make_duid(answer->lease, duid);
	write8(&answer->writer, type);
	write_bytes(&answer->writer, request->message + 1, HEADER - 1);
	write_option(answer, OPTION_SERVER_ID, duid, sizeof(duid));
	if (request->client.data)
		write_option(answer, OPTION_CLIENT_ID, request->client.data, request->client.size);
}

static enum lease_outcome answer_solicit(struct answer *answer)
{
	bool rapid = answer->request->rapid;

	begin_answer(answer, rapid ? REPLY : ADVERTISE);
	if (rapid)
		write_option(answer, OPTION_RAPID_COMMIT, "", 0);
	else
		write_option(answer, OPTION_PREFERENCE, (uint8_t[]){PREFERENCE}, 1);
	for_each_ia(answer, assign);
	write_settings(answer);
	if (!answer->given)
		return LEASE_REFUSED;
	return rapid ? LEASE_GIVEN : LEASE_OFFERED;
}

static enum lease_outcome answer_request(struct answer *answer)
{
	begin_answer(answer, REPLY);
	for_each_ia(answer, assign);
	write_settings(answer);
	return answer->given ? LEASE_GIVEN : LEASE_REFUSED;
}

/* Who names no address gets no answer: RFC 8415 section 18.3.3. */
static enum lease_outcome answer_confirm(struct answer *answer)
{
	const struct request *request = answer->request;
	struct census census = {0};
	struct option_view option;
	size_t at = HEADER;

	while (next_option(request->message, request->size, &at, &option) > 0)
		if (option.code == OPTION_IA_NA || option.code == OPTION_IA_TA)
			take_census(answer->lease, &option, &census);
	if (!census.all)
		return LEASE_IGNORED;
	begin_answer(answer, REPLY);
	write_status(answer, census.on_link < census.all ? NOT_ON_LINK : SUCCESS);
	return census.on_link < census.all ? LEASE_REFUSED : LEASE_TOLD;
}

static enum lease_outcome answer_return(struct answer *answer)
{
	begin_answer(answer, REPLY);
	write_status(answer, SUCCESS);
	for_each_ia(answer, let_go);
	return LEASE_RETURNED;
}

/* RFC 8415 section 16.12: it asks for no address. */
static enum lease_outcome answer_information(struct answer *answer)
{
	if (answer->request->has_ia)
		return LEASE_IGNORED;
	begin_answer(answer, REPLY);
	write_settings(answer);
	return LEASE_TOLD;
}

static enum lease_outcome make_answer(struct answer *answer)
{
	switch (answer->request->type) {
	case SOLICIT:
		return answer_solicit(answer);
	case REQUEST:
	case RENEW:
	case REBIND:
		return answer_request(answer);
	case CONFIRM:
		return answer_confirm(answer);
	case RELEASE:
	case DECLINE:
		return answer_return(answer);
	case INFORMATION_REQUEST:
		return answer_information(answer);
	default:
		return LEASE_IGNORED;
	}
}

void dhcp6_answer(const struct vnic_lease *lease, const void *message, size_t size, struct dhcp6_answer *ret_answer)
{
	struct request request;
	struct answer answer = {
		.writer = {.buf = ret_answer->bytes, .room = sizeof(ret_answer->bytes)},
		.lease = lease,
		.request = &request,
	};

	ret_answer->outcome = LEASE_IGNORED;
	ret_answer->size = 0;
	if (!read_request(message, size, &request) || !is_for_us(lease, &request))
		return;
	ret_answer->outcome = make_answer(&answer);
	if (answer.writer.full) /* more associations than anybody has */
		ret_answer->outcome = LEASE_IGNORED;
	else
		ret_answer->size = answer.writer.size;
}
