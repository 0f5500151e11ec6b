/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traffic_client.c - the guest side of every row: streams, exchanges on kept
 * and on fresh connections, and connections that say nothing.
 */
#include "tests/bench/traffic.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t *samples;	/* ns */
static size_t sample_count;

static struct sockaddr_storage target;
static socklen_t target_len;
static int stood;		/* connections that finished opening */

void find_target(void)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found;
	char port[8];
	int err;

	snprintf(port, sizeof(port), "%d", opt.port);
	err = getaddrinfo(opt.host, port, &hints, &found);
	if (err) {
		fprintf(stderr, "bench-traffic: %s: %s\n", opt.host,
			gai_strerror(err));
		exit(1);
	}
	memcpy(&target, found->ai_addr, found->ai_addrlen);
	target_len = found->ai_addrlen;
	freeaddrinfo(found);
}

int connect_target(int fd)
{
	return connect(fd, (struct sockaddr *)&target, target_len);
}

static struct conn *client_open(char kind)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		die("calloc");
	c->kind = kind;
	c->start = now_ns();
	c->fd = socket(target.ss_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		note_failure("socket");
		free(c);
		return NULL;
	}
	conn_tune(c);
	if (connect(c->fd, (struct sockaddr *)&target, target_len) &&
	    errno != EINPROGRESS) {
		note_failure("connect");
		close(c->fd);
		free(c);
		return NULL;
	}
	watch(c->fd, EPOLLOUT, c);
	return c;
}

static void client_fail(struct conn *c, const char *what)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (!errno) {
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		errno = err ? err : ECONNRESET;
	}
	note_failure(what);
	conn_close(c);
}

static void note_cc(int fd)
{
	socklen_t len = sizeof(used_cc);

	getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, used_cc, &len);
	used_cc[sizeof(used_cc) - 1] = 0;
}

/* The handshake is over (or failed): name the kind. */
static bool client_opened(struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err || send(c->fd, &c->kind, 1, MSG_NOSIGNAL) != 1) {
		if (err)
			errno = err;
		client_fail(c, "connect");
		return false;
	}
	c->up = true;
	if (!stood++)
		note_cc(c->fd);
	rewatch(c, c->kind == 'T' ? EPOLLOUT | EPOLLIN : EPOLLIN);
	return true;
}

void samples_begin(void)
{
	samples = calloc(SAMPLES, sizeof(*samples));
	if (!samples)
		die("calloc");
}

void sample(int64_t ns)
{
	exchanges++;
	if (sample_count < SAMPLES)
		samples[sample_count++] = ns > UINT32_MAX ? UINT32_MAX : ns;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile(double p)
{
	if (!sample_count)
		return 0;
	return samples[(size_t)(p * (sample_count - 1))] / 1000.0;
}

static void print_ready(int n)
{
	printf("{\"ready\":%d}\n", n);
	fflush(stdout);
}

static int remaining_ms(int64_t end)
{
	int64_t left;

	if (!end)
		return -1;
	left = (end - now_ns() + 999999) / 1000000;
	return left > 0 ? left : 0;
}

/* ---- tx and rx ---- */

static uint64_t receipt_bytes, receipt_ns;
static int receipts;

static void tx_half_close(struct conn *c)
{
	shutdown(c->fd, SHUT_WR);
	c->closed_half = true;
	rewatch(c, EPOLLIN);
}

static void tx_receipt(struct conn *c)
{
	struct receipt r;
	ssize_t n = recv(c->fd, &r, sizeof(r), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n == sizeof(r)) {
		receipts++;
		receipt_bytes += r.bytes;
		if (r.ns > receipt_ns)
			receipt_ns = r.ns;
		conn_close(c);
		return;
	}
	if (n >= 0)
		errno = ECONNRESET;
	client_fail(c, "tx");
}

static void stream_event(struct conn *c, uint32_t events, int64_t now)
{
	if (c->fd < 0)
		return;
	if (!c->up) {
		client_opened(c);
		return;
	}
	if (c->kind == 'R') {
		errno = 0;
		if (stream_read(c, now))
			client_fail(c, "rx");
		else if (opt.bytes && c->bytes >= opt.bytes)
			conn_close(c);
		return;
	}
	if (events & (EPOLLIN | EPOLLERR)) {
		tx_receipt(c);
		return;
	}
	if (events & EPOLLOUT) {
		errno = 0;
		if (stream_write(c))
			client_fail(c, "tx");
		else if (opt.bytes && c->bytes >= opt.bytes)
			tx_half_close(c);
	}
}

static int turn(int64_t end, void (*fn)(struct conn *, uint32_t, int64_t))
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(ep, ev, EVENTS, remaining_ms(end));
	int64_t now = now_ns();

	for (int i = 0; i < n; i++) {
		if (!ev[i].data.ptr)
			read_stdin();
		else
			fn(ev[i].data.ptr, ev[i].events, now);
	}
	return n;
}

static bool streams_going(struct conn **all)
{
	for (int i = 0; i < opt.count; i++)
		if (all[i] && all[i]->fd >= 0)
			return true;
	return false;
}

static void streams_finish(struct conn **all)
{
	int64_t end = now_ns() + RECEIPT_MS * 1000000LL;

	for (int i = 0; i < opt.count; i++)
		if (all[i] && all[i]->fd >= 0 && !all[i]->closed_half)
			tx_half_close(all[i]);
	while (streams_going(all) && now_ns() < end)
		turn(end, stream_event);
}

int run_stream(char kind)
{
	struct conn **all = calloc(opt.count, sizeof(*all));
	uint64_t before = 0, counted;
	int64_t begin, end = 0, base = 0;
	double seconds;
	bool ready = false;

	watch_stdin();
	for (int i = 0; i < opt.count; i++)
		all[i] = client_open(kind);
	begin = base = now_ns();
	if (opt.duration)
		end = begin + opt.warmup + opt.duration;
	while (!stdin_over && streams_going(all) && (!end || now_ns() < end)) {
		turn(end, stream_event);
		if (!ready && stood == opt.count) {
			print_ready(stood);
			ready = true;
		}
		if (opt.warmup && base == begin && now_ns() - begin > opt.warmup) {
			base = now_ns();
			before = bytes_in;
		}
	}
	seconds = (now_ns() - base) / 1e9;
	counted = bytes_in - before;
	if (kind == 'T' && !stdin_over) {
		streams_finish(all);
		counted = receipt_bytes;
		seconds = receipt_ns / 1e9;
	}
	printf("{\"mode\":\"%s\",\"streams\":%d,\"bytes\":%" PRIu64
	       ",\"seconds\":%.6f,\"gbit\":%.3f,\"failed\":%" PRIu64
	       ",\"error\":\"%s\",\"cc\":\"%s\"}\n",
	       kind == 'T' ? "tx" : "rx", stood, counted, seconds,
	       seconds > 0 ? counted * 8 / seconds / 1e9 : 0, failed, last_error,
	       used_cc);
	return failed || !stood;
}

/* ---- rr and crr ---- */

static int64_t measure_from;	/* samples before this are warm-up */
static int64_t crr_backoff;	/* after a failure: no new connection before */
static int crr_open;
static char crr_kind;

static void rr_event(struct conn *c, uint32_t events, int64_t now)
{
	char byte = 'E';

	(void)events;
	if (c->fd < 0)
		return;
	if (!c->up) {
		if (client_opened(c))
			c->start = now;
		return;
	}
	errno = 0;
	if (recv(c->fd, &byte, 1, MSG_DONTWAIT) != 1) {
		if (errno != EAGAIN)
			client_fail(c, "rr");
		return;
	}
	now = now_ns();
	if (c->receipted && c->start >= measure_from)
		sample(now - c->start);
	c->receipted = true;
	c->start = now;
	if (send(c->fd, &byte, 1, MSG_NOSIGNAL) != 1)
		client_fail(c, "rr");
}

/*
 * A client that closes first is left with the connection in TIME_WAIT, and
 * without timestamps its port is taken for a minute.  Several server ports
 * make one such port serve several times.
 */
static void crr_next_port(void)
{
	static int turn;
	in_port_t port = htons(opt.port + turn++ % opt.ports);

	if (target.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&target)->sin6_port = port;
	else
		((struct sockaddr_in *)&target)->sin_port = port;
}

static void crr_again(void)
{
	crr_next_port();
	if (client_open(crr_kind))
		crr_open++;
	else
		crr_backoff = now_ns() + 1000000;
}

static void crr_broke(struct conn *c)
{
	crr_open--;
	crr_backoff = now_ns() + 1000000;
	if (c)
		client_fail(c, "crr");
}

/* The exchange is over with the reply (crr) or with the end after it (crrs). */
static void crr_event(struct conn *c, uint32_t events, int64_t now)
{
	char byte;
	ssize_t n;

	(void)events;
	(void)now;
	if (c->fd < 0)
		return;
	if (!c->up) {
		if (!client_opened(c))
			crr_broke(NULL);
		return;
	}
	errno = 0;
	n = recv(c->fd, &byte, 1, MSG_DONTWAIT);
	if (n == 1 && c->kind == 'S' && !c->receipted) {
		c->receipted = true;
		n = recv(c->fd, &byte, 1, MSG_DONTWAIT);
	}
	if (n < 0 && errno == EAGAIN)
		return;
	if (n != (c->receipted ? 0 : 1)) {
		crr_broke(c);
		return;
	}
	crr_open--;
	conn_close(c);
	if (c->start >= measure_from)
		sample(now_ns() - c->start);
	crr_again();
}

void print_latency(const char *mode, double seconds)
{
	qsort(samples, sample_count, sizeof(*samples), by_value);
	printf("{\"mode\":\"%s\",\"inflight\":%d,\"transactions\":%" PRIu64
	       ",\"seconds\":%.6f,\"per_s\":%.1f,\"p50_us\":%.2f,\"p99_us\":%.2f"
	       ",\"failed\":%" PRIu64 ",\"error\":\"%s\"}\n",
	       mode, opt.count, exchanges, seconds, exchanges / seconds,
	       percentile(0.5), percentile(0.99), failed, last_error);
}

int run_latency(char kind)
{
	bool crr = kind != 'E';
	int64_t begin = now_ns(), end;

	if (!opt.duration)
		opt.duration = 1000000000LL;
	samples_begin();
	crr_kind = kind;
	measure_from = begin + opt.warmup;
	end = measure_from + opt.duration;
	watch_stdin();
	for (int i = 0; !crr && i < opt.count; i++)
		client_open('E');
	print_ready(opt.count);
	while (!stdin_over && now_ns() < end) {
		while (crr && crr_open < opt.count && now_ns() >= crr_backoff)
			crr_again();
		turn(crr && crr_open < opt.count ? now_ns() + 1000000 : end,
		     crr ? crr_event : rr_event);
		bury();
	}
	print_latency(!crr ? "rr" : kind == 'C' ? "crr" : "crrs", opt.duration / 1e9);
	return !exchanges;
}

/* ---- idle ---- */

static int idle_pending, idle_standing;

static void idle_event(struct conn *c, uint32_t events, int64_t now)
{
	char byte;

	(void)events;
	(void)now;
	if (c->fd < 0)
		return;
	if (!c->up) {
		if (!client_opened(c))
			idle_pending--;
		return;
	}
	errno = 0;
	if (recv(c->fd, &byte, 1, MSG_DONTWAIT) == 1) {
		if (!c->receipted) {
			idle_pending--;
			idle_standing++;
		}
		c->receipted = true;
		return;
	}
	if (errno == EAGAIN)
		return;
	if (c->receipted)
		idle_standing--;
	else
		idle_pending--;
	client_fail(c, "idle");
}

int run_idle(void)
{
	int64_t begin = now_ns(), end = begin + opt.duration, moved = begin;
	int opened = 0, stood_then = 0;

	watch_stdin();
	while (!stdin_over && idle_standing + (int)failed < opt.count &&
	       (!opt.duration || now_ns() < end)) {
		if (idle_standing != stood_then) {
			stood_then = idle_standing;
			moved = now_ns();
		} else if (now_ns() - moved > IDLE_STALL_MS * 1000000LL) {
			break;
		}
		while (opened < opt.count && idle_pending < OPEN_AHEAD) {
			opened++;
			if (client_open('I'))
				idle_pending++;
		}
		turn(now_ns() + 100000000, idle_event);
		bury();
	}
	printf("{\"ready\":%d,\"seconds\":%.3f,\"failed\":%" PRIu64
	       ",\"error\":\"%s\"}\n", idle_standing, (moved - begin) / 1e9,
	       failed, last_error);
	fflush(stdout);
	while (!stdin_over)
		turn(0, idle_event);
	printf("{\"mode\":\"idle\",\"held\":%d,\"failed\":%" PRIu64 "}\n",
	       idle_standing, failed);
	return 0;
}
