/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses: add, delete, list. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/route/addr.h>

#include <vnic/link.h>

#include "attr.h"
#include "batch.h"
#include "convert.h"
#include "dump.h"

static void put_addr(struct rtnl_addr **addr)
{
	rtnl_addr_put(*addr);
}

static bool is_loopback(const struct vnic_addr *addr)
{
	return addr->family == AF_INET && addr->bytes[0] == 127;
}

/* The last address of an IPv4 subnet; a /31 or /32 has none, and loopback needs none. */
static int set_broadcast(struct rtnl_addr *to, const struct vnic_addr *addr)
{
	CLEANUP_NL_ADDR struct nl_addr *converted = NULL;
	struct vnic_addr last;

	if (addr->family != AF_INET || addr->prefix > 30 || is_loopback(addr))
		return 0;
	last = vnic_addr_host(addr, UINT32_MAX >> addr->prefix);
	last.prefix = 32;
	converted = addr_to_nl(&last);
	return converted ? rtnl_addr_set_broadcast(to, converted) : -NLE_NOMEM;
}

/* Returns NULL when out of memory. */
static struct rtnl_addr *describe(int ifindex, const struct vnic_addr *addr)
{
	CLEANUP_NL_ADDR struct nl_addr *local = addr_to_nl(addr);
	CLEANUP(put_addr) struct rtnl_addr *made = rtnl_addr_alloc();

	if (!local || !made || rtnl_addr_set_local(made, local) < 0)
		return NULL;
	rtnl_addr_set_ifindex(made, ifindex);
	return take_ptr(made);
}

static void append(struct vnic_batch *batch, int ifindex, const struct vnic_addr *addr,
		   int (*build)(struct rtnl_addr *addr, int flags, struct nl_msg **ret_msg), int flags)
{
	CLEANUP(put_addr) struct rtnl_addr *made = NULL;
	char text[VNIC_ADDR_TEXT];
	struct nl_msg *msg = NULL;

	batch_begin(batch, VNIC_STEP_ADDR, vnic_addr_text(addr, true, text));
	if (addr->family != AF_INET && addr->family != AF_INET6) {
		batch_refuse(batch, EINVAL, "there is no address");
		return;
	}
	made = describe(ifindex, addr);
	if (!made || set_broadcast(made, addr) < 0) {
		batch_refuse(batch, ENOMEM, NULL);
		return;
	}
	if (addr->family == AF_INET6)
		rtnl_addr_set_flags(made, IFA_F_NODAD);
	batch_append(batch, build(made, flags, &msg), &msg);
}

void vnic_batch_addr_add(struct vnic_batch *batch, int ifindex, const struct vnic_addr *addr)
{
	append(batch, ifindex, addr, rtnl_addr_build_add_request, NLM_F_CREATE | NLM_F_EXCL);
}

void vnic_batch_addr_del(struct vnic_batch *batch, int ifindex, const struct vnic_addr *addr)
{
	append(batch, ifindex, addr, rtnl_addr_build_delete_request, 0);
}

int vnic_addr_add(struct vnic_nl *nl, int ifindex, const struct vnic_addr *addr, struct vnic_error *err)
{
	struct vnic_batch batch = {0};

	vnic_batch_addr_add(&batch, ifindex, addr);
	return vnic_batch_send(&batch, nl, NULL, err);
}

int vnic_addr_del(struct vnic_nl *nl, int ifindex, const struct vnic_addr *addr, struct vnic_error *err)
{
	struct vnic_batch batch = {0};

	vnic_batch_addr_del(&batch, ifindex, addr);
	return vnic_batch_send(&batch, nl, NULL, err);
}

/* --- listing ------------------------------------------------------------------------ */

/* False for a message that is not about an IP address. */
static bool parse(const struct nlmsghdr *nlh, struct vnic_addr_info *ret_info)
{
	const struct nlattr *attrs[IFA_MAX + 1], *local;
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(nlh);
	struct vnic_addr_info info = {0};

	if (nlh->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*head))
		return false;
	attr_table_message(nlh, sizeof(*head), attrs, IFA_MAX);
	/* On a point-to-point link IFA_ADDRESS is the other end. */
	local = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
	if (!attr_addr(local, head->ifa_family, head->ifa_prefixlen, &info.addr))
		return false;
	info.ifindex = (int)head->ifa_index;
	info.scope = head->ifa_scope;
	info.flags = attrs[IFA_FLAGS] ? attr_u32(attrs[IFA_FLAGS]) : head->ifa_flags;
	*ret_info = info;
	return true;
}

int vnic_addr_list(struct vnic_nl *nl, int ifindex, int (*each)(const struct vnic_addr_info *info, void *ctx),
		   void *ctx, struct vnic_error *err)
{
	struct ifaddrmsg head = {.ifa_family = AF_UNSPEC};
	CLEANUP(dump_free) struct dump dump = {0};
	struct vnic_addr_info info;
	int r = dump_ask(nl, RTM_GETADDR, &head, sizeof(head), VNIC_STEP_ADDR, &dump, err);

	for (const struct nlmsghdr *nlh = NULL; r == 0 && (nlh = dump_next(&dump, nlh));)
		if (parse(nlh, &info) && (!ifindex || info.ifindex == ifindex))
			r = each(&info, ctx);
	return r;
}
