/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traffic_server.c - the host side of every row: accept, read the letter that
 * names the kind, do what it says.  The letters are in traffic.c.
 */
#include "tests/bench/traffic.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void server_receipt(struct conn *c)
{
	struct receipt r = { .bytes = c->bytes, .ns = c->last - c->start };

	if (send(c->fd, &r, sizeof(r), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		note_failure("receipt");
}

static void server_reply(struct conn *c, const char *data, size_t len)
{
	if (send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		conn_close(c);
}

/* The first byte of a connection: what is wanted of us? */
static void server_name_kind(struct conn *c, int64_t now)
{
	ssize_t n = recv(c->fd, &c->kind, 1, MSG_DONTWAIT);

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			conn_close(c);
		c->kind = 0;
		return;
	}
	c->start = c->last = now;
	switch (c->kind) {
	case 'T':
		break;
	case 'R':
		rewatch(c, EPOLLOUT | EPOLLIN);
		break;
	case 'E':
	case 'I':
	case 'C':
		server_reply(c, &c->kind, 1);
		break;
	case 'S':
		server_reply(c, &c->kind, 1);
		conn_close(c);
		break;
	default:
		conn_close(c);
	}
}

static void server_echo(struct conn *c)
{
	char byte[64];
	ssize_t n = recv(c->fd, byte, sizeof(byte), MSG_DONTWAIT);

	if (n > 0)
		server_reply(c, byte, n);
	else if (n == 0 || errno != EAGAIN)
		conn_close(c);
}

static void server_event(struct conn *c, uint32_t events, int64_t now)
{
	if (c->fd < 0)
		return;
	if (events & EPOLLERR) {
		conn_close(c);
		return;
	}
	switch (c->kind) {
	case 0:
		server_name_kind(c, now);
		break;
	case 'T':
		if (stream_read(c, now)) {
			server_receipt(c);
			conn_close(c);
		}
		break;
	case 'R':
		if ((events & EPOLLIN) && stream_read(c, now))
			conn_close(c);
		else if ((events & EPOLLOUT) && stream_write(c))
			conn_close(c);
		break;
	default:
		server_echo(c);
	}
}

static int server_listen(int port)
{
	struct sockaddr_in6 any = {
		.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_ANY_INIT,
		.sin6_port = htons(port),
	};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, zero = 0;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)))
		die("bind");
	if (listen(fd, 4096))
		die("listen");
	return fd;
}

static void server_accept(int listener)
{
	for (int i = 0; i < 64; i++) {
		struct conn *c;
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		c = calloc(1, sizeof(*c));
		if (!c)
			die("calloc");
		c->fd = fd;
		accepted++;
		conn_tune(c);
		watch(fd, EPOLLIN, c);
	}
}

int run_server(void)
{
	struct epoll_event ev[EVENTS];
	struct conn door[PORTS_MAX];

	for (int i = 0; i < opt.ports; i++) {
		door[i].fd = server_listen(opt.port + i);
		watch(door[i].fd, EPOLLIN, &door[i]);
	}
	watch_stdin();
	printf("{\"ready\":1}\n");
	fflush(stdout);
	while (!stdin_over) {
		int n = epoll_wait(ep, ev, EVENTS, -1);
		int64_t now = now_ns();

		for (int i = 0; i < n; i++) {
			if (!ev[i].data.ptr)
				read_stdin();
			else if (ev[i].data.ptr >= (void *)door &&
				 ev[i].data.ptr < (void *)(door + PORTS_MAX))
				server_accept(((struct conn *)ev[i].data.ptr)->fd);
			else
				server_event(ev[i].data.ptr, ev[i].events, now);
		}
		bury();
	}
	return 0;
}
