/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A port's locator says what and where it is, and each mistake in it has its own sentence. */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <vnic/sandbox.h>

#include "vt.h"

static struct vnic_port port_of(const char *text)
{
	struct vnic_error err;
	struct vnic_port port;

	vt_ok(vnic_port_parse(text, &port, &err), &err);
	return port;
}

static void assert_complains(const char *text, const char *object, const char *detail)
{
	struct vnic_port port;
	struct vnic_error err;

	vt_fails(vnic_port_parse(text, &port, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.object, object);
	assert_string_equal(err.detail, detail);
}

static void each_kind_has_its_argument(void **state)
{
	static const struct {
		const char *text;
		enum vnic_port_kind kind;
	} ports[] = {
		{"tap:x0", VNIC_PORT_TAP},
		{"tun:x0", VNIC_PORT_TUN},
		{"link:x0", VNIC_PORT_LINK},
		{"veth:x0", VNIC_PORT_VETH},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct vnic_port port = port_of(ports[i].text);

		assert_int_equal(port.kind, ports[i].kind);
		assert_string_equal(port.name, "x0");
		assert_string_equal(port.netns, "");
		assert_int_equal(port.fd, -1);
	}
	assert_int_equal(port_of("fd:5").kind, VNIC_PORT_FD);
	assert_int_equal(port_of("fd:5").fd, 5);
}

static void every_key_is_kept(void **state)
{
	struct vnic_port port = port_of("tap:eth0,netns=red,ip=10.9.0.1/24,ip=fd09::1/64,mac=02:00:00:00:00:01,"
					"mtu=9000,queues=4,isolated");
	char text[VNIC_ADDR_TEXT];

	(void)state;
	assert_string_equal(port.name, "eth0");
	assert_string_equal(port.netns, "red");
	assert_int_equal(port.addr_count, 2);
	assert_string_equal(vnic_addr_text(&port.addrs[1], true, text), "fd09::1/64");
	assert_string_equal(vnic_mac_text(&port.mac, text), "02:00:00:00:00:01");
	assert_int_equal(port.mtu, 9000);
	assert_int_equal(port.queues, 4);
	assert_true(port.isolated);
}

static void a_port_is_called_by_its_place_too(void **state)
{
	(void)state;
	assert_string_equal(port_of("veth:eth0,mtu=1400").text, "veth:eth0");
	assert_string_equal(port_of("veth:eth0,netns=red").text, "veth:eth0@red");
	assert_string_equal(port_of("link:eth0,netns=/run/netns/blue").text, "link:eth0@/run/netns/blue");
}

static void a_place_may_be_long_but_not_too_long(void **state)
{
	char text[256] = "veth:eth0,netns=", *end = text + strlen(text);

	(void)state;
	memset(end, 'n', 127);
	assert_int_equal(strlen(port_of(text).netns), 127);
	memset(end, 'n', 128);
	struct vnic_error err;
	struct vnic_port port;
	vt_fails(vnic_port_parse(text, &port, &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_non_null(strstr(err.detail, "netns="));
}

static void each_mistake_has_its_own_sentence(void **state)
{
	static const char kinds[] = "a port is tap:NAME, tun:NAME, link:NAME, veth:NAME, stream:PATH, dgram:PATH, "
				    "seqpacket:PATH, udp:ADDRESS:PORT, vxlan:id=NUMBER, pcap:FILE or fd:N";

	(void)state;
	assert_complains("tap", "tap", kinds);
	assert_complains("tap,ip=fd09::1/64", "tap,ip=fd09::1/64", kinds);
	assert_complains(":eth0", ":eth0", kinds);
	assert_complains("tpa:eth0,mtu=1400", "tpa:eth0", kinds);
	assert_complains("tap:mtu=1500", "mtu", "a port's name comes before its keys");
	assert_complains("tap:eth0,mtu", "mtu", "this key of a port needs a value: mtu=...");
	assert_complains("tap:eth0,mtu=70000", "70000", "mtu= takes a number from 68 to 65535");
	assert_complains("veth:eth0,ip=10.9.0.1", "10.9.0.1", "ip= needs a prefix length, as in 10.9.0.1/24");
	assert_complains("tap:", "tap:", "what is meant stands behind the colon");
	assert_complains("vxlan:", "vxlan:", "what is meant stands behind the colon");
	assert_complains("pcap:,write", "pcap:", "what is meant stands behind the colon");
	assert_complains("stream:10.9.0.1", "10.9.0.1",
			 "an address has a port, as in 10.9.0.1:5000, and a path of this name a slash");
	assert_complains("tap:t0,dealy=3ms", "dealy", "tap ports have no such key; did you mean delay?");
	assert_complains("tap:t0,in.los=1%", "in.los", "tap ports have no such key; did you mean loss?");
	assert_complains("udp:10.9.0.1:80,overtaek", "overtaek", "udp ports have no such key; did you mean overtake?");
	assert_complains("vxlan:id=7,filtre=ip", "filtre", "vxlan ports have no such key; did you mean filter?");
	assert_complains("tap:t0,to-bad=1%,to-good=10%", "to-bad",
			 "nothing is lost when the weather is bad: add bad-loss=1");
	assert_complains("tap:t0,in.bad-loss=1", "bad-loss", "the weather is never bad: add to-bad= and to-good=");
	assert_complains("tap:t0,ip=10.9.0.1/24,ip=127.0.0.1/8", "127.0.0.1/8",
			 "a link's address is neither of the loopback, nor of multicast, nor zero");
	assert_complains("veth:v0,ip=fd09::1/64,mtu=1000", "fd09::1/64",
			 "IPv6 needs an MTU of 1280 at least, and mtu= says 1000");
	assert_complains("fd:x", "x", "fd: takes a number from 0 to 1048576");
}

static void what_is_changed_makes_the_same_sense_and_else_nothing_is(void **state)
{
	struct vnic_port port = port_of("tap:t0,delay=10ms,in.filter=ip");
	struct vnic_error err;

	(void)state;
	vt_ok(vnic_port_change(&port, "to-bad=1%,bad-loss=1,in.loss=2%,in.filter=", &err), &err);
	assert_int_equal(port.sides[VNIC_EGRESS].impairment.delay_us, 10000);
	assert_true(port.sides[VNIC_EGRESS].impairment.bad_loss == 1);
	assert_true(port.sides[VNIC_INGRESS].impairment.loss == 0.02);
	assert_string_equal(port.sides[VNIC_INGRESS].filter, "");
	vt_fails(vnic_port_change(&port, "delay=20ms,bad-loss=0", &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.object, "to-bad");
	vt_fails(vnic_port_change(&port, "delay=20ms,in.bad-loss=1", &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.object, "bad-loss");
	vt_fails(vnic_port_change(&port, "delay=20ms,,", &err), &err, VNIC_STEP_USAGE, EINVAL);
	vt_fails(vnic_port_change(&port, "delay=20ms,mtu=1400", &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.object, "mtu");
	assert_string_equal(err.detail, "only filters and weather can be changed");
	vt_fails(vnic_port_change(&port, "in.dealy=20ms", &err), &err, VNIC_STEP_USAGE, EINVAL);
	assert_string_equal(err.detail, "only filters and weather can be changed; did you mean delay?");
	assert_int_equal(port.sides[VNIC_EGRESS].impairment.delay_us, 10000);
	vt_ok(vnic_port_change(&port, "to-bad=0,bad-loss=0", &err), &err);
}

static void each_kind_has_its_own_keys(void **state)
{
	(void)state;
	assert_complains(
		"tap:t0,gw=1", "gw",
		"tap ports have the keys netns, ip, mac, mtu, queues, isolated, and those for filters and weather");
	assert_complains("tun:t0,mac=02:00:00:00:00:01", "mac",
			 "tun ports have the keys netns, ip, mtu, queues, isolated, and those for filters and weather");
	assert_complains("veth:e0,queues=2", "queues",
			 "veth ports have the keys netns, ip, mac, mtu, isolated, and those for filters and weather");
	assert_complains("link:e0,mtu=1400", "mtu",
			 "link ports have the keys netns, isolated, and those for filters and weather");
	assert_complains("fd:3,netns=red", "netns",
			 "fd ports have the keys isolated, and those for filters and weather");
	assert_complains(
		"stream:/x,peer=/y", "peer",
		"stream ports have the keys netns, connect, reconnect, isolated, and those for filters and weather");
	assert_complains("dgram:/x,connect", "connect",
			 "dgram ports have the keys netns, peer, isolated, and those for filters and weather");
	assert_complains("stream:/x,connect=1", "connect", "this key of a port takes no value");
	assert_complains("stream:127.0.0.1:80,reconnect=1,netns=red", "stream:127.0.0.1:80",
			 "a connection cannot be had again in another namespace: leave out netns= or reconnect=");
}

static void a_key_is_given_once(void **state)
{
	struct vnic_port port = port_of("veth:mtu,mtu=1400,ip=10.9.0.1/24,ip=fd09::1/64,in.delay=1ms,delay=2ms");
	struct vnic_error err;

	(void)state;
	assert_int_equal(port.mtu, 1400);
	assert_int_equal(port.addr_count, 2);
	assert_complains("veth:a,mtu=1400,ip=10.9.0.1/24,mtu=1300", "mtu", "this key was given twice");
	assert_complains("vxlan:id=7,remote=192.0.2.1,remote=192.0.2.2,id=8", "id", "this key was given twice");
	assert_complains("veth:a,isolated,isolated", "isolated", "this key was given twice");
	assert_int_equal(vnic_port_change(&port, "loss=1%,loss=2%", &err), -EINVAL);
	assert_string_equal(err.object, "loss");
}

static void sockets_have_paths_names_or_addresses(void **state)
{
	struct vnic_port port = port_of("stream:/run/x");
	char longest[128] = "dgram:/";

	(void)state;
	assert_int_equal(port.local.addr.ss_family, AF_UNIX);
	assert_string_equal(((struct sockaddr_un *)&port.local.addr)->sun_path, "/run/x");
	assert_int_equal(port.remote.len, 0);
	port = port_of("stream:@x,reconnect=5");
	assert_int_equal(port.local.len, 0);
	assert_int_equal(port.remote.len, offsetof(struct sockaddr_un, sun_path) + 2);
	assert_memory_equal(((struct sockaddr_un *)&port.remote.addr)->sun_path, "\0x", 2);
	assert_int_equal(port.redial_s, 5);
	port = port_of("stream:[::1]:80");
	assert_int_equal(port.local.addr.ss_family, AF_INET6);
	assert_int_equal(((struct sockaddr_in6 *)&port.local.addr)->sin6_port, htons(80));
	port = port_of("udp:10.0.0.2:5000");
	assert_int_equal(((struct sockaddr_in *)&port.local.addr)->sin_port, htons(5000));
	assert_int_equal(((struct sockaddr_in *)&port.local.addr)->sin_addr.s_addr, INADDR_ANY);
	assert_int_equal(((struct sockaddr_in *)&port.remote.addr)->sin_addr.s_addr, inet_addr("10.0.0.2"));
	memset(longest + 7, 'x', 107);
	assert_complains(longest, longest + 6, "a socket's path has 1 to 107 bytes");
	assert_complains("stream:@", "@", "a socket's path has 2 to 107 bytes");
	port = port_of("dgram:x");
	assert_string_equal(((struct sockaddr_un *)&port.local.addr)->sun_path, "x");
	assert_complains("udp:10.0.0.2", "10.0.0.2", "an address with a port is written 10.0.0.1:80 or [fd00::1]:80");
	assert_complains("udp:fd00::1:80", "fd00::1:80",
			 "an address with a port is written 10.0.0.1:80 or [fd00::1]:80");
	assert_complains("udp:10.0.0.2:0", "0", "a port takes a number from 1 to 65535");
	assert_complains("udp:10.0.0.2:5000,local=[fd00::1]:5000", "udp:10.0.0.2:5000",
			 "both addresses of a udp port are IPv4 or both are IPv6");
}

static const struct sockaddr_in *ipv4(const struct sockaddr_storage *addr)
{
	assert_int_equal(addr->ss_family, AF_INET);
	return (const struct sockaddr_in *)addr;
}

static void a_vxlan_has_a_number_and_remotes(void **state)
{
	struct vnic_port port = port_of("vxlan:id=7,remote=10.0.0.2,remote=10.0.0.3:5000,isolated");

	(void)state;
	assert_int_equal(port.kind, VNIC_PORT_VXLAN);
	assert_int_equal(port.vni, 7);
	assert_int_equal(port.remote_count, 2);
	assert_int_equal(ipv4(&port.remotes[0])->sin_port, htons(4789));
	assert_int_equal(ipv4(&port.remotes[1])->sin_port, htons(5000));
	assert_int_equal(ipv4(&port.remotes[1])->sin_addr.s_addr, inet_addr("10.0.0.3"));
	assert_int_equal(ipv4(&port.local.addr)->sin_addr.s_addr, INADDR_ANY);
	assert_true(port.isolated);
	port = port_of("vxlan:local=127.0.0.1,id=16777215,netns=red");
	assert_string_equal(port.text, "vxlan:id=16777215@red");
	assert_int_equal(port.remote_count, 0);
	assert_int_equal(ipv4(&port.local.addr)->sin_port, htons(4789));
	port = port_of("vxlan:id=0,remote=fd00::1,remote=[fd00::2]:5000");
	assert_int_equal(port.remotes[1].ss_family, AF_INET6);
	assert_int_equal(port.local.addr.ss_family, AF_INET6);
	port = port_of("vxlan:id=7");
	assert_int_equal(ipv4(&port.local.addr)->sin_port, htons(4789));
	assert_complains("vxlan:remote=10.0.0.2", "vxlan:remote=10.0.0.2",
			 "a vxlan port needs the number of its network: id=7");
	assert_complains("vxlan:id=7,remote=10.0.0.2,remote=::1", "vxlan:id=7",
			 "all addresses of a vxlan port are IPv4 or all are IPv6");
	assert_complains("vxlan:id=7,remote=10.0.0.2,local=::1", "vxlan:id=7",
			 "all addresses of a vxlan port are IPv4 or all are IPv6");
	assert_complains("vxlan:id=16777216", "16777216", "id= takes a number from 0 to 16777215");
	assert_complains(
		"vxlan:7", "7",
		"vxlan ports have the keys netns, id, remote, local, isolated, and those for filters and weather");
}

static void a_capture_is_read_or_written(void **state)
{
	struct vnic_port port = port_of("pcap:/tmp/x.pcap");

	(void)state;
	assert_int_equal(port.kind, VNIC_PORT_PCAP);
	assert_string_equal(port.path, "/tmp/x.pcap");
	assert_false(port.write);
	assert_true(port.speed == 1);
	assert_true(port_of("pcap:x,speed=max").speed == 0);
	assert_true(port_of("pcap:x,read,speed=2.5").speed == 2.5);
	assert_true(port_of("pcap:x,write").write);
	assert_complains("pcap:x,speed=0", "0", "speed= takes recorded, max, or a factor from 0.001 to 1000000");
	assert_complains("pcap:x,speed=nan", "nan", "speed= takes recorded, max, or a factor from 0.001 to 1000000");
	assert_complains("pcap:x,netns=red", "netns",
			 "pcap ports have the keys read, write, speed, isolated, and those for filters and weather");
}

static void assert_known(unsigned kind, const char *prefix, const struct vnic_key *key)
{
	struct vnic_error err = {0};
	struct vnic_port port;
	char text[128];

	snprintf(text, sizeof(text), "%s:%s%s%s%s", vnic_port_kind_text((enum vnic_port_kind)kind),
		 kind == VNIC_PORT_VXLAN ? "" : "5,", prefix, key->name, key->value ? "=" : "");
	vnic_port_parse(text, &port, &err);
	assert_null(strstr(err.detail, "no such key"));
	assert_null(strstr(err.detail, "have the keys"));
	assert_null(strstr(err.detail, "takes no value"));
	if (!key->value)
		assert_null(strstr(err.detail, "needs a value"));
}

/* As completions offer them: none that its kind does not know, and none that takes no value with one. */
static void every_key_that_is_listed_is_known(void **state)
{
	const struct vnic_key *key;
	unsigned own, i;

	(void)state;
	for (unsigned kind = 0; kind < VNIC_PORT_KINDS; kind++) {
		for (own = 0; (key = vnic_port_key_at((enum vnic_port_kind)kind, own)); own++)
			assert_known(kind, "", key);
		for (i = 0; (key = vnic_port_side_key_at(i)); i++) {
			assert_known(kind, "", key);
			assert_known(kind, "in.", key);
			assert_known(kind, "out.", key);
		}
		assert_true(own > 0 && i > 10);
	}
}

static int check_ports(unsigned count, const char *const texts[], const char *capture, struct vnic_error *err)
{
	struct vnic_port ports[4];

	for (unsigned i = 0; i < count; i++)
		ports[i] = port_of(texts[i]);
	return vnic_ports_check(ports, count, capture, err);
}

static void two_ports_in_one_place_are_refused(void **state)
{
	static const char link[] = "another port is on this link, so frames would go in a circle: name each link once";
	static const char address[] =
		"another port has this local address: choose another one, for udp and vxlan with local=";
	static const char file[] = "another port has this file, and one of them writes to it: choose another one";
	static const struct {
		const char *ports[2], *object, *detail;
	} pairs[] = {
		{{"link:x0", "link:x0,isolated"}, "link:x0", link},
		{{"tap:x0,queues=2", "tap:x0,queues=2"}, "tap:x0", link},
		{{"veth:x0,netns=red", "link:x0,netns=red"}, "link:x0@red", link},
		{{"stream:/tmp/x", "dgram:/tmp/x,netns=red"}, "dgram:/tmp/x@red", address},
		{{"stream:@x", "stream:@x"}, "stream:@x", address},
		{{"udp:10.0.0.2:5000", "udp:10.0.0.3:5000"}, "udp:10.0.0.3:5000", address},
		{{"vxlan:id=7", "vxlan:id=8"}, "vxlan:id=8", address},
		{{"pcap:/no/such,write", "pcap:/no/such,write"}, "pcap:/no/such", file},
		{{"pcap:/proc/self/exe", "pcap:/proc/self/../self/exe,write"}, "pcap:/proc/self/../self/exe", file},
	};
	struct vnic_error err;

	(void)state;
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		vt_fails(check_ports(2, pairs[i].ports, NULL, &err), &err, VNIC_STEP_USAGE, EINVAL);
		assert_string_equal(err.object, pairs[i].object);
		assert_string_equal(err.detail, pairs[i].detail);
	}
	vt_fails(check_ports(1, (const char *[]){"pcap:/proc/self/exe"}, "/proc/self/exe", &err), &err, VNIC_STEP_USAGE,
		 EINVAL);
	assert_string_equal(err.detail, "all frames are captured to this file: choose another one");
}

static void what_only_looks_alike_is_taken(void **state)
{
	static const char *const pairs[][2] = {
		{"link:x0", "link:x1"},
		{"link:x0,netns=red", "link:x0,netns=blue"},
		{"stream:/tmp/x", "stream:/tmp/x,connect"},
		{"stream:@x", "stream:@x,netns=red"},
		{"stream:127.0.0.1:5000", "udp:127.0.0.1:5000,local=127.0.0.1:5000"},
		{"udp:10.0.0.2:5000", "udp:10.0.0.3:5000,local=0.0.0.0:5001"},
		{"pcap:/proc/self/exe", "pcap:/proc/self/exe"},
		{"pcap:/dev/null,write", "pcap:/dev/null,write"},
		{"fd:3", "fd:4"},
	};
	struct vnic_error err;

	(void)state;
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		vt_ok(check_ports(2, pairs[i], "/no/such", &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(each_kind_has_its_argument),
		vt_test(every_key_is_kept),
		vt_test(a_port_is_called_by_its_place_too),
		vt_test(a_place_may_be_long_but_not_too_long),
		vt_test(each_mistake_has_its_own_sentence),
		vt_test(what_is_changed_makes_the_same_sense_and_else_nothing_is),
		vt_test(each_kind_has_its_own_keys),
		vt_test(a_key_is_given_once),
		vt_test(sockets_have_paths_names_or_addresses),
		vt_test(a_vxlan_has_a_number_and_remotes),
		vt_test(a_capture_is_read_or_written),
		vt_test(every_key_that_is_listed_is_known),
		vt_test(two_ports_in_one_place_are_refused),
		vt_test(what_only_looks_alike_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
