/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limit.c - how fast could any gateway on a tap be?  The bench's upper bound.
 *
 * What it is: the least a user-mode relay can do between a tap and host
 * sockets.  A guest's TCP segments become send() on a socket connected to the
 * host's loopback, same port; what that socket receives goes back as segments.
 * With IFF_VNET_HDR and TSO one read or write of the tap moves up to 64 KiB
 * whatever the MTU (-n: plain frames with software checksums instead).
 * Datagrams are gathered, see limit_dgram.c (-u: one at a time instead).
 *
 * What it is not: a TCP.  It trusts the guest for everything, keeps no copy of
 * what it sent, never retransmits, has no timers, no congestion control, no
 * answer to ARP (give the guest a permanent neighbour), and takes segments in
 * order only.  What it leaves out is what a real gateway pays for.
 *
 * Run it in the host's namespace, with the right to open a tap in the guest's
 * (-N PID).  -m must be the MTU of the tap.
 */
#include "tests/bench/limit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

int tap = -1, ep = -1;
bool offload = true;
unsigned int mtu = 65520;
uint8_t guest_mac[6];
bool uso, batching = true;
static uint8_t arena[TAP_ARENA];

enum { FRAME_MAX = sizeof(struct virtio_net_hdr) + ETH_LEN + SUPER + 64 };

void die(const char *what)
{
	fprintf(stderr, "bench-limit: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Frames stay where they are until settle_dgrams(). */
static void tap_turn(void)
{
	size_t skip = offload ? sizeof(struct virtio_net_hdr) : 0, used = 0;

	for (int i = 0; i < TAP_TURN && used + FRAME_MAX <= TAP_ARENA; i++) {
		struct virtio_net_hdr vnet = { 0 };
		uint8_t *frame = arena + used;
		struct segment s;
		ssize_t n = read(tap, frame, FRAME_MAX);

		if (n <= 0)
			return;
		if ((size_t)n < skip + ETH_LEN + 20 + UDP_LEN ||
		    !parse(frame + skip, n - skip, &s))
			continue;
		used += (n + 63) & ~63;
		memcpy(&vnet, frame, skip);
		if (s.tcp)
			from_guest(&s);
		else
			dgram_from_guest(&s.key, s.data, s.len,
					 vnet.gso_type ? vnet.gso_size : 0);
	}
}

static int open_tap(pid_t pid, const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	unsigned int features = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	unsigned int more = 0x20 | 0x40;	/* TUN_F_USO4, TUN_F_USO6 of Linux 6.2 */
	char path[64];
	int guest, fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	guest = open(path, O_RDONLY | O_CLOEXEC);
	if (home < 0 || guest < 0 || setns(guest, CLONE_NEWNET))
		die(path);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("/dev/net/tun");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (offload)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, &ifr))
		die("TUNSETIFF");
	uso = offload && batching && !ioctl(fd, TUNSETOFFLOAD, features | more);
	if (offload && !uso && ioctl(fd, TUNSETOFFLOAD, features))
		die("TUNSETOFFLOAD");
	if (setns(home, CLONE_NEWNET))
		die("setns back");
	close(home);
	close(guest);
	return fd;
}

static void loop(void)
{
	struct epoll_event e = { .events = EPOLLIN }, ev[EVENTS];

	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, tap, &e))
		die("epoll");
	for (;;) {
		int n = epoll_wait(ep, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (!ev[i].data.ptr)
				tap_turn();
			else if (*(bool *)ev[i].data.ptr)
				dgram_event(ev[i].data.ptr);
			else
				socket_event(ev[i].data.ptr, ev[i].events);
		}
		settle_dgrams();
		settle();
	}
}

int main(int argc, char **argv)
{
	struct rlimit rl;
	pid_t pid = 0;
	int o;

	while ((o = getopt(argc, argv, "N:m:nu")) != -1) {
		switch (o) {
		case 'N': pid = atoi(optarg); break;
		case 'm': mtu = atoi(optarg); break;
		case 'n': offload = false; break;
		case 'u': batching = false; break;
		default: pid = 0; optind = argc + 1;
		}
	}
	if (optind != argc || pid <= 0 || mtu < 576 || mtu > SUPER) {
		fputs("usage: bench-limit -N PID [-m MTU] [-n] [-u]\n", stderr);
		return 2;
	}
	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	signal(SIGPIPE, SIG_IGN);
	tap = open_tap(pid, "tap0");
	puts("ready");
	fflush(stdout);
	loop();
	return 0;
}
