/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One host port for each sandbox port. */
#include "gateway_world.h"

#include "host.h"
#include "mapping.h"

#define SERVERS 3

struct net {
	struct mappings mappings;
	int servers[SERVERS];
};

static struct net net_start(void)
{
	static const struct hash_secret secret = {{1, 2}};
	struct net net;

	assert_int_equal(mappings_open(&net.mappings, 16, &secret), 0);
	for (uint8_t i = 0; i < SERVERS; i++)
		net.servers[i] = world_socket(AF_INET, (uint8_t)(20 + i), 0);
	return net;
}

static void net_stop(struct net *net)
{
	mappings_close(&net->mappings);
	for (int i = 0; i < SERVERS; i++)
		close(net->servers[i]);
}

/* A flow of this sandbox port to that server. */
static int flow(struct net *net, uint16_t sandbox_port, int server, uint32_t *ret_mapping)
{
	struct flow_key key = {.src = {.addr = {10, 0, 2, 100}, .port = sandbox_port}, .family = AF_INET};
	struct sockaddr_storage to;
	int fd = host_socket(AF_INET, 0);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(net->servers[server], (struct sockaddr *)&to, &(socklen_t){sizeof(to)}), 0);
	key.dst.port = world_port(net->servers[server]);
	assert_int_equal(mapping_connect(&net->mappings, &key, fd, (struct sockaddr *)&to, sizeof(to), ret_mapping), 0);
	return fd;
}

static void flows_of_one_sandbox_port_leave_from_one_host_port(void **state)
{
	struct net net = net_start();
	int fds[SERVERS];
	uint32_t mapping[SERVERS];

	(void)state;
	for (int i = 0; i < SERVERS; i++)
		fds[i] = flow(&net, 5000, i, &mapping[i]);
	for (int i = 1; i < SERVERS; i++)
		assert_int_equal(world_port(fds[i]), world_port(fds[0]));
	for (int i = 0; i < SERVERS; i++) {
		close(fds[i]);
		mapping_leave(&net.mappings, mapping[i]);
	}
	assert_int_equal(net.mappings.table.count, 0);
	net_stop(&net);
}

static void each_flow_hears_its_own_remote_only(void **state)
{
	struct net net = net_start();
	uint32_t mapping[2];
	int fds[2] = {flow(&net, 5000, 0, &mapping[0]), flow(&net, 5000, 1, &mapping[1])};
	struct sockaddr_storage to;
	char got[16];

	(void)state;
	assert_int_equal(getsockname(fds[0], (struct sockaddr *)&to, &(socklen_t){sizeof(to)}), 0);
	/* The third has never been written to: it is not heard by anybody. */
	for (int i = SERVERS - 1; i >= 0; i--) {
		char text = (char)('0' + i);

		assert_int_equal(sendto(net.servers[i], &text, 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	}
	for (int i = 0; i < 2; i++) {
		assert_true(vt_readable(fds[i]));
		assert_int_equal(recv(fds[i], got, sizeof(got), 0), 1);
		assert_int_equal(got[0], '0' + i);
		assert_int_equal(recv(fds[i], got, sizeof(got), MSG_DONTWAIT), -1);
		close(fds[i]);
	}
	net_stop(&net);
}

static void other_sandbox_ports_have_other_host_ports(void **state)
{
	enum { FLOWS = 12 };
	struct net net = net_start();
	int fds[FLOWS];
	uint32_t mapping;

	(void)state;
	for (int i = 0; i < FLOWS; i++) {
		fds[i] = flow(&net, (uint16_t)(5000 + i), 0, &mapping);
		for (int k = 0; k < i; k++)
			assert_int_not_equal(world_port(fds[i]), world_port(fds[k]));
	}
	for (int i = 0; i < FLOWS; i++)
		close(fds[i]);
	net_stop(&net);
}

static void the_port_stays_as_long_as_one_flow_has_it(void **state)
{
	struct net net = net_start();
	uint32_t mapping[3];
	int first = flow(&net, 5000, 0, &mapping[0]), second = flow(&net, 5000, 1, &mapping[1]), third;
	uint16_t port = world_port(first);

	(void)state;
	close(first);
	mapping_leave(&net.mappings, mapping[0]);
	third = flow(&net, 5000, 2, &mapping[2]);
	assert_int_equal(world_port(third), port);
	close(second);
	close(third);
	net_stop(&net);
}

static void where_the_port_is_taken_a_flow_gets_its_own(void **state)
{
	struct net net = net_start();
	uint32_t mapping[2];
	int first = flow(&net, 5000, 0, &mapping[0]), thief, second;
	struct sockaddr_storage own;

	(void)state;
	/* The first is bound to the source address of its way, and somebody takes the port on another. */
	own = world_addr(AF_INET, 77, world_port(first));
	thief = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(thief, (struct sockaddr *)&own, sizeof(own)), 0);
	second = flow(&net, 5000, 1, &mapping[1]);
	assert_int_equal(mapping[1], 0);
	assert_int_not_equal(world_port(second), world_port(first));
	mapping_leave(&net.mappings, mapping[1]);
	close(first);
	close(second);
	close(thief);
	net_stop(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_netns_test(flows_of_one_sandbox_port_leave_from_one_host_port),
		vt_netns_test(each_flow_hears_its_own_remote_only),
		vt_netns_test(other_sandbox_ports_have_other_host_ports),
		vt_netns_test(the_port_stays_as_long_as_one_flow_has_it),
		vt_netns_test(where_the_port_is_taken_a_flow_gets_its_own),
	};

	vt_own_namespaces(CLONE_NEWNET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
