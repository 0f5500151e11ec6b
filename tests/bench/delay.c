/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * delay.c - a wire that is slow in one direction.
 *
 * What it is: two packet sockets, one on the gateway's tap and one on a veth
 * whose other end is the guest.  Frames from the gateway pass at once; frames
 * from the guest wait a fixed time first, so that its acknowledgements come
 * late while nothing else changes.  PACKET_VNET_HDR on both sides lets super-
 * frames and unfinished checksums through as they are.
 *
 * What it is not: a network emulator.  It drops nothing on purpose and keeps
 * the order; a full socket buffer loses frames as a full queue would, and the
 * count of these is printed at the end.
 *
 * Both interfaces are in the network namespace of -N PID and should have no
 * addresses there.  SIGTERM ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	FRAME = sizeof(struct virtio_net_hdr) + ETH_HLEN + 65535 + 64,
	BATCH = 32,
	SOCKET_BUFFER = 32 << 20,	/* asked for; the kernel caps it */
};

struct frame {
	struct frame *next;
	int64_t due;		/* ns */
	size_t len;
	uint8_t data[];
};

static struct frame *first, **last = &first;
static struct mmsghdr msgs[BATCH];
static struct iovec iovs[BATCH];
static volatile sig_atomic_t over;
static unsigned long lost;

static void die(const char *what)
{
	fprintf(stderr, "bench-delay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int open_ns(pid_t pid, const char *kind)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

/* Entering the user namespace one is in is refused: then there is no need. */
static void enter(pid_t pid)
{
	struct stat mine, theirs;
	int user = open_ns(pid, "user"), net = open_ns(pid, "net");

	if (stat("/proc/self/ns/user", &mine) || fstat(user, &theirs))
		die("stat");
	if (mine.st_ino != theirs.st_ino && setns(user, CLONE_NEWUSER))
		die("setns user");
	if (setns(net, CLONE_NEWNET))
		die("setns net");
	close(user);
	close(net);
}

static int open_interface(const char *name)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int one = 1, size = SOCKET_BUFFER;
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(name),
	};
	struct packet_mreq all = {
		.mr_ifindex = at.sll_ifindex,
		.mr_type = PACKET_MR_PROMISC,
	};

	if (fd < 0 || !at.sll_ifindex)
		die(name);
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)))
		die("PACKET_VNET_HDR");
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)))
		die("PACKET_IGNORE_OUTGOING");
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)))
		die("promiscuous mode");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)))
		die("bind");
	return fd;
}

static int receive(int fd)
{
	for (int i = 0; i < BATCH; i++)
		iovs[i].iov_len = FRAME;
	return recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
}

static void pass(int from, int to)
{
	int n = receive(from), sent = 0;

	for (int i = 0; i < n; i++)
		iovs[i].iov_len = msgs[i].msg_len;
	while (sent < n) {
		int r = sendmmsg(to, msgs + sent, n - sent, 0);

		if (r > 0) {
			sent += r;
			continue;
		}
		lost++;		/* this one cannot pass, the next may */
		sent++;
	}
}

static void hold(int from, int64_t delay)
{
	int n = receive(from);
	int64_t due = now_ns() + delay;

	for (int i = 0; i < n; i++) {
		size_t len = msgs[i].msg_len;
		struct frame *f = malloc(sizeof(*f) + len);

		if (!f)
			die("malloc");
		f->next = NULL;
		f->due = due;
		f->len = len;
		memcpy(f->data, iovs[i].iov_base, len);
		*last = f;
		last = &f->next;
	}
}

static void release(int to, int64_t now)
{
	while (first && first->due <= now) {
		struct frame *f = first;

		if (send(to, f->data, f->len, 0) < 0)
			lost++;
		first = f->next;
		if (!first)
			last = &first;
		free(f);
	}
}

static void loop(int gateway, int guest, int64_t delay)
{
	struct pollfd p[2] = {
		{ .fd = gateway, .events = POLLIN },
		{ .fd = guest, .events = POLLIN },
	};

	while (!over) {
		struct timespec wait = { 0 };
		int64_t left = first ? first->due - now_ns() : 0;

		if (left > 0) {
			wait.tv_sec = left / 1000000000;
			wait.tv_nsec = left % 1000000000;
		}
		if (ppoll(p, 2, first ? &wait : NULL, NULL) < 0)
			continue;
		if (p[1].revents)
			hold(guest, delay);
		release(gateway, now_ns());
		if (p[0].revents)
			pass(gateway, guest);
	}
}

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

static void report(int gateway, int guest)
{
	struct tpacket_stats a = { 0 }, b = { 0 };
	socklen_t len = sizeof(a);

	getsockopt(gateway, SOL_PACKET, PACKET_STATISTICS, &a, &len);
	len = sizeof(b);
	getsockopt(guest, SOL_PACKET, PACKET_STATISTICS, &b, &len);
	printf("{\"from_gateway\":%u,\"from_guest\":%u,\"overrun\":%u,"
	       "\"lost\":%lu}\n", a.tp_packets, b.tp_packets,
	       a.tp_drops + b.tp_drops, lost);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_term };
	int64_t delay = 0;
	pid_t pid = 0;
	int o, gateway, guest;

	while ((o = getopt(argc, argv, "N:d:")) != -1) {
		switch (o) {
		case 'N': pid = atoi(optarg); break;
		case 'd': delay = atoll(optarg) * 1000; break;
		default: optind = argc;
		}
	}
	if (optind + 2 != argc) {
		fputs("usage: bench-delay [-N PID] -d USEC GATEWAY-IF GUEST-IF\n",
		      stderr);
		return 2;
	}
	if (pid)
		enter(pid);
	for (int i = 0; i < BATCH; i++) {
		iovs[i].iov_base = malloc(FRAME);
		if (!iovs[i].iov_base)
			die("malloc");
		msgs[i].msg_hdr.msg_iov = &iovs[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	gateway = open_interface(argv[optind]);
	guest = open_interface(argv[optind + 1]);
	sigaction(SIGTERM, &sa, NULL);
	puts("{\"ready\":1}");
	fflush(stdout);
	loop(gateway, guest, delay);
	report(gateway, guest);
	return 0;
}
