/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where descriptors or memory run out: whatever is being made says so, leaves nothing, and can be made later.
 *
 * Each maker prepares what it wants, and then runs short: of all descriptors but so many, or of the memory for one of
 * its requests, the first, the second, and so on, until it has enough.
 */
#include "netlink_fake.h"

#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vnic/gateway.h>
#include <vnic/relay.h>

#include "nft_batch.h"

#define TRIES_MAX 10000

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC false
#else
#define OWN_MALLOC true
#endif

/* --- what runs short ------------------------------------------------------------------ */

static enum { ENOUGH, DESCRIPTORS, MEMORY } shortage;
static int left;          /* descriptors, or requests of memory that are granted */
static bool refused;      /* one of memory was */
static long blocks;       /* of memory that are in use */
static bool counting;     /* requests of memory, for what is made is being made */
static struct rlimit all; /* descriptors */

static void run_short(void)
{
	counting = shortage == MEMORY;
	if (shortage == DESCRIPTORS) {
		int next = dup(STDERR_FILENO);

		close(next);
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
		assert_int_equal(
			setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = (rlim_t)(next + left), all.rlim_max}), 0);
	}
}

static void have_enough(void)
{
	counting = false;
	if (shortage == DESCRIPTORS)
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
}

#if OWN_MALLOC

/* Ours for the libraries too.  The C library's own have other names. */
#define OURS __attribute__((visibility("default")))
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

static bool is_granted(void)
{
	if (!counting || left-- != 0)
		return true;
	refused = true;
	errno = ENOMEM;
	return false;
}

static void *counted(void *block)
{
	blocks += block != NULL;
	return block;
}

OURS void *malloc(size_t size)
{
	return is_granted() ? counted(__libc_malloc(size)) : NULL;
}

OURS void *calloc(size_t count, size_t size)
{
	return is_granted() ? counted(__libc_calloc(count, size)) : NULL;
}

OURS void *realloc(void *block, size_t size)
{
	if (!is_granted())
		return NULL;
	return block ? __libc_realloc(block, size) : counted(__libc_malloc(size));
}

OURS void free(void *block)
{
	blocks -= block != NULL;
	__libc_free(block);
}

OURS void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return is_granted() ? (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset) : MAP_FAILED;
}

#endif

/* --- makers ----------------------------------------------------------------------------- */

static int pair_of(int type, int ret_pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_pair), 0);
	return ret_pair[0];
}

static int a_relay(struct vnic_error *err)
{
	struct vnic_relay *relay = NULL;
	int r;

	run_short();
	r = vnic_relay_new(&(struct vnic_relay_config){.threads = 3}, &relay, err);
	have_enough();
	vnic_relay_free(relay);
	return r;
}

static struct vnic_relay *relay_new(void)
{
	struct vnic_relay *relay;
	struct vnic_error err;

	vt_ok(vnic_relay_new(&(struct vnic_relay_config){0}, &relay, &err), &err);
	return relay;
}

static int stream(struct vnic_relay *relay, int fd, struct vnic_error *err)
{
	return vnic_relay_add_stream(relay, "x", &(struct vnic_conn){.listener = -1, .fd = fd}, err);
}

static int seqpacket(struct vnic_relay *relay, int fd, struct vnic_error *err)
{
	return vnic_relay_add_seqpacket(relay, "x", &(struct vnic_conn){.listener = -1, .fd = fd}, err);
}

static int datagrams(struct vnic_relay *relay, int fd, struct vnic_error *err)
{
	return vnic_relay_add_dgram(relay, "x", &(struct vnic_dgram){.fd = fd}, err);
}

static int vxlan(struct vnic_relay *relay, int fd, struct vnic_error *err)
{
	return vnic_relay_add_vxlan(relay, "x", &(struct vnic_vxlan){.fd = fd}, err);
}

static int record(struct vnic_relay *relay, int fd, struct vnic_error *err)
{
	return vnic_relay_add_pcap(relay, "x", &(struct vnic_pcap){.fd = fd, .write = true}, err);
}

static int replay(struct vnic_relay *relay, int fd, struct vnic_error *err)
{
	return vnic_relay_add_pcap(relay, "x", &(struct vnic_pcap){.fd = fd, .speed = 1}, err);
}

/* What fails leaves the descriptor to the caller. */
static int add_port(int (*add)(struct vnic_relay *relay, int fd, struct vnic_error *err), int fd,
		    struct vnic_error *err)
{
	struct vnic_relay *relay = relay_new();
	int r;

	run_short();
	r = add(relay, fd, err);
	have_enough();
	if (r < 0)
		close(fd);
	vnic_relay_free(relay);
	return r;
}

static int add_end(int (*add)(struct vnic_relay *relay, int fd, struct vnic_error *err), int type,
		   struct vnic_error *err)
{
	int pair[2], r = add_port(add, pair_of(type, pair), err);

	close(pair[1]);
	return r;
}

static int a_stream(struct vnic_error *err)
{
	return add_end(stream, SOCK_STREAM, err);
}

static int a_socket_of_sequenced_packets(struct vnic_error *err)
{
	return add_end(seqpacket, SOCK_SEQPACKET, err);
}

static int a_socket_of_datagrams(struct vnic_error *err)
{
	return add_end(datagrams, SOCK_DGRAM, err);
}

static int a_vxlan(struct vnic_error *err)
{
	return add_port(vxlan, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err);
}

static int a_file_to_write(struct vnic_error *err)
{
	return add_port(record, memfd_create("capture", MFD_CLOEXEC), err);
}

static int a_file_to_replay(struct vnic_error *err)
{
	static const uint32_t header[] = {0xa1b2c3d4, 0x00040002, 0, 0, 262144, 1};
	int fd = memfd_create("capture", MFD_CLOEXEC);

	assert_int_equal(pwrite(fd, header, sizeof(header), 0), sizeof(header));
	return add_port(replay, fd, err);
}

static int capture(struct vnic_relay *relay, int port, struct vnic_error *err)
{
	int fd = memfd_create("capture", MFD_CLOEXEC), r;

	(void)port;
	run_short();
	r = vnic_relay_set_capture(relay, &(struct vnic_capture){.fd = fd}, err);
	have_enough();
	if (r < 0)
		close(fd);
	return r;
}

static int weather(struct vnic_relay *relay, int port, struct vnic_error *err)
{
	int r;

	run_short();
	r = vnic_relay_set_impairment(relay, (unsigned)port, VNIC_INGRESS, &(struct vnic_impairment){.loss = 0.5}, err);
	have_enough();
	return r;
}

static int set_on_port(int (*set)(struct vnic_relay *relay, int port, struct vnic_error *err), struct vnic_error *err)
{
	struct vnic_relay *relay = relay_new();
	int pair[2], port = stream(relay, pair_of(SOCK_STREAM, pair), err), r;

	vt_ok(port, err);
	r = set(relay, port, err);
	vnic_relay_free(relay);
	close(pair[1]);
	return r;
}

static int a_capture(struct vnic_error *err)
{
	return set_on_port(capture, err);
}

static int weather_of_a_port(struct vnic_error *err)
{
	return set_on_port(weather, err);
}

static int a_gateway(struct vnic_error *err)
{
	struct vnic_gateway_config config = {.tcp = {-1, -1}, .udp = {-1, -1}, .lease_sockets = {-1, -1, -1}};
	struct vnic_gateway *gateway = NULL;
	struct vnic_lease lease = {0};
	int pair[2], r;

	config.slow_fd = pair_of(SOCK_SEQPACKET, pair);
	config.leases = &lease;
	config.lease_count = 1;
	vt_ok(vnic_addr_parse("127.0.0.1", &config.dns.listen[VNIC_V4], err), err);
	vnic_policy_init(&config.policy);
	run_short();
	r = vnic_gateway_new(&config, &gateway, err);
	have_enough();
	if (r < 0)
		close(config.slow_fd);
	vnic_gateway_free(gateway);
	close(pair[1]);
	return r;
}

static int a_socket_of_netlink(struct vnic_error *err)
{
	struct vnic_nl *nl = NULL;
	int r;

	run_short();
	r = vnic_nl_open(&nl, err);
	have_enough();
	vnic_nl_close(nl);
	return r;
}

static int a_monitor(struct vnic_error *err)
{
	struct vnic_monitor *monitor = NULL;
	int r;

	run_short();
	r = vnic_monitor_open(&monitor, err);
	have_enough();
	vnic_monitor_close(monitor);
	return r;
}

static void accept_all(struct fake *fake, const struct nlmsghdr *request)
{
	if (request->nlmsg_flags & NLM_F_ACK)
		fake_verdict(fake, request, 0, NULL);
}

static void fill(struct vnic_batch *batch)
{
	const struct vnic_addr net = {AF_INET, 24, {10, 9, 0, 0}}, host = {AF_INET, 32, {10, 9, 0, 1}};
	const struct vnic_link peer = {.name = "b", .mac = {{2, 0, 0, 0, 0, 1}, true}};

	vnic_batch_link_add(batch,
			    &(struct vnic_link){.kind = VNIC_LINK_VETH, .name = "a", .alias = "words", .peer = &peer});
	vnic_batch_link_set(batch, 1, &(struct vnic_link){.up = true, .mtu = 1400});
	vnic_batch_link_del(batch, 0, "c");
	vnic_batch_addr_add(batch, 1, &host);
	vnic_batch_route_add(batch, &(struct vnic_route){.dst = net, .gateway = host, .mtu = 1300});
	vnic_batch_rule_add(batch, &(struct vnic_rule){.family = AF_INET, .table = 7, .src = net, .dst = host});
	vnic_batch_neigh_add(batch,
			     &(struct vnic_neigh){.ifindex = 1, .addr = host, .mac = {{2, 0, 0, 0, 0, 2}, true}});
}

static int a_batch_of_requests(struct vnic_error *err)
{
	struct fake fake = {.answer = accept_all};
	struct vnic_nl nl = fake_nl(&fake);
	struct vnic_batch *batch = NULL;
	int r;

	run_short();
	r = vnic_batch_new(&batch, err);
	if (r == 0) {
		fill(batch);
		r = vnic_batch_send(batch, &nl, NULL, err);
	}
	have_enough();
	assert_true(r == 0 || fake.requests == 0);
	vnic_batch_free(batch);
	return r;
}

static int a_ruleset(struct vnic_error *err)
{
	struct fake fake = {.answer = accept_all};
	struct vnic_nl nl = fake_nl(&fake);
	struct nft_batch *batch = NULL;
	const uint32_t one = 1;
	int r;

	run_short();
	r = nft_batch_new(&batch, err);
	if (r == 0) {
		nft_table(batch, "t");
		nft_chain(batch, "c");
		nft_rule(batch);
		nft_load_meta(batch, NFT_META_IIF);
		nft_compare(batch, NFT_CMP_EQ, &one, sizeof(one));
		nft_accept(batch);
		r = nft_batch_send(batch, &nl, err);
	}
	have_enough();
	assert_true(r == 0 || fake.requests == 0);
	nft_batch_free(batch);
	return r;
}

/* --- what is asked of each -------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*make)(struct vnic_error *err);
} makers[] = {
	{"a relay", a_relay},
	{"a stream", a_stream},
	{"a socket of sequenced packets", a_socket_of_sequenced_packets},
	{"a socket of datagrams", a_socket_of_datagrams},
	{"a VXLAN", a_vxlan},
	{"a file to write", a_file_to_write},
	{"a file to replay", a_file_to_replay},
	{"a capture", a_capture},
	{"a port's weather", weather_of_a_port},
	{"a gateway", a_gateway},
	{"a socket of netlink", a_socket_of_netlink},
	{"a monitor", a_monitor},
	{"a batch of requests", a_batch_of_requests},
	{"a ruleset", a_ruleset},
};

/* True: it was made; false: it ended by that error, and both ways nothing is left. */
static bool is_made(unsigned which, int code)
{
	const int fds = vt_open_fds();
	const long before = blocks;
	struct vnic_error err = {0};
	int r = makers[which].make(&err);

	if (vt_open_fds() != fds || blocks != before || (r < 0 && (r != -code || err.code != code)))
		fail_msg("%s, with %d: %d, %s; %ld blocks and %d descriptors more than before", makers[which].name,
			 left, r, err.object, blocks - before, vt_open_fds() - fds);
	return r >= 0;
}

static void out_of_descriptors_is_told_and_leaves_nothing(void **state)
{
	(void)state;
	shortage = DESCRIPTORS;
	for (unsigned i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		int room = 0;

		while (left = room, !is_made(i, EMFILE))
			assert_true(++room < 100);
	}
	shortage = ENOUGH;
}

/* What is refused memory may also do without it. */
static void out_of_memory_is_told_and_leaves_nothing(void **state)
{
	(void)state;
	if (!OWN_MALLOC)
		vt_skip("a sanitizer has the memory");
	shortage = MEMORY;
	for (unsigned i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		bool failed = false;

		/* Once for what libraries make and keep. */
		left = -1;
		assert_true(is_made(i, ENOMEM));
		for (int granted = 0;; granted++) {
			assert_true(granted < TRIES_MAX);
			left = granted;
			refused = false;
			failed = !is_made(i, ENOMEM) || failed;
			if (!refused)
				break;
		}
		assert_true(failed);
	}
	shortage = ENOUGH;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(out_of_descriptors_is_told_and_leaves_nothing),
		vt_test(out_of_memory_is_told_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
