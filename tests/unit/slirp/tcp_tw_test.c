/* tcp_tw_test.c - the time-wait ring beside its twin, an array that is walked from end to end. */
#include "slirp/tcp_tw.h"

#include <glib.h>

enum { TWIN_MAX = 4096 };

/* The twin: everything ever added and not gone, oldest first. */
struct twin {
	struct tcp_tw_entry e[TWIN_MAX];
	int64_t until[TWIN_MAX];
	unsigned n;
};

static struct tcp_tw_entry entry(uint32_t id)
{
	static const uint8_t guest[4] = { 10, 0, 2, 15 };
	uint8_t far[4] = { 192, 0, (uint8_t)(id >> 24), (uint8_t)(id >> 16) };

	return (struct tcp_tw_entry){ .tuple = { { addr_from_v4(guest), 1000 }, { addr_from_v4(far), (uint16_t)id } },
				      .snd_nxt = id * 3, .rcv_nxt = id * 7, .ts_ok = id & 1, .ts_recent = id * 11, .ts_offset = id * 13 };
}

/* Few values for even numbers, so that chains are long. */
static uint32_t hash_of_id(uint32_t id)
{
	return id * 2654435761u >> (id & 1 ? 0 : 28);
}

static uint32_t test_hash(const void *of, const struct tuple *t)
{
	const uint8_t *far = addr_v4_bytes(&t->far.addr);

	g_assert_null(of);
	return hash_of_id((uint32_t)far[2] << 24 | (uint32_t)far[3] << 16 | t->far.port);
}

static void twin_remove(struct twin *t, unsigned i)
{
	t->n--;
	memmove(&t->e[i], &t->e[i + 1], (t->n - i) * sizeof(t->e[0]));
	memmove(&t->until[i], &t->until[i + 1], (t->n - i) * sizeof(t->until[0]));
}

static int twin_find(const struct twin *t, const struct tuple *tuple, int64_t now)
{
	for (unsigned i = 0; i < t->n; i++) {
		if (tuple_eq(&t->e[i].tuple, tuple) && t->until[i] / 1000 > now / 1000)
			return (int)i;
	}
	return -1;
}

static void check_same(const struct tcp_tw_entry *a, const struct tcp_tw_entry *b)
{
	g_assert_true(tuple_eq(&a->tuple, &b->tuple));
	g_assert_cmpuint(a->snd_nxt, ==, b->snd_nxt);
	g_assert_cmpuint(a->rcv_nxt, ==, b->rcv_nxt);
	g_assert_cmpuint(a->ts_ok, ==, b->ts_ok);
	g_assert_cmpuint(a->ts_recent, ==, b->ts_recent);
	g_assert_cmpuint(a->ts_offset, ==, b->ts_offset);
}

static void check_find(struct tcp_tw *tw, const struct twin *t, uint32_t id, int64_t now)
{
	struct tcp_tw_entry probe = entry(id), *got = tcp_tw_find(tw, &probe.tuple, hash_of_id(id), now);
	int want = twin_find(t, &probe.tuple, now);

	g_assert_cmpint(got != NULL, ==, want >= 0);
	if (got)
		check_same(got, &t->e[want]);
}

/* Adds, finds, removals and the passing of time at random; few hashes, so that chains are long.  `wrap`: milliseconds pass 2^32. */
static void twin_run(uint32_t seed, int64_t now)
{
	g_autofree struct twin *t = g_new0(struct twin, 1);
	GRand *rand = g_rand_new_with_seed(seed);
	struct tcp_tw tw;

	tcp_tw_init(&tw, TWIN_MAX * 2, 60 * G_USEC_PER_SEC, test_hash, NULL); /* the maximum is never met */
	for (int i = 0; i < 30000; i++) {
		uint32_t id = (uint32_t)g_rand_int_range(rand, 0, 3000);
		struct tcp_tw_entry e = entry(id), *got;

		switch (g_rand_int_range(rand, 0, 4)) {
		case 0:
			while (t->n && t->until[0] / 1000 <= now / 1000)
				twin_remove(t, 0);
			if (twin_find(t, &e.tuple, now) >= 0 || t->n == TWIN_MAX)
				break; /* one entry per tuple: the core sees to it */
			tcp_tw_add(&tw, &e, now);
			t->e[t->n] = e;
			t->until[t->n++] = now + tw.lifetime;
			break;
		case 1:
			got = tcp_tw_find(&tw, &e.tuple, hash_of_id(id), now);
			if (got) {
				tcp_tw_remove(&tw, got);
				twin_remove(t, (unsigned)twin_find(t, &e.tuple, now));
			}
			break;
		case 2:
			now += g_rand_int_range(rand, 0, 40000);
			break;
		default:
			check_find(&tw, t, id, now);
		}
	}
	for (uint32_t id = 0; id < 3000; id++)
		check_find(&tw, t, id, now);
	tcp_tw_clear(&tw);
	g_rand_free(rand);
}

static void against_twin(void)
{
	for (uint32_t seed = 1; seed <= 8; seed++)
		twin_run(seed, seed * 1000000);
}

/* The clock of the entries is 32 bits of milliseconds: 49 days. */
static void clock_wraps(void)
{
	for (uint32_t seed = 11; seed <= 14; seed++)
		twin_run(seed, (int64_t)4294967296ll * 1000 - seed * 7000000);
}

/* A full table forgets its oldest, and only that. */
static void full(void)
{
	struct tcp_tw tw;

	tcp_tw_init(&tw, 256, 60 * G_USEC_PER_SEC, test_hash, NULL);
	for (uint32_t id = 0; id < 1000; id++) {
		struct tcp_tw_entry e = entry(id), first = entry(id - 255), gone = entry(id - 256);

		tcp_tw_add(&tw, &e, 1);
		g_assert_nonnull(tcp_tw_find(&tw, &e.tuple, hash_of_id(id), 1));
		if (id >= 256) {
			g_assert_nonnull(tcp_tw_find(&tw, &first.tuple, hash_of_id(id - 255), 1));
			g_assert_null(tcp_tw_find(&tw, &gone.tuple, hash_of_id(id - 256), 1));
		}
	}
	g_assert_cmpuint(tw.room, ==, 256);
	tcp_tw_clear(&tw);
}

/* Sixty seconds, to the millisecond; and nothing stays behind. */
static void expiry(void)
{
	struct tcp_tw_entry e = entry(5);
	struct tcp_tw tw;

	tcp_tw_init(&tw, 256, 60 * G_USEC_PER_SEC, test_hash, NULL);
	g_assert_null(tcp_tw_find(&tw, &e.tuple, hash_of_id(5), 0)); /* empty, without memory */
	tcp_tw_add(&tw, &e, 1000000);
	g_assert_nonnull(tcp_tw_find(&tw, &e.tuple, hash_of_id(5), 60999999));
	g_assert_null(tcp_tw_find(&tw, &e.tuple, hash_of_id(5), 61000000));
	g_assert_null(tcp_tw_find(&tw, &e.tuple, hash_of_id(5), 1000000)); /* found ended once, it is out */
	tcp_tw_add(&tw, &e, 200000000);
	g_assert_cmpuint(tw.used, ==, 1);
	tcp_tw_clear(&tw);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/tcp_tw/twin", against_twin);
	g_test_add_func("/tcp_tw/twin/clock-wraps", clock_wraps);
	g_test_add_func("/tcp_tw/full", full);
	g_test_add_func("/tcp_tw/expiry", expiry);
	return g_test_run();
}
