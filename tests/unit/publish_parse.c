/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a published port is written, and that each mistake in it has its own sentence. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <vnic/sandbox.h>

#include "vt.h"

static struct vnic_publish publish_of(const char *text)
{
	struct vnic_error err;
	struct vnic_publish publish;

	vt_ok(vnic_publish_parse(text, &publish, &err), &err);
	return publish;
}

static void assert_ports(const char *text, unsigned port, unsigned to_port, unsigned count)
{
	struct vnic_publish publish = publish_of(text);

	assert_int_equal(publish.port, port);
	assert_int_equal(publish.to_port, to_port);
	assert_int_equal(publish.count, count);
}

static void assert_complains(const char *text, int code, const char *object, const char *detail)
{
	struct vnic_publish publish = {.port = 7};
	struct vnic_error err;

	vt_fails(vnic_publish_parse(text, &publish, &err), &err, VNIC_STEP_USAGE, code);
	assert_string_equal(err.object, object);
	assert_memory_equal(err.detail, detail, strlen(detail));
	assert_int_equal(publish.port, 7); /* untouched */
}

static void a_port_leads_to_a_port(void **state)
{
	(void)state;
	assert_ports("8080:80", 8080, 80, 1);
	assert_ports("1:65535", 1, 65535, 1);
	assert_ports("8080:80/tcp", 8080, 80, 1);
	assert_int_equal(publish_of("8080:80").addr.family, AF_UNSPEC);
}

static void a_port_alone_leads_to_the_same_port(void **state)
{
	(void)state;
	assert_ports("8080", 8080, 8080, 1);
	assert_ports("8000-8009/udp", 8000, 8000, 10);
	assert_ports("127.0.0.1:8080", 8080, 8080, 1);
	assert_int_equal(publish_of("127.0.0.1:8080").addr.family, AF_INET);
	assert_ports("[::1]:8080", 8080, 8080, 1);
	assert_int_equal(publish_of("[::1]:8080").addr.family, AF_INET6);
}

static void it_is_of_tcp_unless_it_says_udp(void **state)
{
	(void)state;
	assert_false(publish_of("8080:80").udp);
	assert_false(publish_of("8080:80/tcp").udp);
	assert_true(publish_of("8080:80/udp").udp);
	assert_true(publish_of("[::1]:8000-8009:80-89/udp").udp);
}

static void a_range_leads_to_a_range(void **state)
{
	(void)state;
	assert_ports("8000-8010:9000-9010", 8000, 9000, 11);
	assert_ports("80-80:90-90", 80, 90, 1);
	assert_ports("80-80:90", 80, 90, 1);
	assert_ports("1-65535:1-65535", 1, 1, 65535);
}

static void an_address_stands_before_the_ports(void **state)
{
	static const struct {
		const char *text, *addr;
		int family;
	} bound[] = {
		{"127.0.0.1:8080:80", "127.0.0.1", AF_INET},
		{"0.0.0.0:8080:80/tcp", "0.0.0.0", AF_INET},
		{"[::1]:8080:80", "::1", AF_INET6},
		{"[2001:db8::7]:8080:80", "2001:db8::7", AF_INET6},
		{"[127.0.0.1]:8080:80", "127.0.0.1", AF_INET},
	};
	char text[VNIC_ADDR_TEXT];

	(void)state;
	for (unsigned i = 0; i < sizeof(bound) / sizeof(bound[0]); i++) {
		struct vnic_publish publish = publish_of(bound[i].text);

		assert_int_equal(publish.addr.family, bound[i].family);
		assert_string_equal(vnic_addr_text(&publish.addr, false, text), bound[i].addr);
		assert_ports(bound[i].text, 8080, 80, 1);
	}
}

static void what_is_not_of_this_form_is_told_the_form(void **state)
{
	static const char form[] = "a published port is written [ADDRESS:]PORT[:PORT]";

	(void)state;
	assert_complains("[::1:8080:80", EINVAL, "[::1:8080:80", form);
	assert_complains("fd00::1:8080:80", EINVAL, "fd00::1:8080:80", form);
	assert_complains("[::1]8080:80", EINVAL, "[::1]8080:80", form);
	assert_complains("8080:80/sctp", EINVAL, "sctp", form);
	assert_complains("8080:80/", EINVAL, "\"\"", form);
	assert_complains("::1:8080:80", EINVAL, "::1:8080:80", form);
	assert_complains(":80:80", EINVAL, ":80:80", form);
	assert_complains("[]:80:80", EINVAL, "[]:80:80", form);
	assert_complains("8080:80/udp/tcp", EINVAL, "udp/tcp", form);
}

static void a_port_is_a_number_from_1_to_65535(void **state)
{
	static const struct {
		const char *text, *object;
	} bad[] = {
		{"0:80", "0"},
		{"80:0", "0"},
		{"65536:80", "65536"},
		{"80:65536", "65536"},
		{"x:80", "x"},
		{"80:", "\"\""},
		{":80", "\"\""},
		{"-80:1", "\"\""},
		{"80-:1", "\"\""},
		{" 80:80", " 80"},
		{"+1:80", "+1"},
		{"80:80x", "80x"},
		{"80-81-82:1-3", "81-82"},
		{"99999999999:1", "99999999999"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_complains(bad[i].text, EINVAL, bad[i].object, "a port takes a number from 1 to 65535");
}

static void ranges_that_do_not_match_are_told(void **state)
{
	(void)state;
	assert_complains("80-79:1-2", EINVAL, "80-79", "the range of ports ends before it begins");
	assert_complains("1-2:80-79", EINVAL, "80-79", "the range of ports ends before it begins");
	assert_complains("80-81:90", EINVAL, "80-81:90", "the two ranges of ports differ in length");
	assert_complains("80-81:90-92", EINVAL, "80-81:90-92", "the two ranges of ports differ in length");
}

static void what_is_not_an_address_is_told(void **state)
{
	static const struct {
		const char *text, *object;
	} bad[] = {
		{"127.0.0.300:80:80", "127.0.0.300"},
		{"80:80:80:80", "80"},
		{"localhost:80:80", "localhost"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_complains(bad[i].text, EINVAL, bad[i].object, "this is not an IP address");
	assert_complains("[fe80::1%lo]:80:80", EINVAL, "fe80::1%lo", "a link-local address cannot be published");
}

static void nothing_and_too_much_are_told(void **state)
{
	char text[256];

	(void)state;
	memset(text, '8', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_complains("", EINVAL, "--publish", "it needs a value");
	struct vnic_publish publish;
	struct vnic_error err;
	vt_fails(vnic_publish_parse(text, &publish, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.detail, "--publish is longer than 127 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_port_leads_to_a_port),
		vt_test(a_port_alone_leads_to_the_same_port),
		vt_test(a_range_leads_to_a_range),
		vt_test(it_is_of_tcp_unless_it_says_udp),
		vt_test(an_address_stands_before_the_ports),
		vt_test(what_is_not_of_this_form_is_told_the_form),
		vt_test(a_port_is_a_number_from_1_to_65535),
		vt_test(ranges_that_do_not_match_are_told),
		vt_test(what_is_not_an_address_is_told),
		vt_test(nothing_and_too_much_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
