/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 06-own-loop: a relay inside the caller's own epoll loop, beside a timer and signals.
 *
 *   gcc -o 06-own-loop 06-own-loop.c $(pkg-config --cflags --libs vnic)
 *   sudo unshare --net ./06-own-loop 3
 *
 * Expected output (the kernel says hello by IPv6 on both devices, with other counts):
 *
 *   after 1 s: 4 frames
 *   after 2 s: 7 frames
 *   after 3 s: 8 frames
 *
 * The relay has one descriptor, which is readable when there is work, and one call that does it.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <vnic/vnic.h>

enum source { RELAY, TIMER, SIGNALS };

static int fail(const struct vnic_error *err)
{
	char text[512];

	vnic_error_text(err, text, sizeof(text));
	fprintf(stderr, "06-own-loop: %s\n", text);
	return 1;
}

static int add_tap(struct vnic_relay *relay, const char *name, struct vnic_error *err)
{
	const struct vnic_tap_config config = {.name = name, .vnet_hdr = true, .offloads = VNIC_OFFLOAD_ALL};
	const struct vnic_link up = {.up = true};
	struct vnic_tap tap;
	struct vnic_nl *nl;
	int r = vnic_tap_open(&config, &tap, err), index;

	if (r < 0)
		return r;
	index = tap.index;
	r = vnic_relay_add_tap(relay, name, &tap, err);
	vnic_tap_close(&tap);
	if (r < 0 || (r = vnic_nl_open(&nl, err)) < 0)
		return r;
	r = vnic_link_set(nl, index, &up, err);
	vnic_nl_close(nl);
	return r;
}

static int every_second(void)
{
	const struct itimerspec second = {{.tv_sec = 1}, {.tv_sec = 1}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	timerfd_settime(fd, 0, &second, NULL);
	return fd;
}

static int signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void watch(int epoll, int fd, enum source source)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = source};

	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int loop(struct vnic_relay *relay, int seconds, struct vnic_error *err)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), timer = every_second(), frames = 0, r;
	struct epoll_event event;
	uint64_t ticks;

	watch(epoll, vnic_relay_get_fd(relay), RELAY);
	watch(epoll, timer, TIMER);
	watch(epoll, signals(), SIGNALS);
	for (int passed = 0; passed < seconds && epoll_wait(epoll, &event, 1, -1) == 1;) {
		switch ((enum source)event.data.u32) {
		case RELAY:
			r = vnic_relay_dispatch(relay, 0, err);
			if (r < 0)
				return r;
			frames += r;
			break;
		case TIMER:
			if (read(timer, &ticks, sizeof(ticks)) == sizeof(ticks))
				passed += (int)ticks;
			printf("after %d s: %d frames\n", passed, frames);
			break;
		case SIGNALS:
			return 0;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct vnic_relay_config config = {0};
	struct vnic_relay *relay;
	struct vnic_error err;
	int r = vnic_relay_new(&config, &relay, &err);

	if (r < 0)
		return fail(&err);
	r = add_tap(relay, "left", &err);
	if (r == 0)
		r = add_tap(relay, "right", &err);
	if (r == 0)
		r = loop(relay, argc > 1 ? atoi(argv[1]) : 10, &err);
	vnic_relay_free(relay);
	return r < 0 ? fail(&err) : 0;
}
