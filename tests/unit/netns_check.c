/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each combination of namespaces that the kernel refuses is refused by us first, with a sentence of its own. */
#include <errno.h>
#include <string.h>

#include "ns.h"
#include "vt.h"

#define ORDINARY ((struct ns_surroundings){.kinds = VNIC_NS_ALL, .ids_mapped = true})

static void refused(unsigned namespaces, struct ns_surroundings here, int code, const char *sentence)
{
	struct vnic_error err = {0};

	vt_fails(ns_check_in(namespaces, &here, &err), &err, VNIC_STEP_NS_CHECK, code);
	if (!strstr(err.detail, sentence))
		assert_string_equal(err.detail, sentence);
}

static void an_ordinary_user_may_have_all_with_a_user_namespace(void **state)
{
	const struct ns_surroundings here = ORDINARY;
	struct vnic_error err;

	(void)state;
	vt_ok(ns_check_in(VNIC_NS_ALL, &here, &err), &err);
	vt_ok(ns_check_in(CLONE_NEWUSER, &here, &err), &err);
	vt_ok(ns_check_in(0, &here, &err), &err);
}

static void root_may_have_any_without(void **state)
{
	struct ns_surroundings here = ORDINARY;
	struct vnic_error err;

	(void)state;
	here.privileged = true;
	vt_ok(ns_check_in(VNIC_NS_ALL & ~(unsigned)CLONE_NEWUSER, &here, &err), &err);
}

static void without_privilege_a_user_namespace_must_be_among_them(void **state)
{
	(void)state;
	refused(CLONE_NEWNET, ORDINARY, EPERM, "need a user namespace among them");
}

static void flags_that_share_are_no_namespaces(void **state)
{
	(void)state;
	refused(CLONE_NEWNS | CLONE_FS, ORDINARY, EINVAL, "CLONE_FS, CLONE_VM and their like share");
}

static void a_kind_that_the_kernel_lacks_is_named(void **state)
{
	struct ns_surroundings here = ORDINARY;

	(void)state;
	here.kinds &= ~(unsigned)(CLONE_NEWTIME | CLONE_NEWCGROUP);
	refused(VNIC_NS_ALL, here, EOPNOTSUPP, "this kernel has no cgroup,time namespaces");
}

static void without_proc_it_says_so(void **state)
{
	struct ns_surroundings here = ORDINARY;

	(void)state;
	here.kinds = 0;
	refused(CLONE_NEWUSER, here, ENOSYS, "/proc is not mounted");
}

static void a_user_namespace_is_refused_in_a_chroot(void **state)
{
	struct ns_surroundings here = ORDINARY;

	(void)state;
	here.chrooted = true;
	refused(CLONE_NEWUSER | CLONE_NEWNET, here, EPERM, "in a chroot");
}

static void a_user_namespace_needs_ids_that_are_mapped(void **state)
{
	struct ns_surroundings here = ORDINARY;

	(void)state;
	here.ids_mapped = false;
	refused(CLONE_NEWUSER, here, EPERM, "no mapping");
}

static void a_limit_of_zero_user_namespaces_is_said(void **state)
{
	struct ns_surroundings here = ORDINARY;

	(void)state;
	here.no_user_namespaces = true;
	refused(CLONE_NEWUSER, here, EPERM, "max_user_namespaces is 0");
}

static void a_pending_pid_namespace_allows_no_second_one(void **state)
{
	struct ns_surroundings here = ORDINARY;

	(void)state;
	here.pid_pending = true;
	refused(CLONE_NEWUSER | CLONE_NEWPID, here, EINVAL, "waiting for its children");
}

static void what_plays_no_part_is_not_held_against_it(void **state)
{
	struct ns_surroundings here = {
		.kinds = CLONE_NEWNET, .privileged = true, .chrooted = true, .pid_pending = true};
	struct vnic_error err;

	(void)state;
	vt_ok(ns_check_in(CLONE_NEWNET, &here, &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(an_ordinary_user_may_have_all_with_a_user_namespace),
		vt_test(root_may_have_any_without),
		vt_test(without_privilege_a_user_namespace_must_be_among_them),
		vt_test(flags_that_share_are_no_namespaces),
		vt_test(a_kind_that_the_kernel_lacks_is_named),
		vt_test(without_proc_it_says_so),
		vt_test(a_user_namespace_is_refused_in_a_chroot),
		vt_test(a_user_namespace_needs_ids_that_are_mapped),
		vt_test(a_limit_of_zero_user_namespaces_is_said),
		vt_test(a_pending_pid_namespace_allows_no_second_one),
		vt_test(what_plays_no_part_is_not_held_against_it),
	};

	return cmocka_run_group_tests_name("netns_check", tests, NULL, NULL);
}
