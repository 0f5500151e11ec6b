/* portpool_test.c - ports in turn, used ones passed over, none when all are used: C26, C27. */
#include "gateway/portpool.h"

#include <glib.h>

static void round_robin(void)
{
	struct portpool p = { 0 };

	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < PORTPOOL_SIZE; i++) {
			uint16_t port = portpool_take(&p);

			g_assert_cmpuint(port, ==, PORTPOOL_FIRST + i);
			portpool_give(&p, port);
		}
}

static void used_up(void)
{
	struct portpool p = { .cursor = 100 };

	for (int i = 0; i < PORTPOOL_SIZE; i++)
		g_assert_cmpuint(portpool_take(&p), ==, PORTPOOL_FIRST + (100 + i) % PORTPOOL_SIZE);
	g_assert_cmpuint(portpool_take(&p), ==, 0);
	for (int i = 0; i < PORTPOOL_SIZE; i += 1111) { /* the only free one is found wherever the cursor stands */
		portpool_give(&p, (uint16_t)(PORTPOOL_FIRST + i));
		g_assert_cmpuint(portpool_take(&p), ==, PORTPOOL_FIRST + i);
		g_assert_cmpuint(portpool_take(&p), ==, 0);
	}
	portpool_give(&p, PORTPOOL_FIRST); /* in front of the cursor, in the cursor's own word */
	p.cursor = 5;
	g_assert_cmpuint(portpool_take(&p), ==, PORTPOOL_FIRST);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/portpool/round-robin", round_robin);
	g_test_add_func("/portpool/used-up", used_up);
	return g_test_run();
}
