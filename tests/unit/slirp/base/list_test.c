/* list_test.c - the ring: order, unlinking twice, splicing.  And the byte loads, which are too small for a file of
 * their own. */
#include "slirp/base/list.h"
#include "slirp/base/bytes.h"

#include <glib.h>

struct item {
	int no;
	struct list node;
};

static void expect_order(struct list *l, const char *want)
{
	GString *got = g_string_new(NULL);
	struct list *n;

	while ((n = list_pop_head(l)))
		g_string_append_printf(got, "%d", container_of(n, struct item, node)->no);
	g_assert_cmpstr(got->str, ==, want);
	g_assert_true(list_empty(l));
	g_string_free(got, TRUE);
}

static void fill(struct list *l, struct item *items, int from, int to)
{
	list_init(l);
	for (int i = from; i <= to; i++) {
		items[i].no = i;
		list_push_tail(l, &items[i].node);
	}
}

static void test_order(void)
{
	struct item items[10];
	struct list l;

	fill(&l, items, 1, 5);
	list_unlink(&items[3].node);
	list_unlink(&items[3].node);
	g_assert_true(list_empty(&items[3].node));
	list_unlink(&items[1].node);
	list_push_tail(&l, &items[1].node);
	expect_order(&l, "2451");
}

static void test_splice(void)
{
	struct item items[10];
	struct list a, b;

	fill(&a, items, 1, 3);
	fill(&b, items, 4, 6);
	list_splice_tail(&a, &b);
	g_assert_true(list_empty(&b));
	list_splice_tail(&a, &b);
	expect_order(&a, "123456");
	fill(&b, items, 7, 8);
	list_splice_tail(&a, &b);
	expect_order(&a, "78");
}

static void test_bytes(void)
{
	uint8_t b[5] = { 0 };

	bytes_put32(b + 1, 0xfedcba98);
	g_assert_cmphex(b[1], ==, 0xfe);
	g_assert_cmphex(b[4], ==, 0x98);
	g_assert_cmphex(bytes_get32(b + 1), ==, 0xfedcba98);
	g_assert_cmphex(bytes_get16(b + 3), ==, 0xba98);
	bytes_put16(b, 0x8001);
	g_assert_cmphex(bytes_get32(b), ==, 0x8001dcba);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/list/order", test_order);
	g_test_add_func("/list/splice", test_splice);
	g_test_add_func("/bytes/order", test_bytes);
	return g_test_run();
}
