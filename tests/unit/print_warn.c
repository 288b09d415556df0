/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What others have chosen, and vnic prints, cannot steer the terminal. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli.h"
#include "vt.h"

static void a_warning_has_no_control_characters(void **state)
{
	static const char expected[] = "vnic: warning: from a?[2Jguest?and?more\n";
	int kept = dup(STDERR_FILENO), file = memfd_create("stderr", MFD_CLOEXEC);
	char said[128] = "";

	(void)state;
	assert_true(kept >= 0 && file >= 0);
	assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
	cli_warn("from %s", "a\033[2Jguest\nand\177more");
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	assert_true(pread(file, said, sizeof(said) - 1, 0) >= 0);
	assert_string_equal(said, expected);
	close(kept);
	close(file);
}

static void a_plain_text_is_printable_ascii_and_fits(void **state)
{
	char buf[8];

	(void)state;
	assert_string_equal(cli_plain("eth0", buf, sizeof(buf)), "eth0");
	assert_string_equal(cli_plain("a\033b\303\251", buf, sizeof(buf)), "a?b??");
	assert_string_equal(cli_plain("longer than that", buf, sizeof(buf)), "longer ");
	assert_string_equal(cli_plain("", buf, sizeof(buf)), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_warning_has_no_control_characters),
		vt_test(a_plain_text_is_printable_ascii_and_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
