/* timerq_test.c - the heap beside an unsorted array that is searched from end to end, and without memory.
 *
 * g_try_realloc_n() is defined here and takes the place of GLib's for this program, so that allocations can be made to
 * fail.
 */
#include "slirp/base/timerq.h"

#include <glib.h>
#include <stdlib.h>

enum { TIMERS = 300 };

static bool no_memory;

void *g_try_realloc_n(gpointer p, gsize n, gsize size)
{
	return no_memory ? NULL : realloc(p, n * size);
}

/* What the twin knows of timer i. */
struct twin {
	struct timer timer;
	bool queued;
	int64_t at;
	int set_no;
};

/* The queued timer that must fire first: earliest deadline, then earliest set. */
static struct twin *twin_first(struct twin *all)
{
	struct twin *best = NULL;

	for (int i = 0; i < TIMERS; i++) {
		if (!all[i].queued)
			continue;
		if (!best || all[i].at < best->at || (all[i].at == best->at && all[i].set_no < best->set_no))
			best = &all[i];
	}
	return best;
}

static void random_set(GRand *rand, struct timerq *q, struct twin *w, int set_no)
{
	int64_t at = g_rand_int_range(rand, 0, 40); /* few values: equal deadlines are the rule */

	if (at == 0)
		at = TIMERQ_NEVER;
	else if (at == 1)
		at = INT64_MIN;
	g_assert_true(timerq_set(q, &w->timer, at));
	w->queued = at != TIMERQ_NEVER;
	w->at = at;
	w->set_no = set_no;
}

static void pop_one(struct timerq *q, struct twin *all, int64_t now)
{
	struct twin *first = twin_first(all);
	struct timer *t = timerq_pop(q, now);

	if (!first || first->at > now) {
		g_assert_null(t);
		return;
	}
	g_assert_true(t == &first->timer);
	g_assert_cmpuint(t->slot, ==, 0);
	first->queued = false;
}

static void check_heap(const struct timerq *q)
{
	for (uint32_t i = 0; i < q->count; i++)
		g_assert_cmpuint(q->heap[i]->slot, ==, i + 1);
}

static void run_twin(guint32 seed)
{
	GRand *rand = g_rand_new_with_seed(seed);
	struct twin *all = g_new0(struct twin, TIMERS);
	struct timerq q;

	timerq_init(&q);
	for (int i = 0; i < 20000; i++) {
		struct twin *w = &all[g_rand_int_range(rand, 0, TIMERS)], *first;
		int what = g_rand_int_range(rand, 0, 10);

		if (what < 6) {
			random_set(rand, &q, w, i);
		} else if (what < 8) {
			timerq_cancel(&q, &w->timer);
			w->queued = false;
		} else {
			pop_one(&q, all, g_rand_int_range(rand, 0, 40));
		}
		g_assert_cmpint(w->timer.slot != 0, ==, w->queued);
		first = twin_first(all);
		g_assert_cmpint(timerq_next(&q), ==, first ? first->at : TIMERQ_NEVER);
		if (i % 64 == 0)
			check_heap(&q);
	}
	while (twin_first(all))
		pop_one(&q, all, INT64_MAX);
	g_assert_null(timerq_pop(&q, INT64_MAX));
	timerq_clear(&q);
	g_free(all);
	g_rand_free(rand);
}

static void test_twin(void)
{
	for (guint32 seed = 0; seed < 5; seed++)
		run_twin(seed);
}

/* Equal deadlines fire in the order they were set; setting again goes to the back. */
static void test_equal(void)
{
	struct timer t[5] = { 0 };
	struct timerq q;

	timerq_init(&q);
	for (int i = 0; i < 5; i++)
		g_assert_true(timerq_set(&q, &t[i], 100));
	g_assert_true(timerq_set(&q, &t[1], 100));
	g_assert_null(timerq_pop(&q, 99));
	g_assert_true(timerq_pop(&q, 100) == &t[0]);
	g_assert_true(timerq_pop(&q, 100) == &t[2]);
	g_assert_true(timerq_pop(&q, 100) == &t[3]);
	g_assert_true(timerq_pop(&q, 100) == &t[4]);
	g_assert_true(timerq_pop(&q, 100) == &t[1]);
	g_assert_null(timerq_pop(&q, 100));
	timerq_clear(&q);
}

static void test_no_memory(void)
{
	struct timer t[40] = { 0 };
	struct timerq q;

	timerq_init(&q);
	no_memory = true;
	g_assert_false(timerq_set(&q, &t[0], 5));
	g_assert_cmpuint(t[0].slot, ==, 0);
	g_assert_cmpint(timerq_next(&q), ==, TIMERQ_NEVER);
	no_memory = false;
	g_assert_true(timerq_reserve(&q, 20));
	g_assert_true(timerq_reserve(&q, 19));
	no_memory = true;
	for (int i = 0; i < 20; i++)
		g_assert_true(timerq_set(&q, &t[i], 20 - i));
	g_assert_false(timerq_set(&q, &t[20], 1));
	g_assert_false(timerq_reserve(&q, 21));
	g_assert_true(timerq_set(&q, &t[0], 7)); /* a known timer moves without memory */
	g_assert_true(timerq_set(&q, &t[1], TIMERQ_NEVER));
	g_assert_true(timerq_set(&q, &t[20], 0));
	no_memory = false;
	g_assert_cmpuint(q.count, ==, 20);
	g_assert_true(timerq_pop(&q, 0) == &t[20]);
	timerq_clear(&q);
	for (int i = 0; i < 40; i++)
		g_assert_cmpuint(t[i].slot, ==, 0);
	timerq_clear(&q);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/timerq/twin", test_twin);
	g_test_add_func("/timerq/equal", test_equal);
	g_test_add_func("/timerq/no-memory", test_no_memory);
	return g_test_run();
}
