/* halfopen_test.c - connections being made, beside a plain list that is searched: D2. */
#include "gateway/halfopen.h"

#include <glib.h>

enum { ITEMS = 400, DESTS = 40, STEPS = 20000 };

struct item {
	struct halfopen_item half;
	struct endpoint dest;
	unsigned at; /* when it came; 0: not there */
};

static struct endpoint dest_of(uint32_t n)
{
	const uint8_t b[4] = { 192, 0, 2, (uint8_t)n };

	return (struct endpoint){ addr_from_v4(b), (uint16_t)(n / 7) };
}

static uint32_t plain_count(const struct item *items, const struct endpoint *e, const struct item **ret_oldest)
{
	uint32_t n = 0;

	*ret_oldest = NULL;
	for (int i = 0; i < ITEMS; i++) {
		if (!items[i].at || !endpoint_eq(&items[i].dest, e))
			continue;
		n++;
		if (!*ret_oldest || items[i].at < (*ret_oldest)->at)
			*ret_oldest = &items[i];
	}
	return n;
}

static void check(const struct halfopen *h, const struct item *items, uint32_t total)
{
	const struct halfopen_item *busiest = halfopen_busiest(h);
	uint32_t most = 0, sum = 0;
	const struct item *oldest;

	for (uint32_t d = 0; d < DESTS; d++) {
		struct endpoint e = dest_of(d);
		uint32_t n = plain_count(items, &e, &oldest);
		const struct halfopen_item *first = halfopen_oldest(h, &e);

		g_assert_cmpuint(halfopen_count(h, &e), ==, n);
		g_assert_true(first == (oldest ? &oldest->half : NULL));
		most = MAX(most, n);
		sum += n;
	}
	g_assert_cmpuint(sum, ==, total);
	g_assert_cmpuint(h->now, ==, total);
	g_assert_true(!busiest == !total);
	if (busiest) {
		const struct item *b = container_of(busiest, struct item, half);

		g_assert_cmpuint(plain_count(items, &b->dest, &oldest), ==, most);
		g_assert_true(oldest == b);
	}
}

static void twin(void)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed((guint32)g_test_rand_int());
	struct item *items = g_new0(struct item, ITEMS);
	struct siphash_key key = { { 3, 4 } };
	struct halfopen h;
	uint32_t total = 0;

	g_assert_true(halfopen_init(&h, &key, NULL));
	for (unsigned step = 1; step <= STEPS; step++) {
		struct item *i = &items[g_rand_int_range(rand, 0, ITEMS)];

		if (i->at) {
			i->at = 0;
			total--;
			halfopen_remove(&h, &i->half);
			halfopen_remove(&h, &i->half);
		} else {
			i->at = step;
			i->dest = dest_of((uint32_t)(g_rand_double(rand) * g_rand_double(rand) * DESTS)); /* some are busier */
			total++;
			g_assert_true(halfopen_add(&h, &i->half, &i->dest));
		}
		if (step % 50 == 0)
			check(&h, items, total);
	}
	for (int i = 0; i < ITEMS; i++)
		halfopen_remove(&h, &items[i].half);
	g_assert_cmpuint(h.now, ==, 0);
	g_assert_cmpuint(htab_count(&h.dests), ==, 0);
	g_assert_null(halfopen_busiest(&h));
	halfopen_clear(&h);
	g_free(items);
}

/* More to one destination than there are ranks. */
static void beyond_ranks(void)
{
	enum { N = HALFOPEN_RANKS + 50 };
	struct halfopen_item *items = g_new0(struct halfopen_item, N);
	struct siphash_key key = { { 3, 4 } };
	struct endpoint e = dest_of(1);
	struct halfopen h;

	g_assert_true(halfopen_init(&h, &key, NULL));
	for (int i = 0; i < N; i++)
		g_assert_true(halfopen_add(&h, &items[i], &e));
	for (int i = 0; i < N; i++) {
		g_assert_true(halfopen_busiest(&h) == &items[i]);
		halfopen_remove(&h, &items[i]);
	}
	g_assert_null(halfopen_busiest(&h));
	halfopen_clear(&h);
	g_free(items);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/halfopen/twin", twin);
	g_test_add_func("/halfopen/beyond-ranks", beyond_ranks);
	return g_test_run();
}
