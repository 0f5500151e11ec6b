/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traffic_dgram.c - both ends of the rows of datagrams: who sends as fast as it
 * can, and who counts what arrives.
 *
 *   usink    host: one socket, counts
 *   utx      guest: -n sockets, each connected to the sink, send in turn
 *   usource  host: one socket; once -n peers have said hello it sends to them
 *            in turn
 *   urx      guest: -n sockets; each says hello until it hears something, and
 *            counts
 *
 * -b is the size of a datagram, -m how many go to one peer in one system call
 * (1: what an everyday program does), -g makes these one UDP_SEGMENT send.
 * Only datagrams of that size are counted, so bytes tell how many there were.
 * Receivers ask for large buffers, take up to DGRAM_BATCH messages per call and
 * with -m above 1 let the kernel merge datagrams (UDP_GRO), and never look at
 * what they got: they should not be what is measured.
 */
#include "tests/bench/traffic.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DGRAM_BATCH = 64,	/* datagrams in one call at most */
	DGRAM_SIZE = 65536,
	DGRAM_STRIDE = DGRAM_SIZE + 1600,	/* so that buffers do not meet in a cache */
	DGRAM_LONGEST = 2048,
	DGRAM_CALLS = 32,	/* sends between two looks at stdin */
	DGRAM_STEPS = 16,	/* receives of one socket in a row */
	DGRAM_HELLO_MS = 50,
	DGRAM_BUFFER = 4 << 20,	/* may get less */
	DGRAM_RUN = 65000,	/* bytes of one UDP_SEGMENT send */
};

static uint8_t payload[DGRAM_BATCH][DGRAM_STRIDE];
static struct iovec pieces[DGRAM_BATCH];
static struct mmsghdr msgs[DGRAM_BATCH];
static union {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(uint16_t))];
} segment;

static void dgram_prepare(void)
{
	if (!opt.bytes || opt.bytes > DGRAM_LONGEST || opt.batch < 1 ||
	    opt.batch > DGRAM_BATCH || opt.bytes * opt.batch > DGRAM_RUN) {
		errno = EINVAL;
		die("datagrams");
	}
	for (int i = 0; i < DGRAM_BATCH; i++) {
		pieces[i] = (struct iovec){ payload[i], DGRAM_SIZE };
		msgs[i].msg_hdr.msg_iov = &pieces[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
}

static int dgram_socket(int port)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(port),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int size = DGRAM_BUFFER, merge = opt.batch > 1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)))
		die("udp socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_UDP, UDP_GRO, &merge, sizeof(merge));
	return fd;
}

static void dgram_ready(int n)
{
	printf("{\"ready\":%d}\n", n);
	fflush(stdout);
}

/* ---- counting ---- */

static uint64_t dgram_take(int fd)
{
	uint64_t count = 0;

	for (int step = 0; step < DGRAM_STEPS; step++) {
		int n = recvmmsg(fd, msgs, DGRAM_BATCH, MSG_DONTWAIT, NULL);

		for (int i = 0; i < n; i++)
			if (msgs[i].msg_len % opt.bytes == 0)
				count += msgs[i].msg_len / opt.bytes;
		if (n < DGRAM_BATCH)
			break;
	}
	bytes_in += count * opt.bytes;
	return count;
}

int run_dgram_sink(void)
{
	struct epoll_event ev[2];
	int fd = dgram_socket(opt.port);

	dgram_prepare();
	watch_stdin();
	watch(fd, EPOLLIN, msgs);
	dgram_ready(1);
	while (!stdin_over) {
		int n = epoll_wait(ep, ev, 2, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				dgram_take(fd);
			else
				read_stdin();
		}
	}
	return 0;
}

static void dgram_hello(const int *fds, const bool *heard)
{
	for (int i = 0; i < opt.count; i++)
		if (!heard[i] && send(fds[i], "hello", 5, 0) < 0)
			note_failure("hello");
}

static void dgram_heard(bool *heard, int *n_heard)
{
	if (*heard)
		return;
	*heard = true;
	if (++*n_heard == opt.count)
		dgram_ready(*n_heard);
}

/* One socket per flow, connected to the server: in the guest. */
static int *dgram_flows(void)
{
	int *fds = calloc(opt.count, sizeof(*fds));

	if (!fds)
		die("calloc");
	for (int i = 0; i < opt.count; i++) {
		fds[i] = dgram_socket(0);
		if (connect_target(fds[i]))
			die("connect");
	}
	return fds;
}

int run_dgram_receive(void)
{
	bool *heard = calloc(opt.count, sizeof(*heard));
	struct epoll_event ev[EVENTS];
	int64_t again = 0;
	int *fds, n_heard = 0;

	dgram_prepare();
	watch_stdin();
	fds = dgram_flows();
	for (int i = 0; i < opt.count; i++)
		watch(fds[i], EPOLLIN, &fds[i]);
	while (!stdin_over) {
		int n = epoll_wait(ep, ev, EVENTS,
				   n_heard < opt.count ? DGRAM_HELLO_MS : -1);

		for (int i = 0; i < n; i++) {
			int *at = ev[i].data.ptr;

			if (!at)
				read_stdin();
			else if (dgram_take(*at))
				dgram_heard(&heard[at - fds], &n_heard);
		}
		if (n_heard < opt.count && now_ns() >= again) {
			dgram_hello(fds, heard);
			again = now_ns() + DGRAM_HELLO_MS * 1000000LL;
		}
	}
	return 0;
}

/* ---- sending ---- */

/* -m datagrams, to a peer unless the socket is connected. */
static void dgram_burst(int fd, struct sockaddr_in *to)
{
	int n = opt.segment ? 1 : opt.batch, sent;

	for (int i = 0; i < n; i++) {
		struct msghdr *h = &msgs[i].msg_hdr;

		pieces[i].iov_len = opt.bytes * (opt.segment ? opt.batch : 1);
		h->msg_name = to;
		h->msg_namelen = to ? sizeof(*to) : 0;
		h->msg_control = opt.segment ? segment.b : NULL;
		h->msg_controllen = opt.segment ? sizeof(segment) : 0;
	}
	if (n == 1)
		sent = sendmsg(fd, &msgs[0].msg_hdr, MSG_DONTWAIT) < 0 ? -1 : 1;
	else
		sent = sendmmsg(fd, msgs, n, MSG_DONTWAIT);
	if (sent > 0)
		bytes_out += (uint64_t)sent * pieces[0].iov_len;
	else if (errno != EAGAIN && errno != ENOBUFS)
		note_failure("send");
}

static void dgram_prepare_segment(void)
{
	struct cmsghdr *c = &segment.align;
	uint16_t size = opt.bytes;

	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
}

static void dgram_look(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	if (poll(&in, 1, 0) > 0)
		read_stdin();
}

int run_dgram_send(void)
{
	int *fds, at = 0;

	dgram_prepare();
	dgram_prepare_segment();
	fds = dgram_flows();
	dgram_ready(opt.count);
	while (!stdin_over) {
		for (int i = 0; i < DGRAM_CALLS; i++) {
			dgram_burst(fds[at], NULL);
			at = (at + 1) % opt.count;
		}
		dgram_look();
	}
	return 0;
}

static bool dgram_known(const struct sockaddr_in *peers, int n,
			const struct sockaddr_in *one)
{
	for (int i = 0; i < n; i++)
		if (peers[i].sin_port == one->sin_port &&
		    peers[i].sin_addr.s_addr == one->sin_addr.s_addr)
			return true;
	return false;
}

static void dgram_peers(int fd, struct sockaddr_in *peers)
{
	struct pollfd in[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	int n = 0;

	while (!stdin_over && n < opt.count) {
		socklen_t len = sizeof(*peers);
		char hello[16];

		poll(in, 2, -1);
		if (in[0].revents)
			read_stdin();
		if (recvfrom(fd, hello, sizeof(hello), MSG_DONTWAIT,
			     (struct sockaddr *)&peers[n], &len) > 0 &&
		    !dgram_known(peers, n, &peers[n]))
			n++;
	}
}

int run_dgram_source(void)
{
	struct sockaddr_in *peers = calloc(opt.count, sizeof(*peers));
	int fd = dgram_socket(opt.port), at = 0;

	if (!peers)
		die("calloc");
	dgram_prepare();
	dgram_prepare_segment();
	dgram_ready(1);
	dgram_peers(fd, peers);
	while (!stdin_over) {
		for (int i = 0; i < DGRAM_CALLS; i++) {
			dgram_burst(fd, &peers[at]);
			at = (at + 1) % opt.count;
		}
		dgram_look();
	}
	return 0;
}
