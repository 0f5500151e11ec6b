/* host_tcp_pair.h - two ends of a TCP connection over the loopback: ours as host_tcp in a real loop, or bare; the peer's as a descriptor.
 *
 * Nothing here waits for time to pass: await_*() poll a condition with a limit of 20 s, which only a broken kernel or program meets.
 * Below: gateway/host_tcp.h, dial.h, loop.h.  Above: host_tcp_test.c, host_tcp_calls_test.c.
 */
#ifndef TESTS_HOST_TCP_PAIR_H
#define TESTS_HOST_TCP_PAIR_H

#include "gateway/dial.h"
#include "gateway/host_tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

enum { AWAIT_S = 20, QUIET_TURNS = 200, QUIET_TRIES = 20, PAIR_BUDGET = 64 << 20 };

/* What a test case is run with. */
struct flavour {
	const char *name;
	bool v6, copying;
};

struct pair {
	GMainContext *ctx;
	struct host_tcp_pool pool;
	struct host_tcp h;
	struct loop_watch watch;
	struct upstream *up;
	int peer;
	unsigned events; /* reports taken */
	uint32_t seen;	 /* their bits */
	bool failed;	 /* host_tcp_event() has said so */
};

/* Evaluates cond until it holds. */
#define AWAIT(cond)                                                                                          \
	do {                                                                                                 \
		int64_t limit_ = g_get_monotonic_time() + AWAIT_S * G_USEC_PER_SEC;                          \
		while (!(cond)) {                                                                            \
			if (g_get_monotonic_time() > limit_)                                                 \
				g_error("%s:%d: this never became true: %s", __FILE__, __LINE__, #cond);     \
			poll(NULL, 0, 1);                                                                    \
		}                                                                                            \
	} while (0)

static inline void turn(struct pair *p)
{
	g_main_context_iteration(p->ctx, FALSE);
}

/* As AWAIT, and the loop runs meanwhile. */
#define AWAIT_TURN(p, cond) AWAIT((turn(p), (cond)))

/* ------------------------------------------------------------------ bare sockets */

static inline void nonblocking(int fd)
{
	g_assert_cmpint(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), ==, 0);
}

/* A connected pair: the return value is ours, non-blocking and prepared as the gateway does it; *ret_peer is non-blocking too. */
static inline int pair_sockets(bool v6, int *ret_peer)
{
	static const struct hostsock_origin nowhere;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct endpoint to = { .port = 0 };
	int listener = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd, one = 1;

	g_assert_true(addr_parse(v6 ? "::1" : "127.0.0.1", &to.addr, NULL));
	len = hostsock_sockaddr(&to, &ss);
	g_assert_cmpint(bind(listener, (struct sockaddr *)&ss, len), ==, 0);
	g_assert_cmpint(listen(listener, 4), ==, 0);
	g_assert_cmpint(getsockname(listener, (struct sockaddr *)&ss, &len), ==, 0);
	g_assert_true(hostsock_endpoint(&ss, &to));
	fd = dial_start(&nowhere, &to);
	g_assert_cmpint(fd, >=, 0);
	*ret_peer = accept(listener, NULL, NULL);
	g_assert_cmpint(*ret_peer, >=, 0);
	nonblocking(*ret_peer);
	g_assert_cmpint(setsockopt(*ret_peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), ==, 0);
	AWAIT(poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, 0) == 1);
	g_assert_cmpint(dial_result(fd, EPOLLOUT, &to, true), ==, 0);
	close(listener);
	return fd;
}

static inline int queued(int fd)
{
	int n = 0;

	g_assert_cmpint(ioctl(fd, SIOCINQ, &n), ==, 0);
	return n;
}

/* Bytes the other side has not acknowledged. */
static inline int unacked(int fd)
{
	int n = 0;

	g_assert_cmpint(ioctl(fd, SIOCOUTQ, &n), ==, 0);
	return n;
}

static inline uint8_t tcp_state_of(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	g_assert_cmpint(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), ==, 0);
	return info.tcpi_state;
}

static inline int int_option(int fd, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);

	g_assert_cmpint(getsockopt(fd, SOL_SOCKET, option, &value, &len), ==, 0);
	return value;
}

/* Free bytes of the send buffer, and *ret_used what its queue is charged for. */
static inline int send_room(int fd, int *ret_used)
{
	uint32_t mem[SK_MEMINFO_VARS];
	socklen_t len = sizeof(mem);

	g_assert_cmpint(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len), ==, 0);
	*ret_used = (int)mem[SK_MEMINFO_WMEM_QUEUED];
	return (int)mem[SK_MEMINFO_SNDBUF] - *ret_used;
}

static inline void close_with_rst(int fd)
{
	struct linger now = { 1, 0 };

	g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), ==, 0);
	close(fd);
}

static inline void say(int fd, const char *text)
{
	g_assert_cmpint(send(fd, text, strlen(text), MSG_NOSIGNAL), ==, (ssize_t)strlen(text));
}

static inline size_t drain(int fd)
{
	static char sink[1 << 20];
	size_t total = 0;
	ssize_t n;

	while ((n = recv(fd, sink, sizeof(sink), MSG_DONTWAIT)) > 0)
		total += (size_t)n;
	return total;
}

/* ------------------------------------------------------------------ host_tcp in a loop */

static inline void pair_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct pair *p = (struct pair *)((char *)w - offsetof(struct pair, watch));

	p->events++;
	p->seen |= events;
	if (host_tcp_event(&p->h, events))
		p->failed = true;
}

static inline void pair_begin(struct pair *p, const struct flavour *f)
{
	int fd;

	*p = (struct pair){ .ctx = g_main_context_new(), .pool = { .rcvbuf_budget = PAIR_BUDGET, .no_peek_off = f->copying } };
	p->pool.loop = loop_new(p->ctx, NULL);
	g_assert_nonnull(p->pool.loop);
	fd = pair_sockets(f->v6, &p->peer);
	p->watch.fn = pair_event;
	g_assert_cmpint(loop_watch_add(p->pool.loop, &p->watch, fd, (uint32_t)HOST_TCP_EVENTS), ==, 0);
	host_tcp_init(&p->h, &p->pool, fd, &p->watch);
	p->up = &p->h.up;
}

static inline void pair_end(struct pair *p)
{
	host_tcp_close(&p->h);
	g_assert_cmpuint(p->pool.rcvbuf_budget, ==, PAIR_BUDGET);
	if (p->peer >= 0)
		close(p->peer);
	loop_free(p->pool.loop);
	g_main_context_unref(p->ctx);
}

static inline ssize_t peek(struct pair *p, uint32_t off, void *buf, size_t len)
{
	struct iovec iov = { buf, len };

	return p->up->ops->peek(p->up, off, &iov, 1);
}

/* Peeks one piece and compares it. */
static inline void peek_is(struct pair *p, uint32_t off, size_t len, const char *want)
{
	char buf[64] = "";

	g_assert_cmpint(peek(p, off, buf, len), ==, (ssize_t)strlen(want));
	g_assert_cmpstr(buf, ==, want);
}

static inline void peek_fails(struct pair *p, uint32_t off, ssize_t want)
{
	char buf[64];

	g_assert_cmpint(peek(p, off, buf, sizeof(buf)), ==, want);
}

static inline void consume(struct pair *p, uint32_t n)
{
	p->up->ops->consume(p->up, n);
}

static inline ssize_t put(struct pair *p, const void *data, size_t len)
{
	struct iovec iov = { (void *)data, len };

	return p->up->ops->write(p->up, &iov, 1);
}

static inline uint32_t space(struct pair *p)
{
	return p->up->ops->space(p->up);
}

/* The peer says text, and the loop has told us. */
static inline void hear(struct pair *p, const char *text)
{
	int have = queued(p->h.fd);

	say(p->peer, text);
	AWAIT(queued(p->h.fd) == have + (int)strlen(text));
	AWAIT_TURN(p, p->h.can_read);
}

/* Nothing happens any more: no turn of the loop, no event. */
static inline void is_quiet(struct pair *p)
{
	unsigned events = 0;
	uint64_t turns = 0;

	/* on a busy machine an ACK of the loopback may be late; who spins never comes to rest */
	for (int i = 0; i < QUIET_TRIES && (!i || p->events != events || loop_turns(p->pool.loop) != turns); i++) {
		events = p->events;
		turns = loop_turns(p->pool.loop);
		for (int k = 0; k < QUIET_TURNS; k++)
			turn(p);
	}
	g_assert_cmpuint(p->events, ==, events);
	g_assert_cmpuint(loop_turns(p->pool.loop), ==, turns);
}

/* Adds a case once for each flavour; prefix: "/host_tcp". */
static inline void add_flavours(const char *prefix, const char *name, GTestDataFunc fn)
{
	static const struct flavour flavours[] = {
		{ "v4", false, false }, { "v6", true, false }, { "v4-copying", false, true }, { "v6-copying", true, true },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(flavours); i++) {
		g_autofree char *path = g_strdup_printf("%s/%s/%s", prefix, name, flavours[i].name);

		g_test_add_data_func(path, &flavours[i], fn);
	}
}

#endif
