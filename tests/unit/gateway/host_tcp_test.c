/* host_tcp_test.c - the upstream over real sockets on the loopback: what the kernel does (fact), what host_tcp makes of it (cure).
 *
 * Each trap has both halves: when a kernel stops behaving as its fact says, the cure may go; when the cure goes, its half fails.
 * Every cure runs over IPv4 and IPv6, with SO_PEEK_OFF and with the copying fallback (trap 7).
 * Below: host_tcp_pair.h.
 */
#include "tests/unit/gateway/host_tcp_pair.h"

static uint8_t block[1 << 20];

/* ------------------------------------------------------------------ 1: EPOLLIN stays on */

static void level_fact(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	int peer, fd = pair_sockets(false, &peer), ep = epoll_create1(EPOLL_CLOEXEC), wakes = 0;
	char buf[16];

	g_assert_cmpint(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), ==, 0);
	say(peer, "held");
	AWAIT(queued(fd) == 4);
	for (int i = 0; i < QUIET_TURNS; i++) {
		g_assert_cmpint(recv(fd, buf, sizeof(buf), MSG_PEEK), ==, 4);
		wakes += epoll_wait(ep, &e, 1, 0);
	}
	g_assert_cmpint(wakes, ==, QUIET_TURNS); /* one wake-up each for nothing new */
	close(ep);
	close(fd);
	close(peer);
}

static void level_cure(const void *arg)
{
	struct pair p;

	pair_begin(&p, arg);
	hear(&p, "held");
	peek_is(&p, 0, 16, "held");
	peek_fails(&p, 4, -EAGAIN);
	is_quiet(&p);
	hear(&p, "more");
	peek_is(&p, 4, 16, "more");
	peek_fails(&p, 8, -EAGAIN);
	is_quiet(&p);
	pair_end(&p);
}

/* ------------------------------------------------------------------ 2: EPOLLOUT never comes */

/* Stops where space() would have: before the kernel has said EAGAIN, with less than a third free. */
static void edge_fact(void)
{
	struct epoll_event e = { .events = EPOLLOUT | EPOLLET };
	int peer, fd = pair_sockets(false, &peer), ep = epoll_create1(EPOLL_CLOEXEC), used;

	g_assert_cmpint(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), ==, 0);
	g_assert_cmpint(epoll_wait(ep, &e, 1, 0), ==, 1);
	while (send_room(fd, &used) >= used / 2)
		g_assert_cmpint(send(fd, block, 4096, MSG_NOSIGNAL), ==, 4096);
	while (epoll_wait(ep, &e, 1, 0) == 1)
		;
	AWAIT((drain(peer), unacked(fd) == 0));
	g_assert_cmpint(send_room(fd, &used), >, used / 2);
	g_assert_cmpint(epoll_wait(ep, &e, 1, 50), ==, 0); /* all is free and nobody says so */
	close(ep);
	close(fd);
	close(peer);
}

static gboolean too_long(void *arg)
{
	g_error("the loop slept although the peer has read");
	return G_SOURCE_REMOVE;
}

/* Fills up to what space() says; no write() is ever short. */
static size_t fill(struct pair *p)
{
	size_t total = 0;
	uint32_t n;

	while ((n = MIN(space(p), 16384u)) >= 1448) {
		g_assert_cmpint(put(p, block, n), ==, (ssize_t)n);
		total += n;
	}
	return total;
}

static void edge_cure(const void *arg)
{
	GSource *watchdog = g_timeout_source_new_seconds(AWAIT_S);
	struct pair p;
	size_t sent, got = 0;
	unsigned before;

	pair_begin(&p, arg);
	g_source_set_callback(watchdog, too_long, NULL, NULL);
	g_source_attach(watchdog, p.ctx);
	for (int round = 0; round < 5; round++) {
		sent = fill(&p);
		g_assert_cmpuint(sent, >, 0);
		is_quiet(&p);
		before = p.events;
		g_assert_true(p.h.armed);
		for (got = 0; got < sent;)
			got += drain(p.peer);
		while (p.h.armed) /* sleeps: only the event ends it */
			g_main_context_iteration(p.ctx, TRUE);
		AWAIT(unacked(p.h.fd) == 0);
		g_assert_cmpuint(space(&p), >, 1448);
		is_quiet(&p);
		g_assert_cmpuint(p.events - before, <=, 4); /* asked once, told once; nothing spins */
	}
	g_source_destroy(watchdog);
	g_source_unref(watchdog);
	pair_end(&p);
}

/* ------------------------------------------------------------------ 3: the receive buffer does not grow */

/* The peer sends what it can, we peek and hold it: bytes held at the end of `patience` rounds without progress. */
static size_t hold(struct pair *p, size_t enough, int patience)
{
	int64_t limit = g_get_monotonic_time() + AWAIT_S * G_USEC_PER_SEC;
	uint32_t held = 0;

	for (int idle = 0; idle < patience && held < enough && g_get_monotonic_time() < limit; idle++) {
		ssize_t n;

		send(p->peer, block, sizeof(block), MSG_NOSIGNAL);
		turn(p);
		while ((n = peek(p, held, block, sizeof(block))) > 0) {
			held += (uint32_t)n;
			idle = 0;
		}
		g_assert_cmpint(n, ==, -EAGAIN);
		poll(NULL, 0, 1);
	}
	return held;
}

static size_t hold_without_raising(const struct flavour *f)
{
	struct pair p;
	size_t held;
	int size;

	pair_begin(&p, f);
	p.pool.no_raise = true;
	size = int_option(p.h.fd, SO_RCVBUF);
	held = hold(&p, SIZE_MAX, 300);
	g_assert_cmpint(int_option(p.h.fd, SO_RCVBUF), ==, size); /* the fact */
	g_assert_cmpuint(p.h.raised, ==, 0);
	pair_end(&p);
	return held;
}

static void raise_cure(const void *arg)
{
	size_t naive = hold_without_raising(arg), held;
	struct pair p;

	g_assert_cmpuint(naive, >, 0);
	pair_begin(&p, arg);
	held = hold(&p, 4 * naive, G_MAXINT);
	g_test_message("held without raising %zu, with %zu; buffer %d", naive, held, int_option(p.h.fd, SO_RCVBUF));
	g_assert_cmpuint(held, >=, 4 * naive);
	g_assert_cmpuint(p.h.raised, >, 0);
	g_assert_cmpuint(p.pool.rcvbuf_budget, ==, PAIR_BUDGET - p.h.raised);
	pair_end(&p); /* and looks that the budget is whole again */
}

/* A budget for one doubling and a bit: one is what happens, and it comes back. */
static void raise_budget(const void *arg)
{
	struct pair p;
	int size;

	pair_begin(&p, arg);
	size = int_option(p.h.fd, SO_RCVBUF);
	p.pool.rcvbuf_budget = (uint64_t)size + 4096;
	hold(&p, SIZE_MAX, 500);
	g_assert_cmpuint(p.h.raised, >, size / 2);
	g_assert_cmpuint(p.pool.rcvbuf_budget + p.h.raised, ==, (uint64_t)size + 4096);
	g_assert_cmpint(int_option(p.h.fd, SO_RCVBUF), <=, 3 * size);
	host_tcp_close(&p.h);
	g_assert_cmpuint(p.pool.rcvbuf_budget, ==, (uint64_t)size + 4096);
	p.pool.rcvbuf_budget = PAIR_BUDGET;
	pair_end(&p);
}

/* What comes after the peer's window was shut and raised still comes, in order. */
static void raise_intact(const void *arg)
{
	struct pair p;
	uint32_t sent = 0, got = 0;

	pair_begin(&p, arg);
	while (got < 8u << 20) {
		uint8_t out[4096], in[65536];
		int64_t limit = g_get_monotonic_time() + AWAIT_S * G_USEC_PER_SEC;
		uint32_t held = 0;
		ssize_t n;

		do {
			for (size_t i = 0; i < sizeof(out); i++)
				out[i] = (uint8_t)((sent + i) * 2654435761u >> 24);
			n = send(p.peer, out, sizeof(out), MSG_NOSIGNAL);
			sent += n > 0 ? (uint32_t)n : 0;
			turn(&p);
			g_assert_cmpint(g_get_monotonic_time(), <, limit);
		} while (n > 0);
		while ((n = peek(&p, held, in, sizeof(in))) > 0) {
			for (ssize_t i = 0; i < n; i++)
				g_assert_cmpuint(in[i], ==, (uint8_t)((got + held + (uint32_t)i) * 2654435761u >> 24));
			held += (uint32_t)n;
		}
		consume(&p, held);
		got += held;
	}
	pair_end(&p);
}

/* ------------------------------------------------------------------ 4: an error is told once */

static int reset_socket(int *ret_fd, const char *first)
{
	int peer, fd = pair_sockets(false, &peer);

	say(peer, first);
	AWAIT(queued(fd) == (int)strlen(first));
	close_with_rst(peer);
	AWAIT(tcp_state_of(fd) == TCP_CLOSE);
	*ret_fd = fd;
	return fd;
}

static void error_fact(void)
{
	char buf[16];
	int fd;

	reset_socket(&fd, "left");
	g_assert_cmpint(recv(fd, buf, sizeof(buf), MSG_PEEK), ==, 4); /* stays readable */
	g_assert_cmpint(recv(fd, buf, sizeof(buf), 0), ==, 4);
	g_assert_cmpint(recv(fd, buf, sizeof(buf), MSG_PEEK), ==, -1);
	g_assert_cmpint(errno, ==, ECONNRESET);
	for (int i = 0; i < 3; i++)
		g_assert_cmpint(recv(fd, buf, sizeof(buf), MSG_PEEK), ==, 0); /* looks like EOF */
	close(fd);

	reset_socket(&fd, "left");
	g_assert_cmpint(int_option(fd, SO_ERROR), ==, ECONNRESET);
	g_assert_cmpint(recv(fd, buf, sizeof(buf), 0), ==, 4);
	g_assert_cmpint(recv(fd, buf, sizeof(buf), 0), ==, 0); /* at once */
	close(fd);

	reset_socket(&fd, "left");
	g_assert_cmpint(send(fd, "x", 1, MSG_NOSIGNAL), ==, -1);
	g_assert_cmpint(recv(fd, buf, sizeof(buf), 0), ==, 4);
	g_assert_cmpint(recv(fd, buf, sizeof(buf), 0), ==, 0);
	close(fd);
}

static void reset_pair(struct pair *p, const struct flavour *f)
{
	pair_begin(p, f);
	hear(p, "left");
	peek_is(p, 0, 4, "left"); /* all the room is used: there may be more */
	close_with_rst(p->peer);
	p->peer = -1;
	AWAIT(tcp_state_of(p->h.fd) == TCP_CLOSE);
}

/* From now on every call knows. */
static void is_latched(struct pair *p)
{
	int err = p->h.err;

	g_assert_true(err == -ECONNRESET || err == -EPIPE);
	for (int i = 0; i < 3; i++) {
		peek_fails(p, 0, err);
		peek_fails(p, 4, err);
		g_assert_cmpint(put(p, "x", 1), ==, err);
		g_assert_cmpuint(space(p), ==, 0);
	}
}

static void error_by_event(const void *arg)
{
	struct pair p;

	reset_pair(&p, arg);
	AWAIT_TURN(&p, p.failed);
	is_latched(&p);
	pair_end(&p);
}

/* The peek comes before the event: with the offset in the kernel it meets the error itself, copying sees nothing wrong, and never EOF. */
static void error_by_peek(const void *arg)
{
	const struct flavour *f = arg;
	struct pair p;
	char buf[16];

	reset_pair(&p, f);
	g_assert_cmpint(peek(&p, 4, buf, sizeof(buf)), ==, f->copying ? -EAGAIN : -ECONNRESET);
	g_assert_cmpint(peek(&p, 4, buf, sizeof(buf)), !=, 0);
	AWAIT_TURN(&p, p.failed);
	is_latched(&p);
	pair_end(&p);
}

static void error_by_write(const void *arg)
{
	struct pair p;

	reset_pair(&p, arg);
	g_assert_cmpint(put(&p, "x", 1), <, 0);
	is_latched(&p);
	AWAIT_TURN(&p, p.failed); /* the event has no error to take any more, and changes nothing */
	is_latched(&p);
	pair_end(&p);
}

/* The far side has sent FIN, then RST for what we write: EPIPE, which is no EOF either. */
static void error_after_eof(const void *arg)
{
	struct pair p;

	pair_begin(&p, arg);
	close(p.peer);
	p.peer = -1;
	AWAIT_TURN(&p, p.h.rdhup);
	peek_fails(&p, 0, 0);
	g_assert_cmpint(put(&p, "x", 1), ==, 1);
	AWAIT(tcp_state_of(p.h.fd) == TCP_CLOSE);
	AWAIT_TURN(&p, p.failed);
	is_latched(&p);
	pair_end(&p);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/host_tcp/trap1/fact", level_fact);
	add_flavours("/host_tcp", "trap1/cure", level_cure);
	g_test_add_func("/host_tcp/trap2/fact", edge_fact);
	add_flavours("/host_tcp", "trap2/cure", edge_cure);
	add_flavours("/host_tcp", "trap3/fact-and-cure", raise_cure);
	add_flavours("/host_tcp", "trap3/budget", raise_budget);
	add_flavours("/host_tcp", "trap3/intact", raise_intact);
	g_test_add_func("/host_tcp/trap4/fact", error_fact);
	add_flavours("/host_tcp", "trap4/event", error_by_event);
	add_flavours("/host_tcp", "trap4/peek", error_by_peek);
	add_flavours("/host_tcp", "trap4/write", error_by_write);
	add_flavours("/host_tcp", "trap4/after-eof", error_after_eof);
	return g_test_run();
}
