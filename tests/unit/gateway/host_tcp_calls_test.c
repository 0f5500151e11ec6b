/* host_tcp_calls_test.c - the six calls of host_tcp one by one: offsets, end of file, urgent data, the promise of space(), the ways to end.
 *
 * Over IPv4 and IPv6, with SO_PEEK_OFF and with the copying fallback (trap 7).  The traps of polling and buffers are in host_tcp_test.c.
 * Below: host_tcp_pair.h.
 */
#include "tests/unit/gateway/host_tcp_pair.h"

#include <linux/filter.h>

static uint8_t block[1 << 20];

/* ------------------------------------------------------------------ peek, consume */

/* Not a system call too many: an offset put there behind its back is what the next sequential peek reads at. */
static void peek_sequential(void)
{
	static const struct flavour plain = { "", false, false };
	struct pair p;
	int at = 2;

	pair_begin(&p, &plain);
	hear(&p, "abcdefghij");
	peek_is(&p, 0, 4, "abcd");
	peek_is(&p, 4, 2, "ef"); /* the first behind the front: from here on the kernel counts */
	g_assert_cmpint(p.h.peek_mode, ==, HOST_TCP_PEEK_OFF);
	g_assert_cmpint(int_option(p.h.fd, SO_PEEK_OFF), ==, 6);
	g_assert_cmpint(setsockopt(p.h.fd, SOL_SOCKET, SO_PEEK_OFF, &at, sizeof(at)), ==, 0);
	peek_is(&p, 6, 2, "cd");
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
/* Bytes under way are sent again: one piece after the other, after a look behind them that found nothing, and after an ACK. */
static void peek_again(const void *arg)
{
	struct pair p;

	pair_begin(&p, arg);
	hear(&p, "0123456789");
	peek_is(&p, 0, 64, "0123456789");
	peek_is(&p, 0, 4, "0123");
	peek_is(&p, 4, 4, "4567"); /* seen empty, and yet this was there */
	peek_is(&p, 8, 4, "89");
	peek_is(&p, 0, 4, "0123");
	hear(&p, "ab");
	peek_is(&p, 10, 64, "ab");
	peek_is(&p, 0, 4, "0123");
	g_assert_cmpint(shutdown(p.peer, SHUT_WR), ==, 0);
	AWAIT_TURN(&p, p.h.rdhup);
	peek_fails(&p, 12, 0); /* moves the kernel's offset, though nothing comes */
	consume(&p, 4);
	peek_is(&p, 0, 64, "456789ab");
	pair_end(&p);
}

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

/* The promise holds for a peer that answers nothing any more, and for the smallest writes, which cost most of the kernel's bookkeeping. */
static void space_deaf(const void *arg)
{
	static const uint32_t pieces[] = { 1, 100, 536, 1448, 65536 };
	struct sock_filter nothing = { BPF_RET | BPF_K, 0, 0, 0 };
	struct sock_fprog prog = { 1, &nothing };
	int small = 128 << 10;

	for (unsigned i = 0; i < 2 * G_N_ELEMENTS(pieces); i++) {
		struct pair p;

		pair_begin(&p, arg);
		for (size_t sent = 0, got = 0; sent < sizeof(block);) { /* the kernel gains trust: a larger buffer, more in flight */
			sent += (size_t)put(&p, block + sent, MIN(sizeof(block) - sent, 20000));
			AWAIT((got += drain(p.peer)) >= sent);
		}
		g_assert_cmpint(setsockopt(p.h.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), ==, 0); /* or a byte each takes seconds */
		if (i & 1)
			g_assert_cmpint(setsockopt(p.peer, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), ==, 0);
		p.h.space_left = 0; /* what was known before counts no more */
		g_assert_cmpuint(space(&p), >, 100000);
		for (uint32_t left = space(&p), len; left; left -= len) {
			len = MIN(left, pieces[i / 2]);
			g_assert_cmpint(put(&p, block, len), ==, (ssize_t)len);
		}
		pair_end(&p);
	}
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

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/host_tcp_calls/peek/sequential", peek_sequential);
	add_flavours("/host_tcp_calls", "peek/offsets", peek_offsets);
	add_flavours("/host_tcp_calls", "peek/again", peek_again);
	add_flavours("/host_tcp_calls", "trap7/eof", peek_eof);
	add_flavours("/host_tcp_calls", "peek/twin", peek_twin);
	add_flavours("/host_tcp_calls", "trap6/urgent", urgent);
	add_flavours("/host_tcp_calls", "trap6/consume", urgent_consume);
	add_flavours("/host_tcp_calls", "write/short", write_short);
	add_flavours("/host_tcp_calls", "space/whole", space_whole);
	add_flavours("/host_tcp_calls", "space/segments", space_segments);
	add_flavours("/host_tcp_calls", "space/deaf", space_deaf);
	add_flavours("/host_tcp_calls", "end/abort", end_abort);
	add_flavours("/host_tcp_calls", "end/shutdown", end_shutdown);
	add_flavours("/host_tcp_calls", "end/close", end_close);
	return g_test_run();
}
