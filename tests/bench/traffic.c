/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traffic.c - the load of the bench: one server, and clients of five kinds.
 *
 * What it is: client and server of every timed row, on plain TCP sockets and
 * one epoll instance.  It knows nothing of gateways; bench.py puts one between
 * the two ends.  What it is not: a general tool, each mode does what one row
 * needs and nothing more.
 *
 * The first byte of a connection names its kind, so that one server port
 * carries all of them:
 *
 *   'T'  tx    client sends, server reads and counts
 *   'R'  rx    server sends, client reads and counts
 *   'E'  rr    every byte comes back, one in flight per connection
 *   'C'  crr   one byte, one byte back, then the client closes
 *   'S'  crrs  the same, but the server closes
 *   'I'  idle  one byte back as a receipt, then silence
 *
 * Bytes are counted where they are received.  A receiving process (the server
 * for tx, the client for rx) answers the line "mark" on stdin with one line of
 * JSON: its clock and its counters; two marks give a rate over a window in
 * which nothing starts or ends.  A tx client also asks for a receipt: it closes
 * its sending side at the end and the server answers with the bytes it counted
 * and the time it took for them.
 *
 * Every client prints {"ready":N} when its connections stand, and one line of
 * JSON at the end.  The end of stdin ends any of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	CHUNK = 128 * 1024,	/* bytes per read or write of a stream */
	EVENTS = 256,		/* epoll batch */
	STREAM_STEPS = 8,	/* chunks per stream and turn, so all streams move */
	PORTS_MAX = 16,		/* ports of one server */
	OPEN_AHEAD = 64,	/* idle: connections being opened at once */
	SAMPLES = 1 << 22,	/* latency samples kept, the rest is only counted */
	IDLE_STALL_MS = 5000,	/* idle: give up when no connection came for so long */
	RECEIPT_MS = 5000,	/* tx: how long to wait for the server's receipt */
};

struct conn {
	int fd;
	char kind;		/* one of the letters above, 0 = not named yet */
	bool up;		/* client: connect() has finished */
	bool receipted;		/* client: idle or rr receipt seen */
	bool closed_half;	/* tx client: SHUT_WR done */
	int64_t start;		/* when the exchange in flight began, ns */
	int64_t last;		/* server, tx: last byte, ns */
	uint64_t bytes;		/* counted on this connection */
	struct conn *next_dead;	/* freed at the end of the turn */
};

struct receipt {
	uint64_t bytes;
	uint64_t ns;
};

struct options {
	const char *host;
	const char *cc;		/* congestion control to ask for, or NULL */
	int port;
	int ports;		/* that many from there on; crr uses all in turn */
	int count;		/* streams, connections or exchanges in flight */
	int64_t warmup;		/* ns */
	int64_t duration;	/* ns, 0 = until stdin ends */
	uint64_t bytes;		/* streams: stop after that many per stream */
};

static struct options opt = { .port = 5301, .ports = 1, .count = 1 };
static int ep = -1;
static char *chunk;
static uint64_t bytes_in, bytes_out, accepted, failed;
static struct conn *dead;
static char last_error[128] = "";
static bool stdin_over;
static char used_cc[16] = "?";

static uint32_t *samples;	/* ns */
static size_t sample_count;
static uint64_t exchanges;

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "bench-traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void note_failure(const char *what)
{
	failed++;
	snprintf(last_error, sizeof(last_error), "%s: %s", what, strerror(errno));
}

static void raise_descriptors(void)
{
	struct rlimit rl;

	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static bool same_namespace(pid_t pid, const char *kind)
{
	struct stat mine, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	if (stat(path, &mine))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	return !stat(path, &theirs) && mine.st_ino == theirs.st_ino;
}

static int open_namespace(pid_t pid, const char *kind)
{
	char path[64];
	int fd;

	if (same_namespace(pid, kind))
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

/* Both are opened first: after the first setns() /proc may be out of reach. */
static void enter_namespaces(pid_t pid)
{
	int user = open_namespace(pid, "user");
	int net = open_namespace(pid, "net");

	if (user >= 0) {
		if (setns(user, CLONE_NEWUSER))
			die("setns user");
		if (setresgid(0, 0, 0) || setresuid(0, 0, 0))
			die("become root of the namespace");
		close(user);
	}
	if (net >= 0) {
		if (setns(net, CLONE_NEWNET))
			die("setns net");
		close(net);
	}
}

static void watch(int fd, uint32_t events, void *what)
{
	struct epoll_event e = { .events = events, .data.ptr = what };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
		die("epoll_ctl");
}

static void rewatch(struct conn *c, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

static void conn_tune(struct conn *c)
{
	int one = 1;

	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (opt.cc)
		setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, opt.cc,
			   strlen(opt.cc));
}

/* Events of this turn may still point here: free at the end of the turn. */
static void conn_close(struct conn *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	c->fd = -1;
	c->next_dead = dead;
	dead = c;
}

static void bury(void)
{
	while (dead) {
		struct conn *c = dead;

		dead = c->next_dead;
		free(c);
	}
}

static void print_mark(void)
{
	printf("{\"t\":%" PRId64 ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64
	       ",\"accepted\":%" PRIu64 ",\"exchanges\":%" PRIu64
	       ",\"failed\":%" PRIu64 ",\"cc\":\"%s\"}\n",
	       now_ns(), bytes_in, bytes_out, accepted, exchanges, failed, used_cc);
	fflush(stdout);
}

static void read_stdin(void)
{
	char line[256];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line));

	if (n <= 0) {
		stdin_over = true;
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		if (line[i] == '\n')
			print_mark();
}

/* Regular files and /dev/null cannot be polled: then only time ends the run. */
static void watch_stdin(void)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, STDIN_FILENO, &e) && errno != EPERM)
		die("epoll_ctl stdin");
}

/* ---- streams, both ends ---- */

/* True if the other side has closed or the connection failed. */
static bool stream_read(struct conn *c, int64_t now)
{
	for (int i = 0; i < STREAM_STEPS; i++) {
		ssize_t n = recv(c->fd, chunk, CHUNK, MSG_DONTWAIT);

		if (n < 0)
			return errno != EAGAIN;
		if (n == 0)
			return true;
		c->bytes += n;
		c->last = now;
		bytes_in += n;
		if (n < CHUNK)
			break;
	}
	return false;
}

static bool stream_write(struct conn *c)
{
	for (int i = 0; i < STREAM_STEPS; i++) {
		size_t want = CHUNK;
		ssize_t n;

		if (opt.bytes && opt.bytes - c->bytes < want)
			want = opt.bytes - c->bytes;
		if (!want)
			return false;
		n = send(c->fd, chunk, want, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno != EAGAIN;
		c->bytes += n;
		bytes_out += n;
		if ((size_t)n < want)
			break;
	}
	return false;
}

/* ---- server ---- */

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

static int run_server(void)
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

/* ---- clients ---- */

static struct sockaddr_storage target;
static socklen_t target_len;
static int stood;		/* connections that finished opening */

static void find_target(void)
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

static void sample(int64_t ns)
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

static int run_stream(char kind)
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

static void print_latency(const char *mode, double seconds)
{
	qsort(samples, sample_count, sizeof(*samples), by_value);
	printf("{\"mode\":\"%s\",\"inflight\":%d,\"transactions\":%" PRIu64
	       ",\"seconds\":%.6f,\"per_s\":%.1f,\"p50_us\":%.2f,\"p99_us\":%.2f"
	       ",\"failed\":%" PRIu64 ",\"error\":\"%s\"}\n",
	       mode, opt.count, exchanges, seconds, exchanges / seconds,
	       percentile(0.5), percentile(0.99), failed, last_error);
}

static int run_latency(char kind)
{
	bool crr = kind != 'E';
	int64_t begin = now_ns(), end;

	if (!opt.duration)
		opt.duration = 1000000000LL;
	samples = calloc(SAMPLES, sizeof(*samples));
	if (!samples)
		die("calloc");
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

static int run_idle(void)
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

/* ---- small helpers for bench.py ---- */

/* Keep a namespace alive.  The token lets bench.py find this process. */
static _Noreturn void run_hold(bool fresh_user, bool fresh_net)
{
	if (fresh_user && unshare(CLONE_NEWUSER))
		die("unshare user");
	if (fresh_net && unshare(CLONE_NEWNET))
		die("unshare net");
	printf("{\"ready\":1}\n");
	fflush(stdout);
	for (;;)
		pause();
}

static void usage(void)
{
	fputs("usage: bench-traffic [OPTIONS] MODE\n"
	      "modes: server | tx | rx | rr | crr | crrs | idle   load\n"
	      "       hold TOKEN      keep the namespaces of this process alive\n"
	      "       exec COMMAND... run a command in the namespaces given\n"
	      "  -N PID   enter the user and network namespace of PID first\n"
	      "  -c CPU   run on this CPU only\n"
	      "  -h ADDR  server address    -p PORT  server port\n"
	      "  -k N     that many ports: the server listens, crr rotates\n"
	      "  -n N     streams, connections or exchanges in flight\n"
	      "  -w MS    warm-up, not counted   -t MS  time measured\n"
	      "  -b BYTES per stream, instead of a time\n"
	      "  -C NAME  congestion control\n"
	      "  -u, -U   hold: in a new network, user namespace\n", stderr);
	exit(2);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static int run_load(const char *mode)
{
	ep = epoll_create1(EPOLL_CLOEXEC);
	chunk = malloc(CHUNK);
	if (ep < 0 || !chunk)
		die("start");
	memset(chunk, 'x', CHUNK);
	if (!strcmp(mode, "server"))
		return run_server();
	if (!opt.host)
		usage();
	find_target();
	if (!strcmp(mode, "tx"))
		return run_stream('T');
	if (!strcmp(mode, "rx"))
		return run_stream('R');
	if (!strcmp(mode, "rr"))
		return run_latency('E');
	if (!strcmp(mode, "crr"))
		return run_latency('C');
	if (!strcmp(mode, "crrs"))
		return run_latency('S');
	if (!strcmp(mode, "idle"))
		return run_idle();
	usage();
	return 2;
}

int main(int argc, char **argv)
{
	bool fresh_net = false, fresh_user = false;
	int o;

	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	while ((o = getopt(argc, argv, "+N:c:h:p:k:n:w:t:b:C:uU")) != -1) {
		switch (o) {
		case 'N': enter_namespaces(atoi(optarg)); break;
		case 'c': pin(atoi(optarg)); break;
		case 'h': opt.host = optarg; break;
		case 'p': opt.port = atoi(optarg); break;
		case 'k': opt.ports = atoi(optarg); break;
		case 'n': opt.count = atoi(optarg); break;
		case 'w': opt.warmup = atoi(optarg) * 1000000LL; break;
		case 't': opt.duration = atoi(optarg) * 1000000LL; break;
		case 'b': opt.bytes = strtoull(optarg, NULL, 10); break;
		case 'C': opt.cc = optarg; break;
		case 'u': fresh_net = true; break;
		case 'U': fresh_user = true; break;
		default: usage();
		}
	}
	if (optind >= argc || opt.ports < 1 || opt.ports > PORTS_MAX ||
	    opt.count < 1)
		usage();
	if (!strcmp(argv[optind], "hold"))
		run_hold(fresh_user, fresh_net);
	if (!strcmp(argv[optind], "exec") && argv[optind + 1]) {
		execvp(argv[optind + 1], argv + optind + 1);
		die(argv[optind + 1]);
	}
	return run_load(argv[optind]);
}
