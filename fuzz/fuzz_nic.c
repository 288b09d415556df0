/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NIC specifications: what is accepted keeps its own bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vnic/sandbox.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct vnic_error err = {0};
	struct vnic_nic nic;
	int r;

	if (!text)
		return 0;
	r = vnic_nic_parse(text, &nic, &err);
	if (r < 0 && (err.code != -r || !err.detail[0]))
		abort();
	if (r == 0 && (nic.addr_count > VNIC_NIC_ADDRS || nic.gw_count > 2 ||
		       strnlen(nic.name, sizeof(nic.name)) == sizeof(nic.name) || (nic.no_gw && nic.gw_count)))
		abort();
	free(text);
	return 0;
}
