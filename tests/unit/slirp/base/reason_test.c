/* reason_test.c - every reason has its own name and its own text. */
#include "slirp/base/reason.h"

#include <glib.h>
#include <string.h>

static void test_list(void)
{
	GHashTable *names = g_hash_table_new(g_str_hash, g_str_equal);
	GHashTable *texts = g_hash_table_new(g_str_hash, g_str_equal);

	g_assert_cmpint(R_ACCEPTED, ==, 0);
	g_assert_cmpstr(reason_name(R_ACCEPTED), ==, "ACCEPTED");
	g_assert_cmpstr(reason_name(R_SPOOFED_MAC), ==, "SPOOFED_MAC");
	for (int i = 0; i < R_COUNT; i++) {
		g_assert_true(g_hash_table_add(names, (gpointer)reason_name((enum reason)i)));
		g_assert_true(g_hash_table_add(texts, (gpointer)reason_text((enum reason)i)));
		g_assert_cmpuint(strlen(reason_text((enum reason)i)), >, 0);
	}
	g_hash_table_destroy(names);
	g_hash_table_destroy(texts);
}

static void test_outside(void)
{
	g_assert_cmpstr(reason_name(R_COUNT), ==, "?");
	g_assert_cmpstr(reason_text(R_COUNT), ==, "?");
}

static void test_count(void)
{
	struct reason_tally tally = { { 0 } };

	g_assert_cmpint(reason_count(&tally, R_DENIED), ==, R_DENIED);
	g_assert_cmpint(reason_count(&tally, R_DENIED), ==, R_DENIED);
	g_assert_cmpuint(tally.n[R_DENIED], ==, 2);
	g_assert_cmpuint(tally.n[R_ACCEPTED], ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/reason/list", test_list);
	g_test_add_func("/reason/outside", test_outside);
	g_test_add_func("/reason/count", test_count);
	return g_test_run();
}
