/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses, MACs and names: whatever is read, printed and read again is the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vnic/addr.h>
#include <vnic/netns.h>

static void address(const char *text)
{
	struct vnic_addr addr, again;
	struct vnic_error err;
	char buf[VNIC_ADDR_TEXT];

	if (vnic_addr_parse(text, &addr, &err) < 0)
		return;
	vnic_addr_text(&addr, true, buf);
	if (vnic_addr_parse(buf, &again, &err) < 0 || memcmp(&addr, &again, sizeof(addr)))
		abort();
	again = vnic_addr_host(&addr, 0);
	if (!vnic_addr_contains(&again, &addr) || !vnic_addr_contains(&addr, &again))
		abort();
}

static void mac(const char *text)
{
	struct vnic_mac mac, again;
	struct vnic_error err;
	char buf[VNIC_ADDR_TEXT];

	if (vnic_mac_parse(text, &mac, &err) < 0)
		return;
	vnic_mac_text(&mac, buf);
	if (vnic_mac_parse(buf, &again, &err) < 0 || memcmp(mac.bytes, again.bytes, sizeof(mac.bytes)))
		abort();
}

static void namespaces(const char *text)
{
	struct vnic_error err;
	unsigned mask, again;
	char buf[128];

	if (vnic_ns_parse(text, &mask, &err) < 0)
		return;
	vnic_ns_text(mask, buf, sizeof(buf));
	if (mask && (vnic_ns_parse(buf, &again, &err) < 0 || mask != again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	if (!text)
		return 0;
	address(text);
	mac(text);
	namespaces(text);
	vnic_name_check(text, NULL);
	free(text);
	return 0;
}
