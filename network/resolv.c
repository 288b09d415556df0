/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host's resolv.conf says.
 *
 * Whoever changes it renames a new file over it, makes a symbolic link of it, or writes into the file at the link's
 * end: stat(2) by the path sees all of them.  It is asked at most once a second, and only when there is a question to
 * be forwarded; by the front, for the gateway opens no files.  Rejected: inotify, of which a user has 128, for all
 * sandboxes and everything else.
 */
#include "resolv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "parse.h"

#define TEXT_MAX 16384
#define PORT 53
#define BLANK " \t"

/* --- lines -------------------------------------------------------------------------- */

static bool parse_v4(const char *text, struct sockaddr_storage *ret_addr)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	if (!inet_aton(text, &addr.sin_addr))
		return false;
	memset(ret_addr, 0, sizeof(*ret_addr));
	memcpy(ret_addr, &addr, sizeof(addr));
	return true;
}

/* With a zone, "fe80::1%eth0", as link-local addresses need one. */
static bool parse_v6(char *text, struct sockaddr_storage *ret_addr)
{
	struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	char *zone = strchr(text, '%');

	if (zone) {
		*zone++ = '\0';
		addr.sin6_scope_id = if_nametoindex(zone);
		if (!addr.sin6_scope_id && parse_u32(zone, "a zone", 1, INT32_MAX, &addr.sin6_scope_id, NULL) < 0)
			return false;
	}
	if (inet_pton(AF_INET6, text, &addr.sin6_addr) != 1)
		return false;
	memset(ret_addr, 0, sizeof(*ret_addr));
	memcpy(ret_addr, &addr, sizeof(addr));
	return true;
}

static void add_server(char *value, struct vnic_dns_servers *servers)
{
	struct sockaddr_storage *next = &servers->addrs[servers->count];

	value[strcspn(value, BLANK)] = '\0';
	if (servers->count < VNIC_DNS_SERVERS && (parse_v4(value, next) || parse_v6(value, next)))
		servers->count++;
}

static void keep(const char *line, struct resolv *resolv)
{
	size_t size = strlen(line);

	if (size + 1 > sizeof(resolv->kept) - resolv->kept_size)
		return;
	memcpy(resolv->kept + resolv->kept_size, line, size);
	resolv->kept[resolv->kept_size + size] = '\n';
	resolv->kept_size += size + 1;
}

/* The value after the keyword and blanks; NULL: it is another line. */
static char *value_of(char *line, const char *keyword)
{
	size_t len = strlen(keyword);

	if (strncmp(line, keyword, len) || !line[len] || !strchr(BLANK, line[len]))
		return NULL;
	return line + len + strspn(line + len, BLANK);
}

static void take_line(char *line, struct resolv *resolv)
{
	static const char *const kept[] = {"search", "domain", "options", "sortlist"};
	char *server = value_of(line, "nameserver");

	if (server)
		add_server(server, &resolv->servers);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (value_of(line, kept[i]))
			keep(line, resolv);
}

/* --- the whole ---------------------------------------------------------------------- */

static void parse_buffer(char *text, struct resolv *ret_resolv)
{
	char *line;

	*ret_resolv = (struct resolv){.servers.count = 0};
	while ((line = strsep(&text, "\n")))
		take_line(line, ret_resolv);
	if (ret_resolv->servers.count == 0)
		add_server((char[]){"127.0.0.1"}, &ret_resolv->servers);
}

void resolv_parse(const char *text, struct resolv *ret_resolv)
{
	char buf[TEXT_MAX + 1];
	size_t size = strnlen(text, TEXT_MAX);

	memcpy(buf, text, size);
	buf[size] = '\0';
	parse_buffer(buf, ret_resolv);
}

/* Of a file that is not one, such as a FIFO, nothing is read. */
static void read_fd(int fd, struct resolv *ret_resolv)
{
	char buf[TEXT_MAX + 1];
	ssize_t n, size = 0;

	while (size < TEXT_MAX && (n = read(fd, buf + size, (size_t)(TEXT_MAX - size))) > 0)
		size += n;
	buf[size] = '\0';
	parse_buffer(buf, ret_resolv);
}

static int open_file(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

void resolv_read(const char *path, struct resolv *ret_resolv)
{
	CLEANUP_FD int fd = open_file(path);

	read_fd(fd, ret_resolv);
}

/* --- changes ------------------------------------------------------------------------ */

static bool is_same(const struct stat *now, const struct resolv_file *seen)
{
	return now->st_dev == seen->dev && now->st_ino == seen->ino && now->st_size == seen->size &&
	       now->st_ctim.tv_sec == seen->changed.tv_sec && now->st_ctim.tv_nsec == seen->changed.tv_nsec;
}

bool resolv_refresh(struct resolv_source *source, struct vnic_dns_servers *servers)
{
	struct resolv resolv;
	struct stat now = {0};

	/* Between two files there may be none for a moment: the old one counts. */
	if ((stat(source->path, &now) < 0 || is_same(&now, &source->seen)) && source->read)
		return false;
	CLEANUP_FD int fd = open_file(source->path);
	if (fd < 0 && source->read)
		return false;
	read_fd(fd, &resolv);
	source->read = true;
	source->seen = (struct resolv_file){now.st_dev, now.st_ino, now.st_size, now.st_ctim};
	*servers = resolv.servers;
	return true;
}

static bool is_loopback(const struct sockaddr_storage *addr)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;

	return addr->ss_family == AF_INET ? (ntohl(v4->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET || !v4->sin_addr.s_addr
					  : IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

bool resolv_shared_warning(const struct vnic_dns_config *dns, char *buf, size_t size)
{
	const struct vnic_addr *listen = &dns->listen[dns->listen[0].family ? 0 : 1];
	char addr[VNIC_ADDR_TEXT];

	for (unsigned i = 0; i < dns->servers.count; i++)
		if (!is_loopback(&dns->servers.addrs[i]))
			return false;
	snprintf(buf, size,
		 "names will not resolve: " RESOLV_PATH
		 " is the host's and names a resolver on the host's loopback; give "
		 "the sandbox a mount namespace of its own, or write 'nameserver %s' where the command looks",
		 vnic_addr_text(listen, false, addr));
	return true;
}
