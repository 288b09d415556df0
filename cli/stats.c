/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a sandbox's gateway has counted, on standard error: standard output is the command's. */
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cli.h"

static void print_leases(const struct vnic_lease_stats *leases)
{
	fprintf(stderr,
		"vnic: leases  %" PRIu64 " given, %" PRIu64 " refused, %" PRIu64 " returned, %" PRIu64
		" told of settings, %" PRIu64 " advertisements, %" PRIu64 " ignored\n",
		leases->given, leases->refused, leases->returned, leases->told, leases->advertised, leases->ignored);
}

/* What is printed at once. */
struct figures {
	struct vnic_gateway_stats flows;
	struct vnic_dns_stats dns;
	struct vnic_nic_drops nics[VNIC_NICS];
	int nic_count;
};

static void print_nics(const struct figures *figures)
{
	for (int i = 0; i < figures->nic_count; i++)
		fprintf(stderr,
			"vnic: nic     %s dropped %" PRIu64 " in, %" PRIu64 " out; %" PRIu64 " by their source\n",
			figures->nics[i].name, figures->nics[i].in, figures->nics[i].out, figures->nics[i].source);
}

static void print_text(const struct figures *figures)
{
	const struct vnic_gateway_stats *flows = &figures->flows;
	const struct vnic_dns_stats *dns = &figures->dns;

	fprintf(stderr,
		"vnic: flows   tcp %" PRIu64 " (%u open), udp %" PRIu64 " (%u open), icmp %" PRIu64
		" (%u open), %" PRIu64 " published; not started: %" PRIu64 " denied, %" PRIu64 " failed, %" PRIu64
		" beyond a limit\n",
		flows->tcp_flows, flows->tcp_open, flows->udp_flows, flows->udp_open, flows->icmp_flows,
		flows->icmp_open, flows->published, flows->denied, flows->failed, flows->full);
	fprintf(stderr, "vnic: bytes   %" PRIu64 " out, %" PRIu64 " in\n", flows->bytes_out, flows->bytes_in);
	fprintf(stderr,
		"vnic: dropped %" PRIu64 " malformed, %" PRIu64 " ignored, %" PRIu64 " fragments; datagrams: %" PRIu64
		" unsent, %" PRIu64 " overrun; %" PRIu64 " lines of the log\n",
		flows->malformed, flows->ignored, flows->fragments_dropped, flows->udp_unsent, flows->udp_overrun,
		flows->unlogged);
	fprintf(stderr,
		"vnic: dns     %" PRIu64 " questions (%u open), %" PRIu64 " answers, %" PRIu64 " failed, %" PRIu64
		" repeated, %" PRIu64 " beyond a limit; %" PRIu64 " denied, %" PRIu64 " asked over TCP, %" PRIu64
		" strange; %u addresses of names, %" PRIu64 " forgotten\n",
		dns->queries, dns->open, dns->answers, dns->failed, dns->repeated, dns->full, dns->denied, dns->streams,
		dns->strange, dns->known, dns->known_full);
	print_leases(&flows->leases);
	print_nics(figures);
}

#define NUMBER(n) ((json_int_t)(n))

static json_t *leases_json(const struct vnic_lease_stats *leases)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "given", NUMBER(leases->given), "refused",
			 NUMBER(leases->refused), "returned", NUMBER(leases->returned), "told", NUMBER(leases->told),
			 "advertised", NUMBER(leases->advertised), "ignored", NUMBER(leases->ignored));
}

static json_t *nics_json(const struct figures *figures)
{
	json_t *nics = json_array();

	for (int i = 0; i < figures->nic_count; i++)
		json_array_append_new(nics, json_pack("{s:s, s:I, s:I, s:I}", "name", figures->nics[i].name,
						      "dropped_in", NUMBER(figures->nics[i].in), "dropped_out",
						      NUMBER(figures->nics[i].out), "dropped_source",
						      NUMBER(figures->nics[i].source)));
	return nics;
}

static json_t *to_json(const struct figures *figures)
{
	const struct vnic_gateway_stats *flows = &figures->flows;
	const struct vnic_dns_stats *dns = &figures->dns;
	json_t *open = json_pack("{s:I, s:I, s:I}", "tcp", NUMBER(flows->tcp_open), "udp", NUMBER(flows->udp_open),
				 "icmp", NUMBER(flows->icmp_open));
	json_t *started =
		json_pack("{s:I, s:I, s:I, s:I}", "tcp", NUMBER(flows->tcp_flows), "udp", NUMBER(flows->udp_flows),
			  "icmp", NUMBER(flows->icmp_flows), "published", NUMBER(flows->published));
	json_t *names =
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "queries", NUMBER(dns->queries),
			  "open", NUMBER(dns->open), "answers", NUMBER(dns->answers), "failed", NUMBER(dns->failed),
			  "repeated", NUMBER(dns->repeated), "full", NUMBER(dns->full), "streams", NUMBER(dns->streams),
			  "strange", NUMBER(dns->strange), "denied", NUMBER(dns->denied), "known", NUMBER(dns->known),
			  "known_full", NUMBER(dns->known_full));

	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "flows",
			 started, "open", open, "bytes_out", NUMBER(flows->bytes_out), "bytes_in",
			 NUMBER(flows->bytes_in), "denied", NUMBER(flows->denied), "failed", NUMBER(flows->failed),
			 "full", NUMBER(flows->full), "malformed", NUMBER(flows->malformed), "ignored",
			 NUMBER(flows->ignored), "fragments", NUMBER(flows->fragments_dropped), "udp_unsent",
			 NUMBER(flows->udp_unsent), "udp_overrun", NUMBER(flows->udp_overrun), "unlogged",
			 NUMBER(flows->unlogged), "dns", names, "leases", leases_json(&flows->leases), "nics",
			 nics_json(figures));
}

/* One line, so that whoever asks several times can tell the answers apart. */
static void print_json(const struct figures *figures)
{
	json_t *json = to_json(figures);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	if (text)
		fprintf(stderr, "%s\n", text);
	free(text);
	json_decref(json);
}

void stats_print(struct vnic_sandbox *sandbox, bool json)
{
	struct figures figures;
	struct vnic_error err;
	char text[512];
	int r = vnic_sandbox_stats(sandbox, &figures.flows, &figures.dns, &err);

	if (r == 0)
		r = figures.nic_count = vnic_sandbox_drops(sandbox, figures.nics, &err);
	if (r == -ENODATA) {
		cli_warn("no figures: the sandbox has no gateway");
	} else if (r < 0) {
		vnic_error_text(&err, text, sizeof(text));
		cli_warn("no figures: %s", text);
	} else if (json) {
		print_json(&figures);
	} else {
		print_text(&figures);
	}
}
