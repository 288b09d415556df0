/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is read out of the host's resolv.conf, and when it is read again. */
#include "vt.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "resolv.h"

/* --- texts -------------------------------------------------------------------------- */

static void assert_server(const struct vnic_dns_servers *servers, unsigned index, const char *expected)
{
	const struct sockaddr_storage *addr = &servers->addrs[index];
	char text[INET6_ADDRSTRLEN];

	assert_true(index < servers->count);
	if (addr->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;

		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
		assert_int_equal(ntohs(v4->sin_port), 53);
	} else {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;

		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
		assert_int_equal(ntohs(v6->sin6_port), 53);
	}
	assert_string_equal(text, expected);
}

static struct resolv parsed(const char *text)
{
	struct resolv resolv;

	resolv_parse(text, &resolv);
	return resolv;
}

static void servers_are_taken_in_their_order(void **state)
{
	const struct resolv resolv =
		parsed("# comment\nnameserver 127.0.0.53\n;nameserver 1.1.1.1\nnameserver\tfd00::1  # here\n"
		       "nameserver 9.9.9.9");

	(void)state;
	assert_int_equal(resolv.servers.count, 3);
	assert_server(&resolv.servers, 0, "127.0.0.53");
	assert_server(&resolv.servers, 1, "fd00::1");
	assert_server(&resolv.servers, 2, "9.9.9.9");
}

static void a_link_local_server_has_its_link(void **state)
{
	const struct resolv resolv =
		parsed("nameserver fe80::1%lo\nnameserver fe80::2%7\nnameserver fe80::3%nowhere\n");

	(void)state;
	assert_int_equal(resolv.servers.count, 2);
	assert_server(&resolv.servers, 0, "fe80::1");
	assert_int_equal(((struct sockaddr_in6 *)&resolv.servers.addrs[0])->sin6_scope_id, 1);
	assert_int_equal(((struct sockaddr_in6 *)&resolv.servers.addrs[1])->sin6_scope_id, 7);
}

static void what_is_no_address_and_what_is_too_much_is_skipped(void **state)
{
	const struct resolv resolv =
		parsed("nameserver one\nnameserver\nnameserverx 1.1.1.1\n nameserver 1.1.1.1\nnameserver 1.1.1.1.1\n"
		       "nameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4\nnameserver 5.5.5.5\n");

	(void)state;
	assert_int_equal(resolv.servers.count, 3);
	assert_server(&resolv.servers, 0, "2.2.2.2");
	assert_server(&resolv.servers, 2, "4.4.4.4");
}

static void without_a_server_it_is_this_host(void **state)
{
	struct resolv resolv = parsed("search example.org\n");

	(void)state;
	assert_int_equal(resolv.servers.count, 1);
	assert_server(&resolv.servers, 0, "127.0.0.1");
	resolv_read("/nowhere/resolv.conf", &resolv);
	assert_server(&resolv.servers, 0, "127.0.0.1");
}

static void search_domain_options_and_sortlist_are_kept(void **state)
{
	const struct resolv resolv =
		parsed("domain a.example\nnameserver 1.1.1.1\nsearch a.example b.example\noptions edns0 ndots:2\n"
		       "lookup file bind\nsortlist 10.0.0.0\n");

	(void)state;
	assert_int_equal(resolv.kept_size, strlen(resolv.kept));
	assert_string_equal(resolv.kept, "domain a.example\nsearch a.example b.example\noptions edns0 ndots:2\n"
					 "sortlist 10.0.0.0\n");
}

static void a_line_that_does_not_fit_is_left_out_whole(void **state)
{
	char text[RESOLV_KEEP + 64];
	struct resolv resolv;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "search ", 7);
	snprintf(text + RESOLV_KEEP, 64, "\noptions edns0\n");
	resolv_parse(text, &resolv);
	assert_int_equal(resolv.kept_size, strlen("options edns0\n"));
	assert_memory_equal(resolv.kept, "options edns0\n", resolv.kept_size);
}

/* --- changes ------------------------------------------------------------------------ */

struct place {
	char dir[64], path[96], other[96];
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static struct place place_make(void)
{
	struct place place = {.dir = "/tmp/vnic-resolv.XXXXXX"};

	assert_non_null(mkdtemp(place.dir));
	snprintf(place.path, sizeof(place.path), "%s/resolv.conf", place.dir);
	snprintf(place.other, sizeof(place.other), "%s/other", place.dir);
	return place;
}

static void place_remove(const struct place *place)
{
	unlink(place->path);
	unlink(place->other);
	assert_int_equal(rmdir(place->dir), 0);
}

static void an_unchanged_file_is_read_once(void **state)
{
	struct place place = place_make();
	struct resolv_source source = {.path = place.path};
	struct vnic_dns_servers servers;

	(void)state;
	write_file(place.path, "nameserver 1.1.1.1\n");
	assert_true(resolv_refresh(&source, &servers));
	assert_server(&servers, 0, "1.1.1.1");
	assert_false(resolv_refresh(&source, &servers));
	place_remove(&place);
}

static void a_file_renamed_over_it_is_seen(void **state)
{
	struct place place = place_make();
	struct resolv_source source = {.path = place.path};
	struct vnic_dns_servers servers;

	(void)state;
	write_file(place.path, "nameserver 1.1.1.1\n");
	assert_true(resolv_refresh(&source, &servers));
	write_file(place.other, "nameserver 2.2.2.2\n");
	assert_int_equal(rename(place.other, place.path), 0);
	assert_true(resolv_refresh(&source, &servers));
	assert_server(&servers, 0, "2.2.2.2");
	place_remove(&place);
}

static void what_changes_at_the_end_of_a_link_is_seen(void **state)
{
	struct place place = place_make();
	struct resolv_source source = {.path = place.path};
	struct vnic_dns_servers servers;

	(void)state;
	write_file(place.other, "nameserver 1.1.1.1\n");
	assert_int_equal(symlink("other", place.path), 0);
	assert_true(resolv_refresh(&source, &servers));
	write_file(place.other, "nameserver 22.22.22.22\n");
	assert_true(resolv_refresh(&source, &servers));
	assert_server(&servers, 0, "22.22.22.22");
	place_remove(&place);
}

static void while_there_is_none_the_last_one_counts(void **state)
{
	struct place place = place_make();
	struct resolv_source source = {.path = place.path};
	struct vnic_dns_servers servers;

	(void)state;
	assert_true(resolv_refresh(&source, &servers));
	assert_server(&servers, 0, "127.0.0.1");
	assert_false(resolv_refresh(&source, &servers));
	write_file(place.path, "nameserver 1.1.1.1\n");
	assert_true(resolv_refresh(&source, &servers));
	assert_int_equal(unlink(place.path), 0);
	assert_false(resolv_refresh(&source, &servers));
	assert_server(&servers, 0, "1.1.1.1");
	place_remove(&place);
}

static void only_a_host_with_nothing_but_loopback_servers_is_warned_about(void **state)
{
	struct vnic_dns_config dns = {.listen[0] = {AF_INET, 32, {10, 0, 3, 3}}};
	struct resolv resolv;
	char text[256];

	(void)state;
	resolv_parse("nameserver 127.0.0.53\nnameserver ::1\n", &resolv);
	dns.servers = resolv.servers;
	assert_true(resolv_shared_warning(&dns, text, sizeof(text)));
	assert_non_null(strstr(text, "'nameserver 10.0.3.3' where the command looks"));
	resolv_parse("nameserver 127.0.0.53\nnameserver 10.0.0.1\n", &resolv);
	dns.servers = resolv.servers;
	assert_false(resolv_shared_warning(&dns, text, sizeof(text)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(servers_are_taken_in_their_order),
		vt_test(a_link_local_server_has_its_link),
		vt_test(what_is_no_address_and_what_is_too_much_is_skipped),
		vt_test(without_a_server_it_is_this_host),
		vt_test(search_domain_options_and_sortlist_are_kept),
		vt_test(a_line_that_does_not_fit_is_left_out_whole),
		vt_test(an_unchanged_file_is_read_once),
		vt_test(a_file_renamed_over_it_is_seen),
		vt_test(what_changes_at_the_end_of_a_link_is_seen),
		vt_test(while_there_is_none_the_last_one_counts),
		vt_test(only_a_host_with_nothing_but_loopback_servers_is_warned_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
