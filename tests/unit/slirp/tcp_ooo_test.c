/* tcp_ooo_test.c - the store of out-of-order payload beside a linear twin: one flag per byte. */
#include "slirp/tcp_ooo.h"

#include "slirp/tcp_seq.h"

#include <glib.h>
#include <string.h>

enum { SPACE = 40000, STEPS = 3000 };

/* Byte i of the stream has sequence number base + i; nothing below `low` is asked about any more. */
struct twin {
	uint32_t base, low;
	bool held[SPACE];
};

static uint8_t pattern(uint32_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7);
}

static uint32_t rand_below(GRand *r, uint32_t n)
{
	return n ? g_rand_int(r) % n : 0;
}

/* Every byte that the store hands out, against the twin; ranges against the twin's runs. */
static void check(const struct tcp_ooo *o, const struct twin *t)
{
	struct tcp_range ranges[TCP_SACK_MAX];
	uint32_t held = 0, seen = 0;
	int n;

	for (uint32_t i = t->low; i < SPACE; i++)
		held += t->held[i];
	for (uint32_t i = t->low; i < SPACE; i++) {
		struct iovec iov[64];
		uint32_t len, at = i;

		if (!t->held[i] || (i > t->low && t->held[i - 1]))
			continue;
		n = tcp_ooo_ready(o, t->base + i, iov, 64, &len);
		g_assert_cmpint(n, >, 0);
		for (int k = 0; k < n; k++)
			for (size_t b = 0; b < iov[k].iov_len; b++, at++) {
				g_assert_true(t->held[at]);
				g_assert_cmpuint(((uint8_t *)iov[k].iov_base)[b], ==, pattern(at));
			}
		g_assert_cmpuint(at - i, ==, len);
		g_assert_true(n == 64 || at == SPACE || !t->held[at]);
		seen += len;
	}
	if (o->used < 60)
		g_assert_cmpuint(seen, ==, held);
	n = tcp_ooo_ranges(o, t->base + t->low, ranges, TCP_SACK_MAX);
	for (int i = 0; i < n; i++) {
		uint32_t start = ranges[i].start - t->base, end = ranges[i].end - t->base;

		g_assert_true(start > t->low && start < end && end <= SPACE);
		g_assert_true(!t->held[start - 1] && (end == SPACE || !t->held[end]));
		for (uint32_t b = start; b < end; b++)
			g_assert_true(t->held[b]);
		for (int k = 0; k < i; k++)
			g_assert_true(ranges[k].start != ranges[i].start);
	}
}

/* What was held stays, what is new lies in the piece, a front part of it when it did not all go in. */
static void twin_add(struct twin *t, const struct tcp_ooo *o, uint32_t at, uint32_t len, bool all)
{
	bool refused = false;

	for (uint32_t i = at; i < at + len; i++) {
		struct iovec iov;
		uint32_t got;

		if (t->held[i])
			continue;
		if (all) {
			t->held[i] = true;
			continue;
		}
		t->held[i] = tcp_ooo_ready(o, t->base + i, &iov, 1, &got) > 0;
		g_assert_false(refused && t->held[i]);
		refused |= !t->held[i];
	}
	g_assert_true(all || refused);
}

static void step(struct tcp_ooo *o, struct tcp_ooo_pool *p, struct twin *t, GRand *r)
{
	static uint8_t data[SPACE];
	uint32_t what = rand_below(r, 100), at = t->low + rand_below(r, SPACE - t->low - 1), len;

	if (what < 90) {
		len = 1 + rand_below(r, what < 10 ? 9000 : what < 50 ? 1460 : 40);
		len = MIN(len, SPACE - at);
		for (uint32_t i = 0; i < len; i++)
			data[i] = pattern(at + i);
		twin_add(t, o, at, len, tcp_ooo_add(o, p, t->base + at, data, len));
		tcp_ooo_news(o, t->base + at);
	} else if (what < 97) {
		at = t->low + rand_below(r, MIN(2000, SPACE - t->low - 1));
		tcp_ooo_drop(o, p, t->base + at);
		t->low = at;
	} else {
		at = SPACE - 1 - rand_below(r, 500);
		at = MAX(at, t->low);
		tcp_ooo_cut(o, p, t->base + at);
		memset(t->held + at, 0, sizeof(t->held) - at);
	}
}

/* Worlds of random pieces; some pools are small, some allocations fail, numbers wrap. */
static void test_twin(void)
{
	for (uint32_t seed = 1; seed <= 12; seed++) {
		struct mem mem = { 0 };
		struct tcp_ooo_pool pool;
		struct tcp_ooo o = { 0 };
		struct twin *t = g_new0(struct twin, 1);
		GRand *r = g_rand_new_with_seed(seed);

		t->base = seed % 3 ? g_rand_int(r) : UINT32_MAX - SPACE / 2;
		tcp_ooo_pool_init(&pool, seed % 4 ? 1 << 20 : 8 * TCP_OOO_BLOCK, seed % 2 ? 1 << 20 : 12 * TCP_OOO_BLOCK, &mem);
		for (int i = 0; i < STEPS && t->low < SPACE - 10; i++) {
			mem.fail_from = mem.asked;
			mem.fail_count = rand_below(r, 30) == 0;
			step(&o, &pool, t, r);
			if (i % 16 == 0)
				check(&o, t);
		}
		g_assert_cmpuint(pool.used, ==, o.used);
		g_assert_cmpuint(pool.used, <=, pool.max);
		tcp_ooo_clear(&o, &pool);
		g_assert_cmpuint(pool.used, ==, 0);
		g_assert_cmpuint(pool.n_spare, <=, TCP_OOO_SPARE);
		g_assert_null(o.head);
		tcp_ooo_pool_clear(&pool);
		g_rand_free(r);
		g_free(t);
	}
}

/* RFC 2018 4: the first range is the one that grew last; the others follow in that order, each once. */
static void test_newest_first(void)
{
	struct tcp_ooo_pool pool;
	struct tcp_ooo o = { 0 };
	struct tcp_range r[TCP_SACK_MAX];
	static const uint32_t order[] = { 500, 100, 300, 700, 900 };

	tcp_ooo_pool_init(&pool, 1 << 20, 1 << 20, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(order); i++) {
		g_assert_true(tcp_ooo_add(&o, &pool, order[i], "0123456789", 10));
		tcp_ooo_news(&o, order[i]);
	}
	g_assert_cmpint(tcp_ooo_ranges(&o, 50, r, TCP_SACK_MAX), ==, 4);
	g_assert_cmpuint(r[0].start, ==, 900);
	g_assert_cmpuint(r[1].start, ==, 700);
	g_assert_cmpuint(r[2].start, ==, 300);
	g_assert_cmpuint(r[3].start, ==, 100);
	g_assert_true(tcp_ooo_add(&o, &pool, 110, "0123456789", 10));
	tcp_ooo_news(&o, 110);
	g_assert_cmpint(tcp_ooo_ranges(&o, 50, r, TCP_SACK_MAX), ==, 4);
	g_assert_cmpuint(r[0].start, ==, 100);
	g_assert_cmpuint(r[0].end, ==, 120);
	g_assert_cmpuint(r[1].start, ==, 900);
	g_assert_cmpint(tcp_ooo_ranges(&o, 100, r, TCP_SACK_MAX), ==, 3); /* what begins at the acknowledgement is no SACK range */
	g_assert_cmpint(tcp_ooo_ranges(&o, 50, r, 2), ==, 2);
	tcp_ooo_clear(&o, &pool);
	tcp_ooo_pool_clear(&pool);
}

/* Pieces in order fill blocks whole, whatever their size: 64 KiB of single bytes need no more memory than one piece. */
static void test_small_pieces(void)
{
	struct tcp_ooo_pool pool;
	struct tcp_ooo o = { 0 };

	tcp_ooo_pool_init(&pool, 1 << 20, 64 << 10, NULL);
	for (uint32_t i = 0; i < 32 * TCP_OOO_DATA; i++)
		g_assert_true(tcp_ooo_add(&o, &pool, 1000 + i, "x", 1));
	g_assert_cmpuint(o.used, ==, 32);
	g_assert_false(tcp_ooo_add(&o, &pool, 1000 + 32 * TCP_OOO_DATA, "x", 1));
	tcp_ooo_clear(&o, &pool);
	tcp_ooo_pool_clear(&pool);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/tcp_ooo/twin", test_twin);
	g_test_add_func("/tcp_ooo/newest_first", test_newest_first);
	g_test_add_func("/tcp_ooo/small_pieces", test_small_pieces);
	return g_test_run();
}
