/* host_tcp_test.c - the upstream over real sockets on the loopback: what the kernel does (fact), what host_tcp makes of it (cure).
 *
 * Each trap has both halves: when a kernel stops behaving as its fact says, the cure may go; when the cure goes, its half fails.
 * Every cure runs over IPv4 and IPv6, with SO_PEEK_OFF and with the copying fallback (trap 7).
 * Below: host_tcp_pair.h.
 */
#include "host_tcp_pair.h"

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
	peek_is(p, 0, 16, "left");
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

/* ------------------------------------------------------------------ peek, consume */

/* Not a system call too many: an offset put there behind its back is what the next sequential peek reads at. */
static void peek_sequential(void)
{
	static const struct flavour plain = { "", false, false };
	struct pair p;
	int at = 2;

	pair_begin(&p, &plain);
	hear(&p, "abcdefgh");
	peek_is(&p, 0, 4, "abcd");
	g_assert_cmpint(int_option(p.h.fd, SO_PEEK_OFF), ==, 4); /* the kernel went along */
	g_assert_cmpint(setsockopt(p.h.fd, SOL_SOCKET, SO_PEEK_OFF, &at, sizeof(at)), ==, 0);
	peek_is(&p, 4, 2, "cd");
	peek_is(&p, 0, 3, "abc"); /* a rewind does set it */
	peek_is(&p, 3, 2, "de");
	consume(&p, 4); /* and consuming moves it */
	g_assert_cmpint(int_option(p.h.fd, SO_PEEK_OFF), ==, 1);
	peek_is(&p, 1, 2, "fg");
	pair_end(&p);
}

static void peek_offsets(const void *arg)
{
	struct pair p;
	struct iovec two[2];
	char x[4] = "", y[8] = "";

	pair_begin(&p, arg);
	peek_fails(&p, 0, -EAGAIN);
	hear(&p, "0123456789");
	peek_is(&p, 0, 4, "0123");
	peek_is(&p, 4, 4, "4567");
	peek_is(&p, 0, 64, "0123456789"); /* again from the front */
	peek_is(&p, 9, 64, "9");
	peek_fails(&p, 10, -EAGAIN);
	peek_is(&p, 2, 3, "234"); /* nothing new to read is no reason not to look back */
	consume(&p, 3);
	peek_is(&p, 0, 64, "3456789");
	hear(&p, "ab");
	two[0] = (struct iovec){ x, 3 };
	two[1] = (struct iovec){ y, 7 };
	g_assert_cmpint(p.up->ops->peek(p.up, 4, two, 2), ==, 5);
	g_assert_cmpstr(x, ==, "789");
	g_assert_cmpstr(y, ==, "ab");
	consume(&p, 9);
	g_assert_cmpint(queued(p.h.fd), ==, 0);
	peek_fails(&p, 0, -EAGAIN);
	is_quiet(&p);
	pair_end(&p);
}

/* Trap 7: EOF stands exactly behind the last byte; before the FIN the same place is EAGAIN. */
static void peek_eof(const void *arg)
{
	struct pair p;

	pair_begin(&p, arg);
	hear(&p, "last");
	peek_is(&p, 0, 16, "last");
	peek_fails(&p, 4, -EAGAIN);
	g_assert_cmpint(shutdown(p.peer, SHUT_WR), ==, 0);
	AWAIT_TURN(&p, p.h.rdhup);
	for (int i = 0; i < 3; i++) {
		peek_is(&p, 0, 16, "last");
		peek_is(&p, 3, 16, "t");
		peek_fails(&p, 4, 0);
	}
	consume(&p, 2);
	peek_is(&p, 0, 16, "st");
	peek_fails(&p, 2, 0);
	consume(&p, 2);
	peek_fails(&p, 0, 0);
	g_assert_cmpint(put(&p, "on", 2), ==, 2); /* our half lives */
	AWAIT(queued(p.peer) == 2);
	is_quiet(&p);
	pair_end(&p);
}

/* Random sizes and offsets against a plain copy of the stream. */
static void peek_twin(const void *arg)
{
	GRand *rand = g_rand_new_with_seed(5);
	GByteArray *twin = g_byte_array_new();
	struct pair p;
	uint32_t held = 0; /* what earlier peeks returned: offsets never lie beyond */

	pair_begin(&p, arg);
	for (int i = 0; i < 3000; i++) {
		uint32_t n = (uint32_t)g_rand_int_range(rand, 1, 3000), off = (uint32_t)g_rand_int_range(rand, 0, (int)held + 1), want;
		uint8_t b[3000];

		for (uint32_t k = 0; k < n; k++)
			b[k] = (uint8_t)g_rand_int(rand);
		if (twin->len < 40000 && send(p.peer, b, n, MSG_NOSIGNAL) == (ssize_t)n) {
			g_byte_array_append(twin, b, n);
			AWAIT(queued(p.h.fd) == (int)twin->len);
			AWAIT_TURN(&p, p.h.can_read);
		}
		want = MIN(twin->len - off, n);
		g_assert_cmpint(peek(&p, off, b, n), ==, want ? (ssize_t)want : -EAGAIN);
		if (want)
			g_assert_cmpmem(b, want, twin->data + off, want);
		held = MAX(held, off + want);
		if (g_rand_boolean(rand)) {
			n = (uint32_t)g_rand_int_range(rand, 0, (int)held + 1);
			consume(&p, n);
			if (n)
				g_byte_array_remove_range(twin, 0, n);
			held -= n;
		}
	}
	pair_end(&p);
	g_byte_array_unref(twin);
	g_rand_free(rand);
}

/* ------------------------------------------------------------------ 6: urgent data */

/* All bytes come in line and in order, however they are cut; consume() passes the mark. */
static void urgent(const void *arg)
{
	struct pair p;
	char all[16] = "";
	uint32_t held = 0, done = 0;

	pair_begin(&p, arg);
	say(p.peer, "abc");
	g_assert_cmpint(send(p.peer, "D", 1, MSG_OOB | MSG_NOSIGNAL), ==, 1);
	say(p.peer, "efg");
	g_assert_cmpint(shutdown(p.peer, SHUT_WR), ==, 0);
	AWAIT(queued(p.h.fd) == 7);
	AWAIT_TURN(&p, p.h.rdhup);
	while (done < 7) { /* as the core does: peek on, and what is stuck goes on when the guest has acknowledged */
		ssize_t n = peek(&p, held, all + done + held, sizeof(all) - 1 - done - held);

		g_assert_true(n > 0 || (n == -EAGAIN && held));
		if (n > 0) {
			held += (uint32_t)n;
			if (done + held < 7)
				continue;
		}
		consume(&p, held);
		done += held;
		held = 0;
	}
	g_assert_cmpstr(all, ==, "abcDefg");
	peek_fails(&p, 0, 0);
	pair_end(&p);
}

/* Held bytes on both sides of the mark are consumed in one call. */
static void urgent_consume(const void *arg)
{
	struct pair p;

	pair_begin(&p, arg);
	hear(&p, "abc");
	g_assert_cmpint(send(p.peer, "D", 1, MSG_OOB | MSG_NOSIGNAL), ==, 1);
	say(p.peer, "efg");
	AWAIT(queued(p.h.fd) == 7);
	consume(&p, 6);
	g_assert_cmpint(queued(p.h.fd), ==, 1);
	AWAIT_TURN(&p, p.h.can_read);
	peek_is(&p, 0, 16, "g");
	pair_end(&p);
}

/* ------------------------------------------------------------------ write, space */

/* Never -EAGAIN: what does not fit is a short write, then 0. */
static void write_short(const void *arg)
{
	struct pair p;
	size_t total = 0, got = 0;
	ssize_t n;
	bool was_short = false;

	pair_begin(&p, arg);
	while ((n = put(&p, block, sizeof(block))) > 0) {
		total += (size_t)n;
		was_short = was_short || n < (ssize_t)sizeof(block);
	}
	g_assert_cmpint(n, ==, 0);
	g_assert_true(was_short);
	AWAIT((got += drain(p.peer)) >= total);
	g_assert_cmpuint(got, ==, total);
	AWAIT_TURN(&p, put(&p, "x", 1) == 1);
	pair_end(&p);
}

/* The promise: what space() says, write() takes, in pieces of this size, until it says nothing; then again after the peer has read some. */
static void space_is_kept(const void *arg, uint32_t piece)
{
	struct pair p;
	uint32_t n;

	pair_begin(&p, arg);
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < 10000 && (n = space(&p)) > 0; i++) {
			for (uint32_t left = n, len; left; left -= len) {
				len = MIN(left, MIN(piece, (uint32_t)sizeof(block)));
				g_assert_cmpint(put(&p, block, len), ==, (ssize_t)len);
			}
		}
		for (int i = 0; i <= round; i++)
			recv(p.peer, block, 100000, 0);
		AWAIT_TURN(&p, (drain(p.peer), space(&p) > 0));
	}
	pair_end(&p);
}

static void space_whole(const void *arg)
{
	space_is_kept(arg, UINT32_MAX);
}

static void space_segments(const void *arg)
{
	space_is_kept(arg, 1448);
}

/* ------------------------------------------------------------------ the end */

static void end_abort(const void *arg)
{
	struct pair p;
	char b;

	pair_begin(&p, arg);
	hear(&p, "unread");
	p.up->ops->abort(p.up);
	g_assert_cmpint(p.h.fd, ==, -1);
	AWAIT(recv(p.peer, &b, 1, 0) < 0 && errno == ECONNRESET);
	p.up->ops->abort(p.up); /* harmless, as is the close in pair_end() */
	pair_end(&p);
}

static void end_shutdown(const void *arg)
{
	struct pair p;
	char b[8];

	pair_begin(&p, arg);
	g_assert_cmpint(put(&p, "bye", 3), ==, 3);
	p.up->ops->shutdown(p.up);
	AWAIT(recv(p.peer, b, sizeof(b), 0) == 3);
	AWAIT(recv(p.peer, b, sizeof(b), 0) == 0);
	hear(&p, "the answer");
	peek_is(&p, 0, 16, "the answer");
	peek_fails(&p, 10, -EAGAIN);
	close(p.peer);
	p.peer = -1;
	AWAIT_TURN(&p, p.h.rdhup);
	peek_fails(&p, 10, 0);
	g_assert_false(p.failed);
	consume(&p, 10);
	pair_end(&p);
}

/* An orderly close() with everything read is FIN, not RST. */
static void end_close(const void *arg)
{
	struct pair p;
	char b;

	pair_begin(&p, arg);
	host_tcp_close(&p.h);
	host_tcp_close(&p.h);
	AWAIT(recv(p.peer, &b, 1, 0) == 0);
	p.up->ops->abort(p.up);
	pair_end(&p);
}

static void add(const char *name, GTestDataFunc fn)
{
	static const struct flavour flavours[] = {
		{ "v4", false, false }, { "v6", true, false }, { "v4-copying", false, true }, { "v6-copying", true, true },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(flavours); i++) {
		g_autofree char *path = g_strdup_printf("/host_tcp/%s/%s", name, flavours[i].name);

		g_test_add_data_func(path, &flavours[i], fn);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/host_tcp/trap1/fact", level_fact);
	add("trap1/cure", level_cure);
	g_test_add_func("/host_tcp/trap2/fact", edge_fact);
	add("trap2/cure", edge_cure);
	add("trap3/fact-and-cure", raise_cure);
	add("trap3/budget", raise_budget);
	add("trap3/intact", raise_intact);
	g_test_add_func("/host_tcp/trap4/fact", error_fact);
	add("trap4/event", error_by_event);
	add("trap4/peek", error_by_peek);
	add("trap4/write", error_by_write);
	add("trap4/after-eof", error_after_eof);
	g_test_add_func("/host_tcp/peek/sequential", peek_sequential);
	add("peek/offsets", peek_offsets);
	add("trap7/eof", peek_eof);
	add("peek/twin", peek_twin);
	add("trap6/urgent", urgent);
	add("trap6/consume", urgent_consume);
	add("write/short", write_short);
	add("space/whole", space_whole);
	add("space/segments", space_segments);
	add("end/abort", end_abort);
	add("end/shutdown", end_shutdown);
	add("end/close", end_close);
	return g_test_run();
}
