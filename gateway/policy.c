/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy: what class an address has, how a rule is written, and which rule decides.
 *
 * Theory of operation.  Classes come from one table of prefixes, most specific first, made from IANA's registries
 * of special-purpose addresses (RFC 6890).  What it does not name is internet only where IANA gives out global
 * unicast: for IPv6 that is 2000::/3.  An IPv6 address that carries an IPv4 address has the class of that one, and
 * a rule about a network applies to both, for the packet ends up at the IPv4 address.
 *
 * Each rule that matches has a rank, one number that compares as the header says, and the highest decides.  There
 * are few rules and one decision a flow, so they are simply all looked at.  (Rejected: a trie; the first match in the
 * order of the options, which makes `--allow A --deny B` and `--deny B --allow A` differ.)
 *
 * A rule with a name matches the addresses that the sandbox was told for it (names.c).  It can only allow: whoever
 * knows the address of what is denied by name would get there.  And it opens public addresses only: whoever answers for
 * the name could otherwise give it an address in the LAN (DNS rebinding).  So a rule about a network, which somebody
 * wrote, ranks above one about a name, whose addresses somebody else chooses.
 */
#include <vnic/policy.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "parse.h"

/* --- classes ------------------------------------------------------------------------ */

enum meaning {
	IS_INTERNET = VNIC_CLASS_INTERNET,
	IS_LAN = VNIC_CLASS_LAN,
	IS_SPECIAL = VNIC_CLASS_SPECIAL,
	/* The class of an IPv4 address within. */
	EMBEDS_LAST,    /* the last four bytes */
	EMBEDS_FLIPPED, /* these, inverted */
	EMBEDS_SECOND,  /* from the third byte on */
};

struct block {
	struct vnic_addr net;
	enum meaning meaning;
};

/* clang-format off */
#define V4(a, b, c, d, bits) {AF_INET, bits, {a, b, c, d}}
#define GROUP(g) (g) >> 8, (g) & 0xff
#define V6(a, b, c, d, e, f, g, h, bits) \
	{AF_INET6, bits, {GROUP(a), GROUP(b), GROUP(c), GROUP(d), GROUP(e), GROUP(f), GROUP(g), GROUP(h)}}

/*
 * iana-ipv4-special-registry, iana-ipv6-special-registry, and the addresses at which clouds hand out credentials
 * to whoever asks from inside.  Of two blocks that contain an address, the first decides.
 */
static const struct block blocks[] = {
	/* metadata */
	{V4(168, 63, 129, 16, 32), IS_SPECIAL},                          /* Azure: a public address by its looks */
	{V4(100, 100, 100, 200, 32), IS_SPECIAL},                        /* Alibaba */
	{V4(169, 254, 169, 0, 24), IS_SPECIAL},                          /* .254: nearly all of them */
	{V4(169, 254, 170, 0, 24), IS_SPECIAL},                          /* AWS: tasks and pods */
	{V4(169, 254, 0, 23, 32), IS_SPECIAL},                           /* Tencent */
	{V4(169, 254, 42, 42, 32), IS_SPECIAL},                          /* Scaleway */
	{V6(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0, 32), IS_SPECIAL},          /* AWS: fd00:ec2::254 and its neighbours */
	{V6(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254, 128), IS_SPECIAL},     /* Google */
	{V6(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x42, 128), IS_SPECIAL},      /* Scaleway */
	{V6(0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe, 128), IS_SPECIAL}, /* Oracle */
	{V6(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1, 128), IS_SPECIAL},    /* Linode */
	{V6(0xfd00, 0x0100, 0, 0, 0, 0, 0x0100, 0x0200, 128), IS_SPECIAL}, /* Alibaba */
	{V6(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe, 128), IS_SPECIAL},    /* OpenStack */

	/* IPv4 */
	{V4(10, 0, 0, 0, 8), IS_LAN},                                    /* RFC 1918 */
	{V4(172, 16, 0, 0, 12), IS_LAN},
	{V4(192, 168, 0, 0, 16), IS_LAN},
	{V4(100, 64, 0, 0, 10), IS_LAN},                                 /* RFC 6598, shared address space */
	{V4(169, 254, 0, 0, 16), IS_LAN},                                /* RFC 3927, link-local */
	{V4(0, 0, 0, 0, 8), IS_SPECIAL},                                 /* RFC 791, this network */
	{V4(127, 0, 0, 0, 8), IS_SPECIAL},                               /* RFC 1122, loopback */
	{V4(192, 0, 0, 0, 24), IS_SPECIAL},                              /* RFC 6890, protocol assignments */
	{V4(192, 0, 2, 0, 24), IS_SPECIAL},                              /* RFC 5737, documentation */
	{V4(198, 51, 100, 0, 24), IS_SPECIAL},
	{V4(203, 0, 113, 0, 24), IS_SPECIAL},
	{V4(192, 88, 99, 0, 24), IS_SPECIAL},                            /* RFC 7526, 6to4 relays, deprecated */
	{V4(198, 18, 0, 0, 15), IS_SPECIAL},                             /* RFC 2544, benchmarks */
	{V4(224, 0, 0, 0, 4), IS_SPECIAL},                               /* RFC 5771, multicast */
	{V4(240, 0, 0, 0, 4), IS_SPECIAL},                               /* RFC 1112, reserved; RFC 919, broadcast */
	{V4(0, 0, 0, 0, 0), IS_INTERNET},

	/* IPv6 */
	{V6(0, 0, 0, 0, 0, 0xffff, 0, 0, 96), EMBEDS_LAST},              /* RFC 4291, IPv4-mapped */
	{V6(0x0064, 0xff9b, 0, 0, 0, 0, 0, 0, 96), EMBEDS_LAST},         /* RFC 6052, NAT64 */
	{V6(0x2001, 0, 0, 0, 0, 0, 0, 0, 32), EMBEDS_FLIPPED},           /* RFC 4380, Teredo: the client, obfuscated */
	{V6(0x2002, 0, 0, 0, 0, 0, 0, 0, 16), EMBEDS_SECOND},            /* RFC 3056, 6to4 */
	{V6(0x2001, 0, 0, 0, 0, 0, 0, 0, 23), IS_SPECIAL},               /* RFC 2928, protocol assignments */
	{V6(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0, 32), IS_SPECIAL},          /* RFC 3849, documentation */
	{V6(0x3fff, 0, 0, 0, 0, 0, 0, 0, 20), IS_SPECIAL},               /* RFC 9637, documentation */
	{V6(0x2000, 0, 0, 0, 0, 0, 0, 0, 3), IS_INTERNET},               /* RFC 4291, global unicast */
	{V6(0xfc00, 0, 0, 0, 0, 0, 0, 0, 7), IS_LAN},                    /* RFC 4193, unique local */
	{V6(0xfe80, 0, 0, 0, 0, 0, 0, 0, 10), IS_LAN},                   /* RFC 4291, link-local */
	{V6(0xfec0, 0, 0, 0, 0, 0, 0, 0, 10), IS_LAN},                   /* RFC 3879, site-local */
	{V6(0, 0, 0, 0, 0, 0, 0, 0, 0), IS_SPECIAL},                     /* loopback, multicast, unassigned and the rest */
};
/* clang-format on */

/* For an address of either family. */
static const struct block *find_block(const struct vnic_addr *addr)
{
	const struct block *block = blocks;

	while (!vnic_addr_contains(&block->net, addr))
		block++; /* the last block of each family contains all of it */
	return block;
}

/* The IPv4 address in which an IPv6 address ends up; false: in none. */
static bool embedded(const struct vnic_addr *addr, struct vnic_addr *ret_v4)
{
	enum meaning meaning = addr->family == AF_INET6 ? find_block(addr)->meaning : IS_SPECIAL;
	uint8_t flip = meaning == EMBEDS_FLIPPED ? 0xff : 0;

	if (meaning < EMBEDS_LAST)
		return false;
	*ret_v4 = (struct vnic_addr){.family = AF_INET, .prefix = 32};
	for (int i = 0; i < 4; i++)
		ret_v4->bytes[i] = addr->bytes[(meaning == EMBEDS_SECOND ? 2 : 12) + i] ^ flip;
	return true;
}

enum vnic_class vnic_policy_class(const struct vnic_addr *addr, bool host)
{
	struct vnic_addr inner;

	if (host)
		return VNIC_CLASS_HOST;
	if (addr->family != AF_INET && addr->family != AF_INET6)
		return VNIC_CLASS_SPECIAL;
	return (enum vnic_class)find_block(embedded(addr, &inner) ? &inner : addr)->meaning;
}

enum vnic_class vnic_policy_flow_class(const struct vnic_policy_flow *flow)
{
	return flow->broadcast ? VNIC_CLASS_SPECIAL : vnic_policy_class(&flow->dst, flow->host);
}

static const char *const class_texts[] = {
	[VNIC_CLASS_INTERNET] = "internet", [VNIC_CLASS_LAN] = "lan", [VNIC_CLASS_HOST] = "host",
	[VNIC_CLASS_SPECIAL] = "special",   [VNIC_CLASS_ANY] = "any",
};

const char *vnic_class_text(enum vnic_class which)
{
	return (unsigned)which < sizeof(class_texts) / sizeof(class_texts[0]) ? class_texts[which] : "unknown";
}

/* --- how a rule is written ---------------------------------------------------------- */

#define RULE_TEXT (VNIC_DOMAIN_TEXT + 32)
#define RULE_HELP                                                                                                    \
	"a rule is WHO[:PORT[-PORT]][/tcp|udp|icmp], and WHO is internet, lan, host, any, an address, a network or " \
	"a name with a dot, as example.org or *.example.org"
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyz"

static const char *const proto_texts[] = {
	[VNIC_PROTO_TCP] = "tcp", [VNIC_PROTO_UDP] = "udp", [VNIC_PROTO_ICMP] = "icmp"};

/* Cuts "/tcp" off the end; "/24" stays, for a protocol begins with a letter. */
static int parse_proto(char *text, const char *whole, enum vnic_proto *ret_proto, struct vnic_error *err)
{
	char *slash = strrchr(text, '/');

	*ret_proto = VNIC_PROTO_ANY;
	if (!slash || (slash[1] >= '0' && slash[1] <= '9'))
		return 0;
	for (enum vnic_proto proto = VNIC_PROTO_TCP; proto <= VNIC_PROTO_ICMP; proto++)
		if (!strcmp(slash + 1, proto_texts[proto])) {
			*slash = '\0';
			*ret_proto = proto;
			return 0;
		}
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, whole, "the protocol after '/' is tcp, udp or icmp");
}

/* Splits "WHO:PORTS", "[WHO]:PORTS", "WHO" and a bare IPv6 address; *ret_ports is NULL without ports. */
static int split(char *text, const char *whole, char **ret_who, char **ret_ports, struct vnic_error *err)
{
	char *colon = strchr(text, ':');

	*ret_who = text;
	*ret_ports = NULL;
	if (*text == '[') {
		char *end = strchr(text, ']');

		if (!end || (end[1] != ':' && end[1] != '\0') || !colon || colon > end)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, whole,
					 "brackets stand around an IPv6 address, as in [fd00::/8]:53");
		*ret_who = text + 1;
		*end = '\0';
		colon = end[1] ? end + 1 : NULL;
	} else if (colon && strchr(colon + 1, ':')) {
		const char *slash = strchr(text, '/');

		if (slash && strchr(slash, ':'))
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, whole,
					 "where a port follows brackets stand around an IPv6 address, as in "
					 "[fd00::/8]:53");
		return 0;
	}
	if (colon) {
		*colon = '\0';
		*ret_ports = colon + 1;
	}
	return 0;
}

static int parse_ports(char *text, struct vnic_rule_policy *rule, struct vnic_error *err)
{
	char *dash = strchr(text, '-');
	uint32_t first, last;
	int r;

	if (dash)
		*dash = '\0';
	r = parse_u32(text, "a port", 1, 65535, &first, err);
	last = first;
	if (r == 0 && dash)
		r = parse_u32(dash + 1, "the last port", first, 65535, &last, err);
	if (r < 0)
		return r;
	rule->port_first = (uint16_t)first;
	rule->port_last = (uint16_t)last;
	return 0;
}

/* Letters, digits, '-' and '_' between single dots; a letter begins the last part, so that it is no address. */
static bool is_name(const char *text)
{
	size_t len;

	for (;; text += len + 1) {
		len = strspn(text, LETTERS DIGITS "-_");
		if (len == 0 || len > 63)
			return false;
		if (text[len] == '\0')
			return strchr(LETTERS, *text);
		if (text[len] != '.')
			return false;
	}
}

/* As it is kept: "Example.ORG." is "example.org". */
static int parse_name(char *who, const char *whole, struct vnic_policy *policy, struct vnic_rule_policy *rule,
		      struct vnic_error *err)
{
	size_t len = strlen(who);

	if (who[len - 1] == '.')
		who[--len] = '\0';
	for (char *c = who; *c; c++) {
		if (*c & 0x80)
			return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, whole,
					 "a name is written in ASCII, as the DNS has it: xn--bcher-kva.example");
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	}
	if (len >= VNIC_DOMAIN_TEXT || !is_name(who + (strncmp(who, "*.", 2) == 0 ? 2 : 0)))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, whole, RULE_HELP);
	if (!rule->allow)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, whole,
				 "a name cannot be denied, for it is its address that is connected to: --deny any, and "
				 "--allow the names that are needed");
	if (policy->names_size == 0)
		policy->names_size = 1;
	if (policy->names_size + len + 1 > sizeof(policy->names))
		return vnic_fail(err, VNIC_STEP_USAGE, ENOSPC, whole, "the names of all rules have %zu bytes at most",
				 sizeof(policy->names));
	rule->name = (uint16_t)policy->names_size;
	memcpy(policy->names + policy->names_size, who, len + 1);
	policy->names_size += (unsigned)len + 1;
	return 0;
}

static int parse_who(char *who, const char *whole, struct vnic_policy *policy, struct vnic_rule_policy *rule,
		     struct vnic_error *err)
{
	static const enum vnic_class classes[] = {VNIC_CLASS_INTERNET, VNIC_CLASS_LAN, VNIC_CLASS_HOST, VNIC_CLASS_ANY};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (!strcmp(who, class_texts[classes[i]])) {
			rule->by_class = true;
			rule->dst_class = classes[i];
			return 0;
		}
	if (!strpbrk(who, ".:"))
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, whole, RULE_HELP);
	return strpbrk(who, ":/") || !who[strspn(who, DIGITS ".")] ? vnic_addr_parse(who, &rule->net, err)
								   : parse_name(who, whole, policy, rule, err);
}

static int parse_rule(const char *whole, struct vnic_policy *policy, struct vnic_rule_policy *rule,
		      struct vnic_error *err)
{
	char text[RULE_TEXT], *who = text, *ports = NULL;
	int r = parse_copy(whole, "a rule", text, sizeof(text), err);

	if (r == 0 && strstr(text, "://"))
		r = vnic_fail(err, VNIC_STEP_USAGE, EINVAL, whole, "a rule has no scheme and no path: example.org:443");
	if (r == 0)
		r = parse_proto(text, whole, &rule->proto, err);
	if (r == 0)
		r = split(text, whole, &who, &ports, err);
	if (r == 0 && ports && rule->proto == VNIC_PROTO_ICMP)
		r = vnic_fail(err, VNIC_STEP_USAGE, EINVAL, whole, "ICMP has no ports");
	if (r == 0 && ports)
		r = parse_ports(ports, rule, err);
	return r < 0 ? r : parse_who(who, whole, policy, rule, err);
}

void vnic_policy_init(struct vnic_policy *policy)
{
	*policy = (struct vnic_policy){.count = 1};
	policy->rules[0] = (struct vnic_rule_policy){.allow = true,
						     .by_class = true,
						     .fallback = true,
						     .dst_class = VNIC_CLASS_INTERNET,
						     .port_last = 65535};
}

int vnic_policy_add(struct vnic_policy *policy, bool allow, const char *text, struct vnic_error *err)
{
	struct vnic_rule_policy rule = {.allow = allow, .port_last = 65535};
	int r;

	if (policy->count == VNIC_POLICY_RULES)
		return vnic_fail(err, VNIC_STEP_USAGE, ENOSPC, text, "there are at most %d rules", VNIC_POLICY_RULES);
	r = parse_rule(text, policy, &rule, err);
	if (r == 0)
		policy->rules[policy->count++] = rule;
	return r;
}

static bool is_named(const char *pattern, const char *name)
{
	size_t below = strlen(pattern) - 1, len = strlen(name);

	if (*pattern != '*')
		return !strcmp(pattern, name);
	return len > below && !strcmp(name + len - below, pattern + 1);
}

bool vnic_policy_names(const struct vnic_policy *policy, const char *name, struct vnic_rule_set *set)
{
	bool found = false;

	for (unsigned i = 0; i < policy->count && policy->names_size; i++)
		if (policy->rules[i].name && is_named(policy->names + policy->rules[i].name, name)) {
			set->bits[i / 64] |= UINT64_C(1) << i % 64;
			found = true;
		}
	return found;
}

/* --- which rule decides ------------------------------------------------------------- */

/* Is it the flow's destination that is meant? */
static bool means(const struct vnic_rule_policy *rule, const struct vnic_policy_flow *flow,
		  const struct vnic_addr *inner)
{
	if (flow->loopback && rule->allow && rule->net.prefix < flow->dst.prefix)
		return false; /* somebody else's network, in which the router's address lies by chance */
	return vnic_addr_contains(&rule->net, &flow->dst) || (inner && vnic_addr_contains(&rule->net, inner));
}

static bool matches(const struct vnic_policy *policy, unsigned index, const struct vnic_policy_flow *flow,
		    const struct vnic_addr *inner)
{
	const struct vnic_rule_policy *rule = &policy->rules[index];
	bool all_ports = rule->port_first == 0 && rule->port_last == 65535;

	if (rule->proto != VNIC_PROTO_ANY && rule->proto != flow->proto)
		return false;
	if (!all_ports &&
	    (flow->proto == VNIC_PROTO_ICMP || flow->port < rule->port_first || flow->port > rule->port_last))
		return false;
	if (rule->name)
		return flow->named.bits[index / 64] >> index % 64 & 1 &&
		       vnic_policy_flow_class(flow) == VNIC_CLASS_INTERNET;
	if (!rule->by_class)
		return means(rule, flow, inner);
	return rule->dst_class == VNIC_CLASS_ANY || rule->dst_class == vnic_policy_flow_class(flow);
}

/*
 * From the top: network, name, class, any, the default; length of the prefix; few ports; a protocol; deny.  The
 * default comes last although it is about one class: `--deny any` means the Internet, too.
 */
static uint64_t rank(const struct vnic_rule_policy *rule)
{
	bool by_net = !rule->by_class && !rule->name;
	uint64_t kind = rule->fallback ? 0 : by_net ? 4 : rule->name ? 3 : rule->dst_class == VNIC_CLASS_ANY ? 1 : 2;
	/* An IPv4 network is compared as the IPv6 network of its mapped addresses. */
	uint64_t prefix = by_net ? rule->net.prefix + (rule->net.family == AF_INET ? 96u : 0u) : 0;
	uint64_t few = 65535u - (uint64_t)(rule->port_last - rule->port_first);

	return kind << 32 | prefix << 24 | few << 8 | (uint64_t)(rule->proto != VNIC_PROTO_ANY) << 1 | !rule->allow;
}

bool vnic_policy_allows(const struct vnic_policy *policy, const struct vnic_policy_flow *flow)
{
	struct vnic_addr inner;
	const struct vnic_addr *embeds = embedded(&flow->dst, &inner) ? &inner : NULL;
	const struct vnic_rule_policy *best = NULL;

	for (unsigned i = 0; i < policy->count; i++) {
		const struct vnic_rule_policy *rule = &policy->rules[i];

		if (matches(policy, i, flow, embeds) && (!best || rank(rule) > rank(best)))
			best = rule;
	}
	return best && best->allow;
}

/* From 0, the name, or 1, the class, to 3, the flow alone. */
static void write_rule(const struct vnic_policy_flow *flow, int narrow, char *buf, size_t size)
{
	char addr[VNIC_ADDR_TEXT];

	vnic_addr_text(&flow->dst, false, addr);
	if (narrow == 0)
		snprintf(buf, size, "%s", flow->name);
	else if (narrow == 1)
		snprintf(buf, size, "%s", vnic_class_text(vnic_policy_flow_class(flow)));
	else if (narrow == 2)
		snprintf(buf, size, "%s", addr);
	else if (flow->proto == VNIC_PROTO_ICMP)
		snprintf(buf, size, "%s/icmp", addr);
	else
		snprintf(buf, size, flow->dst.family == AF_INET6 ? "[%s]:%u/%s" : "%s:%u/%s", addr, flow->port,
			 proto_texts[flow->proto]);
}

const char *vnic_policy_remedy(const struct vnic_policy *policy, const struct vnic_policy_flow *flow, char *buf,
			       size_t size)
{
	if (flow->broadcast)
		return NULL;
	/* What is special has no class that could be written. */
	for (int narrow = flow->name ? 0 : 1; narrow < 4; narrow++) {
		struct vnic_policy more = *policy;
		struct vnic_policy_flow same = *flow;

		if (narrow == 1 && vnic_policy_flow_class(flow) == VNIC_CLASS_INTERNET)
			continue; /* who closed all of it does not want it open again for one address */
		write_rule(flow, narrow, buf, size);
		if (vnic_policy_add(&more, true, buf, NULL) < 0)
			continue;
		if (flow->name)
			vnic_policy_names(&more, flow->name, &same.named);
		if (vnic_policy_allows(&more, &same))
			return buf;
	}
	return NULL;
}
