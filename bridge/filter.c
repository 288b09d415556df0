/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libpcap compiles the expression, and its interpreter runs the program: frames are in our hands, not in a socket's.
 *
 * The library is loaded when the first filter is made, for it costs 0.7 ms at every start of a program that is
 * linked with it.  (Rejected: a compiler of our own, for what tcpdump's users know by heart.)
 */
#include "filter.h"

#include <dlfcn.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>

#define LIBRARY "libpcap.so.0.8"
#define SNAPLEN 262144 /* tcpdump's */

static struct {
	pcap_t *(*open_dead)(int linktype, int snaplen);
	int (*compile)(pcap_t *pcap, struct bpf_program *program, const char *text, int optimize, bpf_u_int32 netmask);
	char *(*geterr)(pcap_t *pcap);
	void (*freecode)(struct bpf_program *program);
	void (*close)(pcap_t *pcap);
	int (*offline_filter)(const struct bpf_program *program, const struct pcap_pkthdr *header, const u_char *data);
} libpcap;

struct filter {
	struct bpf_program program;
};

static int load(struct vnic_error *err)
{
	static const struct {
		const char *name;
		void **function;
	} functions[] = {
		{"pcap_open_dead", (void **)&libpcap.open_dead},
		{"pcap_compile", (void **)&libpcap.compile},
		{"pcap_geterr", (void **)&libpcap.geterr},
		{"pcap_freecode", (void **)&libpcap.freecode},
		{"pcap_close", (void **)&libpcap.close},
		{"pcap_offline_filter", (void **)&libpcap.offline_filter}, /* last: the others are there when it is */
	};
	void *library;

	if (libpcap.offline_filter)
		return 0;
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return vnic_fail(err, VNIC_STEP_FILTER, ENOSYS, LIBRARY, NULL);
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		*functions[i].function = dlsym(library, functions[i].name);
		if (!*functions[i].function)
			return vnic_fail(err, VNIC_STEP_FILTER, ENOSYS, LIBRARY, "%s is not in it", functions[i].name);
	}
	return 0;
}

int filter_new(const char *expression, bool tun, struct filter **ret_filter, struct vnic_error *err)
{
	struct filter *filter;
	pcap_t *pcap;
	int r = load(err);

	if (r < 0)
		return r;
	filter = calloc(1, sizeof(*filter));
	pcap = libpcap.open_dead(tun ? DLT_RAW : DLT_EN10MB, SNAPLEN);
	if (!filter || !pcap) {
		r = vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	} else if (libpcap.compile(pcap, &filter->program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		r = vnic_fail(err, VNIC_STEP_FILTER, EINVAL, expression, "%s", libpcap.geterr(pcap));
	} else {
		*ret_filter = filter;
		filter = NULL;
	}
	if (pcap)
		libpcap.close(pcap);
	free(filter);
	return r;
}

void filter_free(struct filter *filter)
{
	if (!filter)
		return;
	libpcap.freecode(&filter->program);
	free(filter);
}

bool filter_passes(const struct filter *filter, const uint8_t *data, size_t len)
{
	const struct pcap_pkthdr header = {.caplen = (bpf_u_int32)len, .len = (bpf_u_int32)len};

	return libpcap.offline_filter(&filter->program, &header, data) != 0;
}
