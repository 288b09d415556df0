/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Port locators: what is accepted keeps its own bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vnic/sandbox.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct vnic_error err = {0};
	struct vnic_port port;
	int r;

	if (!text)
		return 0;
	r = vnic_port_parse(text, &port, &err);
	if (r < 0 && (err.code != -r || !err.detail[0]))
		abort();
	if (r == 0 && (port.addr_count > VNIC_NIC_ADDRS || strnlen(port.text, sizeof(port.text)) == sizeof(port.text) ||
		       strnlen(port.name, sizeof(port.name)) == sizeof(port.name) ||
		       strnlen(port.netns, sizeof(port.netns)) == sizeof(port.netns)))
		abort();
	free(text);
	return 0;
}
