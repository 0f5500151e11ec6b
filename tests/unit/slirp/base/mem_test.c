/* mem_test.c - allocations that fail when they are told to, and what htab and timerq make of it. */
#include "slirp/base/htab.h"
#include "slirp/base/mem.h"
#include "slirp/base/timerq.h"

#include <glib.h>

static void test_window(void)
{
	struct mem m = { .fail_from = 1, .fail_count = 2 };
	char *p;

	for (int i = 0; i < 5; i++) {
		p = mem_new0(&m, 8);
		g_assert_true(!p == (i == 1 || i == 2));
		g_free(p);
	}
	g_assert_cmpuint(m.asked, ==, 5);
	g_assert_cmpuint(m.failed, ==, 2);
	m.fail_from = m.asked; /* the next one */
	m.fail_count = 1;
	g_assert_null(mem_new(&m, 1));
	p = mem_resize(&m, NULL, 4, 4);
	g_assert_nonnull(p);
	m.fail_from = m.asked; /* none from now on */
	m.fail_count = UINT64_MAX;
	for (int i = 0; i < 3; i++)
		g_assert_null(mem_resize(&m, p, 8, 4)); /* p is as it was */
	m.fail_count = 0;
	p = mem_resize(&m, p, 8, 4);
	g_assert_nonnull(p);
	g_free(p);
}

static void test_none(void)
{
	struct mem m = { 0 };
	void *p = mem_new0(&m, 8), *q = mem_new0(NULL, 8);

	g_assert_nonnull(p);
	g_assert_nonnull(q);
	g_assert_cmpuint(m.asked, ==, 1);
	g_assert_cmpuint(m.failed, ==, 0);
	g_assert_null(mem_resize(&m, NULL, SIZE_MAX, 16)); /* an overflow is no memory */
	g_free(p);
	g_free(q);
}

/* A table that cannot grow goes on, slower. */
static void test_htab(void)
{
	enum { N = 1000 };
	struct mem m = { .fail_count = UINT64_MAX };
	struct htab_node *nodes = g_new0(struct htab_node, N);
	struct htab t;

	g_assert_true(htab_init(&t));
	t.mem = &m;
	for (uint32_t i = 0; i < N; i++)
		htab_insert(&t, &nodes[i], i * 2654435761u);
	g_assert_cmpuint(m.failed, >, 0);
	for (uint32_t i = 0; i < N; i++)
		g_assert_true(htab_first(&t, i * 2654435761u) == &nodes[i]);
	m.fail_count = 0; /* memory is back: it grows after all */
	htab_remove(&t, &nodes[0]);
	g_assert_cmpuint(t.mask, >, 15);
	for (uint32_t i = 1; i < N; i++)
		htab_remove(&t, &nodes[i]);
	g_assert_cmpuint(htab_count(&t), ==, 0);
	htab_clear(&t);
	g_free(nodes);
}

/* Room that was asked for beforehand makes timerq_set() sure; without memory the answer is no, and the queue is as it was. */
static void test_timerq(void)
{
	enum { N = 100 };
	struct mem m = { 0 };
	struct timer timers[N] = { 0 };
	struct timerq q;

	timerq_init(&q);
	q.mem = &m;
	for (uint32_t i = 0; i < N; i++) {
		g_assert_true(timerq_grow(&q, i + 1));
		m.fail_from = m.asked;
		m.fail_count = UINT64_MAX;
		g_assert_true(timerq_set(&q, &timers[i], i));
		m.fail_count = 0;
	}
	g_assert_cmpuint(m.asked, <, 10); /* doubling */
	m.fail_from = m.asked;
	m.fail_count = UINT64_MAX;
	g_assert_false(timerq_grow(&q, q.room + 1));
	g_assert_true(timerq_grow(&q, q.room));
	for (int64_t i = 0; i < N; i++)
		g_assert_true(timerq_pop(&q, i) == &timers[i]);
	timerq_clear(&q);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/mem/window", test_window);
	g_test_add_func("/mem/none", test_none);
	g_test_add_func("/mem/htab", test_htab);
	g_test_add_func("/mem/timerq", test_timerq);
	return g_test_run();
}
