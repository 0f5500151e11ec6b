/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traffic_dns.c - names: a server that answers every question with one
 * address, and a client with -n questions in flight.
 *
 * The client opens a socket for every question, as stub resolvers do (dns), or
 * keeps -n of them (dnskept).  A question that is not answered within a second
 * has failed and the next one takes its place.  RFC 1035 4.1.
 */
#include "tests/bench/traffic.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DNS_BATCH = 32,
	DNS_SIZE = 512,
	DNS_HEADER = 12,
	DNS_PATIENCE_MS = 1000,
};

/* ---- server ---- */

/* Turns a question into its answer; the new length, 0: none of ours. */
static size_t dns_answer(uint8_t *m, size_t len)
{
	static const uint8_t record[] = {
		0xc0, DNS_HEADER, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7,
	};

	if (len < DNS_HEADER + 5 || len + sizeof(record) > DNS_SIZE || m[2] & 0x80)
		return 0;
	m[2] |= 0x84;
	m[3] = 0x80;
	m[7] = 1;
	memset(m + 8, 0, 4);
	memcpy(m + len, record, sizeof(record));
	return len + sizeof(record);
}

static void dns_serve(int fd)
{
	static uint8_t buf[DNS_BATCH][DNS_SIZE];
	struct sockaddr_storage from[DNS_BATCH];
	struct mmsghdr msgs[DNS_BATCH];
	struct iovec iov[DNS_BATCH];
	int n, out = 0;

	for (int i = 0; i < DNS_BATCH; i++) {
		iov[i] = (struct iovec){ buf[i], DNS_SIZE };
		msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &from[i], .msg_namelen = sizeof(from[i]),
			.msg_iov = &iov[i], .msg_iovlen = 1,
		};
	}
	n = recvmmsg(fd, msgs, DNS_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		iov[i].iov_len = dns_answer(buf[i], msgs[i].msg_len);
		if (iov[i].iov_len)
			msgs[out++] = msgs[i];
	}
	if (out && sendmmsg(fd, msgs, out, MSG_DONTWAIT) < 0)
		note_failure("answer");
}

int run_dns_server(void)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(opt.port),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event ev[2];

	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)))
		die("udp socket");
	watch_stdin();
	watch(fd, EPOLLIN, ev);
	printf("{\"ready\":1}\n");
	fflush(stdout);
	while (!stdin_over) {
		int n = epoll_wait(ep, ev, 2, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				dns_serve(fd);
			else
				read_stdin();
		}
	}
	return 0;
}

/* ---- client ---- */

static bool dns_fresh;
static uint16_t dns_id;

static size_t dns_question(uint8_t *m, uint16_t id)
{
	static unsigned int serial;
	char label[16];
	size_t at = DNS_HEADER;
	int n = snprintf(label, sizeof(label), "q%u", serial++);

	memset(m, 0, DNS_HEADER);
	m[0] = id >> 8;
	m[1] = id & 0xff;
	m[2] = 1;
	m[5] = 1;
	m[at++] = n;
	memcpy(m + at, label, n);
	at += n;
	memcpy(m + at, "\5bench\7example\0\0\1\0\1", 19);
	return at + 19;
}

/* The id is kept in c->bytes. */
static void dns_ask(struct conn *c)
{
	uint8_t m[DNS_SIZE];
	size_t len;

	if (c->fd < 0) {
		c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (c->fd < 0 || connect_target(c->fd))
			die("udp socket");
		watch(c->fd, EPOLLIN, c);
	}
	c->bytes = dns_id++;
	len = dns_question(m, c->bytes);
	c->start = now_ns();
	if (send(c->fd, m, len, MSG_DONTWAIT) < 0)
		note_failure("ask");
}

static void dns_next(struct conn *c)
{
	if (dns_fresh) {
		close(c->fd);
		c->fd = -1;
	}
	dns_ask(c);
}

static void dns_event(struct conn *c, int64_t measure_from)
{
	uint8_t m[DNS_SIZE];
	ssize_t n = recv(c->fd, m, sizeof(m), MSG_DONTWAIT);

	if (n < DNS_HEADER || m[0] << 8 != (int)(c->bytes & 0xff00) ||
	    m[1] != (c->bytes & 0xff))
		return;
	if (m[3] & 0x0f) {
		errno = EPROTO;
		note_failure("answer");
	} else if (c->start >= measure_from) {
		sample(now_ns() - c->start);
	}
	dns_next(c);
}

static void dns_late(struct conn *all, int64_t now)
{
	for (int i = 0; i < opt.count; i++) {
		if (now - all[i].start < DNS_PATIENCE_MS * 1000000LL)
			continue;
		errno = ETIMEDOUT;
		note_failure("ask");
		dns_next(&all[i]);
	}
}

int run_dns(bool fresh)
{
	struct conn *all = calloc(opt.count, sizeof(*all));
	int64_t measure_from = now_ns() + opt.warmup;
	int64_t end = measure_from + opt.duration, look = 0;
	struct epoll_event ev[EVENTS];

	if (!all)
		die("calloc");
	dns_fresh = fresh;
	samples_begin();
	watch_stdin();
	for (int i = 0; i < opt.count; i++) {
		all[i].fd = -1;
		dns_ask(&all[i]);
	}
	printf("{\"ready\":%d}\n", opt.count);
	fflush(stdout);
	while (!stdin_over && now_ns() < end) {
		int n = epoll_wait(ep, ev, EVENTS, 100);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				dns_event(ev[i].data.ptr, measure_from);
			else
				read_stdin();
		}
		if (now_ns() > look) {
			look = now_ns() + 100000000;
			dns_late(all, now_ns());
		}
	}
	print_latency(fresh ? "dns" : "dnskept", opt.duration / 1e9);
	return !exchanges;
}
