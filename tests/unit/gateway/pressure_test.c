/* pressure_test.c - two watermarks: F15. */
#include "gateway/pressure.h"

#include <glib.h>

static void watermarks(void)
{
	static const struct {
		unsigned percent;
		bool changes, on;
	} row[] = { { 0, false, false }, { 74, false, false }, { 75, true, true },   { 100, false, true }, { 51, false, true },
		    { 50, true, false }, { 51, false, false }, { 74, false, false }, { 99, true, true },   { 0, true, false } };
	struct pressure p = { 0 };

	for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
		g_assert_true(pressure_update(&p, row[i].percent, 75, 50) == row[i].changes);
		g_assert_true(p.on == row[i].on);
	}
	g_assert_cmpuint(p.times, ==, 2);
	/* watermarks the wrong way round do not make it flicker */
	g_assert_true(pressure_update(&p, 60, 50, 90));
	g_assert_false(pressure_update(&p, 60, 50, 90));
}

static void percent(void)
{
	g_assert_cmpuint(pressure_percent(0, 10), ==, 0);
	g_assert_cmpuint(pressure_percent(9, 10), ==, 90);
	g_assert_cmpuint(pressure_percent(10, 10), ==, 100);
	g_assert_cmpuint(pressure_percent(11, 10), ==, 100);
	g_assert_cmpuint(pressure_percent(0, 0), ==, 100);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/pressure/watermarks", watermarks);
	g_test_add_func("/pressure/percent", percent);
	return g_test_run();
}
