/* htab_test.c - the hash table beside a linear array, and without memory.
 *
 * g_try_malloc0() is defined here and takes the place of GLib's for this program, so that allocations can be made to
 * fail.
 */
#include "slirp/base/htab.h"
#include "slirp/base/list.h"

#include <glib.h>
#include <stdlib.h>

enum { ITEMS = 3000 };

struct item {
	struct htab_node node;
	uint32_t hash;
	bool in;
	int seen;
};

static bool no_memory;
static int allocations;

void *g_try_malloc0(gsize size)
{
	allocations++;
	return no_memory ? NULL : calloc(1, size);
}

static struct item *items_new(GRand *rand, uint32_t hash_mask)
{
	struct item *items = g_new0(struct item, ITEMS);

	for (int i = 0; i < ITEMS; i++)
		items[i].hash = g_rand_int(rand) & hash_mask;
	return items;
}

/* Every item of this hash is found exactly once, and nothing else is. */
static void check_hash(const struct htab *t, const struct item *items, uint32_t hash)
{
	int found = 0, want = 0;

	for (const struct htab_node *n = htab_first(t, hash); n; n = htab_next(t, n)) {
		const struct item *it = container_of(n, const struct item, node);

		g_assert_true(it->in);
		g_assert_cmpuint(it->hash, ==, hash);
		found++;
	}
	for (int i = 0; i < ITEMS; i++)
		want += items[i].in && items[i].hash == hash;
	g_assert_cmpint(found, ==, want);
}

static void flip(struct htab *t, struct item *it)
{
	const struct htab_node *const *old = (const struct htab_node *const *)t->old;
	uint32_t drained = t->drained;

	if (it->in)
		htab_remove(t, &it->node);
	else
		htab_insert(t, &it->node, it->hash);
	it->in = !it->in;
	if (old && (const void *)t->old == (const void *)old)
		g_assert_cmpuint(t->drained - drained, <=, 2);
}

static void see(struct htab_node *n, void *arg)
{
	container_of(n, struct item, node)->seen++;
	(*(int *)arg)++;
}

static void check_each(struct htab *t, struct item *items)
{
	int n = 0, want = 0;

	for (int i = 0; i < ITEMS; i++) {
		items[i].seen = 0;
		want += items[i].in;
	}
	htab_each(t, see, &n);
	g_assert_cmpint(n, ==, want);
	for (int i = 0; i < ITEMS; i++)
		g_assert_cmpint(items[i].seen, ==, items[i].in);
}

/* Waves of growth and shrinking over random items. */
static void run_twin(guint32 seed, uint32_t hash_mask)
{
	GRand *rand = g_rand_new_with_seed(seed);
	struct item *items = items_new(rand, hash_mask);
	uint32_t want = 0;
	struct htab t;

	g_assert_true(htab_init(&t));
	for (int i = 0; i < 40000; i++) {
		struct item *it = &items[g_rand_int_range(rand, 0, ITEMS)];
		bool grow = i / 8000 % 2 == 0;

		if (it->in == grow && g_rand_int_range(rand, 0, 20))
			continue;
		flip(&t, it);
		want += it->in ? 1 : (uint32_t)-1;
		g_assert_cmpuint(htab_count(&t), ==, want);
		if (i % 16 == 0)
			check_hash(&t, items, items[g_rand_int_range(rand, 0, ITEMS)].hash);
		if (i % 1000 == 0)
			check_each(&t, items);
	}
	htab_clear(&t);
	g_free(items);
	g_rand_free(rand);
}

static void test_twin(void)
{
	for (guint32 seed = 0; seed < 4; seed++)
		run_twin(seed, UINT32_MAX);
}

static void test_collisions(void)
{
	run_twin(100, 0xff);
	run_twin(101, 0xff0000ff);
}

/* Loads stay within what the header says once a move has ended, in both directions. */
static void test_sizes(void)
{
	GRand *rand = g_rand_new_with_seed(5);
	struct item *items = items_new(rand, UINT32_MAX);
	struct htab t;

	g_assert_true(htab_init(&t));
	for (int i = 0; i < ITEMS; i++) {
		flip(&t, &items[i]);
		g_assert_true(t.old || t.count <= t.mask + 1);
	}
	g_assert_cmpuint(t.mask + 1, ==, 4096);
	for (int i = 0; i < ITEMS - 1; i++)
		flip(&t, &items[i]);
	g_assert_cmpuint(t.mask + 1, ==, 2048);
	for (int i = 0; i < 6000; i++) { /* a move needs calls to proceed: one busy item brings the table down */
		flip(&t, &items[0]);
		check_hash(&t, items, items[ITEMS - 1].hash);
	}
	g_assert_cmpuint(t.mask + 1, ==, 16);
	g_assert_null(t.old);
	htab_clear(&t);
	g_free(items);
	g_rand_free(rand);
}

struct remove_arg {
	struct htab *t;
	int n;
};

static void remove_odd(struct htab_node *n, void *arg)
{
	struct remove_arg *a = arg;
	struct item *it = container_of(n, struct item, node);

	a->n++;
	if (it->hash & 1) {
		htab_remove(a->t, n);
		it->in = false;
	}
}

/* Removal of the visited node, in the middle of a move. */
static void test_each_removes(void)
{
	GRand *rand = g_rand_new_with_seed(6);
	struct item *items = items_new(rand, UINT32_MAX);
	struct remove_arg arg;
	struct htab t;
	int n = 0;

	g_assert_true(htab_init(&t));
	arg = (struct remove_arg){ .t = &t };
	htab_each(&t, remove_odd, &arg);
	g_assert_cmpint(arg.n, ==, 0);
	while (n < ITEMS / 2 || !t.old)
		flip(&t, &items[n++]);
	arg = (struct remove_arg){ .t = &t };
	htab_each(&t, remove_odd, &arg);
	g_assert_cmpint(arg.n, ==, n);
	check_each(&t, items);
	for (int i = 0; i < n; i++)
		check_hash(&t, items, items[i].hash);
	htab_clear(&t);
	g_free(items);
	g_rand_free(rand);
}

static void test_no_memory(void)
{
	GRand *rand = g_rand_new_with_seed(7);
	struct item *items = items_new(rand, UINT32_MAX);
	struct htab t;

	no_memory = true;
	g_assert_false(htab_init(&t));
	htab_clear(&t);
	no_memory = false;
	g_assert_true(htab_init(&t));
	no_memory = true;
	for (int i = 0; i < 500; i++)
		flip(&t, &items[i]);
	g_assert_cmpuint(t.mask + 1, ==, 16);
	for (int i = 0; i < 500; i++)
		check_hash(&t, items, items[i].hash);
	no_memory = false;
	for (int i = 500; i < ITEMS; i++)
		flip(&t, &items[i]);
	g_assert_cmpuint(t.mask + 1, >=, 2048);
	check_each(&t, items);
	htab_clear(&t);
	htab_clear(&t);
	g_assert_null(htab_first(&t, 1));
	g_assert_cmpint(allocations, >, 0);
	g_free(items);
	g_rand_free(rand);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/htab/twin", test_twin);
	g_test_add_func("/htab/collisions", test_collisions);
	g_test_add_func("/htab/sizes", test_sizes);
	g_test_add_func("/htab/each-removes", test_each_removes);
	g_test_add_func("/htab/no-memory", test_no_memory);
	return g_test_run();
}
