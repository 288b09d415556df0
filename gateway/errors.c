/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation.  The host's kernel keeps the ICMP errors that its sockets meet (IP_RECVERR), and says from whom,
 * what, and about which packet.  The sandbox's kernel wants to hear the same about the packet that the sandbox
 * sent: then its sockets fail with what they would fail with on the host, and it learns the path's MTU.
 *
 * An error comes from the flow's destination, also where a router on the way said it: the routers around the host are
 * none of the sandbox's business, and its kernel does not ask.
 *
 * TCP needs none of it: there two kernels' TCPs talk, each with its own path.
 */
#include "errors.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

static bool is_unreachable(uint16_t family, const struct host_error *error)
{
	return error->from_afar && error->type == (family == AF_INET ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH);
}

/* What can be told as it is. */
static bool as_said(uint16_t family, const struct host_error *error, struct icmp_error *ret_error)
{
	if (error->code == EMSGSIZE && error->mtu) {
		*ret_error = family == AF_INET ? (struct icmp_error){ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, error->mtu}
					       : (struct icmp_error){ICMP6_PACKET_TOO_BIG, 0, error->mtu};
		return true;
	}
	*ret_error = (struct icmp_error){.type = error->type, .code = error->what};
	return error->code != EMSGSIZE && is_unreachable(family, error);
}

void errors_tell(struct vnic_gateway *gateway, const struct packet *cause, const struct host_error *error)
{
	struct icmp_error said;
	enum unreachable why;

	if (as_said(cause->key.family, error, &said))
		gateway_inject_error(gateway, cause, &said);
	else if (gateway_why(error->code, &why))
		gateway_inject_unreachable(gateway, cause, why);
}

bool errors_datagram(const struct vnic_gateway *gateway, const struct flow_key *key, uint8_t *buf,
		     struct packet *ret_cause)
{
	const struct flow_key reversed = {.src = key->dst, .dst = key->src, .family = key->family};

	return packet_parse(buf, packet_make_udp(&reversed, "", 0, &gateway->ends, buf), ret_cause);
}

void errors_tell_datagram(struct vnic_gateway *gateway, const struct flow_key *key, const struct host_error *error)
{
	uint8_t frame[128];
	struct packet cause;

	if (errors_datagram(gateway, key, frame, &cause))
		errors_tell(gateway, &cause, error);
}
